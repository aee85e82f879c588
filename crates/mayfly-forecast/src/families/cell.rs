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
        let Projected { xw, w_hh, b_hn } = self.projected(cx, name, units, has_bias, x)?;
        match self {
            Cell::Rnn(act) => cx.rnn(xw, w_hh, act),
            Cell::Lstm => cx.lstm(xw, w_hh),
            Cell::Gru => cx.gru(xw, w_hh, b_hn),
        }
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
    let times = cx.cx.dims(y)?.first().copied().unwrap_or(1);
    let last = cx.rows_of(y, times - 1, 1)?;
    Ok((y, cx.reshape(last, &[units])?))
}
