//! A passphrase over a secret: Argon2id (RFC 9106) for the key, XChaCha20-Poly1305 for the secret.

use crate::{Result, WireError};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

pub(super) const SALT_LEN: usize = 16;
pub(super) const NONCE_LEN: usize = 24;

/// What a guess of the passphrase costs, for us and for a thief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealCost {
    /// Memory in KiB, at most 1 GiB.
    pub memory_kib: u32,
    /// Passes over it, at most 16.
    pub passes: u32,
    /// Lanes, at most 16.
    pub lanes: u32,
}

/// RFC 9106's second recommendation: 64 MiB, three passes; with one lane, as a small machine has no more.
impl Default for SealCost {
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 1 }
    }
}

impl SealCost {
    /// A file may not ask for more: it could stop the machine.
    fn check(self) -> Result<Params> {
        let Self { memory_kib, passes, lanes } = self;
        let refused = WireError::SealCost { memory_kib, passes, lanes };
        if memory_kib > 1 << 20 || passes > 16 || lanes > 16 {
            return Err(refused);
        }
        Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| refused)
    }
}

pub(super) struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    pub(super) fn derive(passphrase: &[u8], salt: &[u8], cost: SealCost) -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.check()?)
            .hash_password_into(passphrase, salt, &mut key[..])
            .map_err(WireError::tls("Argon2id"))?;
        Ok(Self(key))
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_LEN], secret: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let sealed = self.cipher().encrypt(XNonce::from_slice(nonce), Payload { msg: secret, aad });
        sealed.map_err(WireError::tls("sealing"))
    }

    pub(super) fn open(&self, nonce: &[u8], sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let nonce: &[u8; NONCE_LEN] = nonce.try_into().ok()?;
        let opened = self.cipher().decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad });
        opened.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}
