//! StemGNN: how series belong together is learnt, and their windows are filtered by that and by frequency (Cao et al. 2020).
use super::block::{check_counts, check_dropout};
use super::cell::Cell;
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, ReduceKind, Shape};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// StemGNN's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StemGnn {
    /// Blocks; only 2 are possible.
    pub n_stacks: usize,
    /// How many times as wide as a window the layers are.
    pub multi_layer: usize,
    /// Share of the graph's edges dropped in training.
    pub dropout_rate: f32,
    /// What is left of a negative score between two series.
    pub leaky_rate: f32,
}

impl Default for StemGnn {
    fn default() -> Self {
        StemGnn { n_stacks: 2, multi_layer: 5, dropout_rate: 0.5, leaky_rate: 0.2 }
    }
}

/// Filters: the Chebyshev polynomials of a graph of degree 0 to 3, of which NeuralForecast's first is 0.
const ORDERS: usize = 4;

impl Build for StemGnn {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let graph = self.graph(cx)?;
        let filters = self.filters(cx, graph)?;
        let (first, rest) = self.block(cx, 0, cx.x, &filters)?;
        let (second, _) = self.block(cx, 1, rest, &filters)?;
        let y = cx.binary(Binary::Add, first, second)?;
        let y = cx.dense("fc.0", y, cx.input_size)?;
        let y = cx.act(y, Act::LeakyRelu { slope: 0.01 })?;
        let y = cx.dense("fc.2", y, cx.len())?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        if self.n_stacks != 2 {
            return Err(ForecastError::option("n_stacks", self.n_stacks, "only 2 are possible, as in NeuralForecast"));
        }
        check_counts(&[("multi_layer", self.multi_layer)])?;
        check_dropout("dropout_rate", self.dropout_rate)
    }
}

impl StemGnn {
    /// How much each series looks at each other, on the mean over windows: `[series, series]`. Forecasts take the mean of the training.
    fn graph(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let n = cx.series;
        let running = cx.cx.running("attention.running", &[n, n], Init::Constant(1.0 / n as f32), 0.1)?;
        // Windows are steps: a series after the other.
        let name = |part: &str| format!("GRU.{part}_l0");
        let states = Cell::Gru.layer(cx, &name, n, true, cx.x)?;
        let states = cx.transposed(states)?;
        // Xavier's start for [n, 1] and a gain of 1.414.
        let limit = 1.414 * (6.0 / (n + 1) as f32).sqrt();
        let mut scores = Vec::new();
        for name in ["weight_key", "weight_query"] {
            let w = cx.weight(name, &[n, 1], Init::Uniform { min: -limit, max: limit })?;
            let w = cx.cx.graph().reshape(w, Shape::fixed(&[1, n])?)?;
            let score = cx.linear(states, w, None)?;
            scores.push(cx.reshape(score, &[n])?);
        }
        let keys = cx.spread(scores[0], n)?;
        let queries = cx.spread(scores[1], n)?;
        let queries = cx.transposed(queries)?;
        let sum = cx.binary(Binary::Add, keys, queries)?;
        let sum = cx.act(sum, Act::LeakyRelu { slope: self.leaky_rate })?;
        let shares = cx.softmax(sum)?;
        if !cx.cx.is_training() {
            return Ok(running);
        }
        let shares = cx.dropped(shares, self.dropout_rate)?;
        let g = cx.cx.graph();
        let mean = g.mean_over_batch(shares)?;
        g.follow(running, mean)?;
        Ok(mean)
    }

    /// The polynomials of the graph's normalised Laplacian but the first: `[series, series]` each.
    fn filters(&self, cx: &mut ForecastCx<'_, '_>, shares: NodeId) -> mayfly_nn::Result<[NodeId; 3]> {
        let n = cx.series;
        let g = cx.cx.graph();
        let degree = g.reduce(shares, ReduceKind::Sum, 1)?;
        let turned = g.transpose(shares, &[1, 0])?;
        let both = g.binary(Binary::Add, shares, turned)?;
        let edges = g.act(both, Act::Affine { mul: 0.5, add: 0.0 })?;
        let diagonal: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
        let diagonal = g.constant(&diagonal, &[n, n])?;
        let own = g.binary(Binary::Mul, diagonal, degree)?;
        let laplacian = g.binary(Binary::Sub, own, edges)?;
        // Each row and each column by the root of its degree.
        let root = g.act(degree, Act::Sqrt)?;
        let root = g.act(root, Act::Affine { mul: 1.0, add: 1e-7 })?;
        let laplacian = g.binary(Binary::Div, laplacian, root)?;
        let laplacian = g.transpose(laplacian, &[1, 0])?;
        let laplacian = g.binary(Binary::Div, laplacian, root)?;
        let first = g.transpose(laplacian, &[1, 0])?;
        let twice = |g: &mut mayfly_graph::Graph, x: NodeId| -> mayfly_nn::Result<NodeId> {
            let y = g.matmul(first, x)?;
            Ok(g.act(y, Act::Affine { mul: 2.0, add: 0.0 })?)
        };
        let second = twice(g, first)?;
        let third = twice(g, second)?;
        let third = g.binary(Binary::Sub, third, first)?;
        Ok([first, second, third])
    }

