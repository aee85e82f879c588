//! xLSTM: blocks of the LSTM with a matrix for memory, or with exponential gates (Beck et al. 2024).
mod matrix;
mod parts;
mod scalar;

use super::block::{Activation, check_counts, check_dropout};
use super::cx::ForecastCx;
use super::decoder::Decoder;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId};
use parts::{Blocks, HEADS, normed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The memory of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Backbone {
    /// A matrix.
    #[default]
    #[serde(rename = "mLSTM")]
    Matrix,
    /// A number for each unit, with exponential gates, step by step; units are a multiple of 4.
    #[serde(rename = "sLSTM")]
    Scalar,
}

/// xLSTM's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XLstm {
    /// Blocks.
    pub encoder_n_blocks: usize,
    /// Width of all vectors.
    pub encoder_hidden_size: usize,
    /// Whether the dense layers of a block have biases.
    pub encoder_bias: bool,
    /// Share of values dropped in training behind a block.
    pub encoder_dropout: f32,
    /// Units of the decoder's hidden layers.
    pub decoder_hidden_size: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Share of values dropped in training in the decoder.
    pub decoder_dropout: f32,
    /// What follows a hidden layer of the decoder.
    pub decoder_activation: Activation,
    /// The memory of a block.
    pub backbone: Backbone,
}

impl Default for XLstm {
    fn default() -> Self {
        XLstm {
            encoder_n_blocks: 2,
            encoder_hidden_size: 128,
            encoder_bias: true,
            encoder_dropout: 0.1,
            decoder_hidden_size: 128,
            decoder_layers: 2,
            decoder_dropout: 0.0,
            decoder_activation: Activation::GELU,
            backbone: Backbone::Matrix,
        }
    }
}

impl Build for XLstm {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let columns = cx.past_columns()?;
        let blocks = Blocks {
            units: self.encoder_hidden_size,
            count: self.encoder_n_blocks,
            has_bias: self.encoder_bias,
            dropout: self.encoder_dropout,
        };
        let mut x = cx.dense("feature_projection", columns, self.encoder_hidden_size)?;
        for i in 0..self.encoder_n_blocks {
            let name = format!("hist_encoder.blocks.{i}");
            let before = normed(cx, &format!("{name}.xlstm_norm"), x)?;
            let inner = format!("{name}.xlstm");
            let seen = match self.backbone {
                Backbone::Matrix => matrix::block(cx, &inner, blocks, before)?,
                Backbone::Scalar => scalar::block(cx, &inner, (blocks, i), before)?,
            };
            x = cx.binary(Binary::Add, x, seen)?;
            if self.backbone == Backbone::Scalar {
                let before = normed(cx, &format!("{name}.ffn_norm"), x)?;
                let more = scalar::feed_forward(cx, &format!("{name}.ffn"), blocks, before)?;
                x = cx.binary(Binary::Add, x, more)?;
            }
        }
        let x = normed(cx, "hist_encoder.post_blocks_norm", x)?;
        let by_unit = cx.transposed(x)?;
        let ahead = cx.dense("temporal_projection", by_unit, cx.h)?;
        let states = cx.transposed(ahead)?;
        let decoder = Decoder {
            hidden: self.decoder_hidden_size,
            layers: self.decoder_layers,
            activation: self.decoder_activation,
            dropout: self.decoder_dropout,
        };
        decoder.build(cx, states)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("encoder_n_blocks", self.encoder_n_blocks),
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("decoder_hidden_size", self.decoder_hidden_size),
            ("decoder_layers", self.decoder_layers),
        ])?;
        if self.backbone == Backbone::Scalar && !self.encoder_hidden_size.is_multiple_of(HEADS) {
            let want = format!("a multiple of {HEADS}, the heads of sLSTM");
            return Err(ForecastError::option("encoder_hidden_size", self.encoder_hidden_size, want));
        }
        check_dropout("encoder_dropout", self.encoder_dropout)?;
        check_dropout("decoder_dropout", self.decoder_dropout)
    }
}
