//! The database of a node: the state of every module, and up to which entry it stands.

mod backend;
mod batch;
mod log;
mod open;
mod refound;
mod restore;
mod room;
mod snapshot;

pub(crate) use batch::Batch;
pub use refound::Refound;
pub(crate) use refound::after;
pub(crate) use restore::Checks;
pub(crate) use snapshot::View;
pub(crate) use snapshot::{FORMAT, MAGIC, Walked, walk};

use crate::entry::Tag;
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::log::{LogDisk, Shelf};
use crate::logged::{Applied, Logged};
use crate::module::{Fault, Module};
use crate::mutant::LeftOut;
use crate::refused::Refused;
use crate::timing::Times;
use backend::Shut;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::watch;

/// `index`, `term`: the last entry whose effect is here.
const APPLIED: TableDefinition<&str, u64> = TableDefinition::new("mesh.applied");

/// The database of a node. One at a time writes; readers see what was committed.
pub struct Store {
    /// Held by readers and by the one who writes; alone, only to make the file shorter.
    database: RwLock<Database>,
    /// The last entry whose effect readers see, so that who asks for it waits for nothing.
    applied: Mutex<Applied>,
    times: Times,
    refused: Refused,
    path: PathBuf,
    owner: Owner,
    modules: Vec<Box<dyn Module>>,
    left_out: LeftOut,
    /// Set when a disk has failed.
    shut: Shut,
    /// Where a log lies beside the database.
    log_disk: Arc<dyn LogDisk>,
    /// What is known of that log, once it was opened.
    shelf: OnceLock<Arc<Shelf>>,
    /// Told whenever something was committed.
    committed: watch::Sender<()>,
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

    /// The folder of the node; none where its disk is in memory.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self._lock.as_ref().and_then(|_| self.path.parent())
    }

    /// Up to which entry the state stands.
    ///
    /// # Errors
    /// None; it was read when the file was opened.
    pub fn applied(&self) -> Result<Applied> {
        Ok(*self.applied.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_applied(&self, applied: Applied) {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = applied;
    }

    /// How long its disk takes.
    pub(crate) fn times(&self) -> &Times {
        &self.times
    }

    /// Questions of other members that were refused since the start, by the reason.
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    fn database(&self) -> RwLockReadGuard<'_, Database> {
        self.database.read().unwrap_or_else(PoisonError::into_inner) // a panic is told to who met it
    }

    /// Applies entries that follow on the last one, all in one transaction together with the applied index, and flushes them to the disk.
    /// Their effects are on disk and visible when this returns, or none of them is.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`], [`MeshError::UnreadableEntry`]. The node ends then: what was flushed, nobody knows.
    pub fn apply(&self, entries: &[Logged]) -> Result<Vec<Vec<u8>>> {
        self.write(|batch| batch.apply(entries))
    }

    /// Makes changes together, and flushes them.
    fn write<T>(&self, act: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        guard(&self.path, || {
            let mut batch = Batch::begin(self)?;
            batch.must_flush();
            let outcome = act(&mut batch)?;
            batch.commit()?;
            self.committed.send_replace(());
            Ok(outcome)
        })
    }

    /// Bytes that may still be written to its disk; none where nobody can say.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.log_disk.free_bytes()
    }

    /// Whoever opens the files again after a disk failed reads what is on it.
    pub(crate) fn forget_cached(&self) {
        self.shut.set();
        self.log_disk.forget_cached();
    }

    /// Is told of every commit, as soon as readers see it.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.committed.subscribe()
    }

    /// Makes changes together, and flushes them where something in them asks for it. Were they flushed?
    pub(crate) fn write_together<T>(&self, act: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<(T, bool)> {
        guard(&self.path, || {
            let mut batch = Batch::begin(self)?;
            let outcome = act(&mut batch)?;
            let is_flushed = batch.commit()?;
            self.committed.send_replace(());
            Ok((outcome, is_flushed))
        })
    }

    fn transact(&self, act: impl FnOnce(&WriteTransaction) -> core::result::Result<(), Fault>) -> Result<()> {
        guard(&self.path, || {
            let fail = |fault| self.failed("write", fault);
            let transaction = self.database().begin_write().map_err(|e| fail(e.into()))?;
            act(&transaction).map_err(fail)?;
            transaction.commit().map_err(|e| fail(e.into()))
        })
    }

    /// Leaves a guard out. Only tests have the feature.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn without(mut self, guard: crate::mutant::Guard) -> Self {
        self.left_out.guard = Some(guard);
        self
    }

    pub(crate) fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Reads from one state: what is committed while this runs is not seen.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn read<T>(&self, act: impl FnOnce(&ReadTransaction) -> core::result::Result<T, Fault>) -> Result<T> {
        guard(&self.path, || {
            let database = self.database();
            let transaction = database.begin_read().map_err(|e| self.failed("read", e.into()))?;
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

    /// The hash of all modules' states.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`].
    pub fn hash_of_all(&self) -> Result<[u8; 32]> {
        self.read(|transaction| {
            let mut hasher = blake3::Hasher::new();
            for module in &self.modules {
                hasher.update(&[module.tag().0]).update(&module.hash(transaction)?);
            }
            Ok(*hasher.finalize().as_bytes())
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
