//! Losses: one number per row, and their gradients.

use alloc::vec::Vec;

use crate::Isa;
use crate::act::FannSpan;
use crate::math;
use crate::pieces::{pieces, pieces_mut};
use crate::reduce::sum_of;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::{MAX_LANES, SimdExt};
use crate::size::check_len;
use crate::softmax::log_sum_exp;

/// A loss of a row of predictions `p` against targets `t` of the same width `n`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// Mean over the outputs of `(p - t)²`.
    Mse,
    /// Mean over the outputs of `|p - t|`.
    Mae,
    /// Mean over the outputs of `d²/2` up to `|d| = delta` and `delta (|d| - delta/2)` beyond, with `d = p - t` (Huber, 1964).
    Huber {
        /// Where the parabola ends.
        delta: f32,
    },
    /// Mean over the outputs of the cross-entropy of `sigmoid(p)` with targets in `0..=1`.
    BceWithLogits,
    /// `-Σ t' log softmax(p)` with one-hot or probability targets, `t' = (1 - smoothing) t + smoothing Σt / n` (Szegedy et al., 2016).
    /// A row of zero targets counts nothing; targets that are scaled scale the loss.
    SoftmaxCrossEntropy {
        /// The share of the targets that is spread over all classes; 0 for none.
        smoothing: f32,
    },
    /// Mean over the outputs of `max(0, 1 - p t)` with targets of ±1.
    Hinge,
    /// Mean over the outputs of `tau (t - p)` where positive, else `(1 - tau) (p - t)` (Koenker and Bassett, 1978). Column `j`
    /// has `taus[j % taus.len()]`; a target that has several quantiles stands in each of their columns.
    Quantile {
        /// The quantiles, in `0..=1`; at least one.
        taus: Vec<f32>,
    },
    /// FANN's error functions, with the sum over the outputs. The gradient is exactly minus what FANN 2.2.0 puts on an output
    /// neuron before its activation's derivative; the loss is that gradient's integral.
    Fann {
        /// Which of the two.
        error: FannError,
        /// Whether the difference is halved, as FANN does for outputs with a symmetric activation.
        span: FannSpan,
    },
}

/// FANN's `fann_errorfunc_enum`. `u` is the difference `p - t`, halved for a symmetric output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FannError {
    /// `FANN_ERRORFUNC_LINEAR`: the gradient is `u`.
    Linear,
    /// `FANN_ERRORFUNC_TANH`, FANN's default: the gradient is `log((1 + u) / (1 - u))`, and ±17 from `|u| > 0.9999999`.
    Tanh,
}

/// The largest `|u|` at which FANN evaluates the logarithm.
const FANN_EDGE: f32 = 0.999_999_9;
/// FANN's slope beyond it.
const FANN_SLOPE: f32 = 17.0;

fn half(span: FannSpan) -> f32 {
    match span {
        FannSpan::Unit => 1.0,
        FannSpan::Symmetric => 0.5,
    }
}

/// `log((1 + a) / (1 - a))` for `0 <= a < 1`.
#[inline(always)]
fn log_ratio<S: Simd>(s: S, a: S::F32) -> S::F32 {
    math::log1p_positive(s, s.div(s.add(a, a), s.sub(s.splat(1.0), a)))
}

/// FANN's tanh error function.
#[inline(always)]
fn fann_slope<S: Simd>(s: S, u: S::F32) -> S::F32 {
    let (a, edge) = (s.abs(u), s.splat(FANN_EDGE));
    let inside = log_ratio(s, s.min(edge, a));
    s.copysign(s.select(s.gt(a, edge), s.splat(FANN_SLOPE), inside), u)
}

/// Its integral from 0: `(1 + a) log(1 + a) + (1 - a) log(1 - a)`, written as `a log((1 + a) / (1 - a)) + log(1 - a²)`.
#[inline(always)]
fn fann_integral<S: Simd>(s: S, u: S::F32) -> S::F32 {
    let (one, edge) = (s.splat(1.0), s.splat(FANN_EDGE));
    let a = s.min(edge, s.abs(u));
    let rest = s.mul(s.sub(one, a), s.add(one, a));
    let log = math::log1p_positive(s, s.div(s.mul(a, a), rest));
    let inside = s.sub(s.mul(a, log_ratio(s, a)), log);
    s.mul_add(s.sub(s.abs(u), a), s.splat(FANN_SLOPE), inside)
}

