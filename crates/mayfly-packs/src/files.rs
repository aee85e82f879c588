//! The files of a pack: a folder that is read as if a stranger had made it, or a map in memory.

use crate::error::{PackError, Result, check_limit};
use mayfly_base::atomic::{self, Access};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The manifest's name in a pack.
pub const MANIFEST_FILE: &str = "kernels.json";
/// The envelope's name in a pack.
pub const ENVELOPE_FILE: &str = "kernels.json.sig";

/// Where the files of a pack come from.
#[derive(Clone, Debug)]
pub enum PackFiles {
    /// A folder on disk.
    Folder(PathBuf),
    /// Path in the pack → content.
    Memory(BTreeMap<String, Vec<u8>>),
}

impl PackFiles {
    /// Reads one file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`PackError::Io`] when it is missing, not a regular file, or behind a symbolic link; [`PackError::LimitExceeded`]
    /// when it is larger; [`PackError::SchemaViolation`] for a path that would leave the pack.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        check_path(path)?;
        match self {
            Self::Folder(folder) => read_below(folder, path, limit),
            Self::Memory(files) => {
                let missing = || PackError::Io { path: path.to_owned(), message: "no such file in the pack".into() };
                let bytes = files.get(path).ok_or_else(missing)?;
                check_limit(format!("bytes of {path}"), bytes.len() as u64, limit)?;
                Ok(bytes.clone())
            }
        }
    }
}

/// # Errors
/// [`PackError::SchemaViolation`] unless the path is relative, of plain names, and stays inside.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let plain = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(allowed)
    };
    let inside = path.split('/').all(plain) && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
    if inside { Ok(()) } else { Err(PackError::schema("", format!("`{path}` is not a path inside the pack"))) }
}

fn read_below(folder: &Path, path: &str, limit: u64) -> Result<Vec<u8>> {
    let mut at = folder.to_path_buf();
    for part in path.split('/') {
        at.push(part);
        let kind = std::fs::symlink_metadata(&at).map_err(PackError::io(&at))?.file_type();
        if kind.is_symlink() {
            let message = "a symbolic link, which a pack must not have".into();
            return Err(PackError::Io { path: at.display().to_string(), message });
        }
    }
    read_regular(&at, limit)
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(PackError::io(path))?;
    if !metadata.is_file() {
        return Err(PackError::Io { path: path.display().to_string(), message: "not a regular file".into() });
    }
    check_limit(format!("bytes of {}", path.display()), metadata.len(), limit)?;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(PackError::io(path))?;
    // A file that grows while it is read must not pass the limit either.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(PackError::io(path))?;
    check_limit(format!("bytes of {}", path.display()), bytes.len() as u64, limit)?;
    Ok(bytes)
}

const TEMPORARY: (&str, &str) = (".mayfly-", ".tmp");

/// The names of this crate's temporaries, by which a store knows its own. `mode` counts for folders and where there are modes.
pub(crate) fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Is it the name of a temporary: a folder of this crate's, or a file of [`mayfly_base::atomic`]'s?
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY.1)
}

/// Is a part of the path below `folder` a symbolic link?
pub(crate) fn has_link(folder: &Path, path: &str) -> bool {
    let is_link = |at: &Path| std::fs::symlink_metadata(at).is_ok_and(|found| found.file_type().is_symlink());
    Path::new(path).ancestors().filter(|part| !part.as_os_str().is_empty()).any(|part| is_link(&folder.join(part)))
}

/// Writes a file whole or not at all, for its owner's eyes.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write(path, Access::Private, |out| out.write_all(bytes)).map_err(|e| PackError::io(path)(e.into()))
}

/// Makes a rename in the folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    atomic::sync_folder(folder).map_err(PackError::io(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in ["a", "rope/rope_f32.wasm", "a-b.c_d/e"] {
            check_path(good).unwrap();
        }
        for bad in ["", "/a", "a//b", "../a", "a/..", "./a", "a/", "a\\b", "c:a", "a b", "ä"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_folders_are_refused_and_sizes_bounded() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::fs::write(folder.path().join("real/f"), b"12345").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        let files = PackFiles::Folder(folder.path().to_owned());
        assert_eq!(files.read("real/f", 5).unwrap(), b"12345");
        assert!(matches!(files.read("real/f", 4), Err(PackError::LimitExceeded { asked: 5, limit: 4, .. })));
        for bad in ["link/f", "real", "none"] {
            assert!(matches!(files.read(bad, 9), Err(PackError::Io { .. })), "{bad}");
        }
    }
}
