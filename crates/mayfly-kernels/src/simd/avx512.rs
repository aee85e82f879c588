//! Sixteen lanes with AVX-512 (F, BW, DQ, VL).
use super::Simd;
use core::arch::x86_64::*;

/// A token for the instruction set; see [`Avx512::new`].
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Callable only where the features are enabled: that is the proof the methods below rest on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    pub(crate) fn new() -> Avx512 {
        Avx512(())
    }
}

/// The mask of the first `n` lanes.
#[inline(always)]
fn lanes(n: usize) -> __mmask16 {
    if n >= 16 { u16::MAX } else { (1 << n) - 1 }
}

impl Simd for Avx512 {
    const N: usize = 16;
    const REGISTERS: usize = 32;
    type F32 = __m512;
    type I32 = __m512i;
    type Mask = __mmask16;

    crate::act_vec::act_calls!("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c", Avx512, __m512);

    #[inline(always)]
    fn splat(self, v: f32) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_set1_ps(v) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> __m512 {
        let x = &x[..16];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> __m512 {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe { _mm512_loadu_ps(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, y: *mut f32, v: __m512) {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe { _mm512_storeu_ps(y, v) }
    }
    #[inline(always)]
    fn store(self, y: &mut [f32], v: __m512) {
        let y = &mut y[..16];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm512_storeu_ps(y.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn load_i32(self, x: &[i32]) -> __m512i {
        let x = &x[..16];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_i32(self, y: &mut [i32], v: __m512i) {
        let y = &mut y[..16];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm512_storeu_si512(y.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn splat_i32(self, v: i32) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_set1_epi32(v) }
    }
    #[inline(always)]
    fn f32_to_i32(self, a: __m512) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cvttps_epi32(a) }
    }
    #[inline(always)]
    fn i32_to_f32(self, a: __m512i) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cvtepi32_ps(a) }
    }
    const DOT_SIGNS: bool = true;
    #[inline(always)]
    fn dot_i8(self, sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // As with AVX2, which has an instruction for moving the sign.
        // SAFETY: `self` proves the instruction set.
        let (x, w) = unsafe {
            let signed = _mm512_mask_sub_epi8(w, _mm512_movepi8_mask(x), _mm512_setzero_si512(), w);
            (_mm512_abs_epi8(x), signed)
        };
        self.dot_u7(sums, x, w)
    }
    #[inline(always)]
    fn dot_u7(self, sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let pairs = _mm512_maddubs_epi16(x, w);
            _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        }
    }
    #[inline(always)]
    fn to_bits(self, a: __m512) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_castps_si512(a) }
    }
    #[inline(always)]
    fn from_bits(self, a: __m512i) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_castsi512_ps(a) }
    }
    #[inline(always)]
    fn add_i32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    fn sub_i32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_sub_epi32(a, b) }
    }
    #[inline(always)]
    fn and_i32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    fn or_i32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    fn xor_i32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_xor_si512(a, b) }
    }
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> __m512 {
        let mask = lanes(x.len());
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm512_maskz_loadu_ps(mask, x.as_ptr()) }
    }
    #[inline(always)]
    fn store_part(self, y: &mut [f32], v: __m512) {
        let mask = lanes(y.len());
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm512_mask_storeu_ps(y.as_mut_ptr(), mask, v) }
    }
    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn le(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    fn eq(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn select(self, m: __mmask16, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_mask_blend_ps(m, b, a) }
    }
    #[inline(always)]
    fn eq_i32(self, a: __m512i, b: __m512i) -> __mmask16 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cmpeq_epi32_mask(a, b) }
    }
    #[inline(always)]
    fn shl_i32<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_slli_epi32::<BITS>(a) }
    }
    #[inline(always)]
    fn sra_i32<const BITS: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_srai_epi32::<BITS>(a) }
    }
    #[inline(always)]
    fn reduce_sum(self, a: __m512) -> f32 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_reduce_add_ps(a) }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m512) -> f32 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_reduce_max_ps(a) }
    }

    #[inline(always)]
    unsafe fn transpose(self, to: *mut f32, to_row: usize, from: *const f32, from_row: usize, rows: usize) {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe {
            for q in (0..16).step_by(4) {
                let at = |r: usize| _mm_loadu_ps(from.add(r.min(rows - 1) * from_row + q));
                // One row of each group of four, side by side.
                let quad = |i: usize| {
                    let v = _mm512_castps128_ps512(at(i));
                    let v = _mm512_insertf32x4::<1>(v, at(4 + i));
                    let v = _mm512_insertf32x4::<2>(v, at(8 + i));
                    _mm512_insertf32x4::<3>(v, at(12 + i))
                };
                let (a, b, c, d) = (quad(0), quad(1), quad(2), quad(3));
                let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                _mm512_storeu_ps(to.add(q * to_row), _mm512_shuffle_ps::<0x44>(ab, cd));
                _mm512_storeu_ps(to.add((q + 1) * to_row), _mm512_shuffle_ps::<0xee>(ab, cd));
                _mm512_storeu_ps(to.add((q + 2) * to_row), _mm512_shuffle_ps::<0x44>(ef, gh));
                _mm512_storeu_ps(to.add((q + 3) * to_row), _mm512_shuffle_ps::<0xee>(ef, gh));
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        // SAFETY: `self` proves the instruction set; a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
