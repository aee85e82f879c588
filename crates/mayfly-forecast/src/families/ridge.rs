//! Ridge regression: NLinear's map, solved instead of trained (Hoerl & Kennard 1970). What a network of the same inputs has to beat.
use super::cx::ForecastCx;
use super::nlinear::NLinear;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use crate::losses::ForecastLoss;
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The setting of Ridge. Steps, rates and batches of training mean nothing to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ridge {
    /// What large weights cost, in mean squares of an input.
    pub alpha: f64,
}

impl Default for Ridge {
    fn default() -> Self {
        Ridge { alpha: 0.1 }
    }
}

impl Build for Ridge {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        NLinear {}.build(cx)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        match self.alpha.is_finite() && self.alpha > 0.0 {
            true => Ok(()),
            false => Err(ForecastError::option("alpha", self.alpha, "it must be positive")),
        }
    }

    fn loss(&self) -> ForecastLoss {
        ForecastLoss::Mse
    }

    fn closed_form(&self) -> Option<f64> {
        Some(self.alpha)
    }
}
