//! One of two values, element by element.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec;
use alloc::vec::Vec;

/// `(c, a, b) → a` where `c` is not zero, else `b`. `a` and `b` are of c's shape or one number each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Select;

impl Graph {
    /// `a` where `c` is not zero, else `b`; either may be one number. What is not taken may be NaN.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn select(&mut self, c: NodeId, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::Select(Select), &[c, a, b])
    }
}

/// The `i`th element, or the only one.
fn at<T: Copy>(x: &[T], i: usize) -> T {
    if x.len() == 1 { x[0] } else { x[i] }
}

impl Rule for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [c, a, b] = arity("select", ins)?;
        let fits = |x: &Shape| *x == c || !x.is_batched() && x.row_len() == 1;
        match [a, b].into_iter().find(|x| !fits(x)) {
            Some(x) => Err(mismatch("select", alloc::format!("{c} or a scalar"), x)),
            None => Ok(c),
        }
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (c, a, b, dy) = (cx.input(0), cx.input(1), cx.input(2), cx.dy());
        let (a, b) = (cx.shape(a)?, cx.shape(b)?);
        let da = cx.when(1, |g| {
            let zero = g.constant(&[0.0], &[])?;
            let full = g.select(c, dy, zero)?;
            g.sum_to(full, a)
        })?;
        let db = cx.when(2, |g| {
            let zero = g.constant(&[0.0], &[])?;
            let full = g.select(c, zero, dy)?;
            g.sum_to(full, b)
        })?;
        Ok(vec![None, da, db])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let one = |i| if ins[0].data[i] != 0.0 { at(&ins[1].data, i) } else { at(&ins[2].data, i) };
        Ok((0..out.len()).map(one).collect())
    }

    fn run(&self, _: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        for (i, (y, c)) in y.iter_mut().zip(ins[0]).enumerate() {
            *y = if *c != 0.0 { at(ins[1], i) } else { at(ins[2], i) };
        }
    }
}
