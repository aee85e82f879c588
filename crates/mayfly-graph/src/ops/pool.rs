//! Max and average pooling over `[batch, channels, height, width]`.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;
use mayfly_kernels::PoolKind;

/// A window that moves over each plane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool2dSpec {
    /// Largest value or mean; padding does not count into the mean.
    pub kind: PoolKind,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Step down and right.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [usize; 4],
}

/// `x [b, c, h, w] → [b, c, oh, ow]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pool2d(pub Pool2dSpec);
/// `(dy, x) → dx`; ties of a maximum go to the first
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pool2dBwd(pub Pool2dSpec);

impl Graph {
    /// Pools each plane of `x [b, c, h, w]`.
    ///
    /// # Errors
    /// Shapes or attributes that do not fit.
    pub fn pool2d(&mut self, x: NodeId, spec: Pool2dSpec) -> Result<NodeId, GraphError> {
        self.push(Op::Pool2d(Pool2d(spec)), &[x])
    }
}

impl Pool2dSpec {
    fn sizes(&self, x: Dims) -> k::Pool2d {
        let &Pool2dSpec { kind, kernel, stride, pad } = self;
        k::Pool2d { planes: x[0] * x[1], height: x[2], width: x[3], kernel, stride, pad, kind }
    }

    fn check(&self) -> Result<(), GraphError> {
        let padded_away = (0..4).any(|i| self.pad[i] >= self.kernel[i % 2].max(1));
        if self.kernel.contains(&0) || self.stride.contains(&0) || padded_away {
            return Err(bad_attribute(
                "pool2d",
                format!("kernel and stride must be positive and padding smaller than the kernel: {self:?}"),
            ));
        }
        Ok(())
    }
}

impl Rule for Pool2d {
    fn name(&self) -> &'static str {
        "pool2d"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        self.0.check()?;
        let [x] = arity("pool2d", ins)?;
        if x.rank() != 4 {
            return Err(mismatch("pool2d", "[batch, channels, height, width]", x));
        }
        let Some([oh, ow]) = self.0.sizes(x.at(1)).out_size() else {
            return Err(mismatch("pool2d", "an input at least as large as the window", x));
        };
        x.with_dims(&[x.dims()[0], x.dims()[1], oh, ow])
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.input(0)];
        Ok(vec![cx.when(0, |g| g.push(Op::Pool2dBwd(Pool2dBwd(self.0)), &ins))?])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (h, w) = (ins[0].dims[2], ins[0].dims[3]);
        let mut y = Vec::with_capacity(out.len());
        for plane in ins[0].data.chunks_exact(h * w) {
            for r in 0..out[2] {
                y.extend((0..out[3]).map(|c| self.0.window(plane, [h, w], [r, c])));
            }
        }
        Ok(y)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::pool2d_fwd(cx.isa, y, ins[0], &self.0.sizes(cx.ins[0]));
    }
}

impl Pool2dSpec {
    /// One pooled value, by its definition.
    fn window(&self, plane: &[f64], [h, w]: [usize; 2], [r, c]: [usize; 2]) -> f64 {
        let rows =
            (r * self.stride[0]..).take(self.kernel[0]).filter_map(|i| i.checked_sub(self.pad[0]).filter(|i| *i < h));
        let columns =
            (c * self.stride[1]..).take(self.kernel[1]).filter_map(|i| i.checked_sub(self.pad[1]).filter(|i| *i < w));
        let inside: Vec<f64> = rows.flat_map(|i| columns.clone().map(move |j| plane[i * w + j])).collect();
        match self.kind {
            PoolKind::Max => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            _ => inside.iter().sum::<f64>() / inside.len() as f64,
        }
    }
}

impl Rule for Pool2dBwd {
    fn name(&self) -> &'static str {
        "pool2d_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x] = arity("pool2d_bwd", ins)?;
        Ok(x)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::pool2d_bwd(cx.isa, y, ins[0], ins[1], &self.0.sizes(cx.ins[1]));
    }
}
