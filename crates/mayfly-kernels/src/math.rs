//! Elementary functions on vectors.
//!
//! Each function is one straight line of arithmetic per vector. The bounds below are in units in the last place of the
//! result, over the whole stated range, as swept by `tests/math.rs` against f64; they hold with and without fused
//! multiply-add, so on every instruction set.
//!
//! | function | bound | range | outside, and specials |
//! |---|---|---|---|
//! | [`exp`] | 2 | all finite, gradual underflow included | `-inf` → 0, `inf` → `inf` |
//! | [`log`] | 2 | all positive, subnormals included | ±0 → `-inf`, below 0 → NaN, `inf` → `inf` |
//! | [`tanh`] | 3 | all | ±0 → ±0, ±`inf` → ±1 |
//! | [`sigmoid`] | 3 | `x >= -87.3` | below: 0 |
//! | [`erf`] | 3 | all | ±0 → ±0, ±`inf` → ±1 |
//! | [`sin`], [`cos`] | 2 | all finite | ±`inf` → NaN; `sin(±0)` → ±0 |
//!
//! NaN gives NaN everywhere. Polynomials are minimax approximations with coefficients rounded to f32 (computed with
//! Sollya's `fpminimax`); arguments are reduced with constants split so that their products with small integers are exact
//! (Cody and Waite, 1980).

use crate::simd::Simd;
use crate::simd_ext::{MAX_LANES, SimdExt};

const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two parts; the first has 9 significant bits, so its products with exponents are exact.
const LN_2_HI: f32 = 0.693_359_4;
const LN_2_LO: f32 = -2.121_944_4e-4;
/// 1.5 · 2²³: adding it rounds a small number to an integer that then stands in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Below this `exp` is subnormal.
const EXP_TINY: f32 = -87.336_54;

/// The polynomial with coefficients `c`, highest power first.
#[inline(always)]
fn poly<S: Simd, const N: usize>(s: S, x: S::F32, c: [f32; N]) -> S::F32 {
    let mut y = s.splat(c[0]);
    for &c in &c[1..] {
        y = s.mul_add(y, x, s.splat(c));
    }
    y
}

/// The integer `n` nearest to `x · log2(e)` and `r = x - n ln 2`.
#[inline(always)]
fn reduce_exp<S: Simd>(s: S, x: S::F32) -> (S::I32, S::F32) {
    let shifted = s.mul_add(x, s.splat(LOG2_E), s.splat(ROUND));
    let n = s.sub(shifted, s.splat(ROUND));
    let r = s.mul_add(n, s.splat(-LN_2_HI), x);
    let r = s.mul_add(n, s.splat(-LN_2_LO), r);
    (s.sub_i32(s.to_bits(shifted), s.splat_i32(ROUND.to_bits() as i32)), r)
}

/// `exp(r)` for `|r| <= ln(2) / 2`.
#[inline(always)]
fn exp_reduced<S: Simd>(s: S, r: S::F32) -> S::F32 {
    let q = poly(s, r, [1.393_497_1e-3, 8.363_254e-3, 4.166_646_7e-2, 0.166_665_76, 0.5]);
    let p = s.mul_add(s.mul(r, r), q, r);
    s.add(p, s.splat(1.0))
}

/// `2^n` for `-126 <= n <= 127`.
#[inline(always)]
fn pow2<S: Simd>(s: S, n: S::I32) -> S::F32 {
    s.from_bits(s.shl_i32::<23>(s.add_i32(n, s.splat_i32(127))))
}

/// `exp(x)`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let held = s.max(s.splat(-104.0), s.min(s.splat(89.0), x));
    let (n, r) = reduce_exp(s, held);
    // Two factors, because 2^n alone leaves the normal range at either end.
    let half = s.sra_i32::<1>(n);
    let y = s.mul(exp_reduced(s, r), pow2(s, half));
    s.mul(y, pow2(s, s.sub_i32(n, half)))
}

/// `exp(x)` for `x <= 0`, zero where the result would be subnormal: for sums of exponentials and what is built on them.
#[inline(always)]
pub(crate) fn exp_negative<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, r) = reduce_exp(s, s.max(s.splat(EXP_TINY), x));
    let y = s.mul(exp_reduced(s, r), pow2(s, n));
    s.select(s.lt(x, s.splat(EXP_TINY)), s.splat(0.0), y)
}

