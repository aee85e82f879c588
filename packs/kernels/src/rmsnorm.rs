//! Root mean square normalisation of `[rows, dim]` by `[dim]` weights.

use crate::abi::{Call, Code, Result};
use crate::elem::{Elem, transposed_sum};
use core::arch::wasm32::*;

/// Rows that are taken together: their sums are four independent chains, and one division and one root serve all four.
const ROWS: usize = 4;
/// Columns of one turn of a loop. An engine that looks at its clock at every loop head lets no vector stay in a register there,
/// so turns are long.
const STEP: usize = 32;

/// ABI 1: inputs x, weight; output y; parameter eps.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let (x, weight, out) = (call.input_a::<T>(), call.input_b::<T>(), call.output::<T>());
    let eps = f32::from_bits(call.param(0)?);
    let dim = weight.len();
    if dim == 0 || x.len() % dim != 0 || out.len() != x.len() {
        return Err(Code::InvalidInput);
    }
    let (tiles, x_rest) = x.split_at(x.len() - x.len() % (ROWS * dim));
    let (out, out_rest) = out.split_at_mut(tiles.len());
    for (x, out) in tiles.chunks_exact(ROWS * dim).zip(out.chunks_exact_mut(ROWS * dim)) {
        scale::<T, ROWS>(out, x, weight, factors(sums::<T, ROWS>(x, dim), dim, eps));
    }
    for (x, out) in x_rest.chunks_exact(dim).zip(out_rest.chunks_exact_mut(dim)) {
        scale::<T, 1>(out, x, weight, factors(sums::<T, 1>(x, dim), dim, eps));
    }
    Ok(())
}

/// 1 / sqrt(sum / dim + eps) of each lane.
#[inline(always)]
fn factors(sums: v128, dim: usize, eps: f32) -> [f32; ROWS] {
    let means = f32x4_add(f32x4_div(sums, f32x4_splat(dim as f32)), f32x4_splat(eps));
    let all = f32x4_div(f32x4_splat(1.0), f32x4_sqrt(means));
    [f32x4_extract_lane::<0>(all), f32x4_extract_lane::<1>(all), f32x4_extract_lane::<2>(all), f32x4_extract_lane::<3>(all)]
}

/// The sums of squares of `R` rows, a lane each. The order of a sum does not depend on `R`: a row gives the same bits alone
/// and among others.
#[inline(never)]
fn sums<T: Elem, const R: usize>(x: &[T], dim: usize) -> v128 {
    let x = &x[..R * dim];
    let mut sums = [[f32x4_splat(0.0); 2]; ROWS];
    let mut add = |r: usize, i: usize, chain: usize| {
        // SAFETY: i + 4 <= dim, and there are R rows.
        let v = unsafe { T::load(x.as_ptr().add(r * dim + i)) };
        sums[r][chain] = f32x4_add(sums[r][chain], f32x4_mul(v, v));
    };
    let (steps, whole) = (dim - dim % STEP, dim - dim % 4);
    for i in (0..steps).step_by(STEP) {
        for k in (0..STEP).step_by(4) {
            (0..R).for_each(|r| add(r, i + k, k / 4 % 2));
        }
    }
    for i in (steps..whole).step_by(4) {
        (0..R).for_each(|r| add(r, i, i / 4 % 2));
    }
    let mut total = transposed_sum(sums.map(|[a, b]| f32x4_add(a, b)));
    for i in whole..dim {
        let [a, b, c, d] = [0, 1, 2, 3].map(|r| if r < R { x[r * dim + i].to_f32() } else { 0.0 });
        total = f32x4_add(total, f32x4(a * a, b * b, c * c, d * d));
    }
    total
}

/// `R` rows of `x` times their factors and the weights.
#[inline(never)]
fn scale<T: Elem, const R: usize>(out: &mut [T], x: &[T], weight: &[T], factors: [f32; ROWS]) {
    let dim = weight.len();
    let (out, x) = (&mut out[..R * dim], &x[..R * dim]);
    let vectors = factors.map(|factor| f32x4_splat(factor));
    let (steps, whole) = (dim - dim % STEP, dim - dim % 4);
    let mut one = |i: usize| {
        // SAFETY: i + 4 <= dim, and there are R rows.
        unsafe {
            let w = T::load(weight.as_ptr().add(i));
            for (r, factor) in vectors[..R].iter().enumerate() {
                let v = T::load(x.as_ptr().add(r * dim + i));
                T::store(out.as_mut_ptr().add(r * dim + i), f32x4_mul(f32x4_mul(v, *factor), w));
            }
        }
    };
    for i in (0..steps).step_by(STEP) {
        (0..STEP).step_by(4).for_each(|k| one(i + k));
    }
    (steps..whole).step_by(4).for_each(one);
    for i in whole..dim {
        for (r, factor) in factors[..R].iter().enumerate() {
            out[r * dim + i] = T::from_f32(x[r * dim + i].to_f32() * factor * weight[i].to_f32());
        }
    }
}
