//! Rotary position embedding over `[seq, heads, dim]` with a table `[seq, dim]` of cosines and sines.

use crate::abi::{Call, Code, Result};
use crate::elem::Elem;
use core::arch::wasm32::*;

pub const INTERLEAVED: u32 = 0;
pub const HALF: u32 = 1;

/// ABI 2: inputs x, table; output y; parameter layout.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let call = call.v2();
    let (x, table, y) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (heads, dim) = (x.dim(1), x.dim(2));
    rotate::<T, T>(y.data_mut(), x.data(), table.data(), heads, dim, call.param(0)?)
}

/// Rotates with a table of f32, or of the elements' own type.
pub fn rotate<T: Elem, C: Elem>(out: &mut [T], x: &[T], table: &[C], heads: usize, dim: usize, layout: u32) -> Result<()> {
    if heads == 0 || dim == 0 || dim % 2 != 0 || x.len() != out.len() || table.len() * heads != x.len() {
        return Err(Code::InvalidInput);
    }
    if layout > HALF {
        return Err(Code::InvalidParams);
    }
    let positions = x.chunks_exact(heads * dim).zip(out.chunks_exact_mut(heads * dim));
    for ((x, out), table) in positions.zip(table.chunks_exact(dim)) {
        let (cos, sin) = table.split_at(dim / 2);
        if layout == HALF { half(out, x, cos, sin) } else { interleaved(out, x, cos, sin) }
    }
    Ok(())
}

#[inline(always)]
fn turn(a: v128, b: v128, c: v128, s: v128) -> (v128, v128) {
    (f32x4_sub(f32x4_mul(a, c), f32x4_mul(b, s)), f32x4_add(f32x4_mul(a, s), f32x4_mul(b, c)))
}

fn turn_one<T: Elem, C: Elem>(a: T, b: T, c: C, s: C) -> (T, T) {
    let (a, b, c, s) = (a.to_f32(), b.to_f32(), c.to_f32(), s.to_f32());
    (T::from_f32(a * c - b * s), T::from_f32(a * s + b * c))
}

/// Pairs of one turn of a loop. An engine that looks at its clock at every loop head lets no vector stay in a register there,
/// so turns are long.
const PAIRS: usize = 16;

/// All heads of a position; `cos` and `sin` have half a head's elements, `x` and `out` whole heads of one length.
#[inline(always)]
fn half<T: Elem, C: Elem>(out: &mut [T], x: &[T], cos: &[C], sin: &[C]) {
    let n = cos.len();
    let (steps, whole) = (n - n % PAIRS, n - n % 4);
    for (x, out) in x.chunks_exact(2 * n).zip(out.chunks_exact_mut(2 * n)) {
        let (a, out_a, cos_at, sin_at) = (x.as_ptr(), out.as_mut_ptr(), cos.as_ptr(), sin.as_ptr());
        // SAFETY: i + 4 <= n, which `cos` and `sin` have and a head twice.
        let four = |i: usize| unsafe {
            let (y, z) = turn(T::load(a.add(i)), T::load(a.add(n + i)), C::load(cos_at.add(i)), C::load(sin_at.add(i)));
            T::store(out_a.add(i), y);
            T::store(out_a.add(n + i), z);
        };
        for i in (0..steps).step_by(PAIRS) {
            (0..PAIRS).step_by(4).for_each(|k| four(i + k));
        }
        (steps..whole).step_by(4).for_each(four);
        for i in whole..n {
            (out[i], out[i + n]) = turn_one(x[i], x[i + n], cos[i], sin[i]);
        }
    }
}

