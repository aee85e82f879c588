//! Batch norm over `x [b, c, inner]` (Ioffe and Szegedy, 2015).
//!
//! With `inner` 1 channels are neighbours and a vector holds several of them; else a vector lies within one channel.

use crate::Isa;
use crate::reduce::{Step, fold, sum_columns, sum_of};
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// The sizes of `x`.
#[derive(Clone, Copy)]
struct Dims {
    b: usize,
    c: usize,
    inner: usize,
}

impl Dims {
    fn new(name: &str, x: usize, b: usize, c: usize, inner: usize) -> Self {
        check_len(name, &[x], &[b, c, inner]);
        Self { b, c, inner }
    }

    /// Elements of a channel.
    fn count(self) -> f32 {
        (self.b * self.inner) as f32
    }

    /// Where the elements of channel `c` begin in each of the `b` images.
    fn planes(self, c: usize) -> impl Iterator<Item = core::ops::Range<usize>> {
        let Self { b, c: channels, inner } = self;
        (0..b).map(move |b| {
            let at = (b * channels + c) * inner;
            at..at + inner
        })
    }
}

/// `acc + a (b - mean)`
#[derive(Clone, Copy)]
struct Centred {
    mean: f32,
}

impl Step for Centred {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, a: S::F32, b: S::F32) -> S::F32 {
        s.mul_add(a, s.sub(b, s.splat(self.mean)), acc)
    }
}

/// `Σ (x - mean)²` of one slice, whose length need not fill its last vector.
#[inline(always)]
fn sum_squares<S: Simd>(s: S, x: &[f32], mean: f32) -> f32 {
    let mut acc = s.zero();
    for x in x.chunks(S::N) {
        let d = s.sub(s.get_or(x, mean), s.splat(mean));
        acc = s.mul_add(d, d, acc);
    }
    s.reduce_sum(acc)
}

/// Statistics of up to `S::N` neighbouring channels at `at`.
#[inline(always)]
fn column_stats<S: Simd>(s: S, mean: &mut [f32], var: &mut [f32], x: &[f32], d: Dims, at: usize) {
    let (width, count) = (mean.len(), s.splat(d.count()));
    let centre = s.div(sum_columns(s, x, d.b, d.c, at, width), count);
    let mut total = s.zero();
    for row in x.chunks_exact(d.c) {
        let v = s.sub(s.get(&row[at..at + width]), centre);
        total = s.mul_add(v, v, total);
    }
    s.put(mean, centre);
    s.put(var, s.div(total, count));
}

#[inline(always)]
fn stats_body<S: Simd>(s: S, mean: &mut [f32], var: &mut [f32], x: &[f32], d: Dims) {
    if d.inner == 1 {
        for (k, (mean, var)) in mean.chunks_mut(S::N).zip(var.chunks_mut(S::N)).enumerate() {
            column_stats(s, mean, var, x, d, k * S::N);
        }
        return;
    }
    for (c, (mean, var)) in mean.iter_mut().zip(var).enumerate() {
        let sum: f64 = d.planes(c).map(|plane| f64::from(sum_of(s, &x[plane]))).sum();
        *mean = (sum / f64::from(d.count())) as f32;
        let sum: f64 = d.planes(c).map(|plane| f64::from(sum_squares(s, &x[plane], *mean))).sum();
        *var = (sum / f64::from(d.count())) as f32;
    }
}

/// Mean and biased variance of each channel: `mean`, `var [c]`.
pub fn batch_norm_stats(isa: Isa, mean: &mut [f32], var: &mut [f32], x: &[f32], b: usize, c: usize, inner: usize) {
    let d = Dims::new("batch_norm_stats", x.len(), b, c, inner);
    check_len("batch_norm_stats", &[mean.len(), var.len()], &[c]);
    dispatch!(isa, stats_body(mean: &mut [f32], var: &mut [f32], x: &[f32], d: Dims));
}

/// Per-channel parameters `[c]`.
#[derive(Clone, Copy)]
struct Params<'a> {
    gamma: &'a [f32],
    mean: &'a [f32],
    var: &'a [f32],
    eps: f32,
}

