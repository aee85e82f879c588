//! NLinear: a linear map of what differs from the last value (Zeng et al. 2023).
use super::cx::ForecastCx;
use super::settings::Build;
use mayfly_graph::{Binary, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// NLinear has no settings of its own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NLinear {}

impl Build for NLinear {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let last = cx.last_value(cx.input_size)?;
        let differences = cx.binary(Binary::Sub, cx.x, last)?;
        let y = cx.dense("linear", differences, cx.len())?;
        let last = cx.last_value(cx.len())?;
        cx.binary(Binary::Add, y, last)
    }

    fn config(&self) -> Value {
        Value::Object(Map::new())
    }
}
