//! Replacing a file so that nobody ever sees half of it: [`mayfly_base::atomic`], with this crate's errors.

use crate::error::{FormatError, Result};
use crate::whole_file::io_error;
use mayfly_base::atomic::{Access, WriteError};
use std::io::{self, Write};
use std::path::Path;

/// Writes `path` atomically: `content` gets a buffered writer, and if it fails, the old file is untouched and nothing is left behind.
///
/// The permissions of a replaced file are kept, and its owner where the system allows that; a new file gets the usual ones.
/// A symbolic link stays and the file that it leads to is replaced.
///
/// # Errors
/// [`FormatError::NotReplaceable`] when the target is read-only or not a regular file; otherwise I/O errors with the path.
pub fn write(path: impl AsRef<Path>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    mayfly_base::atomic::write(path, Access::Usual, content).map_err(|error| match error {
        WriteError::NotReplaceable(what) => FormatError::NotReplaceable { path: path.to_owned(), what },
        error => io_error(path)(error.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = write(folder.path().join("no/model"), |w| w.write_all(b"x")).unwrap_err();
        assert!(missing.to_string().contains("model"), "{missing}");
        let refused = write(folder.path(), |w| w.write_all(b"x")).unwrap_err();
        assert!(matches!(&refused, FormatError::NotReplaceable { what: "a folder", path } if path == folder.path()));
    }
}
