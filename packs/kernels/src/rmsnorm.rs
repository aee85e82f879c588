//! Root mean square normalisation of `[rows, dim]` by `[dim]` weights.

use crate::abi::{Call, Code, Result};
use crate::elem::{Elem, sum};
use core::arch::wasm32::*;

/// ABI 1: inputs x, weight; output y; parameter eps.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let (x, weight, out) = (call.input_a::<T>(), call.input_b::<T>(), call.output::<T>());
    let eps = f32::from_bits(call.param(0)?);
    let dim = weight.len();
    if dim == 0 || x.len() % dim != 0 || out.len() != x.len() {
        return Err(Code::InvalidInput);
    }
    for (x, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
        let mean = sum_of_squares(x) / dim as f32 + eps;
        let root = f32x4_extract_lane::<0>(f32x4_sqrt(f32x4_splat(mean)));
        scale(out, x, weight, 1.0 / root);
    }
    Ok(())
}

#[inline(always)]
fn sum_of_squares<T: Elem>(x: &[T]) -> f32 {
    let mut sums = [f32x4_splat(0.0); 4];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (i, total) in sums.iter_mut().enumerate() {
            let v = T::load4(&chunk[4 * i..4 * i + 4]);
            *total = f32x4_add(*total, f32x4_mul(v, v));
        }
    }
    let all = f32x4_add(f32x4_add(sums[0], sums[1]), f32x4_add(sums[2], sums[3]));
    rest.iter().fold(sum(all), |total, v| total + v.to_f32() * v.to_f32())
}

#[inline(always)]
fn scale<T: Elem>(out: &mut [T], x: &[T], weight: &[T], factor: f32) {
    let n = weight.len();
    let (out, x) = (&mut out[..n], &x[..n]);
    let vector = f32x4_splat(factor);
    let mut i = 0;
    while i + 4 <= n {
        let v = f32x4_mul(f32x4_mul(T::load4(&x[i..]), vector), T::load4(&weight[i..]));
        T::store4(&mut out[i..], v);
        i += 4;
    }
    for i in i..n {
        out[i] = T::from_f32(x[i].to_f32() * factor * weight[i].to_f32());
    }
}
