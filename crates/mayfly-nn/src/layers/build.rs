//! What a layer builds itself with: the graph, named parameters and how they start.
use super::LayerSpec;
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::init::{Init, ParamInit, Part};
use mayfly_base::mix;
use mayfly_graph::{Graph, NodeId, Role, Shape};
use std::mem;

/// What the graph is for, as far as layers care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// To run: running statistics, nothing dropped.
    Run,
    /// To learn: the batch's own statistics, values dropped by this seed.
    Learn { seed: u64 },
}

/// A graph under construction with what goes beside it.
pub(crate) struct Build {
    pub graph: Graph,
    /// One per parameter.
    pub inits: Vec<ParamInit>,
    /// Parameters (by number) that follow a running statistic, with their momentum.
    pub momenta: Vec<(usize, f32)>,
    pub purpose: Purpose,
    /// The network's inputs besides the first, by name.
    pub extras: Vec<(String, NodeId)>,
    /// The output of each layer of the outermost sequence.
    pub taps: Vec<(String, NodeId)>,
    /// The activation applied last, with its input and output.
    pub last_act: Option<(Activation, NodeId, NodeId)>,
    dropouts: u64,
}

impl Build {
    pub(crate) fn new(purpose: Purpose) -> Self {
        Build {
            graph: Graph::new(),
            inits: Vec::new(),
            momenta: Vec::new(),
            purpose,
            extras: Vec::new(),
            taps: Vec::new(),
            last_act: None,
            dropouts: 0,
        }
    }

    /// One of the network's further inputs.
    pub(crate) fn extra(&self, name: &str) -> Result<NodeId> {
        let found = self.extras.iter().find(|(known, _)| known == name);
        found.map(|(_, id)| *id).ok_or_else(|| {
            let known = self.extras.iter().map(|(known, _)| known.clone()).collect();
            NnError::UnknownName { kind: "input", name: name.to_owned(), known }
        })
    }

    /// Builds the network's own sequence of layers.
    pub(crate) fn layers(&mut self, layers: &[LayerSpec], x: NodeId) -> Result<NodeId> {
        let mut cx = LayerCx { build: self, path: String::new(), seen: Seen::new(x) };
        let outputs = cx.sequence(layers, x)?;
        self.taps = outputs;
        Ok(self.taps.last().map_or(x, |(_, y)| *y))
    }
}

/// The outputs of a sequence so far, for layers that read all of them.
#[derive(Clone)]
struct Seen {
    /// Everything up to some layer, side by side.
    joined: NodeId,
    /// The outputs after that.
    pending: Vec<NodeId>,
}

impl Seen {
    fn new(x: NodeId) -> Self {
        Seen { joined: x, pending: Vec::new() }
    }

    fn replace_last(&mut self, y: NodeId) {
        match self.pending.last_mut() {
            Some(last) => *last = y,
            None => self.joined = y,
        }
    }
}

/// What a layer, built in or the user's own, builds itself with.
///
/// Values are `[batch, ..]`; [`LayerCx::dims`] gives what follows the batch. Parameters are named after the layer's place: `layers.2.weight`.
pub struct LayerCx<'a> {
    build: &'a mut Build,
    path: String,
    seen: Seen,
}

