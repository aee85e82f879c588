//! Elementwise functions: one for all elements, or one per column (FANN's networks may mix them within a layer).
use super::{Ins, Op, Rule, RunCx, Tensor, arity, expect_shape, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;
use mayfly_kernels::{Act, Saves};

/// `x → f(x)`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Unary(pub Act);
/// `(dy, saved) → dx`, where `saved` is x or y as the function prefers
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct UnaryBwd(pub Act);
/// `x [.., n] → y [.., n]`: column j goes through function j
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnActs(pub Arc<[Act]>);
/// `(dy, x, y) → dx`
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnActsBwd(pub Arc<[Act]>);

impl Graph {
    /// An elementwise function.
    ///
    /// # Errors
    /// An unknown node.
    pub fn act(&mut self, x: NodeId, act: Act) -> Result<NodeId, GraphError> {
        if act == Act::Identity { self.node(x).map(|_| x) } else { self.push(Op::Unary(Unary(act)), &[x]) }
    }

    /// One elementwise function per column of the last dimension.
    ///
    /// # Errors
    /// Another number of functions than columns.
    pub fn column_acts(&mut self, x: NodeId, acts: &[Act]) -> Result<NodeId, GraphError> {
        match acts {
            [first, rest @ ..] if rest.iter().all(|a| a == first) && self.shape(x)?.last() == acts.len() => {
                self.act(x, *first)
            }
            _ => self.push(Op::ColumnActs(ColumnActs(Arc::from(acts))), &[x]),
        }
    }
}

impl Rule for Unary {
    fn name(&self) -> &'static str {
        "unary"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("unary", ins)?;
        Ok(x)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let saved = if self.0.saves() == Saves::Input { cx.input(0) } else { cx.output() };
        let dy = cx.dy();
        Ok(vec![cx.when(0, |g| g.push(Op::UnaryBwd(UnaryBwd(self.0)), &[dy, saved]))?])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(ins[0].data.iter().map(|x| k::reference::act(self.0, *x)).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::act_fwd(cx.isa, self.0, y, ins[0]);
    }
}

impl Rule for UnaryBwd {
    fn name(&self) -> &'static str {
        "unary_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, saved] = arity("unary_bwd", ins)?;
        expect_shape("unary_bwd", dy, saved)?;
        Ok(dy)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::act_bwd(cx.isa, self.0, y, ins[0], ins[1]);
    }
}

/// Calls `f(function, first column, end)` for each run of equal neighbours.
fn runs(acts: &[Act], mut f: impl FnMut(Act, usize, usize)) {
    let mut at = 0;
    for run in acts.chunk_by(|a, b| a == b) {
        f(run[0], at, at + run.len());
        at += run.len();
    }
}

impl Rule for ColumnActs {
    fn name(&self) -> &'static str {
        "column_acts"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("column_acts", ins)?;
        if x.last() != self.0.len() {
            return Err(mismatch("column_acts", format!("{} columns", self.0.len()), x));
        }
        Ok(x)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.input(0), cx.output()];
        Ok(vec![cx.when(0, |g| g.push(Op::ColumnActsBwd(ColumnActsBwd(self.0.clone())), &ins))?])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(ins[0].data.iter().zip(self.0.iter().cycle()).map(|(x, a)| k::reference::act(*a, *x)).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let n = self.0.len();
        for (y, x) in y.chunks_exact_mut(n).zip(ins[0].chunks_exact(n)) {
            runs(&self.0, |act, a, b| k::act_fwd(cx.isa, act, &mut y[a..b], &x[a..b]));
        }
    }
}

impl Rule for ColumnActsBwd {
    fn name(&self) -> &'static str {
        "column_acts_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _, _] = arity("column_acts_bwd", ins)?;
        Ok(dy)
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let n = self.0.len();
        let rows = ins[0].chunks_exact(n).zip(ins[1].chunks_exact(n)).zip(ins[2].chunks_exact(n));
        for (dx, ((dy, x), y)) in dx.chunks_exact_mut(n).zip(rows) {
            runs(&self.0, |act, a, b| {
                let saved = if act.saves() == Saves::Input { x } else { y };
                k::act_bwd(cx.isa, act, &mut dx[a..b], &dy[a..b], &saved[a..b]);
            });
        }
    }
}
