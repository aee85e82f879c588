//! Memory for values: aligned to a cache line, zeroed when made, zeroised when dropped.
use alloc::alloc::Layout;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::slice;
use mayfly_vault::Block;
use zeroize::DefaultIsZeroes;

/// Plain numbers: every bit pattern is a value and zero bytes are zero.
pub trait Element: DefaultIsZeroes + sealed::Sealed + Send + Sync + 'static {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($t:ty)*) => { $(impl sealed::Sealed for $t {} impl Element for $t {})* };
}
elements!(f32 f64 u8 i8 u16 i32 u32);

/// A fixed number of elements, 64-byte aligned. Dropping it overwrites them with zeros first.
///
/// They come from the global allocator, or from the memory that the thread is within (`mayfly_vault::within`).
pub struct Buffer<T: Element> {
    block: Block,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Panics
    /// Never for sizes that fit in memory: as with `Vec`, a size beyond `isize::MAX` bytes panics and exhausted memory aborts.
    pub fn zeroed(len: usize) -> Buffer<T> {
        let layout = match Layout::array::<T>(len) {
            Ok(layout) => layout,
            // tidy: panic, because it is the contract of Vec's "capacity overflow"
            Err(_) => panic!("a buffer of {len} elements exceeds the address space"),
        };
        Buffer { block: Block::zeroed(layout), len, elements: PhantomData }
    }

    /// Overwrites all elements with zeros; the writes happen although nobody reads them. Returns how many bytes that were.
    pub fn wipe(&mut self) -> usize {
        mayfly_vault::wipe(self.bytes_mut());
        self.block.size()
    }

    /// Whether all bytes are zero.
    pub fn is_wiped(&self) -> bool {
        mayfly_vault::is_zero(self.bytes())
    }

    /// The elements as bytes, in this machine's order.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block's bytes are initialised, and shared as we are.
        unsafe { slice::from_raw_parts(self.block.as_ptr(), self.block.size()) }
    }

    /// The elements as bytes, in this machine's order. Whatever is written is some number.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block's bytes are initialised, ours alone, and plain numbers may be written as bytes.
        unsafe { slice::from_raw_parts_mut(self.block.as_ptr(), self.block.size()) }
    }
}

impl<T: Element> From<&[T]> for Buffer<T> {
    fn from(values: &[T]) -> Buffer<T> {
        let mut buffer = Buffer::zeroed(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<T: Element> Clone for Buffer<T> {
    fn clone(&self) -> Buffer<T> {
        Buffer::from(&**self)
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the block has room for `len` elements (dangling and aligned when empty), zeroed when made, and is ours.
        unsafe { slice::from_raw_parts(self.block.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.block.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> core::fmt::Debug for Buffer<T> {
    /// The length only: values may be secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Buffer of {}", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_vault::ALIGN;

    #[test]
    fn aligned_zeroed_and_writable() {
        for len in [0, 1, 15, 16, 1000] {
            let mut b = Buffer::<f32>::zeroed(len);
            assert!((b.as_ptr() as usize).is_multiple_of(ALIGN));
            assert!(b.len() == len && b.iter().all(|v| *v == 0.0));
            b.iter_mut().for_each(|v| *v = 1.0);
            assert_eq!(b.clone().iter().sum::<f32>(), len as f32);
            assert_eq!(b.is_wiped(), len == 0);
            assert_eq!(b.wipe(), len * 4);
            assert!(b.is_wiped() && b.iter().all(|v| *v == 0.0));
        }
    }
}
