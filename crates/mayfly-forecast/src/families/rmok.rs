//! RMoK: a mixture of layers whose edges are functions: powers, Jacobi polynomials, wavelets, and lines (Han et al. 2024).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::norm::Affine;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::{Binary, NodeId, ReduceKind, Shape};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::f32::consts::PI;

/// The wave behind an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wavelet {
    /// The second derivative of a bell curve.
    #[default]
    MexicanHat,
    /// A cosine under a bell curve.
    Morlet,
    /// The first derivative of a bell curve.
    Dog,
    /// A sine that ends smoothly at 1.
    Meyer,
    /// `sin(x) / x` under a Hamming window over the inputs.
    Shannon,
}

/// RMoK's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RMoK {
    /// Powers, from 0 on.
    pub taylor_order: usize,
    /// The highest degree of the Jacobi polynomials.
    pub jacobi_degree: usize,
    /// The wave of the third layer.
    pub wavelet_function: Wavelet,
    /// Share of inputs dropped in training.
    pub dropout: f32,
    /// Whether scale and shift of each series are learnt.
    pub revin_affine: bool,
}

impl Default for RMoK {
    fn default() -> Self {
        RMoK {
            taylor_order: 3,
            jacobi_degree: 6,
            wavelet_function: Wavelet::MexicanHat,
            dropout: 0.1,
            revin_affine: true,
        }
    }
}

const NORM: Affine<'static> = Affine { weight: "rev.affine_weight", bias: "rev.affine_bias", rank: 3 };

impl Build for RMoK {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (x, moments) = cx.normalised(cx.x, self.revin_affine.then_some(NORM))?;
        let x = cx.dropped(x, self.dropout)?;
        let x = cx.fold(x)?;
        let units = cx.len();
        let scores = cx.dense("gate", x, 4)?;
        let shares = cx.softmax(scores)?;
        let experts = [
            self.taylor(cx, x, units)?,
            self.jacobi(cx, x, units)?,
            self.wave(cx, x, units)?,
            cx.dense("experts.3", x, units)?,
        ];
        let columns: Vec<NodeId> =
            experts.into_iter().map(|y| cx.reshape(y, &[units, 1])).collect::<mayfly_nn::Result<_>>()?;
        let table = cx.joined(&columns, 2)?;
        let y = cx.times(table, shares)?;
        let y = cx.unfold(y, cx.series)?;
        let y = cx.restored(y, &moments)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("taylor_order", self.taylor_order)])?;
        check_dropout("dropout", self.dropout)
    }
}

impl RMoK {
    /// Sums of powers of every input.
    fn taylor(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
        let n = cx.input_size;
        let w = cx.weight("experts.0.coeffs", &[units, n, self.taylor_order], Init::Normal { deviation: 0.01 })?;
        let bias = cx.cx.param("experts.0.bias", &[1, units], Init::Zeros)?;
        let mut powers = vec![cx.act(x, Act::Affine { mul: 0.0, add: 1.0 })?];
        for i in 1..self.taylor_order {
            powers.push(if i == 1 { x } else { cx.binary(Binary::Mul, powers[i - 1], x)? });
        }
        let table = side_by_side(cx, &powers)?;
        let g = cx.cx.graph();
        let w = g.reshape(w, Shape::fixed(&[units, n * self.taylor_order])?)?;
        let bias = g.reshape(bias, Shape::fixed(&[units])?)?;
        cx.linear(table, w, Some(bias))
    }

    /// Sums of Jacobi polynomials (α = β = 1) of the inputs' hyperbolic tangents, by their recursion.
    fn jacobi(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
        let (n, degrees) = (cx.input_size, self.jacobi_degree + 1);
        let init = Init::Normal { deviation: 1.0 / (n * degrees) as f32 };
        let w = cx.weight("experts.1.jacobi_coeffs", &[n, units, degrees], init)?;
        let x = cx.act(x, Act::Tanh)?;
        let mut all = vec![cx.act(x, Act::Affine { mul: 0.0, add: 1.0 })?];
        if degrees > 1 {
            all.push(cx.act(x, Act::Affine { mul: 2.0, add: 0.0 })?);
        }
        for i in 2..degrees {
            let k = i as f32;
            let up = (2.0 * k + 2.0) * (2.0 * k + 1.0) / (2.0 * k * (k + 2.0));
            let back = k * k * (2.0 * k + 2.0) / (k * (k + 2.0) * 2.0 * k);
            let scaled = cx.act(x, Act::Affine { mul: up, add: 0.0 })?;
            let first = cx.binary(Binary::Mul, scaled, all[i - 1])?;
            let second = cx.act(all[i - 2], Act::Affine { mul: back, add: 0.0 })?;
            all.push(cx.binary(Binary::Sub, first, second)?);
        }
        let table = side_by_side(cx, &all)?;
        let g = cx.cx.graph();
        let w = g.transpose(w, &[1, 0, 2])?;
        let w = g.reshape(w, Shape::fixed(&[units, n * degrees])?)?;
        cx.linear(table, w, None)
    }

