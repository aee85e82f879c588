//! The graph under construction.
use super::super::error::OnnxError;
use crate::scale::Scale;
use mayfly_format::onnx::{AttributeProto, GraphBuilder, TensorProto};
use mayfly_graph::ops::Op;
use mayfly_graph::{Graph, NodeId};
use std::collections::BTreeMap;

type Res<T> = Result<T, OnnxError>;

/// An operator with the names of what it reads and makes.
struct Line {
    op: &'static str,
    inputs: Vec<String>,
    output: String,
    attributes: Vec<AttributeProto>,
}

/// Nodes and weights so far.
pub struct Writer<'a> {
    pub graph: &'a Graph,
    params: &'a [f32],
    lines: Vec<Line>,
    weights: BTreeMap<String, TensorProto>,
    /// In the order in which they were added.
    order: Vec<String>,
    /// Name of each of the network's values.
    pub names: Vec<String>,
    /// How many operations read each value.
    pub readers: Vec<usize>,
    input: String,
}

impl<'a> Writer<'a> {
    pub fn new(graph: &'a Graph, params: &'a [f32]) -> Self {
        let mut readers = vec![0; graph.nodes().len()];
        for id in graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs().iter().map(|(_, id)| id)) {
            readers[id.index()] += 1;
        }
        Writer {
            graph,
            params,
            lines: Vec::new(),
            weights: BTreeMap::new(),
            order: Vec::new(),
            names: vec![String::new(); readers.len()],
            readers,
            input: "input".to_owned(),
        }
    }

    /// The values of a parameter node.
    pub fn values(&self, id: NodeId) -> Option<&'a [f32]> {
        match &self.graph.nodes().get(id.index())?.op {
            Op::Param(p, _) => self.params.get(self.graph.params().get(p.index())?.range()),
            _ => None,
        }
    }

    /// The parameter's name, or the number of the value.
    pub fn title(&self, id: NodeId) -> String {
        match self.graph.nodes().get(id.index()).map(|n| &n.op) {
            Some(Op::Param(p, _)) => self.graph.params().get(p.index()).map_or_else(String::new, |p| p.name.clone()),
            _ => format!("v{}", id.index()),
        }
    }

    pub fn name(&self, id: NodeId) -> String {
        self.names.get(id.index()).cloned().unwrap_or_default()
    }

    /// A constant tensor, once for each name.
    pub fn tensor(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.weight(name, TensorProto::f32(name, dims, values))
    }

    pub fn integers(&mut self, values: &[i64]) -> String {
        let name = format!("i{}", values.iter().map(i64::to_string).collect::<Vec<_>>().join("_"));
        let name = if name.len() > 60 { format!("i{}", self.order.len()) } else { name };
        self.weight(&name, TensorProto::i64(&name, &[values.len()], values))
    }

    pub fn number(&mut self, value: f32) -> String {
        let name = format!("c{value}");
        self.weight(&name, TensorProto::f32(&name, &[], &[value]))
    }

    fn weight(&mut self, name: &str, tensor: TensorProto) -> String {
        if self.weights.insert(name.to_owned(), tensor).is_none() {
            self.order.push(name.to_owned());
        }
        name.to_owned()
    }

    /// Adds an operator and returns the name of what it makes.
    pub fn put(&mut self, op: &'static str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("n{}", self.lines.len());
        self.lines.push(Line {
            op,
            inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: output.clone(),
            attributes,
        });
        output
    }

    pub fn op1(&mut self, op: &'static str, x: &str) -> String {
        self.put(op, &[x], Vec::new())
    }

    pub fn op2(&mut self, op: &'static str, a: &str, b: &str) -> String {
        self.put(op, &[a, b], Vec::new())
    }

    /// An operator on a value and a number.
    pub fn with(&mut self, op: &'static str, x: &str, c: f32) -> String {
        let c = self.number(c);
        self.op2(op, x, &c)
    }

    pub fn reshape(&mut self, x: &str, to: &[i64]) -> String {
        let to = self.integers(to);
        self.op2("Reshape", x, &to)
    }

    pub fn transpose(&mut self, x: &str, perm: &[i64]) -> String {
        self.put("Transpose", &[x], vec![AttributeProto::ints("perm", perm)])
    }

    /// The name of the input as the network sees it.
    pub fn input(&self) -> String {
        self.input.clone()
    }

    /// The length of the batch, as a list of one.
    pub fn batch(&mut self) -> String {
        let shape = self.op1("Shape", "input");
        let (zero, one) = (self.integers(&[0]), self.integers(&[1]));
        self.put("Slice", &[&shape, &zero, &one], Vec::new())
    }

    fn scale(&mut self, x: &str, what: &str, scale: &Scale, dims: &[usize]) -> Res<String> {
        let n: usize = dims.iter().product();
        if scale.shift.len() != n || scale.scale.len() != n {
            return Err(OnnxError::Export {
                op: format!("the scale of {what}"),
                what: format!("{} factors and {} shifts for {n} columns", scale.scale.len(), scale.shift.len()),
            });
        }
        let shift = self.fixed(&format!("{what}.shift"), dims, &scale.shift);
        let factor = self.fixed(&format!("{what}.scale"), dims, &scale.scale);
        if what == "inputs" {
            let y = self.op2("Sub", x, &shift);
            return Ok(self.op2("Div", &y, &factor));
        }
        let y = self.op2("Mul", x, &factor);
        Ok(self.op2("Add", &y, &shift))
    }

    /// A tensor that no training changes: a node rather than an initializer, so that importers can tell.
    pub fn fixed(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let tensor = TensorProto::f32(name, dims, values);
        self.put("Constant", &[], vec![AttributeProto::tensor("value", tensor)])
    }

    pub fn scale_input(&mut self, scale: Option<&Scale>, dims: &[usize]) -> Res<()> {
        if let Some(scale) = scale {
            self.input = self.scale("input", "inputs", scale, dims)?;
        }
        Ok(())
    }

    /// Names the result `output`.
    pub fn finish(&mut self, y: NodeId, scale: Option<&Scale>, dims: &[usize]) -> Res<()> {
        let mut name = self.name(y);
        if let Some(scale) = scale {
            name = self.scale(&name, "outputs", scale, dims)?;
        }
        if self.lines.last().is_none_or(|l| l.output != name) {
            self.op1("Identity", &name);
        }
        if let Some(last) = self.lines.last_mut() {
            "output".clone_into(&mut last.output);
        }
        Ok(())
    }

    /// Hands nodes and weights to the builder; weights that nobody reads stay behind.
    pub fn write(self, builder: &mut GraphBuilder) {
        for name in &self.order {
            if let Some(tensor) = self.weights.get(name)
                && self.lines.iter().any(|l| l.inputs.contains(name))
            {
                builder.initializer(tensor.clone());
            }
        }
        for line in self.lines {
            let inputs: Vec<&str> = line.inputs.iter().map(String::as_str).collect();
            builder.node(line.op, &inputs, &[&line.output], line.attributes);
        }
    }
}