/// `exp(x) - 1` for `-20 <= x <= 20`, accurate near 0.
#[inline(always)]
fn expm1_small<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, r) = reduce_exp(s, x);
    let q = poly(s, r, [1.997_231_7e-4, 1.393_050_7e-3, 8.333_177e-3, 4.166_651e-2, 0.166_666_67, 0.5]);
    let q = s.mul_add(s.mul(r, r), q, r);
    let scale = pow2(s, n);
    s.mul_add(scale, q, s.sub(scale, s.splat(1.0)))
}

/// `exp(x) - 1` for `x <= 0`.
#[inline(always)]
pub(crate) fn expm1_negative<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // exp(-20) vanishes beside 1.
    expm1_small(s, s.max(s.splat(-20.0), x))
}

/// `tanh(x)`, as `t / (t + 2)` with `t = exp(2|x|) - 1`.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // From 9.02 on the result rounds to 1.
    let a = s.min(s.splat(9.1), s.abs(x));
    let t = expm1_small(s, s.add(a, a));
    s.copysign(s.div(t, s.add(t, s.splat(2.0))), x)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    let z = exp_negative(s, s.neg(s.abs(x)));
    let numerator = s.select(s.lt(x, s.splat(0.0)), z, one);
    s.div(numerator, s.add(one, z))
}

/// `log(1 + f) - f` for `sqrt(1/2) - 1 <= f <= sqrt(2) - 1`.
#[inline(always)]
fn log1p_tail<S: Simd>(s: S, f: S::F32) -> S::F32 {
    let p = poly(
        s,
        f,
        [
            7.341_39e-2,
            -0.116_625_6,
            0.116_323_38,
            -0.123_961_62,
            0.142_513_75,
            -0.166_691_84,
            0.200_006_8,
            -0.249_999_81,
            0.333_333_31,
        ],
    );
    let f2 = s.mul(f, f);
    s.mul_add(s.mul(f2, f), p, s.mul(f2, s.splat(-0.5)))
}

/// Exponent `e` and mantissa `m` of a positive normal `x = m 2^e`, with `sqrt(1/2) <= m < sqrt(2)`.
#[inline(always)]
fn split<S: Simd>(s: S, x: S::F32) -> (S::I32, S::F32) {
    let bits = s.to_bits(x);
    let root_half = s.splat_i32(core::f32::consts::FRAC_1_SQRT_2.to_bits() as i32);
    let e = s.sra_i32::<23>(s.sub_i32(bits, root_half));
    (e, s.from_bits(s.sub_i32(bits, s.shl_i32::<23>(e))))
}

/// `log(1 + f) + e ln 2`.
#[inline(always)]
fn log_join<S: Simd>(s: S, f: S::F32, e: S::F32) -> S::F32 {
    let tail = s.mul_add(e, s.splat(LN_2_LO), log1p_tail(s, f));
    s.mul_add(e, s.splat(LN_2_HI), s.add(f, tail))
}

/// Natural logarithm.
#[inline(always)]
pub(crate) fn log<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let subnormal = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let scaled = s.select(subnormal, s.mul(x, s.splat(8_388_608.0)), x);
    let (e, m) = split(s, scaled);
    let e = s.add(s.i32_to_f32(e), s.select(subnormal, s.splat(-23.0), s.splat(0.0)));
    let y = log_join(s, s.sub(m, s.splat(1.0)), e);
    let zero = s.splat(0.0);
    let y = s.select(s.lt(x, s.splat(f32::INFINITY)), y, x); // inf and NaN are their own logarithms
    let y = s.select(s.lt(x, zero), s.splat(f32::NAN), y);
    s.select(s.eq(x, zero), s.splat(f32::NEG_INFINITY), y)
}

/// `log(1 + x)` for `0 <= x <= 2^26`.
#[inline(always)]
pub(crate) fn log1p_positive<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    let sum = s.add(x, one);
    // What rounding took from the sum: exact for x below 1 one way and above 1 the other.
    let lost = s.select(s.lt(x, one), s.sub(x, s.sub(sum, one)), s.sub(one, s.sub(sum, x)));
    let (e, m) = split(s, sum);
    let scale = pow2(s, s.sub_i32(s.splat_i32(0), e));
    let f = s.mul_add(lost, scale, s.sub(m, one));
    log_join(s, f, s.i32_to_f32(e))
}