/// The loss of an element; `tau` is read by the quantile loss.
#[inline(always)]
fn value<S: Simd>(s: S, loss: &Loss, p: S::F32, t: S::F32, tau: S::F32) -> S::F32 {
    let d = s.sub(p, t);
    let (zero, one) = (s.zero(), s.splat(1.0));
    match *loss {
        Loss::Mse => s.mul(d, d),
        Loss::Mae => s.abs(d),
        Loss::Huber { delta } => {
            let (a, delta) = (s.abs(d), s.splat(delta));
            let far = s.mul(delta, s.neg_mul_add(delta, s.splat(0.5), a));
            s.select(s.le(a, delta), s.mul(s.mul(d, d), s.splat(0.5)), far)
        }
        Loss::BceWithLogits => {
            let tail = math::log1p_positive(s, math::exp_negative(s, s.neg(s.abs(p))));
            s.add(s.neg_mul_add(p, t, s.select(s.lt(p, zero), zero, p)), tail)
        }
        Loss::Hinge => s.max(zero, s.neg_mul_add(p, t, one)),
        Loss::Quantile { .. } => s.mul(d, s.select(s.gt(d, zero), s.sub(one, tau), s.neg(tau))),
        Loss::Fann { error: FannError::Linear, span } => s.mul(s.mul(d, d), s.splat(0.5 * half(span))),
        Loss::Fann { error: FannError::Tanh, span } => {
            let u = s.mul(d, s.splat(half(span)));
            s.mul(fann_integral(s, u), s.splat(1.0 / half(span)))
        }
        Loss::SoftmaxCrossEntropy { .. } => zero,
    }
}

/// The derivative of [`value`] by `p`.
#[inline(always)]
fn slope<S: Simd>(s: S, loss: &Loss, p: S::F32, t: S::F32, tau: S::F32) -> S::F32 {
    let d = s.sub(p, t);
    let (zero, one) = (s.zero(), s.splat(1.0));
    match *loss {
        Loss::Mse => s.add(d, d),
        Loss::Mae => s.select(s.eq(d, zero), zero, s.copysign(one, d)),
        Loss::Huber { delta } => {
            let delta = s.splat(delta);
            s.select(s.le(s.abs(d), delta), d, s.copysign(delta, d))
        }
        Loss::BceWithLogits => s.sub(math::sigmoid(s, p), t),
        Loss::Hinge => s.select(s.gt(s.neg_mul_add(p, t, one), zero), s.neg(t), zero),
        Loss::Quantile { .. } => {
            let below = s.select(s.lt(d, zero), s.neg(tau), zero);
            s.select(s.gt(d, zero), s.sub(one, tau), below)
        }
        Loss::Fann { error: FannError::Linear, span } => s.mul(d, s.splat(half(span))),
        Loss::Fann { error: FannError::Tanh, span } => fann_slope(s, s.mul(d, s.splat(half(span)))),
        Loss::SoftmaxCrossEntropy { .. } => zero,
    }
}

/// The quantiles of the columns from `at` on.
#[inline(always)]
fn taus<S: Simd>(s: S, loss: &Loss, at: usize) -> S::F32 {
    let Loss::Quantile { taus } = loss else { return s.zero() };
    let mut lanes = [0.0; MAX_LANES];
    let mut next = at % taus.len();
    for lane in &mut lanes[..S::N] {
        *lane = taus[next];
        next = if next + 1 == taus.len() { 0 } else { next + 1 };
    }
    s.load(&lanes)
}

impl Loss {
    /// What the sum over a row's outputs is multiplied by.
    fn scale(&self, n: usize) -> f32 {
        match self {
            Self::Fann { .. } => 1.0,
            _ => 1.0 / n as f32,
        }
    }
}

/// `Σ` over a row of [`value`].
#[inline(always)]
fn row_sum<S: Simd>(s: S, loss: &Loss, p: &[f32], t: &[f32]) -> f32 {
    let mut acc = s.zero();
    for (k, (p, t)) in p.chunks(S::N).zip(t.chunks(S::N)).enumerate() {
        let v = value(s, loss, s.get(p), s.get(t), taus(s, loss, k * S::N));
        // Lanes beyond the row hold the loss of 0 against 0, which need not be 0.
        let used = s.lt(s.lanes(), s.splat(p.len() as f32));
        acc = s.add(acc, s.select(used, v, s.zero()));
    }
    s.reduce_sum(acc)
}

/// The loss of a row of softmax cross-entropy.
#[inline(always)]
fn cross_entropy<S: Simd>(s: S, smoothing: f32, p: &[f32], t: &[f32]) -> f32 {
    let (max, log) = log_sum_exp(s, p);
    let even = smoothing * sum_of(s, t) / p.len() as f32;
    let (shift, log) = (s.splat(max), s.splat(log));
    let mut acc = s.zero();
    for (p, t) in p.chunks(S::N).zip(t.chunks(S::N)) {
        // Lanes beyond the row: a log-probability of 0, which counts nothing.
        let log_p = s.sub(s.sub(s.get_or(p, max), shift), log);
        let log_p = s.select(s.lt(s.lanes(), s.splat(p.len() as f32)), log_p, s.zero());
        let smooth = s.mul_add(s.get(t), s.splat(1.0 - smoothing), s.splat(even));
        // No target, no loss: 0 · -inf would be NaN.
        let term = s.select(s.eq(smooth, s.zero()), s.zero(), s.mul(smooth, log_p));
        acc = s.add(acc, term);
    }
    -s.reduce_sum(acc)
}

