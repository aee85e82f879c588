//! MLPMultivariate: dense layers on the past of all series.
use super::block::check_counts;
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::NodeId;
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// MLPMultivariate's own settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpMultivariate {
    /// Hidden layers.
    pub num_layers: usize,
    /// Units of each.
    pub hidden_size: usize,
}

impl Default for MlpMultivariate {
    fn default() -> Self {
        MlpMultivariate { num_layers: 2, hidden_size: 1024 }
    }
}

impl Build for MlpMultivariate {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        // Times before series; columns before times.
        let past = cx.permuted(cx.x, &[0, 2, 1])?;
        let mut parts = vec![cx.as_row(past)?];
        for columns in [cx.hist, cx.futr].into_iter().flatten() {
            let turned = cx.permuted(columns.node, &[0, 3, 2, 1])?;
            parts.push(cx.as_row(turned)?);
        }
        if let Some(stat) = cx.stat {
            parts.push(cx.as_row(stat.node)?);
        }
        let mut y = cx.joined(&parts, 1)?;
        for i in 0..self.num_layers {
            y = cx.dense(&format!("mlp.{i}"), y, self.hidden_size)?;
            y = cx.act(y, Act::Relu)?;
        }
        let y = cx.dense("out", y, cx.series * cx.len())?;
        let y = cx.reshape(y, &[cx.h, cx.series, cx.outputs])?;
        let y = cx.permuted(y, &[0, 2, 1, 3])?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("num_layers", self.num_layers), ("hidden_size", self.hidden_size)])
    }
}
