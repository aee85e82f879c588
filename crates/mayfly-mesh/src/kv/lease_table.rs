//! The tables of leases, and reading them.

use super::size;
use crate::module::Fault;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

/// Whole time, what remained at the last checkpoint (0: the whole), the entry that granted it, term and number of that checkpoint.
type Row = (i64, i64, u64, u64, u64);

pub(super) const LEASES: TableDefinition<i64, Row> = TableDefinition::new("kv.leases");
/// Leases in the order in which they were granted.
pub(super) const GRANTED: TableDefinition<u64, i64> = TableDefinition::new("kv.granted");
pub(super) const ATTACHED: TableDefinition<(i64, &[u8]), ()> = TableDefinition::new("kv.attached");

/// The longest time to live, in seconds: etcd's.
pub(super) const MAX_SECONDS: i64 = 9_000_000_000;

/// A lease that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: i64,
    /// Its time to live, in seconds.
    pub(crate) whole_s: i64,
    /// What of it remained at the last checkpoint since it was renewed; 0: there was none.
    pub(crate) remaining_s: i64,
    /// The index of the entry that granted it: an id may be given again.
    pub(crate) granted: u64,
    /// Term and number of the last checkpoint.
    pub(super) checkpoint: (u64, u64),
}

impl Lease {
    /// Bytes of a record.
    const LEN: usize = 48;

    /// One that was never written down.
    #[cfg(test)]
    pub(crate) fn new(id: i64, whole_s: i64, remaining_s: i64, granted: u64) -> Self {
        Self { id, whole_s, remaining_s, granted, checkpoint: (0, 0) }
    }

    fn from_row(id: i64, (whole_s, remaining_s, granted, term, number): Row) -> Self {
        Self { id, whole_s, remaining_s, granted, checkpoint: (term, number) }
    }

    /// The number of its last checkpoint, if that was made in this term.
    pub(crate) fn checkpoint_in(&self, term: u64) -> u64 {
        if self.checkpoint.0 == term { self.checkpoint.1 } else { 0 }
    }

    fn to_row(self) -> Row {
        (self.whole_s, self.remaining_s, self.granted, self.checkpoint.0, self.checkpoint.1)
    }

    pub(super) fn to_record(self) -> [u8; Self::LEN] {
        let Self { id, whole_s, remaining_s, granted, checkpoint: (term, number) } = self;
        let signed = [id, whole_s, remaining_s].map(i64::to_be_bytes);
        let unsigned = [granted, term, number].map(u64::to_be_bytes);
        let mut record = [0; Self::LEN];
        for (place, bytes) in record.chunks_exact_mut(8).zip(signed.into_iter().chain(unsigned)) {
            place.copy_from_slice(&bytes);
        }
        record
    }

    pub(super) fn from_record(record: &[u8]) -> Option<Self> {
        let record: &[u8; Self::LEN] = record.try_into().ok()?;
        let (numbers, _) = record.as_chunks::<8>();
        let [id, whole_s, remaining_s] = [0, 1, 2].map(|i| i64::from_be_bytes(numbers[i]));
        let [granted, term, number] = [3, 4, 5].map(|i| u64::from_be_bytes(numbers[i]));
        let is_one = id != 0 && (1..=MAX_SECONDS).contains(&whole_s) && (0..=whole_s).contains(&remaining_s);
        is_one.then_some(Self { id, whole_s, remaining_s, granted, checkpoint: (term, number) })
    }
}

/// The tables within a write.
pub(super) struct Leases<'t> {
    leases: Table<'t, i64, Row>,
    granted: Table<'t, u64, i64>,
    attached: Table<'t, (i64, &'static [u8]), ()>,
    /// By how much the rows have grown.
    pub(super) grown: i64,
}

