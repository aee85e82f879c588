//! The folder of a store: what marks it as one, what in it is the store's own, and how a stray thing is told from that.

use super::ledger::Ledger;
use crate::error::{PackError, Result};
use crate::files::{is_temporary, read_regular};
use crate::limits::{STORE_BYTES, TRUST_BYTES};
use crate::trust::TrustedKeys;
use std::fs::File;
use std::path::Path;

pub(super) const MARKER_FILE: &str = "store.json";
pub(super) const STATE_FILE: &str = "state.json";
pub(super) const DAMAGED_STATE_FILE: &str = "state.damaged.json";
pub(super) const TRUST_FILE: &str = "trust.json";
pub(super) const LOCK_FILE: &str = "lock";
pub(super) const PACKS_FOLDER: &str = "packs";
pub(super) const CACHE_FOLDER: &str = "cache";

/// Everything that a store itself puts beside its packs.
const OWN: [&str; 8] = [
    MARKER_FILE,
    STATE_FILE,
    DAMAGED_STATE_FILE,
    TRUST_FILE,
    LOCK_FILE,
    PACKS_FOLDER,
    CACHE_FOLDER,
    crate::engine::KEY_FILE,
];

/// What a folder is to us.
pub(super) enum Found {
    /// Nothing is there, or nothing but what a crash of a first start leaves.
    Empty,
    /// A store with its marker.
    Marked(Ledger),
    /// The marker is missing or unreadable, but the state of a store lies there. With what is wrong with the marker.
    Unmarked(String),
}

/// Looks at a folder without changing anything.
///
/// # Errors
/// [`PackError::NotAStore`] for a folder of somebody else's; [`PackError::StoreCorrupt`] for a store of a later version; [`PackError::Io`].
pub(super) fn look(folder: &Path, has_state: impl FnOnce() -> bool) -> Result<Found> {
    let names = match entries(folder) {
        Err(PackError::Io { .. }) if !folder.exists() => return Ok(Found::Empty),
        names => names?,
    };
    let path = folder.join(MARKER_FILE);
    let fault = match names.iter().any(|name| name == MARKER_FILE) {
        true => match read_regular(&path, STORE_BYTES).and_then(|bytes| Ledger::from_json(&bytes, &path)) {
            Ok(ledger) => return Ok(Found::Marked(ledger)),
            Err(error @ PackError::StoreCorrupt { newer: true, .. }) => return Err(error),
            Err(PackError::StoreCorrupt { what, .. }) => what,
            Err(error) => return Err(error),
        },
        false => "it is missing".to_owned(),
    };
    if names.iter().all(|name| name == LOCK_FILE || is_temporary(name)) {
        return Ok(Found::Empty);
    }
    if has_state() || is_early(folder, &names) {
        return Ok(Found::Unmarked(fault));
    }
    let mut holds: Vec<String> = names.into_iter().take(3).collect();
    holds.sort();
    Err(PackError::NotAStore { path: folder.display().to_string(), holds: holds.join(", ") })
}

/// A store as the first version made it before its first pack: without marker and state. Nothing in it would be written over.
fn is_early(folder: &Path, names: &[String]) -> bool {
    let plain =
        |name: &String| [LOCK_FILE, PACKS_FOLDER, CACHE_FOLDER, crate::engine::KEY_FILE].contains(&name.as_str());
    let trust = |name: &String| {
        let text = || read_regular(&folder.join(TRUST_FILE), TRUST_BYTES).ok();
        name == TRUST_FILE && text().is_some_and(|text| TrustedKeys::from_json(&String::from_utf8_lossy(&text)).is_ok())
    };
    names.iter().all(|name| plain(name) || trust(name))
        && entries_if_any(&folder.join(PACKS_FOLDER)).is_ok_and(|packs| packs.is_empty())
}

/// Takes the store for this process.
///
/// # Errors
/// [`PackError::StoreBusy`] or [`PackError::Io`].
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(PackError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(PackError::StoreBusy { path: path.display().to_string() }),
        Err(std::fs::TryLockError::Error(error)) => Err(PackError::io(&path)(error)),
    }
}

/// Names in a folder, sorted; those that are no text with their odd parts replaced.
pub(super) fn entries(folder: &Path) -> Result<Vec<String>> {
    let list = std::fs::read_dir(folder).map_err(PackError::io(folder))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry.map_err(PackError::io(folder))?.file_name().to_string_lossy().into_owned())
    };
    let mut names = list.map(name).collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// As [`entries`], for a folder that need not be there.
pub(super) fn entries_if_any(folder: &Path) -> Result<Vec<String>> {
    if is_folder(folder) { entries(folder) } else { Ok(Vec::new()) }
}

/// A real folder, not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Does the name belong to the store itself?
pub(super) fn is_own(name: &str) -> bool {
    OWN.contains(&name) || is_temporary(name)
}

/// A name that a manifest could have: `[a-z][a-z0-9-]{0,63}`.
pub(super) fn is_pack_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(plain)
}
