//! Replacing a file so that nobody ever sees half of it.
//!
//! [`write()`] writes a temporary in the same folder, flushes it to the disk, renames it over the target and flushes the folder.
//! After a crash at any point the target holds the old content or the new one; at worst a `.name.XXXXXX.tmp` is left beside it, which [`clean`] removes.

use std::borrow::ToOwned;
use std::boxed::Box;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Characters that the temporary's name has between the target's name and `.tmp`.
const RANDOM_CHARACTERS: usize = 6;

/// Who may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever may read any new file. Permissions of a replaced file are kept, and its owner where the system allows that.
    Usual,
    /// Its owner and nobody else, from the first moment on: mode 0600, also where a replaced file had another.
    Private,
}

/// Why a file was not written.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// What is there must not be replaced: "a folder", "not a regular file", "read-only", "not a file name".
    NotReplaceable(&'static str),
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReplaceable(what) => write!(f, "what is there cannot be replaced: it is {what}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotReplaceable(_) => None,
            Self::Io(error) => error.source(),
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotReplaceable(_) => Self::other(Box::new(error)),
            WriteError::Io(error) => error,
        }
    }
}

/// Writes `path` atomically: `content` gets a buffered writer, and if it fails, the old file is untouched and nothing is left behind.
/// A symbolic link stays and the file that it leads to is replaced.
///
/// # Errors
/// [`WriteError::NotReplaceable`] when the target is read-only or not a regular file; otherwise what the system or `content` says.
pub fn write(
    path: impl AsRef<Path>,
    access: Access,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let target = Target::find(path.as_ref())?;
    let temporary = target.fill(access, content)?;
    temporary.persist(&target.path).map_err(|failed| failed.error)?;
    Ok(sync_folder(&target.folder)?)
}

/// As [`write()`], for a file that must not be there yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when it is; otherwise those of [`write()`].
pub fn create(
    path: impl AsRef<Path>,
    access: Access,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let target = Target::find(path.as_ref())?;
    if target.old.is_some() {
        return Err(WriteError::Io(io::ErrorKind::AlreadyExists.into()));
    }
    let temporary = target.fill(access, content)?;
    temporary.persist_noclobber(&target.path).map_err(|failed| failed.error)?;
    Ok(sync_folder(&target.folder)?)
}

/// Makes a rename in the folder durable. Some file systems cannot flush a folder and say so; there is nothing more to do there.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

/// Makes a rename in the folder durable: nothing to do where folders cannot be opened for flushing.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes what writes of these files in `folder` left behind when their process was killed. Only for whoever knows that nobody writes them now.
/// Returns how many there were.
///
/// # Errors
/// What the system says.
pub fn clean(folder: &Path, names: &[&str]) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(|found| names.iter().any(|name| is_left_of(found, name)));
        if is_ours && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Is this the name of a temporary of `name`?
fn is_left_of(found: &str, name: &str) -> bool {
    let random = found
        .strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(name))
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(".tmp"));
    random.is_some_and(|random| {
        random.len() == RANDOM_CHARACTERS && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// What will be replaced or made.
struct Target {
    /// Free of symbolic links if it exists.
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    old: Option<Metadata>,
}

impl Target {
    fn find(path: &Path) -> Result<Self, WriteError> {
        let old = match fs::symlink_metadata(path) {
            Ok(_) => Some(fs::metadata(path)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let path = if old.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
        match &old {
            Some(old) if old.is_dir() => return Err(WriteError::NotReplaceable("a folder")),
            Some(old) if !old.is_file() => return Err(WriteError::NotReplaceable("not a regular file")),
            Some(old) if is_read_only(old) => return Err(WriteError::NotReplaceable("read-only")),
            _ => {}
        }
        let Some(name) = path.file_name().map(ToOwned::to_owned) else {
            return Err(WriteError::NotReplaceable("not a file name"));
        };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { path, folder, name, old })
    }

    /// A temporary with the content, on the disk.
    fn fill(
        &self,
        access: Access,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<NamedTempFile> {
        let mut temporary = self.temporary(access)?;
        let mut buffered = BufWriter::with_capacity(1 << 18, temporary.as_file_mut());
        content(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        if let Some(old) = self.old.as_ref().filter(|_| access == Access::Usual) {
            keep_owner(temporary.as_file(), old);
            temporary.as_file().set_permissions(old.permissions())?;
        }
        temporary.as_file().sync_all()?;
        Ok(temporary)
    }

    fn temporary(&self, access: Access) -> io::Result<NamedTempFile> {
        let mut prefix = OsString::from(".");
        prefix.push(&self.name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp").rand_bytes(RANDOM_CHARACTERS);
        #[cfg(unix)]
        if access == Access::Usual {
            // The usual permissions of a new file: the kernel takes the umask off. (tempfile's own default is 0600.)
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        #[cfg(not(unix))]
        let _ = access; // who may read is the folder's to say there
        builder.tempfile_in(&self.folder)
    }
}

/// Under WASI there are no permissions, and every file claims to be read-only.
fn is_read_only(old: &Metadata) -> bool {
    old.permissions().readonly() && !cfg!(target_os = "wasi")
}

/// Only the superuser may give files away: for anyone else the new file is their own, as with any editor.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) {}

#[cfg(test)]
mod tests;
