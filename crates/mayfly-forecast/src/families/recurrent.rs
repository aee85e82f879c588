//! RNN, LSTM and GRU: an encoder that reads the past step by step, and dense layers from its last states to the steps of the forecast, as in NeuralForecast.
use super::block::{Activation, check_counts, check_dropout};
use super::cell::{Cell, lstm_projected};
use super::cx::ForecastCx;
use super::decoder::Decoder;
use super::settings::{self, Build};
use super::states::Ahead;
use crate::error::{ForecastError, Result};
use mayfly_graph::NodeId;
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What follows the sum in a plain recurrent cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellActivation {
    /// `tanh(x)`
    #[default]
    Tanh,
    /// `max(x, 0)`
    Relu,
}

/// The settings of RNN, LSTM and GRU, which differ in their cells and in the units of the encoder.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Layers of the encoder.
    pub encoder_n_layers: usize,
    /// Units of each.
    pub encoder_hidden_size: usize,
    /// What follows the sum; the plain cell alone has a choice.
    pub encoder_activation: CellActivation,
    /// Whether the cells have biases.
    pub encoder_bias: bool,
    /// Share of values dropped between the layers of the encoder in training.
    pub encoder_dropout: f32,
    /// Units of the decoder's hidden layers.
    pub decoder_hidden_size: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// What follows a hidden layer of the decoder.
    pub decoder_activation: Activation,
    /// Whether a forecast is made step by step, each from the one before, without a decoder.
    pub recurrent: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder {
            encoder_n_layers: 2,
            encoder_hidden_size: 128,
            encoder_activation: CellActivation::Tanh,
            encoder_bias: true,
            encoder_dropout: 0.0,
            decoder_hidden_size: 128,
            decoder_layers: 2,
            decoder_activation: Activation::ReLU,
            recurrent: false,
        }
    }
}

/// Elman's network (1990).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rnn(pub Encoder);

/// Long short-term memory (Hochreiter & Schmidhuber 1997).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lstm(pub Encoder);

/// Gated recurrent units (Cho et al. 2014).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gru(pub Encoder);

impl Default for Gru {
    fn default() -> Self {
        Gru(Encoder { encoder_hidden_size: 200, ..Encoder::default() })
    }
}

impl Encoder {
    fn build(&self, cx: &mut ForecastCx<'_, '_>, cell: Cell) -> mayfly_nn::Result<NodeId> {
        if self.recurrent {
            return self.build_recurrent(cx, cell);
        }
        let mut x = cx.past_columns()?;
        for layer in 0..self.encoder_n_layers {
            if layer > 0 && self.encoder_dropout > 0.0 {
                x = cx.dropout(x, self.encoder_dropout)?;
            }
            let name = |part: &str| format!("hist_encoder.{part}_l{layer}");
            x = cell.layer(cx, &name, self.encoder_hidden_size, self.encoder_bias, x)?;
        }
        let states = match cx.h <= cx.input_size {
            true => cx.rows_of(x, cx.input_size - cx.h, cx.h)?,
            false => {
                let by_unit = cx.transposed(x)?;
                let longer = cx.dense("upsample_sequence", by_unit, cx.h)?;
                cx.transposed(longer)?
            }
        };
        let decoder = Decoder {
            hidden: self.decoder_hidden_size,
            layers: self.decoder_layers,
            activation: self.decoder_activation,
            dropout: 0.0,
        };
        decoder.build(cx, states)
    }

    /// The next step from the last state: LSTM brings its states to the outputs within the cell, the others behind it.
    fn build_recurrent(&self, cx: &mut ForecastCx<'_, '_>, cell: Cell) -> mayfly_nn::Result<NodeId> {
        let mut x = cx.steps_with(&[Ahead::Hist, Ahead::Stat, Ahead::Futr])?;
        for layer in 0..self.encoder_n_layers {
            if layer > 0 && self.encoder_dropout > 0.0 {
                x = cx.dropout(x, self.encoder_dropout)?;
            }
            let name = |part: &str| format!("hist_encoder.{part}_l{layer}");
            x = match cell {
                Cell::Lstm => lstm_projected(cx, &name, [self.encoder_hidden_size, cx.outputs], self.encoder_bias, x)?,
                _ => cell.layer(cx, &name, self.encoder_hidden_size, self.encoder_bias, x)?,
            };
        }
        let last = cx.rows_of(x, cx.input_size - 1, 1)?;
        let y = if cell == Cell::Lstm { last } else { cx.dense("proj", last, cx.outputs)? };
        cx.as_row(y)
    }

    /// Values of the states of all layers, where forecasts are made step by step.
    fn states(&self, cell: Cell, outputs: usize) -> usize {
        let each = match cell {
            Cell::Lstm => self.encoder_hidden_size + outputs,
            _ => cell.state(self.encoder_hidden_size),
        };
        if self.recurrent { self.encoder_n_layers * each } else { 0 }
    }

    /// The plain cell, with what follows its sum.
    fn rnn(&self) -> Cell {
        Cell::Rnn(if self.encoder_activation == CellActivation::Relu { Act::Relu } else { Act::Tanh })
    }

    fn check(&self, has_choice: bool) -> Result<()> {
        check_counts(&[
            ("encoder_n_layers", self.encoder_n_layers),
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("decoder_hidden_size", self.decoder_hidden_size),
            ("decoder_layers", self.decoder_layers),
        ])?;
        if !has_choice && self.encoder_activation != CellActivation::Tanh {
            return Err(ForecastError::option("encoder_activation", "relu", "only RNN has a choice"));
        }
        check_dropout("encoder_dropout", self.encoder_dropout)
    }
}

macro_rules! build {
    ($family:ty, $cell:expr, $has_choice:expr) => {
        impl Build for $family {
            fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
                self.0.build(cx, $cell(&self.0))
            }

            fn config(&self) -> Value {
                settings::as_json(&self.0)
            }

            fn check(&self) -> Result<()> {
                self.0.check($has_choice)
            }

            fn states(&self, outputs: usize) -> usize {
                self.0.states($cell(&self.0), outputs)
            }
        }
    };
}

build!(Rnn, Encoder::rnn, true);
build!(Lstm, |_: &Encoder| Cell::Lstm, false);
build!(Gru, |_: &Encoder| Cell::Gru, false);
