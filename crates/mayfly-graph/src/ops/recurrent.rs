//! Recurrent cells over a whole sequence. The input projection `x·W_ihᵀ + b` is a plain [`super::Op::Linear`] beforehand; the hidden state starts at zero.
//!
//! LSTM and GRU leave a workspace whose last part is the hidden state; [`crate::Graph::lstm`] and [`crate::Graph::gru`] slice it out.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute, mismatch};
use crate::grad::GradCx;
use crate::{Act, Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// `(xw [b, t, h], w_hh [h, h]) → [b, t, h]`: `h_t = act(xw_t + W_hh·h_{t−1})`, act tanh or relu
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rnn(pub Act);
/// `(dy, y, w_hh) → dxw`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RnnBwd(pub Act);
/// `(xw [b, t, 4h], w_hh [4h, h]) → [b, t, 6h]`: gates i, f, g, o after activation, the cell and the hidden state
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lstm;
/// `(dy [b, t, h], workspace, w_hh) → dxw [b, t, 4h]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LstmBwd;
/// `(xw [b, t, 3h], w_hh [3h, h], b_hn [h]) → [b, t, 5h]`: gates r, z, n, then `W_hn·h + b_hn`, then the hidden state
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gru;
/// `(dy [b, t, h], workspace, w_hh) → [b, t, 4h]`: gradients of r, z, n before activation, and of `W_hn·h + b_hn`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GruBwd;
/// `x [b, t, n] →` the same one step later, the first step zero (backward graphs only)
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TimeShift;

impl Graph {
    /// A simple recurrent layer (Elman 1990) over `xw [b, t, h]`; `act` is tanh or relu.
    ///
    /// # Errors
    /// Shapes that do not fit or another activation.
    pub fn rnn(&mut self, xw: NodeId, w_hh: NodeId, act: Act) -> Result<NodeId, GraphError> {
        self.push(Op::Rnn(Rnn(act)), &[xw, w_hh])
    }

    /// A long short-term memory layer (Hochreiter & Schmidhuber 1997; gate order i, f, g, o as in PyTorch) over `xw [b, t, 4h]`; returns the hidden states `[b, t, h]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn lstm(&mut self, xw: NodeId, w_hh: NodeId) -> Result<NodeId, GraphError> {
        let h = self.shape(w_hh)?.last();
        let workspace = self.push(Op::Lstm(Lstm), &[xw, w_hh])?;
        self.slice(workspace, 2, 5 * h, h)
    }

    /// A gated recurrent unit (Cho et al. 2014; order r, z, n and the reset gate after the product, as in PyTorch) over `xw [b, t, 3h]`; returns `[b, t, h]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn gru(&mut self, xw: NodeId, w_hh: NodeId, b_hn: NodeId) -> Result<NodeId, GraphError> {
        let h = self.shape(w_hh)?.last();
        let workspace = self.push(Op::Gru(Gru), &[xw, w_hh, b_hn])?;
        self.slice(workspace, 2, 4 * h, h)
    }
}

/// Checks `xw [b, t, gates·h]` against `w_hh [gates·h, h]` and returns the workspace's shape.
fn check(op: &'static str, xw: Shape, w: Shape, gates: usize, parts: usize) -> Result<Shape, GraphError> {
    if w.rank() != 2 || w.is_batched() || w.dims()[0] != gates * w.last() {
        return Err(mismatch(op, format!("recurrent weights [{gates}·h, h]"), w));
    }
    if xw.rank() != 3 || xw.last() != gates * w.last() {
        return Err(mismatch(op, format!("[batch, time, {}]", gates * w.last()), xw));
    }
    xw.with_last(parts * w.last())
}

/// `(batch, time, hidden)` from a sequence and the recurrent weights.
fn sizes(seq: Dims, w: Dims) -> (usize, usize, usize) {
    (seq[0], seq[1], w.last())
}

/// Runs `cell(row of xw, products of w_hh with the last hidden state, last workspace row, row to fill)` over all steps.
fn unroll(xw: &Tensor, w: &Tensor, parts: usize, mut cell: impl FnMut(&[f64], &[f64], &[f64], &mut [f64])) -> Vec<f64> {
    let (b, t, h) = sizes(xw.dims, w.dims);
    let mut out = vec![0.0; b * t * parts * h];
    for (xs, ws) in xw.data.chunks_exact(t * xw.dims.last()).zip(out.chunks_exact_mut(t * parts * h)) {
        let mut last = vec![0.0; parts * h];
        for (x, row) in xs.chunks_exact(xw.dims.last()).zip(ws.chunks_exact_mut(parts * h)) {
            let hidden = &last[(parts - 1) * h..];
            let products: Vec<f64> =
                w.data.chunks_exact(h).map(|r| r.iter().zip(hidden).map(|(a, b)| a * b).sum()).collect();
            cell(x, &products, &last, row);
            last.copy_from_slice(row);
        }
    }
    out
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

impl Rule for Rnn {
    fn name(&self) -> &'static str {
        "rnn"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        if !matches!(self.0, Act::Tanh | Act::Relu) {
            return Err(bad_attribute("rnn", format!("the activation {:?}; tanh or relu are possible", self.0)));
        }
        let [xw, w] = arity("rnn", ins)?;
        check("rnn", xw, w, 1, 1)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (w, y, dy) = (cx.input(1), cx.output(), cx.dy());
        let dxw = cx.graph().push(Op::RnnBwd(RnnBwd(self.0)), &[dy, y, w])?;
        let dw = cx.when(1, |g| recurrent_weight_grad(g, dxw, y))?;
        Ok(vec![Some(dxw), dw])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(unroll(ins[0], ins[1], 1, |x, p, _, row| {
            for (j, y) in row.iter_mut().enumerate() {
                *y = k::reference::act(self.0, x[j] + p[j]);
            }
        }))
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[1]);
        k::rnn_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[1]);
        k::rnn_fwd(cx.isa, y, ins[0], ins[1], self.0, scratch, b, t, h);
    }
}

