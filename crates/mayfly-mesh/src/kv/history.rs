//! History beyond what may be asked for: it is removed bit by bit, each member as it gets to it, and nothing that anyone is told depends on how far that has come.

use super::gone::{Gone, Most};
use super::tables::{Clock, HISTORY, Place, Reader, STATE, VERSIONS, View, state_in, unseal};
use super::write::Writer;
use crate::etcd_error::EtcdError;
use crate::kv::Answer;
use crate::module::Fault;
use redb::{ReadTransaction, WriteTransaction};

/// Of `kv.state`: up to which revision the removal is done; for which it is under way, and what it looks at next.
pub(super) const REMOVED: &str = "removed";
const GOAL: &str = "removing";
const NEXT_MAIN: &str = "removing.main";
const NEXT_SUB: &str = "removing.sub";

/// Is there something left to remove?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Done,
    Unfinished,
}

/// Removes what nobody may ask for any more, so much of it.
pub(crate) fn remove(transaction: &WriteTransaction, most: Most) -> Result<Removal, Fault> {
    let mut writer = Writer::open(transaction)?;
    let Clock { compacted, .. } = writer.clock();
    if writer.state(REMOVED)? >= compacted {
        return Ok(Removal::Done);
    }
    let from = match writer.state(GOAL)? {
        goal if goal == compacted => (writer.state(NEXT_MAIN)?, u32::try_from(writer.state(NEXT_SUB)?).unwrap_or(0)),
        _ => (i64::MIN, 0), // what a compaction before this one has kept may be gone now
    };
    match writer.remove(from, compacted, most)? {
        Some((main, sub)) => {
            writer.set(GOAL, compacted)?;
            writer.set(NEXT_MAIN, main)?;
            writer.set(NEXT_SUB, sub.into())?;
            writer.finish()?;
            Ok(Removal::Unfinished)
        }
        None => {
            writer.set(REMOVED, compacted)?;
            writer.finish()?;
            Ok(Removal::Done)
        }
    }
}

/// Is there something to remove?
///
/// # Errors
/// The database.
pub(crate) fn is_removed(transaction: &ReadTransaction) -> Result<bool, Fault> {
    let state = transaction.open_table(STATE)?;
    Ok(state_in(&state, REMOVED)? >= Clock::read(&state)?.compacted)
}

/// Visits history as it would be if everything that is gone were removed, up to a revision.
pub(super) fn visit(
    transaction: &ReadTransaction,
    upto: i64,
    each: &mut dyn FnMut(Place, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let state = transaction.open_table(STATE)?;
    let versions = transaction.open_table(VERSIONS)?;
    let gone = Gone::new(&versions, Clock::read(&state)?.compacted, state_in(&state, REMOVED)?);
    for row in transaction.open_table(HISTORY)?.range(..=(upto, u32::MAX))? {
        let (place, bytes) = row?;
        let (main, sub) = place.value();
        let place = Place { main, sub };
        let record = unseal(place, bytes.value())?;
        if !gone.is(&record, place)? {
            each(place, bytes.value())?;
        }
    }
    Ok(())
}

/// What the history of a member comes to: the same for all members with the same history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvHash {
    /// BLAKE3 over the versions up to the revision that was asked for, without those that were compacted.
    pub hash: [u8; 32],
    /// The revision that the member has come to.
    pub revision: i64,
    /// Up to where history was compacted. What was compacted differently is not comparable.
    pub compacted: i64,
}

/// The hash of history up to a revision; 0 is all of it.
///
/// # Errors
/// The database.
pub fn hash(transaction: &ReadTransaction, revision: i64) -> Result<Answer<KvHash>, Fault> {
    let clock = View::open(transaction)?.clock();
    if revision > clock.revision {
        return Ok(Err(EtcdError::FutureRev));
    }
    if revision > 0 && revision < clock.compacted {
        return Ok(Err(EtcdError::Compacted));
    }
    let upto = if revision == 0 { clock.revision } else { revision };
    let mut hasher = blake3::Hasher::new();
    visit(transaction, upto, &mut |Place { main, sub }, bytes| {
        hasher.update(&main.to_be_bytes()).update(&sub.to_be_bytes());
        hasher.update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
        Ok(())
    })?;
    let Clock { revision, compacted } = clock;
    Ok(Ok(KvHash { hash: *hasher.finalize().as_bytes(), revision, compacted }))
}
