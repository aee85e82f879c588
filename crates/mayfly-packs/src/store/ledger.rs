//! `store.json`: it marks a folder as a store, and keeps once more what must never be forgotten.

use super::state::History;
use crate::error::{PackError, Result};
use crate::trust::{RevokedKey, RevokedPack, TrustedKeys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const KIND: &str = "mayfly-pack-store";
const VERSION: u32 = 1;

/// What only grows: counters, generations, rollbacks and revocations. `state.json` and `trust.json` have it too; each makes
/// good what the other has lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    kind: String,
    version: u32,
    /// Was a trust store ever written here?
    pub(super) has_trust: bool,
    pub(super) packs: BTreeMap<String, History>,
    pub(super) revoked_keys: Vec<RevokedKey>,
    pub(super) revoked_packs: Vec<RevokedPack>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            kind: KIND.into(),
            version: VERSION,
            has_trust: false,
            packs: BTreeMap::new(),
            revoked_keys: Vec::new(),
            revoked_packs: Vec::new(),
        }
    }
}

/// What tells a store of a later version from damage.
#[derive(Deserialize)]
struct Head {
    kind: String,
    version: u32,
}

impl Ledger {
    pub(super) fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        let corrupt = |what: String, newer| PackError::StoreCorrupt { path: path.display().to_string(), what, newer };
        let head: Head = serde_json::from_slice(bytes).map_err(|e| corrupt(e.to_string(), false))?;
        if head.kind != KIND {
            return Err(corrupt(format!("kind: expected {KIND}, found {}", head.kind), false));
        }
        if head.version > VERSION {
            let what = format!("version: {VERSION} is known here, this is {}; use a newer program", head.version);
            return Err(corrupt(what, true));
        }
        serde_json::from_slice(bytes).map_err(|e| corrupt(e.to_string(), false))
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(PackError::other)
    }

    /// Takes over the revocations of a trust store. None is ever dropped here.
    pub(super) fn remember(&mut self, trust: &TrustedKeys) {
        self.has_trust = true;
        for key in &trust.revoked_keys {
            self.revoked_keys.retain(|known| known.key_id != key.key_id);
            self.revoked_keys.push(key.clone());
        }
        for pack in &trust.revoked_packs {
            self.revoked_packs.retain(|known| (&known.name, known.counter) != (&pack.name, pack.counter));
            self.revoked_packs.push(pack.clone());
        }
    }

    /// Adds to a trust store the revocations that it lacks.
    pub(super) fn remind(&self, trust: &mut TrustedKeys) {
        for key in &self.revoked_keys {
            if !trust.revoked_keys.iter().any(|known| known.key_id == key.key_id) {
                trust.revoked_keys.push(key.clone());
            }
        }
        for pack in &self.revoked_packs {
            if !trust.revoked_packs.iter().any(|known| (&known.name, known.counter) == (&pack.name, pack.counter)) {
                trust.revoked_packs.push(pack.clone());
            }
        }
    }
}
