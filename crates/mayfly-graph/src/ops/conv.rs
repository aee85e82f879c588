//! Two-dimensional convolution over `[batch, channels, height, width]`; one dimension is a height of 1.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// How a convolution moves over its input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conv2dSpec {
    /// Step down and right.
    pub stride: [usize; 2],
    /// Zeros around the input: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Distance between the taps of a kernel.
    pub dilation: [usize; 2],
    /// Channels are convolved within this many groups.
    pub groups: usize,
}

impl Default for Conv2dSpec {
    fn default() -> Self {
        Conv2dSpec { stride: [1; 2], pad: [0; 4], dilation: [1; 2], groups: 1 }
    }
}

/// `(x [b, c, h, w], weight [o, c/groups, kh, kw], bias [o]?) → [b, o, oh, ow]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2d(pub Conv2dSpec);
/// `(dy, weight) → dx`; carries the input's height and width
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2dBwdX(pub Conv2dSpec, pub [usize; 2]);
/// `(dy, x) → dw`; carries the kernel's height and width
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2dBwdW(pub Conv2dSpec, pub [usize; 2]);
/// `dy → db [o]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2dBwdB;

impl Graph {
    /// A convolution of `x [b, c, h, w]` with `w [o, c/groups, kh, kw]`.
    ///
    /// # Errors
    /// Shapes or attributes that do not fit.
    pub fn conv2d(&mut self, x: NodeId, w: NodeId, b: Option<NodeId>, spec: Conv2dSpec) -> Result<NodeId, GraphError> {
        match b {
            Some(b) => self.push(Op::Conv2d(Conv2d(spec)), &[x, w, b]),
            None => self.push(Op::Conv2d(Conv2d(spec)), &[x, w]),
        }
    }
}

impl Conv2dSpec {
    pub(crate) fn sizes(&self, x: [usize; 4], out_channels: usize, kernel: [usize; 2]) -> k::Conv2d {
        let [batch, channels, height, width] = x;
        let &Conv2dSpec { stride, pad, dilation, groups } = self;
        k::Conv2d { batch, channels, height, width, out_channels, kernel, stride, pad, dilation, groups }
    }

    /// A convolution whose weights have these dimensions.
    pub(crate) fn with_weight(&self, x: Dims, w: Dims) -> k::Conv2d {
        self.sizes(x.left_padded(), w[0], [w[2], w[3]])
    }

    fn check(&self) -> Result<(), GraphError> {
        if self.groups == 0 || self.stride.contains(&0) || self.dilation.contains(&0) {
            return Err(bad_attribute("conv2d", format!("groups, stride and dilation must be positive: {self:?}")));
        }
        Ok(())
    }
}

impl Rule for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        self.0.check()?;
        let (x, w, b) = match *ins {
            [x, w] => (x, w, None),
            [x, w, b] => (x, w, Some(b)),
            _ => return Err(GraphError::Arity { op: "conv2d", want: "2 or 3", got: ins.len() }),
        };
        if x.rank() != 4 {
            return Err(mismatch("conv2d", "[batch, channels, height, width]", x));
        }
        let (c, groups) = (x.dims()[1], self.0.groups);
        if w.rank() != 4 || w.is_batched() || c % groups != 0 || w.dims()[1] != c / groups || w.dims()[0] % groups != 0
        {
            return Err(mismatch("conv2d", format!("a weight [out, {c}/{groups}, kh, kw]"), w));
        }
        let o = w.dims()[0];
        if let Some(b) = b.filter(|b| b.is_batched() || b.dims() != [o]) {
            return Err(mismatch("conv2d", format!("[{o}] for the bias"), b));
        }
        let Some([oh, ow]) = self.0.with_weight(x.at(1), w.at(1)).out_size() else {
            return Err(mismatch("conv2d", "an input at least as large as the dilated kernel", x));
        };
        x.with_dims(&[x.dims()[0], o, oh, ow])
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (x, w, dy) = (cx.input(0), cx.input(1), cx.dy());
        let (xs, ws) = (cx.shape(x)?, cx.shape(w)?);
        let dx = cx.when(0, |g| g.push(Op::Conv2dBwdX(Conv2dBwdX(self.0, [xs.dims()[2], xs.dims()[3]])), &[dy, w]))?;
        let dw = cx.when(1, |g| g.push(Op::Conv2dBwdW(Conv2dBwdW(self.0, [ws.dims()[2], ws.dims()[3]])), &[dy, x]))?;
        let db = cx.when(2, |g| g.push(Op::Conv2dBwdB(Conv2dBwdB), &[dy]))?;
        Ok(vec![dx, dw, db])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (x, w) = (ins[0], ins[1]);
        let spec = self.0.with_weight(x.dims, w.dims);
        let mut y = Vec::with_capacity(out.len());
        for b in 0..out[0] {
            for o in 0..out[1] {
                let bias = ins.get(2).map_or(0.0, |v| v.data[o]);
                for r in 0..out[2] {
                    y.extend((0..out[3]).map(|c| bias + window(&spec, x, w, [b, o, r, c])));
                }
            }
        }
        Ok(y)
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        self.0.with_weight(ins[0], ins[1]).scratch_len()
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let bias = (cx.ins.len() > 2).then_some(ins[2]);
        let spec = self.0.with_weight(cx.ins[0], cx.ins[1]);
        k::conv2d_fwd(cx.isa, y, ins[0], ins[1], bias, k::Act::Identity, scratch, &spec);
    }
}

