//! Memory for values: aligned to a cache line, zeroed when made, zeroised when dropped.
use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
use zeroize::{DefaultIsZeroes, Zeroize};

/// A cache line, and the widest vector.
const ALIGN: usize = 64;

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
pub struct Buffer<T: Element> {
    ptr: NonNull<T>,
    len: usize,
}

// SAFETY: the buffer owns its memory and its elements are plain numbers.
unsafe impl<T: Element> Send for Buffer<T> {}
// SAFETY: shared access only reads.
unsafe impl<T: Element> Sync for Buffer<T> {}

impl<T: Element> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Panics
    /// Never for sizes that fit in memory: as with `Vec`, a size beyond `isize::MAX` bytes panics and exhausted memory aborts.
    pub fn zeroed(len: usize) -> Buffer<T> {
        let layout = Self::layout(len);
        if layout.size() == 0 {
            return Buffer { ptr: NonNull::dangling(), len };
        }
        // SAFETY: the layout is not empty.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(ptr) = NonNull::new(raw.cast::<T>()) else { handle_alloc_error(layout) };
        Buffer { ptr, len }
    }

    fn layout(len: usize) -> Layout {
        match Layout::array::<T>(len).and_then(|l| l.align_to(ALIGN)) {
            Ok(layout) => layout,
            // tidy: panic, because it is the contract of Vec's "capacity overflow"
            Err(_) => panic!("a buffer of {len} elements exceeds the address space"),
        }
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
    fn deref(&self) -> &[T] {
        // SAFETY: `len` initialised elements at `ptr`, owned by us (dangling and aligned when empty).
        unsafe { slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.deref_mut().zeroize();
        let layout = Self::layout(self.len);
        if layout.size() > 0 {
            // SAFETY: allocated in `zeroed` with this layout.
            unsafe { dealloc(self.ptr.as_ptr().cast(), layout) }
        }
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

    #[test]
    fn aligned_zeroed_and_writable() {
        for len in [0, 1, 15, 16, 1000] {
            let mut b = Buffer::<f32>::zeroed(len);
            assert!((b.as_ptr() as usize).is_multiple_of(if len == 0 { 4 } else { ALIGN }));
            assert!(b.len() == len && b.iter().all(|v| *v == 0.0));
            b.iter_mut().for_each(|v| *v = 1.0);
            assert_eq!(b.clone().iter().sum::<f32>(), len as f32);
        }
    }
}
