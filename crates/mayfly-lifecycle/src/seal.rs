//! State on disk under a key that only the vault has. Wiping 32 bytes erases the file, wherever copies of it are.
//!
//! A file is `mayfly seal 1\n`, a nonce of 24 bytes, a tag of 16, and the parameters under XChaCha20-Poly1305. After a crash it is noise.
use crate::error::{LifeError, Result};
use crate::id::InstanceId;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use mayfly_base::atomic::{self, Access};
use mayfly_vault::{Secret, Vault};
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"mayfly seal 1\n";
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
pub(crate) const KEY_BYTES: usize = 32;
const EXTENSION: &str = "sealed";

/// The folder of a host's sealed instances. It is one host's alone while that lives.
#[derive(Debug)]
pub(crate) struct Seals {
    folder: PathBuf,
    /// Held, so that no other host takes our files for those of one that is gone.
    _lock: File,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> LifeError {
    move |source| LifeError::SealFile { path: path.to_owned(), source }
}

impl Seals {
    /// Opens the folder and deletes what a host that is gone left in it: nobody has its keys.
    pub(crate) fn open(folder: &Path) -> Result<Seals> {
        fs::create_dir_all(folder).map_err(io(folder))?;
        let path = folder.join("host.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LifeError::SealFolderTaken { path: folder.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io(&path)(source)),
        }
        for entry in fs::read_dir(folder).map_err(io(folder))? {
            let path = entry.map_err(io(folder))?.path();
            if is_sealed(&path) {
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        Ok(Seals { folder: folder.to_owned(), _lock: lock })
    }
}

/// Sealed files, and what a crash leaves of one that was being written.
fn is_sealed(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_id = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (name.strip_suffix(".sealed"), name.strip_prefix('.')) {
        (Some(id), _) => is_id(id),
        (_, Some(rest)) => rest.ends_with(".tmp") && rest.split_once(".sealed.").is_some_and(|(id, _)| is_id(id)),
        _ => false,
    }
}

/// A file and its key.
#[derive(Debug)]
pub(crate) struct Seal {
    key: Secret,
    path: PathBuf,
}

impl Seal {
    /// Writes `state` to disk under a new key. On success `state` is noise; otherwise it is as it was.
    pub(crate) fn close(
        seals: &Seals,
        vault: &Vault,
        id: InstanceId,
        bound_to: &[u8],
        state: &mut [u8],
    ) -> Result<Seal> {
        let mut key = vault.secret(KEY_BYTES).map_err(LifeError::Vault)?;
        let mut nonce = [0; NONCE_BYTES];
        for bytes in [&mut key[..], &mut nonce] {
            getrandom::fill(bytes).map_err(|e| LifeError::Randomness { reason: e.to_string() })?;
        }
        let path = seals.folder.join(format!("{id}.{EXTENSION}"));
        let cipher = cipher(&key, &path)?;
        let nonce = XNonce::from_slice(&nonce);
        let too_long = |_| LifeError::SealBroken { path: path.clone(), what: "the state is too long for the cipher" };
        let tag = cipher.encrypt_in_place_detached(nonce, bound_to, state).map_err(too_long)?;
        let written = atomic::create(&path, Access::Private, |out| {
            [MAGIC, nonce, &tag, state].iter().try_for_each(|part| out.write_all(part))
        });
        match written {
            Ok(()) => Ok(Seal { key, path }),
            Err(error) => {
                // The stream is its own inverse, and the tag is our own.
                cipher.decrypt_in_place_detached(nonce, bound_to, state, &tag).map_err(too_long)?;
                Err(io(&path)(error.into()))
            }
        }
    }

    /// Reads the state back. After an error nothing of it is in `state`.
    pub(crate) fn open(&self, bound_to: &[u8], state: &mut [u8]) -> Result<()> {
        let opened = self.read(bound_to, state);
        if opened.is_err() {
            mayfly_vault::wipe(state);
        }
        opened
    }

    fn read(&self, bound_to: &[u8], state: &mut [u8]) -> Result<()> {
        let broken = |what| LifeError::SealBroken { path: self.path.clone(), what };
        let mut file = File::open(&self.path).map_err(io(&self.path))?;
        let mut head = [0; MAGIC.len() + NONCE_BYTES + TAG_BYTES];
        let cut = |error: std::io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => broken("it was cut"),
            _ => io(&self.path)(error),
        };
        file.read_exact(&mut head).map_err(cut)?;
        file.read_exact(state).map_err(cut)?;
        if file.read(&mut [0]).map_err(io(&self.path))? > 0 {
            return Err(broken("it is longer than it was"));
        }
        let (magic, rest) = head.split_at(MAGIC.len());
        let (nonce, tag) = rest.split_at(NONCE_BYTES);
        if magic != MAGIC {
            return Err(broken("it does not begin as one"));
        }
        let cipher = cipher(&self.key, &self.path)?;
        cipher
            .decrypt_in_place_detached(XNonce::from_slice(nonce), bound_to, state, Tag::from_slice(tag))
            .map_err(|_| broken("it was changed, or is another's"))
    }

    /// Wipes the key, which erases the file, and removes it. Where that fails, noise is left, which the next start deletes.
    pub(crate) fn erase(mut self) {
        self.key.wipe();
        let _ = fs::remove_file(&self.path);
    }
}

fn cipher(key: &[u8], path: &Path) -> Result<XChaCha20Poly1305> {
    let bad = |_| LifeError::SealBroken { path: path.to_owned(), what: "its key has another length" };
    XChaCha20Poly1305::new_from_slice(key).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_vault::VaultConfig;

    #[test]
    fn only_our_files_are_ours() {
        let id = InstanceId([0xab; 16]);
        for ours in [format!("{id}.sealed"), format!(".{id}.sealed.x7Kq2p.tmp")] {
            assert!(is_sealed(Path::new(&ours)), "{ours}");
        }
        for other in
            ["x.sealed", "notes.txt", "host.lock", ".hidden.tmp", "abababababababababababababababag.sealed", ""]
        {
            assert!(!is_sealed(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn what_is_not_written_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let seals = Seals::open(&folder.path().join("seals")).unwrap();
        let vault = Vault::open(VaultConfig::default()).unwrap();
        let mut state = *b"thirty-two bytes of some weights";
        let seal = Seal::close(&seals, &vault, InstanceId([1; 16]), b"me", &mut state).unwrap();
        assert_ne!(&state, b"thirty-two bytes of some weights");
        // The name is taken now.
        let mut again = *b"thirty-two bytes of some weights";
        assert!(Seal::close(&seals, &vault, InstanceId([1; 16]), b"me", &mut again).is_err());
        assert_eq!(&again, b"thirty-two bytes of some weights");
        seal.open(b"me", &mut state).unwrap();
        assert_eq!(&state, b"thirty-two bytes of some weights");
        assert!(seal.open(b"you", &mut state).is_err());
        assert_eq!(state, [0; 32]);
    }
}
