//! LSTM, GRU and simple recurrence over whole sequences.
use super::super::error::{Res, bad};
use super::host::Host;
use super::net::Net;
use super::{Cx, Handler, Node, Val};
use crate::activation::Activation;
use crate::layers::{GraphOp, ParamKind};
use mayfly_graph::Act;

pub const OPS: &[(&str, Handler)] = &[
    ("GRU", |cx, n| recurrent(cx, n, Cell::Gru)),
    ("LSTM", |cx, n| recurrent(cx, n, Cell::Lstm)),
    ("RNN", |cx, n| recurrent(cx, n, Cell::Rnn)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    /// Our gates in terms of ONNX's: i, f, g, o of i, o, f, c; r, z, n of z, r, h.
    fn gates(self) -> &'static [usize] {
        match self {
            Cell::Rnn => &[0],
            Cell::Lstm => &[0, 2, 3, 1],
            Cell::Gru => &[1, 0, 2],
        }
    }

    fn activations(self) -> &'static [&'static str] {
        match self {
            Cell::Rnn => &["Tanh"],
            Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Cell::Gru => &["Sigmoid", "Tanh"],
        }
    }
}

/// What all directions share.
struct Layer {
    cell: Cell,
    hidden: usize,
    time: usize,
    inputs: usize,
    directions: usize,
    relu: bool,
}

/// Blocks of `len` elements in another order.
fn blocks(values: &[f32], order: &[usize], len: usize) -> Vec<f32> {
    order.iter().filter_map(|g| values.get(g * len..(g + 1) * len)).flatten().copied().collect()
}

fn initial_is_zero(n: &Node<'_>, i: usize, what: &str) -> Res<()> {
    match n.maybe_host(i)? {
        Some(host) if !host.is_zero() => bad(format!("{what} that is not zero")),
        _ => Ok(()),
    }
}

fn check(n: &Node<'_>, cell: Cell, directions: usize, time: usize) -> Res<bool> {
    let names = n.proto.texts("activations")?.unwrap_or_default();
    let relu = cell == Cell::Rnn && !names.is_empty() && names.iter().all(|a| a.eq_ignore_ascii_case("relu"));
    let expected: Vec<&str> =
        cell.activations().iter().copied().cycle().take(cell.activations().len() * directions).collect();
    let standard = names.is_empty()
        || (names.len() == expected.len() && names.iter().zip(&expected).all(|(a, b)| a.eq_ignore_ascii_case(b)));
    if !relu && !standard {
        return bad(format!("activations = {names:?}; {expected:?} are imported, and Relu for RNN"));
    }
    for refused in ["clip", "activation_alpha", "activation_beta"] {
        if n.proto.attribute(refused).is_some() {
            return bad(format!("the attribute {refused}"));
        }
    }
    if n.proto.int_or("input_forget", 0)? != 0 {
        return bad("input_forget = 1");
    }
    if cell == Cell::Gru && n.proto.int_or("linear_before_reset", 0)? == 0 {
        return bad("linear_before_reset = 0; the reset gate after the product (1), as PyTorch has it, is imported");
    }
    if let Some(lens) = n.maybe_host(4)?
        && lens.ints()?.iter().any(|l| *l != time as i64)
    {
        return bad("sequence lengths other than the whole sequence");
    }
    initial_is_zero(n, 5, "an initial state")?;
    if cell == Cell::Lstm {
        initial_is_zero(n, 6, "an initial cell state")?;
        initial_is_zero(n, 7, "peepholes")?;
    }
    Ok(relu)
}

