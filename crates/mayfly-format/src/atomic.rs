//! Replacing a file so that nobody ever sees half of it.
//!
//! [`write()`] writes a temporary in the same folder, flushes it to the disk, renames it over the target and flushes the folder.
//! After a crash at any point the target holds the old content or the new one; at worst a `.name.XXXXXX.tmp` is left beside it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{FormatError, Result};
use crate::whole_file::io_error;

/// Writes `path` atomically: `content` gets a buffered writer, and if it fails, the old file is untouched and nothing is left behind.
///
/// The permissions of a replaced file are kept, and its owner where the system allows that; a new file gets the usual ones.
/// A symbolic link stays and the file that it leads to is replaced.
///
/// # Errors
/// [`FormatError::NotReplaceable`] when the target is read-only or not a regular file; otherwise I/O errors with the path.
pub fn write(path: impl AsRef<Path>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    let target = Target::find(path)?;
    replace(&target, content).map_err(io_error(path))
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
    fn find(path: &Path) -> Result<Self> {
        let refuse = |what| Err(FormatError::NotReplaceable { path: path.to_owned(), what });
        let old = match fs::symlink_metadata(path) {
            Ok(_) => Some(fs::metadata(path).map_err(io_error(path))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_error(path)(error)),
        };
        let path = if old.is_some() { fs::canonicalize(path).map_err(io_error(path))? } else { path.to_owned() };
        match &old {
            Some(old) if old.is_dir() => return refuse("a folder"),
            Some(old) if !old.is_file() => return refuse("not a regular file"),
            Some(old) if old.permissions().readonly() => return refuse("read-only"),
            _ => {}
        }
        let Some(name) = path.file_name().map(ToOwned::to_owned) else {
            return refuse("not a file name");
        };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { path, folder, name, old })
    }

    fn temporary(&self) -> io::Result<NamedTempFile> {
        let mut prefix = OsString::from(".");
        prefix.push(&self.name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        {
            // The usual permissions of a new file: the kernel takes the umask off. (tempfile's own default is 0600.)
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        builder.tempfile_in(&self.folder)
    }
}

fn replace(target: &Target, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = target.temporary()?;
    let mut buffered = BufWriter::with_capacity(1 << 18, temporary.as_file_mut());
    content(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    if let Some(old) = &target.old {
        keep_owner(temporary.as_file(), old);
        temporary.as_file().set_permissions(old.permissions())?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(&target.path).map_err(|failed| failed.error)?;
    sync_folder(&target.folder)
}

/// Only the superuser may give files away: for anyone else the new file is their own, as with any editor.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) {}

/// Makes the rename durable. Some file systems cannot flush a folder and say so; there is nothing more to do there.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(()) // folders cannot be opened for flushing there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn makes_and_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write(&path, |w| w.write_all(b"one")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, |w| w.write_all(b"two, longer")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two, longer");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(&path, b"old").unwrap();
        let error = write(&path, |w| {
            w.write_all(&[7; 1 << 20])?;
            Err(io::Error::other("disk on fire"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("disk on fire") || format!("{error:?}").contains("disk on fire"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn a_panic_in_the_writer_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(&path, b"old").unwrap();
        let result = std::panic::catch_unwind(|| write(&path, |_| panic!("in the middle")));
        assert!(result.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn a_missing_folder_is_an_error_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path().join("no/model"), |w| w.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("model"), "{error}");
    }

    #[test]
    fn a_bare_name_is_written_beside_itself() {
        let target = Target::find(Path::new("surely-not-here.mayfly")).unwrap();
        assert_eq!(target.folder, Path::new("."));
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), |w| w.write_all(b"x")).unwrap_err();
        assert!(matches!(error, FormatError::NotReplaceable { what: "a folder", .. }), "{error}");
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{PermissionsExt, symlink};

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        #[test]
        fn permissions_are_kept() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model");
            fs::write(&path, b"old").unwrap();
            for wanted in [0o640, 0o600, 0o775] {
                fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
                write(&path, |w| w.write_all(b"new")).unwrap();
                assert_eq!(mode(&path), wanted);
            }
        }

        #[test]
        fn a_new_file_has_the_permissions_of_any_new_file() {
            let folder = tempfile::tempdir().unwrap();
            let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
            write(&ours, |w| w.write_all(b"x")).unwrap();
            fs::write(&usual, b"x").unwrap();
            assert_eq!(mode(&ours), mode(&usual));
        }

        #[test]
        fn a_read_only_file_is_refused() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model");
            fs::write(&path, b"old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
            let error = write(&path, |w| w.write_all(b"new")).unwrap_err();
            assert!(matches!(error, FormatError::NotReplaceable { what: "read-only", .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }

        #[test]
        fn a_device_is_refused() {
            let error = write("/dev/null", |w| w.write_all(b"x")).unwrap_err();
            assert!(matches!(error, FormatError::NotReplaceable { what: "not a regular file", .. }), "{error}");
        }

        #[test]
        fn a_symbolic_link_stays_and_its_target_is_replaced() {
            let folder = tempfile::tempdir().unwrap();
            let inner = folder.path().join("inner");
            fs::create_dir(&inner).unwrap();
            let (link, real) = (folder.path().join("link"), inner.join("real"));
            fs::write(&real, b"old").unwrap();
            symlink("inner/real", &link).unwrap();
            write(&link, |w| w.write_all(b"new")).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(&real).unwrap(), b"new");
            assert_eq!(names(folder.path()), ["inner", "link"]);
            assert_eq!(names(&inner), ["real"]);
        }
    }
}
