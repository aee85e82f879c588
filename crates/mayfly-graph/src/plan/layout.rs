//! Memory: aliases, lifetimes, offsets, and the calls that go with them.
use super::arena::{Arena, STEP, rounded};
use super::fuse::Draft;
use super::precision::{PrecisionReason, settle};
use super::{Call, Loc, PackSpec, Plan, PlanOptions, Port, Space, Step};
use crate::ops::Op;
use crate::{Graph, GraphError, NodeId};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use mayfly_kernels::Buffer;

/// Where a node's value lies: its own memory, or a part of another node's.
#[derive(Clone, Copy)]
struct Alias {
    root: NodeId,
    offset: usize,
}

struct Builder<'a> {
    graph: &'a Graph,
    options: &'a PlanOptions,
    aliases: Vec<Alias>,
    /// Index of the last draft that reads a root; `usize::MAX` for what must stay.
    last_use: Vec<usize>,
    locs: Vec<Option<Loc>>,
    arena: Arena,
    consts: Vec<f32>,
    packs: Vec<PackSpec>,
}

pub(crate) fn lay_out(graph: &Graph, drafts: Vec<Draft>, options: &PlanOptions) -> Result<Plan, GraphError> {
    for node in graph.nodes() {
        let dims = node.shape.at(options.batch);
        if !dims.is_addressable() {
            return Err(GraphError::Overflow { what: node.op.name().to_string(), dims: format!("{dims:?}") });
        }
    }
    let mut b = Builder::new(graph, options);
    let drafts = b.alias(drafts);
    b.find_last_uses(&drafts);
    b.place_leaves();
    b.place_gradients(&drafts);
    let mut steps: Vec<Step> = drafts.iter().enumerate().map(|(i, d)| b.step(i, d)).collect();
    b.copy_gradients(&mut steps);
    b.finish(steps)
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, options: &'a PlanOptions) -> Self {
        let n = graph.nodes().len();
        Builder {
            graph,
            options,
            aliases: graph.ids().map(|root| Alias { root, offset: 0 }).collect(),
            last_use: vec![0; n],
            locs: vec![None; n],
            arena: Arena::default(),
            consts: Vec::new(),
            packs: Vec::new(),
        }
    }

    fn len(&self, id: NodeId) -> usize {
        self.dims(id).len()
    }

    fn dims(&self, id: NodeId) -> crate::Dims {
        self.graph.nodes()[id.0].shape.at(self.options.batch)
    }

    fn root(&self, id: NodeId) -> NodeId {
        self.aliases[id.0].root
    }

    /// Drafts that only rename memory become aliases: reshapes, and slices that are contiguous.
    fn alias(&mut self, drafts: Vec<Draft>) -> Vec<Draft> {
        let results: Vec<NodeId> = self.graph.grads.iter().map(|(_, id)| *id).collect();
        let renames = |b: &Self, d: &Draft| match &d.op {
            Op::Reshape(_) => Some(0),
            Op::Slice(s) => {
                let (outer, _, inner) = b.dims(d.ins[0]).around(s.axis);
                (outer == 1).then_some(s.start * inner)
            }
            _ => None,
        };
        drafts
            .into_iter()
            .filter(|d| {
                // A gradient needs a place of its own in the gradient array.
                let Some(offset) = renames(self, d).filter(|_| !results.contains(&d.node)) else { return true };
                let from = self.aliases[d.ins[0].0];
                self.aliases[d.node.0] = Alias { root: from.root, offset: from.offset + offset };
                false
            })
            .collect()
    }

    fn find_last_uses(&mut self, drafts: &[Draft]) {
        for (i, d) in drafts.iter().enumerate() {
            for input in d.ins.iter().chain(&d.residual) {
                let root = self.root(*input);
                self.last_use[root.0] = self.last_use[root.0].max(i);
            }
            self.last_use[d.node.0] = self.last_use[d.node.0].max(i);
        }
        for (_, id) in self.graph.outputs() {
            let root = self.root(*id);
            self.last_use[root.0] = usize::MAX;
        }
    }

    /// Inputs keep their memory throughout: what was written stays there until it is written again.
    fn place_leaves(&mut self) {
        for id in self.graph.ids() {
            let len = self.len(id);
            let loc = match &self.graph.nodes()[id.0].op {
                Op::Input(_) => Loc { space: Space::Arena, at: self.arena.take(len).start, len },
                Op::Param(p, _) => Loc { space: Space::Params, at: self.graph.params()[p.0].offset, len },
                Op::Constant(v, _) => self.place_constant(v),
                _ => continue,
            };
            if loc.space == Space::Arena {
                self.last_use[id.0] = usize::MAX;
            }
            self.locs[id.0] = Some(loc);
        }
    }

    fn place_constant(&mut self, values: &[f32]) -> Loc {
        let at = self.consts.len();
        self.consts.extend_from_slice(values);
        self.consts.resize(at + rounded(values.len()), 0.0);
        Loc { space: Space::Consts, at, len: values.len() }
    }

    /// A node that is one parameter's gradient and nothing else is written straight to its place in the gradient array.
    fn place_gradients(&mut self, drafts: &[Draft]) {
        for (param, node) in &self.graph.grads {
            let computed = drafts.iter().any(|d| d.node == *node);
            let read = drafts.iter().any(|d| d.ins.iter().chain(&d.residual).any(|i| self.root(*i) == *node));
            let shared = self.graph.grads.iter().filter(|(_, n)| n == node).count() > 1;
            if computed && !read && !shared {
                self.locs[node.0] = Some(self.gradient_loc(*param));
            } else {
                let root = self.root(*node);
                self.last_use[root.0] = usize::MAX;
            }
        }
    }

    fn gradient_loc(&self, param: crate::ParamId) -> Loc {
        let info = &self.graph.params()[param.0];
        Loc { space: Space::Grads, at: info.offset, len: info.shape.row_len() }
    }

    /// The gradients that could not be written in place are copied there at the end.
    fn copy_gradients(&self, steps: &mut Vec<Step>) {
        for (param, node) in &self.graph.grads {
            let (out, from, dims) = (self.gradient_loc(*param), self.loc(*node), self.dims(*node));
            if from.space != Space::Grads {
                let call = Call::Op(Op::Reshape(crate::ops::Reshape(self.graph.nodes()[node.0].shape)));
                let scratch = Loc { space: Space::Arena, at: 0, len: 0 };
                steps.push(Step {
                    call,
                    out,
                    scratch,
                    ins: vec![from],
                    in_dims: vec![dims],
                    out_dims: dims,
                    dies: vec![],
                });
            }
        }
    }

    fn loc(&self, id: NodeId) -> Loc {
        let Alias { root, offset } = self.aliases[id.0];
        // Topological order: whatever is read was placed before.
        let base = self.locs[root.0].unwrap_or(Loc { space: Space::Arena, at: 0, len: 0 });
        Loc { space: base.space, at: base.at.saturating_add(offset), len: self.len(id) }
    }

    fn step(&mut self, index: usize, d: &Draft) -> Step {
        let ins: Vec<NodeId> = d.ins.iter().chain(&d.residual).copied().collect();
        let in_dims: Vec<_> = ins.iter().map(|i| self.dims(*i)).collect();
        let out_dims = self.dims(d.node);
        let locs: Vec<Loc> = ins.iter().map(|i| self.loc(*i)).collect();
        let (call, scratch_len) = self.call(d, &locs, &in_dims, out_dims);
        let (out, scratch) = self.place(d.node, scratch_len);
        let mut dies: Vec<Range<usize>> = Vec::new();
        let roots: Vec<NodeId> = ins.iter().map(|i| self.root(*i)).chain([d.node]).collect();
        for root in roots {
            let dead = self.last_use[root.0] == index;
            if let Some(loc) = self.locs[root.0].filter(|l| dead && l.space == Space::Arena) {
                dies.push(loc.at..loc.at.saturating_add(rounded(loc.len)));
                self.last_use[root.0] = usize::MAX; // given back once
            }
        }
        if scratch.len > 0 {
            dies.push(scratch.at..scratch.at.saturating_add(rounded(scratch.len)));
        }
        dies.iter().for_each(|r| self.arena.give(r.clone()));
        Step { call, out, scratch, ins: locs, in_dims, out_dims, dies }
    }

    /// Memory for a result and its scratch, side by side when both lie in the arena.
    fn place(&mut self, node: NodeId, scratch_len: usize) -> (Loc, Loc) {
        let len = self.len(node);
        if let Some(out) = self.locs[node.0] {
            let at = if scratch_len > 0 { self.arena.take(scratch_len).start } else { 0 };
            return (out, Loc { space: Space::Arena, at, len: scratch_len });
        }
        let at = self.arena.take(rounded(len).saturating_add(scratch_len)).start;
        let out = Loc { space: Space::Arena, at, len };
        self.locs[node.0] = Some(out);
        (out, Loc { space: Space::Arena, at: at.saturating_add(rounded(len)), len: scratch_len })
    }

    fn call(&mut self, d: &Draft, ins: &[Loc], in_dims: &[crate::Dims], out: crate::Dims) -> (Call, usize) {
        let (act, residual) = (d.act, d.residual.is_some());
        match &d.op {
            Op::Linear(_) if self.packs_well(&ins[1], ins.get(2).filter(|_| d.ins.len() > 2)) => {
                let bias = (d.ins.len() > 2).then(|| ins[2]);
                let pack = self.pack(PackSpec {
                    weight: ins[1],
                    bias,
                    inputs: in_dims[0].last(),
                    outputs: out.last(),
                    precision: self.options.precision,
                    reason: PrecisionReason::Asked,
                });
                (Call::Packed { pack, act, residual, rows: out.rows() }, 0)
            }
            Op::Linear(_) => {
                let scratch = d.op.rule().scratch_len(in_dims, out);
                (Call::Linear { act, bias: d.ins.len() > 2, residual }, scratch)
            }
            Op::Conv2d(c) => {
                let spec = c.0.with_weight(in_dims[0], in_dims[1]);
                (Call::Conv2d { spec, act }, spec.scratch_len())
            }
            op => (Call::Op(op.clone()), op.rule().scratch_len(in_dims, out)),
        }
    }

    /// Weights are packed when they cannot change under the session: inference, straight from parameters.
    fn packs_well(&self, weight: &Loc, bias: Option<&Loc>) -> bool {
        !self.graph.is_training() && weight.space == Space::Params && bias.is_none_or(|b| b.space == Space::Params)
    }

    fn pack(&mut self, spec: PackSpec) -> usize {
        self.packs.iter().position(|p| *p == spec).unwrap_or_else(|| {
            self.packs.push(spec);
            self.packs.len() - 1
        })
    }

    fn finish(mut self, steps: Vec<Step>) -> Result<Plan, GraphError> {
        let (needed, limit) = (self.arena.len().saturating_mul(size_of::<f32>()), self.options.arena_limit);
        if needed > limit.min(isize::MAX as usize) {
            return Err(GraphError::TooLarge { needed, limit });
        }
        settle(&mut self.packs);
        let port = |(name, id): &(alloc::string::String, NodeId)| Port {
            name: name.clone(),
            loc: self.loc(*id),
            dims: self.dims(*id),
        };
        let mut consts = Buffer::zeroed(self.consts.len());
        consts.copy_from_slice(&self.consts);
        debug_assert!(steps.iter().all(|s| s.out.space != Space::Arena || s.out.at % STEP == 0));
        Ok(Plan {
            isa: self.options.isa,
            batch: self.options.batch,
            training: self.graph.is_training(),
            precision: self.options.precision,
            inputs: self.graph.inputs().iter().map(port).collect(),
            outputs: self.graph.outputs().iter().map(port).collect(),
            params: Arc::from(self.graph.params()),
            param_len: self.graph.param_len(),
            consts: Arc::new(consts),
            arena_len: self.arena.len(),
            packs: self.packs,
            steps,
        })
    }
}
