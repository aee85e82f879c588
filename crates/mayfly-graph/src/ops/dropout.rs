//! Dropout (Srivastava et al. 2014): training graphs only.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `x → x·mask/(1−p)`; the mask is a function of the seed, the session's step counter and the position, so the gradient is the same operation
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dropout {
    /// Probability that an element is dropped, in 0..1.
    pub p: f32,
    /// Distinguishes layers and runs.
    pub seed: u64,
}

impl Graph {
    /// Drops elements with probability `p` and scales the others by `1/(1−p)`.
    ///
    /// # Errors
    /// A probability outside `0..1`.
    pub fn dropout(&mut self, x: NodeId, p: f32, seed: u64) -> Result<NodeId, GraphError> {
        self.push(Op::Dropout(Dropout { p, seed }), &[x])
    }
}

impl Rule for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        if !(0.0..1.0).contains(&self.p) {
            return Err(bad_attribute("dropout", format!("a probability of {}; it must be in 0..1", self.p)));
        }
        let [x] = arity("dropout", ins)?;
        Ok(x)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let dy = cx.dy();
        Ok(vec![cx.when(0, |g| g.push(Op::Dropout(*self), &[dy]))?])
    }

    /// The mask of step 0.
    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let mut mask = vec![0.0; out.len()];
        k::dropout_fwd(k::Isa::scalar(), &mut mask, &vec![1.0; out.len()], self.p, self.seed, 0);
        Ok(ins[0].data.iter().zip(&mask).map(|(x, m)| x * f64::from(*m)).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::dropout_fwd(cx.isa, y, ins[0], self.p, self.seed, cx.step);
    }
}
