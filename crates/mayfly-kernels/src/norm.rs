//! Layer norm and RMS norm of rows.

use crate::Isa;
use crate::reduce::{Step, fold, sum_of};
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// Layer norm subtracts each row's mean, RMS norm does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Centre {
    Mean,
    Zero,
}

/// `acc + (a - mean)²`
#[derive(Clone, Copy)]
struct Spread {
    mean: f32,
}

impl Step for Spread {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, _: S::F32) -> S::F32 {
        let d = s.sub(a, s.splat(self.mean));
        s.mul_add(d, d, acc)
    }
}

/// `Σ (x - mean)²`
#[inline(always)]
fn sum_squares_about<S: Simd>(s: S, x: &[f32], mean: f32) -> f32 {
    // Whole vectors through the fold; the rest apart, because the lanes beyond it must count nothing.
    let (whole, rest) = x.split_at(x.len() - x.len() % S::N);
    let tail = Spread { mean }.step(s, s.zero(), s.get_or(rest, mean), s.zero());
    fold(s, whole, whole, Spread { mean }) + s.reduce_sum(tail)
}

/// The row's centre and `1 / sqrt(variance + eps)`.
#[inline(always)]
fn centre_and_scale<S: Simd>(s: S, x: &[f32], centre: Centre, eps: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = match centre {
        Centre::Mean => sum_of(s, x) / n,
        Centre::Zero => 0.0,
    };
    let var = sum_squares_about(s, x, mean) / n;
    (mean, 1.0 / libm::sqrtf(var + eps))
}

#[inline(always)]
fn row_norm_fwd<S: Simd>(
    s: S,
    y: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    beta: Option<&[f32]>,
    centre: Centre,
    eps: f32,
) {
    let n = gamma.len();
    for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
        let (mean, scale) = centre_and_scale(s, x, centre, eps);
        let (mean, scale) = (s.splat(mean), s.splat(scale));
        for (k, (y, x)) in y.chunks_mut(S::N).zip(x.chunks(S::N)).enumerate() {
            let at = k * S::N..k * S::N + x.len();
            let hat = s.mul(s.sub(s.get(x), mean), scale);
            let shift = beta.map_or(s.zero(), |beta| s.get(&beta[at.clone()]));
            s.put(y, s.mul_add(hat, s.get(&gamma[at]), shift));
        }
    }
}

/// `Σ dy gamma` and `Σ dy gamma hat` of a row.
#[inline(always)]
fn gradient_sums<S: Simd>(s: S, dy: &[f32], x: &[f32], gamma: &[f32], mean: S::F32, scale: S::F32) -> (f32, f32) {
    let (mut plain, mut weighted) = (s.zero(), s.zero());
    for ((dy, x), gamma) in dy.chunks(S::N).zip(x.chunks(S::N)).zip(gamma.chunks(S::N)) {
        let dhat = s.mul(s.get(dy), s.get(gamma));
        let hat = s.mul(s.sub(s.get(x), mean), scale);
        plain = s.add(plain, dhat);
        weighted = s.mul_add(dhat, hat, weighted);
    }
    (s.reduce_sum(plain), s.reduce_sum(weighted))
}

#[inline(always)]
fn row_norm_bwd_x<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], x: &[f32], gamma: &[f32], centre: Centre, eps: f32) {
    let n = gamma.len();
    for ((dx, dy), x) in dx.chunks_exact_mut(n).zip(dy.chunks_exact(n)).zip(x.chunks_exact(n)) {
        let (mean, scale) = centre_and_scale(s, x, centre, eps);
        let (mean, scale) = (s.splat(mean), s.splat(scale));
        let (plain, weighted) = gradient_sums(s, dy, x, gamma, mean, scale);
        let plain = if centre == Centre::Mean { plain / n as f32 } else { 0.0 };
        let (plain, weighted) = (s.splat(plain), s.splat(weighted / n as f32));
        let row = dy.chunks(S::N).zip(x.chunks(S::N)).zip(gamma.chunks(S::N));
        for (dx, ((dy, x), gamma)) in dx.chunks_mut(S::N).zip(row) {
            let hat = s.mul(s.sub(s.get(x), mean), scale);
            let centred = s.sub(s.mul(s.get(dy), s.get(gamma)), plain);
            s.put(dx, s.mul(scale, s.neg_mul_add(hat, weighted, centred)));
        }
    }
}

