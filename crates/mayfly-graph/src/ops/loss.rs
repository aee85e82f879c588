//! Losses: one number per row, then their weighted sum. The weights carry everything else: 1/rows, class weights, rows that do not count.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, expect_shape, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec;
use alloc::vec::Vec;
use mayfly_kernels as k;
pub use mayfly_kernels::Loss;

/// `(prediction [b, ..], target, same shape) → [b]`
#[derive(Clone, PartialEq, Debug)]
pub struct LossRows(pub Loss);
/// `(drows [b], prediction, target) → dprediction`
#[derive(Clone, PartialEq, Debug)]
pub struct LossRowsBwd(pub Loss);
/// `(rows [b], weights [b]) → scalar`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WeightedSum;

impl Graph {
    /// The loss of each row.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn loss_rows(&mut self, loss: Loss, prediction: NodeId, target: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::LossRows(LossRows(loss)), &[prediction, target])
    }

    /// `Σ weights · rows`: with weights of 1/rows the mean loss, a scalar that [`crate::gradient`] takes.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn weighted_sum(&mut self, rows: NodeId, weights: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::WeightedSum(WeightedSum), &[rows, weights])
    }
}

impl Rule for LossRows {
    fn name(&self) -> &'static str {
        "loss_rows"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [prediction, target] = arity("loss_rows", ins)?;
        expect_shape("loss_rows", prediction, target)?;
        if !prediction.is_batched() || prediction.rank() < 2 {
            return Err(mismatch("loss_rows", "[batch, ..]", prediction));
        }
        Shape::batched(&[])
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.input(0), cx.input(1)];
        Ok(vec![cx.when(0, |g| g.push(Op::LossRowsBwd(LossRowsBwd(self.0.clone())), &ins))?, None])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let n = ins[0].dims.len() / out.len();
        Ok(ins[0]
            .data
            .chunks_exact(n)
            .zip(ins[1].data.chunks_exact(n))
            .map(|(p, t)| k::reference::loss(&self.0, p, t))
            .collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::loss_fwd(cx.isa, &self.0, y, ins[0], ins[1], cx.out.len(), cx.ins[0].len() / cx.out.len());
    }
}

impl Rule for LossRowsBwd {
    fn name(&self) -> &'static str {
        "loss_rows_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, prediction, _] = arity("loss_rows_bwd", ins)?;
        Ok(prediction)
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (rows, n) = (cx.ins[0].len(), cx.out.len() / cx.ins[0].len());
        k::loss_bwd(cx.isa, &self.0, dx, ins[0], ins[1], ins[2], rows, n);
    }
}

impl Rule for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [rows, weights] = arity("weighted_sum", ins)?;
        expect_shape("weighted_sum", rows, weights)?;
        Ok(Shape::scalar())
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (rows, weights, dy) = (cx.input(0), cx.input(1), cx.dy());
        let drows = cx.when(0, |g| g.scaled(weights, dy))?;
        let dweights = cx.when(1, |g| g.scaled(rows, dy))?;
        Ok(vec![drows, dweights])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(vec![ins[0].data.iter().zip(&ins[1].data).map(|(a, b)| a * b).sum()])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        y[0] = k::dot(cx.isa, ins[0], ins[1]);
    }
}

impl Graph {
    /// `x · dy` for a scalar gradient; the seed of 1 costs nothing.
    fn scaled(&mut self, x: NodeId, dy: NodeId) -> Result<NodeId, GraphError> {
        match &self.node(dy)?.op {
            Op::Constant(v, _) if v[..] == [1.0] => Ok(x),
            _ => self.mul(x, dy),
        }
    }
}
