//! PatchTST: attention between the patches of a window (Nie et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::itransformer::check_heads;
use super::norm::{Affine, Centre};
use super::settings::{self, Build};
use super::transformer::FeedForward;
use crate::error::Result;
use mayfly_graph::{Binary, Causal, NodeId};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// PatchTST's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchTst {
    /// Layers.
    pub encoder_layers: usize,
    /// Heads of attention; they divide the width.
    pub n_heads: usize,
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Units between the two dense layers of a layer.
    pub linear_hidden_size: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// The same behind the last layer.
    pub head_dropout: f32,
    /// Share of the attention's weights dropped in training.
    pub attn_dropout: f32,
    /// Values of a patch.
    pub patch_len: usize,
    /// Values between the beginnings of two patches.
    pub stride: usize,
    /// Whether every window is centred and divided by its deviation, and brought back.
    pub revin: bool,
    /// Whether scale and shift behind that are learnt.
    pub revin_affine: bool,
    /// Whether windows are centred around their last value instead of their mean.
    pub revin_subtract_last: bool,
    /// What follows the first dense layer of a layer.
    pub activation: FeedForward,
    /// Whether the scores of a layer are added to those of the next.
    pub res_attention: bool,
    /// Whether batch norms stand before attention and dense layers instead of behind them.
    pub batch_normalization: bool,
    /// Whether what tells the place of a patch is learnt.
    pub learn_pos_embed: bool,
}

impl Default for PatchTst {
    fn default() -> Self {
        PatchTst {
            encoder_layers: 3,
            n_heads: 16,
            hidden_size: 128,
            linear_hidden_size: 256,
            dropout: 0.2,
            head_dropout: 0.0,
            attn_dropout: 0.0,
            patch_len: 16,
            stride: 8,
            revin: true,
            revin_affine: false,
            revin_subtract_last: true,
            activation: FeedForward::Gelu,
            res_attention: true,
            batch_normalization: false,
            learn_pos_embed: true,
        }
    }
}

const NORM: Affine<'static> =
    Affine { weight: "model.revin_layer.affine_weight", bias: "model.revin_layer.affine_bias", rank: 1 };

impl Build for PatchTst {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let l = cx.input_size;
        let (mut x, mut moments) = (cx.x, None);
        if self.revin {
            let centre = if self.revin_subtract_last { Centre::Last } else { Centre::Mean };
            let series = cx.reshape(x, &[1, l])?;
            let (normed, of) = cx.normalised_around(series, centre, self.revin_affine.then_some(NORM))?;
            (x, moments) = (cx.reshape(normed, &[l])?, Some(of));
        }
        // The last value stands in for a stride of values behind the window.
        let len = self.patch_len.min(l + self.stride);
        let patches = (l + self.stride - len) / self.stride + 1;
        let places: Vec<usize> =
            (0..patches).flat_map(|p| (0..len).map(move |i| p * self.stride + i)).map(|at| at.min(l - 1)).collect();
        let x = cx.pick(x, &places)?;
        let x = cx.reshape(x, &[patches, len])?;
        let x = cx.dense("model.backbone.W_P", x, self.hidden_size)?;
        let place = self.place(cx, patches)?;
        let x = cx.binary(Binary::Add, x, place)?;
        let mut x = cx.dropped(x, self.dropout)?;
        let mut scores = None;
        for i in 0..self.encoder_layers {
            x = self.layer(cx, &format!("model.backbone.encoder.layers.{i}"), x, &mut scores)?;
        }
        let x = cx.transposed(x)?;
        let x = cx.as_row(x)?;
        let y = cx.dense("model.head.linear", x, cx.len())?;
        let y = cx.dropped(y, self.head_dropout)?;
        match moments {
            Some(moments) => {
                let y = cx.reshape(y, &[1, cx.len()])?;
                let y = cx.restored(y, &moments)?;
                cx.as_row(y)
            }
            None => Ok(y),
        }
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("encoder_layers", self.encoder_layers),
            ("n_heads", self.n_heads),
            ("hidden_size", self.hidden_size),
            ("linear_hidden_size", self.linear_hidden_size),
            ("patch_len", self.patch_len),
            ("stride", self.stride),
        ])?;
        check_heads(self.hidden_size, self.n_heads)?;
        check_dropout("dropout", self.dropout)?;
        check_dropout("head_dropout", self.head_dropout)?;
        check_dropout("attn_dropout", self.attn_dropout)
    }
}

impl PatchTst {
    /// What tells the place of a patch.
    fn place(&self, cx: &mut ForecastCx<'_, '_>, patches: usize) -> mayfly_nn::Result<NodeId> {
        let (name, dims) = ("model.backbone.W_pos", [patches, self.hidden_size]);
        let init = Init::Uniform { min: -0.02, max: 0.02 };
        match self.learn_pos_embed {
            true => cx.cx.param(name, &dims, init),
            false => cx.cx.running(name, &dims, init, 0.0),
        }
    }

    fn layer(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        mut x: NodeId,
        scores: &mut Option<NodeId>,
    ) -> mayfly_nn::Result<NodeId> {
        let (attention_norm, dense_norm) = (format!("{name}.norm_attn.1"), format!("{name}.norm_ffn.1"));
        if self.batch_normalization {
            x = normed(cx, &attention_norm, x)?;
        }
        let seen = self.attention(cx, &format!("{name}.self_attn"), x, scores)?;
        let seen = cx.dropped(seen, self.dropout)?;
        x = cx.binary(Binary::Add, x, seen)?;
        x = normed(cx, if self.batch_normalization { &dense_norm } else { &attention_norm }, x)?;
        let y = cx.dense(&format!("{name}.ff.0"), x, self.linear_hidden_size)?;
        let y = cx.act(y, if self.activation == FeedForward::Gelu { Act::Gelu } else { Act::Relu })?;
        let y = cx.dropped(y, self.dropout)?;
        let y = cx.dense(&format!("{name}.ff.3"), y, self.hidden_size)?;
        let y = cx.dropped(y, self.dropout)?;
        let x = cx.binary(Binary::Add, x, y)?;
        if self.batch_normalization { Ok(x) } else { normed(cx, &dense_norm, x) }
    }

    /// Attention, with the scores of the layer before added to its own.
    fn attention(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        before: &mut Option<NodeId>,
    ) -> mayfly_nn::Result<NodeId> {
        let q = cx.dense(&format!("{name}.W_Q"), x, self.hidden_size)?;
        let k = cx.dense(&format!("{name}.W_K"), x, self.hidden_size)?;
        let v = cx.dense(&format!("{name}.W_V"), x, self.hidden_size)?;
        let seen = match self.res_attention {
            false => cx.attention([q, k, v], self.n_heads, self.attn_dropout, Causal::No)?,
            true => {
                let mut scores = cx.attention_scores(q, k, self.n_heads)?;
                if let Some(before) = *before {
                    scores = cx.binary(Binary::Add, scores, before)?;
                }
                *before = Some(scores);
                cx.attended(scores, v, self.n_heads, self.attn_dropout)?
            }
        };
        let y = cx.dense(&format!("{name}.to_out.0"), seen, self.hidden_size)?;
        cx.dropped(y, self.dropout)
    }
}

/// Batch norm of every value of a vector over all patches.
fn normed(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
    let turned = cx.transposed(x)?;
    let y = cx.batch_norm(name, turned)?;
    cx.transposed(y)
}
