//! Autoformer: trend and season parted again and again; windows are compared with themselves some steps later (Wu et al. 2021).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::delays::Delays;
use super::settings::{self, Build};
use super::transformer::{FeedForward, Transformer};
use super::vanilla::{check_decoder, decoder_reads};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId, ReduceKind};
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Autoformer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)] // NeuralForecast's name
pub struct Autoformer {
    /// Share of the past that the decoder reads.
    pub decoder_input_size_multiplier: f32,
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Delays that are looked at: so many times the logarithm of the window.
    pub factor: usize,
    /// Heads; they divide the width.
    pub n_head: usize,
    /// Units between the two dense layers of a block.
    pub conv_hidden_size: usize,
    /// What follows the first of them.
    pub activation: FeedForward,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Values of the moving average that is the trend; an odd number.
    pub MovingAvg_window: usize,
}

impl Default for Autoformer {
    fn default() -> Self {
        Autoformer {
            decoder_input_size_multiplier: 0.5,
            hidden_size: 128,
            dropout: 0.05,
            factor: 3,
            n_head: 4,
            conv_hidden_size: 32,
            activation: FeedForward::Gelu,
            encoder_layers: 2,
            decoder_layers: 1,
            MovingAvg_window: 25,
        }
    }
}

/// How one sequence takes from another: queries `[batch, time, width]`, keys and values.
pub(super) trait Mix {
    fn mix(&self, cx: &mut ForecastCx<'_, '_>, name: &str, qkv: [NodeId; 3]) -> mayfly_nn::Result<NodeId>;
}

/// Encoder and decoder that part trend and season after every step.
pub(super) struct Decomposing<'a> {
    pub(super) parts: Transformer,
    pub(super) window: usize,
    pub(super) encoder_layers: usize,
    pub(super) decoder_layers: usize,
    /// Values of the past that the decoder reads.
    pub(super) read: usize,
    /// The part behind the projections' names.
    pub(super) inner: &'static str,
    pub(super) mix: [&'a dyn Mix; 3],
}

