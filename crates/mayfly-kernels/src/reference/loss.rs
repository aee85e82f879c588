//! Losses and their gradients in f64.

use crate::{FannError, FannSpan, Loss};
use libm::{exp, fabs, log, log1p};

fn half(span: FannSpan) -> f64 {
    match span {
        FannSpan::Unit => 1.0,
        FannSpan::Symmetric => 0.5,
    }
}

/// FANN's clamp of its tanh error function.
const EDGE: f64 = 0.9999999;

/// The antiderivative of FANN's tanh error function.
fn tanh_error_integral(u: f64) -> f64 {
    let inside = |u: f64| (1.0 + u) * log1p(u) + (1.0 - u) * log1p(-u);
    match fabs(u) {
        a if a > EDGE => inside(EDGE) + 17.0 * (a - EDGE),
        a => inside(a),
    }
}

/// Loss of one element, before the mean over the outputs, and its derivative by `p`.
fn element(loss: &Loss, column: usize, p: f64, t: f64) -> (f64, f64) {
    let d = p - t;
    let sign = f64::from(i32::from(d > 0.0) - i32::from(d < 0.0));
    match loss {
        Loss::Mse => (d * d, 2.0 * d),
        Loss::Mae => (fabs(d), sign),
        Loss::Huber { delta } => match f64::from(*delta) {
            delta if fabs(d) <= delta => (0.5 * d * d, d),
            delta => (delta * (fabs(d) - 0.5 * delta), delta * sign),
        },
        Loss::BceWithLogits => (p.max(0.0) - p * t + log1p(exp(-fabs(p))), super::sigmoid(p) - t),
        Loss::Hinge => match 1.0 - p * t {
            margin if margin > 0.0 => (margin, -t),
            _ => (0.0, 0.0),
        },
        Loss::Quantile { taus } => match f64::from(taus[column % taus.len()]) {
            tau if d > 0.0 => ((1.0 - tau) * d, 1.0 - tau),
            tau => (-tau * d, tau * sign),
        },
        Loss::Fann { error: FannError::Linear, span } => (0.5 * half(*span) * d * d, half(*span) * d),
        Loss::Fann { error: FannError::Tanh, span } => {
            let u = d * half(*span);
            let slope = match u {
                u if u < -EDGE => -17.0,
                u if u > EDGE => 17.0,
                u => log((1.0 + u) / (1.0 - u)),
            };
            (tanh_error_integral(u) / half(*span), slope)
        }
        // Not a sum over elements; see `cross_entropy`.
        Loss::SoftmaxCrossEntropy { .. } => (f64::NAN, f64::NAN),
    }
}

/// What a row's sum over elements is divided by.
fn divisor(loss: &Loss, n: usize) -> f64 {
    match loss {
        Loss::Fann { .. } => 1.0,
        _ => n as f64,
    }
}

/// Softmax cross-entropy: calls `each(column, derivative)` and returns the loss.
fn cross_entropy(smoothing: f32, p: &[f64], t: &[f64], mut each: impl FnMut(usize, f64)) -> f64 {
    let (n, eps) = (p.len() as f64, f64::from(smoothing));
    let max = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = p.iter().map(|p| exp(p - max)).sum();
    let mass: f64 = t.iter().sum();
    let smooth = |t: f64| (1.0 - eps) * t + eps * mass / n;
    let mut loss = 0.0;
    for (column, (&p, &t)) in p.iter().zip(t).enumerate() {
        each(column, mass * exp(p - max) / sum - smooth(t));
        loss -= smooth(t) * (p - max - log(sum));
    }
    loss
}

/// The loss of one row.
pub fn loss(loss: &Loss, pred: &[f64], target: &[f64]) -> f64 {
    if let Loss::SoftmaxCrossEntropy { smoothing } = loss {
        return cross_entropy(*smoothing, pred, target, |_, _| ());
    }
    let elements = pred.iter().zip(target).enumerate();
    elements.map(|(j, (&p, &t))| element(loss, j, p, t).0).sum::<f64>() / divisor(loss, pred.len())
}

/// `d(loss of one row) / d(pred)`, handed to `each(column, derivative)`.
pub fn loss_derivative(loss: &Loss, pred: &[f64], target: &[f64], mut each: impl FnMut(usize, f64)) {
    if let Loss::SoftmaxCrossEntropy { smoothing } = loss {
        cross_entropy(*smoothing, pred, target, each);
        return;
    }
    for (j, (&p, &t)) in pred.iter().zip(target).enumerate() {
        each(j, element(loss, j, p, t).1 / divisor(loss, pred.len()));
    }
}
