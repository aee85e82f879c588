//! Rows of a table by number.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec;
use alloc::vec::Vec;
use mayfly_kernels as k;

/// `(ids [..], table [v, d]) → [.., d]`; ids are exact integers in f32, clamped to the table
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Embed;
/// `(dy, ids) → dtable`; carries the number of rows of the table
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EmbedBwd(pub usize);

impl Graph {
    /// Looks up rows of `table [v, d]` by `ids [..]`; an id outside the table is clamped to it.
    ///
    /// # Errors
    /// A table of another rank, or ids of rank 4.
    pub fn embed(&mut self, ids: NodeId, table: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::Embed(Embed), &[ids, table])
    }
}

impl Rule for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [ids, table] = arity("embed", ins)?;
        if table.rank() != 2 || table.is_batched() {
            return Err(mismatch("embed", "a table [rows, width]", table));
        }
        let mut dims = ids.dims().to_vec();
        dims.push(table.last());
        ids.with_dims(&dims)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (ids, dy) = (cx.input(0), cx.dy());
        let rows = cx.shape(cx.input(1))?.dims()[0];
        Ok(vec![None, cx.when(1, |g| g.push(Op::EmbedBwd(EmbedBwd(rows)), &[dy, ids]))?])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (rows, d) = (ins[1].dims[0], out.last());
        let row = |id: &f64| (id.max(0.0) as usize).min(rows - 1) * d;
        Ok(ins[0].data.iter().flat_map(|id| ins[1].data[row(id)..row(id) + d].iter().copied()).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::embed_fwd(cx.isa, y, ins[0], ins[1], cx.out.last());
    }
}

impl Rule for EmbedBwd {
    fn name(&self) -> &'static str {
        "embed_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _] = arity("embed_bwd", ins)?;
        Shape::fixed(&[self.0, dy.last()])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        y.fill(0.0);
        k::embed_bwd_acc(cx.isa, y, ins[0], ins[1], cx.out.last());
    }
}
