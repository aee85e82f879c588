//! A slot: some pages that one owner has.
use super::config::VaultError;
use super::protection::Protection;
use super::shelf::Shelf;
use super::slab::Free;
use crate::block::ALIGN;
use crate::memory::Memory;
use alloc::sync::Arc;
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Pages of a vault that nobody else has, as a source of blocks. They go back to the vault, wiped, when the slot and every block in it are dropped.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mayfly_vault::{Block, Vault, VaultConfig, within};
/// let vault = Vault::open(VaultConfig::default())?;
/// let slot = vault.slot(1000)?;
/// let block = within(slot.memory(), || Block::zeroed(std::alloc::Layout::array::<f32>(100).unwrap()))?;
/// assert!(block.is_placed());
/// # Ok(()) }
/// ```
pub struct Slot(Arc<Pages>);

/// What a slot and its blocks share.
struct Pages {
    free: Free,
    shelf: Arc<Shelf>,
    level: Mutex<Fill>,
}

// SAFETY: the pages are ours, and who hands them out stands behind a lock.
unsafe impl Sync for Pages {}

/// How far the slot is filled.
#[derive(Default)]
struct Fill {
    /// Where the next block begins.
    at: usize,
    /// Blocks that are out.
    blocks: usize,
}

impl Slot {
    pub(super) fn new(free: Free, shelf: Arc<Shelf>) -> Slot {
        Slot(Arc::new(Pages { free, shelf, level: Mutex::default() }))
    }

    /// The slot as a source of blocks, for [`within`](crate::within).
    pub fn memory(&self) -> Arc<dyn Memory> {
        Arc::clone(&self.0) as Arc<dyn Memory>
    }

    /// Bytes that it has.
    pub fn bytes(&self) -> usize {
        self.0.free.bytes
    }

    /// What protects them.
    pub fn protection(&self) -> Protection {
        self.0.free.protection
    }

    /// Whether no block lies in it.
    pub fn is_empty(&self) -> bool {
        self.0.fill().blocks == 0
    }

    pub(super) fn full(&self, wanted: usize) -> VaultError {
        VaultError::Full { wanted, used: self.0.fill().at, limit: self.bytes() }
    }
}

impl fmt::Debug for Slot {
    /// Size and protection: the bytes may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot of {} bytes, {}", self.bytes(), self.protection())
    }
}

impl Pages {
    fn fill(&self) -> std::sync::MutexGuard<'_, Fill> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: blocks are cut one behind another, within the slot, at steps of their alignment; the place is used again only when all of them were given back,
// each of them zero by the contract of `give`. The pages are zero when mapped and stay in place as long as `Pages`, which every block keeps by an `Arc`.
unsafe impl Memory for Pages {
    fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.align() > ALIGN {
            return None;
        }
        let mut fill = self.fill();
        let size = layout.size().checked_next_multiple_of(ALIGN)?;
        let end = fill.at.checked_add(size).filter(|end| *end <= self.free.bytes)?;
        // SAFETY: `fill.at + size` is within the slot's pages.
        let at = unsafe { self.free.at.add(fill.at) };
        fill.at = end;
        fill.blocks += 1;
        Some(at)
    }

    unsafe fn give(&self, _: NonNull<u8>, _: Layout) {
        let mut fill = self.fill();
        fill.blocks -= 1;
        if fill.blocks == 0 {
            fill.at = 0;
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        #[cfg(debug_assertions)]
        if !std::thread::panicking() {
            // SAFETY: no block is out, since each of them keeps the pages; nobody else knows them.
            let bytes = unsafe { core::slice::from_raw_parts(self.free.at.as_ptr(), self.free.bytes) };
            assert!(crate::wipe::is_zero(bytes), "a slot is given back with values in it");
        }
        self.shelf.give(self.free);
    }
}
