//! Overwriting that no compiler leaves out.
use core::mem::MaybeUninit;
use core::sync::atomic::{Ordering, compiler_fence};

/// Overwrites with zeros. The writes are volatile: they happen although nobody reads the memory afterwards.
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: bytes may be seen as words where these are aligned, and every bit pattern is a value of both.
    let (head, words, tail) = unsafe { bytes.align_to_mut::<u64>() };
    for byte in head.iter_mut().chain(tail) {
        // SAFETY: an exclusive reference is valid for writes.
        unsafe { core::ptr::write_volatile(byte, 0) }
    }
    for word in words {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(word, 0) }
    }
    // Nothing that frees the memory moves before the writes.
    compiler_fence(Ordering::SeqCst);
}

/// How far below its caller [`clean_stack`] reaches.
const STACK_BYTES: usize = 8 << 10;

/// Overwrites the part of the stack that calls before this one used: kernels spill vectors of values there. It reaches 8 KiB below its caller.
#[inline(never)]
pub fn clean_stack() {
    let mut dead = MaybeUninit::<[u8; STACK_BYTES]>::uninit();
    // SAFETY: the array is ours and is written as a whole.
    unsafe { core::ptr::write_bytes(dead.as_mut_ptr(), 0, 1) }
    // It might be read there, for all that the compiler knows.
    core::hint::black_box(&mut dead);
}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    let whole = bytes.chunks_exact(64);
    let rest = whole.remainder();
    whole.into_iter().all(|chunk| chunk.iter().fold(0, |or, byte| or | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_every_alignment() {
        for start in 0..9 {
            for len in 0..70 {
                let mut bytes = [7u8; 96];
                wipe(&mut bytes[start..start + len]);
                for (i, byte) in bytes.iter().enumerate() {
                    assert_eq!(*byte == 0, (start..start + len).contains(&i), "{start} {len} {i}");
                }
                assert!(is_zero(&bytes[start..start + len]));
                assert!(!is_zero(&bytes[start..start + len + 1]));
            }
        }
    }
}
