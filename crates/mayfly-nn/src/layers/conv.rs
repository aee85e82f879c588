//! Convolutions, channels first as in PyTorch.
use super::dense::{weight_init, yes};
use super::{Layer, LayerCx};
use crate::activation::Activation;
use crate::error::Result;
use crate::init::Init;
use mayfly_graph::{Conv2dSpec, NodeId};
use serde::{Deserialize, Serialize};

/// `[c, length] → [channels, out]`. Parameters `weight [channels, c / groups, kernel]`, `bias [channels]`.
///
/// Sequences are `[time, features]` elsewhere: put a [`SwapAxes`](super::SwapAxes) before and after.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1d {
    /// Output channels.
    pub channels: usize,
    /// Taps.
    pub kernel: usize,
    /// Step.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around the input.
    #[serde(default)]
    pub pad: Padding1d,
    /// Distance between taps.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Groups of channels that are convolved apart.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// What is applied to the sums.
    #[serde(default)]
    pub activation: Activation,
}

/// `[c, height, width] → [channels, oh, ow]`. Parameters `weight [channels, c / groups, kh, kw]`, `bias [channels]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Output channels.
    pub channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step down and right.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Zeros around the input.
    #[serde(default)]
    pub pad: Padding2d,
    /// Distance between taps, down and right.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// Groups of channels that are convolved apart.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// What is applied to the sums.
    #[serde(default)]
    pub activation: Activation,
}

/// Zeros around a sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding1d {
    /// None.
    #[default]
    Valid,
    /// As many as give `length / stride` outputs, rounded up; an odd one goes behind.
    Same,
    /// All in front: no output sees what comes later.
    Causal,
    /// In front and behind.
    Zeros([usize; 2]),
}

/// Zeros around an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding2d {
    /// None.
    #[default]
    Valid,
    /// As many as give `size / stride` outputs, rounded up; an odd one goes below and right.
    Same,
    /// Top, left, bottom, right.
    Zeros([usize; 4]),
}

pub(super) fn one() -> usize {
    1
}

fn ones() -> [usize; 2] {
    [1, 1]
}

impl Conv1d {
    /// A convolution with step 1, without padding.
    pub fn new(channels: usize, kernel: usize, activation: impl Into<Activation>) -> Self {
        Conv1d {
            channels,
            kernel,
            stride: 1,
            pad: Padding1d::Valid,
            dilation: 1,
            groups: 1,
            bias: true,
            activation: activation.into(),
        }
    }
}

impl Conv2d {
    /// A convolution with step 1, without padding.
    pub fn new(channels: usize, kernel: [usize; 2], activation: impl Into<Activation>) -> Self {
        Conv2d {
            channels,
            kernel,
            stride: [1; 2],
            pad: Padding2d::Valid,
            dilation: [1; 2],
            groups: 1,
            bias: true,
            activation: activation.into(),
        }
    }
}

/// Zeros in front and behind so that `size / stride`, rounded up, outputs come out.
fn same(size: usize, kernel: usize, stride: usize, dilation: usize) -> [usize; 2] {
    let reach = dilation.saturating_mul(kernel.saturating_sub(1)).saturating_add(1);
    let outputs = size.div_ceil(stride.max(1));
    let total = outputs.saturating_sub(1).saturating_mul(stride).saturating_add(reach).saturating_sub(size);
    [total / 2, total - total / 2]
}

impl Layer for Conv1d {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [channels, length] = cx.row(x, "[channels, length]")?;
        let [before, after] = match self.pad {
            Padding1d::Valid => [0, 0],
            Padding1d::Same => same(length, self.kernel, self.stride, self.dilation),
            Padding1d::Causal => [self.dilation.saturating_mul(self.kernel.saturating_sub(1)), 0],
            Padding1d::Zeros(zeros) => zeros,
        };
        let spec = Conv2dSpec {
            stride: [1, self.stride],
            pad: [0, before, 0, after],
            dilation: [1, self.dilation],
            groups: self.groups,
        };
        let taps =
            Taps { channels: self.channels, kernel: [1, self.kernel], bias: self.bias, activation: self.activation };
        let image = cx.reshape(x, &[channels, 1, length])?;
        let y = taps.build(cx, image, channels, &[self.kernel], spec)?;
        let [channels, _, length] = cx.row(y, "an image")?;
        let sums = cx.reshape(y, &[channels, length])?;
        cx.activate(sums, self.activation)
    }
}

impl Layer for Conv2d {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let [channels, height, width] = cx.row(x, "[channels, height, width]")?;
        let along = |axis: usize, size: usize| same(size, self.kernel[axis], self.stride[axis], self.dilation[axis]);
        let pad = match self.pad {
            Padding2d::Valid => [0; 4],
            Padding2d::Same => {
                let ([top, bottom], [left, right]) = (along(0, height), along(1, width));
                [top, left, bottom, right]
            }
            Padding2d::Zeros(zeros) => zeros,
        };
        let spec = Conv2dSpec { stride: self.stride, pad, dilation: self.dilation, groups: self.groups };
        let taps = Taps { channels: self.channels, kernel: self.kernel, bias: self.bias, activation: self.activation };
        let sums = taps.build(cx, x, channels, &self.kernel, spec)?;
        cx.activate(sums, self.activation)
    }
}

/// What the parameters of a convolution depend on.
struct Taps {
    channels: usize,
    kernel: [usize; 2],
    bias: bool,
    activation: Activation,
}

impl Taps {
    /// The convolution without activation; the parameter has the layer's own rank (`named`), the graph's has two dimensions.
    fn build(
        &self,
        cx: &mut LayerCx<'_>,
        x: NodeId,
        inputs: usize,
        named: &[usize],
        spec: Conv2dSpec,
    ) -> Result<NodeId> {
        if spec.groups == 0 || !inputs.is_multiple_of(spec.groups) || !self.channels.is_multiple_of(spec.groups) {
            return Err(cx.refuse(format!(
                "{} groups, which do not divide {inputs} input and {} output channels",
                spec.groups, self.channels
            )));
        }
        let dims: Vec<usize> = [self.channels, inputs / spec.groups].iter().chain(named).copied().collect();
        let w = cx.weight("weight", &dims, weight_init(self.activation))?;
        let full = mayfly_graph::Shape::fixed(&[self.channels, inputs / spec.groups, self.kernel[0], self.kernel[1]])?;
        let w = cx.graph().reshape(w, full)?;
        let b = if self.bias { Some(cx.bias("bias", self.channels, Init::Zeros)?) } else { None };
        Ok(cx.graph().conv2d(x, w, b, spec)?)
    }
}
