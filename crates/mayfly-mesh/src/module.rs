//! A state machine beside others in one database.

use crate::entry::Tag;
use crate::ids::Owner;
use crate::logged::Applied;
use redb::{ReadTransaction, WriteTransaction};

/// What kept a module from reading, writing or understanding.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The database.
    Storage(redb::Error),
    /// A record that is not what was written.
    Damaged(String),
    /// A payload or record that this version does not know.
    Unreadable(String),
}

macro_rules! storage_faults {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Storage(error.into())
            }
        })*
    };
}

storage_faults!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

/// Takes one record of a snapshot.
pub type Emit<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Fault>;
/// Gives the next record of a snapshot.
pub type Next<'a> = &'a mut dyn FnMut() -> Result<Option<Vec<u8>>, Fault>;

/// A new cluster that goes on from the state of another, with one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refounding {
    /// The entry that founds it. Its index is the id of the member.
    pub at: Applied,
    /// Whose state it is; the member is 0 where that is not known.
    pub before: Owner,
    /// By how much revisions are moved on. If they are, everything below counts as compacted.
    pub bump_revision: u32,
}

/// A state machine: keys and values, models, a ledger. It has tables of its own in the node's database, and is told entries in an order that all members agree on.
pub trait Module: Send + Sync {
    /// Stands in every entry for this module.
    fn tag(&self) -> Tag;

    /// Makes the tables of a new database.
    ///
    /// # Errors
    /// [`Fault::Storage`].
    fn found(&self, transaction: &WriteTransaction) -> Result<(), Fault>;

    /// Applies an entry within the transaction that also moves the applied index, and gives the answer to whoever proposed it.
    /// A **pure function** of tables, place and payload: no clock, no randomness, no float, no order of a hash map. A request that is refused is an answer and changes nothing.
    ///
    /// # Errors
    /// Only what ends the node: the database, or a payload that this version cannot read.
    fn apply(&self, transaction: &WriteTransaction, at: Applied, payload: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Applies entries that follow each other, as [`Self::apply`] would one by one; a module may open its tables once for all of them.
    ///
    /// # Errors
    /// Those of [`Self::apply`], with how many entries came before.
    fn apply_all(
        &self,
        transaction: &WriteTransaction,
        entries: &[(Applied, &[u8])],
    ) -> Result<Vec<Vec<u8>>, (usize, Fault)> {
        let apply = |(i, (at, payload)): (usize, &(Applied, &[u8]))| {
            self.apply(transaction, *at, payload).map_err(|fault| (i, fault))
        };
        entries.iter().enumerate().map(apply).collect()
    }

    /// Emits the whole state, the same records in the same order wherever the same entries were applied.
    ///
    /// # Errors
    /// Those of reading, and those of `emit`.
    fn snapshot(&self, transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault>;

    /// Takes a snapshot's records in place of the state.
    ///
    /// # Errors
    /// [`Fault::Damaged`] for records that no snapshot has.
    fn restore(&self, transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault>;

    /// What becomes of the state where a new cluster goes on from it.
    ///
    /// # Errors
    /// [`Fault::Storage`]; [`Fault::Unreadable`] for what cannot be done with this state.
    fn refound(&self, transaction: &WriteTransaction, how: &Refounding) -> Result<(), Fault> {
        let _ = (transaction, how);
        Ok(())
    }

    /// What members compare: BLAKE3 over the records of a snapshot, each with its length.
    ///
    /// # Errors
    /// Those of reading.
    fn hash(&self, transaction: &ReadTransaction) -> Result<[u8; 32], Fault> {
        let mut hasher = blake3::Hasher::new();
        self.snapshot(transaction, &mut |record| {
            hasher.update(&(record.len() as u64).to_be_bytes()).update(record);
            Ok(())
        })?;
        Ok(*hasher.finalize().as_bytes())
    }
}
