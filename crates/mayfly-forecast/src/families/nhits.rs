//! NHITS: blocks that pool the past and interpolate the future, each on what the ones before left (Challu et al. 2023).
use super::block::{Activation, Hidden, check_stacks};
use super::cx::ForecastCx;
use super::parts;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, PoolKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the past is made shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Pooling {
    /// The largest value.
    #[default]
    MaxPool1d,
    /// The mean.
    AvgPool1d,
}

/// How the future is filled between knots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(into = "&str", try_from = "String")]
pub enum Interpolation {
    /// Lines.
    #[default]
    Linear,
    /// The nearest knot.
    Nearest,
    /// Cubic curves (Keys 1981, a = −0.75, as torch's), for losses with one output a step. NeuralForecast's names with a number behind are taken too.
    Cubic,
}

impl From<Interpolation> for &str {
    fn from(mode: Interpolation) -> &'static str {
        match mode {
            Interpolation::Linear => "linear",
            Interpolation::Nearest => "nearest",
            Interpolation::Cubic => "cubic",
        }
    }
}

impl TryFrom<String> for Interpolation {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Interpolation, String> {
        match name.split('-').next() {
            Some("linear") => Ok(Interpolation::Linear),
            Some("nearest") => Ok(Interpolation::Nearest),
            Some("cubic") => Ok(Interpolation::Cubic),
            _ => Err(format!("{name:?} is no interpolation: linear, nearest and cubic are")),
        }
    }
}

/// NHITS's own settings; a list has an entry for each stack.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nhits {
    /// `identity` for each stack.
    pub stack_types: Vec<String>,
    /// Blocks of each stack.
    pub n_blocks: Vec<usize>,
    /// Inputs and units of the hidden layers, the same in every stack.
    pub mlp_units: Vec<[usize; 2]>,
    /// How many values of the past become one.
    pub n_pool_kernel_size: Vec<usize>,
    /// How many steps of the future have one knot.
    pub n_freq_downsample: Vec<usize>,
    /// How the past is made shorter.
    pub pooling_mode: Pooling,
    /// How the future is filled between knots.
    pub interpolation_mode: Interpolation,
    /// Share of hidden values dropped in training.
    pub dropout_prob_theta: f32,
    /// What follows a hidden layer.
    pub activation: Activation,
}

impl Default for Nhits {
    fn default() -> Self {
        Nhits {
            stack_types: vec!["identity".into(); 3],
            n_blocks: vec![1; 3],
            mlp_units: vec![[512, 512]; 3],
            n_pool_kernel_size: vec![2, 2, 1],
            n_freq_downsample: vec![4, 2, 1],
            pooling_mode: Pooling::MaxPool1d,
            interpolation_mode: Interpolation::Linear,
            dropout_prob_theta: 0.0,
            activation: Activation::ReLU,
        }
    }
}

