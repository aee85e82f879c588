//! DeepAR: long short-term memory whose outputs are a distribution of the next step, from which paths of the future are drawn (Salinas et al. 2020).
use super::block::{Activation, check_counts, check_dropout};
use super::cell::Cell;
use super::cx::ForecastCx;
use super::settings::{self, Build};
use super::states::Ahead;
use crate::error::{ForecastError, Result};
use crate::losses::{Distribution, ForecastLoss};
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The settings of DeepAR.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepAr {
    /// Layers of memory.
    pub lstm_n_layers: usize,
    /// Units of each.
    pub lstm_hidden_size: usize,
    /// Share of values dropped between them in training.
    pub lstm_dropout: f32,
    /// Hidden layers between memory and parameters.
    pub decoder_hidden_layers: usize,
    /// Units of each.
    pub decoder_hidden_size: usize,
    /// What follows each.
    pub decoder_activation: Activation,
    /// Paths of the future that a forecast draws.
    pub trajectory_samples: usize,
}

impl Default for DeepAr {
    fn default() -> Self {
        DeepAr {
            lstm_n_layers: 2,
            lstm_hidden_size: 128,
            lstm_dropout: 0.1,
            decoder_hidden_layers: 0,
            decoder_hidden_size: 0,
            decoder_activation: Activation::ReLU,
            trajectory_samples: 100,
        }
    }
}

impl Build for DeepAr {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let mut x = cx.steps_with(&[Ahead::Hist, Ahead::Futr, Ahead::Stat])?;
        for layer in 0..self.lstm_n_layers {
            if layer > 0 {
                x = cx.dropped(x, self.lstm_dropout)?;
            }
            let name = |part: &str| format!("hist_encoder.{part}_l{layer}");
            x = Cell::Lstm.layer(cx, &name, self.lstm_hidden_size, true, x)?;
        }
        let mut y = cx.rows_of(x, cx.input_size - 1, 1)?;
        for i in 0..self.decoder_hidden_layers {
            y = cx.dense(&format!("decoder.layers.{}", 3 * i), y, self.decoder_hidden_size)?;
            y = cx.act(y, self.decoder_activation.act())?;
        }
        let y = cx.dense(&format!("decoder.layers.{}", 3 * self.decoder_hidden_layers), y, cx.outputs)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("lstm_n_layers", self.lstm_n_layers),
            ("lstm_hidden_size", self.lstm_hidden_size),
            ("trajectory_samples", self.trajectory_samples),
        ])?;
        if self.decoder_hidden_layers > 0 && self.decoder_hidden_size == 0 {
            return Err(ForecastError::option("decoder_hidden_size", 0, "hidden layers have at least one unit"));
        }
        check_dropout("lstm_dropout", self.lstm_dropout)
    }

    fn loss(&self) -> ForecastLoss {
        Distribution::StudentT.into()
    }

    fn states(&self, _: usize) -> usize {
        self.lstm_n_layers * Cell::Lstm.state(self.lstm_hidden_size)
    }

    fn trajectories(&self) -> usize {
        self.trajectory_samples
    }
}
