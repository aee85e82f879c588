//! The network under construction: its operations, their shapes, and the values of its parameters.
use super::super::error::{Bad, Res, bad};
use crate::layers::{GraphOp, ParamKind, Values};
use mayfly_graph::{Graph, NodeId, Shape};
use std::collections::BTreeMap;

/// Operations and parameters.
pub struct Builder {
    pub ops: Vec<GraphOp>,
    /// The same operations as a graph, for their shapes; parameters have numbers for names.
    graph: Graph,
    nodes: Vec<NodeId>,
    /// Values by the name of the parameter.
    pub params: BTreeMap<String, Vec<f32>>,
    /// Parameters made already, by name and layout.
    made: BTreeMap<(String, String), usize>,
}

impl Builder {
    pub fn new(row: &[usize]) -> Res<Builder> {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batched(row)?)?;
        Ok(Builder { ops: Vec::new(), graph, nodes: vec![x], params: BTreeMap::new(), made: BTreeMap::new() })
    }

    pub fn push(&mut self, op: GraphOp) -> Res<usize> {
        let node = op.emit(&mut self.graph, &Values(&self.nodes))?;
        self.ops.push(op);
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// The dimensions of a value behind the batch.
    pub fn row(&self, id: usize) -> Res<Vec<usize>> {
        let shape = self.nodes.get(id).map(|n| self.graph.shape(*n)).transpose()?;
        let Some(shape) = shape else { return bad(format!("value {id}")) };
        Ok(if shape.is_batched() { shape.dims()[1..].to_vec() } else { shape.dims().to_vec() })
    }

    pub fn reshape(&mut self, id: usize, dims: &[usize]) -> Res<usize> {
        let from = match id.checked_sub(1).and_then(|i| self.ops.get(i)) {
            Some(GraphOp::Reshape { x, .. }) => *x,
            _ => id,
        };
        if self.row(id)? == dims {
            Ok(id)
        } else if self.row(from)? == dims {
            Ok(from)
        } else {
            self.push(GraphOp::Reshape { x: from, dims: dims.to_vec() })
        }
    }

    /// A parameter; `layout` says in which order its values are, so that one tensor may become several parameters only when it must.
    pub fn param(&mut self, name: &str, layout: &str, dims: &[usize], kind: ParamKind, values: Vec<f32>) -> Res<usize> {
        let made = (name.to_owned(), format!("{layout} {dims:?} {kind:?}"));
        if !name.is_empty()
            && let Some(id) = self.made.get(&made)
        {
            return Ok(*id);
        }
        let want: usize = dims.iter().product();
        if want != values.len() {
            return bad(format!("{} values for a parameter of {dims:?}", values.len()));
        }
        if values.iter().any(|v| v.is_nan()) {
            return bad(format!("the tensor {name:?} has values that are no numbers"));
        }
        // Masks of −∞ become the lowest number: the same to a softmax, and finite, as parameters must be.
        let values: Vec<f32> = values.into_iter().map(|v| v.clamp(f32::MIN, f32::MAX)).collect();
        let unique = self.unique(name);
        let node = self.graph.param(&unique, dims).map_err(Bad::from)?;
        self.ops.push(GraphOp::Param { name: unique.clone(), dims: dims.to_vec(), kind });
        self.nodes.push(node);
        self.params.insert(unique, values);
        self.made.insert(made, self.nodes.len() - 1);
        Ok(self.nodes.len() - 1)
    }

    /// A name that no other parameter has, and that is no name of a tensor of scales, which quantised files add.
    fn unique(&self, name: &str) -> String {
        let base = match name.strip_suffix(".scale") {
            Some(front) => format!("{front}_scale"),
            None if name.is_empty() => "constant".to_owned(),
            None => name.to_owned(),
        };
        let numbered = (2..).map(|i| format!("{base}_{i}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|n| !self.params.contains_key(n));
        free.unwrap_or(base)
    }

    /// Takes back the last operation, if it is a linear layer without bias that made `id`.
    pub fn take_linear(&mut self, id: usize) -> Option<(usize, usize)> {
        let Some(GraphOp::Linear { x, w, b: None }) = self.ops.last() else { return None };
        let parts = (*x, *w);
        if self.nodes.len() - 1 != id {
            return None;
        }
        self.ops.pop();
        self.nodes.pop();
        Some(parts)
    }
}

impl Builder {
    pub fn is_batched(&self, id: usize) -> Res<bool> {
        let Some(node) = self.nodes.get(id) else { return bad(format!("value {id}")) };
        Ok(self.graph.shape(*node)?.is_batched())
    }
}
