//! exp of four lanes.

use core::arch::wasm32::*;

/// e^x: x = n ln 2 + r with ln 2 in two parts (Cody and Waite), the series of e^r to the seventh power. 0 below -87.3,
/// infinity above 88.7, NaN of NaN.
#[inline(always)]
pub fn exp(x: v128) -> v128 {
    let splat = f32x4_splat;
    let clamped = f32x4_min(f32x4_max(x, splat(-87.3)), splat(88.7));
    let n = f32x4_nearest(f32x4_mul(clamped, splat(core::f32::consts::LOG2_E)));
    let r = f32x4_sub(clamped, f32x4_mul(n, splat(0.693_359_4)));
    let r = f32x4_sub(r, f32x4_mul(n, splat(-2.121_944_4e-4)));
    let mut p = splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = f32x4_add(f32x4_mul(p, r), splat(c));
    }
    let n = i32x4_trunc_sat_f32x4(n);
    let first = i32x4_shr(n, 1);
    let power = |n| i32x4_shl(i32x4_add(n, i32x4_splat(127)), 23);
    let y = f32x4_mul(f32x4_mul(p, power(first)), power(i32x4_sub(n, first)));
    let y = v128_andnot(y, f32x4_lt(x, splat(-87.3)));
    v128_bitselect(splat(f32::INFINITY), y, f32x4_gt(x, splat(88.7)))
}