impl Decomposing<'_> {
    pub(super) fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h, read) = (cx.input_size, cx.h, self.read);
        let [trend, season] = cx.decomposed(cx.x, self.window)?;
        let x = cx.reshape(cx.x, &[1, l])?;
        let mean = cx.mean(x)?;
        let mean = cx.repeated(mean, h)?;
        let last = cx.part(trend, l - read, read)?;
        let trend = cx.joined(&[last, mean], 1)?;
        let last = cx.part(season, l - read, read)?;
        let season = cx.padded(last, h)?;

        let marks = cx.futr.map(|futr| futr.node);
        let past = marks.map(|marks| cx.rows_of(marks, 0, l)).transpose()?;
        let mut encoded = self.parts.embedded_without_place(cx, "enc_embedding", cx.x, past)?;
        for i in 0..self.encoder_layers {
            encoded = self.encoder_layer(cx, &format!("encoder.attn_layers.{i}"), encoded)?;
        }
        let encoded = levelled(cx, "encoder.norm.layernorm", encoded)?;

        let ahead = marks.map(|marks| cx.rows_of(marks, l - read, read + h)).transpose()?;
        let mut y = self.parts.embedded_without_place(cx, "dec_embedding", season, ahead)?;
        let mut trend = cx.repeated(trend, cx.outputs)?;
        for i in 0..self.decoder_layers {
            let (rest, more) = self.decoder_layer(cx, &format!("decoder.layers.{i}"), y, encoded)?;
            y = rest;
            let more = cx.as_row(more)?;
            trend = cx.binary(Binary::Add, trend, more)?;
        }
        let y = levelled(cx, "decoder.norm.layernorm", y)?;
        let y = cx.dense("decoder.projection", y, cx.outputs)?;
        let y = cx.as_row(y)?;
        let y = cx.binary(Binary::Add, y, trend)?;
        cx.part(y, read * cx.outputs, h * cx.outputs)
    }

    fn encoder_layer(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let seen = self.attention(cx, &format!("{name}.attention"), x, x, self.mix[0])?;
        let (x, _) = self.parted(cx, x, seen)?;
        let y = self.feed_forward(cx, name, x)?;
        Ok(self.parted(cx, x, y)?.0)
    }

    /// The season that is left, and what the trend gains: `[batch, time, outputs]`.
    fn decoder_layer(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        encoded: NodeId,
    ) -> mayfly_nn::Result<(NodeId, NodeId)> {
        let seen = self.attention(cx, &format!("{name}.self_attention"), x, x, self.mix[1])?;
        let (x, first) = self.parted(cx, x, seen)?;
        let seen = self.attention(cx, &format!("{name}.cross_attention"), x, encoded, self.mix[2])?;
        let (x, second) = self.parted(cx, x, seen)?;
        let y = self.feed_forward(cx, name, x)?;
        let (x, third) = self.parted(cx, x, y)?;
        let trend = cx.binary(Binary::Add, first, second)?;
        let trend = cx.binary(Binary::Add, trend, third)?;
        let trend = cx.transposed(trend)?;
        let trend = cx.ring_conv(&format!("{name}.projection"), trend, cx.outputs, 1, false)?;
        Ok((x, cx.transposed(trend)?))
    }

    fn attention(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        over: NodeId,
        mix: &dyn Mix,
    ) -> mayfly_nn::Result<NodeId> {
        let width = self.parts.width;
        let q = cx.dense(&format!("{name}.query_projection"), x, width)?;
        let k = cx.dense(&format!("{name}.key_projection"), over, width)?;
        let v = cx.dense(&format!("{name}.value_projection"), over, width)?;
        let seen = mix.mix(cx, &format!("{name}.{}", self.inner), [q, k, v])?;
        let seen = cx.dense(&format!("{name}.out_projection"), seen, width)?;
        cx.dropped(seen, self.parts.dropout)
    }

    /// Season and trend of a sum.
    fn parted(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId, more: NodeId) -> mayfly_nn::Result<(NodeId, NodeId)> {
        let sum = cx.binary(Binary::Add, x, more)?;
        let turned = cx.transposed(sum)?;
        let [trend, season] = cx.decomposed(turned, self.window)?;
        Ok((cx.transposed(season)?, cx.transposed(trend)?))
    }

    fn feed_forward(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let y = cx.dense_plain(&format!("{name}.conv1"), x, self.parts.hidden)?;
        let y = cx.act(y, if self.parts.activation == FeedForward::Gelu { Act::Gelu } else { Act::Relu })?;
        let y = cx.dropped(y, self.parts.dropout)?;
        let y = cx.dense_plain(&format!("{name}.conv2"), y, self.parts.width)?;
        cx.dropped(y, self.parts.dropout)
    }
}

/// Layer norm less its mean over time.
fn levelled(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
    let y = cx.layer_norm(name, x, 1e-5)?;
    let times = cx.cx.dims(y)?.first().copied().unwrap_or(1);
    let turned = cx.transposed(y)?;
    let mean = cx.mean(turned)?;
    let mean = cx.spread(mean, times)?;
    let level = cx.binary(Binary::Sub, turned, mean)?;
    cx.transposed(level)
}

/// Attention by delays.
struct AutoCorrelation {
    factor: usize,
}