fn recurrent(cx: &mut Cx, n: &Node<'_>, cell: Cell) -> Res<Vec<Val>> {
    let x = n.net(0)?;
    if x.rank() != 3 {
        return bad(format!("over {} dimensions; [time, batch, features] is imported", x.rank()));
    }
    let batch_first = n.proto.int_or("layout", 0)? != 0;
    let (t, b) = if batch_first { (1, 0) } else { (0, 1) };
    if x.view[b] != cx.lead() {
        return bad(format!("over {}, where dimension {b} is not the batch", cx.shown(&x.dims(cx.batch)?)));
    }
    let (time, inputs) = (x.fixed(t, "recurrence over")?, x.fixed(2, "recurrence with features in")?);
    let (w, r) = (n.host(1)?.full(&mut cx.budget)?, n.host(2)?.full(&mut cx.budget)?);
    let [directions, rows, width] = w.stored[..] else { return bad(format!("weights of {} dimensions", w.rank())) };
    let gates = cell.gates().len();
    let hidden = rows / gates;
    if !(1..=2).contains(&directions)
        || rows == 0
        || rows != gates * hidden
        || width != inputs
        || r.stored != [directions, rows, hidden]
    {
        return bad(format!("weights of {:?} and {:?} for {inputs} features", w.stored, r.stored));
    }
    let bias = n.maybe_host(3)?.map(|b| b.full(&mut cx.budget)).transpose()?;
    if bias.as_ref().is_some_and(|b| b.stored != [directions, 2 * rows]) {
        return bad(format!("a bias that is not [{directions}, {}]", 2 * rows));
    }
    let relu = check(n, cell, directions, time)?;
    let layer = Layer { cell, hidden, time, inputs, directions, relu };
    let order = [x.view[t].clone(), x.view[2].clone()];
    let id = cx.grouped(x, &[&order[0], &order[1]])?;
    let reversed = match n.proto.text_or("direction", "forward")? {
        "forward" if directions == 1 => vec![false],
        "reverse" if directions == 1 => vec![true],
        "bidirectional" if directions == 2 => vec![false, true],
        other => return bad(format!("direction = {other:?} with weights for {directions}")),
    };
    let mut hidden_states = Vec::new();
    let mut last = Vec::new();
    for (d, reversed) in reversed.into_iter().enumerate() {
        let y = cx.direction(&layer, id, d, reversed, [&w, &r], bias.as_ref())?;
        let at = if reversed { 0 } else { time - 1 };
        last.push(cx.b.push(GraphOp::Slice { x: y, axis: 1, start: at, len: 1 })?);
        hidden_states.push(y);
    }
    // Stored as [batch, time, direction · hidden].
    let all = cx.b.push(GraphOp::Concat { parts: hidden_states, axis: 2 })?;
    let ends = cx.b.push(GraphOp::Concat { parts: last, axis: 2 })?;
    let lead = cx.lead();
    let view = |time: Option<u32>, d: u32, h: u32| match (time, batch_first) {
        (Some(t), false) => vec![vec![t], vec![d], lead.clone(), vec![h]],
        (Some(t), true) => vec![lead.clone(), vec![t], vec![d], vec![h]],
        (None, false) => vec![vec![d], lead.clone(), vec![h]],
        (None, true) => vec![lead.clone(), vec![d], vec![h]],
    };
    Ok(vec![
        Val::Net(Net::new(all, &[time, directions, hidden], view(Some(1), 2, 3))),
        Val::Net(Net::new(ends, &[directions, hidden], view(None, 1, 2))),
        Val::Absent("the cell state is not imported, only hidden states"),
    ])
}

impl Cx {
    /// One direction over `x [batch, time, features]`, in the order of time.
    fn direction(
        &mut self,
        l: &Layer,
        x: usize,
        d: usize,
        reversed: bool,
        [w, r]: [&Host; 2],
        bias: Option<&Host>,
    ) -> Res<usize> {
        let (gates, h) = (l.cell.gates(), l.hidden);
        let rows = gates.len() * h;
        let part = |v: &[f32], len: usize| v.get(d * len..(d + 1) * len).unwrap_or_default().to_vec();
        let backwards: Vec<usize> = (0..l.time).rev().collect();
        self.budget.spend(l.time)?;
        let x = if reversed { self.b.push(GraphOp::Gather { x, axis: 1, indices: backwards.clone() })? } else { x };
        let name = |host: &Host, what: &str| {
            let end = if l.directions == 2 { format!(".{d}") } else { String::new() };
            format!("{}{what}{end}", host.name)
        };
        let kind = if w.trained { ParamKind::Weight } else { ParamKind::Constant };
        let w_ih = blocks(&part(w.floats()?, rows * l.inputs), gates, h * l.inputs);
        let w_hh = blocks(&part(r.floats()?, rows * h), gates, h * h);
        let w_ih = self.b.param(&name(w, ""), "w", &[rows, l.inputs], kind, w_ih)?;
        let w_hh = self.b.param(&name(r, ""), "r", &[rows, h], kind, w_hh)?;
        let both =
            bias.map(|b| b.floats().map(|v| part(v, 2 * rows))).transpose()?.unwrap_or_else(|| vec![0.0; 2 * rows]);
        let (input, recurrent) = both.split_at(rows);
        // The recurrent bias of a GRU's last gate is inside the reset, all others add up.
        let last = if l.cell == Cell::Gru { rows - h } else { rows };
        let sum: Vec<f32> =
            input.iter().zip(recurrent).enumerate().map(|(i, (a, b))| if i < last { a + b } else { *a }).collect();
        let bias_name = bias.map_or_else(|| name(w, ".bias"), |b| name(b, ""));
        let b = self.b.param(&bias_name, "b", &[rows], ParamKind::Bias, blocks(&sum, gates, h))?;
        let xw = self.b.push(GraphOp::Linear { x, w: w_ih, b: Some(b) })?;
        let y = match l.cell {
            Cell::Rnn => {
                let f = Activation::Act(if l.relu { Act::Relu } else { Act::Tanh });
                self.b.push(GraphOp::Rnn { xw, w: w_hh, f })?
            }
            Cell::Lstm => self.b.push(GraphOp::Lstm { xw, w: w_hh })?,
            Cell::Gru => {
                let b = self.b.param(
                    &format!("{bias_name}.hn"),
                    "hn",
                    &[h],
                    ParamKind::Bias,
                    recurrent.get(last..).unwrap_or_default().to_vec(),
                )?;
                self.b.push(GraphOp::Gru { xw, w: w_hh, b })?
            }
        };
        if reversed { self.b.push(GraphOp::Gather { x: y, axis: 1, indices: backwards }) } else { Ok(y) }
    }
}
