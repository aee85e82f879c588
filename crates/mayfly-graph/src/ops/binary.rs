//! Arithmetic of two values, and the broadcasting that goes with it.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::{Act, Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec;
use alloc::vec::Vec;
use mayfly_kernels as k;

/// `(a, b) → a ∘ b`. The right side may be smaller: a scalar, or the last dimensions of the left side, repeated over the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a − b`
    Sub,
    /// `a · b`
    Mul,
    /// `a / b`
    Div,
    /// 1 where `a > b`, else 0; the gradient is zero
    Greater,
    /// 1 where `a ≥ b`, else 0; the gradient is zero
    GreaterEqual,
}

/// Sums the leading dimensions away until the given shape is left.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SumTo(pub Shape);
/// Repeats a value over leading dimensions (or a scalar everywhere) up to the given shape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Expand(pub Shape);

impl Graph {
    /// `a ∘ b`, where `b` may be a scalar or the last dimensions of `a`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::Binary(op), &[a, b])
    }

    /// `a + b`; see [`Graph::binary`].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.binary(Binary::Add, a, b)
    }

    /// `a · b`, elementwise; see [`Graph::binary`].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.binary(Binary::Mul, a, b)
    }

    /// Sums everything but the last dimension.
    ///
    /// # Errors
    /// A scalar or a batch of scalars.
    pub(crate) fn sum_rows(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let to = Shape::fixed(&[self.shape(x)?.last()])?;
        self.sum_to(x, to)
    }

    pub(crate) fn sum_to(&mut self, x: NodeId, to: Shape) -> Result<NodeId, GraphError> {
        if self.shape(x)? == to { Ok(x) } else { self.push(Op::SumTo(SumTo(to)), &[x]) }
    }

    /// The mean of all rows of a batch: `[batch, ..] → [..]`.
    ///
    /// # Errors
    /// A value without a batch.
    pub fn mean_over_batch(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let shape = self.shape(x)?;
        if !shape.is_batched() {
            return Err(mismatch("mean_over_batch", "[batch, ..]", shape));
        }
        let sum = self.sum_to(x, Shape::fixed(&shape.dims()[1..])?)?;
        let one = self.constant(&[1.0], &[])?;
        let ones = self.expand(one, Shape::folded(shape.dims()[0], &[])?)?;
        let count = self.sum_to(ones, Shape::scalar())?;
        self.binary(Binary::Div, sum, count)
    }

    /// Repeats a scalar, or a value over new leading dimensions, up to `to`.
    ///
    /// # Errors
    /// A shape that is not the end of `to`.
    pub fn expand(&mut self, x: NodeId, to: Shape) -> Result<NodeId, GraphError> {
        if self.shape(x)? == to { Ok(x) } else { self.push(Op::Expand(Expand(to)), &[x]) }
    }
}

/// Whether `small` is a scalar (or one element) or the last dimensions of `big`.
fn ends_with(big: Shape, small: Shape) -> bool {
    big == small
        || !small.is_batched()
            && (small.row_len() == 1
                || big.dims().ends_with(small.dims()) && (!big.is_batched() || small.rank() < big.rank()))
}

impl Rule for Binary {
    fn name(&self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Greater => "greater",
            Binary::GreaterEqual => "greater_equal",
        }
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [a, b] = arity(self.name(), ins)?;
        if ends_with(a, b) {
            Ok(a)
        } else {
            Err(mismatch(self.name(), alloc::format!("{a}, its last dimensions or a scalar"), b))
        }
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        if matches!(self, Binary::Greater | Binary::GreaterEqual) {
            return Ok(vec![None, None]);
        }
        let (a, b, y, dy) = (cx.input(0), cx.input(1), cx.output(), cx.dy());
        let small = cx.shape(b)?;
        let da = cx.when(0, |g| match self {
            Binary::Mul => g.binary(Binary::Mul, dy, b),
            Binary::Div => g.binary(Binary::Div, dy, b),
            _ => Ok(dy),
        })?;
        let db = cx.when(1, |g| {
            let full = match self {
                Binary::Sub => g.act(dy, Act::Neg)?,
                Binary::Mul => g.mul(dy, a)?,
                // d(a/b)/db = −(a/b)/b
                Binary::Div => {
                    let t = g.mul(dy, y)?;
                    let t = g.binary(Binary::Div, t, b)?;
                    g.act(t, Act::Neg)?
                }
                _ => dy,
            };
            g.sum_to(full, small)
        })?;
        Ok(vec![da, db])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let f = |(a, b): (&f64, &f64)| match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Greater => f64::from(a > b),
            Binary::GreaterEqual => f64::from(a >= b),
        };
        Ok(ins[0].data.iter().zip(ins[1].data.iter().cycle()).map(f).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let op = match self {
            Binary::Add => k::Binary::Add,
            Binary::Sub => k::Binary::Sub,
            Binary::Mul => k::Binary::Mul,
            Binary::Div => k::Binary::Div,
            Binary::Greater => k::Binary::Greater,
            Binary::GreaterEqual => k::Binary::GreaterEqual,
        };
        k::binary_fwd(cx.isa, op, y, ins[0], ins[1]);
    }
}

impl Rule for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("sum_to", ins)?;
        if ends_with(x, self.0) { Ok(self.0) } else { Err(mismatch("sum_to", self.0, x)) }
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (to, dy) = (cx.shape(cx.input(0))?, cx.dy());
        Ok(vec![cx.when(0, |g| g.expand(dy, to))?])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let n = out.len();
        let mut y = vec![0.0; n];
        for (i, x) in ins[0].data.iter().enumerate() {
            y[i % n] += x;
        }
        Ok(y)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::reduce_fwd(cx.isa, k::ReduceKind::Sum, y, ins[0], 1, cx.ins[0].len() / cx.out.len(), cx.out.len());
    }
}

impl Rule for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("expand", ins)?;
        if ends_with(self.0, x) { Ok(self.0) } else { Err(mismatch("expand", self.0, x)) }
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (to, dy) = (cx.shape(cx.input(0))?, cx.dy());
        Ok(vec![cx.when(0, |g| g.sum_to(dy, to))?])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(ins[0].data.iter().copied().cycle().take(out.len()).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        if let [value] = ins[0] {
            y.fill(*value);
            return;
        }
        for row in y.chunks_exact_mut(cx.ins[0].len()) {
            row.copy_from_slice(ins[0]);
        }
    }
}