impl Mix for AutoCorrelation {
    fn mix(&self, cx: &mut ForecastCx<'_, '_>, _: &str, [q, k, v]: [NodeId; 3]) -> mayfly_nn::Result<NodeId> {
        let (times, width) = (cx.cx.dims(q)?.first().copied().unwrap_or(1), cx.width(q)?);
        let [k, v] = [as_long(cx, k, times)?, as_long(cx, v, times)?];
        // The mean over the width of the inverse is the inverse of the mean.
        let [q, k] = [spectrum(cx, q)?, spectrum(cx, k)?];
        let bins = cx.width(q)? / 2;
        let table = |cx: &mut ForecastCx<'_, '_>, x: NodeId| -> mayfly_nn::Result<[NodeId; 2]> {
            let pairs = cx.reshape(x, &[width * bins, 2])?;
            let part = |cx: &mut ForecastCx<'_, '_>, i: usize| -> mayfly_nn::Result<NodeId> {
                let part = cx.cut(pairs, 2, i, 1)?;
                cx.reshape(part, &[width, bins])
            };
            Ok([part(cx, 0)?, part(cx, 1)?])
        };
        let ([a, b], [c, d]) = (table(cx, q)?, table(cx, k)?);
        // (a + bi) · (c − di)
        let product = |cx: &mut ForecastCx<'_, '_>, x: NodeId, y: NodeId| cx.binary(Binary::Mul, x, y);
        let (ac, bd, bc, ad) = (product(cx, a, c)?, product(cx, b, d)?, product(cx, b, c)?, product(cx, a, d)?);
        let real = cx.binary(Binary::Add, ac, bd)?;
        let imaginary = cx.binary(Binary::Sub, bc, ad)?;
        let mut columns = Vec::new();
        for part in [real, imaginary] {
            let mean = cx.cx.graph().reduce(part, ReduceKind::Mean, 1)?;
            columns.push(cx.reshape(mean, &[bins, 1])?);
        }
        let pairs = cx.joined(&columns, 2)?;
        let pairs = cx.reshape(pairs, &[2 * bins])?;
        // As torch's inverse, which takes an even number of times for granted.
        let likeness = cx.cx.graph().irfft(pairs, 2 * (bins - 1))?;
        let most = (self.factor as f64 * (times as f64).ln()) as usize;
        let op = Delays { most, shared: cx.cx.is_training() };
        Ok(cx.cx.graph().custom(Arc::new(op), &[v, likeness])?)
    }
}

/// The spectrum along time of every value of a vector: `[batch, time, width] → [batch, width, bins]`, real and imaginary parts in turn.
pub(super) fn spectrum(cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
    let turned = cx.transposed(x)?;
    Ok(cx.cx.graph().rfft(turned)?)
}

/// A sequence of so many times: cut, or with zeros behind it.
fn as_long(cx: &mut ForecastCx<'_, '_>, x: NodeId, times: usize) -> mayfly_nn::Result<NodeId> {
    let (there, width) = (cx.cx.dims(x)?.first().copied().unwrap_or(1), cx.width(x)?);
    match times.checked_sub(there).filter(|behind| *behind > 0) {
        None => cx.rows_of(x, 0, times),
        Some(behind) => {
            let zeros = cx.table(&vec![0.0; behind * width], &[behind, width])?;
            let zeros = cx.in_every_row(zeros, &[behind, width])?;
            cx.joined(&[x, zeros], 1)
        }
    }
}

impl Build for Autoformer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let read = decoder_reads(cx, self.decoder_input_size_multiplier)?;
        for times in [cx.input_size, read + cx.h] {
            let most = (self.factor as f64 * (times as f64).ln()) as usize;
            if most == 0 || most > 2 * (times / 2) {
                return Err(cx.refuse(format!(
                    "{most} delays for {times} values; factor times the logarithm of the values must be between 1 and their number"
                )));
            }
        }
        let mix = AutoCorrelation { factor: self.factor };
        let both = Decomposing {
            parts: Transformer {
                width: self.hidden_size,
                heads: self.n_head,
                hidden: self.conv_hidden_size,
                dropout: self.dropout,
                activation: self.activation,
            },
            window: self.MovingAvg_window,
            encoder_layers: self.encoder_layers,
            decoder_layers: self.decoder_layers,
            read,
            inner: "inner_correlation",
            mix: [&mix, &mix, &mix],
        };
        both.build(cx)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("hidden_size", self.hidden_size),
            ("factor", self.factor),
            ("n_head", self.n_head),
            ("conv_hidden_size", self.conv_hidden_size),
            ("encoder_layers", self.encoder_layers),
            ("decoder_layers", self.decoder_layers),
        ])?;
        if self.MovingAvg_window.is_multiple_of(2) {
            return Err(ForecastError::option("MovingAvg_window", self.MovingAvg_window, "the number must be odd"));
        }
        check_decoder(self.hidden_size, self.n_head, self.decoder_input_size_multiplier)?;
        check_dropout("dropout", self.dropout)
    }
}
