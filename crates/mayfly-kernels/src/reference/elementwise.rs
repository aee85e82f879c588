//! Activations, their derivatives and the binary functions, one element at a time in f64.

use crate::fann::{SIGMOID_STEPS, SYMMETRIC_STEPS, Steps};
use crate::{Act, Binary, FannAct, SELU_ALPHA, SELU_LAMBDA, Saves};
use core::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};
use libm::{cos, erf, exp, expm1, fabs, log, log1p, sin, sqrt, tanh};

/// `1 / (1 + exp(-x))`
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + exp(-x)) } else { exp(x) / (1.0 + exp(x)) }
}

fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + log1p(exp(-x)) } else { log1p(exp(x)) }
}

fn gelu_tanh_inner(x: f64) -> f64 {
    sqrt(2.0 / PI) * (x + 0.044715 * x * x * x)
}

fn selu(x: f64) -> f64 {
    let (lambda, alpha) = (f64::from(SELU_LAMBDA), f64::from(SELU_ALPHA));
    if x > 0.0 { lambda * x } else { lambda * alpha * expm1(x) }
}

/// The value of `act` at `x`.
pub fn act(act: Act, v: f64) -> f64 {
    match act {
        Act::Identity => v,
        Act::Relu => {
            if v < 0.0 {
                0.0
            } else {
                v
            }
        }
        Act::LeakyRelu { slope } => {
            if v > 0.0 {
                v
            } else {
                v * f64::from(slope)
            }
        }
        Act::Elu { alpha } => {
            if v > 0.0 {
                v
            } else {
                f64::from(alpha) * expm1(v)
            }
        }
        Act::Selu => selu(v),
        Act::Gelu => v * 0.5 * (1.0 + erf(v * FRAC_1_SQRT_2)),
        Act::GeluTanh => v * 0.5 * (1.0 + tanh(gelu_tanh_inner(v))),
        Act::Silu => v * sigmoid(v),
        Act::Mish => v * tanh(softplus(v)),
        Act::Softplus => softplus(v),
        Act::HardSwish => v * (v + 3.0).clamp(0.0, 6.0) / 6.0,
        Act::HardSigmoid => (v + 3.0).clamp(0.0, 6.0) / 6.0,
        Act::Tanh => tanh(v),
        Act::Sigmoid => sigmoid(v),
        Act::Exp => exp(v),
        Act::Log => log(v),
        Act::Sqrt => sqrt(v),
        Act::Abs => fabs(v),
        Act::Neg => -v,
        Act::Square => v * v,
        Act::Reciprocal => 1.0 / v,
        Act::Sin => sin(v),
        Act::Cos => cos(v),
        Act::Erf => erf(v),
        Act::Trunc => libm::trunc(v) + 0.0, // 0 rather than −0
        Act::Affine { mul, add } => v * f64::from(mul) + f64::from(add),
        Act::Clamp { lo, hi } => {
            if v < f64::from(lo) {
                f64::from(lo)
            } else if v > f64::from(hi) {
                f64::from(hi)
            } else {
                v
            }
        }
        Act::Fann(fann, steepness) => fann_value(fann, fann_sum(f64::from(steepness), v)),
    }
}

/// The derivative of `act` at `x`.
// tidy: long, because it is one arm for each activation
pub fn act_derivative(act: Act, v: f64) -> f64 {
    match act {
        Act::Identity => 1.0,
        Act::Relu => f64::from(v > 0.0),
        Act::LeakyRelu { slope } => {
            if v > 0.0 {
                1.0
            } else {
                f64::from(slope)
            }
        }
        Act::Elu { alpha } => {
            if v > 0.0 {
                1.0
            } else {
                f64::from(alpha) * exp(v)
            }
        }
        Act::Selu => {
            if v > 0.0 {
                f64::from(SELU_LAMBDA)
            } else {
                f64::from(SELU_LAMBDA) * f64::from(SELU_ALPHA) * exp(v)
            }
        }
        Act::Gelu => {
            let density = exp(-0.5 * v * v) * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5;
            0.5 * (1.0 + erf(v * FRAC_1_SQRT_2)) + v * density
        }
        Act::GeluTanh => {
            let t = tanh(gelu_tanh_inner(v));
            let slope = sqrt(2.0 / PI) * (1.0 + 3.0 * 0.044715 * v * v);
            0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * slope
        }
        Act::Silu => sigmoid(v) * (1.0 + v * (1.0 - sigmoid(v))),
        Act::Mish => {
            let t = tanh(softplus(v));
            t + v * (1.0 - t * t) * sigmoid(v)
        }
        Act::Softplus => sigmoid(v),
        Act::HardSwish => {
            if v <= -3.0 {
                0.0
            } else if v >= 3.0 {
                1.0
            } else {
                (2.0 * v + 3.0) / 6.0
            }
        }
        Act::HardSigmoid => {
            if v > -3.0 && v < 3.0 {
                1.0 / 6.0
            } else {
                0.0
            }
        }
        Act::Tanh => 1.0 - tanh(v) * tanh(v),
        Act::Sigmoid => sigmoid(v) * (1.0 - sigmoid(v)),
        Act::Exp => exp(v),
        Act::Log => 1.0 / v,
        Act::Sqrt => 0.5 / sqrt(v),
        Act::Abs => f64::from(i32::from(v > 0.0) - i32::from(v < 0.0)),
        Act::Neg => -1.0,
        Act::Square => 2.0 * v,
        Act::Reciprocal => -1.0 / (v * v),
        Act::Sin => cos(v),
        Act::Cos => -sin(v),
        Act::Erf => FRAC_2_SQRT_PI * exp(-v * v),
        Act::Trunc => 0.0,
        Act::Affine { mul, .. } => f64::from(mul),
        Act::Clamp { lo, hi } => f64::from(v >= f64::from(lo) && v <= f64::from(hi)),
        Act::Fann(fann, steepness) => {
            let k = f64::from(steepness);
            let sum = fann_sum(k, v);
            fann_derivative(fann, k, fann_value(fann, sum), sum)
        }
    }
}

