//! What a vault and its slots share.
use super::config::VaultConfig;
use super::slab::{Free, Slab};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where slots go back to.
pub(super) struct Shelf {
    pub(super) config: VaultConfig,
    slab: Mutex<Slab>,
}

impl Shelf {
    pub(super) fn new(config: VaultConfig) -> Shelf {
        Shelf { config, slab: Mutex::new(Slab::new()) }
    }

    pub(super) fn slab(&self) -> MutexGuard<'_, Slab> {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn give(&self, slot: Free) {
        self.slab().give(slot);
    }
}
