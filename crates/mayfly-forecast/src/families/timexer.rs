//! TimeXer: attention between the patches of a series; a learnt vector for each series looks at whole series and exogenous columns (Wang et al. 2024).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::itransformer::check_heads;
use super::settings::{self, Build};
use super::transformer::{FeedForward, Full, Transformer, positions};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, Causal, NodeId};
use mayfly_nn::Init;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// TimeXer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeXer {
    /// Values of a patch; it divides the input size.
    pub patch_len: usize,
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Heads of attention; they divide the width.
    pub n_heads: usize,
    /// Layers.
    pub e_layers: usize,
    /// Units between the two dense layers of a layer.
    pub d_ff: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub use_norm: bool,
}

impl Default for TimeXer {
    fn default() -> Self {
        TimeXer { patch_len: 16, hidden_size: 512, n_heads: 8, e_layers: 2, d_ff: 2048, dropout: 0.1, use_norm: true }
    }
}

impl Build for TimeXer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (n, d, patches) = (cx.series, self.hidden_size, cx.input_size / self.patch_len);
        if !cx.input_size.is_multiple_of(self.patch_len) {
            return Err(cx.refuse(format!(
                "{} values of the past in patches of {}; input_size must be a multiple of patch_len",
                cx.input_size, self.patch_len
            )));
        }
        let parts = Transformer {
            width: d,
            heads: self.n_heads,
            hidden: self.d_ff,
            dropout: self.dropout,
            activation: FeedForward::Relu,
        };
        let (mut x, mut moments) = (cx.x, None);
        if self.use_norm {
            let (normed, of) = cx.normalised(x, None)?;
            (x, moments) = (normed, Some(of));
        }
        let around = self.around(cx, x)?;
        let cut = cx.reshape(x, &[n, patches, self.patch_len])?;
        let cut = cx.dense_plain("en_embedding.value_embedding", cut, d)?;
        let places = cx.table(&positions(patches, d), &[patches, d])?;
        let cut = cx.binary(Binary::Add, cut, places)?;
        let token = cx.cx.param("en_embedding.glb_token", &[1, n, 1, d], Init::Normal { deviation: 1.0 })?;
        let token = cx.in_every_row(token, &[n, 1, d])?;
        let y = cx.joined(&[cut, token], 2)?;
        let y = cx.fold(y)?;
        let mut y = parts.dropped(cx, y)?;
        for i in 0..self.e_layers {
            y = self.layer(cx, &parts, &format!("encoder.layers.{i}"), y, around)?;
        }
        let y = cx.layer_norm("encoder.norm", y, 1e-5)?;
        let y = cx.transposed(y)?;
        let y = cx.unfold(y, n)?;
        let y = cx.reshape(y, &[n, d * (patches + 1)])?;
        let y = cx.dense("head.linear", y, cx.len())?;
        let mut y = parts.dropped(cx, y)?;
        if let Some(moments) = moments {
            y = cx.restored(y, &moments)?;
        }
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("patch_len", self.patch_len),
            ("hidden_size", self.hidden_size),
            ("n_heads", self.n_heads),
            ("e_layers", self.e_layers),
            ("d_ff", self.d_ff),
        ])?;
        check_heads(self.hidden_size, self.n_heads)?;
        if self.hidden_size % 2 == 1 {
            return Err(ForecastError::option("hidden_size", self.hidden_size, "it must be even"));
        }
        check_dropout("dropout", self.dropout)
    }
}

impl TimeXer {
    /// Whole series and columns as one vector each: `[batch, series and columns, width]`.
    fn around(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (n, l) = (cx.series, cx.input_size);
        let mut parts = vec![x];
        if let Some(hist) = cx.hist {
            let turned = cx.permuted(hist.node, &[0, 3, 1, 2])?;
            parts.push(cx.reshape(turned, &[hist.count * n, l])?);
        }
        if let Some(stat) = cx.stat {
            let row = cx.as_row(stat.node)?;
            parts.push(cx.spread(row, l)?);
        }
        let all = cx.joined(&parts, 1)?;
        let y = cx.dense("ex_embedding.value_embedding", all, self.hidden_size)?;
        cx.dropped(y, self.dropout)
    }

    /// Patches look at each other, the learnt vector (the last of them) at what is around.
    fn layer(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        parts: &Transformer,
        name: &str,
        x: NodeId,
        around: NodeId,
    ) -> mayfly_nn::Result<NodeId> {
        let full = Full { heads: self.n_heads, dropout: self.dropout };
        let seen = parts.attention(cx, &format!("{name}.self_attention"), [x, x], &full, Causal::No)?;
        let x = parts.added(cx, &format!("{name}.norm1"), x, seen)?;
        let last = cx.cx.dims(x)?.first().map_or(0, |n| n - 1);
        let patches = cx.rows_of(x, 0, last)?;
        let token = cx.rows_of(x, last, 1)?;
        let asked = cx.unfold(token, cx.series)?;
        let asked = cx.reshape(asked, &[cx.series, self.hidden_size])?;
        let seen = parts.attention(cx, &format!("{name}.cross_attention"), [asked, around], &full, Causal::No)?;
        let seen = cx.reshape(seen, &[cx.series, 1, self.hidden_size])?;
        let seen = cx.fold(seen)?;
        let token = parts.added(cx, &format!("{name}.norm2"), token, seen)?;
        let x = cx.joined(&[patches, token], 1)?;
        parts.feed_forward(cx, name, &format!("{name}.norm3"), x)
    }
}
