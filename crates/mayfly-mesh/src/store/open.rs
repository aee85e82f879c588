//! Founding and opening, and whose file it is.

use super::backend::{Backend, Shut};
use super::{APPLIED, Store, applied_in, failed, guard, note};
use crate::cluster::{self, Cluster};
use crate::entry::Tag;
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::log::{Folder, LogDisk};
use crate::logged::Applied;
use crate::member_file::{self, Stage};
use crate::module::{Fault, Module};
use crate::mutant::LeftOut;
use crate::refused::Refused;
use crate::timing::Times;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, StorageBackend, TableDefinition, WriteTransaction};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use tokio::sync::watch;

/// `format`, `cluster`, `member`; `was`: whose file it was before the cluster was founded anew.
pub(super) const MARK: TableDefinition<&str, &[u8]> = TableDefinition::new("mesh.mark");
const FORMAT: u8 = 3;
pub(super) const DATABASE: &str = "mesh.redb";
pub(super) const LOCK: &str = "lock";
/// Bytes of pages kept in memory.
pub(super) const CACHE: usize = 64 << 20;

/// How a node came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Founded the cluster, as member 1.
    Founder,
    /// Was given an id by a cluster that it joins, whose state it is sent.
    Joiner,
}

impl Origin {
    fn of(owner: Owner) -> Self {
        if owner.member == 1 { Self::Founder } else { Self::Joiner }
    }
}

impl Store {
    /// Opens the node of a folder, or founds a cluster of one in an empty folder. Every page is checked.
    ///
    /// # Errors
    /// [`MeshError::InUse`], [`MeshError::Lost`], [`MeshError::Unowned`], [`MeshError::OtherOwner`], [`MeshError::NewerFormat`], [`MeshError::Damaged`],
    /// [`MeshError::Disk`].
    pub fn open(folder: &Path, modules: Vec<Box<dyn Module>>) -> Result<Self> {
        Self::open_as(folder, None, modules)
    }

    /// Opens the node of a folder, or makes one in an empty folder for a member that joins the cluster in which it was given its id.
    ///
    /// # Errors
    /// Those of [`Store::open`]; [`MeshError::OtherOwner`] where the folder has another node.
    pub fn join(folder: &Path, owner: Owner, modules: Vec<Box<dyn Module>>) -> Result<Self> {
        Self::open_as(folder, Some(owner), modules)
    }

    fn open_as(folder: &Path, joins: Option<Owner>, modules: Vec<Box<dyn Module>>) -> Result<Self> {
        let modules = with_cluster(modules);
        let fail = |e: std::io::Error| MeshError::Disk { action: "make", path: folder.into(), reason: e.to_string() };
        make_private(folder).map_err(fail)?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(DATABASE);
        let (owner, stage) = match member_file::read(folder)? {
            Some((found, _)) if joins.is_some_and(|want| want != found) => {
                return Err(MeshError::OtherOwner { path, found, want: joins.unwrap_or(found) });
            }
            Some(known) => known,
            None if length(&path)?.is_some() => return Err(MeshError::Unowned { path }),
            None => {
                let owner = joins.map_or_else(|| member_file::founder(folder), Ok)?;
                member_file::write(folder, owner, Stage::Begun)?;
                (owner, Stage::Begun)
            }
        };
        match (stage, length(&path)?) {
            (Stage::Founded, None | Some(0)) => return Err(MeshError::Lost { path }),
            (Stage::Begun, None) => make(&path, owner, &modules)?,
            _ => {} // what else is wrong, opening says
        }
        let shut = Shut::default();
        let database = guard(&path, || {
            let fail = |e: redb::DatabaseError| failed("open", &path, Fault::Storage(e.into()));
            let file = File::options().read(true).write(true).open(&path).map_err(|e| fail(e.into()))?;
            let backend = Backend { file: FileBackend::new(file).map_err(fail)?, shut: shut.clone() };
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
            builder.create_with_backend(backend).map_err(fail)
        })?;
        let found = guard(&path, || check(&database, &path, owner))?;
        if stage == Stage::Begun || found != owner {
            member_file::write(folder, found, Stage::Founded)?;
        }
        let owner = found;
        let log_disk = Arc::new(Folder(folder.into()));
        Self::over((database, shut), path, log_disk, owner, modules, Some(lock))
    }

    /// A node on a disk of one's own making, for simulations and tests: made where it is empty, as a founder if it is member 1.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn on_backend(
        backend: impl StorageBackend,
        log_disk: Arc<dyn LogDisk>,
        owner: Owner,
        modules: Vec<Box<dyn Module>>,
    ) -> Result<Self> {
        let path = PathBuf::from("(a disk in memory)");
        let modules = with_cluster(modules);
        let fail = |fault| failed("open", &path, fault);
        let shut = Shut::default();
        let is_new = backend.len().map_err(|e| fail(Fault::Storage(e.into())))? == 0;
        let database = guard(&path, || {
            let made = Database::builder().create_with_backend(Backend { file: backend, shut: shut.clone() });
            made.map_err(|e| fail(Fault::Storage(e.into())))
        })?;
        if is_new {
            claim(&database, owner, &modules).map_err(fail)?;
        }
        let owner = check(&database, &path, owner)?;
        Self::over((database, shut), path, log_disk, owner, modules, None)
    }

    fn over(
        (database, shut): (Database, Shut),
        path: PathBuf,
        log_disk: Arc<dyn LogDisk>,
        owner: Owner,
        modules: Vec<Box<dyn Module>>,
        _lock: Option<File>,
    ) -> Result<Self> {
        let (left_out, committed, times) = (LeftOut::default(), watch::Sender::new(()), Times::default());
        let (database, applied) = (RwLock::new(database), Mutex::default());
        let (shelf, refused) = (OnceLock::new(), Refused::default());
        let store = Self {
            database,
            applied,
            times,
            refused,
            path,
            owner,
            modules,
            left_out,
            shut,
            log_disk,
            shelf,
            committed,
            _lock,
        };
        store.set_applied(store.read(|transaction| applied_in(&transaction.open_table(APPLIED)?))?);
        Ok(store)
    }
}

