//! Entry points for fuzzing: each takes any bytes as one thing that members send, clients have members apply, or disks hold, and checks what must hold of
//! what was accepted. They say whether it was accepted. The targets in `fuzz/` call them, and so does a seeded loop in the normal tests. Not part of the
//! public interface.

use crate::backup::seal;
use crate::log::{self, LogDisk, SlotFile};
use crate::models::Manifest;
use crate::{Applied, Logged, Owner, Store, modules, raft};
use redb::backends::InMemoryBackend;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Every parser with its entry point.
pub const ALL: [(&str, fn(&[u8]) -> bool); 6] = [
    ("mesh_question", question),
    ("mesh_entries", entries),
    ("mesh_state", state),
    ("mesh_seal", seal),
    ("mesh_log_frame", log_frame),
    ("mesh_manifest", manifest),
];

const OWNER: Owner = Owner { cluster: 7, member: 1 };

/// What one member asks another one.
pub fn question(bytes: &[u8]) -> bool {
    raft::is_readable(bytes)
}

/// Entries one after the other, each behind its length in two bytes: two members that apply them have the same state, whose snapshot is taken by a third.
pub fn entries(bytes: &[u8]) -> bool {
    let (Some(one), Some(other)) = (store(), store()) else { return false };
    let Ok(begun) = one.applied() else { return false };
    let at = |i: u64| Applied { index: begun.index + 1 + i, term: begun.term.max(1) };
    let logged: Vec<Logged> =
        split(bytes).into_iter().zip(0..).map(|(entry, i)| Logged { at: at(i), entry: entry.to_vec() }).collect();
    let answers = one.apply(&logged);
    for (i, logged) in logged.iter().enumerate() {
        let answer = other.apply(std::slice::from_ref(logged));
        if let Ok(answers) = &answers {
            assert_eq!(
                answer.as_ref().ok().and_then(|answer| answer.first()),
                answers.get(i),
                "together and one by one"
            );
        }
    }
    if answers.is_err() || logged.is_empty() {
        return false;
    }
    let (written, again) = (snapshot(&one), snapshot(&other));
    assert!(written == again, "the same entries gave two states");
    assert!(state(&written), "a snapshot is not taken");
    true
}

/// A snapshot, with the sum that its bytes should have.
pub fn state(bytes: &[u8]) -> bool {
    let Some((stream, _)) = bytes.split_last_chunk::<32>() else { return false };
    let whole = [stream, blake3::hash(stream).as_bytes()].concat();
    let Some(store) = store() else { return false };
    if store.restore(&mut &whole[..]).is_err() {
        return false;
    }
    let Some(again) = self::store() else { return false };
    assert!(again.restore(&mut &snapshot(&store)[..]).is_ok(), "what was taken is not given");
    true
}

/// The signature behind a backup.
pub fn seal(bytes: &[u8]) -> bool {
    seal::is_seal(bytes)
}

/// A frame of the log.
pub fn log_frame(bytes: &[u8]) -> bool {
    log::reads_again(bytes)
}

/// What the maker of a model says of it.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::read(bytes) else { return false };
    assert_eq!(Manifest::read(&manifest.write()).as_ref(), Ok(&manifest));
    true
}

/// Entries for [`entries`].
pub fn join(entries: &[Vec<u8>]) -> Vec<u8> {
    entries.iter().flat_map(|entry| [&(entry.len() as u16).to_be_bytes()[..], entry].concat()).collect()
}

fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
        parts.push(part);
        bytes = rest;
    }
    parts
}

fn store() -> Option<Store> {
    Store::on_backend(InMemoryBackend::new(), Arc::new(NoLog), OWNER, modules()).ok()
}

fn snapshot(store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    let written = store.snapshot(&mut out);
    assert!(written.is_ok(), "no snapshot: {written:?}");
    out
}

/// For stores that need none.
#[derive(Debug)]
struct NoLog;

impl LogDisk for NoLog {
    fn slot_bytes(&self) -> u64 {
        0
    }

    fn slots(&self) -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    fn open(&self, _: u32) -> io::Result<SlotFile> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn make(&self, _: u32, _: u64) -> io::Result<SlotFile> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn path(&self, _: u32) -> PathBuf {
        PathBuf::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, OWNER, entries, join, snapshot, store};
    use crate::backup::seal;
    use crate::logged::{Applied, Logged};
    use crate::models::Manifest;
    use crate::proto::authpb::Permission;
    use crate::proto::authpb::permission::Type;
    use crate::proto::etcdserverpb as pb;
    use crate::proto::linkpb::ask::Question;
    use crate::proto::linkpb::{Append, Ask, LogEntry, Vote};
    use crate::proto::meshpb::auth_command::Request as Auth;
    use crate::proto::meshpb::command::Request;
    use crate::proto::meshpb::{EntryId, NewUser};
    use crate::proto::modelspb::Signed;
    use crate::proto::modelspb::command::Request as Models;
    use crate::{auth, kv, log, models};
    use mayfly_base::Rng;
    use mayfly_wire::Identity;
    use prost::Message;

