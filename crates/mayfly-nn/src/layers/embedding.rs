//! Tables of vectors: for words, and for positions.
use super::{Layer, LayerCx};
use crate::error::Result;
use crate::init::Init;
use mayfly_graph::NodeId;
use serde::{Deserialize, Serialize};

/// Standard deviation that tables start with (Radford et al. 2018).
const DEVIATION: f32 = 0.02;

/// Rows of a table by number: `[..] → [.., width]`. Inputs are whole numbers below `rows`, as f32. Parameter `weight [rows, width]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Rows of the table; at most 2²⁴, so that f32 can count them.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
}

/// A learned vector added to each position of `[time, width]`. Parameter `weight [time, width]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionalEmbedding {}

impl Layer for Embedding {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        if self.rows > 1 << 24 {
            return Err(cx.refuse(format!("{} rows; f32 counts to 16777216", self.rows)));
        }
        let table = cx.param("weight", &[self.rows, self.width], Init::Normal { deviation: DEVIATION })?;
        Ok(cx.graph().embed(x, table)?)
    }
}

impl Layer for PositionalEmbedding {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [time, width] = cx.row(x, "[time, width]")?;
        let table = cx.param("weight", &[time, width], Init::Normal { deviation: DEVIATION })?;
        Ok(cx.graph().add(x, table)?)
    }

    fn refines(&self) -> bool {
        true
    }
}
