//! xLSTM: blocks of the LSTM with a matrix for memory, all steps of which are computed at once (Beck et al. 2024).
use super::block::{Activation, check_counts, check_dropout};
use super::cx::{ForecastCx, Look};
use super::decoder::Decoder;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::{Binary, Conv2dSpec, NodeId, ReduceKind};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The memory of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Backbone {
    /// A matrix.
    #[default]
    #[serde(rename = "mLSTM")]
    Matrix,
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

/// Heads of a block, and values that are projected together.
const HEADS: usize = 4;
const GROUP: usize = 4;

impl Build for XLstm {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let columns = cx.past_columns()?;
        let mut x = cx.dense("feature_projection", columns, self.encoder_hidden_size)?;
        for i in 0..self.encoder_n_blocks {
            let name = format!("hist_encoder.blocks.{i}");
            let normed = normed(cx, &format!("{name}.xlstm_norm"), x)?;
            let seen = self.block(cx, &format!("{name}.xlstm"), normed)?;
            x = cx.binary(Binary::Add, x, seen)?;
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
        check_dropout("encoder_dropout", self.encoder_dropout)?;
        check_dropout("decoder_dropout", self.decoder_dropout)
    }
}

impl XLstm {
    fn block(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (d, times) = (self.encoder_hidden_size, cx.input_size);
        // Twice as wide, to a multiple of 64.
        let wide = (2 * d).next_multiple_of(64);
        let small = (2.0 / (5 * d) as f32).sqrt();
        let up = self.projection(cx, &format!("{name}.proj_up"), (x, 2 * wide), small)?;
        let u = cx.cut(up, 2, 0, wide)?;
        let z = cx.cut(up, 2, wide, wide)?;
        let by_value = cx.transposed(u)?;
        let conv = cx.depthwise_along(&format!("{name}.conv1d.conv"), by_value, 4, Look::Back)?;
        let conv = cx.act(conv, Act::Silu)?;
        let q = self.grouped(cx, &format!("{name}.q_proj"), conv, small)?;
        let k = self.grouped(cx, &format!("{name}.k_proj"), conv, small)?;
        let v = self.grouped(cx, &format!("{name}.v_proj"), by_value, small)?;
        let remembered = self.cell(cx, &format!("{name}.mlstm_cell"), [q, k, v], (times, wide))?;
        let skip = cx.cx.param(&format!("{name}.learnable_skip"), &[wide], Init::Constant(1.0))?;
        let conv = cx.transposed(conv)?;
        let around = cx.binary(Binary::Mul, conv, skip)?;
        let y = cx.binary(Binary::Add, remembered, around)?;
        let gate = cx.act(z, Act::Silu)?;
        let y = cx.binary(Binary::Mul, y, gate)?;
        let wang = 2.0 / self.encoder_n_blocks as f32 / (d as f32).sqrt();
        let y = self.projection(cx, &format!("{name}.proj_down"), (y, d), wang)?;
        cx.dropped(y, self.encoder_dropout)
    }

    fn projection(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        (x, units): (NodeId, usize),
        deviation: f32,
    ) -> mayfly_nn::Result<NodeId> {
        let inputs = cx.width(x)?;
        let w = cx.weight(&format!("{name}.weight"), &[units, inputs], Init::Normal { deviation })?;
        let bias = format!("{name}.bias");
        let b = self.encoder_bias.then(|| cx.bias(&bias, units, Init::Zeros)).transpose()?;
        cx.linear(x, w, b)
    }

    /// Every four values by a matrix of their own: `[batch, wide, time] → [batch, time, wide]`.
    fn grouped(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, deviation: f32) -> mayfly_nn::Result<NodeId> {
        let dims = cx.cx.dims(x)?;
        let (wide, times) = (dims[0], dims[1]);
        let w = cx.weight(&format!("{name}.weight"), &[wide, GROUP, 1, 1], Init::Normal { deviation })?;
        let bias = format!("{name}.bias");
        let b = self.encoder_bias.then(|| cx.bias(&bias, wide, Init::Zeros)).transpose()?;
        let image = cx.reshape(x, &[wide, 1, times])?;
        let spec = Conv2dSpec { groups: wide / GROUP, ..Conv2dSpec::default() };
        let y = cx.cx.graph().conv2d(image, w, b, spec)?;
        let y = cx.reshape(y, &[wide, times])?;
        cx.transposed(y)
    }

    /// The memory of all steps at once: `[batch, time, wide]`.
    fn cell(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        [q, k, v]: [NodeId; 3],
        (times, wide): (usize, usize),
    ) -> mayfly_nn::Result<NodeId> {
        let all = cx.joined(&[q, k, v], 2)?;
        let input = self.gate(cx, &format!("{name}.igate"), all, Init::Normal { deviation: 0.1 })?;
        // Biases from 3 to 6: heads that forget sooner and later.
        let forget = (0..HEADS).map(|i| 3.0 + 3.0 * i as f32 / (HEADS - 1) as f32).collect();
        let forget = self.gate(cx, &format!("{name}.fgate"), all, Init::Blocks(forget))?;
        // log σ(f), summed up to each step.
        let forget = cx.act(forget, Act::Neg)?;
        let forget = cx.act(forget, Act::Softplus)?;
        let forget = cx.act(forget, Act::Neg)?;
        let so_far: Vec<f32> = (0..times * times).map(|i| f32::from(u8::from(i % times <= i / times))).collect();
        let so_far = cx.table(&so_far, &[times, times])?;
        let kept = cx.linear(forget, so_far, None)?;

        // What each step takes of each earlier one, in logarithms, and less the most it takes of any.
        let from = cx.binary(Binary::Sub, input, kept)?;
        let from = cx.reshape(from, &[HEADS, 1, times])?;
        let from = cx.cx.graph().gather(from, 2, &vec![0; times])?;
        let kept = cx.spread(kept, times)?;
        let taken = cx.binary(Binary::Add, kept, from)?;
        let taken = cx.without_later(taken)?;
        let most = cx.cx.graph().reduce(taken, ReduceKind::Max, 3)?;
        let mosts = cx.spread(most, times)?;
        let taken = cx.binary(Binary::Sub, taken, mosts)?;
        let taken = cx.act(taken, Act::Exp)?;
        let scores = cx.attention_scores(q, k, HEADS)?;
        let scores = cx.binary(Binary::Mul, scores, taken)?;

        // By the size of their sum, or of what nothing would be.
        let sum = cx.cx.graph().reduce(scores, ReduceKind::Sum, 3)?;
        let sum = cx.act(sum, Act::Abs)?;
        let least = cx.act(most, Act::Neg)?;
        let least = cx.act(least, Act::Exp)?;
        let is_more = cx.binary(Binary::Greater, sum, least)?;
        let size = cx.cx.graph().select(is_more, sum, least)?;
        let size = cx.act(size, Act::Affine { mul: 1.0, add: 1e-6 })?;
        let size = cx.spread(size, times)?;
        let scores = cx.binary(Binary::Div, scores, size)?;
        let seen = cx.weighed(scores, v, HEADS)?;

        // Each head by itself to mean 0 and variance 1.
        let by_head = cx.reshape(seen, &[times * HEADS, wide / HEADS])?;
        let g = cx.cx.graph();
        let ones = g.constant(&vec![1.0; wide / HEADS], &[wide / HEADS])?;
        let zeros = g.constant(&vec![0.0; wide / HEADS], &[wide / HEADS])?;
        let y = g.layer_norm(by_head, ones, zeros, 1e-5)?;
        let y = cx.reshape(y, &[times, wide])?;
        let w = scale(cx, &format!("{name}.outnorm"), wide)?;
        cx.binary(Binary::Mul, y, w)
    }

    /// A number for each head and step: `[batch, heads, time]`.
    fn gate(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, bias: Init) -> mayfly_nn::Result<NodeId> {
        let inputs = cx.width(x)?;
        let w = cx.weight(&format!("{name}.weight"), &[HEADS, inputs], Init::Zeros)?;
        let b = cx.bias(&format!("{name}.bias"), HEADS, bias)?;
        let y = cx.linear(x, w, Some(b))?;
        cx.transposed(y)
    }
}

/// A weight that is stored less 1.
fn scale(cx: &mut ForecastCx<'_, '_>, name: &str, n: usize) -> mayfly_nn::Result<NodeId> {
    let w = cx.cx.param(&format!("{name}.weight"), &[n], Init::Zeros)?;
    cx.act(w, Act::Affine { mul: 1.0, add: 1.0 })
}

/// Layer norm without bias.
fn normed(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
    let n = cx.width(x)?;
    let w = scale(cx, name, n)?;
    let zeros = cx.constant(&vec![0.0; n])?;
    Ok(cx.cx.graph().layer_norm(x, w, zeros, 1e-5)?)
}
