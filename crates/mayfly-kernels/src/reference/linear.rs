//! Products of matrices, element by element in f64.
use super::act;
use crate::{Act, MatMul, Trans};

/// `c += op(a) · op(b)`.
pub fn matmul(c: &mut [f64], a: &[f32], b: &[f32], p: MatMul) {
    for (at, c) in c.iter_mut().enumerate() {
        let (row, col) = (at / p.n, at % p.n);
        for q in 0..p.k {
            let left = if p.a == Trans::No { a[row * p.k + q] } else { a[q * p.m + row] };
            let right = if p.b == Trans::No { b[q * p.n + col] } else { b[col * p.k + q] };
            *c += f64::from(left) * f64::from(right);
        }
    }
}

/// `y = x · wᵀ + b`: `x [rows, i]`, `w [o, i]`, `y [rows, o]`.
pub fn linear(y: &mut [f64], x: &[f32], w: &[f32], b: Option<&[f32]>, [rows, i, o]: [usize; 3]) {
    for (at, y) in y.iter_mut().enumerate() {
        *y = b.map_or(0.0, |b| f64::from(b[at % o]));
    }
    matmul(y, x, w, MatMul { m: rows, k: i, n: o, a: Trans::No, b: Trans::Yes });
}

/// `y = act(y) + residual`.
pub fn epilogue(y: &mut [f64], f: Act, residual: Option<&[f32]>) {
    for (at, y) in y.iter_mut().enumerate() {
        *y = act(f, *y) + residual.map_or(0.0, |r| f64::from(r[at]));
    }
}

/// The bf16 nearest to `v`, ties to even, as an f32; `v` is finite.
pub fn round_bf16(v: f32) -> f32 {
    let bits = v.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}
