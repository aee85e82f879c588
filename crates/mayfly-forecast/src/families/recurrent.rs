//! RNN, LSTM and GRU: an encoder that reads the past step by step, and dense layers from its last states to the steps of the forecast, as in NeuralForecast.
use super::block::{Activation, check_counts, check_dropout};
use super::cx::ForecastCx;
use super::decoder::Decoder;
use super::settings::Build;
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::{Act, Init};
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
}

impl Encoder {
    fn build(&self, cx: &mut ForecastCx<'_, '_>, cell: Cell) -> mayfly_nn::Result<NodeId> {
        let mut x = cx.past_columns()?;
        for layer in 0..self.encoder_n_layers {
            if layer > 0 && self.encoder_dropout > 0.0 {
                x = cx.dropout(x, self.encoder_dropout)?;
            }
            x = self.layer(cx, cell, layer, x)?;
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
        };
        decoder.build(cx, states)
    }

    /// One layer over all steps, with torch's parameters: `[time, inputs] → [time, units]`.
    fn layer(&self, cx: &mut ForecastCx<'_, '_>, cell: Cell, layer: usize, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (units, inputs) = (self.encoder_hidden_size, cx.width(x)?);
        let rows = cell.gates() * units;
        let limit = 1.0 / (units.max(1) as f32).sqrt();
        let init = || Init::Uniform { min: -limit, max: limit };
        let name = |part: &str| format!("hist_encoder.{part}_l{layer}");
        let w_ih = cx.weight(&name("weight_ih"), &[rows, inputs], init())?;
        let w_hh = cx.weight(&name("weight_hh"), &[rows, units], init())?;
        let biases = match self.encoder_bias {
            true => Some((cx.bias(&name("bias_ih"), rows, init())?, cx.bias(&name("bias_hh"), rows, init())?)),
            false => None,
        };
        let mut xw = cx.linear(x, w_ih, biases.map(|(b_ih, _)| b_ih))?;
        // Of GRU's second bias the last part stands inside, behind the reset gate.
        let outside = if cell == Cell::Gru { 2 * units } else { rows };
        if let Some((_, b_hh)) = biases {
            let mask: Vec<f32> = (0..rows).map(|i| f32::from(u8::from(i < outside))).collect();
            let kept = cx.scaled(b_hh, &mask)?;
            xw = cx.binary(Binary::Add, xw, kept)?;
        }
        match cell {
            Cell::Rnn => {
                cx.rnn(xw, w_hh, if self.encoder_activation == CellActivation::Relu { Act::Relu } else { Act::Tanh })
            }
            Cell::Lstm => cx.lstm(xw, w_hh),
            Cell::Gru => {
                let b_hn = match biases {
                    Some((_, b_hh)) => cx.part_of_param(b_hh, outside, units)?,
                    None => cx.constant(&vec![0.0; units])?,
                };
                cx.gru(xw, w_hh, b_hn)
            }
        }
    }

    fn check(&self, cell: Cell) -> Result<()> {
        check_counts(&[
            ("encoder_n_layers", self.encoder_n_layers),
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("decoder_hidden_size", self.decoder_hidden_size),
            ("decoder_layers", self.decoder_layers),
        ])?;
        if cell != Cell::Rnn && self.encoder_activation != CellActivation::Tanh {
            return Err(ForecastError::option("encoder_activation", "relu", "only RNN has a choice"));
        }
        check_dropout("encoder_dropout", self.encoder_dropout)
    }
}

macro_rules! build {
    ($family:ty, $cell:expr) => {
        impl Build for $family {
            fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
                self.0.build(cx, $cell)
            }

            fn config(&self) -> Value {
                serde_json::to_value(&self.0).unwrap_or_default()
            }

            fn check(&self) -> Result<()> {
                self.0.check($cell)
            }
        }
    };
}

build!(Rnn, Cell::Rnn);
build!(Lstm, Cell::Lstm);
build!(Gru, Cell::Gru);
