//! DLinear: trend and season, a linear map each (Zeng et al. 2023).
use super::cx::ForecastCx;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// DLinear's own settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DLinear {
    /// Values under the moving average; odd.
    pub moving_avg_window: usize,
}

impl Default for DLinear {
    fn default() -> Self {
        DLinear { moving_avg_window: 25 }
    }
}

impl Build for DLinear {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let [trend, season] = cx.decomposed(cx.x, self.moving_avg_window)?;
        let trend = cx.dense("linear_trend", trend, cx.len())?;
        let season = cx.dense("linear_season", season, cx.len())?;
        cx.binary(Binary::Add, trend, season)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        match self.moving_avg_window % 2 {
            1 => Ok(()),
            _ => Err(ForecastError::option("moving_avg_window", self.moving_avg_window, "it must be odd")),
        }
    }
}
