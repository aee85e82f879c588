//! Differentiation by rewriting: a graph becomes a larger graph that also computes gradients, of a scalar loss by its parameters or of a value by its inputs.
use crate::ir::Role;
use crate::ops::{Binary, Op};
use crate::{Graph, GraphError, NodeId, ParamId, Shape};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// What a gradient rule may look at and write to.
pub(crate) struct GradCx<'a> {
    graph: &'a mut Graph,
    /// Which of the original nodes lead back to a leaf whose gradient is wanted.
    needed: &'a [bool],
    node: NodeId,
    inputs: Vec<NodeId>,
    dy: NodeId,
}

impl GradCx<'_> {
    pub fn graph(&mut self) -> &mut Graph {
        self.graph
    }

    /// Input `i` of the node being differentiated.
    pub fn input(&self, i: usize) -> NodeId {
        self.inputs[i]
    }

    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// The node being differentiated.
    pub fn output(&self) -> NodeId {
        self.node
    }

    /// The gradient of the loss with respect to the output.
    pub fn dy(&self) -> NodeId {
        self.dy
    }

    pub fn shape(&self, id: NodeId) -> Result<Shape, GraphError> {
        self.graph.shape(id)
    }

    /// Builds the gradient of input `i` if that input exists and leads to a leaf whose gradient is wanted.
    pub fn when(
        &mut self,
        i: usize,
        build: impl FnOnce(&mut Graph) -> Result<NodeId, GraphError>,
    ) -> Result<Option<NodeId>, GraphError> {
        match self.inputs.get(i) {
            Some(id) if self.needed[id.0] => build(self.graph).map(Some),
            _ => Ok(None),
        }
    }
}

/// The graph extended by the gradient of `loss` (a scalar) with respect to every parameter of [`Role::Weight`].
/// Running statistics get `parameter − statistic` as theirs. A plan of the result fills the session's flat gradient array.
///
/// # Errors
/// A loss that is no scalar, or an operation without gradient between a parameter and the loss.
pub fn gradient(graph: &Graph, loss: NodeId) -> Result<Graph, GraphError> {
    let mut out = graph.clone();
    let shape = out.shape(loss)?;
    if shape != Shape::scalar() {
        return Err(GraphError::LossNotScalar { got: shape });
    }
    let one = out.constant(&[1.0], &[])?;
    let is_trained = |op: &Op| matches!(op, Op::Param(id, _) if graph.params()[id.0].role == Role::Weight);
    let grads = back(&mut out, graph, (loss, one), &is_trained)?;
    out.grads = collect(&mut out, graph, &grads)?;
    Ok(out)
}

/// The graph extended by the gradient of `Σ dy·y` with respect to its inputs: it has one more input, `dy`, of the shape of the node `y`,
/// and an output `d_NAME` for each input that `y` depends on. Where rows of a batch go through the graph one by one, each gets the gradient of its own sum:
/// with a single 1 among a row of `dy`, that of a single value.
///
/// ```
/// use mayfly_graph::{Act, Graph, Plan, PlanOptions, Session, Shape, input_gradient};
/// # fn main() -> Result<(), mayfly_graph::GraphError> {
/// let mut g = Graph::new();
/// let x = g.input("x", Shape::batched(&[1])?)?;
/// let y = g.act(x, Act::Square)?;
/// g.output("y", y)?;
/// let mut session = Session::new(Plan::new(&input_gradient(&g, y)?, &PlanOptions::batch(2))?, &[])?;
/// session.input_mut(0).copy_from_slice(&[3.0, 5.0]);
/// session.input_mut(1).copy_from_slice(&[1.0, 10.0]);
/// session.run();
/// assert_eq!(session.output(1), [6.0, 100.0]); // 2·x, times dy
/// # Ok(()) }
/// ```
///
/// # Errors
/// A node of another graph, an input that is called `dy`, or an operation without gradient between an input and `y`.
pub fn input_gradient(graph: &Graph, y: NodeId) -> Result<Graph, GraphError> {
    let mut out = graph.clone();
    let dy = out.input("dy", graph.shape(y)?)?;
    let grads = back(&mut out, graph, (y, dy), &|op| matches!(op, Op::Input(_)))?;
    for (name, input) in graph.inputs() {
        if let Some(gradient) = grads[input.0] {
            out.output(&format!("d_{name}"), gradient)?;
        }
    }
    Ok(out)
}

/// The gradients of all nodes between `end`, whose own gradient is given, and the leaves that are wanted.
fn back(
    out: &mut Graph,
    graph: &Graph,
    (end, gradient): (NodeId, NodeId),
    is_wanted: &dyn Fn(&Op) -> bool,
) -> Result<Vec<Option<NodeId>>, GraphError> {
    let needed = leads_to(graph, is_wanted);
    let mut grads = vec![None; graph.nodes().len()];
    grads[end.0] = Some(gradient);
    for id in graph.ids().rev() {
        if let Some(dy) = grads[id.0].filter(|_| needed[id.0]) {
            back_one(out, id, dy, &needed, &mut grads)?;
        }
    }
    Ok(grads)
}

/// Which nodes depend on such a leaf.
fn leads_to(graph: &Graph, is_wanted: &dyn Fn(&Op) -> bool) -> Vec<bool> {
    let mut needed: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        needed.push(is_wanted(&node.op) || node.inputs.iter().any(|i| needed[i.0]));
    }
    needed
}

/// Applies one rule and adds what it says to the inputs' gradients.
fn back_one(
    out: &mut Graph,
    id: NodeId,
    dy: NodeId,
    needed: &[bool],
    grads: &mut [Option<NodeId>],
) -> Result<(), GraphError> {
    let node = out.node(id)?.clone();
    if node.inputs.is_empty() {
        return Ok(());
    }
    let mut cx = GradCx { graph: out, needed, node: id, inputs: node.inputs.clone(), dy };
    let parts = node.op.rule().grad(&mut cx)?;
    for (input, part) in node.inputs.iter().zip(parts) {
        let Some(part) = part.filter(|_| needed[input.0]) else { continue };
        grads[input.0] = Some(match grads[input.0] {
            Some(before) => out.binary(Binary::Add, before, part)?,
            None => part,
        });
    }
    Ok(())
}

/// Pairs each parameter with the node that computes its gradient.
fn collect(out: &mut Graph, graph: &Graph, grads: &[Option<NodeId>]) -> Result<Vec<(ParamId, NodeId)>, GraphError> {
    let mut pairs = Vec::new();
    for id in graph.ids() {
        if let (Op::Param(param, _), Some(g)) = (&graph.node(id)?.op, grads[id.0]) {
            pairs.push((*param, g));
        }
    }
    for (param, statistic) in graph.stats.clone() {
        let Some(node) = graph.ids().find(|id| matches!(&graph.nodes()[id.0].op, Op::Param(p, _) if *p == param))
        else {
            continue;
        };
        pairs.push((param, out.binary(Binary::Sub, node, statistic)?));
    }
    Ok(pairs)
}
