//! Where blocks come from.
use core::alloc::Layout;
use core::ptr::NonNull;

/// A source of memory beside the global allocator.
///
/// # Safety
/// What [`Memory::take`] returns is `layout.size()` bytes, aligned as the layout asks, all zero, that nobody else reads or writes until they are given
/// back, and that stay in place as long as the source lives.
pub unsafe trait Memory: Send + Sync {
    /// Room for a block, or nothing where there is none left.
    fn take(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    /// `at` came from [`Memory::take`] of this source with this layout, its bytes are zero again, and nobody refers to them any more.
    unsafe fn give(&self, at: NonNull<u8>, layout: Layout);
}
