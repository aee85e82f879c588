//! Protected memory for values that live briefly: blocks that are zero when made and zeroised when dropped, and, with the feature `pages`, slots of
//! locked, undumped pages between guards to put them in.
//!
//! - [`Block`] is memory for plain values. It comes from the allocator, or from the [`Memory`] that the thread is [`within`].
//! - `Vault` hands out `Slot`s: fixed pieces of a slab of pages, each of them a [`Memory`]. What protects them is read back from the system and said
//!   (`Protection`); what is refused is an error or a stated degradation, as the `Level` wants it.
//!
//! `docs/design/lifecycle.md` says what the pages hold against and what they do not.
#![no_std]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod block;
mod memory;
#[cfg(feature = "pages")]
mod pages;
#[cfg(feature = "std")]
mod scope;
mod wipe;

pub use block::{ALIGN, Block};
pub use memory::Memory;
#[cfg(feature = "pages")]
pub use pages::*;
#[cfg(feature = "std")]
pub use scope::{Shortfall, within};
pub use wipe::{clean_stack, is_zero, wipe};
