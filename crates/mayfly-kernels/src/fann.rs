//! FANN's activation functions on vectors.
//!
//! The C library computes exponentials, sines and the interpolations in double and rounds once; these follow the same
//! definitions in f32, within a few units in the last place. `tests/fann.rs` holds them against the library's output.

use crate::act::FannAct;
use crate::math;
use crate::simd::Simd;
use crate::simd_ext::SimdExt;

/// One of the stepwise functions: the inputs and outputs of its six corners, and its two limits.
pub(crate) struct Steps {
    pub(crate) inputs: [f32; 6],
    pub(crate) outputs: [f32; 6],
    pub(crate) limits: [f32; 2],
}

/// Corners of `FANN_SIGMOID_STEPWISE`.
pub(crate) const SIGMOID_STEPS: Steps = Steps {
    inputs: [-2.646_652_5, -1.472_219_5, -0.549_306_15, 0.549_306_15, 1.472_219_3, 2.646_653],
    outputs: [0.005, 0.05, 0.25, 0.75, 0.95, 0.995],
    limits: [0.0, 1.0],
};

/// Corners of `FANN_SIGMOID_SYMMETRIC_STEPWISE`.
pub(crate) const SYMMETRIC_STEPS: Steps = Steps {
    inputs: [-2.646_653, -1.472_219_3, -0.549_306_15, 0.549_306_15, 1.472_219_3, 2.646_653],
    outputs: [-0.99, -0.9, -0.5, 0.5, 0.9, 0.99],
    limits: [-1.0, 1.0],
};

/// `v` below `lo` becomes `lo`, above `hi` `hi`, as FANN's macro compares.
#[inline(always)]
fn clip<S: Simd>(s: S, v: S::F32, lo: S::F32, hi: S::F32) -> S::F32 {
    s.select(s.lt(v, lo), lo, s.select(s.gt(v, hi), hi, v))
}

/// The neuron's sum: `steepness * x` held within `±150 / steepness`.
#[inline(always)]
pub(crate) fn sum<S: Simd>(s: S, steepness: f32, x: S::F32) -> S::F32 {
    let limit = 150.0 / steepness;
    let (hi, lo) = (s.splat(limit), s.splat(-limit));
    let v = s.mul(s.splat(steepness), x);
    // The upper limit goes first: with a negative steepness the limits are swapped, and FANN tests this one first.
    s.select(s.gt(v, hi), hi, s.select(s.lt(v, lo), lo, v))
}

/// The activation of a sum.
#[inline(always)]
pub(crate) fn value<S: Simd>(s: S, act: FannAct, v: S::F32) -> S::F32 {
    let (zero, one, half) = (s.splat(0.0), s.splat(1.0), s.splat(0.5));
    match act {
        FannAct::Linear => v,
        FannAct::Threshold => s.select(s.lt(v, zero), zero, one),
        FannAct::ThresholdSymmetric => s.select(s.lt(v, zero), s.splat(-1.0), one),
        FannAct::Sigmoid => math::sigmoid(s, s.add(v, v)),
        FannAct::SigmoidStepwise => stepwise(s, &SIGMOID_STEPS, v),
        FannAct::SigmoidSymmetric => math::tanh(s, v),
        FannAct::SigmoidSymmetricStepwise => stepwise(s, &SYMMETRIC_STEPS, v),
        FannAct::Gaussian => bell(s, v),
        FannAct::GaussianSymmetric => s.mul_add(bell(s, v), s.splat(2.0), s.splat(-1.0)),
        FannAct::GaussianStepwise => zero,
        FannAct::Elliot => s.add(s.div(s.mul(v, half), s.add(one, s.abs(v))), half),
        FannAct::ElliotSymmetric => s.div(v, s.add(one, s.abs(v))),
        FannAct::LinearPiece => clip(s, v, zero, one),
        FannAct::LinearPieceSymmetric => clip(s, v, s.splat(-1.0), one),
        FannAct::SinSymmetric => math::sin(s, v),
        FannAct::CosSymmetric => math::cos(s, v),
        FannAct::Sin => s.mul_add(math::sin(s, v), half, half),
        FannAct::Cos => s.mul_add(math::cos(s, v), half, half),
        FannAct::LinearPieceRect => s.select(s.lt(v, zero), zero, v),
        FannAct::LinearPieceRectLeaky => s.select(s.lt(v, zero), s.mul(v, s.splat(0.01)), v),
    }
}

