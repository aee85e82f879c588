//! Batched matrix product over the last two dimensions.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `(a [.., m, k], b [.., k, n]) → [.., m, n]`; either operand may be stored transposed. Leading dimensions are equal.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MatMul {
    /// How `a` is stored.
    pub a: k::Trans,
    /// How `b` is stored.
    pub b: k::Trans,
}

impl Graph {
    /// The matrix product of the last two dimensions; leading dimensions must be equal.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.push(Op::MatMul(MatMul { a: k::Trans::No, b: k::Trans::No }), &[a, b])
    }
}

/// Rows and columns of an operand as it enters the product.
fn rows_cols(dims: &[usize], t: k::Trans) -> (usize, usize) {
    let (r, c) = (dims[dims.len() - 2], dims[dims.len() - 1]);
    if t == k::Trans::No { (r, c) } else { (c, r) }
}

fn flip(t: k::Trans) -> k::Trans {
    if t == k::Trans::No { k::Trans::Yes } else { k::Trans::No }
}

impl MatMul {
    /// `(m, k, n)` from concrete dimensions.
    fn sizes(&self, a: &[usize], b: &[usize]) -> (usize, usize, usize) {
        let ((m, kk), (_, n)) = (rows_cols(a, self.a), rows_cols(b, self.b));
        (m, kk, n)
    }

    /// The product of one pair of matrices.
    fn product(&self, ins: &[Dims]) -> k::MatMul {
        let (m, kk, n) = self.sizes(ins[0].as_slice(), ins[1].as_slice());
        k::MatMul { m, k: kk, n, a: self.a, b: self.b }
    }
}

impl Rule for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [a, b] = arity("matmul", ins)?;
        let rank = a.rank();
        if rank < 2
            || b.rank() != rank
            || a.is_batched() != b.is_batched()
            || a.dims()[..rank - 2] != b.dims()[..rank - 2]
        {
            return Err(mismatch("matmul", format!("the leading dimensions of {a}"), b));
        }
        if rank == 2 && a.is_batched() {
            return Err(bad_attribute("matmul", format!("{a} × {b} would multiply over the batch; use linear")));
        }
        let (m, ka, n) = self.sizes(a.dims(), b.dims());
        if rows_cols(b.dims(), self.b).0 != ka {
            return Err(mismatch("matmul", format!("{ka} rows on the right"), b));
        }
        let mut dims = a.dims().to_vec();
        dims[rank - 2] = m;
        dims[rank - 1] = n;
        a.with_dims(&dims)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (a, b, dy) = (cx.input(0), cx.input(1), cx.dy());
        let product = |g: &mut Graph, a: (NodeId, k::Trans), b: (NodeId, k::Trans)| {
            g.push(Op::MatMul(MatMul { a: a.1, b: b.1 }), &[a.0, b.0])
        };
        let plain = (dy, k::Trans::No);
        let turned = (dy, k::Trans::Yes);
        // With A = op(a), B = op(b): dA = dy·Bᵀ and dB = Aᵀ·dy; a stored transposed operand wants the transpose of that.
        let da = cx.when(0, |g| match self.a {
            k::Trans::No => product(g, plain, (b, flip(self.b))),
            k::Trans::Yes => product(g, (b, self.b), turned),
        })?;
        let db = cx.when(1, |g| match self.b {
            k::Trans::No => product(g, (a, flip(self.a)), plain),
            k::Trans::Yes => product(g, turned, (a, self.a)),
        })?;
        Ok(vec![da, db])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (da, db) = (ins[0].dims, ins[1].dims);
        let (m, kk, n) = self.sizes(da.as_slice(), db.as_slice());
        let at = |t: k::Trans, r: usize, c: usize, rows: usize, cols: usize| {
            if t == k::Trans::No { r * cols + c } else { c * rows + r }
        };
        let mut y = Vec::with_capacity(out.len());
        for (a, b) in ins[0].data.chunks_exact(m * kk).zip(ins[1].data.chunks_exact(kk * n)) {
            for r in 0..m {
                y.extend(
                    (0..n)
                        .map(|c| (0..kk).map(|q| a[at(self.a, r, q, m, kk)] * b[at(self.b, q, c, kk, n)]).sum::<f64>()),
                );
            }
        }
        Ok(y)
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        self.product(ins).scratch_len()
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let product = self.product(cx.ins);
        let k::MatMul { m, k: kk, n, .. } = product;
        let each = ins[0].chunks_exact(m * kk).zip(ins[1].chunks_exact(kk * n)).zip(y.chunks_exact_mut(m * n));
        for ((a, b), c) in each {
            k::matmul(cx.isa, c, a, b, scratch, product);
        }
    }
}