/// One output of the convolution, by its definition.
fn window(s: &k::Conv2d, x: &Tensor, w: &Tensor, [b, o, r, c]: [usize; 4]) -> f64 {
    let per_group = s.channels / s.groups;
    let first = o / (s.out_channels / s.groups) * per_group;
    let mut sum = 0.0;
    for i in 0..per_group {
        for u in 0..s.kernel[0] {
            for v in 0..s.kernel[1] {
                let (h, q) = (r * s.stride[0] + u * s.dilation[0], c * s.stride[1] + v * s.dilation[1]);
                let inside = h >= s.pad[0] && q >= s.pad[1] && h - s.pad[0] < s.height && q - s.pad[1] < s.width;
                if inside {
                    let at = ((b * s.channels + first + i) * s.height + h - s.pad[0]) * s.width + q - s.pad[1];
                    sum += x.data[at] * w.data[((o * per_group + i) * s.kernel[0] + u) * s.kernel[1] + v];
                }
            }
        }
    }
    sum
}

impl Conv2dBwdX {
    fn sizes(&self, dy: Dims, w: Dims) -> k::Conv2d {
        self.0.sizes([dy[0], w[1] * self.0.groups, self.1[0], self.1[1]], w[0], [w[2], w[3]])
    }
}

impl Rule for Conv2dBwdX {
    fn name(&self) -> &'static str {
        "conv2d_bwd_x"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, w] = arity("conv2d_bwd_x", ins)?;
        dy.with_dims(&[dy.dims()[0], w.dims()[1] * self.0.groups, self.1[0], self.1[1]])
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        self.sizes(ins[0], ins[1]).scratch_len()
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        k::conv2d_bwd_x(cx.isa, y, ins[0], ins[1], scratch, &self.sizes(cx.ins[0], cx.ins[1]));
    }
}

impl Conv2dBwdW {
    fn sizes(&self, dy: Dims, x: Dims) -> k::Conv2d {
        self.0.sizes(x.left_padded(), dy[1], self.1)
    }
}

impl Rule for Conv2dBwdW {
    fn name(&self) -> &'static str {
        "conv2d_bwd_w"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, x] = arity("conv2d_bwd_w", ins)?;
        Shape::fixed(&[dy.dims()[1], x.dims()[1] / self.0.groups, self.1[0], self.1[1]])
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        self.sizes(ins[0], ins[1]).scratch_len()
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        k::conv2d_bwd_w(cx.isa, y, ins[0], ins[1], scratch, &self.sizes(cx.ins[0], cx.ins[1]));
    }
}

impl Rule for Conv2dBwdB {
    fn name(&self) -> &'static str {
        "conv2d_bwd_b"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy] = arity("conv2d_bwd_b", ins)?;
        Shape::fixed(&[dy.dims()[1]])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let d = cx.ins[0];
        super::batch_norm::channel_sums(cx.isa, y, ins[0], (d[0], d[1], d[2] * d[3]));
    }
}
