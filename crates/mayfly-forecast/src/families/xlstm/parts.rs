//! What both kinds of memory are made of.
use crate::families::cx::ForecastCx;
use mayfly_graph::{Conv2dSpec, NodeId};
use mayfly_nn::{Act, Init, Result};

/// Heads of a block, each with a memory of its own.
pub(super) const HEADS: usize = 4;

/// The blocks of a network.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    /// Width of all vectors.
    pub units: usize,
    /// How many blocks there are.
    pub count: usize,
    /// Whether dense layers have biases.
    pub has_bias: bool,
    /// Share of values dropped in training.
    pub dropout: f32,
}

impl Blocks {
    /// Deviation of what begins small (Nguyen & Salazar 2019).
    pub(super) fn small(&self) -> f32 {
        (2.0 / (5 * self.units) as f32).sqrt()
    }

    /// Deviation of what is added to the stream, less the deeper the network is (Wang & Komatsuzaki 2021).
    pub(super) fn small_by_depth(&self) -> f32 {
        2.0 / self.count as f32 / (self.units as f32).sqrt()
    }
}

/// A dense layer whose weights begin with a deviation.
pub(super) fn projection(
    cx: &mut ForecastCx<'_, '_>,
    name: &str,
    (x, units): (NodeId, usize),
    deviation: f32,
    has_bias: bool,
) -> Result<NodeId> {
    let inputs = cx.width(x)?;
    let w = cx.weight(&format!("{name}.weight"), &[units, inputs], Init::Normal { deviation })?;
    let bias = format!("{name}.bias");
    let b = has_bias.then(|| cx.bias(&bias, units, Init::Zeros)).transpose()?;
    cx.linear(x, w, b)
}

/// Every `group` values by a matrix of their own: `[batch, wide, time] → [batch, time, wide]`.
pub(super) fn grouped(
    cx: &mut ForecastCx<'_, '_>,
    name: &str,
    (x, group): (NodeId, usize),
    deviation: f32,
    has_bias: bool,
) -> Result<NodeId> {
    let dims = cx.cx.dims(x)?;
    let (wide, times) = (dims[0], dims[1]);
    let w = cx.weight(&format!("{name}.weight"), &[wide, group, 1, 1], Init::Normal { deviation })?;
    let bias = format!("{name}.bias");
    let b = has_bias.then(|| cx.bias(&bias, wide, Init::Zeros)).transpose()?;
    let image = cx.reshape(x, &[wide, 1, times])?;
    let spec = Conv2dSpec { groups: wide / group, ..Conv2dSpec::default() };
    let y = cx.cx.graph().conv2d(image, w, b, spec)?;
    let y = cx.reshape(y, &[wide, times])?;
    cx.transposed(y)
}

/// Layer norm without bias.
pub(super) fn normed(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> Result<NodeId> {
    let n = cx.width(x)?;
    let w = scale(cx, name, n)?;
    let zeros = cx.constant(&vec![0.0; n])?;
    Ok(cx.cx.graph().layer_norm(x, w, zeros, 1e-5)?)
}

/// Each head by itself to mean 0 and variance 1, then weighed: `[batch, time, wide]`.
pub(super) fn normed_by_head(cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> Result<NodeId> {
    let dims = cx.cx.dims(x)?;
    let (times, wide) = (dims[0], dims[1]);
    let by_head = cx.reshape(x, &[times * HEADS, wide / HEADS])?;
    let g = cx.cx.graph();
    let ones = g.constant(&vec![1.0; wide / HEADS], &[wide / HEADS])?;
    let zeros = g.constant(&vec![0.0; wide / HEADS], &[wide / HEADS])?;
    let y = g.layer_norm(by_head, ones, zeros, 1e-5)?;
    let y = cx.reshape(y, &[times, wide])?;
    let w = scale(cx, name, wide)?;
    cx.binary(mayfly_graph::Binary::Mul, y, w)
}

/// A weight that is stored less 1.
fn scale(cx: &mut ForecastCx<'_, '_>, name: &str, n: usize) -> Result<NodeId> {
    let w = cx.cx.param(&format!("{name}.weight"), &[n], Init::Zeros)?;
    cx.act(w, Act::Affine { mul: 1.0, add: 1.0 })
}
