//! Rewrites before layout: constants folded, dead nodes dropped, epilogues absorbed.
use super::PlanOptions;
use crate::ops::{Binary, Op, Tensor};
use crate::{Act, Graph, GraphError, NodeId};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Values larger than this stay computed at run time rather than stored.
const FOLD_LIMIT: usize = 1 << 20;

/// A step before it has memory.
pub(crate) struct Draft {
    /// The node whose value it computes.
    pub node: NodeId,
    pub op: Op,
    pub ins: Vec<NodeId>,
    pub act: Act,
    /// Added after the activation.
    pub residual: Option<NodeId>,
}

/// Replaces nodes that depend on constants alone by their value.
pub(crate) fn fold_constants(graph: &Graph) -> Result<Graph, GraphError> {
    let mut out = graph.clone();
    for id in graph.ids() {
        let node = &out.nodes()[id.0];
        let constant = |i: &NodeId| matches!(out.nodes()[i.0].op, Op::Constant(..));
        if node.inputs.is_empty()
            || matches!(node.op, Op::Dropout(_)) // another value in every step
            || !node.inputs.iter().all(constant)
            || node.shape.row_len() > FOLD_LIMIT
            || node.shape.is_batched()
        {
            continue;
        }
        let ins: Vec<Tensor> = node.inputs.iter().filter_map(|i| as_tensor(&out, *i)).collect();
        let refs: Vec<&Tensor> = ins.iter().collect();
        let shape = node.shape;
        match node.op.rule().reference(&refs, shape.at(1)) {
            Ok(v) => out.replace(id, Op::Constant(v.iter().map(|x| *x as f32).collect::<Arc<[f32]>>(), shape), vec![]),
            Err(GraphError::NoReference { .. }) => {} // a backward operation: left to run time
            Err(e) => return Err(e),
        }
    }
    Ok(out)
}

fn as_tensor(graph: &Graph, id: NodeId) -> Option<Tensor> {
    let node = &graph.nodes()[id.0];
    let Op::Constant(v, shape) = &node.op else { return None };
    Some(Tensor { dims: shape.at(1), data: v.iter().map(|x| f64::from(*x)).collect() })
}

/// How often each live node is read; outputs and gradients count as readers.
struct Uses {
    count: Vec<usize>,
    pinned: Vec<bool>,
}

impl Uses {
    fn of(graph: &Graph) -> Uses {
        let n = graph.nodes().len();
        let mut uses = Uses { count: vec![0; n], pinned: vec![false; n] };
        let roots = graph.outputs().iter().map(|(_, id)| *id).chain(graph.grads.iter().map(|(_, id)| *id));
        roots.for_each(|id| {
            uses.pinned[id.0] = true;
            uses.count[id.0] += 1;
        });
        // Reverse order: every reader of a node is seen before the node itself.
        for id in graph.ids().rev() {
            if uses.count[id.0] > 0 {
                graph.nodes()[id.0].inputs.iter().for_each(|i| uses.count[i.0] += 1);
            }
        }
        uses
    }

    fn live(&self, id: NodeId) -> bool {
        self.count[id.0] > 0
    }

    /// Read by exactly one node, and not a result itself.
    fn only_one(&self, id: NodeId) -> bool {
        self.count[id.0] == 1 && !self.pinned[id.0]
    }
}

/// The live nodes that compute something, in order, each activation and residual absorbed into the dense layer or convolution before it.
pub(crate) fn fuse(graph: &Graph, _options: &PlanOptions) -> Vec<Draft> {
    let uses = Uses::of(graph);
    // Which draft computes a node, for nodes whose producer can still absorb.
    let mut maker: Vec<Option<usize>> = vec![None; graph.nodes().len()];
    let mut drafts: Vec<Draft> = Vec::new();
    for id in graph.ids().filter(|id| uses.live(*id)) {
        let node = &graph.nodes()[id.0];
        if matches!(node.op, Op::Input(_) | Op::Param(..) | Op::Constant(..)) {
            continue;
        }
        let absorbed = absorb_act(graph, id, &uses, &maker, &mut drafts)
            .or_else(|| absorb_residual(graph, id, &uses, &maker, &mut drafts));
        maker[id.0] = Some(absorbed.unwrap_or_else(|| {
            drafts.push(Draft {
                node: id,
                op: node.op.clone(),
                ins: node.inputs.clone(),
                act: Act::Identity,
                residual: None,
            });
            drafts.len() - 1
        }));
    }
    drafts
}

/// `act(linear)` becomes one draft when nobody else reads the sum before the activation.
fn absorb_act(graph: &Graph, id: NodeId, uses: &Uses, maker: &[Option<usize>], drafts: &mut [Draft]) -> Option<usize> {
    let node = &graph.nodes()[id.0];
    let act = node.op.as_act()?;
    let x = node.inputs[0];
    let at = maker[x.0].filter(|_| uses.only_one(x))?;
    let draft = &mut drafts[at];
    let fits = matches!(draft.op, Op::Linear(_) | Op::Conv2d(_))
        && draft.act == Act::Identity
        && draft.residual.is_none()
        && draft.node == x;
    if !fits {
        return None;
    }
    draft.act = act;
    draft.node = id;
    Some(at)
}

/// `act(linear) + r` becomes one draft when the dense layer is the last thing computed: r is surely there by then.
fn absorb_residual(
    graph: &Graph,
    id: NodeId,
    uses: &Uses,
    maker: &[Option<usize>],
    drafts: &mut [Draft],
) -> Option<usize> {
    let node = &graph.nodes()[id.0];
    if !matches!(node.op, Op::Binary(Binary::Add)) {
        return None;
    }
    let last = drafts.len().checked_sub(1)?;
    let (a, b) = (node.inputs[0], node.inputs[1]);
    let (sum, residual) = if maker[a.0] == Some(last) { (a, b) } else { (b, a) };
    let same_shape = graph.nodes()[residual.0].shape == node.shape && residual != sum;
    let draft = &mut drafts[last];
    let fits = maker[sum.0] == Some(last)
        && uses.only_one(sum)
        && matches!(draft.op, Op::Linear(_))
        && draft.residual.is_none()
        && draft.node == sum;
    if !fits || !same_shape {
        return None;
    }
    draft.residual = Some(residual);
    draft.node = id;
    Some(last)
}
