//! Sum, mean or maximum over one dimension.
use super::{Ins, Op, Rule, RunCx, Tensor, arity};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec;
use alloc::vec::Vec;
use mayfly_kernels as k;
use mayfly_kernels::ReduceKind;

/// `x → x` without dimension `axis`, which must not be the batch
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reduce {
    /// Sum, mean or maximum.
    pub kind: ReduceKind,
    /// The dimension that goes.
    pub axis: usize,
}
/// `(dy, x, y) → dx`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReduceBwd(pub Reduce);

impl Graph {
    /// Reduces one dimension away; dimension 0 of a batched value cannot go.
    ///
    /// # Errors
    /// A dimension that is not there or is the batch.
    pub fn reduce(&mut self, x: NodeId, kind: ReduceKind, axis: usize) -> Result<NodeId, GraphError> {
        self.push(Op::Reduce(Reduce { kind, axis }), &[x])
    }
}

impl Rule for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("reduce", ins)?;
        x.without(self.axis)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.input(0), cx.output()];
        Ok(vec![cx.when(0, |g| g.push(Op::ReduceBwd(ReduceBwd(*self)), &ins))?])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (_, n, inner) = ins[0].dims.around(self.axis);
        let start = if self.kind == ReduceKind::Max { f64::NEG_INFINITY } else { 0.0 };
        let mut y = vec![start; out.len()];
        for (i, x) in ins[0].data.iter().enumerate() {
            let at = &mut y[i / (n * inner) * inner + i % inner];
            *at = match self.kind {
                ReduceKind::Sum => *at + x,
                ReduceKind::Mean => *at + x / n as f64,
                ReduceKind::Max => at.max(*x),
            };
        }
        Ok(y)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (outer, n, inner) = cx.ins[0].around(self.axis);
        k::reduce_fwd(cx.isa, self.kind, y, ins[0], outer, n, inner);
    }
}

impl Rule for ReduceBwd {
    fn name(&self) -> &'static str {
        "reduce_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x, _] = arity("reduce_bwd", ins)?;
        Ok(x)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (outer, n, inner) = cx.out.around(self.0.axis);
        k::reduce_bwd(cx.isa, self.0.kind, y, ins[0], ins[1], ins[2], outer, n, inner);
    }
}