    /// What clients had members apply: keys, a lease, a user, a model.
    fn written(identity: &Identity) -> Vec<Vec<u8>> {
        let put =
            |key: &str, lease| pb::PutRequest { key: key.into(), value: b"v".to_vec(), lease, ..Default::default() };
        let op = |request| pb::RequestOp { request: Some(request) };
        let compare = pb::Compare { key: b"a".to_vec(), result: 3, ..Default::default() };
        let success = vec![op(pb::request_op::Request::RequestPut(put("b", 0)))];
        let txn = pb::TxnRequest { compare: vec![compare], success: success.clone(), failure: success };
        let delete = pb::DeleteRangeRequest { key: b"a".to_vec(), range_end: b"c".to_vec(), prev_kv: true };
        let permission = Permission { perm_type: Type::Readwrite.into(), key: b"a".to_vec(), range_end: b"b".to_vec() };
        let manifest = Manifest::new("pumps", 1, b"bytes", identity.id().to_string(), 1).write();
        let signature = identity.sign(models::SIGNED_AS, &manifest).expect("signed");
        let signed = Signed { manifest, signature, public_key: identity.public_key().bytes().to_vec() };
        let role = |name: &str| pb::AuthRoleAddRequest { name: name.into() };
        let grant = pb::AuthRoleGrantPermissionRequest { name: "app".into(), perm: Some(permission) };
        let asked = [
            kv::entry(Request::Grant(pb::LeaseGrantRequest { id: 9, ttl: 60 })),
            kv::entry(Request::Put(put("a", 9))),
            kv::entry(Request::Txn(txn)),
            kv::entry(Request::DeleteRange(delete)),
            kv::entry(Request::Put(put("a", 0))),
            kv::entry(Request::Compaction(pb::CompactionRequest { revision: 3, physical: true })),
            auth::entry(Auth::NewUser(NewUser { name: "root".into(), hash: "$2b$04$".into() }), None),
            auth::entry(Auth::NewRole(role("app")), None),
            auth::entry(Auth::GrantPermission(grant), None),
            models::entry(Models::Register(crate::proto::modelspb::RegisterRequest {
                signed: Some(signed),
                asked: None,
            })),
        ];
        asked.into_iter().map(|entry| entry.encode()).collect()
    }

    fn samples() -> Vec<Vec<u8>> {
        let identity = Identity::generate().expect("a key");
        let all = written(&identity);
        let at = |index| Applied { index, term: 2 };
        let logged: Vec<_> = (2..).zip(&all).map(|(i, entry)| Logged { at: at(i), entry: entry.clone() }).collect();
        let known = log::Known { purged: at(1), committed: at(3), vote: None };
        let entry = |logged: &Logged| LogEntry {
            id: Some(EntryId { term: logged.at.term, index: logged.at.index }),
            entry: logged.entry.clone(),
        };
        let append = Append {
            vote: Some(Vote { term: 2, member: 1, elected: true }),
            before: Some(EntryId { term: 2, index: 1 }),
            entries: logged.iter().map(entry).collect(),
            committed: None,
        };
        let ask = Ask { cluster: 7, from: 1, to: 2, question: Some(Question::Append(append)) };
        let filled = store().expect("a store");
        let begun = filled.applied().expect("readable").index;
        let follows = |(i, entry): (u64, &Vec<u8>)| Logged { at: Applied { index: i, term: 1 }, entry: entry.clone() };
        filled.apply(&(begun + 1..).zip(&all).map(follows).collect::<Vec<_>>()).expect("applied");
        let manifest = Manifest::new("pumps", 1, b"bytes", identity.id().to_string(), 1).write();
        vec![
            ask.encode_to_vec(),
            join(&all),
            snapshot(&filled),
            seal::sealed(OWNER, &identity),
            log::written(&logged, known),
            manifest,
        ]
    }

    #[test]
    fn each_entry_point_accepts_its_own_and_survives_damage() {
        let samples = samples();
        for ((name, accepts), sample) in ALL.iter().zip(&samples) {
            assert!(accepts(sample), "{name} accepts nothing");
        }
        let rounds = if std::env::var_os("MAYFLY_HEAVY").is_some() { 20_000 } else { 300 };
        let mut rng = Rng::new(1);
        for _ in 0..rounds {
            for ((_, accepts), sample) in ALL.iter().zip(&samples) {
                accepts(&damaged(sample, &mut rng));
            }
        }
    }

    fn damaged(sample: &[u8], rng: &mut Rng) -> Vec<u8> {
        let mut bytes = sample.to_vec();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len() as u64 + 1) as usize;
            match rng.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, rng.next_u64() as u8),
                2 if at + 4 < bytes.len() => bytes[at..at + 4].fill(0xff),
                _ if at < bytes.len() => bytes[at] = rng.next_u64() as u8,
                _ => bytes.extend((0..rng.below(40)).map(|_| 0xff)),
            }
        }
        bytes
    }

    #[test]
    fn a_state_that_depends_on_how_entries_come_would_be_noticed() {
        assert!(!entries(&join(&[vec![9, 9, 9]])), "an entry of a later format");
        assert!(!entries(b""), "nothing");
    }
}
