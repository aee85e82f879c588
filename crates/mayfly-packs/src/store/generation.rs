//! One generation of a pack on disk. It appears whole, by one rename, and with a record by which the store knows it again;
//! what has no such record is never removed.

use super::Steps;
use super::folder::{entries_if_any, is_folder, is_pack_name};
use crate::bytes::sha256_hex;
use crate::error::{PackError, Result};
use crate::files::{
    ENVELOPE_FILE, MANIFEST_FILE, PackFiles, check_path, has_link, read_regular, sync_folder, temporary, write_atomic,
};
use crate::limits::{MANIFEST_BYTES, MODULE_BYTES};
use crate::manifest::Manifest;
use crate::verify::VerifiedPack;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The record's name: with a character that no path in a pack may have.
const RECORD_FILE: &str = "@installed.json";
const RECORD_BYTES: u64 = 1 << 20;

/// What the store notes in each generation.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    generation: u64,
    counter: u64,
    /// SHA-256 of the manifest.
    manifest: String,
    /// The pack's files, by their paths in the pack.
    files: Vec<String>,
}

impl Record {
    fn new(name: &str, generation: u64, counter: u64, manifest: &[u8], files: Vec<String>) -> Self {
        Self { name: name.to_owned(), generation, counter, manifest: sha256_hex(manifest), files }
    }

    fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(PackError::other)
    }
}

/// A generation that is whole.
pub(super) struct Installed {
    pub(super) name: String,
    pub(super) generation: u64,
    pub(super) version: String,
    pub(super) counter: u64,
}

/// The folder of a generation below the folder of all packs.
pub(super) fn folder(packs: &Path, name: &str, generation: u64) -> PathBuf {
    packs.join(name).join(generation.to_string())
}

/// Writes the files that were checked, from memory: what is on disk is what was signed.
pub(super) fn write(packs: &Path, verified: &VerifiedPack, generation: u64, steps: &mut dyn Steps) -> Result<()> {
    let manifest = verified.manifest();
    let parent = packs.join(&manifest.name);
    std::fs::create_dir_all(&parent).map_err(PackError::io(&parent))?;
    steps.before("make the folder")?;
    let making = temporary(0o777).tempdir_in(&parent).map_err(PackError::io(&parent))?;
    for (path, bytes) in verified.files() {
        steps.before("write a file")?;
        put(&making.path().join(path), bytes)?;
    }
    steps.before("write the record")?;
    let bytes = verified.files().get(MANIFEST_FILE).map_or(&[][..], |bytes| bytes);
    let files = verified.files().keys().cloned().collect();
    let record = Record::new(&manifest.name, generation, manifest.counter, bytes, files);
    put(&making.path().join(RECORD_FILE), record.to_json()?.as_bytes())?;
    for below in folders(verified.files().keys()).iter().chain([&PathBuf::new()]) {
        sync_folder(&making.path().join(below))?;
    }
    steps.before("put the folder in its place")?;
    let place = folder(packs, &manifest.name, generation);
    std::fs::rename(making.path(), &place).map_err(PackError::io(&place))?;
    drop(making.keep()); // it has gone to its place
    sync_folder(&parent)?;
    sync_folder(packs)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(PackError::io(parent))?;
    let mut file = File::create_new(path).map_err(PackError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(PackError::io(path))
}

/// The folders inside the pack, the deepest first.
fn folders<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<PathBuf> {
    let parents = |path: &'a String| Path::new(path).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty());
    let mut all: Vec<PathBuf> = paths.flat_map(parents).map(Path::to_owned).collect();
    all.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    all.dedup();
    all
}

/// Generations of all packs that have a record of this store: name and number.
pub(super) fn all(packs: &Path) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for name in entries_if_any(packs)?.into_iter().filter(|name| is_pack_name(name)) {
        for entry in entries_if_any(&packs.join(&name))? {
            let number = entry.parse().ok().filter(|number: &u64| number.to_string() == entry);
            if let Some(number) = number.filter(|number| record(packs, &name, *number).is_some()) {
                found.push((name.clone(), number));
            }
        }
    }
    Ok(found)
}

