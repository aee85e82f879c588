//! Each operation of a network's graph in ONNX's operators.
use super::super::error::OnnxError;
use super::writer::Writer;
use mayfly_format::onnx::{AttributeProto, ElementType};
use mayfly_graph::ops::{Attention, Op, Softmax};
use mayfly_graph::{Binary, Causal, Conv2dSpec, NodeId, Pool2dSpec, PoolKind, ReduceKind, Shape};

type Res<T> = Result<T, OnnxError>;

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto::ints(name, &values.iter().map(|v| *v as i64).collect::<Vec<_>>())
}

/// The dimensions for a Reshape: −1 for the batch.
fn target(shape: Shape) -> Vec<i64> {
    let dims = shape.dims().iter().enumerate();
    dims.map(|(i, d)| if i == 0 && shape.is_batched() { -1 } else { *d as i64 }).collect()
}

impl Writer<'_> {
    pub fn refuse<T>(&self, op: &str, what: impl Into<String>) -> Res<T> {
        Err(OnnxError::Export { op: op.to_owned(), what: what.into() })
    }

    pub fn shape(&self, id: NodeId) -> Res<Shape> {
        self.graph.shape(id).map_err(|e| OnnxError::Export { op: "the graph".to_owned(), what: e.to_string() })
    }

    /// Adds what computes a node.
    pub fn node(&mut self, id: NodeId) -> Res<()> {
        let Some(node) = self.graph.nodes().get(id.index()) else { return Ok(()) };
        let ins = node.inputs.as_slice();
        let x = ins.first().map(|i| self.name(*i)).unwrap_or_default();
        let name = match &node.op {
            Op::Input(_) => self.input(),
            Op::Param(_, shape) => {
                let values = self.values(id).unwrap_or_default();
                let title = self.title(id);
                self.tensor(&title, shape.dims(), values)
            }
            Op::Constant(values, shape) => self.tensor(&format!("constant.{}", id.index()), shape.dims(), values),
            Op::Linear(_) if self.absorbed(id) => String::new(),
            Op::Linear(_) => self.linear(ins)?,
            Op::Unary(act) => self.act(&x, act.0)?,
            Op::ColumnActs(acts) => self.columns(&x, &acts.0)?,
            Op::Binary(op) => self.binary(*op, ins)?,
            Op::Conv2d(conv) => self.conv(ins, &conv.0),
            Op::Pool2d(pool) => self.pool(&x, &pool.0),
            Op::Attention(a) => self.attention(ins, a)?,
            Op::Rnn(_) | Op::Lstm(_) | Op::Gru(_) => self.recurrent(&node.op, ins)?,
            _ => self.other(&node.op, ins, &x, node.shape)?,
        };
        if let Some(slot) = self.names.get_mut(id.index()) {
            *slot = name;
        }
        Ok(())
    }

    fn other(&mut self, op: &Op, ins: &[NodeId], x: &str, shape: Shape) -> Res<String> {
        let input = |w: &Self, i: usize| ins.get(i).map(|id| w.name(*id)).unwrap_or_default();
        Ok(match op {
            Op::MatMul(m) => {
                let (a, b) = (self.turned(ins, 0, m.a)?, self.turned(ins, 1, m.b)?);
                self.op2("MatMul", &a, &b)
            }
            Op::Softmax(kind) => {
                let op = if *kind == Softmax::Plain { "Softmax" } else { "LogSoftmax" };
                self.put(op, &[x], vec![AttributeProto::int("axis", -1)])
            }
            Op::LayerNorm(eps) => {
                let (gamma, beta) = (input(self, 1), input(self, 2));
                let attributes = vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", eps.0)];
                self.put("LayerNormalization", &[x, &gamma, &beta], attributes)
            }
            Op::RmsNorm(eps) => {
                let y = self.op2("Mul", x, x);
                let y = self.put(
                    "ReduceMean",
                    &[&y],
                    vec![AttributeProto::ints("axes", &[-1]), AttributeProto::int("keepdims", 1)],
                );
                let y = self.with("Add", &y, eps.0);
                let y = self.op1("Sqrt", &y);
                let y = self.op2("Div", x, &y);
                let gamma = input(self, 1);
                self.op2("Mul", &y, &gamma)
            }
            Op::BatchNorm(norm) => self.batch_norm(ins, norm.eps)?,
            Op::Embed(_) => {
                let ids = self.put("Cast", &[x], vec![AttributeProto::int("to", ElementType::Int64.code().into())]);
                let table = input(self, 1);
                self.put("Gather", &[&table, &ids], vec![AttributeProto::int("axis", 0)])
            }
            Op::Select(_) => {
                let c = self.put("Cast", &[x], vec![AttributeProto::int("to", ElementType::Bool.code().into())]);
                let (a, b) = (input(self, 1), input(self, 2));
                self.put("Where", &[&c, &a, &b], Vec::new())
            }
            _ => self.moved(op, ins, x, shape)?,
        })
    }

    /// What moves values, and reductions.
    fn moved(&mut self, op: &Op, ins: &[NodeId], x: &str, shape: Shape) -> Res<String> {
        Ok(match op {
            Op::Reduce(r) => {
                let axis = [r.axis as i64];
                let keep = AttributeProto::int("keepdims", 0);
                let axes = || AttributeProto::ints("axes", &axis);
                match r.kind {
                    ReduceKind::Sum => {
                        let axes = self.integers(&axis);
                        self.put("ReduceSum", &[x, &axes], vec![keep])
                    }
                    ReduceKind::Mean => self.put("ReduceMean", &[x], vec![axes(), keep]),
                    ReduceKind::Max => self.put("ReduceMax", &[x], vec![axes(), keep]),
                }
            }
            Op::Gather(g) => {
                let indices = self.integers(&g.indices.iter().map(|i| *i as i64).collect::<Vec<_>>());
                self.put("Gather", &[x, &indices], vec![AttributeProto::int("axis", g.axis as i64)])
            }
            Op::Concat(c) => {
                let parts: Vec<String> = ins.iter().map(|i| self.name(*i)).collect();
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.put("Concat", &parts, vec![AttributeProto::int("axis", c.axis as i64)])
            }
            Op::Slice(s) if self.is_workspace(ins) => {
                let _ = s; // LSTM and GRU give their hidden states only, which is what the graph takes out of them
                x.to_owned()
            }
            Op::Slice(s) => self.slice(x, s.axis as i64, s.start, s.len),
            Op::Reshape(to) => self.reshape(x, &target(to.0)),
            Op::Transpose(t) => {
                let perm: Vec<i64> = t.0.iter().take(shape.rank()).map(|p| *p as i64).collect();
                self.transpose(x, &perm)
            }
            Op::Expand(to) if to.0.is_batched() && to.0.dims().first() != Some(&1) => {
                return self.refuse("expand", format!("a value repeated to {}, a multiple of the batch", to.0));
            }
            Op::Expand(to) => {
                let fixed: Vec<i64> =
                    to.0.dims().iter().skip(usize::from(to.0.is_batched())).map(|d| *d as i64).collect();
                let mut dims = self.integers(&fixed);
                if to.0.is_batched() {
                    let batch = self.batch();
                    dims = self.put("Concat", &[&batch, &dims], vec![AttributeProto::int("axis", 0)]);
                }
                self.op2("Expand", x, &dims)
            }
            other => {
                return self
                    .refuse(other.name(), "ONNX has no operator for it; replace the layer by one that is built in");
            }
        })
    }

    pub fn slice(&mut self, x: &str, axis: i64, start: usize, len: usize) -> String {
        let (from, to, axis) =
            (self.integers(&[start as i64]), self.integers(&[(start + len) as i64]), self.integers(&[axis]));
        self.put("Slice", &[x, &from, &to, &axis], Vec::new())
    }

    fn linear(&mut self, ins: &[NodeId]) -> Res<String> {
        let [x, w, bias @ ..] = ins else { return self.refuse("linear", "no inputs") };
        let (name, weight) = (self.name(*x), self.name(*w));
        let bias = bias.first().map(|b| self.name(*b));
        if self.shape(*x)?.rank() == 2 {
            let inputs: Vec<&str> = [name.as_str(), weight.as_str()].into_iter().chain(bias.as_deref()).collect();
            return Ok(self.put("Gemm", &inputs, vec![AttributeProto::int("transB", 1)]));
        }
        let turned = match self.values(*w) {
            Some(values) => {
                let (title, shape) = (self.title(*w), self.shape(*w)?);
                let (o, i) = (shape.dims()[0], shape.last());
                let turned: Vec<f32> =
                    (0..i).flat_map(|c| (0..o).filter_map(move |r| values.get(r * i + c)).copied()).collect();
                self.tensor(&format!("{title}.transposed"), &[i, o], &turned)
            }
            None => self.transpose(&weight, &[1, 0]),
        };
        let y = self.op2("MatMul", &name, &turned);
        Ok(match bias {
            Some(b) => self.op2("Add", &y, &b),
            None => y,
        })
    }

    /// An operand of a product, transposed when it is stored so.
    fn turned(&mut self, ins: &[NodeId], i: usize, trans: mayfly_kernels::Trans) -> Res<String> {
        let Some(id) = ins.get(i) else { return self.refuse("matmul", "no operand") };
        let name = self.name(*id);
        if trans == mayfly_kernels::Trans::No {
            return Ok(name);
        }
        let rank = self.shape(*id)?.rank() as i64;
        let perm: Vec<i64> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        Ok(self.transpose(&name, &perm))
    }

    /// Each run of equal functions on its columns.
    fn columns(&mut self, x: &str, acts: &[mayfly_graph::Act]) -> Res<String> {
        let mut parts = Vec::new();
        let mut start = 0;
        for run in acts.chunk_by(|a, b| a == b) {
            let part = self.slice(x, -1, start, run.len());
            parts.push(self.act(&part, run[0])?);
            start += run.len();
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(self.put("Concat", &parts, vec![AttributeProto::int("axis", -1)]))
    }

    fn binary(&mut self, op: Binary, ins: &[NodeId]) -> Res<String> {
        let [a, b] = ins else { return self.refuse("arithmetic", "two operands are needed") };
        let (left, mut right) = (self.name(*a), self.name(*b));
        if self.shape(*b)?.rank() > self.shape(*a)?.rank() {
            right = self.reshape(&right, &[1]); // one number, whatever its dimensions
        }
        let op = match op {
            Binary::Add => "Add",
            Binary::Sub => "Sub",
            Binary::Mul => "Mul",
            Binary::Div => "Div",
            Binary::Greater => "Greater",
            Binary::GreaterEqual => "GreaterOrEqual",
        };
        let y = self.op2(op, &left, &right);
        Ok(match op {
            "Greater" | "GreaterOrEqual" => {
                self.put("Cast", &[&y], vec![AttributeProto::int("to", ElementType::Float.code().into())])
            }
            _ => y,
        })
    }

    fn conv(&mut self, ins: &[NodeId], spec: &Conv2dSpec) -> String {
        let names: Vec<String> = ins.iter().map(|i| self.name(*i)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let attributes = vec![
            ints("strides", &spec.stride),
            ints("pads", &spec.pad),
            ints("dilations", &spec.dilation),
            AttributeProto::int("group", spec.groups as i64),
        ];
        self.put("Conv", &names, attributes)
    }

    fn pool(&mut self, x: &str, spec: &Pool2dSpec) -> String {
        let op = if spec.kind == PoolKind::Max { "MaxPool" } else { "AveragePool" };
        self.put(
            op,
            &[x],
            vec![ints("kernel_shape", &spec.kernel), ints("strides", &spec.stride), ints("pads", &spec.pad)],
        )
    }

    fn batch_norm(&mut self, ins: &[NodeId], eps: f32) -> Res<String> {
        let [x, gamma, beta, stats] = ins else { return self.refuse("batch_norm", "four inputs are needed") };
        let Some(values) = self.values(*stats) else {
            return self.refuse("batch_norm", "statistics that are computed; run with a parameter");
        };
        let title = self.title(*stats);
        let (mean, var) = values.split_at(values.len() / 2);
        let mean = self.tensor(&format!("{title}_mean"), &[mean.len()], mean);
        let var = self.tensor(&format!("{title}_var"), &[var.len()], var);
        let (x, gamma, beta) = (self.name(*x), self.name(*gamma), self.name(*beta));
        Ok(self.put(
            "BatchNormalization",
            &[&x, &gamma, &beta, &mean, &var],
            vec![AttributeProto::float("epsilon", eps)],
        ))
    }

    /// `[b, t, h·d]` as `[b, h, t, d]`.
    fn heads(&mut self, x: &str, heads: usize, width: usize) -> String {
        let y = self.reshape(x, &[0, 0, heads as i64, width as i64]);
        self.transpose(&y, &[0, 2, 1, 3])
    }

    fn attention(&mut self, ins: &[NodeId], a: &Attention) -> Res<String> {
        let [q, k, v] = ins else { return self.refuse("attention", "three inputs are needed") };
        let (qs, ks) = (self.shape(*q)?, self.shape(*k)?);
        let (tq, tk, all) = (qs.dims()[1], ks.dims()[1], qs.last());
        let width = all / a.heads.max(1);
        let (q, k, v) = (self.name(*q), self.name(*k), self.name(*v));
        let (q, k, v) =
            (self.heads(&q, a.heads, width), self.heads(&k, a.heads, width), self.heads(&v, a.heads, width));
        let k = self.transpose(&k, &[0, 1, 3, 2]);
        let scores = self.op2("MatMul", &q, &k);
        let mut scores = self.with("Mul", &scores, 1.0 / (width as f32).sqrt());
        if a.causal == Causal::Yes {
            // A number large enough that its exponential is zero, and finite: rows that see nothing stay numbers.
            let mask: Vec<f32> =
                (0..tq).flat_map(|i| (0..tk).map(move |j| if j + tq <= i + tk { 0.0 } else { -1e9 })).collect();
            let mask = self.fixed(&format!("causal.{tq}x{tk}"), &[tq, tk], &mask);
            scores = self.op2("Add", &scores, &mask);
        }
        let weights = self.put("Softmax", &[&scores], vec![AttributeProto::int("axis", -1)]);
        let mixed = self.op2("MatMul", &weights, &v);
        let mixed = self.transpose(&mixed, &[0, 2, 1, 3]);
        Ok(self.reshape(&mixed, &[0, 0, all as i64]))
    }
}
