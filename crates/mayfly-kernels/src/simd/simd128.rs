//! Four lanes with WebAssembly SIMD.
use super::Simd;
use core::arch::wasm32::*;

/// A token for the instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Simd128(());

impl Simd128 {
    /// The target has these instructions always.
    #[inline(always)]
    pub(crate) fn new() -> Simd128 {
        Simd128(())
    }
}

impl Simd for Simd128 {
    const N: usize = 4;
    type F32 = v128;
    type I32 = v128;
    type Mask = v128;

    #[inline(always)]
    fn splat(self, v: f32) -> v128 {
        f32x4_splat(v)
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> v128 {
        let x = &x[..4];
        // SAFETY: the slice was cut to the length that is touched; no alignment is needed.
        unsafe { v128_load(x.as_ptr().cast()) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> v128 {
        // SAFETY: the caller's promise that the elements are there.
        unsafe { v128_load(x.cast()) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, y: *mut f32, v: v128) {
        // SAFETY: the caller's promise that the elements are there.
        unsafe { v128_store(y.cast(), v) }
    }
    #[inline(always)]
    fn store(self, y: &mut [f32], v: v128) {
        let y = &mut y[..4];
        // SAFETY: the slice was cut to the length that is touched; no alignment is needed.
        unsafe { v128_store(y.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> v128 {
        let part = core::array::from_fn::<f32, 4, _>(|i| x.get(i).copied().unwrap_or(0.0));
        self.load(&part)
    }
    #[inline(always)]
    fn store_part(self, y: &mut [f32], v: v128) {
        let mut all = [0.0; 4];
        self.store(&mut all, v);
        y.iter_mut().zip(all).for_each(|(y, v)| *y = v);
    }
    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn sqrt(self, a: v128) -> v128 {
        f32x4_sqrt(a)
    }
    #[inline(always)]
    fn lt(self, a: v128, b: v128) -> v128 {
        f32x4_lt(a, b)
    }
    #[inline(always)]
    fn le(self, a: v128, b: v128) -> v128 {
        f32x4_le(a, b)
    }
    #[inline(always)]
    fn eq(self, a: v128, b: v128) -> v128 {
        f32x4_eq(a, b)
    }
    #[inline(always)]
    fn select(self, m: v128, a: v128, b: v128) -> v128 {
        v128_bitselect(a, b, m)
    }
    #[inline(always)]
    fn load_i32(self, x: &[i32]) -> v128 {
        let x = &x[..4];
        // SAFETY: the slice was cut to the length that is touched; no alignment is needed.
        unsafe { v128_load(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_i32(self, y: &mut [i32], v: v128) {
        let y = &mut y[..4];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { v128_store(y.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn splat_i32(self, v: i32) -> v128 {
        i32x4_splat(v)
    }
    #[inline(always)]
    fn f32_to_i32(self, a: v128) -> v128 {
        i32x4_trunc_sat_f32x4(a)
    }
    #[inline(always)]
    fn i32_to_f32(self, a: v128) -> v128 {
        f32x4_convert_i32x4(a)
    }
    #[inline(always)]
    fn to_bits(self, a: v128) -> v128 {
        a
    }
    #[inline(always)]
    fn from_bits(self, a: v128) -> v128 {
        a
    }
    #[inline(always)]
    fn dot_i8(self, sums: v128, x: v128, w: v128) -> v128 {
        // Bytes 0 and 2 of each lane, then 1 and 3, as 16-bit numbers; those of `x` are the same for all vectors of a panel.
        let even = |v: v128| i16x8_shr(i16x8_shl(v, 8), 8);
        let odd = |v: v128| i16x8_shr(v, 8);
        let low = i32x4_dot_i16x8(even(x), even(w));
        i32x4_add(sums, i32x4_add(low, i32x4_dot_i16x8(odd(x), odd(w))))
    }
    #[inline(always)]
    fn add_i32(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn sub_i32(self, a: v128, b: v128) -> v128 {
        i32x4_sub(a, b)
    }
    #[inline(always)]
    fn and_i32(self, a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }
    #[inline(always)]
    fn or_i32(self, a: v128, b: v128) -> v128 {
        v128_or(a, b)
    }
    #[inline(always)]
    fn xor_i32(self, a: v128, b: v128) -> v128 {
        v128_xor(a, b)
    }
    #[inline(always)]
    fn eq_i32(self, a: v128, b: v128) -> v128 {
        i32x4_eq(a, b)
    }
    #[inline(always)]
    fn shl_i32<const BITS: u32>(self, a: v128) -> v128 {
        i32x4_shl(a, BITS)
    }
    #[inline(always)]
    fn sra_i32<const BITS: u32>(self, a: v128) -> v128 {
        i32x4_shr(a, BITS)
    }
    #[inline(always)]
    fn reduce_sum(self, a: v128) -> f32 {
        (f32x4_extract_lane::<0>(a) + f32x4_extract_lane::<2>(a))
            + (f32x4_extract_lane::<1>(a) + f32x4_extract_lane::<3>(a))
    }
    #[inline(always)]
    fn reduce_max(self, a: v128) -> f32 {
        let mut lanes = [0.0; 4];
        self.store(&mut lanes, a);
        lanes.into_iter().fold(lanes[0], |m, v| if v > m { v } else { m })
    }
}
