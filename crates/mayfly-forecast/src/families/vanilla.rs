//! VanillaTransformer: encoder and decoder with full attention; the decoder reads the end of the past and zeros for the future (Vaswani et al. 2017, in the form of Zhou et al. 2021).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use super::transformer::{FeedForward, Full, Transformer};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Causal, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// VanillaTransformer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VanillaTransformer {
    /// Share of the past that the decoder reads.
    pub decoder_input_size_multiplier: f32,
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Heads of attention; they divide the width.
    pub n_head: usize,
    /// Units between the two dense layers of a block.
    pub conv_hidden_size: usize,
    /// What follows the first of them.
    pub activation: FeedForward,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Whether a step of the decoder sees none later than itself. NeuralForecast's sees all, which hold no more than their places and what is known of them.
    pub causal_decoder: bool,
}

impl Default for VanillaTransformer {
    fn default() -> Self {
        VanillaTransformer {
            decoder_input_size_multiplier: 0.5,
            hidden_size: 128,
            dropout: 0.05,
            n_head: 4,
            conv_hidden_size: 32,
            activation: FeedForward::Gelu,
            encoder_layers: 2,
            decoder_layers: 1,
            causal_decoder: false,
        }
    }
}

impl Build for VanillaTransformer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h) = (cx.input_size, cx.h);
        let read = decoder_reads(cx, self.decoder_input_size_multiplier)?;
        let full = Full { heads: self.n_head, dropout: self.dropout };
        let causal = if self.causal_decoder { Causal::Yes } else { Causal::No };
        let parts = Transformer {
            width: self.hidden_size,
            heads: self.n_head,
            hidden: self.conv_hidden_size,
            dropout: self.dropout,
            activation: self.activation,
        };
        let marks = cx.futr.map(|futr| futr.node);
        let past = marks.map(|marks| cx.rows_of(marks, 0, l)).transpose()?;
        let mut encoded = parts.embedded(cx, "enc_embedding", cx.x, past)?;
        for i in 0..self.encoder_layers {
            encoded = parts.encoder_layer(cx, &format!("encoder.attn_layers.{i}"), encoded, &full)?;
        }
        let encoded = cx.layer_norm("encoder.norm", encoded, 1e-5)?;

        let last = cx.part(cx.x, l - read, read)?;
        let known = cx.padded(last, h)?;
        let ahead = marks.map(|marks| cx.rows_of(marks, l - read, read + h)).transpose()?;
        let mut y = parts.embedded(cx, "dec_embedding", known, ahead)?;
        for i in 0..self.decoder_layers {
            y = parts.decoder_layer(cx, &format!("decoder.layers.{i}"), [y, encoded], &full, causal)?;
        }
        let y = cx.layer_norm("decoder.norm", y, 1e-5)?;
        let y = cx.rows_of(y, read, h)?;
        let y = cx.dense("decoder.projection", y, cx.outputs)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("hidden_size", self.hidden_size),
            ("n_head", self.n_head),
            ("conv_hidden_size", self.conv_hidden_size),
            ("encoder_layers", self.encoder_layers),
            ("decoder_layers", self.decoder_layers),
        ])?;
        check_decoder(self.hidden_size, self.n_head, self.decoder_input_size_multiplier)?;
        check_dropout("dropout", self.dropout)
    }
}

/// Values of the past that a decoder reads.
pub(super) fn decoder_reads(cx: &ForecastCx<'_, '_>, share: f32) -> mayfly_nn::Result<usize> {
    let l = cx.input_size;
    let read = (l as f32 * share).ceil() as usize;
    match read > 0 && read < l {
        true => Ok(read),
        false => Err(cx.refuse(format!(
            "a decoder that reads {read} of {l} values; decoder_input_size_multiplier must leave at least one and take at least one"
        ))),
    }
}

/// Refuses widths and shares that no encoder with a decoder could have.
pub(super) fn check_decoder(hidden_size: usize, n_head: usize, share: f32) -> Result<()> {
    if !hidden_size.is_multiple_of(n_head) || hidden_size % 2 == 1 {
        let want = format!("it must be even and a multiple of n_head, {n_head}");
        return Err(ForecastError::option("hidden_size", hidden_size, want));
    }
    match share > 0.0 && share < 1.0 {
        true => Ok(()),
        false => Err(ForecastError::option("decoder_input_size_multiplier", share, "it must be between 0 and 1")),
    }
}
