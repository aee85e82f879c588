//! Elements in memory and as vectors of four f32.

use core::arch::wasm32::*;

/// An element type that kernels compute on in f32.
pub trait Elem: Copy + 'static {
    /// Four elements as f32.
    ///
    /// # Safety
    /// There are four elements to read at `from`.
    unsafe fn load(from: *const Self) -> v128;
    /// Four f32 as elements.
    ///
    /// # Safety
    /// There is room for four elements at `to`.
    unsafe fn store(to: *mut Self, value: v128);
    fn to_f32(self) -> f32;
    fn from_f32(value: f32) -> Self;

    /// Four elements from the front of the slice.
    #[inline(always)]
    fn load4(from: &[Self]) -> v128 {
        // SAFETY: the slice has four elements, or indexing stops here.
        unsafe { Self::load(from[..4].as_ptr()) }
    }

    /// Four elements to the front of the slice.
    #[inline(always)]
    fn store4(to: &mut [Self], value: v128) {
        // SAFETY: as above.
        unsafe { Self::store(to[..4].as_mut_ptr(), value) }
    }
}

impl Elem for f32 {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> v128 {
        // SAFETY: the caller's promise.
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: v128) {
        // SAFETY: the caller's promise.
        unsafe { v128_store(to.cast(), value) }
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> f32 {
        value
    }
}

/// Half precision, by its bits.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct F16(pub u16);

impl Elem for F16 {
    #[inline(always)]
    unsafe fn load(from: *const F16) -> v128 {
        // SAFETY: the caller's promise: four elements of two bytes each.
        widen(unsafe { u32x4_load_extend_u16x4(from.cast()) })
    }

    #[inline(always)]
    unsafe fn store(to: *mut F16, value: v128) {
        let bits = narrow(value);
        let packed = u16x8_narrow_i32x4(bits, bits);
        // SAFETY: the caller's promise: four elements of two bytes each.
        unsafe { v128_store64_lane::<0>(packed, to.cast()) }
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32x4_extract_lane::<0>(widen(u32x4_splat(self.0.into())))
    }

    #[inline(always)]
    fn from_f32(value: f32) -> F16 {
        F16(u32x4_extract_lane::<0>(narrow(f32x4_splat(value))) as u16)
    }
}

/// f16 bits to f32: the exponent is moved by a multiplication with 2^112, which also gets subnormals right.
#[inline(always)]
fn widen(bits: v128) -> v128 {
    let magnitude = u32x4_shl(v128_and(bits, u32x4_splat(0x7fff)), 13);
    let sign = u32x4_shl(v128_and(bits, u32x4_splat(0x8000)), 16);
    let scaled = f32x4_mul(magnitude, f32x4_splat(f32::from_bits(0x7780_0000)));
    let special = u32x4_ge(magnitude, u32x4_splat(0x0f80_0000));
    v128_or(v128_or(scaled, v128_and(special, u32x4_splat(0x7f80_0000))), sign)
}

/// f32 to f16 bits, rounded to nearest even. Normal numbers by integer rounding, small ones by adding a half, whose last place
/// is that of f16's subnormals.
#[inline(always)]
fn narrow(value: v128) -> v128 {
    let sign = v128_and(value, u32x4_splat(0x8000_0000));
    let bits = v128_xor(value, sign);
    let odd = v128_and(u32x4_shr(bits, 13), u32x4_splat(1));
    let rounded = u32x4_shr(u32x4_add(u32x4_add(bits, u32x4_splat(0xc800_0fff)), odd), 13);
    let half = f32x4_splat(0.5);
    let small = u32x4_sub(f32x4_add(bits, half), half);
    let is_small = u32x4_lt(bits, u32x4_splat(0x3880_0000));
    let is_large = u32x4_ge(bits, u32x4_splat(0x4780_0000));
    let is_nan = u32x4_gt(bits, u32x4_splat(0x7f80_0000));
    let large = v128_bitselect(u32x4_splat(0x7e00), u32x4_splat(0x7c00), is_nan);
    let normal = v128_bitselect(small, rounded, is_small);
    v128_or(v128_bitselect(large, normal, is_large), u32x4_shr(sign, 16))
}

/// The sum of the four lanes.
#[inline(always)]
pub fn sum(v: v128) -> f32 {
    let pairs = f32x4_add(v, u32x4_shuffle::<2, 3, 0, 1>(v, v));
    f32x4_extract_lane::<0>(f32x4_add(pairs, u32x4_shuffle::<1, 0, 3, 2>(pairs, pairs)))
}

/// The sums of the lanes of four vectors, as one vector.
#[inline(always)]
pub fn transposed_sum([a, b, c, d]: [v128; 4]) -> v128 {
    let pairs = |a, b| f32x4_add(u32x4_shuffle::<0, 4, 1, 5>(a, b), u32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (ab, cd) = (pairs(a, b), pairs(c, d));
    f32x4_add(u64x2_shuffle::<0, 2>(ab, cd), u64x2_shuffle::<1, 3>(ab, cd))
}
