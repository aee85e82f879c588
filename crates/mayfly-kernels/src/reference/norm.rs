//! Softmax and the normalisations in f64.

use libm::{exp, log, sqrt};

fn wide(x: &[f32]) -> impl Iterator<Item = f64> + Clone + '_ {
    x.iter().map(|&x| f64::from(x))
}

/// The largest element and the sum of `exp(x - max)`.
fn max_and_sum(x: &[f32]) -> (f64, f64) {
    let max = wide(x).fold(f64::NEG_INFINITY, f64::max);
    (max, wide(x).map(|x| exp(x - max)).sum())
}

/// Softmax of each row of `n`.
pub fn softmax_fwd(y: &mut [f32], x: &[f32], n: usize) {
    for (y, x) in y.chunks_mut(n).zip(x.chunks(n)) {
        let (max, sum) = max_and_sum(x);
        for (y, x) in y.iter_mut().zip(wide(x)) {
            *y = (exp(x - max) / sum) as f32;
        }
    }
}

/// Gradient of [`softmax_fwd`] from its output.
pub fn softmax_bwd(dx: &mut [f32], dy: &[f32], y: &[f32], n: usize) {
    for ((dx, dy), y) in dx.chunks_mut(n).zip(dy.chunks(n)).zip(y.chunks(n)) {
        let dot: f64 = wide(dy).zip(wide(y)).map(|(dy, y)| dy * y).sum();
        for ((dx, dy), y) in dx.iter_mut().zip(wide(dy)).zip(wide(y)) {
            *dx = (y * (dy - dot)) as f32;
        }
    }
}

/// Logarithm of the softmax of each row of `n`.
pub fn log_softmax_fwd(y: &mut [f32], x: &[f32], n: usize) {
    for (y, x) in y.chunks_mut(n).zip(x.chunks(n)) {
        let (max, sum) = max_and_sum(x);
        for (y, x) in y.iter_mut().zip(wide(x)) {
            *y = (x - max - log(sum)) as f32;
        }
    }
}

/// Gradient of [`log_softmax_fwd`] from its output.
pub fn log_softmax_bwd(dx: &mut [f32], dy: &[f32], y: &[f32], n: usize) {
    for ((dx, dy), y) in dx.chunks_mut(n).zip(dy.chunks(n)).zip(y.chunks(n)) {
        let sum: f64 = wide(dy).sum();
        for ((dx, dy), y) in dx.iter_mut().zip(wide(dy)).zip(wide(y)) {
            *dx = (dy - exp(y) * sum) as f32;
        }
    }
}

/// Whether a row normalisation subtracts the mean (layer norm) or not (RMS norm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centre {
    /// Layer norm.
    Mean,
    /// RMS norm.
    Zero,
}

/// The row's centre and the inverse of its spread.
fn centre_and_scale(x: &[f32], centre: Centre, eps: f32) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = match centre {
        Centre::Mean => wide(x).sum::<f64>() / n,
        Centre::Zero => 0.0,
    };
    let var = wide(x).map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, 1.0 / sqrt(var + f64::from(eps)))
}

/// Layer norm or RMS norm (`beta` all zero) of each row.
pub fn row_norm_fwd(y: &mut [f32], x: &[f32], gamma: &[f32], beta: &[f32], centre: Centre, eps: f32) {
    let n = gamma.len();
    for (y, x) in y.chunks_mut(n).zip(x.chunks(n)) {
        let (mean, scale) = centre_and_scale(x, centre, eps);
        for (i, x) in wide(x).enumerate() {
            y[i] = ((x - mean) * scale * f64::from(gamma[i]) + f64::from(beta[i])) as f32;
        }
    }
}

/// Gradient of [`row_norm_fwd`] to `x`.
pub fn row_norm_bwd_x(dx: &mut [f32], dy: &[f32], x: &[f32], gamma: &[f32], centre: Centre, eps: f32) {
    let n = gamma.len();
    for ((dx, dy), x) in dx.chunks_mut(n).zip(dy.chunks(n)).zip(x.chunks(n)) {
        let (mean, scale) = centre_and_scale(x, centre, eps);
        let hat = |i: usize| (f64::from(x[i]) - mean) * scale;
        let dhat = |i: usize| f64::from(dy[i]) * f64::from(gamma[i]);
        let mean_dhat = match centre {
            Centre::Mean => (0..n).map(dhat).sum::<f64>() / n as f64,
            Centre::Zero => 0.0,
        };
        let mean_dhat_hat = (0..n).map(|i| dhat(i) * hat(i)).sum::<f64>() / n as f64;
        for i in 0..n {
            dx[i] = (scale * (dhat(i) - mean_dhat - hat(i) * mean_dhat_hat)) as f32;
        }
    }
}

