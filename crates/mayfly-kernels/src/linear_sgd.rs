//! Plain gradient descent through a dense layer on one row: backward pass and update while each weight is at hand.
use crate::Isa;
use crate::optim::{TINY, flush};
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// One row's step: where it is wanted, `dx = dy · w` with the weights as they were, then `w -= lr · dy ⊗ x`.
/// Leaves the bits that [`linear_bwd_x`](crate::linear_bwd_x), [`linear_bwd_w`](crate::linear_bwd_w) and [`sgd`](crate::sgd) leave one after the other,
/// reading and writing the weights once and the gradient not at all.
pub fn linear_sgd_row(isa: Isa, w: &mut [f32], dx: Option<&mut [f32]>, x: &[f32], dy: &[f32], lr: f32) {
    check_len("linear_sgd_row", &[w.len()], &[dy.len(), x.len()]);
    match dx {
        Some(dx) => {
            check_len("linear_sgd_row", &[dx.len()], &[x.len()]);
            dispatch!(isa, with_dx(w: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: f32));
        }
        None => dispatch!(isa, without_dx(w: &mut [f32], x: &[f32], dy: &[f32], lr: f32)),
    }
}

#[inline(always)]
fn with_dx<S: Simd>(s: S, w: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: f32) {
    columns::<S, true>(s, w, dx, x, dy, lr);
}

#[inline(always)]
fn without_dx<S: Simd>(s: S, w: &mut [f32], x: &[f32], dy: &[f32], lr: f32) {
    columns::<S, false>(s, w, &mut [], x, dy, lr);
}

/// Weights that stay in the first-level cache while columns are gone down one after the other.
const NEAR: usize = 4096;

/// Rows in order where the weights come from afar or nothing is summed down the columns; else columns by four vectors, with their sums in registers.
/// What is left of each row, less than four vectors, goes by single vectors. The sums of `dx` are added in the order of [`crate::linear_bwd_x`].
#[inline(always)]
fn columns<S: Simd, const DX: bool>(s: S, w: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: f32) {
    let (n, lr) = (x.len(), s.splat(lr));
    let whole = n - n % (4 * S::N);
    if DX && w.len() <= NEAR {
        for at in (0..whole).step_by(4 * S::N) {
            block::<S, 4>(s, w, dx, x, dy, lr, at);
        }
    } else {
        rows::<S, DX>(s, w, &mut dx[..if DX { whole } else { 0 }], &x[..whole], n, dy, lr);
    }
    for at in (whole..n).step_by(S::N) {
        rest::<S, DX>(s, w, dx, x, dy, lr, at);
    }
}

/// `V` whole vectors of every row.
#[inline(always)]
fn block<S: Simd, const V: usize>(s: S, w: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: S::F32, at: usize) {
    let n = x.len();
    let (mut xs, mut sums) = ([s.zero(); V], [s.zero(); V]);
    for (q, x_part) in xs.iter_mut().enumerate() {
        *x_part = s.load(&x[at + q * S::N..]);
    }
    for (j, d) in dy.iter().enumerate() {
        let (d, here) = (s.splat(*d), j * n + at..j * n + at + V * S::N);
        let w = &mut w[here];
        for q in 0..V {
            let (old, g) = (s.load(&w[q * S::N..]), s.mul(d, xs[q]));
            sums[q] = s.mul_add(d, old, sums[q]);
            s.store(&mut w[q * S::N..], descended(s, old, g, lr));
        }
    }
    for (q, sum) in sums.into_iter().enumerate() {
        s.store(&mut dx[at + q * S::N..], sum);
    }
}

/// The first `x.len()` of `n` columns, row by row; the sums lie in memory.
#[inline(always)]
fn rows<S: Simd, const DX: bool>(s: S, w: &mut [f32], dx: &mut [f32], x: &[f32], n: usize, dy: &[f32], lr: S::F32) {
    dx.fill(0.0);
    for (j, d) in dy.iter().enumerate() {
        let (d, here) = (s.splat(*d), j * n..j * n + x.len());
        for (v, (w, x)) in w[here].chunks_exact_mut(S::N).zip(x.chunks_exact(S::N)).enumerate() {
            let (old, g) = (s.load(w), s.mul(d, s.load(x)));
            if DX {
                let sum = &mut dx[v * S::N..(v + 1) * S::N];
                s.store(sum, s.mul_add(d, old, s.load(sum)));
            }
            s.store(w, descended(s, old, g, lr));
        }
    }
}

/// At most one vector of every row.
#[inline(always)]
fn rest<S: Simd, const DX: bool>(s: S, w: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: S::F32, at: usize) {
    let n = x.len();
    let len = S::N.min(n - at);
    let x = s.load_part(&x[at..at + len]);
    let mut sums = [s.zero(); 2];
    for (j, d) in dy.iter().enumerate() {
        let (d, here) = (s.splat(*d), j * n + at..j * n + at + len);
        let (old, g) = (s.load_part(&w[here.clone()]), s.mul(d, x));
        if DX {
            sums[j % 2] = s.mul_add(d, old, sums[j % 2]);
        }
        s.store_part(&mut w[here], descended(s, old, g, lr));
    }
    if DX {
        s.store_part(&mut dx[at..at + len], s.add(sums[0], sums[1]));
    }
}

/// A weight after its step.
#[inline(always)]
fn descended<S: Simd>(s: S, old: S::F32, g: S::F32, lr: S::F32) -> S::F32 {
    s.neg_mul_add(flush(s, g, TINY), lr, old)
}
