//! DilatedRNN: layers of recurrent cells that look back 1, 2, 4, 8 … steps (Chang et al. 2017).
use super::block::{Activation, check_counts};
use super::cell::{Cell, remembered};
use super::cx::{Dense, ForecastCx};
use super::decoder::Decoder;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::{Act, Init};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The cell of all layers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum DilatedCell {
    /// Long short-term memory (Hochreiter & Schmidhuber 1997).
    #[default]
    LSTM,
    /// Gated recurrent units (Cho et al. 2014).
    GRU,
    /// Elman's (1990).
    RNN,
    /// LSTM with a way around the cell for its input (Kim et al. 2017).
    ResLSTM,
    /// LSTM whose input at each step is what attention over all steps makes of them (Qin et al. 2017).
    AttentiveLSTM,
}

/// DilatedRNN's own settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DilatedRnn {
    /// The cell of all layers.
    pub cell_type: DilatedCell,
    /// How far each layer looks back, by groups; from the second on, a group's input is added to its output.
    pub dilations: Vec<Vec<usize>>,
    /// Units of each layer.
    pub encoder_hidden_size: usize,
    /// Units of the decoder's hidden layers.
    pub decoder_hidden_size: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// What follows a hidden layer of the decoder.
    pub decoder_activation: Activation,
}

impl Default for DilatedRnn {
    fn default() -> Self {
        DilatedRnn {
            cell_type: DilatedCell::LSTM,
            dilations: vec![vec![1, 2], vec![4, 8]],
            encoder_hidden_size: 128,
            decoder_hidden_size: 128,
            decoder_layers: 2,
            decoder_activation: Activation::ReLU,
        }
    }
}

impl Build for DilatedRnn {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let mut x = cx.past_columns()?;
        for (g, group) in self.dilations.iter().enumerate() {
            let before = x;
            for (i, dilation) in group.iter().enumerate() {
                x = self.dilated(cx, &format!("rnn_stack.{g}.cells.{i}"), x, *dilation)?;
            }
            if g > 0 {
                x = cx.binary(Binary::Add, x, before)?;
            }
        }
        let by_unit = cx.transposed(x)?;
        let ahead = cx.dense("context_adapter", by_unit, cx.h)?;
        let states = cx.transposed(ahead)?;
        let decoder = Decoder {
            hidden: self.decoder_hidden_size,
            layers: self.decoder_layers,
            activation: self.decoder_activation,
            dropout: 0.0,
        };
        decoder.build(cx, states)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        let dilations = self.dilations.iter().flatten();
        if self.dilations.is_empty() || self.dilations.iter().any(Vec::is_empty) || dilations.clone().any(|d| *d == 0) {
            let want = "groups of numbers above 0 are needed, such as [[1, 2], [4, 8]]";
            return Err(ForecastError::option("dilations", format!("{:?}", self.dilations), want));
        }
        check_counts(&[
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("decoder_hidden_size", self.decoder_hidden_size),
            ("decoder_layers", self.decoder_layers),
        ])
    }
}

impl DilatedRnn {
    /// One layer: the steps that are `dilation` apart are a sequence of their own, so that there are `dilation` of them.
    fn dilated(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        name: &str,
        x: NodeId,
        dilation: usize,
    ) -> mayfly_nn::Result<NodeId> {
        let (times, columns) = (cx.input_size, cx.width(x)?);
        let steps = times.div_ceil(dilation);
        let mut padded = x;
        if steps * dilation > times {
            padded = cx.padded_behind(x, steps * dilation - times)?;
        }
        let apart = cx.reshape(padded, &[steps, dilation, columns])?;
        let apart = cx.permuted(apart, &[0, 2, 1, 3])?;
        let sequences = cx.fold(apart)?;
        let y = self.layer(cx, name, sequences)?;
        let y = cx.unfold(y, dilation)?;
        let y = cx.permuted(y, &[0, 2, 1, 3])?;
        let y = cx.reshape(y, &[steps * dilation, self.encoder_hidden_size])?;
        cx.rows_of(y, 0, times)
    }

