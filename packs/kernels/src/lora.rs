//! base + scale * (x Aᵀ) Bᵀ.

use crate::abi::{Call, Code, Result};
use crate::elem::{Elem, sum};
use core::arch::wasm32::*;

/// ABI 2: inputs x, a, b, base; output y; scratch `rank` f32; parameter scale.
pub fn run<T: Elem>(call: &Call) -> Result<()> {
    let call = call.v2();
    let (x, a, b, base, y) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?, call.tensor(3)?, call.tensor(4)?);
    let (input, rank, width) = (a.dim(1), a.dim(0), b.dim(0));
    let low = call.scratch::<f32>().get_mut(..rank).ok_or(Code::InvalidOutput)?;
    if input == 0 || rank == 0 || width == 0 || x.dim(1) != input || base.dim(1) != width {
        return Err(Code::InvalidInput);
    }
    let scale = f32::from_bits(call.param(0)?);
    let (a, b) = (a.data::<T>(), b.data::<T>());
    let rows = x.data::<T>().chunks_exact(input).zip(base.data::<T>().chunks_exact(width));
    for ((x, base), out) in rows.zip(y.data_mut::<T>().chunks_exact_mut(width)) {
        low.iter_mut().zip(a.chunks_exact(input)).for_each(|(low, a)| *low = dot(x, a) * scale);
        for ((out, base), b) in out.iter_mut().zip(base).zip(b.chunks_exact(rank)) {
            *out = T::from_f32(base.to_f32() + dot(low, b));
        }
    }
    Ok(())
}

#[inline(always)]
fn dot<A: Elem, B: Elem>(a: &[A], b: &[B]) -> f32 {
    let n = a.len();
    let b = &b[..n];
    let mut sums = [f32x4_splat(0.0); 4];
    let mut i = 0;
    while i + 16 <= n {
        for (k, total) in sums.iter_mut().enumerate() {
            let at = i + 4 * k;
            *total = f32x4_add(*total, f32x4_mul(A::load4(&a[at..]), B::load4(&b[at..])));
        }
        i += 16;
    }
    while i + 4 <= n {
        sums[0] = f32x4_add(sums[0], f32x4_mul(A::load4(&a[i..]), B::load4(&b[i..])));
        i += 4;
    }
    let all = f32x4_add(f32x4_add(sums[0], sums[1]), f32x4_add(sums[2], sums[3]));
    a[i..].iter().zip(&b[i..]).fold(sum(all), |total, (a, b)| total + a.to_f32() * b.to_f32())
}
