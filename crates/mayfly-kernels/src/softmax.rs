//! Softmax and its logarithm over rows.

use crate::Isa;
use crate::math;
use crate::reduce::{dot_of, max_of, sum_of};
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// `y = exp(x - max)`; returns the sum. Rows of one vector stay in a register.
#[inline(always)]
fn exp_row<S: Simd>(s: S, y: &mut [f32], x: &[f32]) -> f32 {
    let max = s.splat(max_of(s, x));
    let mut sum = s.zero();
    for (y, x) in y.chunks_mut(S::N).zip(x.chunks(S::N)) {
        let e = math::exp_negative(s, s.sub(s.get_or(x, f32::NEG_INFINITY), max));
        s.put(y, e);
        sum = s.add(sum, e);
    }
    s.reduce_sum(sum)
}

#[inline(always)]
fn softmax_row<S: Simd>(s: S, y: &mut [f32], x: &[f32]) {
    if x.len() <= S::N {
        let v = s.get_or(x, f32::NEG_INFINITY);
        let e = math::exp_negative(s, s.sub(v, s.splat(s.reduce_max(v))));
        let total = s.splat(s.reduce_sum(e));
        s.put(y, s.div(e, total));
        return;
    }
    let scale = s.splat(1.0 / exp_row(s, y, x));
    for y in y.chunks_mut(S::N) {
        s.put(y, s.mul(s.get(y), scale));
    }
}

#[inline(always)]
fn softmax_fwd_body<S: Simd>(s: S, y: &mut [f32], x: &[f32], n: usize) {
    for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
        softmax_row(s, y, x);
    }
}

#[inline(always)]
fn softmax_bwd_body<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], y: &[f32], n: usize) {
    for ((dx, dy), y) in dx.chunks_exact_mut(n).zip(dy.chunks_exact(n)).zip(y.chunks_exact(n)) {
        let dot = s.splat(dot_of(s, dy, y));
        for ((dx, dy), y) in dx.chunks_mut(S::N).zip(dy.chunks(S::N)).zip(y.chunks(S::N)) {
            s.put(dx, s.mul(s.get(y), s.sub(s.get(dy), dot)));
        }
    }
}

/// The largest element and `log Σ exp(x - max)`.
#[inline(always)]
pub(crate) fn log_sum_exp<S: Simd>(s: S, x: &[f32]) -> (f32, f32) {
    let max = max_of(s, x);
    let mut sum = s.zero();
    for x in x.chunks(S::N) {
        let shifted = s.sub(s.get_or(x, f32::NEG_INFINITY), s.splat(max));
        sum = s.add(sum, math::exp_negative(s, shifted));
    }
    let log = math::log(s, s.splat(s.reduce_sum(sum)));
    (max, first(s, log))
}

/// The first lane.
#[inline(always)]
fn first<S: Simd>(s: S, v: S::F32) -> f32 {
    let mut one = [0.0];
    s.store_part(&mut one, v);
    one[0]
}

#[inline(always)]
fn log_softmax_fwd_body<S: Simd>(s: S, y: &mut [f32], x: &[f32], n: usize) {
    for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
        let (max, log) = log_sum_exp(s, x);
        let (max, log) = (s.splat(max), s.splat(log));
        for (y, x) in y.chunks_mut(S::N).zip(x.chunks(S::N)) {
            s.put(y, s.sub(s.sub(s.get(x), max), log));
        }
    }
}

#[inline(always)]
fn log_softmax_bwd_body<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], y: &[f32], n: usize) {
    for ((dx, dy), y) in dx.chunks_exact_mut(n).zip(dy.chunks_exact(n)).zip(y.chunks_exact(n)) {
        let sum = s.splat(sum_of(s, dy));
        for ((dx, dy), y) in dx.chunks_mut(S::N).zip(dy.chunks(S::N)).zip(y.chunks(S::N)) {
            let p = math::exp_negative(s, s.get(y));
            s.put(dx, s.neg_mul_add(p, sum, s.get(dy)));
        }
    }
}

/// Softmax of each row of `x [rows, n]`.
pub fn softmax_fwd(isa: Isa, y: &mut [f32], x: &[f32], rows: usize, n: usize) {
    check_len("softmax_fwd", &[y.len(), x.len()], &[rows, n]);
    if n > 0 {
        dispatch!(isa, softmax_fwd_body(y: &mut [f32], x: &[f32], n: usize));
    }
}

/// Gradient of [`softmax_fwd`] from its output `y`.
pub fn softmax_bwd(isa: Isa, dx: &mut [f32], dy: &[f32], y: &[f32], rows: usize, n: usize) {
    check_len("softmax_bwd", &[dx.len(), dy.len(), y.len()], &[rows, n]);
    if n > 0 {
        dispatch!(isa, softmax_bwd_body(dx: &mut [f32], dy: &[f32], y: &[f32], n: usize));
    }
}

/// Logarithm of the softmax of each row of `x [rows, n]`.
pub fn log_softmax_fwd(isa: Isa, y: &mut [f32], x: &[f32], rows: usize, n: usize) {
    check_len("log_softmax_fwd", &[y.len(), x.len()], &[rows, n]);
    if n > 0 {
        dispatch!(isa, log_softmax_fwd_body(y: &mut [f32], x: &[f32], n: usize));
    }
}

/// Gradient of [`log_softmax_fwd`] from its output `y`.
pub fn log_softmax_bwd(isa: Isa, dx: &mut [f32], dy: &[f32], y: &[f32], rows: usize, n: usize) {
    check_len("log_softmax_bwd", &[dx.len(), dy.len(), y.len()], &[rows, n]);
    if n > 0 {
        dispatch!(isa, log_softmax_bwd_body(dx: &mut [f32], dy: &[f32], y: &[f32], n: usize));
    }
}