impl Params<'_> {
    /// `1 / sqrt(var + eps)`
    fn scale(&self, c: usize) -> f32 {
        1.0 / libm::sqrtf(self.var[c] + self.eps)
    }

    /// Mean and scale of `width` channels at `at`.
    #[inline(always)]
    fn columns<S: Simd>(&self, s: S, at: usize, width: usize) -> (S::F32, S::F32) {
        let var = s.add(s.get(&self.var[at..at + width]), s.splat(self.eps));
        (s.get(&self.mean[at..at + width]), s.div(s.splat(1.0), s.sqrt(var)))
    }
}

#[inline(always)]
fn fwd_body<S: Simd>(s: S, y: &mut [f32], x: &[f32], beta: &[f32], p: Params<'_>, d: Dims) {
    if d.inner == 1 {
        for at in (0..d.c).step_by(S::N) {
            let width = S::N.min(d.c - at);
            let (mean, scale) = p.columns(s, at, width);
            let scale = s.mul(scale, s.get(&p.gamma[at..at + width]));
            let beta = s.get(&beta[at..at + width]);
            for (y, x) in y.chunks_exact_mut(d.c).zip(x.chunks_exact(d.c)) {
                let centred = s.sub(s.get(&x[at..at + width]), mean);
                s.put(&mut y[at..at + width], s.mul_add(centred, scale, beta));
            }
        }
        return;
    }
    for c in 0..d.c {
        let (mean, scale, beta) = (s.splat(p.mean[c]), s.splat(p.scale(c) * p.gamma[c]), s.splat(beta[c]));
        for plane in d.planes(c) {
            for (y, x) in y[plane.clone()].chunks_mut(S::N).zip(x[plane].chunks(S::N)) {
                s.put(y, s.mul_add(s.sub(s.get(x), mean), scale, beta));
            }
        }
    }
}

/// `(x - mean) / sqrt(var + eps) * gamma + beta`, all four `[c]`.
pub fn batch_norm_fwd(
    isa: Isa,
    y: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    var: &[f32],
    eps: f32,
    b: usize,
    c: usize,
    inner: usize,
) {
    let d = Dims::new("batch_norm_fwd", x.len(), b, c, inner);
    check_len("batch_norm_fwd", &[y.len()], &[x.len()]);
    check_len("batch_norm_fwd", &[gamma.len(), beta.len(), mean.len(), var.len()], &[c]);
    let p = Params { gamma, mean, var, eps };
    dispatch!(isa, fwd_body(y: &mut [f32], x: &[f32], beta: &[f32], p: Params<'_>, d: Dims));
}

/// `Σ dy` and `Σ dy (x - mean)` of `width` neighbouring channels.
#[inline(always)]
fn column_sums<S: Simd>(s: S, dy: &[f32], x: &[f32], mean: S::F32, c: usize, at: usize, width: usize) -> [S::F32; 2] {
    let (mut plain, mut centred) = (s.zero(), s.zero());
    for (dy, x) in dy.chunks_exact(c).zip(x.chunks_exact(c)) {
        let dy = s.get(&dy[at..at + width]);
        plain = s.add(plain, dy);
        centred = s.mul_add(dy, s.sub(s.get(&x[at..at + width]), mean), centred);
    }
    [plain, centred]
}

/// The same of one channel of several planes.
#[inline(always)]
fn plane_sums<S: Simd>(s: S, dy: &[f32], x: &[f32], mean: f32, d: Dims, c: usize) -> [f32; 2] {
    let (mut plain, mut centred) = (0.0, 0.0);
    for plane in d.planes(c) {
        plain += f64::from(sum_of(s, &dy[plane.clone()]));
        // Lanes beyond the plane count nothing: dy is zero there.
        centred += f64::from(fold(s, &dy[plane.clone()], &x[plane], Centred { mean }));
    }
    [plain as f32, centred as f32]
}

#[inline(always)]
fn bwd_x_body<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], x: &[f32], p: Params<'_>, d: Dims) {
    if d.inner == 1 {
        for at in (0..d.c).step_by(S::N) {
            bwd_x_columns(s, dx, dy, x, p, d, at);
        }
        return;
    }
    for c in 0..d.c {
        let [plain, centred] = plane_sums(s, dy, x, p.mean[c], d, c);
        let scale = p.scale(c);
        let (mean, factor) = (s.splat(p.mean[c]), s.splat(p.gamma[c] * scale));
        let plain = s.splat(plain / d.count());
        let slope = s.splat(centred * scale * scale / d.count());
        for plane in d.planes(c) {
            let pairs = dy[plane.clone()].chunks(S::N).zip(x[plane.clone()].chunks(S::N));
            for (dx, (dy, x)) in dx[plane].chunks_mut(S::N).zip(pairs) {
                let v = s.neg_mul_add(s.sub(s.get(x), mean), slope, s.sub(s.get(dy), plain));
                s.put(dx, s.mul(v, factor));
            }
        }
    }
}

