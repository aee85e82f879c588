//! Reading a whole model file, with a limit, and naming it in errors.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{FormatError, Result};
use crate::impostor;

/// Adds the path to an I/O error.
pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FormatError + '_ {
    move |source| FormatError::Io { path: path.to_owned(), source }
}

/// The name of a file as messages show it.
pub(crate) fn file_name(path: &Path) -> String {
    path.display().to_string()
}

/// The content of a file of at most `max_bytes`.
///
/// A Git LFS pointer or a web page in place of the file is an error that says so. The size that the file system reports is only a hint (a pipe has none), so the limit is enforced on what arrives.
pub(crate) fn read_whole(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(io_error(path))?;
    let size = file.metadata().map_err(io_error(path))?.len();
    let too_large =
        |got| FormatError::TooLarge { file: file_name(path), what: "size in bytes".into(), got, limit: max_bytes };
    if size > max_bytes {
        return Err(too_large(size));
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut content).map_err(io_error(path))?;
    if content.len() as u64 > max_bytes {
        return Err(too_large(content.len() as u64));
    }
    impostor::refuse(&file_name(path), &content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_inclusive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read_whole(&path, 5).unwrap(), b"12345");
        let error = read_whole(&path, 4).unwrap_err();
        assert!(matches!(error, FormatError::TooLarge { got: 5, limit: 4, .. }), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_endless_file_without_a_size_is_stopped() {
        let error = read_whole(Path::new("/dev/zero"), 1000).unwrap_err();
        assert!(matches!(error, FormatError::TooLarge { got: 1001, .. }), "{error}");
    }
}
