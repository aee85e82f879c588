//! Softmax and its logarithm over the last dimension.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec;
use alloc::vec::Vec;
use mayfly_kernels as k;

/// `x → softmax(x)` or `log softmax(x)`, along the last dimension
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Softmax {
    /// Probabilities.
    Plain,
    /// Their logarithms.
    Log,
}
/// `(dy, y) → dx`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoftmaxBwd(pub Softmax);

impl Graph {
    /// Softmax over the last dimension.
    ///
    /// # Errors
    /// A scalar, or a batch of scalars.
    pub fn softmax(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::Softmax(Softmax::Plain), &[x])
    }

    /// The logarithm of the softmax over the last dimension.
    ///
    /// # Errors
    /// A scalar, or a batch of scalars.
    pub fn log_softmax(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::Softmax(Softmax::Log), &[x])
    }
}

impl Rule for Softmax {
    fn name(&self) -> &'static str {
        match self {
            Softmax::Plain => "softmax",
            Softmax::Log => "log_softmax",
        }
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity(self.name(), ins)?;
        if x.rank() < 1 + usize::from(x.is_batched()) {
            return Err(mismatch(self.name(), "at least one feature dimension", x));
        }
        Ok(x)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.output()];
        Ok(vec![cx.when(0, |g| g.push(Op::SoftmaxBwd(SoftmaxBwd(*self)), &ins))?])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let mut y = Vec::with_capacity(ins[0].data.len());
        for row in ins[0].data.chunks_exact(ins[0].dims.last()) {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|x| libm::exp(x - max)).sum();
            y.extend(row.iter().map(|x| match self {
                Softmax::Plain => libm::exp(x - max) / sum,
                Softmax::Log => x - max - libm::log(sum),
            }));
        }
        Ok(y)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (rows, n) = (cx.out.rows(), cx.out.last());
        match self {
            Softmax::Plain => k::softmax_fwd(cx.isa, y, ins[0], rows, n),
            Softmax::Log => k::log_softmax_fwd(cx.isa, y, ins[0], rows, n),
        }
    }
}

impl Rule for SoftmaxBwd {
    fn name(&self) -> &'static str {
        "softmax_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _] = arity("softmax_bwd", ins)?;
        Ok(dy)
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (rows, n) = (cx.out.rows(), cx.out.last());
        match self.0 {
            Softmax::Plain => k::softmax_bwd(cx.isa, dx, ins[0], ins[1], rows, n),
            Softmax::Log => k::log_softmax_bwd(cx.isa, dx, ins[0], ins[1], rows, n),
        }
    }
}
