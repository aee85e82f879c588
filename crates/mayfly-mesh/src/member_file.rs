//! Whose a folder is: `member.json`.

use crate::error::{MeshError, Result};
use crate::ids::Owner;
use mayfly_base::atomic::Access;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;
/// A file of this program is far shorter.
const MAX_BYTES: u64 = 4096;

/// The founder of a new cluster: its member 1, since the first entry adds it.
///
/// # Errors
/// [`MeshError::Disk`] when the system gives no random numbers.
pub(crate) fn founder(folder: &Path) -> Result<Owner> {
    Ok(Owner { cluster: draw(folder)?, member: 1 })
}

/// The id of a new cluster.
///
/// # Errors
/// [`MeshError::Disk`] when the system gives no random numbers.
pub(crate) fn draw(folder: &Path) -> Result<u64> {
    let mut bytes = [0; 8];
    let fail = |e: getrandom::Error| MeshError::Disk {
        action: "draw an id for the cluster of",
        path: folder.into(),
        reason: e.to_string(),
    };
    getrandom::fill(&mut bytes).map_err(fail)?;
    Ok(u64::from_be_bytes(bytes) | 1) // 0 means "none" to clients
}

#[derive(Serialize, Deserialize)]
struct MemberFile {
    format: u32,
    cluster: String,
    member: String,
    founded: bool,
}

/// How far the making of a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The id is chosen; the database may be missing, since nothing was acknowledged yet.
    Begun,
    /// The database was there.
    Founded,
}

pub(crate) fn path_in(folder: &Path) -> PathBuf {
    folder.join("member.json")
}

/// None where there is no such file.
pub(crate) fn read(folder: &Path) -> Result<Option<(Owner, Stage)>> {
    let path = path_in(folder);
    let fail = |e: std::io::Error| MeshError::Disk { action: "read", path: path.clone(), reason: e.to_string() };
    let damaged = |what: String| MeshError::Damaged { path: path.clone(), what };
    match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
        Ok(file) if file.len() > MAX_BYTES => return Err(damaged(format!("it has {} bytes", file.len()))),
        Ok(_) => {}
    }
    let bytes = std::fs::read(&path).map_err(fail)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    match value.get("format").and_then(serde_json::Value::as_u64).and_then(|found| u32::try_from(found).ok()) {
        Some(found) if found > FORMAT => return Err(MeshError::NewerFormat { path, found, known: FORMAT }),
        Some(FORMAT) => {}
        _ => return Err(damaged("it has no format".into())),
    }
    let file: MemberFile = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
    let id = |text: &str| {
        let id = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        id.ok_or_else(|| damaged(format!("{text:?} is no id of 16 hexadecimal digits")))
    };
    let owner = Owner { cluster: id(&file.cluster)?, member: id(&file.member)? };
    Ok(Some((owner, if file.founded { Stage::Founded } else { Stage::Begun })))
}

pub(crate) fn write(folder: &Path, owner: Owner, stage: Stage) -> Result<()> {
    let path = path_in(folder);
    let fail = |reason: String| MeshError::Disk { action: "write", path: path.clone(), reason };
    let file = MemberFile {
        format: FORMAT,
        cluster: format!("{:016x}", owner.cluster),
        member: format!("{:016x}", owner.member),
        founded: stage == Stage::Founded,
    };
    let text = serde_json::to_string(&file).map_err(|e| fail(e.to_string()))?;
    mayfly_base::atomic::write(&path, Access::Usual, |out| writeln!(out, "{text}")).map_err(|e| fail(e.to_string()))
}