    fn layer(&self, cx: &mut ForecastCx<'_, '_>, name: &str, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let of_torch = |part: &str| format!("{name}.{part}_l0");
        let units = self.encoder_hidden_size;
        match self.cell_type {
            DilatedCell::LSTM => Cell::Lstm.layer(cx, &of_torch, units, true, x),
            DilatedCell::GRU => Cell::Gru.layer(cx, &of_torch, units, true, x),
            DilatedCell::RNN => Cell::Rnn(Act::Tanh).layer(cx, &of_torch, units, true, x),
            DilatedCell::ResLSTM => Residual::declare(cx, &format!("{name}.cell"), cx.width(x)?, units)?.run(cx, x),
            DilatedCell::AttentiveLSTM => Attentive::declare(cx, name, cx.width(x)?, units)?.run(cx, x),
        }
    }
}

/// A dense layer with NeuralForecast's start for its own cells: normal with deviation 1.
fn normal(
    cx: &mut ForecastCx<'_, '_>,
    name: &str,
    part: &str,
    inputs: usize,
    units: usize,
) -> mayfly_nn::Result<Dense> {
    let init = || Init::Normal { deviation: 1.0 };
    let weight = cx.weight(&format!("{name}.weight_{part}"), &[units, inputs], init())?;
    Ok(Dense::new(weight, cx.bias(&format!("{name}.bias_{part}"), units, init())?))
}

/// Hidden state and memory of a cell.
#[derive(Clone, Copy)]
struct State {
    hidden: NodeId,
    memory: NodeId,
}

impl State {
    /// Zeros for every row of `like`.
    fn zero(cx: &mut ForecastCx<'_, '_>, like: NodeId, units: usize) -> mayfly_nn::Result<State> {
        let zeros = cx.constant(&vec![0.0; units])?;
        let zeros = cx.in_rows_of(zeros, like)?;
        Ok(State { hidden: zeros, memory: zeros })
    }
}

/// Each state as a step of time: `[batch, time, units]`.
fn over_time(cx: &mut ForecastCx<'_, '_>, states: &[NodeId], units: usize) -> mayfly_nn::Result<NodeId> {
    let steps: Vec<NodeId> =
        states.iter().map(|state| cx.reshape(*state, &[1, units])).collect::<mayfly_nn::Result<_>>()?;
    cx.joined(&steps, 1)
}

/// One step of a sequence: `[batch, time, n] → [batch, n]`.
fn step(cx: &mut ForecastCx<'_, '_>, x: NodeId, at: usize) -> mayfly_nn::Result<NodeId> {
    let n = cx.width(x)?;
    let one = cx.rows_of(x, at, 1)?;
    cx.reshape(one, &[n])
}

struct Residual {
    units: usize,
    of_input: Dense,
    of_memory: Dense,
    of_hidden: Dense,
    candidate: Dense,
    /// What brings the input to the units' number, where it differs.
    around: Option<NodeId>,
}

impl Residual {
    fn declare(cx: &mut ForecastCx<'_, '_>, name: &str, inputs: usize, units: usize) -> mayfly_nn::Result<Residual> {
        Ok(Residual {
            units,
            of_input: normal(cx, name, "ii", inputs, 3 * units)?,
            of_memory: normal(cx, name, "ic", units, 3 * units)?,
            of_hidden: normal(cx, name, "ih", units, 3 * units)?,
            candidate: normal(cx, name, "hh", units, units)?,
            around: match inputs == units {
                true => None,
                false => {
                    Some(cx.weight(&format!("{name}.weight_ir"), &[units, inputs], Init::Normal { deviation: 1.0 })?)
                }
            },
        })
    }

