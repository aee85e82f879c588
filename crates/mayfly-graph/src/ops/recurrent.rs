//! Recurrent cells over a whole sequence. The input projection `x·W_ihᵀ + b` is a plain [`super::Op::Linear`] beforehand; states start at zero unless they are an input.
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
/// `(xw [b, t, 4h], w_hh [4h, h], start [b, 2h]?) → [b, t, 6h]`: gates i, f, g, o after activation, the cell and the hidden state
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lstm;
/// `(dy [b, t, h], workspace, w_hh) → dxw [b, t, 4h]`, or `(dy, workspace, w_hh, start, dcell [b, t, h]) → [b, t·4h + 2h]`: dxw, then the gradient of the start
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LstmBwd;
/// `(xw [b, t, 3h], w_hh [3h, h], b_hn [h], start [b, h]?) → [b, t, 5h]`: gates r, z, n, then `W_hn·h + b_hn`, then the hidden state
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gru;
/// `(dy [b, t, h], workspace, w_hh) → [b, t, 4h]`: gradients of r, z, n before activation, and of `W_hn·h + b_hn`; or `(dy, workspace, w_hh, start) → [b, t·4h + h]` with the gradient of the start behind them
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

    /// As [`Graph::lstm`], from a state `[b, 2h]` (cell, then hidden state), with the state after the last step: `([b, t, h], [b, 2h])`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn lstm_from(&mut self, xw: NodeId, w_hh: NodeId, start: NodeId) -> Result<(NodeId, NodeId), GraphError> {
        let h = self.shape(w_hh)?.last();
        let workspace = self.push(Op::Lstm(Lstm), &[xw, w_hh, start])?;
        let hidden = self.slice(workspace, 2, 5 * h, h)?;
        let times = self.shape(workspace)?.dims()[1];
        let states = self.slice(workspace, 2, 4 * h, 2 * h)?;
        let last = self.slice(states, 1, times - 1, 1)?;
        let to = self.shape(start)?;
        Ok((hidden, self.reshape(last, to)?))
    }

    /// As [`Graph::gru`], from a state `[b, h]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn gru_from(&mut self, xw: NodeId, w_hh: NodeId, b_hn: NodeId, start: NodeId) -> Result<NodeId, GraphError> {
        let h = self.shape(w_hh)?.last();
        let workspace = self.push(Op::Gru(Gru), &[xw, w_hh, b_hn, start])?;
        self.slice(workspace, 2, 4 * h, h)
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

/// Checks the state from which a layer starts.
fn check_start(op: &'static str, start: Shape, xw: Shape, n: usize) -> Result<(), GraphError> {
    let fits = start.rank() == 2
        && start.last() == n
        && start.is_batched() == xw.is_batched()
        && start.dims()[0] == xw.dims()[0];
    if fits { Ok(()) } else { Err(mismatch(op, format!("a state [batch, {n}]"), start)) }
}

/// `(batch, time, hidden)` from a sequence and the recurrent weights.
fn sizes(seq: Dims, w: Dims) -> (usize, usize, usize) {
    (seq[0], seq[1], w.last())
}