/// The gradient of [`cross_entropy`] times `scale`.
#[inline(always)]
fn cross_entropy_bwd<S: Simd>(s: S, smoothing: f32, d: &mut [f32], p: &[f32], t: &[f32], scale: f32) {
    let (max, log) = log_sum_exp(s, p);
    let mass = sum_of(s, t);
    let (max, log, scale) = (s.splat(max), s.splat(log), s.splat(scale));
    let even = s.splat(smoothing * mass / p.len() as f32);
    for ((d, p), t) in d.chunks_mut(S::N).zip(p.chunks(S::N)).zip(t.chunks(S::N)) {
        let q = math::exp_negative(s, s.sub(s.sub(s.get(p), max), log));
        let smooth = s.mul_add(s.get(t), s.splat(1.0 - smoothing), even);
        s.put(d, s.mul(scale, s.sub(s.mul(s.splat(mass), q), smooth)));
    }
}

#[inline(always)]
fn fwd_body<S: Simd>(s: S, loss: &Loss, y: &mut [f32], p: &[f32], t: &[f32], n: usize) {
    let rows = y.iter_mut().zip(p.chunks_exact(n).zip(t.chunks_exact(n)));
    let scale = loss.scale(n);
    if n > 1 && n < S::N && is_flat(loss, n) {
        return narrow_fwd(s, loss, y, p, t, n);
    }
    if n > 1 || matches!(loss, Loss::SoftmaxCrossEntropy { .. }) {
        for (y, (p, t)) in rows {
            *y = match *loss {
                Loss::SoftmaxCrossEntropy { smoothing } => cross_entropy(s, smoothing, p, t),
                _ => row_sum(s, loss, p, t) * scale,
            };
        }
        return;
    }
    // One output: rows are neighbours.
    let tau = s.splat(first_tau(loss));
    for (y, (p, t)) in y.chunks_mut(S::N).zip(p.chunks(S::N).zip(t.chunks(S::N))) {
        s.put(y, s.mul(value(s, loss, s.get(p), s.get(t), tau), s.splat(scale)));
    }
}

/// Elements of narrow rows that are handled together.
const FLAT: usize = 256;

/// Whether an element's loss depends on its place in the whole array only, so that narrow rows can share vectors.
fn is_flat(loss: &Loss, n: usize) -> bool {
    match loss {
        Loss::SoftmaxCrossEntropy { .. } => false,
        Loss::Quantile { taus } => n.is_multiple_of(taus.len()),
        _ => true,
    }
}

/// Rows narrower than a vector: the elements of many rows at once, then their sums.
#[inline(always)]
fn narrow_fwd<S: Simd>(s: S, loss: &Loss, y: &mut [f32], p: &[f32], t: &[f32], n: usize) {
    let (rows, scale) = (FLAT / n, loss.scale(n));
    let mut values = [0.0; FLAT];
    for (y, (p, t)) in y.chunks_mut(rows).zip(p.chunks(rows * n).zip(t.chunks(rows * n))) {
        for (k, (p, t)) in p.chunks(S::N).zip(t.chunks(S::N)).enumerate() {
            let v = value(s, loss, s.get(p), s.get(t), taus(s, loss, k * S::N));
            s.put(&mut values[k * S::N..k * S::N + p.len()], v);
        }
        for (y, values) in y.iter_mut().zip(pieces(&values, n)) {
            *y = values.iter().sum::<f32>() * scale;
        }
    }
}

#[inline(always)]
fn narrow_bwd<S: Simd>(s: S, loss: &Loss, d: &mut [f32], drows: &[f32], p: &[f32], t: &[f32], n: usize) {
    let (rows, scale) = (FLAT / n, loss.scale(n));
    let mut factors = [0.0; FLAT];
    let blocks = drows.chunks(rows).zip(p.chunks(rows * n).zip(t.chunks(rows * n)));
    for (d, (drows, (p, t))) in d.chunks_mut(rows * n).zip(blocks) {
        for (factors, drow) in pieces_mut(&mut factors, n).zip(drows) {
            factors.fill(drow * scale);
        }
        let pairs = p.chunks(S::N).zip(t.chunks(S::N));
        for (k, (d, (p, t))) in d.chunks_mut(S::N).zip(pairs).enumerate() {
            let v = slope(s, loss, s.get(p), s.get(t), taus(s, loss, k * S::N));
            s.put(d, s.mul(v, s.get(&factors[k * S::N..k * S::N + p.len()])));
        }
    }
}