/// Gradient of [`row_norm_fwd`] to `gamma`.
pub fn row_norm_bwd_gamma(dgamma: &mut [f32], dy: &[f32], x: &[f32], centre: Centre, eps: f32) {
    let n = dgamma.len();
    for (i, dgamma) in dgamma.iter_mut().enumerate() {
        let rows = dy.chunks(n).zip(x.chunks(n));
        let terms = rows.map(|(dy, x)| {
            let (mean, scale) = centre_and_scale(x, centre, eps);
            f64::from(dy[i]) * (f64::from(x[i]) - mean) * scale
        });
        *dgamma = terms.sum::<f64>() as f32;
    }
}

/// The positions of channel `c` in `[b, channels, inner]`.
fn channel(c: usize, [b, channels, inner]: [usize; 3]) -> impl Iterator<Item = usize> + Clone {
    (0..b).flat_map(move |b| (0..inner).map(move |i| (b * channels + c) * inner + i))
}

/// Mean and biased variance of each channel of `x [b, c, inner]`.
pub fn batch_norm_stats(mean: &mut [f32], var: &mut [f32], x: &[f32], dims: [usize; 3]) {
    let count = (dims[0] * dims[2]) as f64;
    for c in 0..dims[1] {
        let values = channel(c, dims).map(|at| f64::from(x[at]));
        let centre = values.clone().sum::<f64>() / count;
        mean[c] = centre as f32;
        var[c] = (values.map(|x| (x - centre) * (x - centre)).sum::<f64>() / count) as f32;
    }
}

/// `(x - mean) / sqrt(var + eps) * gamma + beta` by channel; `params` is gamma, beta, mean, var.
pub fn batch_norm_fwd(y: &mut [f32], x: &[f32], params: [&[f32]; 4], eps: f32, dims: [usize; 3]) {
    for c in 0..dims[1] {
        let [gamma, beta, mean, var] = params.map(|p| f64::from(p[c]));
        for at in channel(c, dims) {
            let hat = (f64::from(x[at]) - mean) / sqrt(var + f64::from(eps));
            y[at] = (hat * gamma + beta) as f32;
        }
    }
}

/// Gradient to `x` when mean and variance are those of `x`; `params` is gamma, mean, var.
pub fn batch_norm_bwd_x(dx: &mut [f32], dy: &[f32], x: &[f32], params: [&[f32]; 3], eps: f32, dims: [usize; 3]) {
    let count = (dims[0] * dims[2]) as f64;
    for c in 0..dims[1] {
        let [gamma, mean, var] = params.map(|p| f64::from(p[c]));
        let scale = 1.0 / sqrt(var + f64::from(eps));
        let hat = |at: usize| (f64::from(x[at]) - mean) * scale;
        let sum: f64 = channel(c, dims).map(|at| f64::from(dy[at])).sum();
        let sum_hat: f64 = channel(c, dims).map(|at| f64::from(dy[at]) * hat(at)).sum();
        for at in channel(c, dims) {
            let centred = f64::from(dy[at]) - sum / count - hat(at) * sum_hat / count;
            dx[at] = (gamma * scale * centred) as f32;
        }
    }
}

/// Gradient to `gamma`.
pub fn batch_norm_bwd_gamma(dgamma: &mut [f32], dy: &[f32], x: &[f32], stats: [&[f32]; 2], eps: f32, dims: [usize; 3]) {
    for c in 0..dims[1] {
        let [mean, var] = stats.map(|p| f64::from(p[c]));
        let scale = 1.0 / sqrt(var + f64::from(eps));
        let terms = channel(c, dims).map(|at| f64::from(dy[at]) * (f64::from(x[at]) - mean) * scale);
        dgamma[c] = terms.sum::<f64>() as f32;
    }
}
