//! Scaled dot-product attention over several heads (Vaswani et al. 2017); the backward pass recomputes the probabilities.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;
use mayfly_kernels::Causal;

/// `(q [b, tq, h·d], k [b, tk, h·d], v [b, tk, h·d]) → [b, tq, h·d]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Attention {
    /// Number of heads; divides the last dimension.
    pub heads: usize,
    /// Whether a position sees later ones.
    pub causal: Causal,
}
/// `(dy, q, k, v) → [b, tq + 2·tk, h·d]`: the three gradients one after another along dimension 1
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AttentionBwd(pub Attention);

impl Graph {
    /// Multi-head attention of queries `[b, tq, e]` over keys and values `[b, tk, e]`, scaled by `1/√(e/heads)`.
    ///
    /// # Errors
    /// Shapes that do not fit or heads that do not divide the width.
    pub fn attention(
        &mut self,
        q: NodeId,
        k: NodeId,
        v: NodeId,
        heads: usize,
        causal: Causal,
    ) -> Result<NodeId, GraphError> {
        self.push(Op::Attention(Attention { heads, causal }), &[q, k, v])
    }
}

/// `(batch, tq, tk, width of a head)`
fn sizes(heads: usize, q: Dims, k: Dims) -> (usize, usize, usize, usize) {
    (q[0], q[1], k[1], q[2] / heads)
}

impl Rule for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [q, k, v] = arity("attention", ins)?;
        if q.rank() != 3
            || k.rank() != 3
            || k.last() != q.last()
            || k.is_batched() != q.is_batched()
            || k.dims()[0] != q.dims()[0]
        {
            return Err(mismatch("attention", "queries and keys [batch, time, width]", k));
        }
        if v != k {
            return Err(mismatch("attention", k, v));
        }
        if self.heads == 0 || !q.last().is_multiple_of(self.heads) {
            return Err(bad_attribute(
                "attention",
                format!("{} heads do not divide a width of {}", self.heads, q.last()),
            ));
        }
        Ok(q)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let ins = [cx.dy(), cx.input(0), cx.input(1), cx.input(2)];
        let (tq, tk) = (cx.shape(ins[1])?.dims()[1], cx.shape(ins[2])?.dims()[1]);
        let all = cx.graph().push(Op::AttentionBwd(AttentionBwd(*self)), &ins)?;
        let dq = cx.when(0, |g| g.slice(all, 1, 0, tq))?;
        let dk = cx.when(1, |g| g.slice(all, 1, tq, tk))?;
        let dv = cx.when(2, |g| g.slice(all, 1, tq + tk, tk))?;
        Ok(vec![dq, dk, dv])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (b, tq, tk, d) = sizes(self.heads, ins[0].dims, ins[1].dims);
        let e = self.heads * d;
        let mut y = vec![0.0; out.len()];
        for i in 0..b * tq * self.heads {
            let (bi, qi, h) = (i / (tq * self.heads), i / self.heads % tq, i % self.heads);
            let q = &ins[0].data[(bi * tq + qi) * e + h * d..][..d];
            let seen = if self.causal == Causal::Yes { (qi + tk + 1).saturating_sub(tq) } else { tk };
            let key = |j: usize| &ins[1].data[(bi * tk + j) * e + h * d..][..d];
            let scores: Vec<f64> = (0..seen)
                .map(|j| q.iter().zip(key(j)).map(|(a, c)| a * c).sum::<f64>() / libm::sqrt(d as f64))
                .collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| libm::exp(s - max)).collect();
            let total: f64 = weights.iter().sum();
            for (j, w) in weights.iter().enumerate() {
                let v = &ins[2].data[(bi * tk + j) * e + h * d..][..d];
                let row = &mut y[(bi * tq + qi) * e + h * d..][..d];
                row.iter_mut().zip(v).for_each(|(y, v)| *y += w / total * v);
            }
        }
        Ok(y)
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (_, tq, tk, d) = sizes(self.heads, ins[0], ins[1]);
        k::attention_scratch_len(tq, tk, d)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, tq, tk, d) = sizes(self.heads, cx.ins[0], cx.ins[1]);
        k::attention_fwd(cx.isa, y, ins[0], ins[1], ins[2], scratch, b, tq, tk, self.heads, d, self.causal);
    }
}

impl Rule for AttentionBwd {
    fn name(&self) -> &'static str {
        "attention_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, q, k, _] = arity("attention_bwd", ins)?;
        q.with_dims(&[q.dims()[0], q.dims()[1] + 2 * k.dims()[1], q.last()])
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (_, tq, tk, d) = sizes(self.0.heads, ins[1], ins[2]);
        k::attention_scratch_len(tq, tk, d)
    }

    fn run(&self, cx: &RunCx<'_>, out: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, tq, tk, d) = sizes(self.0.heads, cx.ins[1], cx.ins[2]);
        let e = self.0.heads * d;
        for (i, out) in out.chunks_exact_mut((tq + 2 * tk) * e).enumerate().take(b) {
            let (dq, rest) = out.split_at_mut(tq * e);
            let (dk, dv) = rest.split_at_mut(tk * e);
            let row = |x: usize, t: usize| &ins[x][i * t * e..(i + 1) * t * e];
            let (dy, q, kk, v) = (row(0, tq), row(1, tq), row(2, tk), row(3, tk));
            k::attention_bwd(cx.isa, dq, dk, dv, dy, q, kk, v, scratch, 1, tq, tk, self.0.heads, d, self.0.causal);
        }
    }
}
