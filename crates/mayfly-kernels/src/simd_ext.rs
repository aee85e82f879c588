//! What the vector-shaped kernels add to [`Simd`]: combinations of its operations, and loads and stores that take a rest.

use crate::simd::Simd;

/// The widest vector of any instruction set, in f32.
pub(crate) const MAX_LANES: usize = 16;

/// Combinations of [`Simd`]'s operations.
pub(crate) trait SimdExt: Simd {
    /// Reads `x`, which has at most [`Simd::N`] elements; lanes beyond it are zero.
    #[inline(always)]
    fn get(self, x: &[f32]) -> Self::F32 {
        if x.len() >= Self::N { self.load(x) } else { self.load_part(x) }
    }

    /// Writes `y`, which has at most [`Simd::N`] elements.
    #[inline(always)]
    fn put(self, y: &mut [f32], v: Self::F32) {
        if y.len() >= Self::N { self.store(y, v) } else { self.store_part(y, v) }
    }

    /// Reads `x`, which has at most [`Simd::N`] elements; lanes beyond it are `fill`.
    #[inline(always)]
    fn get_or(self, x: &[f32], fill: f32) -> Self::F32 {
        if x.len() >= Self::N {
            return self.load(x);
        }
        self.select(self.lt(self.lanes(), self.splat(x.len() as f32)), self.load_part(x), self.splat(fill))
    }

    /// `0, 1, 2, ...`
    #[inline(always)]
    fn lanes(self) -> Self::F32 {
        const LANES: [f32; MAX_LANES] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
        self.load(&LANES)
    }

    /// `a > b`
    #[inline(always)]
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.lt(b, a)
    }

    /// `a >= b`
    #[inline(always)]
    fn ge(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.le(b, a)
    }

    /// `c - a · b`
    #[inline(always)]
    fn neg_mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        self.mul_add(self.neg(a), b, c)
    }

    /// Whether the mask is set in every lane.
    #[inline(always)]
    fn all(self, m: Self::Mask) -> bool {
        self.reduce_max(self.select(m, self.zero(), self.splat(1.0))) == 0.0
    }

    /// The smallest lane.
    #[inline(always)]
    fn reduce_min(self, a: Self::F32) -> f32 {
        -self.reduce_max(self.neg(a))
    }

    /// Shifts in zeros from the top.
    #[inline(always)]
    fn shr_i32<const BITS: u32>(self, a: Self::I32) -> Self::I32 {
        let kept = self.splat_i32((u32::MAX >> BITS) as i32);
        self.and_i32(self.sra_i32::<BITS>(a), kept)
    }
}

impl<S: Simd> SimdExt for S {}