/// The derivative from `saved`, which is the output or the input before the steepness as [`FannAct::saves`] says.
#[inline(always)]
pub(crate) fn slope<S: Simd>(s: S, act: FannAct, steepness: f32, saved: S::F32) -> S::F32 {
    let (zero, one, k) = (s.splat(0.0), s.splat(1.0), s.splat(steepness));
    let y = saved;
    match act {
        FannAct::Linear | FannAct::LinearPiece | FannAct::LinearPieceSymmetric => k,
        FannAct::Threshold | FannAct::ThresholdSymmetric | FannAct::GaussianStepwise => zero,
        FannAct::Sigmoid | FannAct::SigmoidStepwise => {
            let y = clip(s, y, s.splat(0.01), s.splat(0.99));
            s.mul(s.mul(s.splat(2.0 * steepness), y), s.sub(one, y))
        }
        FannAct::SigmoidSymmetric | FannAct::SigmoidSymmetricStepwise => {
            let y = clip(s, y, s.splat(-0.98), s.splat(0.98));
            s.mul(k, s.sub(one, s.mul(y, y)))
        }
        FannAct::LinearPieceRect => s.select(s.lt(y, zero), zero, k),
        FannAct::LinearPieceRectLeaky => s.select(s.lt(y, zero), s.splat(steepness * 0.01), k),
        _ => slope_at(s, act, steepness, sum(s, steepness, saved)),
    }
}

/// The derivatives that FANN takes from the sum `v`.
#[inline(always)]
fn slope_at<S: Simd>(s: S, act: FannAct, steepness: f32, v: S::F32) -> S::F32 {
    let k = s.splat(steepness);
    match act {
        // Both gaussians have 2 exp(-v²) at their core: the symmetric one adds 1 to its output first.
        FannAct::Gaussian => gaussian_slope(s, steepness, v, bell(s, v)),
        FannAct::GaussianSymmetric => {
            let y = value(s, act, v);
            gaussian_slope(s, steepness, v, s.add(y, s.splat(1.0)))
        }
        FannAct::Elliot => s.div(k, s.mul(s.splat(2.0), elliot(s, v))),
        FannAct::ElliotSymmetric => s.div(k, elliot(s, v)),
        FannAct::SinSymmetric => s.mul(k, math::cos(s, s.mul(k, v))),
        FannAct::CosSymmetric => s.neg(s.mul(k, math::sin(s, s.mul(k, v)))),
        FannAct::Sin => s.mul(s.splat(0.5 * steepness), math::cos(s, s.mul(k, v))),
        FannAct::Cos => s.mul(s.splat(-0.5 * steepness), math::sin(s, s.mul(k, v))),
        _ => s.splat(0.0),
    }
}

/// `exp(-v²)`
#[inline(always)]
fn bell<S: Simd>(s: S, v: S::F32) -> S::F32 {
    math::exp(s, s.neg(s.mul(v, v)))
}

/// `-2 v y k²`
#[inline(always)]
fn gaussian_slope<S: Simd>(s: S, steepness: f32, v: S::F32, y: S::F32) -> S::F32 {
    let k = s.splat(steepness);
    s.mul(s.mul(s.mul(s.mul(s.splat(-2.0), v), y), k), k)
}

/// `(1 + |v|)²`
#[inline(always)]
fn elliot<S: Simd>(s: S, v: S::F32) -> S::F32 {
    let a = s.add(s.splat(1.0), s.abs(v));
    s.mul(a, a)
}

/// Linear interpolation between six corners, a limit on either side.
#[inline(always)]
fn stepwise<S: Simd>(s: S, steps: &Steps, v: S::F32) -> S::F32 {
    let mut y = s.splat(steps.limits[0]);
    for i in 0..5 {
        let (v1, v2) = (f64::from(steps.inputs[i]), f64::from(steps.inputs[i + 1]));
        let (r1, r2) = (f64::from(steps.outputs[i]), f64::from(steps.outputs[i + 1]));
        let slope = s.splat(((r2 - r1) / (v2 - v1)) as f32);
        let line = s.mul_add(s.sub(v, s.splat(steps.inputs[i])), slope, s.splat(steps.outputs[i]));
        y = s.select(s.ge(v, s.splat(steps.inputs[i])), line, y);
    }
    s.select(s.ge(v, s.splat(steps.inputs[5])), s.splat(steps.limits[1]), y)
}
