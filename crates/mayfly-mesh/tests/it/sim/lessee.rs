//! A client that keeps a key under a lease for a while and then lets it go, one lease after the other.

use super::node::Engine as Member;
use crate::check::kv::{answer, key};
use crate::check::{Answer, History, Key};
use mayfly_mesh::proto::etcdserverpb::{LeaseGrantRequest, PutRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{Engine, EtcdError, MeshError, kv};

/// Clocks go at most so much faster or slower than time, in a thousand.
pub const CLOCKS_DIFFER: u64 = 100;

/// What a lessee was promised.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    pub key: Key,
    /// By true time; before this, the key is not gone.
    pub until: u64,
}

impl Promise {
    /// Whoever asked then was told that the lease has its whole time from now on; by a clock that may be fast.
    pub fn renew(&mut self, asked: u64, ttl: i64) {
        let ns = ttl.unsigned_abs() * 1_000_000_000;
        self.until = self.until.max(asked + ns * 1_000 / (1_000 + CLOCKS_DIFFER));
    }
}

pub async fn grant(member: &Member, id: i64, ttl: i64) -> Result<(), MeshError> {
    let outcome = member.propose(kv::entry(Request::Grant(LeaseGrantRequest { id, ttl }))).await?;
    match kv::outcome(&outcome).expect("an outcome") {
        Err(EtcdError::NoSpace) => Err(MeshError::Busy), // nor did it happen
        granted => {
            granted.expect("an id that nobody has");
            Ok(())
        }
    }
}

/// None: there is no such lease.
pub async fn put(member: &Member, of: Key, value: u64, lease: i64) -> Result<Option<Answer>, MeshError> {
    let put = PutRequest { key: key(of), value: value.to_string().into(), lease, ..PutRequest::default() };
    let outcome = member.propose(kv::entry(Request::Put(PutRequest { prev_kv: true, ..put }))).await?;
    match kv::outcome(&outcome).expect("an outcome") {
        Ok(response) => Ok(Some(answer(response))),
        Err(EtcdError::LeaseNotFound) => Ok(None),
        Err(EtcdError::NoSpace) => Err(MeshError::Busy), // nor did it happen
        Err(error) => panic!("{error}"),
    }
}

/// No key was seen to be gone before its time: whatever was answered with a later revision came after its end.
pub fn check(history: &History, promises: &[Promise]) -> Result<(), String> {
    let mut seen: Vec<(i64, u64)> =
        history.calls.iter().filter_map(|call| call.answered).map(|(at, answer)| (answer.revision, at)).collect();
    seen.sort_unstable();
    let mut first = u64::MAX;
    for (_, at) in seen.iter_mut().rev() {
        first = first.min(*at); // of all with this revision or a later one
        *at = first;
    }
    for promise in promises {
        let gone = (2..).zip(&history.changes).find(|(_, change)| change.key == promise.key && change.value.is_none());
        let Some((revision, _)) = gone else { continue };
        let from = seen.partition_point(|(made, _)| *made < revision);
        if let Some((_, at)) = seen.get(from).filter(|(_, at)| *at < promise.until) {
            let early = (promise.until - at) / 1_000_000;
            return Err(format!("the lease of key {} ended {early} ms or more before its time", promise.key));
        }
    }
    Ok(())
}
