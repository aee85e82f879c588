//! Batch norm (Ioffe & Szegedy 2015) over `[batch, c]`, `[batch, c, t]` or `[batch, c, h, w]`: channels are dimension 1.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::ir::Role;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `x → [2, c]`: each channel's mean, then its biased variance, over the batch
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchStats;
/// `(x, gamma [c], beta [c], stats [2, c]) → x's shape`. The gradient takes the statistics for functions of x where they are the batch's own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Where the statistics come from.
    pub stats: Stats,
}
/// Which statistics normalise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stats {
    /// This batch's own (training).
    Batch,
    /// Running ones (inference, or a frozen layer).
    Running,
}
/// `(dy, x, gamma, stats) → dx`, through the statistics
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchNormBwdX(pub f32);
/// `(dy, x, stats) → dgamma`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchNormBwdGamma(pub f32);
/// `dy → dbeta`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchNormBwdBeta;

impl Graph {
    /// Batch norm with given statistics `[2, c]` (mean, then biased variance): what a trained network runs.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn batch_norm(
        &mut self,
        x: NodeId,
        gamma: NodeId,
        beta: NodeId,
        stats: NodeId,
        eps: f32,
    ) -> Result<NodeId, GraphError> {
        self.push(Op::BatchNorm(BatchNorm { eps, stats: Stats::Running }), &[x, gamma, beta, stats])
    }

    /// Batch norm with the batch's own statistics, which the parameter `running [2, c]` follows.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn batch_norm_training(
        &mut self,
        x: NodeId,
        gamma: NodeId,
        beta: NodeId,
        running: NodeId,
        eps: f32,
    ) -> Result<NodeId, GraphError> {
        let stats = self.push(Op::BatchStats(BatchStats), &[x])?;
        debug_assert!(!matches!(self.node(running)?.op, Op::Param(id, _) if self.params()[id.0].role == Role::Weight));
        self.follow(running, stats)?;
        self.push(Op::BatchNorm(BatchNorm { eps, stats: Stats::Batch }), &[x, gamma, beta, stats])
    }
}

/// Sums `x [batch, channels, inner]` to one value a channel.
pub(super) fn channel_sums(isa: k::Isa, y: &mut [f32], x: &[f32], (b, c, inner): (usize, usize, usize)) {
    if inner == 1 {
        return k::reduce_fwd(isa, k::ReduceKind::Sum, y, x, 1, b, c);
    }
    y.fill(0.0);
    for image in x.chunks_exact(c * inner) {
        for (sum, plane) in y.iter_mut().zip(image.chunks_exact(inner)) {
            *sum += k::sum(isa, plane);
        }
    }
}

/// `(batch, channels, inner)`
fn split(x: Dims) -> (usize, usize, usize) {
    x.around(1)
}

impl Rule for BatchStats {
    fn name(&self) -> &'static str {
        "batch_stats"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("batch_stats", ins)?;
        if x.rank() < 2 {
            Err(mismatch("batch_stats", "[batch, channels, ..]", x))
        } else {
            Shape::fixed(&[2, x.dims()[1]])
        }
    }

    fn grad(&self, _: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        Ok(vec![None]) // BatchNormBwdX goes through the statistics itself
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let (b, c, inner) = split(ins[0].dims);
        let channel =
            |ch: usize| ins[0].data.iter().enumerate().filter(move |(i, _)| i / inner % c == ch).map(|(_, v)| *v);
        let n = (b * inner) as f64;
        let means: Vec<f64> = (0..c).map(|ch| channel(ch).sum::<f64>() / n).collect();
        let vars = (0..c).map(|ch| channel(ch).map(|v| (v - means[ch]) * (v - means[ch])).sum::<f64>() / n);
        Ok(means.iter().copied().chain(vars).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (b, c, inner) = split(cx.ins[0]);
        let (mean, var) = y.split_at_mut(c);
        k::batch_norm_stats(cx.isa, mean, var, ins[0], b, c, inner);
    }
}

