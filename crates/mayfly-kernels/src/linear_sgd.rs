//! Plain gradient descent through a dense layer on one row: gradient, backward pass and update while each weight is at hand.
use crate::Isa;
use crate::optim::{TINY, flush};
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// One row's step: `dw [o, i] = dy ⊗ x`, then, where it is wanted, `dx = dy · w` with the weights as they were, then `w -= lr · dw`.
/// Leaves the bits that [`linear_bwd_w`](crate::linear_bwd_w), [`linear_bwd_x`](crate::linear_bwd_x) and [`sgd`](crate::sgd) leave one after the other,
/// reading and writing the weights once.
pub fn linear_sgd_row(isa: Isa, w: &mut [f32], dw: &mut [f32], dx: Option<&mut [f32]>, x: &[f32], dy: &[f32], lr: f32) {
    check_len("linear_sgd_row", &[w.len(), dw.len()], &[dy.len(), x.len()]);
    match dx {
        Some(dx) => {
            check_len("linear_sgd_row", &[dx.len()], &[x.len()]);
            dispatch!(isa, with_dx(w: &mut [f32], dw: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: f32));
        }
        None => dispatch!(isa, without_dx(w: &mut [f32], dw: &mut [f32], x: &[f32], dy: &[f32], lr: f32)),
    }
}

#[inline(always)]
fn with_dx<S: Simd>(s: S, w: &mut [f32], dw: &mut [f32], dx: &mut [f32], x: &[f32], dy: &[f32], lr: f32) {
    columns::<S, true>(s, w, dw, dx, x, dy, lr);
}

#[inline(always)]
fn without_dx<S: Simd>(s: S, w: &mut [f32], dw: &mut [f32], x: &[f32], dy: &[f32], lr: f32) {
    columns::<S, false>(s, w, dw, &mut [], x, dy, lr);
}

/// Columns by four vectors, then by one: the sums of `dx` are added in the order of [`crate::linear_bwd_x`].
#[inline(always)]
fn columns<S: Simd, const DX: bool>(
    s: S,
    w: &mut [f32],
    dw: &mut [f32],
    dx: &mut [f32],
    x: &[f32],
    dy: &[f32],
    lr: f32,
) {
    let (n, lr, mut at) = (x.len(), s.splat(lr), 0);
    while at + 4 * S::N <= n {
        let mut xs = [s.zero(); 4];
        for (q, x_part) in xs.iter_mut().enumerate() {
            *x_part = s.load(&x[at + q * S::N..]);
        }
        let mut sums = [s.zero(); 4];
        for (j, d) in dy.iter().enumerate() {
            let (d, here) = (s.splat(*d), j * n + at..j * n + at + 4 * S::N);
            let (w, dw) = (&mut w[here.clone()], &mut dw[here]);
            for q in 0..4 {
                let (old, g) = (s.load(&w[q * S::N..]), s.mul(d, xs[q]));
                if DX {
                    sums[q] = s.mul_add(d, old, sums[q]);
                }
                s.store(&mut dw[q * S::N..], g);
                s.store(&mut w[q * S::N..], s.neg_mul_add(flush(s, g, TINY), lr, old));
            }
        }
        if DX {
            for q in 0..4 {
                s.store(&mut dx[at + q * S::N..], sums[q]);
            }
        }
        at += 4 * S::N;
    }
    while at < n {
        let len = S::N.min(n - at);
        let x = s.load_part(&x[at..at + len]);
        let mut sums = [s.zero(); 2];
        for (j, d) in dy.iter().enumerate() {
            let (d, here) = (s.splat(*d), j * n + at..j * n + at + len);
            let (old, g) = (s.load_part(&w[here.clone()]), s.mul(d, x));
            if DX {
                sums[j % 2] = s.mul_add(d, old, sums[j % 2]);
            }
            s.store_part(&mut dw[here.clone()], g);
            s.store_part(&mut w[here], s.neg_mul_add(flush(s, g, TINY), lr, old));
        }
        if DX {
            s.store_part(&mut dx[at..at + len], s.add(sums[0], sums[1]));
        }
        at += len;
    }
}
