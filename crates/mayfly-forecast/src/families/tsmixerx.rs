//! TSMixerx: TSMixer with exogenous columns; the past is first brought to the horizon's length (Chen et al. 2023).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use super::tsmixer::NORM;
use crate::error::Result;
use mayfly_graph::{Binary, NodeId, Shape};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// TSMixerx's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TsMixerx {
    /// Blocks.
    pub n_block: usize,
    /// Units of the layers across series and columns.
    pub ff_dim: usize,
    /// Share of values dropped in training.
    pub dropout: f32,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub revin: bool,
}

impl Default for TsMixerx {
    fn default() -> Self {
        TsMixerx { n_block: 2, ff_dim: 64, dropout: 0.0, revin: true }
    }
}

impl Build for TsMixerx {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (mut x, mut moments) = (cx.x, None);
        if self.revin {
            let (normed, of) = cx.normalised(x, Some(NORM))?;
            (x, moments) = (normed, Some(of));
        }
        let past = self.past(cx, x)?;
        let mut parts = vec![self.across(cx, "feature_mixer_hist", past)?];
        if let Some(futr) = cx.futr {
            let ahead = cx.cut(futr.node, 2, cx.input_size, cx.h)?;
            let ahead = cx.permuted(ahead, &[0, 2, 3, 1])?;
            let ahead = cx.reshape(ahead, &[cx.h, futr.count * cx.series])?;
            parts.push(self.across(cx, "feature_mixer_futr", ahead)?);
        }
        let stat = self.stat(cx)?;
        if let Some(stat) = stat {
            parts.push(self.across(cx, "feature_mixer_stat", stat)?);
        }
        let joined = cx.joined(&parts, 2)?;
        let mut x = self.mixed(cx, "first_mixing", joined)?;
        for i in 0..self.n_block {
            let name = format!("mixing_block.{i}");
            if let Some(stat) = stat {
                let beside = self.across(cx, &format!("{name}.feature_mixer_stat"), stat)?;
                x = cx.joined(&[x, beside], 2)?;
            }
            x = self.mixed(cx, &name, x)?;
        }
        let y = cx.dense("out", x, cx.outputs * cx.series)?;
        let y = cx.reshape(y, &[cx.h, cx.outputs, cx.series])?;
        let y = cx.permuted(y, &[0, 3, 1, 2])?;
        let mut y = cx.reshape(y, &[cx.series, cx.len()])?;
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

impl TsMixerx {
    /// All that is known of the past, brought to the horizon's length: `[batch, h, columns · series]`.
    fn past(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let mut parts = vec![x];
        if let Some(hist) = cx.hist {
            let turned = cx.permuted(hist.node, &[0, 3, 1, 2])?;
            parts.push(cx.reshape(turned, &[hist.count * cx.series, cx.input_size])?);
        }
        if let Some(futr) = cx.futr {
            let past = cx.cut(futr.node, 2, 0, cx.input_size)?;
            let turned = cx.permuted(past, &[0, 3, 1, 2])?;
            parts.push(cx.reshape(turned, &[futr.count * cx.series, cx.input_size])?);
        }
        let all = cx.joined(&parts, 1)?;
        let y = cx.dense("temporal_projection", all, cx.h)?;
        cx.transposed(y)
    }

    /// Static columns at every step: `[batch, h, series · columns]`.
    fn stat(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<Option<NodeId>> {
        let Some(stat) = cx.stat else { return Ok(None) };
        let n = stat.count * cx.series;
        let row = cx.as_row(stat.node)?;
        let all: Vec<usize> = (0..cx.h).flat_map(|_| 0..n).collect();
        let repeated = cx.pick(row, &all)?;
        cx.reshape(repeated, &[cx.h, n]).map(Some)
    }

    /// A layer along time and two across columns.
    fn mixed(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let turned = cx.transposed(x)?;
        let y = cx.dense(&format!("{name}.temporal_mixer.temporal_lin"), turned, cx.h)?;
        let y = cx.act(y, Act::Relu)?;
        let y = cx.transposed(y)?;
        let y = cx.dropped(y, self.dropout)?;
        let sum = cx.binary(Binary::Add, x, y)?;
        let x = self.normed(cx, &format!("{name}.temporal_mixer.temporal_norm"), sum)?;
        self.across(cx, &format!("{name}.feature_mixer"), x)
    }

    /// Two layers across columns, to `ff_dim` of them: `[batch, h, columns] → [batch, h, ff_dim]`.
    fn across(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let y = cx.dense(&format!("{name}.feature_lin_1"), x, self.ff_dim)?;
        let y = cx.act(y, Act::Relu)?;
        let y = cx.dropped(y, self.dropout)?;
        let y = cx.dense(&format!("{name}.feature_lin_2"), y, self.ff_dim)?;
        let y = cx.dropped(y, self.dropout)?;
        let x = match cx.width(x)? == self.ff_dim {
            true => x,
            false => cx.dense(&format!("{name}.project_residual"), x, self.ff_dim)?,
        };
        let sum = cx.binary(Binary::Add, x, y)?;
        self.normed(cx, &format!("{name}.feature_norm"), sum)
    }

    /// Layer norm over steps and columns together.
    fn normed(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let dims = cx.cx.dims(x)?;
        let flat = Shape::fixed(&[dims.iter().product()])?;
        let weight = cx.cx.param(&format!("{name}.weight"), &dims, Init::Constant(1.0))?;
        let bias = cx.cx.param(&format!("{name}.bias"), &dims, Init::Zeros)?;
        let row = cx.as_row(x)?;
        let g = cx.cx.graph();
        let (weight, bias) = (g.reshape(weight, flat)?, g.reshape(bias, flat)?);
        let y = g.layer_norm(row, weight, bias, 1e-5)?;
        cx.reshape(y, &dims)
    }
}
