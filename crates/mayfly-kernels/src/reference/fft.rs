//! The discrete Fourier transform by its definition, in f64.

use core::f64::consts::TAU;
use libm::{cos, sin};

/// `cos` and `sin` of `2π k j / n`, with the product reduced exactly first.
fn angle(k: usize, j: usize, n: usize) -> (f64, f64) {
    let turn = (k as u128 * j as u128 % n as u128) as f64 / n as f64 * TAU;
    (cos(turn), sin(turn))
}

/// Spectrum of a real row: `y[2k], y[2k + 1]` are the real and imaginary part at frequency `k <= x.len() / 2`.
pub fn rfft(y: &mut [f64], x: &[f64]) {
    for (k, y) in y.chunks_exact_mut(2).enumerate() {
        y.fill(0.0);
        for (j, &x_j) in x.iter().enumerate() {
            let (c, s) = angle(k, j, x.len());
            y[0] += x_j * c;
            y[1] -= x_j * s;
        }
    }
}

/// The real row with spectrum `y`, scaled by `1 / x.len()`; the imaginary parts at frequency 0 and `n / 2` do not count.
pub fn irfft(x: &mut [f64], y: &[f64]) {
    let n = x.len();
    for (j, x) in x.iter_mut().enumerate() {
        let term = |k: usize| {
            let (c, s) = angle(k, j, n);
            let twice = if k == 0 || 2 * k == n { 1.0 } else { 2.0 };
            twice * (y[2 * k] * c - y[2 * k + 1] * s)
        };
        *x = (0..=n / 2).map(term).sum::<f64>() / n as f64;
    }
}

/// Adjoint of [`rfft`]: the gradient to the real row.
pub fn rfft_bwd(dx: &mut [f64], dy: &[f64]) {
    let n = dx.len();
    for (j, dx) in dx.iter_mut().enumerate() {
        let term = |k: usize| {
            let (c, s) = angle(k, j, n);
            dy[2 * k] * c - dy[2 * k + 1] * s
        };
        *dx = (0..=n / 2).map(term).sum();
    }
}

/// Adjoint of [`irfft`]: the gradient to the spectrum.
pub fn irfft_bwd(dy: &mut [f64], dx: &[f64]) {
    let n = dx.len();
    rfft(dy, dx);
    for (k, dy) in dy.chunks_exact_mut(2).enumerate() {
        let twice = if k == 0 || 2 * k == n { 1.0 } else { 2.0 };
        dy[0] *= twice / n as f64;
        dy[1] *= twice / n as f64;
    }
}
