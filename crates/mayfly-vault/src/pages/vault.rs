//! The vault: what slots come from.
use super::config::{Level, VaultConfig, VaultError};
use super::protection::Protection;
use super::refusal::Refusal;
use super::shelf::Shelf;
use super::slot::Slot;
use super::system;
use alloc::sync::Arc;
use core::fmt;

/// A slab of protected pages, cut into slots. Clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Shelf>);

/// How full a vault is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Slots that exist.
    pub slots: usize,
    /// Those that nobody uses.
    pub free: usize,
    /// Bytes of all slots.
    pub bytes: usize,
    /// Bytes of those in use.
    pub used_bytes: usize,
}

impl Vault {
    /// Opens a vault. Pages are asked for when slots are; a strict vault asks for the first at once, so that it refuses here and not later.
    ///
    /// # Errors
    /// With [`Level::Strict`]: a process that cannot be hidden, and pages that are not protected.
    pub fn open(config: VaultConfig) -> Result<Vault, VaultError> {
        if config.level == Level::Strict {
            let exposed = |refusal: Refusal| VaultError::Exposed { what: refusal.what, errno: refusal.errno };
            system::hide_process().map_err(exposed)?;
        }
        let vault = Vault(Arc::new(Shelf::new(config)));
        if config.level == Level::Strict {
            vault.slot(1)?;
        }
        Ok(vault)
    }

    /// A slot of at least `bytes`, all zero.
    ///
    /// # Errors
    /// [`VaultError::Full`] at the limit, and what the system refuses.
    pub fn slot(&self, bytes: usize) -> Result<Slot, VaultError> {
        let free = self.0.slab().take(bytes, &self.0.config)?;
        Ok(Slot::new(free, Arc::clone(&self.0)))
    }

    /// What protects the pages of a slot of one page, as an example for all: tells before any secret is there what the system gives.
    ///
    /// # Errors
    /// As for [`Vault::slot`].
    pub fn probe(&self) -> Result<Protection, VaultError> {
        Ok(self.slot(1)?.protection())
    }

    /// How it was opened.
    pub fn config(&self) -> VaultConfig {
        self.0.config
    }

    /// How full it is.
    pub fn stats(&self) -> Stats {
        let slab = self.0.slab();
        let (slots, bytes, used_bytes) = (slab.slots(), slab.opened_bytes(), slab.used_bytes);
        Stats { slots, free: slab.free().count(), bytes, used_bytes }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault {:?}, {:?}", self.0.config, self.stats())
    }
}