impl<'t> Leases<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            leases: transaction.open_table(LEASES)?,
            granted: transaction.open_table(GRANTED)?,
            attached: transaction.open_table(ATTACHED)?,
            grown: 0,
        })
    }

    pub(super) fn get(&self, id: i64) -> Result<Option<Lease>, Fault> {
        Ok(self.leases.get(id)?.map(|row| Lease::from_row(id, row.value())))
    }

    pub(super) fn keep(&mut self, lease: Lease) -> Result<(), Fault> {
        if self.leases.insert(lease.id, lease.to_row())?.is_none() {
            self.grown += size::lease();
        }
        self.granted.insert(lease.granted, lease.id)?;
        Ok(())
    }

    /// A key goes from one lease to another; 0 is none.
    pub(super) fn attach(&mut self, key: &[u8], from: i64, to: i64) -> Result<(), Fault> {
        if from != 0 {
            self.attached.remove((from, key))?;
            self.grown -= size::attached(key);
        }
        if to != 0 {
            self.attached.insert((to, key), ())?;
            self.grown += size::attached(key);
        }
        Ok(())
    }

    /// The keys that hang on a lease, in their order.
    pub(super) fn attached(&self, id: i64) -> Result<Vec<Vec<u8>>, Fault> {
        attached_in(&self.attached, id)
    }

    pub(super) fn take(&mut self, lease: Lease) -> Result<(), Fault> {
        self.leases.remove(lease.id)?;
        self.grown -= size::lease();
        self.granted.remove(lease.granted)?;
        Ok(())
    }
}

/// A lease, if it exists.
///
/// # Errors
/// The database.
pub(crate) fn lease(transaction: &ReadTransaction, id: i64) -> Result<Option<Lease>, Fault> {
    Ok(transaction.open_table(LEASES)?.get(id)?.map(|row| Lease::from_row(id, row.value())))
}

/// The leases that exist and were granted after an entry, in their order.
///
/// # Errors
/// The database.
pub(crate) fn granted_after(transaction: &ReadTransaction, index: u64) -> Result<Vec<Lease>, Fault> {
    let (granted, leases) = (transaction.open_table(GRANTED)?, transaction.open_table(LEASES)?);
    let mut found = Vec::new();
    for row in granted.range(index.saturating_add(1)..)? {
        let id = row?.1.value();
        let row =
            leases.get(id)?.ok_or_else(|| Fault::Damaged(format!("lease {id:x} was granted and is not there")))?;
        found.push(Lease::from_row(id, row.value()));
    }
    Ok(found)
}

/// How many leases there are.
///
/// # Errors
/// The database.
pub(crate) fn count(transaction: &ReadTransaction) -> Result<u64, Fault> {
    Ok(transaction.open_table(LEASES)?.len()?)
}

/// All leases, by id.
///
/// # Errors
/// The database.
pub(crate) fn leases(transaction: &ReadTransaction) -> Result<Vec<Lease>, Fault> {
    all(&transaction.open_table(LEASES)?)
}

/// The same, within a write.
pub(super) fn leases_in(transaction: &WriteTransaction) -> Result<Vec<Lease>, Fault> {
    all(&transaction.open_table(LEASES)?)
}

fn all(table: &impl ReadableTable<i64, Row>) -> Result<Vec<Lease>, Fault> {
    let mut found = Vec::new();
    for row in table.iter()? {
        let (id, row) = row?;
        found.push(Lease::from_row(id.value(), row.value()));
    }
    Ok(found)
}

/// The keys that hang on a lease, in their order.
///
/// # Errors
/// The database.
pub(crate) fn attached(transaction: &ReadTransaction, id: i64) -> Result<Vec<Vec<u8>>, Fault> {
    attached_in(&transaction.open_table(ATTACHED)?, id)
}

fn attached_in(table: &impl ReadableTable<(i64, &'static [u8]), ()>, id: i64) -> Result<Vec<Vec<u8>>, Fault> {
    let mut keys = Vec::new();
    for row in table.range((id, &[][..])..)? {
        let (place, _) = row?;
        let (of, key) = place.value();
        if of != id {
            break;
        }
        keys.push(key.to_vec());
    }
    Ok(keys)
}
