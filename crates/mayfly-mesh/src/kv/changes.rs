//! History in its order: what watchers are told.

use super::range::range;
use super::tables::{Clock, HISTORY, Place, STATE, View, unseal};
use crate::module::Fault;
use crate::proto::etcdserverpb::RangeRequest;
use crate::proto::mvccpb::KeyValue;
use crate::refusal::settle;
use redb::ReadTransaction;

/// The revisions of a state.
///
/// # Errors
/// The database.
pub(crate) fn clock(transaction: &ReadTransaction) -> Result<Clock, Fault> {
    Clock::read(&transaction.open_table(STATE)?)
}

/// Visits the changes from a revision on, in their order, until `each` says no. A deletion has version 0.
///
/// # Errors
/// The database.
pub(crate) fn changes(
    transaction: &ReadTransaction,
    from: i64,
    each: &mut dyn FnMut(KeyValue) -> bool,
) -> Result<(), Fault> {
    for row in transaction.open_table(HISTORY)?.range((from, 0)..)? {
        let (place, bytes) = row?;
        let (main, sub) = place.value();
        if !each(unseal(Place { main, sub }, bytes.value())?) {
            break;
        }
    }
    Ok(())
}

/// What a change found: the key as it was in the revision before, unless that was compacted.
///
/// # Errors
/// The database.
pub(crate) fn before(transaction: &ReadTransaction, change: &KeyValue) -> Result<Option<KeyValue>, Fault> {
    let is_first = change.version > 0 && change.create_revision == change.mod_revision;
    if is_first || change.mod_revision <= 1 {
        return Ok(None);
    }
    let then = RangeRequest { key: change.key.clone(), revision: change.mod_revision - 1, ..RangeRequest::default() };
    let found = settle(range(&View::open(transaction)?, &then))?;
    Ok(found.ok().and_then(|mut found| found.kvs.pop()))
}
