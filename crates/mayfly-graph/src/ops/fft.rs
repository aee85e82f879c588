//! The real Fourier transform along the last dimension and its inverse.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `(x [.., n], table) → [.., 2·(n/2+1)]`, interleaved real and imaginary parts, and back (scaled by 1/n)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fft {
    /// Real to complex, over `n` real values.
    Forward(usize),
    /// Complex to real, to `n` real values.
    Inverse(usize),
}
/// `(dy, table) → dx`: the adjoint
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FftBwd(pub Fft);

impl Graph {
    /// The spectrum of the last dimension: `[.., n] → [.., 2·(n/2+1)]`, real and imaginary parts interleaved.
    ///
    /// # Errors
    /// A scalar.
    pub fn rfft(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let n = self.shape(x)?.last();
        self.fft(Fft::Forward(n), x)
    }

    /// The inverse of [`Graph::rfft`] to `n` real values.
    ///
    /// # Errors
    /// A last dimension that is not `2·(n/2+1)`.
    pub fn irfft(&mut self, x: NodeId, n: usize) -> Result<NodeId, GraphError> {
        self.fft(Fft::Inverse(n), x)
    }

    fn fft(&mut self, op: Fft, x: NodeId) -> Result<NodeId, GraphError> {
        let mut table = vec![0.0; k::rfft_table_len(op.n())];
        k::rfft_table(&mut table, op.n());
        let table = self.constant(&table, &[table.len()])?;
        self.push(Op::Fft(op), &[x, table])
    }
}

impl Fft {
    fn n(self) -> usize {
        let (Fft::Forward(n) | Fft::Inverse(n)) = self;
        n
    }

    /// Lengths of a row in and out.
    fn lengths(self) -> (usize, usize) {
        let (n, spectrum) = (self.n(), 2 * (self.n() / 2 + 1));
        if matches!(self, Fft::Forward(_)) { (n, spectrum) } else { (spectrum, n) }
    }
}

impl Rule for Fft {
    fn name(&self) -> &'static str {
        match self {
            Fft::Forward(_) => "rfft",
            Fft::Inverse(_) => "irfft",
        }
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x, _] = arity(self.name(), ins)?;
        let (from, to) = self.lengths();
        if x.last() != from || self.n() == 0 {
            return Err(mismatch(self.name(), format!("a last dimension of {from}"), x));
        }
        x.with_last(to)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.input(1)];
        Ok(vec![cx.when(0, |g| g.push(Op::FftBwd(FftBwd(*self)), &ins))?, None])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (n, (from, to)) = (self.n(), self.lengths());
        let angle = |a: usize, b: usize| core::f64::consts::TAU * ((a * b) % n) as f64 / n as f64;
        let mut y = Vec::with_capacity(out.len());
        for row in ins[0].data.chunks_exact(from) {
            y.extend((0..to).map(|i| {
                match self {
                    Fft::Forward(_) => (0..n)
                        .map(|t| {
                            row[t] * if i % 2 == 0 { libm::cos(angle(i / 2, t)) } else { -libm::sin(angle(i / 2, t)) }
                        })
                        .sum::<f64>(),
                    Fft::Inverse(_) => {
                        let term =
                            |q: usize| row[2 * q] * libm::cos(angle(q, i)) - row[2 * q + 1] * libm::sin(angle(q, i));
                        let twice = |q: usize| if q == 0 || 2 * q == n { term(q) } else { 2.0 * term(q) };
                        (0..=n / 2).map(twice).sum::<f64>() / n as f64
                    }
                }
            }));
        }
        Ok(y)
    }

    fn scratch_len(&self, _: &[Dims], _: Dims) -> usize {
        k::rfft_scratch_len(self.n())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let rows = cx.out.rows();
        match *self {
            Fft::Forward(n) => k::rfft_fwd(cx.isa, y, ins[0], ins[1], scratch, rows, n),
            Fft::Inverse(n) => k::irfft_fwd(cx.isa, y, ins[0], ins[1], scratch, rows, n),
        }
    }
}

impl Rule for FftBwd {
    fn name(&self) -> &'static str {
        "fft_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _] = arity("fft_bwd", ins)?;
        dy.with_last(self.0.lengths().0)
    }

    fn scratch_len(&self, _: &[Dims], _: Dims) -> usize {
        k::rfft_scratch_len(self.0.n())
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let rows = cx.out.rows();
        match self.0 {
            Fft::Forward(n) => k::rfft_bwd(cx.isa, dx, ins[0], ins[1], scratch, rows, n),
            Fft::Inverse(n) => k::irfft_bwd(cx.isa, dx, ins[0], ins[1], scratch, rows, n),
        }
    }
}
