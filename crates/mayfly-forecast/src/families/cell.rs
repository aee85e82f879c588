//! Recurrent layers with torch's parameters.
use super::cx::ForecastCx;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::{Act, Init};

/// A cell that the graph has as one operation over all steps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Cell {
    /// Elman's, with what follows its sum.
    Rnn(Act),
    Lstm,
    Gru,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Rnn(_) => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }

    /// One layer over all steps, from zero: `[batch, time, inputs] → [batch, time, units]`. `name` gives the names of `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`.
    pub(super) fn layer(
        self,
        cx: &mut ForecastCx<'_, '_>,
        name: &dyn Fn(&str) -> String,
        units: usize,
        has_bias: bool,
        x: NodeId,
    ) -> mayfly_nn::Result<NodeId> {
        let projected = self.projected(cx, name, units, has_bias, x)?;
        if cx.is_stepwise() {
            return self.stepwise(cx, projected, units);
        }
        let Projected { xw, w_hh, b_hn } = projected;
        match self {
            Cell::Rnn(act) => cx.rnn(xw, w_hh, act),
            Cell::Lstm => cx.lstm(xw, w_hh),
            Cell::Gru => cx.gru(xw, w_hh, b_hn),
        }
    }

    /// Values of a layer's state.
    pub(super) fn state(self, units: usize) -> usize {
        if self == Cell::Lstm { 2 * units } else { units }
    }

    /// The layer from the state of before, whose last state is kept.
    fn stepwise(
        self,
        cx: &mut ForecastCx<'_, '_>,
        Projected { xw, w_hh, b_hn }: Projected,
        units: usize,
    ) -> mayfly_nn::Result<NodeId> {
        let start = cx.state(self.state(units))?;
        let (y, last) = match self {
            Cell::Lstm => cx.cx.graph().lstm_from(xw, w_hh, start)?,
            Cell::Gru => {
                let y = cx.cx.graph().gru_from(xw, w_hh, b_hn, start)?;
                (y, last_step(cx, y, units)?)
            }
            Cell::Rnn(act) => {
                // The state of before counts in the first sum alone.
                let more = cx.linear(start, w_hh, None)?;
                let more = cx.reshape(more, &[1, units])?;
                let times = cx.cx.dims(xw)?.first().copied().unwrap_or(1);
                let more = if times > 1 { cx.padded_behind(more, times - 1)? } else { more };
                let xw = cx.binary(Binary::Add, xw, more)?;
                let y = cx.rnn(xw, w_hh, act)?;
                (y, last_step(cx, y, units)?)
            }
        };
        cx.keep(last);
        Ok(y)
    }

    /// The inputs of all steps as the cell adds them up, and what else it needs.
    fn projected(
        self,
        cx: &mut ForecastCx<'_, '_>,
        name: &dyn Fn(&str) -> String,
        units: usize,
        has_bias: bool,
        x: NodeId,
    ) -> mayfly_nn::Result<Projected> {
        let (inputs, rows) = (cx.width(x)?, self.gates() * units);
        let limit = 1.0 / (units.max(1) as f32).sqrt();
        let init = || Init::Uniform { min: -limit, max: limit };
        let w_ih = cx.weight(&name("weight_ih"), &[rows, inputs], init())?;
        let w_hh = cx.weight(&name("weight_hh"), &[rows, units], init())?;
        let biases = match has_bias {
            true => Some((cx.bias(&name("bias_ih"), rows, init())?, cx.bias(&name("bias_hh"), rows, init())?)),
            false => None,
        };
        let mut xw = cx.linear(x, w_ih, biases.map(|(b_ih, _)| b_ih))?;
        // Of GRU's second bias the last part stands inside, behind the reset gate.
        let outside = if self == Cell::Gru { 2 * units } else { rows };
        if let Some((_, b_hh)) = biases {
            let mask: Vec<f32> = (0..rows).map(|i| f32::from(u8::from(i < outside))).collect();
            let kept = cx.scaled(b_hh, &mask)?;
            xw = cx.binary(Binary::Add, xw, kept)?;
        }
        let b_hn = match biases {
            Some((_, b_hh)) if outside < rows => cx.part_of_param(b_hh, outside, units)?,
            _ => cx.constant(&vec![0.0; units])?,
        };
        Ok(Projected { xw, w_hh, b_hn })
    }
}

/// What a layer's operation reads.
struct Projected {
    xw: NodeId,
    w_hh: NodeId,
    /// Behind the reset gate, which GRU alone has.
    b_hn: NodeId,
}

