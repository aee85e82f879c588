//! The graph: nodes in topological order, named inputs, outputs and parameters.
use crate::ops::Op;
use crate::{GraphError, Shape};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// More inputs than this no operation takes ([`Graph::concat`] chains itself).
pub(crate) const MAX_INPUTS: usize = 8;

/// A node of one graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// The place in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A parameter of one graph, counted in the order of declaration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ParamId(pub(crate) usize);

impl ParamId {
    /// The place in [`Graph::params`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a parameter is for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role {
    /// Trained by the optimiser.
    Weight,
    /// Follows a statistic of the batches: its "gradient" is `parameter − statistic`, to be applied with a plain step of the momentum.
    RunningStat,
}

/// One parameter's place in the flat arrays.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamInfo {
    /// Unique name, PyTorch style: `layers.0.weight`.
    pub name: String,
    /// Its fixed shape.
    pub shape: Shape,
    /// First element in the flat parameter array.
    pub offset: usize,
    /// What it is for.
    pub role: Role,
}

impl ParamInfo {
    /// Its range in the flat arrays of parameters, gradients and optimiser moments.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.offset..self.offset + self.shape.row_len()
    }
}

/// One operation with its inputs and the shape of its result.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// From which nodes.
    pub inputs: Vec<NodeId>,
    /// The shape of the result.
    pub shape: Shape,
}

/// A straight-line graph: insertion order is a topological order.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    inputs: Vec<(String, NodeId)>,
    outputs: Vec<(String, NodeId)>,
    params: Vec<ParamInfo>,
    pub(crate) grads: Vec<(ParamId, NodeId)>,
    pub(crate) stats: Vec<(ParamId, NodeId)>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Adds an operation; its shape rule decides whether the inputs fit.
    pub(crate) fn push(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        let shapes = inputs.iter().map(|id| self.node(*id).map(|n| n.shape)).collect::<Result<Vec<_>, _>>()?;
        if shapes.len() > MAX_INPUTS {
            return Err(GraphError::Arity { op: op.name(), want: "at most 8", got: shapes.len() });
        }
        let shape = op.shape(&shapes)?;
        self.nodes.push(Node { op, inputs: inputs.to_vec(), shape });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// A named input.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn input(&mut self, name: &str, shape: Shape) -> Result<NodeId, GraphError> {
        taken("input", name, self.inputs.iter().map(|(n, _)| n))?;
        let id = self.push(Op::Input(shape), &[])?;
        self.inputs.push((name.to_string(), id));
        Ok(id)
    }

    /// A trained parameter of a fixed shape, at the end of the flat parameter array.
    ///
    /// # Errors
    /// A name that is taken or an impossible shape.
    pub fn param(&mut self, name: &str, dims: &[usize]) -> Result<NodeId, GraphError> {
        self.param_with(name, dims, Role::Weight)
    }

    /// A parameter with a role.
    ///
    /// # Errors
    /// A name that is taken, an impossible shape, or more parameters than an array can hold.
    pub fn param_with(&mut self, name: &str, dims: &[usize], role: Role) -> Result<NodeId, GraphError> {
        taken("parameter", name, self.params.iter().map(|p| &p.name))?;
        let shape = Shape::fixed(dims)?;
        let offset = self.param_len();
        if offset.checked_add(shape.row_len()).is_none_or(|end| end > isize::MAX as usize / size_of::<f32>()) {
            return Err(GraphError::Overflow { what: "the parameter array".to_string(), dims: shape.to_string() });
        }
        let id = ParamId(self.params.len());
        self.params.push(ParamInfo { name: name.to_string(), shape, offset, role });
        self.push(Op::Param(id, shape), &[])
    }

    /// A value known now.
    ///
    /// # Errors
    /// A count that does not fill the shape.
    pub fn constant(&mut self, values: &[f32], dims: &[usize]) -> Result<NodeId, GraphError> {
        let shape = Shape::fixed(dims)?;
        if shape.row_len() != values.len() {
            return Err(GraphError::Length {
                what: "a constant".to_string(),
                want: shape.row_len(),
                got: values.len(),
            });
        }
        self.push(Op::Constant(Arc::from(values), shape), &[])
    }

    /// Names a node as a result of the graph.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn output(&mut self, name: &str, id: NodeId) -> Result<(), GraphError> {
        taken("output", name, self.outputs.iter().map(|(n, _)| n))?;
        self.node(id)?;
        self.outputs.push((name.to_string(), id));
        Ok(())
    }

    /// Lets the running statistic `param` follow the node `value` of the same shape (see [`Role::RunningStat`]).
    ///
    /// # Errors
    /// Unknown nodes, a node that is no parameter, or different shapes.
    pub fn follow(&mut self, param: NodeId, value: NodeId) -> Result<(), GraphError> {
        let Op::Param(id, shape) = self.node(param)?.op else {
            return Err(GraphError::BadAttribute {
                op: "follow",
                what: "the first node must be a parameter".to_string(),
            });
        };
        let got = self.node(value)?.shape;
        if got != shape {
            return Err(GraphError::ShapeMismatch { op: "follow", want: shape.to_string(), got });
        }
        self.stats.push((id, value));
        Ok(())
    }

    /// One node.
    ///
    /// # Errors
    /// An id from another graph.
    pub fn node(&self, id: NodeId) -> Result<&Node, GraphError> {
        self.nodes.get(id.0).ok_or(GraphError::UnknownNode { id: id.0, nodes: self.nodes.len() })
    }

    /// The shape of a node.
    ///
    /// # Errors
    /// An id from another graph.
    pub fn shape(&self, id: NodeId) -> Result<Shape, GraphError> {
        self.node(id).map(|n| n.shape)
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Named inputs in order of declaration.
    pub fn inputs(&self) -> &[(String, NodeId)] {
        &self.inputs
    }

    /// Named outputs in order of declaration.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// Parameters in the order of the flat array.
    pub fn params(&self) -> &[ParamInfo] {
        &self.params
    }

    /// Length of the flat parameter array.
    pub fn param_len(&self) -> usize {
        self.params.last().map_or(0, |p| p.range().end)
    }

    /// Whether this graph computes gradients.
    pub fn is_training(&self) -> bool {
        !self.grads.is_empty()
    }

    /// All nodes' ids in topological order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Adds an operation as it is, for programs that copy or load graphs; its shape rule decides whether the inputs fit.
    ///
    /// # Errors
    /// Inputs that do not fit, and leaves, which have methods of their own.
    pub fn operation(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        match op {
            Op::Input(_) | Op::Param(..) | Op::Constant(..) => Err(GraphError::BadAttribute {
                op: op.name(),
                what: "leaves are added by Graph::input, Graph::param and Graph::constant".to_string(),
            }),
            op => self.push(op, inputs),
        }
    }

    pub(crate) fn replace(&mut self, id: NodeId, op: Op, inputs: Vec<NodeId>) {
        self.nodes[id.0].op = op;
        self.nodes[id.0].inputs = inputs;
    }
}

fn taken<'a>(kind: &'static str, name: &str, mut names: impl Iterator<Item = &'a String>) -> Result<(), GraphError> {
    if names.any(|n| n == name) {
        return Err(GraphError::DuplicateName { kind, name: name.to_string() });
    }
    Ok(())
}
