//! Plain Rust, one lane: the shortest code for every target. Wider arrays would be vectorised on some, and unrolled into tens of
//! thousands of instructions on all.
use super::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    const N: usize = 1;
    type F32 = f32;
    type I32 = i32;
    type Mask = bool;

    #[inline(always)]
    fn splat(self, v: f32) -> f32 {
        v
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> f32 {
        x[0]
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { *x }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, y: *mut f32, v: f32) {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe { *y = v }
    }
    #[inline(always)]
    fn store(self, y: &mut [f32], v: f32) {
        y[0] = v;
    }
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> f32 {
        if x.is_empty() { 0.0 } else { x[0] }
    }
    #[inline(always)]
    fn store_part(self, y: &mut [f32], v: f32) {
        if !y.is_empty() {
            y[0] = v;
        }
    }
    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        a * b + c // a fused one would be a library call here
    }
    #[inline(always)]
    fn min(self, a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }
    #[inline(always)]
    fn max(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn sqrt(self, a: f32) -> f32 {
        libm::sqrtf(a)
    }
    #[inline(always)]
    fn lt(self, a: f32, b: f32) -> bool {
        a < b
    }
    #[inline(always)]
    fn le(self, a: f32, b: f32) -> bool {
        a <= b
    }
    #[inline(always)]
    fn eq(self, a: f32, b: f32) -> bool {
        a == b
    }
    #[inline(always)]
    fn select(self, m: bool, a: f32, b: f32) -> f32 {
        if m { a } else { b }
    }
    #[inline(always)]
    fn load_i32(self, x: &[i32]) -> i32 {
        x[0]
    }
    #[inline(always)]
    fn store_i32(self, y: &mut [i32], v: i32) {
        y[0] = v;
    }
    #[inline(always)]
    fn splat_i32(self, v: i32) -> i32 {
        v
    }
    #[inline(always)]
    fn f32_to_i32(self, a: f32) -> i32 {
        a as i32
    }
    #[inline(always)]
    fn i32_to_f32(self, a: i32) -> f32 {
        a as f32
    }
    #[inline(always)]
    fn dot_i8(self, sums: i32, x: i32, w: i32) -> i32 {
        let (x, w) = (x.to_le_bytes(), w.to_le_bytes());
        (0..4).fold(sums, |sum, k| sum + i32::from(x[k] as i8) * i32::from(w[k] as i8))
    }
    #[inline(always)]
    fn to_bits(self, a: f32) -> i32 {
        a.to_bits() as i32
    }
    #[inline(always)]
    fn from_bits(self, a: i32) -> f32 {
        f32::from_bits(a as u32)
    }
    #[inline(always)]
    fn add_i32(self, a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn sub_i32(self, a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }
    #[inline(always)]
    fn and_i32(self, a: i32, b: i32) -> i32 {
        a & b
    }
    #[inline(always)]
    fn or_i32(self, a: i32, b: i32) -> i32 {
        a | b
    }
    #[inline(always)]
    fn xor_i32(self, a: i32, b: i32) -> i32 {
        a ^ b
    }
    #[inline(always)]
    fn eq_i32(self, a: i32, b: i32) -> bool {
        a == b
    }
    #[inline(always)]
    fn shl_i32<const BITS: u32>(self, a: i32) -> i32 {
        a << BITS
    }
    #[inline(always)]
    fn sra_i32<const BITS: u32>(self, a: i32) -> i32 {
        a >> BITS
    }
    #[inline(always)]
    fn reduce_sum(self, a: f32) -> f32 {
        a
    }
    #[inline(always)]
    fn reduce_max(self, a: f32) -> f32 {
        a
    }
}
