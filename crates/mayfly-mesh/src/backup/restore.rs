//! A new cluster from a backup.

use super::error::BackupError;
use super::inspect::{Backup, Seal, inspect_open, unreadable};
use crate::ids::Owner;
use crate::store::{Checks, Refound, Store};
use mayfly_base::NodeId;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

/// Whose backups are taken.
pub enum Signer<'a> {
    /// Of those for whom this says nothing against it.
    Of(&'a dyn Fn(&NodeId) -> Result<(), String>),
    /// Anybody's, signed or not.
    Any,
}

/// How it is restored.
pub struct Wish<'a> {
    /// Whose backup it may be.
    pub signer: Signer<'a>,
    /// By how much revisions are moved on; if they are, everything below counts as compacted.
    pub bump_revision: u32,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The new cluster, and its only member.
    pub owner: Owner,
    /// The revision that it stands at.
    pub revision: i64,
    /// What it was restored from.
    pub backup: Backup,
}

/// Makes the folder of a member of a new cluster, which has the state of a backup. It appears whole or not at all.
///
/// # Errors
/// Those of [`super::inspect`], [`BackupError::Unsigned`], [`BackupError::Signature`], [`BackupError::Signer`]: nothing was written then.
/// [`BackupError::Mesh`] with [`crate::MeshError::Occupied`], [`crate::MeshError::InUse`] and what the disk says.
pub fn restore(path: &Path, folder: &Path, wish: &Wish<'_>) -> Result<Restored, BackupError> {
    let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let backup = inspect_open(path, &mut file)?;
    check_signer(path, &backup, &wish.signer)?;
    file.seek(SeekFrom::Start(0)).map_err(|e| unreadable(path, &e))?;
    let member = match backup.seal {
        Seal::Good { member, .. } => member,
        Seal::Missing | Seal::Wrong { .. } => 0,
    };
    let checks = Checks { digest: backup.digest, before: Owner { cluster: backup.cluster, member } };
    let mut input = BufReader::with_capacity(1 << 18, file);
    let refound = Store::restore_into(folder, &mut input, checks, wish.bump_revision, crate::modules())?;
    let Refound { owner, revision } = refound;
    Ok(Restored { owner, revision, backup })
}

fn check_signer(path: &Path, backup: &Backup, signer: &Signer<'_>) -> Result<(), BackupError> {
    let Signer::Of(may) = signer else { return Ok(()) };
    match &backup.seal {
        Seal::Missing => Err(BackupError::Unsigned { path: path.into() }),
        Seal::Wrong { signer, what } => {
            Err(BackupError::Signature { path: path.into(), signer: signer.clone(), what: what.clone() })
        }
        Seal::Good { signer, .. } => {
            may(signer).map_err(|why| BackupError::Signer { path: path.into(), signer: signer.to_string(), why })
        }
    }
}