#[inline(always)]
fn row_norm_bwd_gamma<S: Simd>(s: S, dgamma: &mut [f32], dy: &[f32], x: &[f32], centre: Centre, eps: f32) {
    let n = dgamma.len();
    dgamma.fill(0.0);
    for (dy, x) in dy.chunks_exact(n).zip(x.chunks_exact(n)) {
        let (mean, scale) = centre_and_scale(s, x, centre, eps);
        let (mean, scale) = (s.splat(mean), s.splat(scale));
        for ((dgamma, dy), x) in dgamma.chunks_mut(S::N).zip(dy.chunks(S::N)).zip(x.chunks(S::N)) {
            let hat = s.mul(s.sub(s.get(x), mean), scale);
            s.put(dgamma, s.mul_add(s.get(dy), hat, s.get(dgamma)));
        }
    }
}

/// Layer norm of each row (Ba et al., 2016): `(x - mean) / sqrt(var + eps) * gamma + beta`, with `gamma` and `beta [n]`.
pub fn layer_norm_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    rows: usize,
    n: usize,
) {
    check_len("layer_norm_fwd", &[y.len(), x.len()], &[rows, n]);
    check_len("layer_norm_fwd", &[gamma.len(), beta.len()], &[n]);
    let (beta, centre) = (Some(beta), Centre::Mean);
    if n > 0 {
        dispatch!(isa, row_norm_fwd(y: &mut [f32], x: &[f32], gamma: &[f32], beta: Option<&[f32]>, centre: Centre, eps: f32));
    }
}

/// Gradient of [`layer_norm_fwd`] to `x`.
pub fn layer_norm_bwd_x(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    gamma: &[f32],
    eps: f32,
    rows: usize,
    n: usize,
) {
    bwd_x(isa, dx, dy, x, gamma, Centre::Mean, eps, rows, n);
}

/// Gradient of [`layer_norm_fwd`] to `gamma`, which is `dgamma [n]`. The gradient to `beta` is the column sum of `dy`.
pub fn layer_norm_bwd_gamma(isa: Isa, dgamma: &mut [f32], dy: &[f32], x: &[f32], eps: f32, rows: usize, n: usize) {
    bwd_gamma(isa, dgamma, dy, x, Centre::Mean, eps, rows, n);
}

/// RMS norm of each row (Zhang and Sennrich, 2019): `x / sqrt(mean(x²) + eps) * gamma`, with `gamma [n]`.
pub fn rms_norm_fwd(isa: Isa, y: &mut [f32], x: &[f32], gamma: &[f32], eps: f32, rows: usize, n: usize) {
    check_len("rms_norm_fwd", &[y.len(), x.len()], &[rows, n]);
    check_len("rms_norm_fwd", &[gamma.len()], &[n]);
    let (beta, centre) = (None, Centre::Zero);
    if n > 0 {
        dispatch!(isa, row_norm_fwd(y: &mut [f32], x: &[f32], gamma: &[f32], beta: Option<&[f32]>, centre: Centre, eps: f32));
    }
}

/// Gradient of [`rms_norm_fwd`] to `x`.
pub fn rms_norm_bwd_x(isa: Isa, dx: &mut [f32], dy: &[f32], x: &[f32], gamma: &[f32], eps: f32, rows: usize, n: usize) {
    bwd_x(isa, dx, dy, x, gamma, Centre::Zero, eps, rows, n);
}

/// Gradient of [`rms_norm_fwd`] to `gamma`, which is `dgamma [n]`.
pub fn rms_norm_bwd_gamma(isa: Isa, dgamma: &mut [f32], dy: &[f32], x: &[f32], eps: f32, rows: usize, n: usize) {
    bwd_gamma(isa, dgamma, dy, x, Centre::Zero, eps, rows, n);
}

fn bwd_x(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    gamma: &[f32],
    centre: Centre,
    eps: f32,
    rows: usize,
    n: usize,
) {
    check_len("row norm bwd_x", &[dx.len(), dy.len(), x.len()], &[rows, n]);
    check_len("row norm bwd_x", &[gamma.len()], &[n]);
    if n > 0 {
        dispatch!(isa, row_norm_bwd_x(dx: &mut [f32], dy: &[f32], x: &[f32], gamma: &[f32], centre: Centre, eps: f32));
    }
}

fn bwd_gamma(isa: Isa, dgamma: &mut [f32], dy: &[f32], x: &[f32], centre: Centre, eps: f32, rows: usize, n: usize) {
    check_len("row norm bwd_gamma", &[dy.len(), x.len()], &[rows, n]);
    check_len("row norm bwd_gamma", &[dgamma.len()], &[n]);
    if n > 0 {
        dispatch!(isa, row_norm_bwd_gamma(dgamma: &mut [f32], dy: &[f32], x: &[f32], centre: Centre, eps: f32));
    }
}