/// FANN's neuron sum: the weighted sum times the steepness, held within `±150 / steepness`.
pub fn fann_sum(steepness: f64, x: f64) -> f64 {
    let (sum, limit) = (steepness * x, 150.0 / steepness);
    if sum > limit {
        limit
    } else if sum < -limit {
        -limit
    } else {
        sum
    }
}

fn stepwise(steps: &Steps, s: f64) -> f64 {
    let at = |i: usize| (f64::from(steps.inputs[i]), f64::from(steps.outputs[i]));
    if s < at(0).0 {
        return f64::from(steps.limits[0]);
    }
    for i in 0..5 {
        let ((v1, r1), (v2, r2)) = (at(i), at(i + 1));
        if s < v2 {
            return (r2 - r1) * (s - v1) / (v2 - v1) + r1;
        }
    }
    f64::from(steps.limits[1])
}

/// FANN's activation of a neuron sum.
pub fn fann_value(act: FannAct, s: f64) -> f64 {
    match act {
        FannAct::Linear => s,
        FannAct::Threshold => f64::from(!(s < 0.0)),
        FannAct::ThresholdSymmetric => {
            if s < 0.0 {
                -1.0
            } else {
                1.0
            }
        }
        FannAct::Sigmoid => 1.0 / (1.0 + exp(-2.0 * s)),
        FannAct::SigmoidStepwise => stepwise(&SIGMOID_STEPS, s),
        FannAct::SigmoidSymmetric => tanh(s),
        FannAct::SigmoidSymmetricStepwise => stepwise(&SYMMETRIC_STEPS, s),
        FannAct::Gaussian => exp(-s * s),
        FannAct::GaussianSymmetric => exp(-s * s) * 2.0 - 1.0,
        FannAct::GaussianStepwise => 0.0,
        FannAct::Elliot => s / 2.0 / (1.0 + fabs(s)) + 0.5,
        FannAct::ElliotSymmetric => s / (1.0 + fabs(s)),
        FannAct::LinearPiece => s.clamp(0.0, 1.0),
        FannAct::LinearPieceSymmetric => s.clamp(-1.0, 1.0),
        FannAct::SinSymmetric => sin(s),
        FannAct::CosSymmetric => cos(s),
        FannAct::Sin => sin(s) / 2.0 + 0.5,
        FannAct::Cos => cos(s) / 2.0 + 0.5,
        FannAct::LinearPieceRect => s.max(0.0),
        FannAct::LinearPieceRectLeaky => {
            if s < 0.0 {
                s * 0.01
            } else {
                s
            }
        }
    }
}

/// FANN's derivative from the steepness `k`, the neuron's value `y` and its sum `s`.
pub fn fann_derivative(act: FannAct, k: f64, y: f64, s: f64) -> f64 {
    let elliot = (1.0 + fabs(s)) * (1.0 + fabs(s));
    match act {
        FannAct::Linear | FannAct::LinearPiece | FannAct::LinearPieceSymmetric => k,
        FannAct::Threshold | FannAct::ThresholdSymmetric | FannAct::GaussianStepwise => 0.0,
        FannAct::Sigmoid | FannAct::SigmoidStepwise => {
            let y = y.clamp(f64::from(0.01_f32), f64::from(0.99_f32));
            2.0 * k * y * (1.0 - y)
        }
        FannAct::SigmoidSymmetric | FannAct::SigmoidSymmetricStepwise => {
            let y = y.clamp(f64::from(-0.98_f32), f64::from(0.98_f32));
            k * (1.0 - y * y)
        }
        FannAct::Gaussian => -2.0 * s * y * k * k,
        FannAct::GaussianSymmetric => -2.0 * s * (y + 1.0) * k * k,
        FannAct::Elliot => k / (2.0 * elliot),
        FannAct::ElliotSymmetric => k / elliot,
        FannAct::SinSymmetric => k * cos(k * s),
        FannAct::CosSymmetric => -k * sin(k * s),
        FannAct::Sin => k * cos(k * s) / 2.0,
        FannAct::Cos => -k * sin(k * s) / 2.0,
        FannAct::LinearPieceRect => {
            if y < 0.0 {
                0.0
            } else {
                k
            }
        }
        FannAct::LinearPieceRectLeaky => {
            if y < 0.0 {
                k * 0.01
            } else {
                k
            }
        }
    }
}

/// `y = act(x)`
pub fn act_fwd(f: Act, y: &mut [f32], x: &[f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = act(f, f64::from(x)) as f32;
    }
}

/// `dx = dy * act'(x)`
pub fn act_bwd(f: Act, dx: &mut [f32], dy: &[f32], x: &[f32]) {
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        *dx = (f64::from(dy) * act_derivative(f, f64::from(x))) as f32;
    }
}

/// What [`Act::saves`] names, computed from the input `x`: the slice to hand to `act_bwd`.
pub fn saved(f: Act, x: f32) -> f32 {
    match f.saves() {
        Saves::Nothing | Saves::Input => x,
        Saves::Output => act(f, f64::from(x)) as f32,
    }
}

/// `op(a, b)`
pub fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Greater => f64::from(a > b),
        Binary::GreaterEqual => f64::from(a >= b),
        Binary::Pow => libm::pow(a, b),
    }
}
