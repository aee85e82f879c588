//! Compiled modules on disk, believed only with a MAC by a key that never leaves this machine.

use super::artefact::{ArtefactId, open, seal};
use crate::bytes::sha256_hex;
use crate::error::{PackError, Result};
use crate::files::read_regular;
use crate::files::write_atomic;
use crate::keys::random;
use crate::limits::ARTEFACT_BYTES;
use mayfly_base::atomic::{self, Access};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Beside the folder of the cache.
pub(crate) const KEY_FILE: &str = "machine.key";

/// A folder of artefacts and the key that authenticates them.
#[derive(Clone)]
pub struct ArtefactCache {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for ArtefactCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtefactCache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ArtefactCache {
    /// Opens the cache in `folder`, and makes folder and key when there are none. The key is `machine.key` beside the folder.
    ///
    /// # Errors
    /// [`PackError::Io`], or [`PackError::StoreCorrupt`] for a key of another length.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(PackError::io(folder))?;
        let key_path = folder.parent().unwrap_or(folder).join(KEY_FILE);
        if !key_path.exists() {
            let mut key = Zeroizing::new([0; 32]);
            random(&mut *key)?;
            write_private(&key_path, &*key)?;
        }
        let bytes = Zeroizing::new(read_regular(&key_path, 32)?);
        let key = bytes[..].try_into().map_err(|_| PackError::StoreCorrupt {
            path: key_path.display().to_string(),
            what: format!("expected 32 bytes, found {}; remove the file and a new key is made", bytes.len()),
            newer: false,
        })?;
        Ok(Self { folder: folder.to_owned(), key: Zeroizing::new(key) })
    }

    /// The module of an artefact that this machine made; `None` when there is none or it cannot be believed.
    pub(super) fn load(&self, id: &str, engine: &wasmtime::Engine) -> Option<wasmtime::Module> {
        let path = self.path(id);
        let sealed = read_regular(&path, ARTEFACT_BYTES).ok()?;
        match open(&sealed, &ArtefactId(id), &self.key, engine) {
            Ok(module) => Some(module),
            Err(_) => {
                // Thrown away, so that the next start does not read it again; compiling anew is the answer either way.
                let _ = std::fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps what the engine has just compiled. A full disk is no reason to fail: the module is there already.
    pub(super) fn keep(&self, id: &str, code: &[u8]) {
        let _ = write_atomic(&self.path(id), &seal(code, &ArtefactId(id), &self.key));
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(sha256_hex(id.as_bytes()))
    }
}

/// Writes a file that only its owner can read, from the first moment on.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    match atomic::create(path, Access::Private, |out| out.write_all(bytes)).map_err(std::io::Error::from) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()), // another process was first: its key counts
        result => result.map_err(PackError::io(path)),
    }
}
