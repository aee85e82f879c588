//! A way around some layers.
use super::{Layer, LayerCx, LayerSpec};
use crate::error::Result;
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};

/// `y = x + layers(x)` (He et al. 2016). The layers keep the shape. Their parameters are named `layers.<this>.layers.<i>…`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Residual(pub Vec<LayerSpec>);

impl Layer for Residual {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let inner = cx.sequence(&self.0, x)?.last().map_or(x, |(_, y)| *y);
        if inner == x {
            return Err(cx.refuse("no layers inside"));
        }
        Ok(cx.graph().add(inner, x)?)
    }
}
