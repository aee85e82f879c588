//! Layers that move values without changing them.
use super::{Layer, LayerCx};
use crate::error::Result;
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};

/// All values of a row in one dimension: `[a, b, c] → [a·b·c]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

/// The values of a row in another shape.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reshape(pub Vec<usize>);

/// The two dimensions of a row exchanged: `[a, b] → [b, a]`, from `[time, features]` to `[channels, length]` and back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapAxes {}

impl Layer for Flatten {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let n = cx.dims(x)?.iter().product();
        cx.reshape(x, &[n])
    }

    fn refines(&self) -> bool {
        true
    }
}

impl Layer for Reshape {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        cx.reshape(x, &self.0)
    }

    fn refines(&self) -> bool {
        true
    }
}

impl Layer for SwapAxes {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [_, _] = cx.row(x, "two dimensions")?;
        Ok(cx.graph().transpose(x, &[0, 2, 1])?)
    }

    fn refines(&self) -> bool {
        true
    }
}