/// `dW_hh = Σ_t d_t · h_{t−1}ᵀ`
fn recurrent_weight_grad(g: &mut Graph, gates: NodeId, hidden: NodeId) -> Result<NodeId, GraphError> {
    let before = g.push(Op::TimeShift(TimeShift), &[hidden])?;
    g.push(Op::LinearBwdW(super::linear::LinearBwdW), &[gates, before])
}

impl Rule for RnnBwd {
    fn name(&self) -> &'static str {
        "rnn_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _, _] = arity("rnn_bwd", ins)?;
        Ok(dy)
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[2]);
        k::rnn_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[2]);
        k::rnn_bwd(cx.isa, y, ins[0], ins[1], ins[2], self.0, scratch, b, t, h);
    }
}

impl Rule for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [xw, w] = arity("lstm", ins)?;
        check("lstm", xw, w, 4, 6)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (w, ws, dws) = (cx.input(1), cx.output(), cx.dy());
        let h = cx.shape(w)?.last();
        let dy = cx.graph().slice(dws, 2, 5 * h, h)?;
        let dxw = cx.graph().push(Op::LstmBwd(LstmBwd), &[dy, ws, w])?;
        let dw = cx.when(1, |g| {
            let hidden = g.slice(ws, 2, 5 * h, h)?;
            recurrent_weight_grad(g, dxw, hidden)
        })?;
        Ok(vec![Some(dxw), dw])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let h = ins[1].dims.last();
        Ok(unroll(ins[0], ins[1], 6, |x, p, last, row| {
            for j in 0..h {
                let z = |gate: usize| x[gate * h + j] + p[gate * h + j];
                let (i, fg, g, o) = (sigmoid(z(0)), sigmoid(z(1)), k::reference::act(Act::Tanh, z(2)), sigmoid(z(3)));
                let c = fg * last[4 * h + j] + i * g;
                let values = [i, fg, g, o, c, o * k::reference::act(Act::Tanh, c)];
                values.iter().enumerate().for_each(|(part, v)| row[part * h + j] = *v);
            }
        }))
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[1]);
        k::lstm_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[1]);
        k::lstm_fwd(cx.isa, y, ins[0], ins[1], scratch, b, t, h);
    }
}

impl Rule for LstmBwd {
    fn name(&self) -> &'static str {
        "lstm_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _, w] = arity("lstm_bwd", ins)?;
        dy.with_last(w.dims()[0])
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[2]);
        k::lstm_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[2]);
        k::lstm_bwd(cx.isa, y, ins[0], ins[1], ins[2], scratch, b, t, h);
    }
}

impl Rule for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [xw, w, b_hn] = arity("gru", ins)?;
        if b_hn.is_batched() || b_hn.dims() != [w.last()] {
            return Err(mismatch("gru", format!("a bias [{}]", w.last()), b_hn));
        }
        check("gru", xw, w, 3, 5)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (w, ws, dws) = (cx.input(1), cx.output(), cx.dy());
        let h = cx.shape(w)?.last();
        let g = cx.graph();
        let dy = g.slice(dws, 2, 4 * h, h)?;
        let gates = g.push(Op::GruBwd(GruBwd), &[dy, ws, w])?;
        let dxw = g.slice(gates, 2, 0, 3 * h)?;
        let dhn = g.slice(gates, 2, 3 * h, h)?;
        let dw = cx.when(1, |g| {
            let rz = g.slice(gates, 2, 0, 2 * h)?;
            let products = g.concat(&[rz, dhn], 2)?;
            let hidden = g.slice(ws, 2, 4 * h, h)?;
            recurrent_weight_grad(g, products, hidden)
        })?;
        let db = cx.when(2, |g| g.sum_rows(dhn))?;
        Ok(vec![Some(dxw), dw, db])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let (h, b_hn) = (ins[1].dims.last(), &ins[2].data);
        Ok(unroll(ins[0], ins[1], 5, |x, p, last, row| {
            for j in 0..h {
                let (r, z) = (sigmoid(x[j] + p[j]), sigmoid(x[h + j] + p[h + j]));
                let hn = p[2 * h + j] + b_hn[j];
                let n = k::reference::act(Act::Tanh, x[2 * h + j] + r * hn);
                let values = [r, z, n, hn, (1.0 - z) * n + z * last[4 * h + j]];
                values.iter().enumerate().for_each(|(part, v)| row[part * h + j] = *v);
            }
        }))
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[1]);
        k::gru_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[1]);
        k::gru_fwd(cx.isa, y, ins[0], ins[1], ins[2], scratch, b, t, h);
    }
}

impl Rule for GruBwd {
    fn name(&self) -> &'static str {
        "gru_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy, _, w] = arity("gru_bwd", ins)?;
        dy.with_last(4 * w.last())
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[2]);
        k::gru_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[2]);
        k::gru_bwd(cx.isa, y, ins[0], ins[1], ins[2], scratch, b, t, h);
    }
}

impl Rule for TimeShift {
    fn name(&self) -> &'static str {
        "time_shift"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("time_shift", ins)?;
        Ok(x)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (t, n) = (cx.out[1], cx.out[2]);
        for (y, x) in y.chunks_exact_mut(t * n).zip(ins[0].chunks_exact(t * n)) {
            y[..n].fill(0.0);
            y[n..].copy_from_slice(&x[..(t - 1) * n]);
        }
    }
}
