//! Bytes that are secret: keys and seeds.
use super::config::VaultError;
use super::slot::Slot;
use super::vault::Vault;
use crate::block::Block;
use crate::scope::within;
use core::alloc::Layout;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::slice;

/// A fixed number of bytes in a slot of their own: they never move, never grow, and are wiped when dropped.
pub struct Secret {
    block: Block,
    slot: Slot,
}

impl Vault {
    /// `len` zero bytes to write a secret into.
    ///
    /// # Errors
    /// A full vault, or pages that the system refuses.
    pub fn secret(&self, len: usize) -> Result<Secret, VaultError> {
        let slot = self.slot(len)?;
        let layout = Layout::array::<u8>(len).map_err(|_| slot.full(len))?;
        let block = within(slot.memory(), || Block::zeroed(layout)).map_err(|_| slot.full(len))?;
        Ok(Secret { block, slot })
    }
}

impl Secret {
    /// The slot that it lies in.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Overwrites it with zeros.
    pub fn wipe(&mut self) {
        crate::wipe::wipe(self);
    }
}

impl Deref for Secret {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the block's bytes are initialised (zeroed when made) and ours, shared as we are.
        unsafe { slice::from_raw_parts(self.block.as_ptr(), self.block.size()) }
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.block.as_ptr(), self.block.size()) }
    }
}

impl fmt::Debug for Secret {
    /// The size only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret of {} bytes", self.block.size())
    }
}
