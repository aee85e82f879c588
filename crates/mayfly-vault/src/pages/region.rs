//! A stretch of pages: slots of one size, each between two guards.
//!
//! `guard | slot | guard | slot | … | guard`. The whole is mapped without access; slots are opened and protected one by one.
use super::config::{Level, Mode, VaultError};
use super::protection::{Hold, Protection};
use super::refusal::{Advice, Refusal};
use super::smaps::{self, Mapping};
use super::system;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// Whether this system has what protects pages.
const HERE: bool = cfg!(target_os = "linux");

/// The pages. They are unmapped when the region is dropped, which its vault does when all slots are free.
pub(super) struct Region {
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region is an address that it owns; it gives pointers away and reads nothing.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// One slot of a region, with what protects it.
pub(super) struct Opened {
    pub(super) at: NonNull<u8>,
    pub(super) protection: Protection,
}

// SAFETY: an address and plain values.
unsafe impl Send for Opened {}

/// How many slots of how many bytes (whole pages), and of what kind.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) slots: usize,
    pub(super) slot_bytes: usize,
    pub(super) mode: Mode,
    pub(super) level: Level,
}

impl Region {
    /// Maps a region and opens its slots. A strict vault gets only slots that are wholly protected, which may be fewer than it asked for; none at all is an error.
    pub(super) fn new(request: &Request) -> Result<(Region, Vec<Opened>), VaultError> {
        let Request { slots, slot_bytes, mode, level } = *request;
        let page = system::page_size();
        let too_much = VaultError::NoPages { bytes: usize::MAX, what: "mmap", errno: 0 };
        let stride = slot_bytes.checked_add(page).ok_or(too_much.clone())?;
        let bytes = stride.checked_mul(slots).and_then(|b| b.checked_add(page)).ok_or(too_much)?;
        let (region, secret) = Region::map(bytes, mode, level)?;
        let mut opened = Vec::with_capacity(slots);
        for slot in 0..slots {
            // SAFETY: within the mapping, whose size was computed from the same numbers.
            let at = unsafe { region.at.add(page + slot * stride) };
            // SAFETY: whole pages of our own mapping that nobody knows yet.
            unsafe { system::open(at, slot_bytes) }.map_err(|refusal| no_pages(slot_bytes, refusal))?;
            let protection = match level {
                Level::Off => {
                    Protection { guarded: if HERE { Hold::Holds } else { Hold::NotHere }, ..Protection::default() }
                }
                // SAFETY: as above.
                _ => unsafe { protect(at, slot_bytes, secret) },
            };
            opened.push(Opened { at, protection });
        }
        if level != Level::Off && HERE {
            read_back(&mut opened);
        }
        if level == Level::Strict {
            let first = opened.first().map(|slot| slot.protection).unwrap_or_default();
            opened.retain(|slot| slot.protection.is_whole());
            if opened.is_empty() {
                return Err(VaultError::Unprotected { held: first, remedy: first.remedy().unwrap_or_default() });
            }
        }
        Ok((region, opened))
    }

    /// Address space of the kind that is asked for; only a strict vault insists on secret memory.
    fn map(bytes: usize, mode: Mode, level: Level) -> Result<(Region, Hold), VaultError> {
        let region = |at| Region { at, bytes };
        match system::map(bytes, mode) {
            Ok(at) if mode == Mode::Secret => Ok((region(at), Hold::Holds)),
            Ok(at) => Ok((region(at), Hold::NotAsked)),
            Err(refusal) if mode == Mode::Private => Err(no_pages(bytes, refusal)),
            Err(refusal) => {
                let secret = if HERE { Hold::Refused(refusal.errno) } else { Hold::NotHere };
                if level == Level::Strict {
                    let held = Protection { secret, ..Protection::default() };
                    return Err(VaultError::Unprotected { held, remedy: held.remedy().unwrap_or_default() });
                }
                let at = system::map(bytes, Mode::Private).map_err(|refusal| no_pages(bytes, refusal))?;
                Ok((region(at), secret))
            }
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this size; the vault drops a region when none of its slots is in use.
        unsafe { system::unmap(self.at, self.bytes) }
    }
}

fn no_pages(bytes: usize, refusal: Refusal) -> VaultError {
    VaultError::NoPages { bytes, what: refusal.what, errno: refusal.errno }
}

/// Asks for every protection and keeps each answer.
///
/// # Safety
/// `at` and `bytes` are whole pages of a mapping that nobody refers to.
unsafe fn protect(at: NonNull<u8>, bytes: usize, secret: Hold) -> Protection {
    let answer = |result: Result<(), Refusal>| match result {
        _ if !HERE => Hold::NotHere,
        Ok(()) => Hold::Unconfirmed,
        Err(refusal) => Hold::Refused(refusal.errno),
    };
    // The kernel keeps secret memory locked and undumped itself, and refuses to wipe it for a child.
    if secret == Hold::Holds {
        return Protection {
            locked: Hold::Unconfirmed,
            undumped: Hold::Unconfirmed,
            fork_wiped: Hold::NotAsked,
            guarded: Hold::Holds,
            secret,
        };
    }
    // SAFETY: the caller's pages, for all three calls. The advice comes first: locking touches every page.
    let (undumped, fork_wiped, locked) = unsafe {
        let undumped = answer(system::advise(at, bytes, Advice::DontDump));
        let fork_wiped = answer(system::advise(at, bytes, Advice::WipeOnFork));
        (undumped, fork_wiped, answer(system::lock(at, bytes)))
    };
    let guarded = if HERE { Hold::Holds } else { Hold::NotHere };
    Protection { locked, undumped, fork_wiped, guarded, secret }
}

/// Holds what was accepted against what the kernel says of the pages.
fn read_back(opened: &mut [Opened]) {
    let mappings = smaps::parse(&system::smaps());
    for slot in opened {
        let Some(mapping) = smaps::find(&mappings, slot.at.addr().get()) else { continue };
        confirm(&mut slot.protection, mapping);
    }
}

fn confirm(protection: &mut Protection, mapping: &Mapping) {
    let confirmed = |hold: &mut Hold, is_so: bool| {
        if *hold == Hold::Unconfirmed && is_so {
            *hold = Hold::Holds;
        }
    };
    confirmed(&mut protection.locked, mapping.locked);
    confirmed(&mut protection.undumped, mapping.undumped);
    confirmed(&mut protection.fork_wiped, mapping.fork_wiped);
}
