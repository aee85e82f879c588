//! The activation functions of FANN, in its arithmetic: a float build computes piecewise rational functions in `float`,
//! but everything with `exp`, `sin`, `cos` and the stepwise tables in `double`, and rounds the result.

use super::FannActivation;
use super::run::Precision;

/// The corners (x, y) of the piecewise linear sigmoids, as FANN has them: it computed them in `float`, and not quite symmetrically.
const SIGMOID_CORNERS: [(f64, f64); 6] = [
    (-2.646_652_460_098_266_6, 0.004_999_999_888_241_291),
    (-1.472_219_467_163_086, 0.050_000_000_745_058_06),
    (-0.549_306_154_251_098_6, 0.25),
    (0.549_306_154_251_098_6, 0.75),
    (1.472_219_347_953_796_4, 0.949_999_988_079_071),
    (2.646_652_936_935_425, 0.995_000_004_768_371_6),
];
const SIGMOID_SYMMETRIC_CORNERS: [(f64, f64); 6] = [
    (-2.646_652_936_935_425, -0.990_000_009_536_743_2),
    (-1.472_219_347_953_796_4, -0.899_999_976_158_142_1),
    (-0.549_306_154_251_098_6, -0.5),
    (0.549_306_154_251_098_6, 0.5),
    (1.472_219_347_953_796_4, 0.899_999_976_158_142_1),
    (2.646_652_936_935_425, 0.990_000_009_536_743_2),
];

/// The value of a neuron whose sum, times the steepness and clamped, is `x`.
pub(super) fn activate(precision: Precision, function: FannActivation, x: f64) -> f64 {
    let value = match function {
        FannActivation::Linear => x,
        FannActivation::Threshold => step(x, 0.0),
        FannActivation::ThresholdSymmetric => step(x, -1.0),
        FannActivation::Sigmoid => 1.0 / (1.0 + (-2.0 * x).exp()),
        FannActivation::SigmoidSymmetric => 2.0 / (1.0 + (-2.0 * x).exp()) - 1.0,
        FannActivation::SigmoidStepwise => stepwise(&SIGMOID_CORNERS, 0.0, x),
        FannActivation::SigmoidSymmetricStepwise => stepwise(&SIGMOID_SYMMETRIC_CORNERS, -1.0, x),
        FannActivation::Gaussian => precision.round(-x * x).exp(),
        FannActivation::GaussianSymmetric => precision.round(-x * x).exp() * 2.0 - 1.0,
        FannActivation::GaussianStepwise => 0.0,
        FannActivation::Elliot => precision.round(precision.round(x / 2.0) / precision.round(1.0 + x.abs())) + 0.5,
        FannActivation::ElliotSymmetric => x / precision.round(1.0 + x.abs()),
        FannActivation::LinearPiece => piece(x, 0.0),
        FannActivation::LinearPieceSymmetric => piece(x, -1.0),
        FannActivation::SinSymmetric => x.sin(),
        FannActivation::CosSymmetric => x.cos(),
        FannActivation::Sin => x.sin() / 2.0 + 0.5,
        FannActivation::Cos => x.cos() / 2.0 + 0.5,
        FannActivation::LinearPieceRect => rectified(x, 0.0),
        FannActivation::LinearPieceRectLeaky => rectified(x, 0.01),
    };
    precision.round(value)
}

fn step(x: f64, low: f64) -> f64 {
    if x < 0.0 { low } else { 1.0 }
}

fn rectified(x: f64, slope: f64) -> f64 {
    if x < 0.0 { x * slope } else { x }
}

fn piece(x: f64, low: f64) -> f64 {
    if x < low {
        low
    } else if x > 1.0 {
        1.0
    } else {
        x
    }
}

/// Linear between the corners, `low` before the first and 1 from the last on.
fn stepwise(corners: &[(f64, f64); 6], low: f64, x: f64) -> f64 {
    for pair in corners.windows(2) {
        if let [(x1, y1), (x2, y2)] = *pair
            && x < x2
        {
            return if x < x1 { low } else { (y2 - y1) * (x - x1) / (x2 - x1) + y1 };
        }
    }
    1.0
}
