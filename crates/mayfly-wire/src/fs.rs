//! Files that hold secrets or trust: never half written, never readable by others.

use crate::{Result, WireError};
use mayfly_base::atomic::{self, Access};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Writes a file so that a crash leaves the old one or the new one. Mode 0600.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = atomic::write(path, Access::Private, |out| out.write_all(bytes));
    written.map_err(|error| WireError::io("write", path)(error.into()))
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(WireError::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(WireError::io("read", path))?;
    crate::frame::check_len("the file", bytes.len() as u64, limit)?;
    Ok(bytes)
}

/// As [`read`]; nothing when there is no such file.
pub(crate) fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match read(path, limit) {
        Err(WireError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Refuses a file that group or others may touch.
pub(crate) fn check_private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let meta = std::fs::metadata(path).map_err(WireError::io("look at", path))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(WireError::TooOpen { path: path.into(), mode });
        }
    }
    Ok(())
}
