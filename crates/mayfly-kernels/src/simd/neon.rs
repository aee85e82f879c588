//! Four lanes with NEON.
use super::Simd;
use core::arch::aarch64::*;

/// A token for the instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// The target has these instructions always.
    #[inline(always)]
    pub(crate) fn new() -> Neon {
        Neon(())
    }
}

#[allow(unused_unsafe)] // newer compilers take these for safe where the feature is always on
impl Simd for Neon {
    const N: usize = 4;
    const REGISTERS: usize = 32;
    type F32 = float32x4_t;
    type I32 = int32x4_t;
    type Mask = uint32x4_t;

    #[inline(always)]
    fn splat(self, v: f32) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vdupq_n_f32(v) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> float32x4_t {
        let x = &x[..4];
        // SAFETY: the slice was cut to the length that is touched.
        unsafe { vld1q_f32(x.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> float32x4_t {
        // SAFETY: the caller's promise that the elements are there.
        unsafe { vld1q_f32(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, y: *mut f32, v: float32x4_t) {
        // SAFETY: the caller's promise that the elements are there.
        unsafe { vst1q_f32(y, v) }
    }
    #[inline(always)]
    fn store(self, y: &mut [f32], v: float32x4_t) {
        let y = &mut y[..4];
        // SAFETY: the slice was cut to the length that is touched.
        unsafe { vst1q_f32(y.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> float32x4_t {
        let part = core::array::from_fn::<f32, 4, _>(|i| x.get(i).copied().unwrap_or(0.0));
        self.load(&part)
    }
    #[inline(always)]
    fn store_part(self, y: &mut [f32], v: float32x4_t) {
        let mut all = [0.0; 4];
        self.store(&mut all, v);
        y.iter_mut().zip(all).for_each(|(y, v)| *y = v);
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select(self.lt(a, b), a, b)
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select(self.lt(b, a), a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    fn lt(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vcltq_f32(a, b) }
    }
    #[inline(always)]
    fn le(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vcleq_f32(a, b) }
    }
    #[inline(always)]
    fn eq(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vceqq_f32(a, b) }
    }
    #[inline(always)]
    fn select(self, m: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vbslq_f32(m, a, b) }
    }
    #[inline(always)]
    fn load_i32(self, x: &[i32]) -> int32x4_t {
        let x = &x[..4];
        // SAFETY: the slice was cut to the length that is touched.
        unsafe { vld1q_s32(x.as_ptr()) }
    }
    #[inline(always)]
    fn store_i32(self, y: &mut [i32], v: int32x4_t) {
        let y = &mut y[..4];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { vst1q_s32(y.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn splat_i32(self, v: i32) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vdupq_n_s32(v) }
    }
    #[inline(always)]
    fn f32_to_i32(self, a: float32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vcvtq_s32_f32(a) }
    }
    #[inline(always)]
    fn i32_to_f32(self, a: int32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    fn to_bits(self, a: float32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vreinterpretq_s32_f32(a) }
    }
    #[inline(always)]
    fn from_bits(self, a: int32x4_t) -> float32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vreinterpretq_f32_s32(a) }
    }
    #[inline(always)]
    fn dot_i8(self, sums: int32x4_t, x: int32x4_t, w: int32x4_t) -> int32x4_t {
        // Products of bytes fit 16 bits, and so do sums of two.
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let (x, w) = (vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
            let low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
            let high = vmull_high_s8(x, w);
            vpadalq_s16(sums, vpaddq_s16(low, high))
        }
    }
    #[inline(always)]
    fn add_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vaddq_s32(a, b) }
    }
    #[inline(always)]
    fn sub_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vsubq_s32(a, b) }
    }
    #[inline(always)]
    fn and_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vandq_s32(a, b) }
    }
    #[inline(always)]
    fn or_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vorrq_s32(a, b) }
    }
    #[inline(always)]
    fn xor_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { veorq_s32(a, b) }
    }
    #[inline(always)]
    fn eq_i32(self, a: int32x4_t, b: int32x4_t) -> uint32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vceqq_s32(a, b) }
    }
    #[inline(always)]
    fn shl_i32<const BITS: u32>(self, a: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vshlq_s32(a, vdupq_n_s32(BITS as i32)) }
    }
    #[inline(always)]
    fn sra_i32<const BITS: u32>(self, a: int32x4_t) -> int32x4_t {
        // SAFETY: the target has the instruction.
        unsafe { vshlq_s32(a, vdupq_n_s32(-(BITS as i32))) }
    }
    #[inline(always)]
    fn reduce_sum(self, a: float32x4_t) -> f32 {
        // SAFETY: the target has the instruction.
        unsafe { vaddvq_f32(a) }
    }
    #[inline(always)]
    fn reduce_max(self, a: float32x4_t) -> f32 {
        // SAFETY: the target has the instruction.
        unsafe { vmaxvq_f32(a) }
    }
}
