//! Whom this machine believes: keys with their ends, and what was revoked.

use crate::envelope::{Envelope, pre_authentication_encoding};
use crate::error::{PackError, Result, check_limit};
use crate::keys::{KeyId, PublicFile, PublicKey};
use crate::limits::TRUST_BYTES;
use serde::{Deserialize, Serialize};

/// Keys and revocations. An empty store trusts nobody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustedKeys {
    /// The keys, no two with one id.
    pub keys: Vec<TrustedKey>,
    /// Keys that must not sign, known or not.
    pub revoked_keys: Vec<RevokedKey>,
    /// Single packs that must not run, whoever signed them.
    pub revoked_packs: Vec<RevokedPack>,
}

/// A key that is believed until its end.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// Seconds since 1970; `None` for no end.
    pub not_after: Option<u64>,
}

/// A key that is believed by nobody here any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedKey {
    /// The key.
    pub key_id: KeyId,
    /// For people.
    pub reason: String,
}

/// One counter of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedPack {
    /// The pack's name.
    pub name: String,
    /// Its counter.
    pub counter: u64,
    /// For people.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    version: u32,
    keys: Vec<KeyFile>,
    #[serde(default)]
    revoked_keys: Vec<RevokedKey>,
    #[serde(default)]
    revoked_packs: Vec<RevokedPack>,
}

// `flatten` and `deny_unknown_fields` do not go together, so the key stands in a member of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    key: PublicFile,
    not_after: Option<u64>,
}

impl TrustedKeys {
    /// A store with one key that has no end.
    pub fn with_key(key: PublicKey) -> Self {
        Self { keys: vec![TrustedKey { key, not_after: None }], ..Self::default() }
    }

    /// Reads a trust store, or a public key file as a store of that key.
    ///
    /// # Errors
    /// [`PackError::BadKey`] with what is wrong.
    pub fn from_json(text: &str) -> Result<Self> {
        check_limit("bytes of the trust store", text.len() as u64, TRUST_BYTES)?;
        if let Ok(key) = PublicKey::from_json(text) {
            return Ok(Self::with_key(key));
        }
        let file: TrustFile = serde_json::from_str(text).map_err(|e| bad(format!("not a trust store: {e}")))?;
        if file.version != 1 {
            return Err(bad(format!("trust store version: expected 1, found {}", file.version)));
        }
        let TrustFile { keys, revoked_keys, revoked_packs, .. } = file;
        let mut store = Self { revoked_keys, revoked_packs, ..Self::default() };
        for entry in &keys {
            store.add(PublicKey::from_file(&entry.key)?, entry.not_after);
        }
        Ok(store)
    }

    /// The text of the trust store.
    pub fn to_json(&self) -> String {
        let keys = self.keys.iter().map(|k| KeyFile { key: k.key.to_file(), not_after: k.not_after }).collect();
        let (revoked_keys, revoked_packs) = (self.revoked_keys.clone(), self.revoked_packs.clone());
        let file = TrustFile { version: 1, keys, revoked_keys, revoked_packs };
        serde_json::to_string_pretty(&file).unwrap_or_default()
    }

    /// Adds a key, in place of an older entry with its id.
    pub fn add(&mut self, key: PublicKey, not_after: Option<u64>) {
        self.keys.retain(|k| k.key.id() != key.id());
        self.keys.push(TrustedKey { key, not_after });
    }

    /// Revokes a key for good: the id stays on the list, so that adding the key again does not bring it back.
    /// Whether the key was among the trusted ones.
    pub fn revoke_key(&mut self, key_id: &KeyId, reason: &str) -> bool {
        self.revoked_keys.retain(|revoked| revoked.key_id != *key_id);
        self.revoked_keys.push(RevokedKey { key_id: key_id.clone(), reason: reason.to_owned() });
        self.keys.iter().any(|trusted| trusted.key.id() == key_id)
    }

    /// Revokes one counter of a pack.
    pub fn revoke_pack(&mut self, name: &str, counter: u64, reason: &str) {
        self.revoked_packs.retain(|p| (p.name.as_str(), p.counter) != (name, counter));
        self.revoked_packs.push(RevokedPack { name: name.to_owned(), counter, reason: reason.to_owned() });
    }

    /// Checks every signature by a known key and returns the signers that are trusted at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`PackError::BadSignature`] for a signature by a known key that does not fit;
    /// [`PackError::Revoked`], [`PackError::Expired`] or [`PackError::NoTrustedKey`] when nobody is left, the first reason first.
    pub fn check(&self, manifest: &[u8], envelope: &Envelope, now: u64) -> Result<Vec<KeyId>> {
        let message = pre_authentication_encoding(manifest);
        let known = |id: &KeyId| self.keys.iter().find(|k| k.key.id() == id);
        for signature in &envelope.signatures {
            if let Some(entry) = known(&signature.key_id) {
                entry.key.check(&message, &signature.ed25519, &signature.ml_dsa)?;
            }
        }
        let (mut good, mut refused) = (Vec::new(), None);
        for signature in &envelope.signatures {
            match self.check_signer(&signature.key_id, known(&signature.key_id), now) {
                Ok(true) => good.push(signature.key_id.clone()),
                Ok(false) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if good.is_empty() { Err(refused.unwrap_or_else(|| self.nobody(envelope))) } else { Ok(good) }
    }

    /// Is the signer known and good? A revoked one is an error whether it is known or not.
    fn check_signer(&self, id: &KeyId, entry: Option<&TrustedKey>, now: u64) -> Result<bool> {
        if let Some(revoked) = self.revoked_keys.iter().find(|revoked| revoked.key_id == *id) {
            return Err(PackError::Revoked { what: format!("key {id}"), reason: revoked.reason.clone() });
        }
        match entry.and_then(|e| e.not_after) {
            Some(not_after) if now > not_after => Err(PackError::Expired { what: format!("key {id}"), not_after, now }),
            _ => Ok(entry.is_some()),
        }
    }

    fn nobody(&self, envelope: &Envelope) -> PackError {
        let found = envelope.signatures.iter().map(|s| s.key_id.to_string()).collect();
        PackError::NoTrustedKey { found, trusted: self.keys.len() }
    }

    /// # Errors
    /// [`PackError::Revoked`] when this counter of this name is on the list.
    pub(crate) fn check_pack(&self, name: &str, counter: u64) -> Result<()> {
        match self.revoked_packs.iter().find(|p| p.name == name && p.counter == counter) {
            Some(p) => {
                Err(PackError::Revoked { what: format!("pack {name} counter {counter}"), reason: p.reason.clone() })
            }
            None => Ok(()),
        }
    }
}

fn bad(what: impl Into<String>) -> PackError {
    PackError::BadKey { what: what.into() }
}
