//! A client that watches all keys on any member, and goes on elsewhere where it was.

use super::node::Engine as Member;
use crate::check::Change;
use crate::check::kv::change;
use mayfly_mesh::proto::etcdserverpb::WatchCreateRequest;
use mayfly_mesh::{Engine, Hub, MeshError, Watching};
use std::sync::{Arc, Mutex};

/// What a watcher was told: revisions and what they changed.
#[derive(Clone, Debug, Default)]
pub struct Told(pub Vec<(i64, Change)>);

impl Told {
    /// The first revision that it was not told; 2 is the first write.
    pub fn next(&self) -> i64 {
        self.0.last().map_or(2, |(revision, _)| revision + 1)
    }

    /// Is this what happened? Change `i` made revision `i + 2`.
    pub fn check(&self, changes: &[Change]) -> Result<(), String> {
        let happened = (2..).zip(changes.iter().copied());
        match self.0.iter().copied().eq(happened.clone()) {
            true => Ok(()),
            false => {
                let at = self.0.iter().copied().zip(happened).take_while(|(told, was)| told == was).count();
                Err(format!(
                    "a watcher was told {:?} as number {at} of {}; {:?} is what happened, {} in all",
                    self.0.get(at),
                    self.0.len(),
                    changes.get(at),
                    changes.len()
                ))
            }
        }
    }
}

/// A stream at one member, in its process.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<(Arc<Hub>, Watching)>>);

impl Stream {
    /// Watches everything from a revision on.
    pub fn open(member: &Member, next: i64) -> Result<Self, MeshError> {
        let hub = Hub::new(member.store())?;
        let mut watching = Watching::new(hub.clone());
        let all = WatchCreateRequest { range_end: vec![0], start_revision: next, ..WatchCreateRequest::default() };
        watching.create(&all);
        Ok(Self(Arc::new(Mutex::new((hub, watching)))))
    }

    /// What is new.
    pub fn read(&self, member: &Member) -> Result<Told, MeshError> {
        let mut stream = self.0.lock().expect("no panic");
        let (hub, watching) = &mut *stream;
        hub.advance(member.store())?;
        let responses = watching.read(member.store())?;
        Ok(Told(responses.into_iter().flat_map(|response| response.events).map(|event| change(&event)).collect()))
    }
}
