//! iTransformer: attention between whole series, each of which is one vector (Liu et al. 2024).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use super::transformer::{FeedForward, Full, Transformer};
use crate::error::{ForecastError, Result};
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// iTransformer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ITransformer {
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

impl Default for ITransformer {
    fn default() -> Self {
        ITransformer { hidden_size: 512, n_heads: 8, e_layers: 2, d_ff: 2048, dropout: 0.1, use_norm: true }
    }
}

impl Build for ITransformer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let parts = Transformer {
            width: self.hidden_size,
            heads: self.n_heads,
            hidden: self.d_ff,
            dropout: self.dropout,
            activation: FeedForward::Gelu,
        };
        let full = Full { heads: self.n_heads, dropout: self.dropout };
        let (mut x, mut moments) = (cx.x, None);
        if self.use_norm {
            let (normed, of) = cx.normalised(x, None)?;
            (x, moments) = (normed, Some(of));
        }
        let tokens = cx.dense("enc_embedding.value_embedding", x, self.hidden_size)?;
        let mut tokens = cx.dropped(tokens, self.dropout)?;
        if let Some(futr) = cx.futr {
            // Each column of each series is a vector of its own.
            let columns = cx.permuted(futr.node, &[0, 1, 3, 2])?;
            let columns = cx.reshape(columns, &[cx.series * futr.count, cx.input_size + cx.h])?;
            let columns = cx.dense("futr_embedding", columns, self.hidden_size)?;
            let columns = cx.dropped(columns, self.dropout)?;
            tokens = cx.joined(&[tokens, columns], 1)?;
        }
        for i in 0..self.e_layers {
            tokens = parts.encoder_layer(cx, &format!("encoder.attn_layers.{i}"), tokens, &full)?;
        }
        let tokens = cx.layer_norm("encoder.norm", tokens, 1e-5)?;
        let tokens = cx.rows_of(tokens, 0, cx.series)?;
        let mut y = cx.dense("projector", tokens, cx.len())?;
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
            ("hidden_size", self.hidden_size),
            ("n_heads", self.n_heads),
            ("e_layers", self.e_layers),
            ("d_ff", self.d_ff),
        ])?;
        check_heads(self.hidden_size, self.n_heads)?;
        check_dropout("dropout", self.dropout)
    }
}

/// Refuses heads that do not divide the width.
pub(super) fn check_heads(hidden_size: usize, n_heads: usize) -> Result<()> {
    match hidden_size.is_multiple_of(n_heads) {
        true => Ok(()),
        false => Err(ForecastError::option(
            "hidden_size",
            hidden_size,
            format!("it must be a multiple of n_heads, {n_heads}"),
        )),
    }
}