/// A folder that is made here is its owner's alone: values lie in it in clear.
pub(super) fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// The cluster itself comes first.
pub(super) fn with_cluster(modules: Vec<Box<dyn Module>>) -> Vec<Box<dyn Module>> {
    let cluster: Box<dyn Module> = Box::new(Cluster);
    std::iter::once(cluster).chain(modules).collect()
}

/// Two processes that start at once in one folder must not both found a cluster there.
pub(super) fn lock(path: &Path) -> Result<File> {
    let fail = |e: std::io::Error| MeshError::Disk { action: "lock", path: path.into(), reason: e.to_string() };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(MeshError::InUse { path: path.into() }),
        Err(TryLockError::Error(e)) => Err(fail(e)),
    }
}

/// None for a file that is not there.
fn length(path: &Path) -> Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(Some(file.len())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(MeshError::Disk { action: "look at", path: path.into(), reason: e.to_string() }),
    }
}

/// Makes a file under another name first: under its own, it is whole.
fn make(path: &Path, owner: Owner, modules: &[Box<dyn Module>]) -> Result<()> {
    let fail = |e: std::io::Error| MeshError::Disk { action: "make", path: path.into(), reason: e.to_string() };
    let new = path.with_extension("redb.new");
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {} // of a start that was killed
    }
    guard(&new, || {
        let database = Database::builder().create(&new);
        let database = database.map_err(|e| failed("make", &new, Fault::Storage(e.into())))?;
        claim(&database, owner, modules).map_err(|fault| failed("make", &new, fault))
    })?;
    std::fs::rename(&new, path).map_err(fail)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    mayfly_base::atomic::sync_folder(folder).map_err(fail)
}

/// Makes the tables of a new file. A founder is added by the first entry, which is this.
fn claim(database: &Database, owner: Owner, modules: &[Box<dyn Module>]) -> core::result::Result<(), Fault> {
    let transaction = database.begin_write()?;
    mark(&transaction, owner)?;
    let origin = Origin::of(owner);
    note(&transaction, if origin == Origin::Founder { Applied { index: 1, term: 1 } } else { Applied::NONE })?;
    for module in modules {
        match origin {
            Origin::Joiner if module.tag() == Tag::CLUSTER => cluster::prepare(&transaction)?,
            _ => module.found(&transaction)?,
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Says whose file it is.
pub(super) fn mark(transaction: &WriteTransaction, owner: Owner) -> core::result::Result<(), Fault> {
    let mut mark = transaction.open_table(MARK)?;
    mark.insert("format", &[FORMAT][..])?;
    mark.insert("cluster", &owner.cluster.to_be_bytes()[..])?;
    mark.insert("member", &owner.member.to_be_bytes()[..])?;
    Ok(())
}

/// And whose it was: `member.json` is written after this, and may still say so.
pub(super) fn note_was(transaction: &WriteTransaction, owner: Owner) -> core::result::Result<(), Fault> {
    let was = [owner.cluster.to_be_bytes(), owner.member.to_be_bytes()].concat();
    transaction.open_table(MARK)?.insert("was", &was[..])?;
    Ok(())
}

/// Refuses the file of another node, of a later format, or of something else. Gives whose it is: another than it was where the cluster was founded
/// anew and the process ended before `member.json` said so.
fn check(database: &Database, path: &Path, want: Owner) -> Result<Owner> {
    let read = || -> core::result::Result<_, redb::Error> {
        let mark = database.begin_read()?.open_table(MARK)?;
        let format = mark.get("format")?.and_then(|bytes| bytes.value().first().copied());
        let number = |name: &str| -> core::result::Result<Option<u64>, redb::Error> {
            Ok(mark.get(name)?.and_then(|bytes| bytes.value().try_into().ok()).map(u64::from_be_bytes))
        };
        let was = mark.get("was")?.is_some_and(|bytes| {
            bytes.value() == [want.cluster.to_be_bytes(), want.member.to_be_bytes()].concat().as_slice()
        });
        Ok((format, number("cluster")?, number("member")?, was))
    };
    let damaged = || MeshError::Damaged { path: path.into(), what: "it is not the file of a mesh node".into() };
    match read() {
        Err(redb::Error::TableDoesNotExist(_)) => Err(damaged()),
        Err(e) => Err(failed("open", path, Fault::Storage(e))),
        Ok((Some(format), ..)) if format > FORMAT => {
            Err(MeshError::NewerFormat { path: path.into(), found: format.into(), known: FORMAT.into() })
        }
        Ok((Some(FORMAT), Some(cluster), Some(member), was)) if was || (Owner { cluster, member }) == want => {
            Ok(Owner { cluster, member })
        }
        Ok((Some(FORMAT), Some(cluster), Some(member), _)) => {
            Err(MeshError::OtherOwner { path: path.into(), found: Owner { cluster, member }, want })
        }
        Ok((Some(older @ 1..FORMAT), ..)) => {
            let what = format!("its format {older} is from before the first release, this program reads {FORMAT}");
            Err(MeshError::Damaged { path: path.into(), what })
        }
        Ok(_) => Err(damaged()),
    }
}
