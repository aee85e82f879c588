//! Informer: a transformer of which only the queries that stand out look at all keys; between its layers every second step goes (Zhou et al. 2021).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use super::sparse::ProbSparse;
use super::transformer::{Attend, FeedForward, Transformer};
use super::vanilla::{check_decoder, decoder_reads};
use crate::error::{ForecastError, Result};
use mayfly_base::{Rng, mix};
use mayfly_graph::{Causal, NodeId, Pool2dSpec, PoolKind};
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::sync::Arc;

/// Informer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Informer {
    /// Share of the past that the decoder reads.
    pub decoder_input_size_multiplier: f32,
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Keys that judge a query, and queries that look at all keys: so many times the logarithm of their number.
    pub factor: usize,
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
    /// Whether every second step goes between the layers of the encoder.
    pub distil: bool,
    /// By which keys each query is judged, attention by attention; drawn once where it is not given. NeuralForecast draws anew for every batch, also for forecasts.
    pub judged_by: Option<Vec<Vec<Vec<usize>>>>,
}

impl Default for Informer {
    fn default() -> Self {
        Informer {
            decoder_input_size_multiplier: 0.5,
            hidden_size: 128,
            dropout: 0.05,
            factor: 3,
            n_head: 4,
            conv_hidden_size: 32,
            activation: FeedForward::Gelu,
            encoder_layers: 2,
            decoder_layers: 1,
            distil: true,
            judged_by: None,
        }
    }
}

/// Attention by attention, in the order in which they are built.
struct Sparse<'a> {
    settings: &'a Informer,
    built: Cell<usize>,
}

impl Sparse<'_> {
    /// So many of `n` as the factor says.
    fn some(&self, n: usize) -> usize {
        let logarithm = (n as f64).ln().ceil() as usize;
        (self.settings.factor * logarithm).clamp(1, n)
    }

    fn judged_by(&self, cx: &ForecastCx<'_, '_>, tq: usize, tk: usize) -> mayfly_nn::Result<Vec<Vec<usize>>> {
        let number = self.built.replace(self.built.get() + 1);
        let Some(given) = &self.settings.judged_by else {
            let mut rng = Rng::stream(mix(0x1f0), number as u64);
            return Ok((0..tq).map(|_| (0..self.some(tk)).map(|_| rng.below(tk as u64) as usize).collect()).collect());
        };
        given
            .get(number)
            .cloned()
            .ok_or_else(|| cx.refuse(format!("judged_by has keys for {} attentions, there are more", given.len())))
    }
}

impl Attend for Sparse<'_> {
    fn attend(&self, cx: &mut ForecastCx<'_, '_>, [q, k, v]: [NodeId; 3], causal: Causal) -> mayfly_nn::Result<NodeId> {
        let times = |x: NodeId| Ok::<_, mayfly_nn::NnError>(cx.cx.dims(x)?.first().copied().unwrap_or(1));
        let (tq, tk) = (times(q)?, times(k)?);
        let judged_by = self.judged_by(cx, tq, tk)?;
        let op =
            ProbSparse { heads: self.settings.n_head, judged_by, most: self.some(tq), causal: causal == Causal::Yes };
        Ok(cx.cx.graph().custom(Arc::new(op), &[q, k, v])?)
    }
}

impl Build for Informer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (l, h) = (cx.input_size, cx.h);
        let read = decoder_reads(cx, self.decoder_input_size_multiplier)?;
        let sparse = Sparse { settings: self, built: Cell::new(0) };
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
            encoded = parts.encoder_layer(cx, &format!("encoder.attn_layers.{i}"), encoded, &sparse)?;
            if self.distil && i + 1 < self.encoder_layers {
                encoded = distilled(cx, &format!("encoder.conv_layers.{i}"), encoded)?;
            }
        }
        let encoded = cx.layer_norm("encoder.norm", encoded, 1e-5)?;

        let last = cx.part(cx.x, l - read, read)?;
        let known = cx.padded(last, h)?;
        let ahead = marks.map(|marks| cx.rows_of(marks, l - read, read + h)).transpose()?;
        let mut y = parts.embedded(cx, "dec_embedding", known, ahead)?;
        for i in 0..self.decoder_layers {
            y = parts.decoder_layer(cx, &format!("decoder.layers.{i}"), [y, encoded], &sparse, Causal::Yes)?;
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
            ("factor", self.factor),
            ("n_head", self.n_head),
            ("conv_hidden_size", self.conv_hidden_size),
            ("encoder_layers", self.encoder_layers),
            ("decoder_layers", self.decoder_layers),
        ])?;
        if self.judged_by.as_ref().is_some_and(|all| all.iter().flatten().any(Vec::is_empty)) {
            return Err(ForecastError::option("judged_by", "an empty list", "at least one key judges a query"));
        }
        check_decoder(self.hidden_size, self.n_head, self.decoder_input_size_multiplier)?;
        check_dropout("dropout", self.dropout)
    }
}

/// A convolution over three neighbours in a ring with two steps more, batch norm, and the largest of each three neighbours at every second step.
fn distilled(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
    let width = cx.width(x)?;
    let turned = cx.transposed(x)?;
    let y = cx.ring_conv(&format!("{name}.downConv"), turned, width, 2, true)?;
    let y = cx.batch_norm(&format!("{name}.norm"), y)?;
    let y = cx.act(y, Act::Elu { alpha: 1.0 })?;
    let times = cx.width(y)?;
    let spec = Pool2dSpec { kind: PoolKind::Max, kernel: [1, 3], stride: [1, 2], pad: [0, 1, 0, 1] };
    let pooled = cx.along_time(y, width, times, spec)?;
    let y = cx.reshape(pooled, &[width, (times - 1) / 2 + 1])?;
    cx.transposed(y)
}
