//! Which slots there are and which are free.
use super::config::{VaultConfig, VaultError};
use super::protection::Protection;
use super::region::{Opened, Region, Request};
use super::system;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// Two classes an octave, from one page to half the address space.
const CLASSES: usize = 2 * (usize::BITS as usize);

/// A class grows by as many slots as it has, within these bounds: few readings of the kernel's list of mappings, and little memory that nobody asked for.
const FEWEST: usize = 2;
const MOST: usize = 256;

/// A slot that nobody uses. Its bytes are zero.
#[derive(Clone, Copy)]
pub(super) struct Free {
    pub(super) at: NonNull<u8>,
    pub(super) bytes: usize,
    pub(super) protection: Protection,
    class: usize,
    region: u64,
}

// SAFETY: an address and plain values; who holds a `Free` owns the slot.
unsafe impl Send for Free {}

/// A region and how many of its slots exist.
struct Held {
    number: u64,
    slots: usize,
    slot_bytes: usize,
    /// Keeps the pages.
    _region: Region,
}

/// All slots of a vault.
pub(super) struct Slab {
    /// Free slots by class.
    free: Vec<Vec<Free>>,
    /// Slots that exist by class.
    slots: Vec<usize>,
    regions: Vec<Held>,
    next_region: u64,
    /// Bytes of slots that exist, and of those in use.
    opened_bytes: usize,
    pub(super) used_bytes: usize,
}

impl Slab {
    pub(super) fn new() -> Slab {
        Slab {
            free: (0..CLASSES).map(|_| Vec::new()).collect(),
            slots: alloc::vec![0; CLASSES],
            regions: Vec::new(),
            next_region: 0,
            opened_bytes: 0,
            used_bytes: 0,
        }
    }

    /// A slot of at least `bytes`.
    pub(super) fn take(&mut self, bytes: usize, config: &VaultConfig) -> Result<Free, VaultError> {
        let full = |used| VaultError::Full { wanted: bytes, used, limit: config.limit_bytes };
        let (class, slot_bytes) = class_of(bytes).ok_or(full(self.used_bytes))?;
        if self.free[class].is_empty() {
            self.make_room(slot_bytes, config.limit_bytes);
            let room = config.limit_bytes.saturating_sub(self.opened_bytes) / slot_bytes;
            if room == 0 {
                return Err(full(self.used_bytes));
            }
            self.grow(class, slot_bytes, room, config)?;
        }
        let slot = self.free[class].pop().ok_or(full(self.used_bytes))?;
        self.used_bytes += slot.bytes;
        Ok(slot)
    }

    /// Takes a slot back. There is room for it: it was in the list before.
    pub(super) fn give(&mut self, slot: Free) {
        self.used_bytes -= slot.bytes;
        self.free[slot.class].push(slot);
    }

    /// Every slot that exists.
    pub(super) fn slots(&self) -> usize {
        self.slots.iter().sum()
    }

    /// Slots that nobody uses.
    pub(super) fn free(&self) -> impl Iterator<Item = &Free> {
        self.free.iter().flatten()
    }

    /// Bytes of every slot that exists.
    pub(super) fn opened_bytes(&self) -> usize {
        self.opened_bytes
    }

    fn grow(&mut self, class: usize, slot_bytes: usize, room: usize, config: &VaultConfig) -> Result<(), VaultError> {
        let slots = self.slots[class].clamp(FEWEST, MOST).min(room);
        let request = Request { slots, slot_bytes, mode: config.mode, level: config.level };
        let (region, opened) = Region::new(&request)?;
        let number = self.next_region;
        self.next_region += 1;
        self.regions.push(Held { number, slots: opened.len(), slot_bytes, _region: region });
        self.slots[class] += opened.len();
        self.opened_bytes += opened.len() * slot_bytes;
        self.free[class].reserve(self.slots[class]);
        let free = |Opened { at, protection }| Free { at, bytes: slot_bytes, protection, class, region: number };
        self.free[class].extend(opened.into_iter().map(free));
        Ok(())
    }

    /// Where the limit leaves no room for one more slot, regions of which no slot is in use are given back.
    fn make_room(&mut self, slot_bytes: usize, limit: usize) {
        if self.opened_bytes.saturating_add(slot_bytes) <= limit {
            return;
        }
        for number in self.idle_regions() {
            self.release(number);
        }
    }

    fn idle_regions(&self) -> Vec<u64> {
        let free = |number| self.free().filter(|slot| slot.region == number).count();
        self.regions.iter().filter(|held| free(held.number) == held.slots).map(|held| held.number).collect()
    }

    fn release(&mut self, number: u64) {
        for (free, slots) in self.free.iter_mut().zip(&mut self.slots) {
            let before = free.len();
            free.retain(|slot| slot.region != number);
            *slots -= before - free.len();
        }
        if let Some(at) = self.regions.iter().position(|held| held.number == number) {
            let held = self.regions.swap_remove(at);
            self.opened_bytes -= held.slots * held.slot_bytes;
        }
    }
}

/// The class of a slot of at least `bytes`, and its size: 1, 2, 3, 4, 6, 8, 12, … pages.
fn class_of(bytes: usize) -> Option<(usize, usize)> {
    let page = system::page_size();
    let pages = bytes.max(1).div_ceil(page);
    let octave = pages.checked_next_power_of_two()?;
    let three_quarters = octave / 4 * 3;
    let is_between = octave >= 4 && pages <= three_quarters;
    let class = 2 * octave.trailing_zeros() as usize - usize::from(is_between);
    let pages = if is_between { three_quarters } else { octave };
    Some((class, pages.checked_mul(page)?)).filter(|(class, _)| *class < CLASSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_for_and_waste_less_than_half() {
        let page = system::page_size();
        let mut sizes = Vec::new();
        for pages in 1..2000 {
            for bytes in [pages * page - page + 1, pages * page] {
                let (class, size) = class_of(bytes).unwrap();
                assert!(size >= bytes && size.is_multiple_of(page));
                assert!(size <= page || size * 2 < bytes * 3 + 2 * page, "{bytes} in {size}");
                if sizes.len() <= class {
                    sizes.resize(class + 1, 0);
                }
                assert!(sizes[class] == 0 || sizes[class] == size, "one size a class");
                sizes[class] = size;
            }
        }
        assert_eq!(class_of(0), class_of(1));
        assert_eq!(class_of(usize::MAX), None);
    }
}
