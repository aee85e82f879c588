//! The database of a node: the state of every module, and up to which entry it stands.

mod open;
mod snapshot;

use crate::entry::{Entry, Tag};
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::module::{Fault, Module};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// `index`, `term`: the last entry whose effect is here.
const APPLIED: TableDefinition<&str, u64> = TableDefinition::new("mesh.applied");

/// Up to where a state stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The index of the last entry applied.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
}

/// The database of a node. One at a time writes; readers see what was committed.
pub struct Store {
    database: Database,
    path: PathBuf,
    owner: Owner,
    modules: Vec<Box<dyn Module>>,
    /// Held for as long as this node lives in the folder.
    _lock: Option<File>,
}

impl Store {
    /// Whose it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Up to which entry the state stands.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn applied(&self) -> Result<Applied> {
        self.read(|transaction| {
            let table = transaction.open_table(APPLIED)?;
            applied_in(&table)
        })
    }

    /// Applies entries that follow on the last one, all in one transaction together with the applied index, and flushes them to the disk.
    /// Their effects are on disk and visible when this returns, or none of them is.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`], [`MeshError::UnreadableEntry`]. The node ends then: what was flushed, nobody knows.
    pub fn apply(&self, term: u64, entries: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        guard(&self.path, || {
            let fail = |fault| self.failed("write", fault);
            let transaction = self.database.begin_write().map_err(|e| fail(e.into()))?;
            let mut index = {
                let table = transaction.open_table(APPLIED).map_err(|e| fail(e.into()))?;
                applied_in(&table).map_err(fail)?.index
            };
            let mut answers = Vec::with_capacity(entries.len());
            for entry in entries {
                index += 1;
                answers.push(self.apply_one(&transaction, index, entry)?);
            }
            note(&transaction, Applied { index, term }).map_err(fail)?;
            transaction.commit().map_err(|e| fail(e.into()))?;
            Ok(answers)
        })
    }

    fn apply_one(&self, transaction: &WriteTransaction, index: u64, entry: &[u8]) -> Result<Vec<u8>> {
        let unreadable = |what| MeshError::UnreadableEntry { index, what };
        let (tag, payload) = Entry::decode(entry).map_err(unreadable)?;
        let module = self.module(tag).ok_or_else(|| unreadable(format!("no module has the tag {}", tag.0)))?;
        module.apply(transaction, payload).map_err(|fault| match fault {
            Fault::Unreadable(what) => unreadable(what),
            fault => self.failed("write", fault),
        })
    }

    /// Reads from one state: what is committed while this runs is not seen.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn read<T>(&self, act: impl FnOnce(&ReadTransaction) -> core::result::Result<T, Fault>) -> Result<T> {
        guard(&self.path, || {
            let transaction = self.database.begin_read().map_err(|e| self.failed("read", e.into()))?;
            act(&transaction).map_err(|fault| self.failed("read", fault))
        })
    }

    /// The hash of a module's state, with the entry up to which it stands. None for a tag that no module has.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn hash(&self, tag: Tag) -> Result<Option<(Applied, [u8; 32])>> {
        let Some(module) = self.module(tag) else { return Ok(None) };
        self.read(|transaction| {
            let applied = applied_in(&transaction.open_table(APPLIED)?)?;
            Ok(Some((applied, module.hash(transaction)?)))
        })
    }

    fn module(&self, tag: Tag) -> Option<&dyn Module> {
        self.modules.iter().map(|module| &**module).find(|module| module.tag() == tag)
    }

    fn failed(&self, action: &'static str, fault: Fault) -> MeshError {
        failed(action, &self.path, fault)
    }
}

fn applied_in(table: &impl ReadableTable<&'static str, u64>) -> core::result::Result<Applied, Fault> {
    let value = |name: &str| -> core::result::Result<u64, Fault> {
        let value = table.get(name)?.map(|guard| guard.value());
        value.ok_or_else(|| Fault::Damaged(format!("it does not say which {name} it stands at")))
    };
    Ok(Applied { index: value("index")?, term: value("term")? })
}

fn note(transaction: &WriteTransaction, applied: Applied) -> core::result::Result<(), Fault> {
    let mut table = transaction.open_table(APPLIED)?;
    table.insert("index", applied.index)?;
    table.insert("term", applied.term)?;
    Ok(())
}

/// `redb` asserts on some kinds of damage; a damaged file must not take the process down.
fn guard<T>(path: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let damaged = |_| MeshError::Damaged { path: path.into(), what: "its pages contradict each other".into() };
    catch_unwind(AssertUnwindSafe(act)).map_err(damaged)?
}

fn failed(action: &'static str, path: &Path, fault: Fault) -> MeshError {
    let path = path.to_path_buf();
    match fault {
        Fault::Storage(redb::Error::DatabaseAlreadyOpen) => MeshError::InUse { path },
        Fault::Storage(redb::Error::Corrupted(what)) => MeshError::Damaged { path, what },
        Fault::Storage(redb::Error::Io(e)) if e.kind() == std::io::ErrorKind::InvalidData => {
            MeshError::Damaged { path, what: e.to_string() }
        }
        Fault::Storage(error) => MeshError::Disk { action, path, reason: error.to_string() },
        Fault::Damaged(what) | Fault::Unreadable(what) => MeshError::Damaged { path, what },
    }
}