impl Build for Nhits {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let mut rest = cx.reversed(cx.x)?;
        let mask = cx.mask.map(|mask| cx.reversed(mask)).transpose()?;
        if self.interpolation_mode == Interpolation::Cubic && cx.outputs > 1 {
            return Err(cx.refuse("cubic interpolation of several outputs a step; linear and nearest take them"));
        }
        let mut forecast = cx.last_value(cx.len())?;
        cx.contributes(0, forecast)?;
        let stacks = self.n_blocks.iter().zip(&self.n_pool_kernel_size).zip(&self.n_freq_downsample).enumerate();
        let blocks = stacks.flat_map(|(s, ((count, pool), down))| std::iter::repeat_n((s, *pool, *down), *count));
        let hidden = self.hidden();
        for (i, (stack, pool, down)) in blocks.enumerate() {
            let knots = (cx.h / down).max(1);
            let x = self.seen(cx, rest, pool)?;
            let layers = hidden.declare(cx, i, cx.width(x)?, cx.input_size + cx.outputs * knots)?;
            let theta = hidden.thetas(cx, x, &layers)?;
            let back = cx.part(theta, 0, cx.input_size)?;
            let ahead = cx.part(theta, cx.input_size, cx.outputs * knots)?;
            let ahead = cx.expanded(ahead, cx.outputs, &interpolation(cx.h, knots, self.interpolation_mode), cx.h)?;
            cx.contributes(1 + stack, ahead)?;
            forecast = cx.binary(Binary::Add, forecast, ahead)?;
            rest = cx.binary(Binary::Sub, rest, back)?;
            if let Some(mask) = mask {
                rest = cx.binary(Binary::Mul, rest, mask)?;
            }
        }
        Ok(forecast)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn parts(&self) -> Vec<String> {
        parts::names(&self.stack_types.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn check(&self) -> Result<()> {
        let stacks = self.stack_types.len();
        let lists = [
            ("n_blocks", &self.n_blocks[..]),
            ("n_pool_kernel_size", &self.n_pool_kernel_size),
            ("n_freq_downsample", &self.n_freq_downsample),
        ];
        check_stacks(stacks, &lists)?;
        if let Some(other) = self.stack_types.iter().find(|kind| *kind != "identity") {
            return Err(ForecastError::option(
                "stack_types",
                format!("{other:?}"),
                "NHITS has stacks of the type identity only",
            ));
        }
        self.hidden().check()
    }
}

impl Nhits {
    fn hidden(&self) -> Hidden<'_> {
        Hidden { units: &self.mlp_units, activation: self.activation, dropout: self.dropout_prob_theta }
    }

    /// What a block sees: the past and the exogenous columns made shorter, as one row.
    fn seen(&self, cx: &mut ForecastCx<'_, '_>, rest: NodeId, pool: usize) -> mayfly_nn::Result<NodeId> {
        let kind = match self.pooling_mode {
            Pooling::MaxPool1d => PoolKind::Max,
            Pooling::AvgPool1d => PoolKind::Avg,
        };
        let mut parts = vec![cx.pooled(rest, pool, kind)?];
        for columns in [cx.hist, cx.futr].into_iter().flatten() {
            let pooled = cx.pooled(columns.node, pool, kind)?;
            parts.push(cx.as_row(pooled)?);
        }
        parts.extend(cx.stat.map(|stat| stat.node));
        cx.joined(&parts, 1)
    }
}

/// `[h, knots]`: how each step is made of the knots, as torch's `interpolate` without aligned corners.
fn interpolation(h: usize, knots: usize, mode: Interpolation) -> Vec<f32> {
    let mut matrix = vec![0.0; h * knots];
    for (step, row) in matrix.chunks_exact_mut(knots).enumerate() {
        match mode {
            Interpolation::Nearest => row[(step * knots / h).min(knots - 1)] = 1.0,
            Interpolation::Cubic => {
                let at = (step as f64 + 0.5) * knots as f64 / h as f64 - 0.5;
                let (low, share) = (at.floor(), at - at.floor());
                for (offset, weight) in [-1.0, 0.0, 1.0, 2.0].into_iter().zip(cubic_weights(share)) {
                    let place = (low + offset).clamp(0.0, (knots - 1) as f64) as usize;
                    row[place] += weight as f32;
                }
            }
            Interpolation::Linear => {
                let at = ((step as f64 + 0.5) * knots as f64 / h as f64 - 0.5).max(0.0);
                let low = (at.floor() as usize).min(knots - 1);
                let share = (at - low as f64) as f32;
                row[low] += 1.0 - share;
                row[(low + 1).min(knots - 1)] += share;
            }
        }
    }
    matrix
}

/// Weights of the knots before, at, behind and two behind a place between two of them (Keys 1981).
fn cubic_weights(share: f64) -> [f64; 4] {
    let a = -0.75;
    let near = |d: f64| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    let far = |d: f64| a * (((d - 5.0) * d + 8.0) * d - 4.0);
    [far(1.0 + share), near(share), near(1.0 - share), far(2.0 - share)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of torch.nn.functional.interpolate([[[1, 2, 4]]], size=6) by its definition.
    #[test]
    fn interpolation_is_torchs() {
        let of = |mode| -> Vec<f32> {
            let matrix = interpolation(6, 3, mode);
            matrix.chunks_exact(3).map(|row| row.iter().zip([1.0, 2.0, 4.0]).map(|(w, k)| w * k).sum()).collect()
        };
        assert_eq!(of(Interpolation::Nearest), [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]);
        assert_eq!(of(Interpolation::Linear), [1.0, 1.25, 1.75, 2.5, 3.5, 4.0]);
        assert_eq!(interpolation(2, 1, Interpolation::Linear), [1.0, 1.0]);
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        for (bad, name) in [
            (Nhits { n_blocks: vec![1, 1], ..Nhits::default() }, "n_blocks"),
            (Nhits { n_pool_kernel_size: vec![2, 0, 1], ..Nhits::default() }, "n_pool_kernel_size"),
            (Nhits { stack_types: vec!["trend".into(); 3], ..Nhits::default() }, "stack_types"),
            (Nhits { mlp_units: vec![[8, 4], [8, 4]], ..Nhits::default() }, "mlp_units"),
            (Nhits { dropout_prob_theta: 1.0, ..Nhits::default() }, "dropout_prob_theta"),
        ] {
            assert!(bad.check().unwrap_err().to_string().starts_with(name), "{name}");
        }
        Nhits::default().check().unwrap();
    }
}