fn first_tau(loss: &Loss) -> f32 {
    match loss {
        Loss::Quantile { taus } => taus[0],
        _ => 0.0,
    }
}

#[inline(always)]
fn bwd_body<S: Simd>(s: S, loss: &Loss, dpred: &mut [f32], drows: &[f32], p: &[f32], t: &[f32], n: usize) {
    let scale = loss.scale(n);
    if n == 1 && !matches!(loss, Loss::SoftmaxCrossEntropy { .. }) {
        let tau = s.splat(first_tau(loss));
        let rows = drows.chunks(S::N).zip(p.chunks(S::N).zip(t.chunks(S::N)));
        for (d, (drows, (p, t))) in dpred.chunks_mut(S::N).zip(rows) {
            let factor = s.mul(s.get(drows), s.splat(scale));
            s.put(d, s.mul(slope(s, loss, s.get(p), s.get(t), tau), factor));
        }
        return;
    }
    if n < S::N && is_flat(loss, n) {
        return narrow_bwd(s, loss, dpred, drows, p, t, n);
    }
    let rows = drows.iter().zip(p.chunks_exact(n).zip(t.chunks_exact(n)));
    for (d, (&drow, (p, t))) in dpred.chunks_exact_mut(n).zip(rows) {
        match *loss {
            Loss::SoftmaxCrossEntropy { smoothing } => cross_entropy_bwd(s, smoothing, d, p, t, drow),
            _ => row_bwd(s, loss, d, p, t, drow * scale),
        }
    }
}

#[inline(always)]
fn row_bwd<S: Simd>(s: S, loss: &Loss, d: &mut [f32], p: &[f32], t: &[f32], factor: f32) {
    let pairs = p.chunks(S::N).zip(t.chunks(S::N));
    for (k, (d, (p, t))) in d.chunks_mut(S::N).zip(pairs).enumerate() {
        let v = slope(s, loss, s.get(p), s.get(t), taus(s, loss, k * S::N));
        s.put(d, s.mul(v, s.splat(factor)));
    }
}

fn check(name: &str, loss: &Loss, pred: &[f32], target: &[f32], rows: usize, n: usize) {
    check_len(name, &[pred.len(), target.len()], &[rows, n]);
    assert!(!matches!(loss, Loss::Quantile { taus } if taus.is_empty()), "{name}: a quantile loss without quantiles");
}

/// The loss of each row of `pred [rows, n]` against `target [rows, n]`: `row_loss [rows]`.
pub fn loss_fwd(isa: Isa, loss: &Loss, row_loss: &mut [f32], pred: &[f32], target: &[f32], rows: usize, n: usize) {
    check("loss_fwd", loss, pred, target, rows, n);
    check_len("loss_fwd", &[row_loss.len()], &[rows]);
    if n == 0 {
        return row_loss.fill(0.0);
    }
    dispatch!(isa, fwd_body(loss: &Loss, row_loss: &mut [f32], pred: &[f32], target: &[f32], n: usize));
}

/// Gradient of [`loss_fwd`] to `pred`, from the gradient to the row losses `drows [rows]`: for the mean loss that is
/// `1 / rows` throughout, and row weights belong into it.
pub fn loss_bwd(
    isa: Isa,
    loss: &Loss,
    dpred: &mut [f32],
    drows: &[f32],
    pred: &[f32],
    target: &[f32],
    rows: usize,
    n: usize,
) {
    check("loss_bwd", loss, pred, target, rows, n);
    check_len("loss_bwd", &[dpred.len()], &[rows, n]);
    check_len("loss_bwd", &[drows.len()], &[rows]);
    if n > 0 {
        dispatch!(isa, bwd_body(loss: &Loss, dpred: &mut [f32], drows: &[f32], pred: &[f32], target: &[f32], n: usize));
    }
}

/// FANN's own measures of a set of predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FannMeasure {
    /// `Σ u²`: FANN's mean square error is this over the number of outputs.
    pub squared: f64,
    /// How many outputs have `|u| >= limit`.
    pub bit_fail: usize,
}

/// FANN's square error and bit fail of `pred` against `target`, which have any equal shape.
pub fn fann_measure(pred: &[f32], target: &[f32], span: FannSpan, limit: f32) -> FannMeasure {
    check_len("fann_measure", &[target.len()], &[pred.len()]);
    let mut measure = FannMeasure::default();
    for (p, t) in pred.iter().zip(target) {
        let u = (t - p) * half(span);
        measure.squared += f64::from(u * u);
        measure.bit_fail += usize::from(u >= limit || u <= -limit);
    }
    measure
}