    /// Sums of waves, each moved and stretched by itself, and a batch norm.
    fn wave(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
        let n = cx.input_size;
        let limit = 1.0 / (n.max(1) as f32).sqrt();
        let scale = cx.cx.param("experts.2.scale", &[units, n], Init::Constant(1.0))?;
        let shift = cx.cx.param("experts.2.translation", &[units, n], Init::Zeros)?;
        let w = cx.weight("experts.2.wavelet_weights", &[units, n], Init::Uniform { min: -limit, max: limit })?;
        let row = cx.reshape(x, &[1, n])?;
        let x = cx.cx.graph().gather(row, 1, &vec![0; units])?;
        let x = cx.binary(Binary::Sub, x, shift)?;
        let x = cx.binary(Binary::Div, x, scale)?;
        let y = self.wave_at(cx, x)?;
        let y = cx.binary(Binary::Mul, y, w)?;
        let y = cx.cx.graph().reduce(y, ReduceKind::Sum, 2)?;
        cx.batch_norm("experts.2.bn", y)
    }

    fn wave_at(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        match self.wavelet_function {
            Wavelet::MexicanHat => {
                let square = cx.act(x, Act::Square)?;
                let factor = 2.0 / (3.0_f32.sqrt() * PI.powf(0.25));
                let y = cx.act(square, Act::Affine { mul: factor, add: -factor })?;
                let bell = bell(cx, square)?;
                cx.binary(Binary::Mul, y, bell)
            }
            Wavelet::Morlet => {
                let square = cx.act(x, Act::Square)?;
                let angle = cx.act(x, Act::Affine { mul: 5.0, add: 0.0 })?;
                let y = cx.act(angle, Act::Cos)?;
                let bell = bell(cx, square)?;
                cx.binary(Binary::Mul, y, bell)
            }
            Wavelet::Dog => {
                let square = cx.act(x, Act::Square)?;
                let y = cx.act(x, Act::Neg)?;
                let bell = bell(cx, square)?;
                cx.binary(Binary::Mul, y, bell)
            }
            Wavelet::Meyer => {
                let size = cx.act(x, Act::Abs)?;
                let angle = cx.act(size, Act::Affine { mul: PI, add: 0.0 })?;
                let y = cx.act(angle, Act::Sin)?;
                // 1 up to a half, 0 from 1 on: both are ends of the curve between.
                let t = cx.act(size, Act::Affine { mul: 2.0, add: -1.0 })?;
                let t = cx.act(t, Act::Clamp { lo: 0.0, hi: 1.0 })?;
                let mut curve = cx.act(t, Act::Affine { mul: -20.0, add: 70.0 })?;
                for add in [-84.0, 35.0] {
                    curve = cx.binary(Binary::Mul, curve, t)?;
                    curve = cx.act(curve, Act::Affine { mul: 1.0, add })?;
                }
                let square = cx.act(t, Act::Square)?;
                let fourth = cx.act(square, Act::Square)?;
                let curve = cx.binary(Binary::Mul, curve, fourth)?;
                let angle = cx.act(curve, Act::Affine { mul: PI / 2.0, add: 0.0 })?;
                let end = cx.act(angle, Act::Cos)?;
                cx.binary(Binary::Mul, y, end)
            }
            Wavelet::Shannon => {
                // The function is even, so that a size which is never quite 0 does for x.
                let square = cx.act(x, Act::Square)?;
                let square = cx.act(square, Act::Affine { mul: 1.0, add: 1e-12 })?;
                let size = cx.act(square, Act::Sqrt)?;
                let y = cx.act(size, Act::Sin)?;
                let y = cx.binary(Binary::Div, y, size)?;
                let n = cx.input_size;
                let window: Vec<f32> =
                    (0..n).map(|i| 0.54 - 0.46 * (2.0 * PI * i as f32 / (n.max(2) - 1) as f32).cos()).collect();
                let window = cx.constant(if n == 1 { &[1.0] } else { &window })?;
                cx.binary(Binary::Mul, y, window)
            }
        }
    }
}

/// `exp(−x²/2)` of a square.
fn bell(cx: &mut ForecastCx<'_, '_>, square: NodeId) -> mayfly_nn::Result<NodeId> {
    let half = cx.act(square, Act::Affine { mul: -0.5, add: 0.0 })?;
    cx.act(half, Act::Exp)
}

/// Rows of one length, with what belongs to one input next to each other: `k × [batch, n] → [batch, n · k]`.
fn side_by_side(cx: &mut ForecastCx<'_, '_>, rows: &[NodeId]) -> mayfly_nn::Result<NodeId> {
    let n = cx.input_size;
    let columns: Vec<NodeId> = rows.iter().map(|row| cx.reshape(*row, &[n, 1])).collect::<mayfly_nn::Result<_>>()?;
    let table = cx.joined(&columns, 2)?;
    cx.reshape(table, &[n * rows.len()])
}
