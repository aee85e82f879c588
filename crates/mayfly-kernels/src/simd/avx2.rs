//! Eight lanes with AVX2 and FMA.
use super::Simd;
use core::arch::x86_64::*;

/// A token for the instruction set; see [`Avx2::new`].
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Callable only where the features are enabled: that is the proof the methods below rest on.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn new() -> Avx2 {
        Avx2(())
    }
}

/// The mask of the first `n` lanes: a window over eight ones followed by eight zeros.
#[inline(always)]
fn lanes(n: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let window = &ONES[8 - n.min(8)..][..8];
    // SAFETY: eight elements are there; reached only from methods of `Avx2`.
    unsafe { _mm256_loadu_si256(window.as_ptr().cast()) }
}

impl Simd for Avx2 {
    const N: usize = 8;
    type F32 = __m256;
    type I32 = __m256i;
    type Mask = __m256;

    crate::act_vec::act_calls!("avx2,fma,f16c", Avx2, __m256);

    #[inline(always)]
    fn splat(self, v: f32) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_set1_ps(v) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> __m256 {
        let x = &x[..8];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm256_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> __m256 {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe { _mm256_loadu_ps(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, y: *mut f32, v: __m256) {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe { _mm256_storeu_ps(y, v) }
    }
    #[inline(always)]
    fn store(self, y: &mut [f32], v: __m256) {
        let y = &mut y[..8];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm256_storeu_ps(y.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn load_i32(self, x: &[i32]) -> __m256i {
        let x = &x[..8];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_i32(self, y: &mut [i32], v: __m256i) {
        let y = &mut y[..8];
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm256_storeu_si256(y.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn splat_i32(self, v: i32) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_set1_epi32(v) }
    }
    #[inline(always)]
    fn f32_to_i32(self, a: __m256) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_cvttps_epi32(a) }
    }
    #[inline(always)]
    fn i32_to_f32(self, a: __m256i) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    const DOT_SIGNS: bool = true;
    #[inline(always)]
    fn dot_i8(self, sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
        // The first factor has to be unsigned: its sign goes over to the second. Two products of at most 127² fit 16 bits.
        // SAFETY: `self` proves the instruction set.
        let (x, w) = unsafe { (_mm256_abs_epi8(x), _mm256_sign_epi8(w, x)) };
        self.dot_u7(sums, x, w)
    }
    #[inline(always)]
    fn dot_u7(self, sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let pairs = _mm256_maddubs_epi16(x, w);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    fn to_bits(self, a: __m256) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_castps_si256(a) }
    }
    #[inline(always)]
    fn from_bits(self, a: __m256i) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_castsi256_ps(a) }
    }
    #[inline(always)]
    fn add_i32(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    fn sub_i32(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sub_epi32(a, b) }
    }
    #[inline(always)]
    fn and_i32(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    fn or_i32(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    fn xor_i32(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_xor_si256(a, b) }
    }
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> __m256 {
        // Lanes beyond the slice are masked off and not touched.
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm256_maskload_ps(x.as_ptr(), lanes(x.len())) }
    }
    #[inline(always)]
    fn store_part(self, y: &mut [f32], v: __m256) {
        // Lanes beyond the slice are masked off and not touched.
        // SAFETY: `self` proves the instruction set; the slice was cut to the length that is touched.
        unsafe { _mm256_maskstore_ps(y.as_mut_ptr(), lanes(y.len()), v) }
    }
    #[inline(always)]
    fn lt(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn le(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    fn eq(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn select(self, m: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_blendv_ps(b, a, m) }
    }
    #[inline(always)]
    fn eq_i32(self, a: __m256i, b: __m256i) -> __m256 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)) }
    }
    #[inline(always)]
    fn shl_i32<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(BITS as i32)) }
    }
    #[inline(always)]
    fn sra_i32<const BITS: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(BITS as i32)) }
    }
    #[inline(always)]
    fn reduce_sum(self, a: __m256) -> f32 {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let h = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let q = _mm_add_ps(h, _mm_movehl_ps(h, h));
            _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps::<1>(q, q)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m256) -> f32 {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let h = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let q = _mm_max_ps(h, _mm_movehl_ps(h, h));
            _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps::<1>(q, q)))
        }
    }

    #[inline(always)]
    unsafe fn transpose(self, to: *mut f32, to_row: usize, from: *const f32, from_row: usize, rows: usize) {
        // SAFETY: `self` proves the instruction set; the caller that the elements are there.
        unsafe {
            for q in (0..8).step_by(4) {
                let at = |r: usize| _mm_loadu_ps(from.add(r.min(rows - 1) * from_row + q));
                // One row of each half, side by side.
                let pair = |i: usize| _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(i)), at(4 + i));
                let (a, b, c, d) = (pair(0), pair(1), pair(2), pair(3));
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                _mm256_storeu_ps(to.add(q * to_row), _mm256_shuffle_ps::<0x44>(ab, cd));
                _mm256_storeu_ps(to.add((q + 1) * to_row), _mm256_shuffle_ps::<0xee>(ab, cd));
                _mm256_storeu_ps(to.add((q + 2) * to_row), _mm256_shuffle_ps::<0x44>(ef, gh));
                _mm256_storeu_ps(to.add((q + 3) * to_row), _mm256_shuffle_ps::<0xee>(ef, gh));
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        // SAFETY: `self` proves the instruction set; a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
