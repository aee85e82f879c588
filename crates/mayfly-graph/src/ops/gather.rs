//! Elements of a dimension by fixed numbers: reversed, repeated, every second, in any order.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};

/// Element `i` of dimension `axis` of the result is element `indices[i]` of the input's
#[derive(Clone, PartialEq, Debug)]
pub struct Gather {
    /// The dimension, which must not be the batch.
    pub axis: usize,
    /// Which elements, in order; any may come several times.
    pub indices: Arc<[usize]>,
}
/// `dy → dx`: elements that came several times get the sum; carries the full length
#[derive(Clone, PartialEq, Debug)]
pub struct GatherBwd(pub Gather, pub usize);

impl Graph {
    /// The elements `indices` of dimension `axis` (not the batch), in that order; see [`Graph::embed`] for numbers that are data.
    ///
    /// # Errors
    /// An index beyond the dimension, or none at all.
    pub fn gather(&mut self, x: NodeId, axis: usize, indices: &[usize]) -> Result<NodeId, GraphError> {
        self.push(Op::Gather(Gather { axis, indices: Arc::from(indices) }), &[x])
    }
}

impl Gather {
    fn check(&self, x: Shape) -> Result<(), GraphError> {
        if self.axis >= x.rank() || (self.axis == 0 && x.is_batched()) || self.indices.is_empty() {
            let what = format!("{} elements of dimension {} of {x}", self.indices.len(), self.axis);
            return Err(bad_attribute("gather", what));
        }
        match self.indices.iter().find(|i| **i >= x.dims()[self.axis]) {
            Some(i) => Err(bad_attribute("gather", format!("element {i} of dimension {} of {x}", self.axis))),
            None => Ok(()),
        }
    }

    /// The shape with dimension `axis` set.
    fn set(&self, x: Shape, n: usize) -> Result<Shape, GraphError> {
        let mut dims = x.dims().to_vec();
        dims[self.axis] = n;
        x.with_dims(&dims)
    }
}

impl Rule for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("gather", ins)?;
        self.check(x)?;
        self.set(x, self.indices.len())
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let full = cx.shape(cx.input(0))?.dims()[self.axis];
        let dy = cx.dy();
        Ok(vec![cx.when(0, |g| g.push(Op::GatherBwd(GatherBwd(self.clone(), full)), &[dy]))?])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let (outer, n, inner) = ins[0].dims.around(self.axis);
        let row = |o: usize, i: usize| ins[0].data[(o * n + i) * inner..][..inner].iter().copied();
        Ok((0..outer).flat_map(|o| self.indices.iter().flat_map(move |i| row(o, *i))).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (_, n, inner) = cx.ins[0].around(self.axis);
        for (y, x) in y.chunks_exact_mut(self.indices.len() * inner).zip(ins[0].chunks_exact(n * inner)) {
            for (y, i) in y.chunks_exact_mut(inner).zip(self.indices.iter()) {
                y.copy_from_slice(&x[i * inner..][..inner]);
            }
        }
    }
}

impl Rule for GatherBwd {
    fn name(&self) -> &'static str {
        "gather_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy] = arity("gather_bwd", ins)?;
        self.0.set(dy, self.1)
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (_, n, inner) = cx.out.around(self.0.axis);
        dx.fill(0.0);
        for (dx, dy) in dx.chunks_exact_mut(n * inner).zip(ins[0].chunks_exact(self.0.indices.len() * inner)) {
            for (i, dy) in self.0.indices.iter().zip(dy.chunks_exact(inner)) {
                dx[i * inner..][..inner].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        }
    }
}