impl LayerCx<'_> {
    /// The graph to add operations to.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.build.graph
    }

    /// The dimensions of a value behind the batch.
    ///
    /// # Errors
    /// A node of another graph, or a value that is not batched.
    pub fn dims(&self, x: NodeId) -> Result<Vec<usize>> {
        let shape = self.build.graph.shape(x)?;
        match shape.dims() {
            [_, rest @ ..] if shape.is_batched() => Ok(rest.to_vec()),
            _ => Err(self.refuse(format!("a value of shape {shape} where a batch was expected"))),
        }
    }

    /// One of the network's further inputs ([`NetworkSpec::extra_inputs`](crate::NetworkSpec)), `[batch, ..]`.
    ///
    /// # Errors
    /// The network has no input of this name.
    pub fn input(&self, name: &str) -> Result<NodeId> {
        self.build.extra(name)
    }

    /// Builds layers one after another on `x`, as parts of this layer, and returns the last one's output. Their parameters are named `<this>.layers.<i>…`.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn layers(&mut self, layers: &[LayerSpec], x: NodeId) -> Result<NodeId> {
        Ok(self.sequence(layers, x)?.last().map_or(x, |(_, y)| *y))
    }

    /// Whether the graph is for training: dropout drops, batch norm uses the batch's statistics.
    pub fn is_training(&self) -> bool {
        self.build.purpose != Purpose::Run
    }

    /// A weight of the given dimensions, output units first (`[o, i, kernel..]`): a user who chooses an initialiser for the network replaces `init`.
    ///
    /// # Errors
    /// A name that the layer used before, or an impossible shape.
    pub fn weight(&mut self, name: &str, dims: &[usize], init: Init) -> Result<NodeId> {
        let (units, rest) = dims.split_first().map_or((1, dims), |(o, rest)| (*o, rest));
        let kernel: usize = rest.iter().skip(1).product();
        let fan_in = rest.iter().product();
        self.declare(
            name,
            dims,
            ParamInit { scheme: init, part: Part::Weight, fan_in, fan_out: units.saturating_mul(kernel) },
        )
    }

    /// A bias of `n` values for units with `fan_in` inputs.
    ///
    /// # Errors
    /// A name that the layer used before, or an impossible shape.
    pub fn bias(&mut self, name: &str, n: usize, init: Init) -> Result<NodeId> {
        self.declare(name, &[n], ParamInit { scheme: init, part: Part::Bias, fan_in: 1, fan_out: n })
    }

    /// A parameter that starts as `init` says whatever the user chooses for the network: gains, tables.
    ///
    /// # Errors
    /// A name that the layer used before, or an impossible shape.
    pub fn param(&mut self, name: &str, dims: &[usize], init: Init) -> Result<NodeId> {
        self.declare(name, dims, ParamInit { scheme: init, part: Part::Other, fan_in: 1, fan_out: 1 })
    }

    /// A parameter that follows a statistic of the batches: after each step it moves by `momentum` of the way. No optimiser touches it; what an operation
    /// gives as its gradient is the parameter less the batch's statistic.
    ///
    /// # Errors
    /// A name that the layer used before, or an impossible shape.
    pub fn running(&mut self, name: &str, dims: &[usize], init: Init, momentum: f32) -> Result<NodeId> {
        self.build.momenta.push((self.build.inits.len(), momentum));
        self.build.inits.push(ParamInit { scheme: init, part: Part::Other, fan_in: 1, fan_out: 1 });
        let name = self.named(name);
        Ok(self.build.graph.param_with(&name, dims, Role::RunningStat)?)
    }

    fn declare(&mut self, name: &str, dims: &[usize], init: ParamInit) -> Result<NodeId> {
        let name = self.named(name);
        let id = self.build.graph.param(&name, dims)?;
        self.build.inits.push(init);
        Ok(id)
    }

    fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// Applies an activation.
    ///
    /// # Errors
    /// A value that the activation cannot take.
    pub fn activate(&mut self, x: NodeId, activation: Activation) -> Result<NodeId> {
        let y = match activation {
            Activation::Act(act) => self.build.graph.act(x, act)?,
            Activation::Softmax => self.build.graph.softmax(x)?,
            Activation::LogSoftmax => self.build.graph.log_softmax(x)?,
        };
        self.build.last_act = Some((activation, x, y));
        Ok(y)
    }

    /// The value with other dimensions behind the batch, folded as it was.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn reshape(&mut self, x: NodeId, dims: &[usize]) -> Result<NodeId> {
        let per_row = self.per_row(x)?;
        let to = Shape::folded(per_row, dims)?;
        Ok(self.build.graph.reshape(x, to)?)
    }

    /// Every row as many rows as its first dimension says: `[batch, n, ..] → [batch · n, ..]`. Costs nothing.
    ///
    /// # Errors
    /// A value without dimensions behind the batch.
    pub fn fold(&mut self, x: NodeId) -> Result<NodeId> {
        let dims = self.dims(x)?;
        let Some((n, rest)) = dims.split_first() else {
            return Err(self.refuse("a batch of single values, which cannot be folded"));
        };
        let to = Shape::folded(self.per_row(x)? * n, rest)?;
        Ok(self.build.graph.reshape(x, to)?)
    }

    /// Takes a fold by `n` back: `[batch · n, ..] → [batch, n, ..]`.
    ///
    /// # Errors
    /// A value that was not folded so.
    pub fn unfold(&mut self, x: NodeId, n: usize) -> Result<NodeId> {
        let (per_row, mut dims) = (self.per_row(x)?, self.dims(x)?);
        if n == 0 || !per_row.is_multiple_of(n) {
            return Err(self.refuse(format!("a batch folded by {per_row}, taken for one folded by {n}")));
        }
        dims.insert(0, n);
        let to = Shape::folded(per_row / n, &dims)?;
        Ok(self.build.graph.reshape(x, to)?)
    }

    /// Rows that a row of the batch is folded into.
    fn per_row(&self, x: NodeId) -> Result<usize> {
        Ok(self.build.graph.shape(x)?.dims().first().copied().unwrap_or(1))
    }

    /// Drops values at random when training; `p` in 0..1.
    ///
    /// # Errors
    /// A probability out of range.
    pub fn dropout(&mut self, x: NodeId, p: f32) -> Result<NodeId> {
        if !(0.0..1.0).contains(&p) {
            return Err(self.refuse(format!("a dropout probability of {p}; it must be at least 0 and below 1")));
        }
        match self.build.purpose {
            Purpose::Learn { seed } if p > 0.0 => {
                self.build.dropouts += 1;
                Ok(self.build.graph.dropout(x, p, mix(seed ^ mix(self.build.dropouts)))?)
            }
            _ => Ok(x),
        }
    }

    /// The sequence's input and all outputs so far side by side, each `[batch, n]`.
    pub(crate) fn everything_so_far(&mut self) -> Result<NodeId> {
        if !self.seen.pending.is_empty() {
            let parts: Vec<NodeId> = [self.seen.joined].into_iter().chain(mem::take(&mut self.seen.pending)).collect();
            self.seen.joined = self.build.graph.concat(&parts, 1)?;
        }
        Ok(self.seen.joined)
    }

    /// Builds layers one after another, below this one's place; returns each one's place and output.
    pub(crate) fn sequence(&mut self, layers: &[LayerSpec], x: NodeId) -> Result<Vec<(String, NodeId)>> {
        let prefix = if self.path.is_empty() { "layers".to_owned() } else { format!("{}.layers", self.path) };
        let outer = (mem::take(&mut self.path), mem::replace(&mut self.seen, Seen::new(x)));
        let mut outputs: Vec<(String, NodeId)> = Vec::with_capacity(layers.len());
        for (i, spec) in layers.iter().enumerate() {
            self.path = format!("{prefix}.{i}");
            let input = outputs.last().map_or(x, |(_, y)| *y);
            let y = spec.layer().build(self, input).map_err(|e| self.located(spec, e))?;
            if spec.layer().refines() {
                self.seen.replace_last(y)
            } else {
                self.seen.pending.push(y)
            }
            outputs.push((self.path.clone(), y));
        }
        (self.path, self.seen) = outer;
        Ok(outputs)
    }

    /// Puts the layer's place to an error of the graph.
    fn located(&self, spec: &LayerSpec, error: NnError) -> NnError {
        match error {
            NnError::Graph(source) => NnError::Layer { layer: self.path.clone(), kind: spec.kind(), source },
            other => other,
        }
    }

    /// An error about this layer's settings.
    pub fn refuse(&self, what: impl Into<String>) -> NnError {
        NnError::LayerSpec { layer: self.path.clone(), what: what.into() }
    }

    /// The value `[batch, n..]` with exactly `N` dimensions behind the batch, or an error that says what the layer works on.
    pub(crate) fn row<const N: usize>(&self, x: NodeId, works_on: &str) -> Result<[usize; N]> {
        let dims = self.dims(x)?;
        <[usize; N]>::try_from(dims.as_slice())
            .map_err(|_| self.refuse(format!("rows of shape {dims:?}; it works on {works_on}")))
    }
}
