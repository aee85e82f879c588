//! What is counted as it comes and goes, counted anew: they must be the same.

use super::lease_table::{ATTACHED, LEASES};
use super::size;
use super::tables::{CURRENT, HISTORY, VERSIONS};
use crate::module::Fault;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

/// The bytes of all rows, counted anew.
///
/// # Errors
/// The database.
pub fn measure(transaction: &ReadTransaction) -> Result<u64, Fault> {
    let mut bytes = 0;
    for row in transaction.open_table(CURRENT)?.iter()? {
        bytes += size::current(row?.0.value());
    }
    for row in transaction.open_table(VERSIONS)?.iter()? {
        bytes += size::version(row?.0.value().0, 0);
    }
    for row in transaction.open_table(HISTORY)?.iter()? {
        bytes += row?.1.value().len() as i64;
    }
    bytes += transaction.open_table(LEASES)?.len()? as i64 * size::lease();
    for row in transaction.open_table(ATTACHED)?.iter()? {
        bytes += size::attached(row?.0.value().1);
    }
    Ok(bytes.unsigned_abs())
}