    /// A block: its part of the forecast, `[batch, series, time]`, and what the next one sees.
    fn block(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        number: usize,
        x: NodeId,
        filters: &[NodeId; 3],
    ) -> mayfly_nn::Result<(NodeId, NodeId)> {
        let (n, l, wide) = (cx.series, cx.input_size, cx.input_size * self.multi_layer);
        let name = |part: &str| format!("stock_block.{number}.{part}");
        // Windows through each filter: a product along the series.
        let turned = cx.transposed(x)?;
        let mut filtered = Vec::new();
        for filter in filters {
            let y = cx.linear(turned, *filter, None)?;
            filtered.push(cx.transposed(y)?);
        }
        // The discrete Fourier transform over the four orders, of which the first is 0.
        let mut parts = Vec::new();
        for (part, offset) in [(0, 0.0), (1, std::f64::consts::FRAC_PI_2)] {
            let columns: Vec<NodeId> = (0..ORDERS)
                .map(|k| {
                    let at = |j: usize| (std::f64::consts::FRAC_PI_2 * (j * k) as f64 + offset).cos().round() as f32;
                    sum(cx, &filtered, &[at(1), at(2), at(3)])
                })
                .collect::<mayfly_nn::Result<_>>()?;
            let mut y = cx.joined(&columns, 2)?;
            for i in 0..3 {
                y = glu(cx, &name(&format!("GLUs.{}", 2 * i + part)), y, ORDERS * wide)?;
            }
            parts.push(y);
        }
        let back = self.inverse(cx, parts[0], parts[1], wide)?;
        let back = cx.reshape(back, &[n, ORDERS * wide])?;
        let w = self.weight(cx, &name("weight"), wide)?;
        let joined = cx.linear(back, w, None)?;

        let ahead = cx.dense(&name("forecast"), joined, wide)?;
        let ahead = cx.act(ahead, Act::Sigmoid)?;
        let ahead = cx.dense(&name("forecast_result"), ahead, l)?;
        if number > 0 {
            return Ok((ahead, x));
        }
        let past = cx.dense(&name("backcast"), joined, l)?;
        let short = cx.dense(&name("backcast_short_cut"), x, l)?;
        let past = cx.binary(Binary::Sub, past, short)?;
        Ok((ahead, cx.act(past, Act::Sigmoid)?))
    }

    /// The inverse of the transform over the orders, order by order side by side: `[batch, series, 4 · wide]`. Of four bins the last follows from the second.
    fn inverse(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        real: NodeId,
        imaginary: NodeId,
        wide: usize,
    ) -> mayfly_nn::Result<NodeId> {
        let bin = |cx: &mut ForecastCx<'_, '_>, x: NodeId, k: usize| cx.cut(x, 2, k * wide, wide);
        let bins = [bin(cx, real, 0)?, bin(cx, real, 1)?, bin(cx, real, 2)?, bin(cx, imaginary, 1)?];
        let orders: Vec<NodeId> = (0..ORDERS)
            .map(|t| {
                let angle = std::f64::consts::FRAC_PI_2 * t as f64;
                let (cos, sin) = (angle.cos().round() as f32, angle.sin().round() as f32);
                let last = if t % 2 == 0 { 1.0 } else { -1.0 };
                sum(cx, &bins, &[0.25, 0.5 * cos, 0.25 * last, -0.5 * sin])
            })
            .collect::<mayfly_nn::Result<_>>()?;
        cx.joined(&orders, 2)
    }

    /// One matrix for each order, as one over all of them: `[wide, 4 · wide]`.
    fn weight(&self, cx: &mut ForecastCx<'_, '_>, name: &str, wide: usize) -> mayfly_nn::Result<NodeId> {
        // Xavier's start as torch counts [1, 4, 1, wide, wide]: fans of 4 and 1 times wide².
        let init = Init::Normal { deviation: (2.0 / (5 * wide * wide) as f32).sqrt() };
        let w = cx.weight(name, &[ORDERS, wide, wide], init)?;
        let g = cx.cx.graph();
        let w = g.reshape(w, Shape::fixed(&[ORDERS * wide, wide])?)?;
        Ok(g.transpose(w, &[1, 0])?)
    }
}

/// A sum of values times numbers.
fn sum(cx: &mut ForecastCx<'_, '_>, values: &[NodeId], by: &[f32]) -> mayfly_nn::Result<NodeId> {
    let mut sum: Option<NodeId> = None;
    for (value, by) in values.iter().zip(by) {
        let scaled = cx.act(*value, Act::Affine { mul: *by, add: 0.0 })?;
        sum = Some(match sum {
            Some(before) => cx.binary(Binary::Add, before, scaled)?,
            None => scaled,
        });
    }
    sum.ok_or_else(|| cx.refuse("a sum of nothing"))
}

/// A dense layer as a share of another.
fn glu(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
    let left = cx.dense(&format!("{name}.linear_left"), x, units)?;
    let right = cx.dense(&format!("{name}.linear_right"), x, units)?;
    let right = cx.act(right, Act::Sigmoid)?;
    cx.binary(Binary::Mul, left, right)
}
