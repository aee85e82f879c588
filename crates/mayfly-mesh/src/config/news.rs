//! What is new under a prefix, read from one state of the mesh.

use crate::error::Result;
use crate::kv::{self, Clock};
use crate::module::Fault;
use crate::proto::etcdserverpb::RangeRequest;
use crate::proto::mvccpb::KeyValue;
use crate::store::Store;
use mayfly_config::{Fed, MAX_KEY_BYTES, Revision};
use redb::ReadTransaction;
use std::collections::BTreeMap;

/// Changes, and bytes of them, that are read in one turn.
const MAX_READ: usize = 1_000;
const MAX_READ_BYTES: usize = 4 << 20;

/// What is to be done to a store that has followed up to some revision.
pub(super) enum News {
    /// These changes, by revision; then it stands at `upto`. There may be more.
    Changes { by_revision: BTreeMap<Revision, BTreeMap<String, Fed>>, upto: Revision, is_all: bool },
    /// What came next is compacted: this is the whole state instead.
    State { entries: Vec<(Revision, Fed)>, at: Revision },
}

/// Revisions of the mesh are never negative.
pub(super) fn number(revision: i64) -> Revision {
    Revision::try_from(revision).unwrap_or_default()
}

/// The keys of a prefix, as a request says them: from the first to before the second.
fn span(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1, // no text has a byte that nothing comes after
        None => return (vec![0], vec![0]),
    }
    (prefix.into(), end)
}

/// A key below the prefix, as settings name it. The mesh has keys that are none: bytes that are no text, the prefix itself, too long ones.
fn name(prefix: &str, key: &[u8]) -> Option<String> {
    let rest = std::str::from_utf8(key.strip_prefix(prefix.as_bytes())?).ok();
    let named = rest.filter(|rest| (1..=MAX_KEY_BYTES).contains(&rest.len())).map(Into::into);
    if named.is_none() {
        tracing::warn!(key = %String::from_utf8_lossy(key), "a key of the mesh is no key of settings: it is left out");
    }
    named
}

/// What comes after a revision.
pub(super) fn read(store: &Store, prefix: &str, after: Revision) -> Result<News> {
    store.read(|transaction| {
        let clock = kv::clock(transaction)?;
        // A state that is older than what was followed is given as it is, to be refused.
        let is_gone = after + 1 < number(clock.compacted) || number(clock.revision) < after;
        if is_gone { state(transaction, prefix, clock) } else { changes(transaction, prefix, after, clock) }
    })
}

/// The whole state.
pub(super) fn read_state(store: &Store, prefix: &str) -> Result<News> {
    store.read(|transaction| state(transaction, prefix, kv::clock(transaction)?))
}

fn state(transaction: &ReadTransaction, prefix: &str, clock: Clock) -> std::result::Result<News, Fault> {
    let (key, range_end) = span(prefix);
    let range = kv::range(transaction, &RangeRequest { key, range_end, ..RangeRequest::default() })?;
    let refused = |error: crate::EtcdError| Fault::Unreadable(format!("the state of now is refused: {}", error.text()));
    let entries = range.map_err(refused)?.kvs.into_iter().filter_map(|kv| {
        let name = name(prefix, &kv.key)?;
        Some((number(kv.mod_revision), Fed::put(&name, &kv.value)))
    });
    Ok(News::State { entries: entries.collect(), at: number(clock.revision) })
}

fn changes(
    transaction: &ReadTransaction,
    prefix: &str,
    after: Revision,
    clock: Clock,
) -> std::result::Result<News, Fault> {
    let mut by_revision: BTreeMap<Revision, BTreeMap<String, Fed>> = BTreeMap::new();
    let (mut upto, mut count, mut bytes, mut is_all) = (after, 0, 0, true);
    if number(clock.revision) > after {
        kv::changes(transaction, i64::try_from(after + 1).unwrap_or(i64::MAX), &mut |change| {
            let revision = number(change.mod_revision);
            // A revision is read as a whole.
            if (count >= MAX_READ || bytes >= MAX_READ_BYTES) && revision > upto {
                is_all = false;
                return false;
            }
            (upto, count, bytes) = (revision, count + 1, bytes + change.value.len());
            if let Some(name) = name(prefix, &change.key) {
                // A transaction may set a key and delete it: what comes last is what is.
                let fed = fed(&name, &change);
                by_revision.entry(revision).or_default().insert(name, fed);
            }
            true
        })?;
        // The newest revisions may have been compacted away, and most are about other keys.
        upto = if is_all { number(clock.revision) } else { upto };
    }
    Ok(News::Changes { by_revision, upto, is_all })
}

/// A deletion has version 0.
fn fed(name: &str, change: &KeyValue) -> Fed {
    if change.version == 0 { Fed::delete(name) } else { Fed::put(name, &change.value) }
}
