//! Layer norm (Ba et al. 2016) and RMS norm (Zhang & Sennrich 2019) over the last dimension.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, mismatch};
use crate::grad::GradCx;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `(x [.., n], gamma [n], beta [n]) → [.., n]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LayerNorm(pub f32);
/// `(dy, x, gamma) → dx`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LayerNormBwdX(pub f32);
/// `(dy, x) → dgamma`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LayerNormBwdGamma(pub f32);
/// `(x [.., n], gamma [n]) → [.., n]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RmsNorm(pub f32);
/// `(dy, x, gamma) → dx`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RmsNormBwdX(pub f32);
/// `(dy, x) → dgamma`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RmsNormBwdGamma(pub f32);

impl Graph {
    /// `(x − mean) / √(var + eps) · gamma + beta` over the last dimension.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn layer_norm(&mut self, x: NodeId, gamma: NodeId, beta: NodeId, eps: f32) -> Result<NodeId, GraphError> {
        self.push(Op::LayerNorm(LayerNorm(eps)), &[x, gamma, beta])
    }

    /// `x / √(mean(x²) + eps) · gamma` over the last dimension.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn rms_norm(&mut self, x: NodeId, gamma: NodeId, eps: f32) -> Result<NodeId, GraphError> {
        self.push(Op::RmsNorm(RmsNorm(eps)), &[x, gamma])
    }
}

fn check(op: &'static str, x: Shape, vectors: &[Shape]) -> Result<Shape, GraphError> {
    let want = [x.last()];
    match vectors.iter().find(|v| v.is_batched() || v.dims() != want) {
        Some(v) => Err(mismatch(op, format!("{want:?}"), *v)),
        None if x.rank() == 0 => Err(mismatch(op, "at least one dimension", x)),
        None => Ok(x),
    }
}

/// Normalises each row of n: centred or not.
fn normalise(x: &Tensor, eps: f32, centre: fn(&[f64]) -> f64, gamma: &[f64], beta: Option<&[f64]>) -> Vec<f64> {
    let n = x.dims.last();
    let mut y = Vec::with_capacity(x.data.len());
    for row in x.data.chunks_exact(n) {
        let m = centre(row);
        let var = row.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / n as f64;
        let scale = 1.0 / libm::sqrt(var + f64::from(eps));
        y.extend(row.iter().enumerate().map(|(i, v)| (v - m) * scale * gamma[i] + beta.map_or(0.0, |b| b[i])));
    }
    y
}

impl Rule for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x, gamma, beta] = arity("layer_norm", ins)?;
        check("layer_norm", x, &[gamma, beta])
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (x, gamma, dy) = (cx.input(0), cx.input(1), cx.dy());
        let dx = cx.when(0, |g| g.push(Op::LayerNormBwdX(LayerNormBwdX(self.0)), &[dy, x, gamma]))?;
        let dgamma = cx.when(1, |g| g.push(Op::LayerNormBwdGamma(LayerNormBwdGamma(self.0)), &[dy, x]))?;
        let dbeta = cx.when(2, |g| g.sum_rows(dy))?;
        Ok(vec![dx, dgamma, dbeta])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(normalise(ins[0], self.0, |r| r.iter().sum::<f64>() / r.len() as f64, &ins[1].data, Some(&ins[2].data)))
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::layer_norm_fwd(cx.isa, y, ins[0], ins[1], ins[2], self.0, cx.out.rows(), cx.out.last());
    }
}

impl Rule for LayerNormBwdX {
    fn name(&self) -> &'static str {
        "layer_norm_bwd_x"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x, _] = arity("layer_norm_bwd_x", ins)?;
        Ok(x)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::layer_norm_bwd_x(cx.isa, y, ins[0], ins[1], ins[2], self.0, cx.out.rows(), cx.out.last());
    }
}

impl Rule for LayerNormBwdGamma {
    fn name(&self) -> &'static str {
        "layer_norm_bwd_gamma"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x] = arity("layer_norm_bwd_gamma", ins)?;
        Shape::fixed(&[x.last()])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::layer_norm_bwd_gamma(cx.isa, y, ins[0], ins[1], self.0, cx.ins[1].rows(), cx.ins[1].last());
    }
}

impl Rule for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x, gamma] = arity("rms_norm", ins)?;
        check("rms_norm", x, &[gamma])
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (x, gamma, dy) = (cx.input(0), cx.input(1), cx.dy());
        let dx = cx.when(0, |g| g.push(Op::RmsNormBwdX(RmsNormBwdX(self.0)), &[dy, x, gamma]))?;
        let dgamma = cx.when(1, |g| g.push(Op::RmsNormBwdGamma(RmsNormBwdGamma(self.0)), &[dy, x]))?;
        Ok(vec![dx, dgamma])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(normalise(ins[0], self.0, |_| 0.0, &ins[1].data, None))
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::rms_norm_fwd(cx.isa, y, ins[0], ins[1], self.0, cx.out.rows(), cx.out.last());
    }
}

impl Rule for RmsNormBwdX {
    fn name(&self) -> &'static str {
        "rms_norm_bwd_x"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x, _] = arity("rms_norm_bwd_x", ins)?;
        Ok(x)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::rms_norm_bwd_x(cx.isa, y, ins[0], ins[1], ins[2], self.0, cx.out.rows(), cx.out.last());
    }
}

impl Rule for RmsNormBwdGamma {
    fn name(&self) -> &'static str {
        "rms_norm_bwd_gamma"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [_, x] = arity("rms_norm_bwd_gamma", ins)?;
        Shape::fixed(&[x.last()])
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        k::rms_norm_bwd_gamma(cx.isa, y, ins[0], ins[1], self.0, cx.ins[1].rows(), cx.ins[1].last());
    }
}
