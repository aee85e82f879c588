//! What the rows of the module take: it is counted as they come and go, since a database says only how long its file is.

use super::lease_table::{ATTACHED, LEASES};
use super::tables::{CURRENT, HISTORY, STATE, VERSIONS, state_in};
use crate::module::Fault;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

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

/// The same, counted anew.
///
/// # Errors
/// The database.
pub fn measure(transaction: &ReadTransaction) -> Result<u64, Fault> {
    let mut bytes = 0;
    for row in transaction.open_table(CURRENT)?.iter()? {
        bytes += current(row?.0.value());
    }
    for row in transaction.open_table(VERSIONS)?.iter()? {
        bytes += version(row?.0.value().0, 0);
    }
    for row in transaction.open_table(HISTORY)?.iter()? {
        bytes += row?.1.value().len() as i64;
    }
    bytes += transaction.open_table(LEASES)?.len()? as i64 * lease();
    for row in transaction.open_table(ATTACHED)?.iter()? {
        bytes += attached(row?.0.value().1);
    }
    Ok(bytes.unsigned_abs())
}
