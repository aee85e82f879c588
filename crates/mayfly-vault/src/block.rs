//! Memory that is zero when it comes and zero when it goes.
use crate::memory::Memory;
use crate::wipe::wipe;
use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use alloc::sync::Arc;
use core::ptr::NonNull;
use core::slice;

/// What every block is aligned to: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// Some bytes, aligned to [`ALIGN`], zero when made and overwritten with zeros when dropped.
///
/// They come from the memory that the thread is [`within`](crate::within), else from the global allocator. A block never refers to its bytes before it is
/// dropped: its owner does, through [`Block::as_ptr`].
pub struct Block {
    at: NonNull<u8>,
    layout: Layout,
    /// Where they go back to; none for the allocator.
    home: Option<Arc<dyn Memory>>,
}

// SAFETY: the block owns its bytes, and its source may be used from every thread.
unsafe impl Send for Block {}
// SAFETY: shared access gives a pointer away and touches nothing.
unsafe impl Sync for Block {}

impl Block {
    /// Zeros for values of this layout. Exhausted memory aborts, as with `Vec`.
    ///
    /// # Panics
    /// A layout that exceeds `isize::MAX` when it is aligned, which no array of values has.
    pub fn zeroed(layout: Layout) -> Block {
        let layout = match layout.align_to(ALIGN) {
            Ok(layout) => layout,
            // tidy: panic, because it is the contract of Vec's "capacity overflow"
            Err(_) => panic!("a block of {} bytes exceeds the address space", layout.size()),
        };
        if layout.size() == 0 {
            return Block { at: layout.dangling_ptr(), layout, home: None };
        }
        #[cfg(feature = "std")]
        if let Some((at, home)) = crate::scope::take(layout) {
            return Block { at, layout, home: Some(home) };
        }
        // SAFETY: the layout is not empty.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(at) = NonNull::new(raw) else { handle_alloc_error(layout) };
        Block { at, layout, home: None }
    }

    /// Where the bytes are. They are the owner's as long as the block lives.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut u8 {
        self.at.as_ptr()
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        self.layout.size()
    }

    /// Whether they lie in a memory of their own and not in the allocator's.
    pub fn is_placed(&self) -> bool {
        self.home.is_some()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.layout.size() == 0 {
            return;
        }
        // SAFETY: the bytes are initialised (zeroed when made) and ours; whoever has a pointer has it from us, and we are about to be gone.
        wipe(unsafe { slice::from_raw_parts_mut(self.at.as_ptr(), self.layout.size()) });
        match &self.home {
            // SAFETY: taken from this source in `zeroed` with this layout, and wiped in the line above.
            Some(home) => unsafe { home.give(self.at, self.layout) },
            // SAFETY: allocated in `zeroed` with this layout.
            None => unsafe { dealloc(self.at.as_ptr(), self.layout) },
        }
    }
}

impl core::fmt::Debug for Block {
    /// The size only: bytes may be secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Block of {} bytes", self.size())
    }
}
