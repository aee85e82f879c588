//! MLP: dense layers on the past.
use super::block::check_counts;
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::Result;
use mayfly_graph::NodeId;
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// MLP's own settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Hidden layers.
    pub num_layers: usize,
    /// Units of each.
    pub hidden_size: usize,
}

impl Default for Mlp {
    fn default() -> Self {
        Mlp { num_layers: 2, hidden_size: 1024 }
    }
}

impl Build for Mlp {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let mut y = cx.flat(cx.x)?;
        for i in 0..self.num_layers {
            y = cx.dense(&format!("mlp.{i}"), y, self.hidden_size)?;
            y = cx.act(y, Act::Relu)?;
        }
        cx.dense("out", y, cx.len())
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[("num_layers", self.num_layers), ("hidden_size", self.hidden_size)])
    }
}
