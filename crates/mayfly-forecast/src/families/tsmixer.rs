//! TSMixer: dense layers along time and across series in turn (Chen et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::norm::Affine;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a series' own scale is learnt, in NeuralForecast's names.
pub(super) const NORM: Affine<'static> = Affine { weight: "norm.affine_weight", bias: "norm.affine_bias", rank: 3 };

/// TSMixer's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TsMixer {
    /// Blocks.
    pub n_block: usize,
    /// Units of the layers across series.
    pub ff_dim: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub revin: bool,
}

impl Default for TsMixer {
    fn default() -> Self {
        TsMixer { n_block: 2, ff_dim: 64, dropout: 0.9, revin: true }
    }
}

impl Build for TsMixer {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (mut x, mut moments) = (cx.x, None);
        if self.revin {
            let (normed, of) = cx.normalised(x, Some(NORM))?;
            (x, moments) = (normed, Some(of));
        }
        for i in 0..self.n_block {
            let name = format!("mixing_layers.{i}");
            x = self.along_times(cx, &format!("{name}.temporal_mixer"), x)?;
            x = self.across_series(cx, &format!("{name}.feature_mixer"), x)?;
        }
        let mut y = cx.dense("out", x, cx.len())?;
        if let Some(moments) = moments {
            y = cx.restored(y, &moments)?;
        }
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("n_block", self.n_block), ("ff_dim", self.ff_dim)])?;
        check_dropout("dropout", self.dropout)
    }
}

impl TsMixer {
    /// `[batch, series, time]`, with what a layer along time makes of it added.
    fn along_times(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let y = self.batch_normed(cx, &format!("{name}.temporal_norm"), x)?;
        let y = cx.dense(&format!("{name}.temporal_lin"), y, cx.input_size)?;
        let y = cx.act(y, Act::Relu)?;
        let y = cx.dropped(y, self.dropout)?;
        cx.binary(Binary::Add, x, y)
    }

    /// `[batch, series, time]`, with what two layers across series make of it added.
    fn across_series(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let turned = cx.transposed(x)?;
        let y = self.batch_normed(cx, &format!("{name}.feature_norm"), turned)?;
        let y = cx.dense(&format!("{name}.feature_lin_1"), y, self.ff_dim)?;
        let y = cx.act(y, Act::Relu)?;
        let y = cx.dropped(y, self.dropout)?;
        let y = cx.dense(&format!("{name}.feature_lin_2"), y, cx.series)?;
        let y = cx.dropped(y, self.dropout)?;
        let y = cx.transposed(y)?;
        cx.binary(Binary::Add, x, y)
    }

    /// Batch norm of every value by itself.
    fn batch_normed(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let dims = cx.cx.dims(x)?;
        let y = cx.as_row(x)?;
        let y = cx.batch_norm_with(name, y, 1e-3, 0.01)?;
        cx.reshape(y, &dims)
    }
}