/// As [`half`] with neighbours as pairs.
#[inline(always)]
fn interleaved<T: Elem, C: Elem>(out: &mut [T], x: &[T], cos: &[C], sin: &[C]) {
    let n = cos.len();
    let (steps, whole) = (n - n % PAIRS, n - n % 4);
    for (x, out) in x.chunks_exact(2 * n).zip(out.chunks_exact_mut(2 * n)) {
        let (from, to, cos_at, sin_at) = (x.as_ptr(), out.as_mut_ptr(), cos.as_ptr(), sin.as_ptr());
        // SAFETY: i + 4 <= n, which `cos` and `sin` have and a head twice.
        let four = |i: usize| unsafe {
            let (low, high) = (T::load(from.add(2 * i)), T::load(from.add(2 * i + 4)));
            let (a, b) = (u32x4_shuffle::<0, 2, 4, 6>(low, high), u32x4_shuffle::<1, 3, 5, 7>(low, high));
            let (y, z) = turn(a, b, C::load(cos_at.add(i)), C::load(sin_at.add(i)));
            T::store(to.add(2 * i), u32x4_shuffle::<0, 4, 1, 5>(y, z));
            T::store(to.add(2 * i + 4), u32x4_shuffle::<2, 6, 3, 7>(y, z));
        };
        for i in (0..steps).step_by(PAIRS) {
            (0..PAIRS).step_by(4).for_each(|k| four(i + k));
        }
        (steps..whole).step_by(4).for_each(four);
        for i in whole..n {
            (out[2 * i], out[2 * i + 1]) = turn_one(x[2 * i], x[2 * i + 1], cos[i], sin[i]);
        }
    }
}

const BLOCK: usize = 32;

/// ABI 2: inputs x (q8), scales, table (f32); outputs y (q8), its scales; scratch two heads of f32; parameter layout.
pub fn run_q8(call: &Call) -> Result<()> {
    let call = call.v2();
    let (x, scales, table) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (y, y_scales) = (call.tensor(3)?, call.tensor(4)?);
    let (heads, dim) = (x.dim(1), x.dim(2));
    let layout = call.param(0)?;
    let (before, after) = call.scratch::<f32>().split_at_mut_checked(dim).ok_or(Code::InvalidOutput)?;
    if dim == 0 || dim % BLOCK != 0 || after.len() < dim || heads == 0 {
        return Err(Code::InvalidInput);
    }
    let (data, out, table) = (x.data::<i8>(), y.data_mut::<i8>(), table.data::<f32>());
    let blocks = dim / BLOCK;
    let rows = data.chunks_exact(dim).zip(scales.data::<f32>().chunks_exact(blocks));
    let outs = out.chunks_exact_mut(dim).zip(y_scales.data_mut::<f32>().chunks_exact_mut(blocks));
    for (row, ((data, scales), (out, out_scales))) in rows.zip(outs).enumerate() {
        let angles = table.chunks_exact(dim).nth(row / heads).ok_or(Code::InvalidInput)?;
        for ((block, scale), to) in data.chunks_exact(BLOCK).zip(scales).zip(before.chunks_exact_mut(BLOCK)) {
            dequantise(to, block, *scale);
        }
        rotate(&mut after[..dim], before, angles, 1, dim, layout)?;
        for ((block, out), scale) in after.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK)).zip(out_scales) {
            *scale = quantise(out, block);
        }
    }
    Ok(())
}

fn dequantise(out: &mut [f32], block: &[i8], scale: f32) {
    let scale = f32x4_splat(scale);
    for (out, q) in out.chunks_exact_mut(4).zip(block.chunks_exact(4)) {
        let four = i32x4(q[0].into(), q[1].into(), q[2].into(), q[3].into());
        f32::store4(out, f32x4_mul(f32x4_convert_i32x4(four), scale));
    }
}

/// The largest magnitude becomes 127.
fn quantise(out: &mut [i8], block: &[f32]) -> f32 {
    let largest = block.chunks_exact(4).fold(f32x4_splat(0.0), |m, v| f32x4_max(m, f32x4_abs(f32::load4(v))));
    let pairs = f32x4_max(largest, u32x4_shuffle::<2, 3, 0, 1>(largest, largest));
    let scale = f32x4_extract_lane::<0>(f32x4_max(pairs, u32x4_shuffle::<1, 0, 3, 2>(pairs, pairs))) / 127.0;
    let inverse = f32x4_splat(if scale > 0.0 { 1.0 / scale } else { 0.0 });
    for (out, v) in out.chunks_exact_mut(4).zip(block.chunks_exact(4)) {
        let q = i32x4_trunc_sat_f32x4(f32x4_nearest(f32x4_mul(f32::load4(v), inverse)));
        let bytes = i8x16_narrow_i16x8(i16x8_narrow_i32x4(q, q), i16x8_narrow_i32x4(q, q));
        out.copy_from_slice(&u32x4_extract_lane::<0>(bytes).to_le_bytes().map(|b| b as i8));
    }
    scale
}