#[inline(always)]
fn bwd_x_columns<S: Simd>(s: S, dx: &mut [f32], dy: &[f32], x: &[f32], p: Params<'_>, d: Dims, at: usize) {
    let width = S::N.min(d.c - at);
    let columns = at..at + width;
    let (mean, scale) = p.columns(s, at, width);
    let [plain, centred] = column_sums(s, dy, x, mean, d.c, at, width);
    let count = s.splat(1.0 / d.count());
    let factor = s.mul(scale, s.get(&p.gamma[columns.clone()]));
    let plain = s.mul(plain, count);
    let slope = s.mul(s.mul(centred, count), s.mul(scale, scale));
    for (dx, (dy, x)) in dx.chunks_exact_mut(d.c).zip(dy.chunks_exact(d.c).zip(x.chunks_exact(d.c))) {
        let centred = s.sub(s.get(&x[columns.clone()]), mean);
        let v = s.neg_mul_add(centred, slope, s.sub(s.get(&dy[columns.clone()]), plain));
        s.put(&mut dx[columns.clone()], s.mul(v, factor));
    }
}

/// Gradient of [`batch_norm_fwd`] to `x` where `mean` and `var` are the statistics of `x` itself ([`batch_norm_stats`]).
pub fn batch_norm_bwd_x(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    gamma: &[f32],
    mean: &[f32],
    var: &[f32],
    eps: f32,
    b: usize,
    c: usize,
    inner: usize,
) {
    let d = Dims::new("batch_norm_bwd_x", x.len(), b, c, inner);
    check_len("batch_norm_bwd_x", &[dx.len(), dy.len()], &[x.len()]);
    check_len("batch_norm_bwd_x", &[gamma.len(), mean.len(), var.len()], &[c]);
    let p = Params { gamma, mean, var, eps };
    dispatch!(isa, bwd_x_body(dx: &mut [f32], dy: &[f32], x: &[f32], p: Params<'_>, d: Dims));
}

#[inline(always)]
fn bwd_gamma_body<S: Simd>(s: S, dgamma: &mut [f32], dy: &[f32], x: &[f32], p: Params<'_>, d: Dims) {
    if d.inner == 1 {
        for (k, dgamma) in dgamma.chunks_mut(S::N).enumerate() {
            let (mean, scale) = p.columns(s, k * S::N, dgamma.len());
            let [_, centred] = column_sums(s, dy, x, mean, d.c, k * S::N, dgamma.len());
            s.put(dgamma, s.mul(centred, scale));
        }
        return;
    }
    for (c, dgamma) in dgamma.iter_mut().enumerate() {
        *dgamma = plane_sums(s, dy, x, p.mean[c], d, c)[1] * p.scale(c);
    }
}

/// Gradient of [`batch_norm_fwd`] to `gamma`: `dgamma [c]`. The gradient to `beta` is the channel sum of `dy`.
pub fn batch_norm_bwd_gamma(
    isa: Isa,
    dgamma: &mut [f32],
    dy: &[f32],
    x: &[f32],
    mean: &[f32],
    var: &[f32],
    eps: f32,
    b: usize,
    c: usize,
    inner: usize,
) {
    let d = Dims::new("batch_norm_bwd_gamma", x.len(), b, c, inner);
    check_len("batch_norm_bwd_gamma", &[dy.len()], &[x.len()]);
    check_len("batch_norm_bwd_gamma", &[dgamma.len(), mean.len(), var.len()], &[c]);
    let p = Params { gamma: &[], mean, var, eps };
    dispatch!(isa, bwd_gamma_body(dgamma: &mut [f32], dy: &[f32], x: &[f32], p: Params<'_>, d: Dims));
}