/// `1 - erf(a)` for `0.85 <= a`, relatively accurate to about 1e-6.
#[inline(always)]
fn erfc_tail<S: Simd>(s: S, a: S::F32) -> S::F32 {
    let a = s.min(s.splat(4.0), a);
    let c = [-2.157_084_7e-4, 3.229_048_1e-3, -2.293_475_2e-2, 0.105_331_02, 0.635_666_4, 1.128_529_5];
    exp_negative(s, s.neg(s.mul(a, poly(s, a, c))))
}

/// Error function: `x + x P(x²)` near 0, else `1 - exp(-a Q(a))` with `a = |x|`.
#[inline(always)]
pub(crate) fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.abs(x);
    let c = [-6.354_525e-4, 5.058_650_9e-3, -2.680_776_3e-2, 0.112_828_724, -0.376_125_9, 0.128_379_17];
    let near = s.mul_add(x, poly(s, s.mul(x, x), c), x);
    let far = s.copysign(s.sub(s.splat(1.0), erfc_tail(s, a)), x);
    s.select(s.lt(a, s.splat(0.85)), near, far)
}

/// Up to here arguments of [`sin`] and [`cos`] are reduced in vectors; larger ones go to `libm`, one by one.
const TRIG_LIMIT: f32 = 12_800.0;
/// π/2 in four parts, the first three of 11 bits: their products with up to 2¹³ are exact.
const HALF_PI: [f32; 4] = [1.570_312_5, 4.837_513e-4, 7.549_533_6e-8, 2.563_344e-12];

/// `sin(x + quarters π/2)` for `|x| <= TRIG_LIMIT`.
#[inline(always)]
fn sin_shifted<S: Simd>(s: S, x: S::F32, quarters: i32) -> S::F32 {
    let shifted = s.mul_add(x, s.splat(core::f32::consts::FRAC_2_PI), s.splat(ROUND));
    let n = s.sub(shifted, s.splat(ROUND));
    let mut r = x;
    for part in HALF_PI {
        r = s.mul_add(n, s.splat(-part), r);
    }
    let quadrant = s.add_i32(s.to_bits(shifted), s.splat_i32(quarters));
    let r2 = s.mul(r, r);
    let sin_poly = poly(s, r2, [2.914_464_6e-6, -1.986_074e-4, 8.333_396e-3, -0.166_666_67]);
    let sin = s.mul_add(s.mul(r, r2), sin_poly, r);
    let cos_poly = poly(s, r2, [2.454_211e-5, -1.388_826_5e-3, 4.166_666_4e-2]);
    let cos = s.mul_add(s.mul(r2, r2), cos_poly, s.mul_add(r2, s.splat(-0.5), s.splat(1.0)));
    // Bit 0 of the quadrant swaps sine and cosine, bit 1 turns the sign.
    let odd = s.from_bits(s.shl_i32::<31>(quadrant));
    let y = s.select_by_sign(odd, cos, sin);
    let turn = s.and_i32(s.shl_i32::<30>(quadrant), s.splat_i32(i32::MIN));
    s.from_bits(s.xor_i32(s.to_bits(y), turn))
}

/// `sin(x + quarters π/2)`; `f` is the same function for one number.
#[inline(always)]
fn trig<S: Simd>(s: S, x: S::F32, quarters: i32, f: fn(f32) -> f32) -> S::F32 {
    let y = sin_shifted(s, x, quarters);
    if s.all(s.le(s.abs(x), s.splat(TRIG_LIMIT))) {
        return y;
    }
    let (mut xs, mut ys) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    s.store(&mut xs, x);
    s.store(&mut ys, y);
    trig_far(&xs[..S::N], &mut ys[..S::N], f);
    s.load(&ys)
}

/// Sine.
#[inline(always)]
pub(crate) fn sin<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let y = trig(s, x, 0, libm::sinf);
    s.select(s.eq(x, s.splat(0.0)), x, y) // the sum of r and r³ P loses the sign of -0
}

/// Cosine.
#[inline(always)]
pub(crate) fn cos<S: Simd>(s: S, x: S::F32) -> S::F32 {
    trig(s, x, 1, libm::cosf)
}

/// The lanes of `x` beyond [`TRIG_LIMIT`] through `f`, the others from `y`.
#[cold]
#[inline(never)]
fn trig_far(x: &[f32], y: &mut [f32], f: fn(f32) -> f32) {
    for (y, &x) in y.iter_mut().zip(x) {
        if !(libm::fabsf(x) <= TRIG_LIMIT) {
            *y = f(x);
        }
    }
}
