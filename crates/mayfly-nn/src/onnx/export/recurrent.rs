//! LSTM, GRU and simple recurrence: ONNX's operators are time-major, project the inputs themselves and order gates differently.
use super::super::error::OnnxError;
use super::writer::Writer;
use mayfly_format::onnx::AttributeProto;
use mayfly_graph::ops::Op;
use mayfly_graph::{Act, NodeId};

/// What one kind of recurrence is in ONNX.
struct Kind {
    op: &'static str,
    /// ONNX's gates in terms of ours.
    gates: &'static [usize],
    attributes: Vec<AttributeProto>,
}

fn kind(op: &Op) -> Kind {
    match op {
        Op::Lstm(_) => Kind { op: "LSTM", gates: &[0, 3, 1, 2], attributes: Vec::new() },
        Op::Gru(_) => {
            Kind { op: "GRU", gates: &[1, 0, 2], attributes: vec![AttributeProto::int("linear_before_reset", 1)] }
        }
        Op::Rnn(rnn) if rnn.0 == Act::Relu => {
            Kind { op: "RNN", gates: &[0], attributes: vec![AttributeProto::texts("activations", &["Relu"])] }
        }
        _ => Kind { op: "RNN", gates: &[0], attributes: vec![AttributeProto::texts("activations", &["Tanh"])] },
    }
}

fn blocks(values: &[f32], order: &[usize], len: usize) -> Vec<f32> {
    order.iter().filter_map(|g| values.get(g * len..(g + 1) * len)).flatten().copied().collect()
}

impl Writer<'_> {
    fn op(&self, id: NodeId) -> Option<&Op> {
        self.graph.nodes().get(id.index()).map(|n| &n.op)
    }

    /// Whether a slice takes the hidden states out of what LSTM and GRU leave.
    pub fn is_workspace(&self, ins: &[NodeId]) -> bool {
        ins.first().is_some_and(|id| matches!(self.op(*id), Some(Op::Lstm(_) | Op::Gru(_))))
    }

    /// Whether a linear layer only projects the inputs of a recurrence, with parameters as weights, and so is part of ONNX's operator.
    pub fn absorbed(&self, id: NodeId) -> bool {
        let Some(node) = self.graph.nodes().get(id.index()) else { return false };
        let reads = |n: &mayfly_graph::Node| {
            matches!(n.op, Op::Rnn(_) | Op::Lstm(_) | Op::Gru(_)) && n.inputs.first() == Some(&id)
        };
        let known = node.inputs.iter().skip(1).all(|p| self.values(*p).is_some());
        known && self.readers[id.index()] == 1 && self.graph.nodes().iter().any(reads)
    }

    pub fn recurrent(&mut self, op: &Op, ins: &[NodeId]) -> Result<String, OnnxError> {
        let Kind { op, gates, mut attributes } = kind(op);
        let [xw, w_hh, rest @ ..] = ins else { return self.refuse(op, "no inputs") };
        if rest.len() > usize::from(op == "GRU") {
            return self.refuse(op, "a recurrent layer that starts from a state of its own");
        }
        let Some(r) = self.values(*w_hh) else { return self.refuse(op, "recurrent weights that are computed") };
        let hidden = self.shape(*w_hh)?.last();
        let rows = gates.len() * hidden;
        let title = self.title(*w_hh);
        let (x, w, inputs, mut bias) = self.projection(*xw, rows)?;
        bias.resize(rows, 0.0);
        let mut bias = blocks(&bias, gates, hidden);
        bias.resize(2 * rows, 0.0);
        if let Some(b_hn) = rest.first() {
            let Some(b_hn) = self.values(*b_hn) else { return self.refuse(op, "a recurrent bias that is computed") };
            bias.splice(2 * rows - hidden.., b_hn.iter().copied());
        }
        let w = self.tensor(&format!("{title}.W"), &[1, rows, inputs], &blocks(&w, gates, hidden * inputs));
        let r = self.tensor(&format!("{title}.R"), &[1, rows, hidden], &blocks(r, gates, hidden * hidden));
        let b = self.tensor(&format!("{title}.B"), &[1, 2 * rows], &bias);
        attributes.push(AttributeProto::int("hidden_size", hidden as i64));
        let x = self.transpose(&x, &[1, 0, 2]);
        let y = self.put(op, &[&x, &w, &r, &b], attributes);
        let one = self.integers(&[1]);
        let y = self.op2("Squeeze", &y, &one);
        Ok(self.transpose(&y, &[1, 0, 2]))
    }

    /// What ONNX's operator reads: the inputs of the projection with its weights and bias, or the projected values with the identity.
    fn projection(&mut self, xw: NodeId, rows: usize) -> Result<(String, Vec<f32>, usize, Vec<f32>), OnnxError> {
        if matches!(self.op(xw), Some(Op::Linear(_))) && self.absorbed(xw) {
            let ins = self.graph.nodes()[xw.index()].inputs.clone();
            let [x, w, bias @ ..] = ins.as_slice() else { return self.refuse("linear", "no inputs") };
            let inputs = self.shape(*x)?.last();
            let weights = self.values(*w).unwrap_or_default().to_vec();
            let bias = bias.first().and_then(|b| self.values(*b)).unwrap_or_default().to_vec();
            return Ok((self.name(*x), weights, inputs, bias));
        }
        let identity = (0..rows * rows).map(|i| if i / rows == i % rows { 1.0 } else { 0.0 }).collect();
        Ok((self.name(xw), identity, rows, Vec::new()))
    }
}
