//! Four lanes in plain Rust.
use super::Simd;
use core::array::from_fn;

#[derive(Clone, Copy)]
pub(crate) struct Scalar;

type F = [f32; 4];
type I = [i32; 4];

#[inline(always)]
fn zip<A: Copy, B: Copy, C>(a: [A; 4], b: [B; 4], f: impl Fn(A, B) -> C) -> [C; 4] {
    from_fn(|i| f(a[i], b[i]))
}

impl Simd for Scalar {
    const N: usize = 4;
    type F32 = F;
    type I32 = I;
    type Mask = [bool; 4];

    #[inline(always)]
    fn splat(self, v: f32) -> F {
        [v; 4]
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> F {
        [x[0], x[1], x[2], x[3]]
    }
    #[inline(always)]
    fn store(self, y: &mut [f32], v: F) {
        y[..4].copy_from_slice(&v);
    }
    #[inline(always)]
    fn load_part(self, x: &[f32]) -> F {
        from_fn(|i| x.get(i).copied().unwrap_or(0.0))
    }
    #[inline(always)]
    fn store_part(self, y: &mut [f32], v: F) {
        y.iter_mut().zip(v).for_each(|(y, v)| *y = v);
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        from_fn(|i| a[i] * b[i] + c[i]) // a fused one would be a library call here
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        a.map(libm::sqrtf)
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> [bool; 4] {
        zip(a, b, |a, b| a < b)
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> [bool; 4] {
        zip(a, b, |a, b| a <= b)
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> [bool; 4] {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn select(self, m: [bool; 4], a: F, b: F) -> F {
        from_fn(|i| if m[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn load_i32(self, x: &[i32]) -> I {
        [x[0], x[1], x[2], x[3]]
    }
    #[inline(always)]
    fn splat_i32(self, v: i32) -> I {
        [v; 4]
    }
    #[inline(always)]
    fn f32_to_i32(self, a: F) -> I {
        a.map(|a| a as i32)
    }
    #[inline(always)]
    fn i32_to_f32(self, a: I) -> F {
        a.map(|a| a as f32)
    }
    #[inline(always)]
    fn to_bits(self, a: F) -> I {
        a.map(|a| a.to_bits() as i32)
    }
    #[inline(always)]
    fn from_bits(self, a: I) -> F {
        a.map(|a| f32::from_bits(a as u32))
    }
    #[inline(always)]
    fn add_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    fn sub_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::wrapping_sub)
    }
    #[inline(always)]
    fn and_i32(self, a: I, b: I) -> I {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or_i32(self, a: I, b: I) -> I {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn xor_i32(self, a: I, b: I) -> I {
        zip(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn eq_i32(self, a: I, b: I) -> [bool; 4] {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn shl_i32<const BITS: u32>(self, a: I) -> I {
        a.map(|a| a << BITS)
    }
    #[inline(always)]
    fn sra_i32<const BITS: u32>(self, a: I) -> I {
        a.map(|a| a >> BITS)
    }
    #[inline(always)]
    fn reduce_sum(self, a: F) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        a.into_iter().fold(a[0], |m, v| if v > m { v } else { m })
    }
}