impl Rule for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x, gamma, beta, stats] = arity("batch_norm", ins)?;
        if x.rank() < 2 {
            return Err(mismatch("batch_norm", "[batch, channels, ..]", x));
        }
        let c = x.dims()[1];
        for (got, want) in [(gamma, vec![c]), (beta, vec![c]), (stats, vec![2, c])] {
            if got.is_batched() || got.dims() != want {
                return Err(mismatch("batch_norm", format!("{want:?}"), got));
            }
        }
        Ok(x)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (x, gamma, stats, dy) = (cx.input(0), cx.input(1), cx.input(3), cx.dy());
        let dx = match self.stats {
            Stats::Batch => {
                cx.when(0, |g| g.push(Op::BatchNormBwdX(BatchNormBwdX(self.eps)), &[dy, x, gamma, stats]))?
            }
            Stats::Running => cx.when(0, |g| scaled_alike(g, *self, dy, gamma, stats))?,
        };
        let dgamma = cx.when(1, |g| g.push(Op::BatchNormBwdGamma(BatchNormBwdGamma(self.eps)), &[dy, x, stats]))?;
        let dbeta = cx.when(2, |g| g.push(Op::BatchNormBwdBeta(BatchNormBwdBeta), &[dy]))?;
        Ok(vec![dx, dgamma, dbeta, None])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let (_, c, inner) = split(ins[0].dims);
        let (gamma, beta, stats) = (&ins[1].data, &ins[2].data, &ins[3].data);
        let one = |(i, v): (usize, &f64)| {
            let ch = i / inner % c;
            (v - stats[ch]) / libm::sqrt(stats[c + ch] + f64::from(self.eps)) * gamma[ch] + beta[ch]
        };
        Ok(ins[0].data.iter().enumerate().map(one).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (b, c, inner) = split(cx.out);
        let (mean, var) = ins[3].split_at(c);
        k::batch_norm_fwd(cx.isa, y, ins[0], ins[1], ins[2], mean, var, self.eps, b, c, inner);
    }
}

/// Statistics that do not depend on x only scale: the gradient is the norm itself of dy, with a mean and a beta of 0.
fn scaled_alike(
    g: &mut Graph,
    norm: BatchNorm,
    dy: NodeId,
    gamma: NodeId,
    stats: NodeId,
) -> Result<NodeId, GraphError> {
    let c = g.shape(gamma)?.row_len();
    let beta = g.constant(&vec![0.0; c], &[c])?;
    let no_mean: Vec<f32> = (0..2 * c).map(|i| if i < c { 0.0 } else { 1.0 }).collect();
    let no_mean = g.constant(&no_mean, &[2, c])?;
    let stats = g.mul(stats, no_mean)?;
    g.push(Op::BatchNorm(norm), &[dy, gamma, beta, stats])
}

impl Rule for BatchNormBwdX {
    fn name(&self) -> &'static str {
        "batch_norm_bwd_x"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _, _, _] = arity("batch_norm_bwd_x", ins)?;
        Ok(dy)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (b, c, inner) = split(cx.out);
        let (mean, var) = ins[3].split_at(c);
        k::batch_norm_bwd_x(cx.isa, y, ins[0], ins[1], ins[2], mean, var, self.0, b, c, inner);
    }
}

impl Rule for BatchNormBwdGamma {
    fn name(&self) -> &'static str {
        "batch_norm_bwd_gamma"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x, _] = arity("batch_norm_bwd_gamma", ins)?;
        Shape::fixed(&[x.dims()[1]])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (b, c, inner) = split(cx.ins[1]);
        let (mean, var) = ins[2].split_at(c);
        k::batch_norm_bwd_gamma(cx.isa, y, ins[0], ins[1], mean, var, self.0, b, c, inner);
    }
}

impl Rule for BatchNormBwdBeta {
    fn name(&self) -> &'static str {
        "batch_norm_bwd_beta"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy] = arity("batch_norm_bwd_beta", ins)?;
        Shape::fixed(&[dy.dims()[1]])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (b, c, inner) = split(cx.ins[0]);
        channel_sums(cx.isa, y, ins[0], (b, c, inner));
    }
}
