//! Blocks of the N-BEATS kind: hidden layers that give coefficients, for the past and for the future.
use super::cx::{Dense, ForecastCx};
use crate::error::{ForecastError, Result};
use mayfly_graph::NodeId;
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};

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
    /// `x Φ(x)` (Hendrycks & Gimpel 2016).
    GELU,
    /// Clevert et al. 2016.
    ELU,
    /// `x / (1 + exp(−x))`
    SiLU,
    /// Misra 2019.
    Mish,
}

impl Activation {
    pub(super) fn act(self) -> Act {
        match self {
            Activation::ReLU => Act::Relu,
            Activation::Softplus => Act::Softplus,
            Activation::Tanh => Act::Tanh,
            Activation::SELU => Act::Selu,
            Activation::LeakyReLU => Act::LeakyRelu { slope: 0.01 },
            Activation::Sigmoid => Act::Sigmoid,
            Activation::GELU => Act::Gelu,
            Activation::ELU => Act::Elu { alpha: 1.0 },
            Activation::SiLU => Act::Silu,
            Activation::Mish => Act::Mish,
        }
    }
}

/// The hidden layers of all blocks, of which the first has no activation.
pub(super) struct Hidden<'a> {
    pub(super) units: &'a [[usize; 2]],
    pub(super) activation: Activation,
    pub(super) dropout: f32,
}

impl Hidden<'_> {
    /// The layers of block `i`, and the one behind them that gives `thetas` coefficients. Numbers are those of torch's `Sequential`, where activations and dropout count.
    pub(super) fn declare(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        i: usize,
        inputs: usize,
        thetas: usize,
    ) -> mayfly_nn::Result<Vec<Dense>> {
        let step = if self.dropout > 0.0 { 3 } else { 2 };
        let first = self.units.first().map_or(1, |units| units[0]);
        let hidden = self.units.iter().enumerate().map(|(j, units)| (1 + step * j, units[0], units[1]));
        let last = (1 + step * self.units.len(), self.units.last().map_or(1, |units| units[1]), thetas);
        let all: Vec<_> = [(0, inputs, first)].into_iter().chain(hidden).chain([last]).collect();
        all.into_iter().map(|(j, from, to)| cx.declare(&format!("blocks.{i}.layers.{j}"), from, to)).collect()
    }

    /// The coefficients of a block.
    pub(super) fn thetas(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId, layers: &[Dense]) -> mayfly_nn::Result<NodeId> {
        let mut y = x;
        for (i, layer) in layers.iter().enumerate() {
            y = cx.apply(y, *layer)?;
            if i > 0 && i + 1 < layers.len() {
                y = cx.act(y, self.activation.act())?;
                if self.dropout > 0.0 {
                    y = cx.dropout(y, self.dropout)?;
                }
            }
        }
        Ok(y)
    }

    pub(super) fn check(&self) -> Result<()> {
        let joined = self.units.windows(2).all(|pair| pair[0][1] == pair[1][0]);
        if self.units.is_empty() || !joined || self.units.iter().flatten().any(|units| *units == 0) {
            let want = "pairs of units above 0 are needed, each beginning with what the one before ends with";
            return Err(ForecastError::option("mlp_units", format!("{:?}", self.units), want));
        }
        check_dropout("dropout_prob_theta", self.dropout)
    }
}

/// Refuses counts of 0, by name.
pub(super) fn check_counts(counts: &[(&'static str, usize)]) -> Result<()> {
    match counts.iter().find(|(_, n)| *n == 0) {
        Some((name, _)) => Err(ForecastError::option(*name, 0, "it must be at least 1")),
        None => Ok(()),
    }
}

/// Refuses a share of dropped values that is none.
pub(super) fn check_dropout(name: &'static str, p: f32) -> Result<()> {
    match (0.0..1.0).contains(&p) {
        true => Ok(()),
        false => Err(ForecastError::option(name, p, "it must be at least 0 and below 1")),
    }
}

/// Refuses lists that do not have a number above 0 for each stack.
pub(super) fn check_stacks(stacks: usize, lists: &[(&'static str, &[usize])]) -> Result<()> {
    for (name, list) in lists {
        if list.len() != stacks || list.contains(&0) || stacks == 0 {
            let want = format!("one number above 0 is needed for each of the {stacks} stack_types");
            return Err(ForecastError::option(*name, format!("{list:?}"), want));
        }
    }
    Ok(())
}
