//! Which tokens this node issued, and which of them were used.

use super::{JoinToken, sealed_file};
use crate::{Identity, Result, WireError};
use std::collections::BTreeMap;

const MAGIC: &[u8; 4] = b"MFTB";
const ENTRY_LEN: usize = 25;
/// How long a token is remembered after it expired.
const KEEP_MS: u64 = 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    expires_ms: u64,
    is_spent: bool,
}

/// Tokens by serial. A token that is not here was not issued by this node, or so long ago that it has expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenBook(BTreeMap<[u8; 16], Entry>);

impl TokenBook {
    pub(super) fn note(&mut self, token: &JoinToken, now_ms: u64) {
        self.0.retain(|_, entry| entry.expires_ms.saturating_add(KEEP_MS) > now_ms);
        self.0.insert(token.serial(), Entry { expires_ms: token.expires_ms(), is_spent: false });
    }

    /// Is there a token that could still be redeemed?
    pub(super) fn has_open(&self, now_ms: u64) -> bool {
        self.0.values().any(|entry| !entry.is_spent && entry.expires_ms > now_ms)
    }

    /// Marks a token as spent, if it is one that `here` issued and that is still good.
    pub(super) fn spend(&mut self, token: &JoinToken, here: &Identity, now_ms: u64) -> Result<()> {
        if token.issuer() != here.id() {
            return Err(WireError::TokenIssuer { issuer: token.issuer(), here: here.id() });
        }
        token.verify(here.public_key())?;
        if token.expires_ms() <= now_ms {
            return Err(WireError::TokenExpired { expires_ms: token.expires_ms(), now_ms });
        }
        match self.0.get_mut(&token.serial()) {
            None => Err(WireError::TokenForgotten),
            Some(entry) if entry.is_spent => Err(WireError::TokenUsed),
            Some(entry) => {
                entry.is_spent = true;
                Ok(())
            }
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let entry = |(serial, entry): (&[u8; 16], &Entry)| {
            [&serial[..], &entry.expires_ms.to_le_bytes(), &[entry.is_spent.into()]].concat()
        };
        sealed_file::wrap(
            MAGIC,
            sealed_file::BOOK_VERSION,
            self.0.len(),
            &self.0.iter().flat_map(entry).collect::<Vec<u8>>(),
        )
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (count, items) = sealed_file::unwrap(MAGIC, sealed_file::BOOK_VERSION, "the token book", bytes)?;
        let (entries, rest) = items.as_chunks::<ENTRY_LEN>();
        if entries.len() != count as usize || !rest.is_empty() {
            let reason = format!("{} bytes for {count} tokens", items.len());
            return Err(WireError::Payload { what: "the token book", reason });
        }
        Ok(Self(entries.iter().map(read_entry).collect()))
    }
}

fn read_entry(bytes: &[u8; ENTRY_LEN]) -> ([u8; 16], Entry) {
    let serial = std::array::from_fn(|i| bytes[i]);
    let expires_ms = u64::from_le_bytes(std::array::from_fn(|i| bytes[16 + i]));
    (serial, Entry { expires_ms, is_spent: bytes[24] != 0 })
}