/// Runs `cell(row of xw, products of w_hh with the last hidden state, last workspace row, row to fill)` over all steps. A start is the end of the row before the first.
fn unroll(
    xw: &Tensor,
    w: &Tensor,
    parts: usize,
    start: Option<&&Tensor>,
    mut cell: impl FnMut(&[f64], &[f64], &[f64], &mut [f64]),
) -> Vec<f64> {
    let (b, t, h) = sizes(xw.dims, w.dims);
    let mut out = vec![0.0; b * t * parts * h];
    let sequences = xw.data.chunks_exact(t * xw.dims.last()).zip(out.chunks_exact_mut(t * parts * h));
    for (at, (xs, ws)) in sequences.enumerate() {
        let mut last = vec![0.0; parts * h];
        if let Some(start) = start {
            let n = start.dims.last();
            last[parts * h - n..].copy_from_slice(&start.data[at * n..(at + 1) * n]);
        }
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
        let dw = cx.when(1, |g| recurrent_weight_grad(g, dxw, y, None))?;
        Ok(vec![Some(dxw), dw])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(unroll(ins[0], ins[1], 1, None, |x, p, _, row| {
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

/// `dW_hh = Σ_t d_t · h_{t−1}ᵀ`, where the hidden state before the first step is the end of `start`, if there is one.
fn recurrent_weight_grad(
    g: &mut Graph,
    gates: NodeId,
    hidden: NodeId,
    start: Option<NodeId>,
) -> Result<NodeId, GraphError> {
    let before = match start {
        None => g.push(Op::TimeShift(TimeShift), &[hidden])?,
        Some(start) => {
            let shape = g.shape(hidden)?;
            let (times, h) = (shape.dims()[1], shape.last());
            let first = g.slice(start, 1, g.shape(start)?.last() - h, h)?;
            let first = g.reshape(first, shape.with_dims(&[1, 1, h])?)?;
            match times {
                1 => first,
                _ => {
                    let rest = g.slice(hidden, 1, 0, times - 1)?;
                    g.concat(&[first, rest], 1)?
                }
            }
        }
    };
    g.push(Op::LinearBwdW(super::linear::LinearBwdW), &[gates, before])
}

/// A gradient `[b, t·n + m]` as that of the sequence `[b, t, n]` and that of the start `[b, m]`.
fn parted(g: &mut Graph, both: NodeId, sequence: Shape) -> Result<(NodeId, NodeId), GraphError> {
    let len = sequence.dims()[1] * sequence.last();
    let rest = g.shape(both)?.last() - len;
    let first = g.slice(both, 1, 0, len)?;
    Ok((g.reshape(first, sequence)?, g.slice(both, 1, len, rest)?))
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
        let (xw, w) = match *ins {
            [xw, w] => (xw, w),
            [xw, w, start] => {
                check_start("lstm", start, xw, 2 * w.last())?;
                (xw, w)
            }
            _ => return Err(GraphError::Arity { op: "lstm", want: "2 or 3", got: ins.len() }),
        };
        check("lstm", xw, w, 4, 6)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (w, ws, dws) = (cx.input(1), cx.output(), cx.dy());
        let h = cx.shape(w)?.last();
        let dy = cx.graph().slice(dws, 2, 5 * h, h)?;
        let start = (cx.input_count() > 2).then(|| cx.input(2));
        let (dxw, dstart) = match start {
            None => (cx.graph().push(Op::LstmBwd(LstmBwd), &[dy, ws, w])?, None),
            Some(start) => {
                let to = cx.shape(cx.input(0))?;
                let g = cx.graph();
                let dcell = g.slice(dws, 2, 4 * h, h)?;
                let both = g.push(Op::LstmBwd(LstmBwd), &[dy, ws, w, start, dcell])?;
                let (dxw, dstart) = parted(g, both, to)?;
                (dxw, Some(dstart))
            }
        };
        let dw = cx.when(1, |g| {
            let hidden = g.slice(ws, 2, 5 * h, h)?;
            recurrent_weight_grad(g, dxw, hidden, start)
        })?;
        Ok(vec![Some(dxw), dw, dstart])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let h = ins[1].dims.last();
        Ok(unroll(ins[0], ins[1], 6, ins.get(2), |x, p, last, row| {
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
        let start = (cx.ins.len() > 2).then_some(ins[2]);
        k::lstm_fwd(cx.isa, y, ins[0], ins[1], start, scratch, b, t, h);
    }
}

impl Rule for LstmBwd {
    fn name(&self) -> &'static str {
        "lstm_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        match *ins {
            [dy, _, w] => dy.with_last(w.dims()[0]),
            [dy, _, w, start, _] => dy.with_dims(&[1, dy.dims()[1] * w.dims()[0] + start.last()]),
            _ => Err(GraphError::Arity { op: "lstm_bwd", want: "3 or 5", got: ins.len() }),
        }
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[2]);
        k::lstm_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[2]);
        if cx.ins.len() == 3 {
            return k::lstm_bwd(cx.isa, y, ins[0], ins[1], ins[2], None, scratch, b, t, h);
        }
        // A sequence at a time: its gradients lie side by side.
        for (at, y) in y.chunks_exact_mut((4 * t + 2) * h).enumerate() {
            let (dxw, dstart) = y.split_at_mut(4 * t * h);
            let (dy, ws) = (&ins[0][at * t * h..][..t * h], &ins[1][at * 6 * t * h..][..6 * t * h]);
            let (start, dcell) = (&ins[3][at * 2 * h..][..2 * h], &ins[4][at * t * h..][..t * h]);
            let start = Some(k::StartBwd { start, dcell, dstart });
            k::lstm_bwd(cx.isa, dxw, dy, ws, ins[2], start, scratch, 1, t, h);
        }
    }
}

impl Rule for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let (xw, w, b_hn) = match *ins {
            [xw, w, b_hn] => (xw, w, b_hn),
            [xw, w, b_hn, start] => {
                check_start("gru", start, xw, w.last())?;
                (xw, w, b_hn)
            }
            _ => return Err(GraphError::Arity { op: "gru", want: "3 or 4", got: ins.len() }),
        };
        if b_hn.is_batched() || b_hn.dims() != [w.last()] {
            return Err(mismatch("gru", format!("a bias [{}]", w.last()), b_hn));
        }
        check("gru", xw, w, 3, 5)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (w, ws, dws) = (cx.input(1), cx.output(), cx.dy());
        let h = cx.shape(w)?.last();
        let start = (cx.input_count() > 3).then(|| cx.input(3));
        let sequence = cx.shape(ws)?.with_last(4 * h)?;
        let g = cx.graph();
        let dy = g.slice(dws, 2, 4 * h, h)?;
        let (gates, dstart) = match start {
            None => (g.push(Op::GruBwd(GruBwd), &[dy, ws, w])?, None),
            Some(start) => {
                let both = g.push(Op::GruBwd(GruBwd), &[dy, ws, w, start])?;
                let (gates, dstart) = parted(g, both, sequence)?;
                (gates, Some(dstart))
            }
        };
        let dxw = g.slice(gates, 2, 0, 3 * h)?;
        let dhn = g.slice(gates, 2, 3 * h, h)?;
        let dw = cx.when(1, |g| {
            let rz = g.slice(gates, 2, 0, 2 * h)?;
            let products = g.concat(&[rz, dhn], 2)?;
            let hidden = g.slice(ws, 2, 4 * h, h)?;
            recurrent_weight_grad(g, products, hidden, start)
        })?;
        let db = cx.when(2, |g| g.sum_rows(dhn))?;
        Ok(vec![Some(dxw), dw, db, dstart])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let (h, b_hn) = (ins[1].dims.last(), &ins[2].data);
        Ok(unroll(ins[0], ins[1], 5, ins.get(3), |x, p, last, row| {
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
        let start = (cx.ins.len() > 3).then_some(ins[3]);
        k::gru_fwd(cx.isa, y, ins[0], ins[1], ins[2], start, scratch, b, t, h);
    }
}

impl Rule for GruBwd {
    fn name(&self) -> &'static str {
        "gru_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        match *ins {
            [dy, _, w] => dy.with_last(4 * w.last()),
            [dy, _, w, start] => dy.with_dims(&[1, dy.dims()[1] * 4 * w.last() + start.last()]),
            _ => Err(GraphError::Arity { op: "gru_bwd", want: "3 or 4", got: ins.len() }),
        }
    }

    fn scratch_len(&self, ins: &[Dims], _: Dims) -> usize {
        let (b, _, h) = sizes(ins[0], ins[2]);
        k::gru_scratch_len(b, h)
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]) {
        let (b, t, h) = sizes(cx.ins[0], cx.ins[2]);
        if cx.ins.len() == 3 {
            return k::gru_bwd(cx.isa, y, ins[0], ins[1], ins[2], None, scratch, b, t, h);
        }
        for (at, y) in y.chunks_exact_mut((4 * t + 1) * h).enumerate() {
            let (gates, dstart) = y.split_at_mut(4 * t * h);
            let (dy, ws) = (&ins[0][at * t * h..][..t * h], &ins[1][at * 5 * t * h..][..5 * t * h]);
            let start = Some(k::StartBwd { start: &ins[3][at * h..][..h], dcell: &[], dstart });
            k::gru_bwd(cx.isa, gates, dy, ws, ins[2], start, scratch, 1, t, h);
        }
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