/// The largest number in a pack's folder, whoever put it there: the next generation must not meet it.
pub(super) fn largest_number(packs: &Path, name: &str) -> Result<u64> {
    let numbers = entries_if_any(&packs.join(name))?.into_iter().filter_map(|entry| entry.parse().ok());
    Ok(numbers.max().unwrap_or(0))
}

/// Writes the record of a generation that an earlier version of this program has made without one.
pub(super) fn adopt(packs: &Path, name: &str, generation: u64) -> Result<()> {
    let folder = folder(packs, name, generation);
    let path = folder.join(RECORD_FILE);
    if !is_folder(&folder) || path.exists() {
        return Ok(());
    }
    let files = PackFiles::Folder(folder);
    let Ok(bytes) = files.read(MANIFEST_FILE, MANIFEST_BYTES) else { return Ok(()) };
    let Some(manifest) = Manifest::from_json(&bytes).ok().filter(|manifest| manifest.name == name) else {
        return Ok(()); // not the pack that the state means: loading it says what is wrong
    };
    let paths = manifest.kernels.iter().map(|kernel| &kernel.path).chain(manifest.golden.iter().map(|file| &file.path));
    let files = [MANIFEST_FILE, ENVELOPE_FILE].map(str::to_owned).into_iter().chain(paths.cloned()).collect();
    let record = Record::new(name, generation, manifest.counter, &bytes, files);
    write_atomic(&path, record.to_json()?.as_bytes())
}

/// The record of a generation, if the store has made it.
fn record(packs: &Path, name: &str, generation: u64) -> Option<Record> {
    let folder = folder(packs, name, generation);
    if !is_folder(&folder) {
        return None;
    }
    let bytes = read_regular(&folder.join(RECORD_FILE), RECORD_BYTES).ok()?;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    let whole = record.files.iter().all(|path| check_path(path).is_ok());
    (whole && record.name == name && record.generation == generation).then_some(record)
}

/// Reads a generation anew: the record, the manifest that it speaks of, and the hash of every file.
pub(super) fn read(packs: &Path, name: &str, generation: u64) -> Option<Installed> {
    let record = record(packs, name, generation)?;
    let files = PackFiles::Folder(folder(packs, name, generation));
    let bytes = files.read(MANIFEST_FILE, MANIFEST_BYTES).ok().filter(|bytes| sha256_hex(bytes) == record.manifest)?;
    let manifest = Manifest::from_json(&bytes).ok()?;
    let whole = |kernel: &crate::manifest::KernelEntry| {
        files.read(&kernel.path, MODULE_BYTES).is_ok_and(|wasm| sha256_hex(&wasm) == kernel.hash_hex())
    };
    let good = manifest.name == name && manifest.counter == record.counter && manifest.kernels.iter().all(whole);
    good.then(|| Installed { name: name.to_owned(), generation, version: manifest.version, counter: manifest.counter })
}

/// Removes a generation: the files of its record, then the folders that are empty after that, the record last. A file of
/// somebody else's stays, and its folder with it.
pub(super) fn remove(packs: &Path, name: &str, generation: u64) -> Result<()> {
    let Some(record) = record(packs, name, generation) else { return Ok(()) };
    let folder = folder(packs, name, generation);
    for path in record.files.iter().filter(|path| !has_link(&folder, path)) {
        gone(std::fs::remove_file(folder.join(path)), &folder.join(path))?;
    }
    for below in folders(record.files.iter()) {
        let _ = std::fs::remove_dir(folder.join(below)); // not empty: something of somebody else's
    }
    gone(std::fs::remove_file(folder.join(RECORD_FILE)), &folder)?;
    let _ = std::fs::remove_dir(&folder);
    Ok(())
}

fn gone(removed: std::io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PackError::io(path)(error)),
        _ => Ok(()),
    }
}
