//! A folder of a new cluster from a backup: it appears whole or not at all.

use super::open;
use super::refound::{Refound, after, refound_in};
use super::snapshot::take;
use super::{Store, failed, guard};
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::kv;
use crate::member_file::{self, Stage};
use crate::module::{Fault, Module, Refounding};
use redb::{Database, ReadableDatabase};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where a folder is made that is to be a member's, beside it.
const MAKING: &str = "restoring";

/// What a backup was found to be before it is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    /// BLAKE3 of the stream.
    pub(crate) digest: [u8; 32],
    pub(crate) before: Owner,
}

impl Store {
    /// Makes the folder of a member of a new cluster with the state of a stream. It is made beside its place and renamed when it is whole.
    pub(crate) fn restore_into(
        folder: &Path,
        input: &mut dyn Read,
        checks: Checks,
        bump_revision: u32,
        modules: Vec<Box<dyn Module>>,
    ) -> Result<Refound> {
        let fail = |action, path: &Path, e: std::io::Error| MeshError::Disk {
            action,
            path: path.into(),
            reason: e.to_string(),
        };
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        refuse_occupied(folder)?;
        open::make_private(parent).map_err(|e| fail("make", parent, e))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let making = folder.with_file_name(format!("{name}.{MAKING}"));
        open::make_private(&making).map_err(|e| fail("make", &making, e))?;
        let _lock = open::lock(&making.join(open::LOCK))?;
        sweep(&making).map_err(|e| fail("clear", &making, e))?;
        let made = (|| {
            let refound = fill(&making, input, checks, bump_revision, &open::with_cluster(modules))?;
            refuse_occupied(folder)?;
            std::fs::rename(&making, folder).map_err(|e| fail("make", folder, e))?;
            mayfly_base::atomic::sync_folder(parent).map_err(|e| fail("flush", parent, e))?;
            Ok(refound)
        })();
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&making); // what is left, the next one clears
        }
        made
    }
}

fn refuse_occupied(folder: &Path) -> Result<()> {
    let occupied = || MeshError::Occupied { path: folder.into() };
    match std::fs::read_dir(folder) {
        Ok(mut files) => {
            if files.next().is_some() {
                Err(occupied())
            } else {
                Ok(())
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(MeshError::Disk { action: "look into", path: folder.into(), reason: e.to_string() }),
    }
}

/// Removes what a restore that was killed has left; whoever holds the lock may.
fn sweep(making: &Path) -> std::io::Result<()> {
    for file in std::fs::read_dir(making)? {
        let file = file?;
        if file.file_name() != open::LOCK {
            std::fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Makes the files of a member, on the disk when this returns.
fn fill(
    folder: &Path,
    input: &mut dyn Read,
    checks: Checks,
    bump_revision: u32,
    modules: &[Box<dyn Module>],
) -> Result<Refound> {
    let path = folder.join(open::DATABASE);
    let refound = guard(&path, || {
        let database = Database::builder().set_cache_size(open::CACHE).create(&path);
        let database = database.map_err(|e| failed("make", &path, Fault::Storage(e.into())))?;
        let fail = |fault| match fault {
            Fault::Damaged(what) | Fault::Unreadable(what) => MeshError::Snapshot { what },
            fault => failed("write", &path, fault),
        };
        let transaction = database.begin_write().map_err(|e| fail(e.into()))?;
        modules.iter().try_for_each(|module| module.found(&transaction)).map_err(fail)?;
        let walked = take(modules, &transaction, input, &mut |_| Ok(())).map_err(fail)?;
        if walked.hash != checks.digest {
            return Err(MeshError::Snapshot { what: "it was changed while it was read".into() });
        }
        let at = after(walked.header.at)?;
        let owner = Owner { cluster: member_file::draw(folder)?, member: at.index };
        let how = Refounding { at, before: checks.before, bump_revision };
        refound_in(&transaction, modules, &how, owner).map_err(fail)?;
        transaction.commit().map_err(|e| fail(e.into()))?;
        let transaction = database.begin_read().map_err(|e| fail(e.into()))?;
        Ok(Refound { owner, revision: kv::revision(&transaction).map_err(fail)? })
    })?;
    flush(&path)?;
    member_file::write(folder, refound.owner, Stage::Founded)?;
    Ok(refound)
}

fn flush(path: &Path) -> Result<()> {
    let flushed = std::fs::File::open(path).and_then(|file| file.sync_all());
    flushed.map_err(|e| MeshError::Disk { action: "flush", path: PathBuf::from(path), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between the look at a backup and its restoring, it may have become another one.
    #[test]
    fn another_stream_than_was_looked_at_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("a"), crate::modules()).expect("a store");
        let mut bytes = Vec::new();
        store.snapshot(&mut bytes).expect("written");
        let digest: [u8; 32] = bytes[bytes.len() - 32..].try_into().expect("a digest");
        let restore = |digest| {
            let (checks, mesh) = (Checks { digest, before: store.owner() }, folder.path().join("n").join("mesh"));
            Store::restore_into(&mesh, &mut &bytes[..], checks, 0, crate::modules()).map(|refound| (refound, mesh))
        };
        assert!(matches!(restore([7; 32]), Err(MeshError::Snapshot { .. })));
        assert_eq!(std::fs::read_dir(folder.path().join("n")).expect("a folder").count(), 0, "nothing is left");
        let (refound, mesh) = restore(digest).expect("restored");
        assert_eq!(Store::open(&mesh, crate::modules()).expect("a store").owner(), refound.owner);
    }
}
