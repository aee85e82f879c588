//! Implicit quantiles: a layer behind any family that makes of its output the quantile of a share that is told (Dabney et al. 2018, Gouttes et al. 2021).
use super::cx::ForecastCx;
use super::settings::Build;
use crate::losses::ForecastLoss;
use crate::windows::SHARES;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::{Act, CustomOp, Dims, Init, Shape};
use serde_json::Value;
use std::f32::consts::PI;
use std::sync::Arc;

/// Cosines by which a share is told.
const COSINES: usize = 64;
/// torch's start of a rectifier's slope below 0.
const SLOPE: f32 = 0.25;

/// A family with the layer behind it. In training there is a share for each step, which is an input; forecasts have all quantiles that are told of a step.
#[derive(Debug)]
pub(crate) struct Implicit {
    pub(crate) family: Arc<dyn Build>,
    /// The shares of a forecast.
    pub(crate) quantiles: Vec<f64>,
}

impl Build for Implicit {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let y = self.family.build(cx)?;
        let steps = cx.series * cx.h;
        // Networks for training have the shares as an input.
        match cx.cx.input(SHARES) {
            Ok(shares) => {
                let by = told(cx, shares, Cosines { shares: None, steps })?;
                let y = cx.reshape(y, &[steps, 1])?;
                let y = cx.binary(Binary::Mul, y, by)?;
                self.behind(cx, y, steps)
            }
            Err(_) => {
                let quantiles: Vec<f32> = self.quantiles.iter().map(|share| *share as f32).collect();
                let n = quantiles.len();
                let by = told(cx, y, Cosines { shares: Some(quantiles), steps: n })?;
                let (y, by) = (cx.reshape(y, &[1, steps, 1])?, cx.reshape(by, &[1, 1, n])?);
                let y = cx.cx.graph().matmul(y, by)?;
                let y = cx.reshape(y, &[steps * n, 1])?;
                self.behind(cx, y, steps * n)
            }
        }
    }

    fn config(&self) -> Value {
        self.family.config()
    }

    fn loss(&self) -> ForecastLoss {
        self.family.loss()
    }

    fn states(&self, outputs: usize) -> usize {
        self.family.states(outputs)
    }
}

impl Implicit {
    fn behind(&self, cx: &mut ForecastCx<'_, '_>, y: NodeId, n: usize) -> mayfly_nn::Result<NodeId> {
        let y = cx.dense("loss.output_layer.0", y, 1)?;
        let y = rectified(cx, "loss.output_layer.1", y)?;
        cx.reshape(y, &[n])
    }
}

/// `1 + emb`: what a share makes of an output. `[batch, n, 1]`
fn told(cx: &mut ForecastCx<'_, '_>, of: NodeId, cosines: Cosines) -> mayfly_nn::Result<NodeId> {
    let x = cx.cx.graph().custom(Arc::new(cosines), &[of])?;
    let x = cx.dense("loss.quantile_layer.output_layer.0", x, COSINES)?;
    let x = rectified(cx, "loss.quantile_layer.output_layer.1", x)?;
    let x = cx.dense("loss.quantile_layer.output_layer.2", x, 1)?;
    let one = cx.constant(&[1.0])?;
    cx.binary(Binary::Add, x, one)
}

/// `max(x, 0) + a · min(x, 0)` with a slope `a` that is learnt (He et al. 2015).
fn rectified(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
    let slope = cx.cx.param(&format!("{name}.weight"), &[1], Init::Constant(SLOPE))?;
    let minus = cx.constant(&[-1.0])?;
    let above = cx.act(x, Act::Relu)?;
    let below = cx.binary(Binary::Mul, x, minus)?;
    let below = cx.act(below, Act::Relu)?;
    let below = cx.binary(Binary::Mul, below, slope)?;
    cx.binary(Binary::Sub, above, below)
}

/// `[batch, ..] → [batch, n, 64]`: `cos(πkτ)` of every share, which are the inputs, or the same in every row.
#[derive(Debug)]
struct Cosines {
    shares: Option<Vec<f32>>,
    steps: usize,
}

impl CustomOp for Cosines {
    fn name(&self) -> &'static str {
        "cosines_of_shares"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [shares] if self.shares.is_some() || shares.row_len() == self.steps => {
                Shape::batched(&[self.steps, COSINES]).map_err(|e| e.to_string())
            }
            _ => Err(format!("{} shares a row are needed, got {inputs:?}", self.steps)),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let shares = self.shares.as_deref().unwrap_or(inputs[0]).iter().cycle();
        for (y, share) in y.chunks_exact_mut(COSINES).zip(shares) {
            y.iter_mut().enumerate().for_each(|(k, y)| *y = (share * k as f32 * PI).cos());
        }
    }

    fn backward(&self, _: usize, dx: &mut [f32], _: &[f32], _: &[&[f32]], _: &[f32], _: &[Dims]) {
        dx.fill(0.0); // shares are data
    }
}
