//! NHITS: blocks that pool the past and interpolate the future, each on what the ones before left (Challu et al. 2023).
use super::cx::ForecastCx;
use super::settings::Build;
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, PoolKind};
use mayfly_nn::Act;
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
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Lines.
    #[default]
    Linear,
    /// The nearest knot.
    Nearest,
}

/// What follows a hidden layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Activation {
    /// `max(x, 0)`
    #[default]
    ReLU,
    /// `log(1 + exp(x))`
    Softplus,
    /// `tanh(x)`
    Tanh,
    /// Klambauer et al. 2017.
    SELU,
    /// `x`, or a hundredth of it below 0.
    LeakyReLU,
    /// `1 / (1 + exp(−x))`
    Sigmoid,
}

impl Activation {
    fn act(self) -> Act {
        match self {
            Activation::ReLU => Act::Relu,
            Activation::Softplus => Act::Softplus,
            Activation::Tanh => Act::Tanh,
            Activation::SELU => Act::Selu,
            Activation::LeakyReLU => Act::LeakyRelu { slope: 0.01 },
            Activation::Sigmoid => Act::Sigmoid,
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
        let mut forecast = cx.last_value(cx.len())?;
        let stacks = self.n_blocks.iter().zip(&self.n_pool_kernel_size).zip(&self.n_freq_downsample);
        let blocks = stacks.flat_map(|((count, pool), down)| std::iter::repeat_n((*pool, *down), *count));
        for (i, (pool, down)) in blocks.enumerate() {
            let theta = self.block(cx, i, rest, pool, down)?;
            let back = cx.part(theta, 0, cx.input_size)?;
            let knots = (cx.h / down).max(1);
            let ahead = cx.part(theta, cx.input_size, cx.outputs * knots)?;
            let ahead = cx.expanded(ahead, cx.outputs, &interpolation(cx.h, knots, self.interpolation_mode), cx.h)?;
            forecast = cx.binary(Binary::Add, forecast, ahead)?;
            rest = cx.binary(Binary::Sub, rest, back)?;
            if let Some(mask) = mask {
                rest = cx.binary(Binary::Mul, rest, mask)?;
            }
        }
        Ok(forecast)
    }

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        let stacks = self.stack_types.len();
        let lists = [
            ("n_blocks", &self.n_blocks),
            ("n_pool_kernel_size", &self.n_pool_kernel_size),
            ("n_freq_downsample", &self.n_freq_downsample),
        ];
        for (name, list) in lists {
            if list.len() != stacks || list.contains(&0) || stacks == 0 {
                let want = format!("one number above 0 is needed for each of the {stacks} stack_types");
                return Err(ForecastError::option(name, format!("{list:?}"), want));
            }
        }
        if let Some(other) = self.stack_types.iter().find(|kind| *kind != "identity") {
            return Err(ForecastError::option(
                "stack_types",
                format!("{other:?}"),
                "NHITS has stacks of the type identity only",
            ));
        }
        let joined = self.mlp_units.windows(2).all(|pair| pair[0][1] == pair[1][0]);
        if self.mlp_units.is_empty() || !joined || self.mlp_units.iter().flatten().any(|units| *units == 0) {
            let want = "pairs of units above 0 are needed, each beginning with what the one before ends with";
            return Err(ForecastError::option("mlp_units", format!("{:?}", self.mlp_units), want));
        }
        match (0.0..1.0).contains(&self.dropout_prob_theta) {
            true => Ok(()),
            false => Err(ForecastError::option(
                "dropout_prob_theta",
                self.dropout_prob_theta,
                "it must be at least 0 and below 1",
            )),
        }
    }
}

impl Nhits {
    /// The block's hidden layers, of which the first has no activation, and its coefficients: backcast, then knots.
    fn block(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        i: usize,
        rest: NodeId,
        pool: usize,
        down: usize,
    ) -> mayfly_nn::Result<NodeId> {
        let kind = match self.pooling_mode {
            Pooling::MaxPool1d => PoolKind::Max,
            Pooling::AvgPool1d => PoolKind::Avg,
        };
        let mut y = cx.pooled(rest, pool, kind)?;
        // Positions as in torch's Sequential, where activations and dropout count too.
        let mut place = 0;
        let first = self.mlp_units.first().map_or(1, |units| units[0]);
        y = cx.dense(&format!("blocks.{i}.layers.{place}"), y, first)?;
        for units in &self.mlp_units {
            place += 1;
            y = cx.dense(&format!("blocks.{i}.layers.{place}"), y, units[1])?;
            y = cx.act(y, self.activation.act())?;
            place += 1;
            if self.dropout_prob_theta > 0.0 {
                y = cx.dropout(y, self.dropout_prob_theta)?;
                place += 1;
            }
        }
        let thetas = cx.input_size + cx.outputs * (cx.h / down).max(1);
        cx.dense(&format!("blocks.{i}.layers.{}", place + 1), y, thetas)
    }
}

/// `[h, knots]`: how each step is made of the knots, as torch's `interpolate` without aligned corners.
fn interpolation(h: usize, knots: usize, mode: Interpolation) -> Vec<f32> {
    let mut matrix = vec![0.0; h * knots];
    for (step, row) in matrix.chunks_exact_mut(knots).enumerate() {
        match mode {
            Interpolation::Nearest => row[(step * knots / h).min(knots - 1)] = 1.0,
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
