//! `y = x · wᵀ + b` over the last dimension, and its two gradients.
use super::{Ins, Op, Rule, RunCx, Tensor, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `(x [.., i], w [o, i], b [o]?) → [.., o]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Linear;
/// `(dy [.., o], w [o, i]) → dx [.., i]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LinearBwdX;
/// `(dy [.., o], x [.., i]) → dw [o, i]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LinearBwdW;

impl Graph {
    /// `x [.., i] · wᵀ [o, i] + b [o]`, over the last dimension.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn linear(&mut self, x: NodeId, w: NodeId, b: Option<NodeId>) -> Result<NodeId, GraphError> {
        match b {
            Some(b) => self.push(Op::Linear(Linear), &[x, w, b]),
            None => self.push(Op::Linear(Linear), &[x, w]),
        }
    }
}

impl Rule for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let (x, w, b) = match *ins {
            [x, w] => (x, w, None),
            [x, w, b] => (x, w, Some(b)),
            _ => return Err(GraphError::Arity { op: "linear", want: "2 or 3", got: ins.len() }),
        };
        if w.rank() != 2 || w.is_batched() || x.rank() == 0 || w.last() != x.last() {
            return Err(mismatch("linear", format!("[out, {}] for the weight", x.last()), w));
        }
        let o = w.dims()[0];
        if let Some(b) = b.filter(|b| b.is_batched() || b.dims() != [o]) {
            return Err(mismatch("linear", format!("[{o}] for the bias"), b));
        }
        x.with_last(o)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (x, w, dy) = (cx.input(0), cx.input(1), cx.dy());
        let dx = cx.when(0, |g| g.push(Op::LinearBwdX(LinearBwdX), &[dy, w]))?;
        let dw = cx.when(1, |g| g.push(Op::LinearBwdW(LinearBwdW), &[dy, x]))?;
        let db = cx.when(2, |g| g.sum_rows(dy))?;
        Ok(vec![dx, dw, db])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (i, o) = (ins[0].dims.last(), out.last());
        let mut y = Vec::with_capacity(out.len());
        for x in ins[0].data.chunks_exact(i) {
            for (n, w) in ins[1].data.chunks_exact(i).enumerate() {
                let bias = ins.get(2).map_or(0.0, |b| b.data[n % o]);
                y.push(x.iter().zip(w).map(|(a, b)| a * b).sum::<f64>() + bias);
            }
        }
        Ok(y)
    }

    fn scratch_len(&self, ins: &[Dims], out: Dims) -> usize {
        k::linear_scratch_len(out.rows(), ins[0].last(), out.last())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let bias = (cx.ins.len() > 2).then_some(ins[2]);
        k::linear_fwd(
            cx.isa,
            y,
            ins[0],
            ins[1],
            bias,
            k::Epilogue::default(),
            scratch,
            cx.out.rows(),
            cx.ins[0].last(),
            cx.out.last(),
        );
    }
}

impl Rule for LinearBwdX {
    fn name(&self) -> &'static str {
        "linear_bwd_x"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, w] = super::arity("linear_bwd_x", ins)?;
        dy.with_last(w.last())
    }

    fn scratch_len(&self, ins: &[Dims], out: Dims) -> usize {
        k::linear_scratch_len(out.rows(), out.last(), ins[0].last())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        k::linear_bwd_x(cx.isa, y, ins[0], ins[1], scratch, cx.out.rows(), cx.out.last(), cx.ins[0].last());
    }
}

impl Rule for LinearBwdW {
    fn name(&self) -> &'static str {
        "linear_bwd_w"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, x] = super::arity("linear_bwd_w", ins)?;
        Shape::fixed(&[dy.last(), x.last()])
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        k::linear_scratch_len(ins[1].rows(), ins[1].last(), ins[0].last())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        k::linear_bwd_w(cx.isa, y, ins[0], ins[1], scratch, cx.ins[1].rows(), cx.ins[1].last(), cx.ins[0].last());
    }
}
