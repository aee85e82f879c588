//! XLinear: gates along time, with a learnt vector for each series, and then across series (Chen et al. 2026).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// XLinear's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XLinear {
    /// Width of all vectors.
    pub hidden_size: usize,
    /// Units of the gate along time.
    pub temporal_ff: usize,
    /// Units of the gate across series.
    pub channel_ff: usize,
    /// Share of values dropped in training in the gate along time.
    pub temporal_dropout: f32,
    /// The same in the gate across series.
    pub channel_dropout: f32,
    /// The same behind the first layer.
    pub embed_dropout: f32,
    /// The same before the last layer.
    pub head_dropout: f32,
    /// Whether every window of a series is brought to mean 0 and variance 1, and back.
    pub use_norm: bool,
}

impl Default for XLinear {
    fn default() -> Self {
        XLinear {
            hidden_size: 128,
            temporal_ff: 256,
            channel_ff: 8,
            temporal_dropout: 0.0,
            channel_dropout: 0.0,
            embed_dropout: 0.0,
            head_dropout: 0.0,
            use_norm: true,
        }
    }
}

impl Build for XLinear {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let (n, d) = (cx.series, self.hidden_size);
        let (mut x, mut moments) = (cx.x, None);
        if self.use_norm {
            let (normed, of) = cx.normalised(x, None)?;
            (x, moments) = (normed, Some(of));
        }
        let seen = cx.dense("projection.0", x, d)?;
        let seen = cx.dropped(seen, self.embed_dropout)?;
        let token = cx.cx.param("glob_token", &[1, n, d], Init::Normal { deviation: 1.0 })?;
        let token = cx.in_every_row(token, &[n, d])?;
        let both = cx.joined(&[seen, token], 2)?;
        let gated = gate(cx, "temporal_gating", both, self.temporal_ff, self.temporal_dropout)?;
        let own = cx.cut(gated, 2, 0, d)?;
        let token = cx.cut(gated, 2, d, d)?;

        let both = cx.joined(&[seen, token], 1)?;
        let both = cx.transposed(both)?;
        let gated = gate(cx, "channel_gating", both, self.channel_ff, self.channel_dropout)?;
        let token = cx.cut(gated, 2, n, n)?;
        let token = cx.transposed(token)?;

        let mut parts = vec![own, token];
        for (name, columns) in [("hist_exog_projection", cx.hist), ("futr_exog_projection", cx.futr)] {
            let Some(columns) = columns else { continue };
            let turned = cx.permuted(columns.node, &[0, 1, 3, 2])?;
            let values: usize = cx.cx.dims(turned)?.iter().skip(1).product();
            let flat = cx.reshape(turned, &[n, values])?;
            parts.push(cx.dense(name, flat, d)?);
        }
        if let Some(stat) = cx.stat {
            parts.push(cx.dense("stat_exog_projection", stat.node, d)?);
        }
        let all = cx.joined(&parts, 2)?;
        let all = cx.dropped(all, self.head_dropout)?;
        let mut y = cx.dense("head.1", all, cx.len())?;
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
            ("temporal_ff", self.temporal_ff),
            ("channel_ff", self.channel_ff),
        ])?;
        check_dropout("temporal_dropout", self.temporal_dropout)?;
        check_dropout("channel_dropout", self.channel_dropout)?;
        check_dropout("embed_dropout", self.embed_dropout)?;
        check_dropout("head_dropout", self.head_dropout)
    }
}

/// A value times a share of it between 0 and 1 that two dense layers give.
fn gate(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId, units: usize, dropout: f32) -> mayfly_nn::Result<NodeId> {
    let width = cx.width(x)?;
    let y = cx.dense(&format!("{name}.weight.0"), x, units)?;
    let y = cx.act(y, Act::Relu)?;
    let y = cx.dropped(y, dropout)?;
    let y = cx.dense(&format!("{name}.weight.3"), y, width)?;
    let y = cx.act(y, Act::Sigmoid)?;
    cx.binary(Binary::Mul, x, y)
}
