//! What the rows of the module take: it is counted as they come and go, since a database says only how long its file is.

use super::tables::{STATE, state_in};
use crate::module::Fault;
use redb::ReadTransaction;

/// Of `kv.state`.
pub(super) const BYTES: &str = "bytes";

/// Numbers of a row beside its key.
const CURRENT_ROW: usize = 36;
const VERSION_ROW: usize = 36;
const HISTORY_KEY: usize = 12;
/// A lease in both of its tables, and the id at a key that hangs on one.
const LEASE_ROWS: usize = 64;
const ATTACHED_ROW: usize = 8;

pub(super) fn current(key: &[u8]) -> i64 {
    (key.len() + CURRENT_ROW) as i64
}

/// A version with its record.
pub(super) fn version(key: &[u8], record: usize) -> i64 {
    (key.len() + VERSION_ROW + HISTORY_KEY + record) as i64
}

pub(super) fn lease() -> i64 {
    LEASE_ROWS as i64
}

pub(super) fn attached(key: &[u8]) -> i64 {
    (key.len() + ATTACHED_ROW) as i64
}

/// Bytes of all rows, as they were counted.
///
/// # Errors
/// The database.
pub(crate) fn used(transaction: &ReadTransaction) -> Result<u64, Fault> {
    Ok(state_in(&transaction.open_table(STATE)?, BYTES)?.unsigned_abs())
}