    fn run(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let units = self.units;
        let inputs = cx.apply(x, self.of_input)?;
        let around = self.around.map_or(Ok(x), |w| cx.linear(x, w, None))?;
        let first = step(cx, inputs, 0)?;
        let mut state = State::zero(cx, first, units)?;
        let mut states = Vec::new();
        for t in 0..cx.cx.dims(x)?.first().copied().unwrap_or(0) {
            let mut gates = step(cx, inputs, t)?;
            for (value, layer) in [(state.hidden, self.of_hidden), (state.memory, self.of_memory)] {
                let more = cx.apply(value, layer)?;
                gates = cx.binary(Binary::Add, gates, more)?;
            }
            let [input, forget, output] =
                [cx.part(gates, 0, units)?, cx.part(gates, units, units)?, cx.part(gates, 2 * units, units)?];
            let candidate = cx.apply(state.hidden, self.candidate)?;
            let memory = remembered(cx, [input, forget, candidate], state.memory)?;
            let shown = cx.act(memory, Act::Tanh)?;
            let beside = step(cx, around, t)?;
            let shown = cx.binary(Binary::Add, shown, beside)?;
            let output = cx.act(output, Act::Sigmoid)?;
            state = State { hidden: cx.binary(Binary::Mul, output, shown)?, memory };
            states.push(state.hidden);
        }
        over_time(cx, &states, units)
    }
}

struct Attentive {
    units: usize,
    /// From an input, the hidden state and the memory to a score.
    attention: [Dense; 2],
    of_input: Dense,
    of_hidden: Dense,
}

impl Attentive {
    fn declare(cx: &mut ForecastCx<'_, '_>, name: &str, inputs: usize, units: usize) -> mayfly_nn::Result<Attentive> {
        let cell = format!("{name}.cell");
        Ok(Attentive {
            units,
            of_input: normal(cx, &cell, "ih", inputs, 4 * units)?,
            of_hidden: normal(cx, &cell, "hh", units, 4 * units)?,
            attention: [
                cx.declare(&format!("{name}.attn_layer.0"), 2 * units + inputs, units)?,
                cx.declare(&format!("{name}.attn_layer.2"), units, 1)?,
            ],
        })
    }

    fn run(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let units = self.units;
        let times = cx.cx.dims(x)?.first().copied().unwrap_or(0);
        let turned = cx.transposed(x)?;
        let first = step(cx, x, 0)?;
        let mut state = State::zero(cx, first, units)?;
        let mut states = Vec::new();
        for _ in 0..times {
            let context = self.context(cx, x, turned, state)?;
            let of_input = cx.apply(context, self.of_input)?;
            let of_hidden = cx.apply(state.hidden, self.of_hidden)?;
            let gates = cx.binary(Binary::Add, of_input, of_hidden)?;
            let gate = |cx: &mut ForecastCx<'_, '_>, i: usize| cx.part(gates, i * units, units);
            let parts = [gate(cx, 0)?, gate(cx, 1)?, gate(cx, 2)?];
            let memory = remembered(cx, parts, state.memory)?;
            let output = gate(cx, 3)?;
            let output = cx.act(output, Act::Sigmoid)?;
            let shown = cx.act(memory, Act::Tanh)?;
            state = State { hidden: cx.binary(Binary::Mul, output, shown)?, memory };
            states.push(state.hidden);
        }
        over_time(cx, &states, units)
    }

    /// The inputs of all steps, weighed by what the state makes of them.
    fn context(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        x: NodeId,
        turned: NodeId,
        state: State,
    ) -> mayfly_nn::Result<NodeId> {
        let times = cx.cx.dims(x)?.first().copied().unwrap_or(0);
        let mut parts = vec![x];
        for value in [state.hidden, state.memory] {
            let one = cx.reshape(value, &[1, self.units])?;
            parts.push(cx.pick(one, &vec![0; times])?);
        }
        let all = cx.joined(&parts, 2)?;
        let y = cx.apply(all, self.attention[0])?;
        let y = cx.act(y, Act::Tanh)?;
        let scores = cx.apply(y, self.attention[1])?;
        let scores = cx.reshape(scores, &[times])?;
        let shares = cx.softmax(scores)?;
        cx.times(turned, shares)
    }
}
