//! Pooling, channels first.
use super::{Layer, LayerCx};
use crate::error::Result;
use mayfly_graph::{NodeId, Pool2dSpec, PoolKind, ReduceKind};
use serde::{Deserialize, Serialize};

/// What becomes of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Its largest value.
    Max,
    /// Its mean; padding does not count.
    Avg,
}

impl Pooling {
    fn kind(self) -> PoolKind {
        match self {
            Pooling::Max => PoolKind::Max,
            Pooling::Avg => PoolKind::Avg,
        }
    }
}

/// `[c, length] → [c, out]`. No parameters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool1d {
    /// What becomes of a window.
    pub pooling: Pooling,
    /// Length of the window.
    pub kernel: usize,
    /// Step; the kernel's length when not given.
    #[serde(default)]
    pub stride: Option<usize>,
    /// Padding in front and behind.
    #[serde(default)]
    pub pad: [usize; 2],
}

/// `[c, height, width] → [c, oh, ow]`. No parameters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool2d {
    /// What becomes of a window.
    pub pooling: Pooling,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Step down and right; the kernel's size when not given.
    #[serde(default)]
    pub stride: Option<[usize; 2]>,
    /// Padding: top, left, bottom, right.
    #[serde(default)]
    pub pad: [usize; 4],
}

impl Pool1d {
    /// Windows side by side.
    pub fn new(pooling: Pooling, kernel: usize) -> Self {
        Pool1d { pooling, kernel, stride: None, pad: [0; 2] }
    }
}

impl Pool2d {
    /// Windows side by side.
    pub fn new(pooling: Pooling, kernel: [usize; 2]) -> Self {
        Pool2d { pooling, kernel, stride: None, pad: [0; 4] }
    }
}

impl Layer for Pool1d {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [channels, length] = cx.row(x, "[channels, length]")?;
        let stride = self.stride.unwrap_or(self.kernel);
        let pad = [0, self.pad[0], 0, self.pad[1]];
        let spec = Pool2dSpec { kind: self.pooling.kind(), kernel: [1, self.kernel], stride: [1, stride], pad };
        let image = cx.reshape(x, &[channels, 1, length])?;
        let y = cx.graph().pool2d(image, spec)?;
        let [channels, _, length] = cx.row(y, "an image")?;
        cx.reshape(y, &[channels, length])
    }
}

impl Layer for Pool2d {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [_, _, _] = cx.row(x, "[channels, height, width]")?;
        let spec = Pool2dSpec {
            kind: self.pooling.kind(),
            kernel: self.kernel,
            stride: self.stride.unwrap_or(self.kernel),
            pad: self.pad,
        };
        Ok(cx.graph().pool2d(x, spec)?)
    }
}

/// The mean of each channel: `[c, ..] → [c]`. No parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool {}

impl Layer for GlobalAvgPool {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let dims = cx.dims(x)?;
        let (channels, rest) = match dims.split_first() {
            Some((channels, rest)) if !rest.is_empty() => (*channels, rest),
            _ => return Err(cx.refuse(format!("rows of shape {dims:?}; it works on [channels, ..]"))),
        };
        let flat = cx.reshape(x, &[channels, rest.iter().product()])?;
        Ok(cx.graph().reduce(flat, ReduceKind::Mean, 2)?)
    }
}
