//! exp of lanes.

use core::arch::wasm32::*;

/// e^-x for x below 87.3, e^-87.3 above, infinity below -88.7; of NaN anything. `N` vectors together: an engine that keeps
/// constants in memory then loads each of them once for all.
///
/// -x = n ln 2 + r with ln 2 in two parts (Cody and Waite), the series of e^r to the seventh power.
#[inline(always)]
pub fn exp_neg<const N: usize>(x: [v128; N]) -> [v128; N] {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: after adding it the lowest bits are an integer
    let splat = f32x4_splat;
    // `pmin` and `pmax` are one instruction each; `min` and `max` look after NaN and the sign of zero.
    let clamped = x.map(|x| f32x4_pmin(f32x4_pmax(x, splat(-88.7)), splat(87.3)));
    let rounded = clamped.map(|x| f32x4_sub(splat(ROUND), f32x4_mul(x, splat(core::f32::consts::LOG2_E))));
    let n = rounded.map(|rounded| f32x4_sub(rounded, splat(ROUND)));
    let r = each(n, clamped, |n, x| f32x4_sub(f32x4_mul(n, splat(-0.693_359_4)), x));
    let r = each(r, n, |r, n| f32x4_sub(r, f32x4_mul(n, splat(-2.121_944_4e-4))));
    let mut p = [splat(1.0 / 5040.0); N];
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = each(p, r, |p, r| f32x4_add(f32x4_mul(p, r), splat(c)));
    }
    // Times 2^n by adding n to the exponent: within the clamps that is never 0 nor 255. ROUND's own bits are shifted out.
    let y = each(p, rounded, |p, rounded| i32x4_add(p, i32x4_shl(rounded, 23)));
    each(y, x, |y, x| v128_bitselect(splat(f32::INFINITY), y, f32x4_lt(x, splat(-88.7))))
}

/// A function of two vectors on each pair.
#[inline(always)]
pub fn each<const N: usize>(a: [v128; N], b: [v128; N], f: impl Fn(v128, v128) -> v128) -> [v128; N] {
    core::array::from_fn(|i| f(a[i], b[i]))
}