/// A layer of long short-term memory from a state `[batch, 2 · units]`, the cell first: all steps, and the last state.
pub(super) fn lstm_from(
    cx: &mut ForecastCx<'_, '_>,
    name: &dyn Fn(&str) -> String,
    units: usize,
    x: NodeId,
    start: NodeId,
) -> mayfly_nn::Result<(NodeId, NodeId)> {
    let Projected { xw, w_hh, .. } = Cell::Lstm.projected(cx, name, units, true, x)?;
    Ok(cx.cx.graph().lstm_from(xw, w_hh, start)?)
}

/// The same of gated recurrent units, from a state `[batch, units]`.
pub(super) fn gru_from(
    cx: &mut ForecastCx<'_, '_>,
    name: &dyn Fn(&str) -> String,
    units: usize,
    x: NodeId,
    start: NodeId,
) -> mayfly_nn::Result<(NodeId, NodeId)> {
    let Projected { xw, w_hh, b_hn } = Cell::Gru.projected(cx, name, units, true, x)?;
    let y = cx.cx.graph().gru_from(xw, w_hh, b_hn, start)?;
    Ok((y, last_step(cx, y, units)?))
}

/// The last step of a sequence: `[batch, time, units] → [batch, units]`.
fn last_step(cx: &mut ForecastCx<'_, '_>, y: NodeId, units: usize) -> mayfly_nn::Result<NodeId> {
    let times = cx.cx.dims(y)?.first().copied().unwrap_or(1);
    let last = cx.rows_of(y, times.saturating_sub(1), 1)?;
    cx.reshape(last, &[units])
}

/// A layer of long short-term memory whose hidden state is brought to fewer values in every step (torch's `proj_size`; Sak et al. 2014): `[batch, time, inputs] → [batch, time, outputs]`.
pub(super) fn lstm_projected(
    cx: &mut ForecastCx<'_, '_>,
    name: &dyn Fn(&str) -> String,
    [units, outputs]: [usize; 2],
    has_bias: bool,
    x: NodeId,
) -> mayfly_nn::Result<NodeId> {
    let inputs = cx.width(x)?;
    let limit = 1.0 / (units.max(1) as f32).sqrt();
    let init = || Init::Uniform { min: -limit, max: limit };
    let w_ih = cx.weight(&name("weight_ih"), &[4 * units, inputs], init())?;
    let w_hh = cx.weight(&name("weight_hh"), &[4 * units, outputs], init())?;
    let w_hr = cx.weight(&name("weight_hr"), &[outputs, units], init())?;
    let mut xw = cx.linear(x, w_ih, None)?;
    if has_bias {
        for bias in ["bias_ih", "bias_hh"] {
            let bias = cx.bias(&name(bias), 4 * units, init())?;
            xw = cx.binary(Binary::Add, xw, bias)?;
        }
    }
    let (mut memory, mut hidden) = (cx.state(units)?, cx.state(outputs)?);
    let mut steps = Vec::new();
    for t in 0..cx.cx.dims(x)?.first().copied().unwrap_or(0) {
        let own = cx.rows_of(xw, t, 1)?;
        let own = cx.reshape(own, &[4 * units])?;
        let more = cx.linear(hidden, w_hh, None)?;
        let gates = cx.binary(Binary::Add, own, more)?;
        let [input, forget, candidate, output] = [
            cx.part(gates, 0, units)?,
            cx.part(gates, units, units)?,
            cx.part(gates, 2 * units, units)?,
            cx.part(gates, 3 * units, units)?,
        ];
        memory = remembered(cx, [input, forget, candidate], memory)?;
        let (output, shown) = (cx.act(output, Act::Sigmoid)?, cx.act(memory, Act::Tanh)?);
        let shown = cx.binary(Binary::Mul, output, shown)?;
        hidden = cx.linear(shown, w_hr, None)?;
        steps.push(cx.reshape(hidden, &[1, outputs])?);
    }
    cx.keep(memory);
    cx.keep(hidden);
    cx.joined(&steps, 1)
}

/// Memory that forgets some and takes some: `forget · memory + input · candidate`, gates before their sigmoids.
pub(super) fn remembered(
    cx: &mut ForecastCx<'_, '_>,
    [input, forget, candidate]: [NodeId; 3],
    memory: NodeId,
) -> mayfly_nn::Result<NodeId> {
    let [input, forget] = [cx.act(input, Act::Sigmoid)?, cx.act(forget, Act::Sigmoid)?];
    let candidate = cx.act(candidate, Act::Tanh)?;
    let kept = cx.binary(Binary::Mul, forget, memory)?;
    let taken = cx.binary(Binary::Mul, input, candidate)?;
    cx.binary(Binary::Add, kept, taken)
}
