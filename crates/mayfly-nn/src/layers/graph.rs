//! Networks of other programs that are no sequence of layers: operations by number.
use super::{Layer, LayerCx};
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::init::Init;
use mayfly_graph::{Act, Binary, Conv2dSpec, Graph, GraphError, NodeId, Pool2dSpec, PoolKind, ReduceKind, Shape};
use serde::{Deserialize, Serialize};

/// Operations on rows as a list: what importers make of networks that are no sequence of layers.
///
/// Value 0 is the layer's input; operation `i` gives value `i + 1` and reads values before it. Dimensions count the batch as dimension 0,
/// but lists of dimensions leave it out. Parameters have the names that the other program gave them, below the layer's own.
///
/// ```
/// use mayfly_nn::{GraphOp, GraphSpec, Network, NetworkSpec};
/// let double = GraphSpec { ops: vec![GraphOp::Add { a: 0, b: 0 }], output: 1 };
/// let network = Network::new(NetworkSpec::new(&[2]).with(double), 1)?;
/// assert_eq!(network.predict(&[1.0, 2.5])?, [2.0, 5.0]);
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// The operations in order.
    pub ops: Vec<GraphOp>,
    /// The value that the layer gives.
    pub output: usize,
}

/// What a parameter of a [`GraphSpec`] is: how it starts in a new network, and whether it is trained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// Multiplies; starts at random.
    Weight,
    /// Is added; starts at 0.
    Bias,
    /// Scales; starts at 1.
    Gain,
    /// Stays as it is: constants of the network.
    Constant,
    /// `[2, channels]`: mean and variance of a batch norm, which follow the batches in training.
    Statistics,
}

/// The sum, mean or maximum of a dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The largest value.
    Max,
}

/// One operation; the numbers of the values it reads are named as in the formulas.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum GraphOp {
    /// A parameter.
    Param {
        /// Its name.
        name: String,
        /// Its dimensions; none for one number.
        dims: Vec<usize>,
        /// What it is.
        kind: ParamKind,
    },
    /// `x [.., i] · wᵀ [o, i] + b [o]`
    Linear {
        /// Inputs.
        x: usize,
        /// Weights.
        w: usize,
        /// Bias.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        b: Option<usize>,
    },
    /// `a [.., m, k] · b [.., k, n]`
    Matmul {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// Convolution of `x [batch, c, h, w]` with `w [o, c / groups, kh, kw]`.
    Conv {
        /// Inputs.
        x: usize,
        /// Weights.
        w: usize,
        /// Bias.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        b: Option<usize>,
        /// Step down and right.
        stride: [usize; 2],
        /// Zeros: top, left, bottom, right.
        pad: [usize; 4],
        /// Distance between taps.
        dilation: [usize; 2],
        /// Groups of channels.
        groups: usize,
    },
    /// Pooling of `x [batch, c, h, w]`.
    Pool {
        /// Inputs.
        x: usize,
        /// What becomes of a window.
        pooling: super::Pooling,
        /// Height and width.
        kernel: [usize; 2],
        /// Step down and right.
        stride: [usize; 2],
        /// Padding: top, left, bottom, right.
        pad: [usize; 4],
    },
    /// An activation; softmax is over the last dimension.
    Act {
        /// Inputs.
        x: usize,
        /// Which.
        f: Activation,
    },
    /// `a + b`; in this and the following, b may be the last dimensions of a or one number.
    Add {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// `a − b`
    Sub {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// `a · b`, element by element
    Mul {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// `a / b`
    Div {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// 1 where `a > b`, else 0
    Greater {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// 1 where `a ≥ b`, else 0
    GreaterEqual {
        /// Left.
        a: usize,
        /// Right.
        b: usize,
    },
    /// `a` where `c` is not 0, else `b`
    Select {
        /// Condition.
        c: usize,
        /// Where it holds.
        a: usize,
        /// Where it does not.
        b: usize,
    },
    /// One dimension reduced away.
    Reduce {
        /// Inputs.
        x: usize,
        /// What remains.
        reduction: Reduction,
        /// The dimension.
        axis: usize,
    },
    /// Layer norm over the last dimension.
    LayerNorm {
        /// Inputs.
        x: usize,
        /// Gains.
        gamma: usize,
        /// Added.
        beta: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// Batch norm over dimension 1.
    BatchNorm {
        /// Inputs.
        x: usize,
        /// Gains.
        gamma: usize,
        /// Added.
        beta: usize,
        /// A parameter of kind statistics.
        stats: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// Rows of `table` by number.
    Embed {
        /// Numbers.
        ids: usize,
        /// Table `[rows, width]`.
        table: usize,
    },
    /// Simple recurrence over `xw [batch, time, h]`.
    Rnn {
        /// Projected inputs.
        xw: usize,
        /// Recurrent weights `[h, h]`.
        w: usize,
        /// tanh or relu.
        f: Activation,
    },
    /// LSTM over `xw [batch, time, 4h]`, gates i, f, g, o.
    Lstm {
        /// Projected inputs.
        xw: usize,
        /// Recurrent weights `[4h, h]`.
        w: usize,
    },
    /// GRU over `xw [batch, time, 3h]`, gates r, z, n.
    Gru {
        /// Projected inputs.
        xw: usize,
        /// Recurrent weights `[3h, h]`.
        w: usize,
        /// Recurrent bias of n `[h]`.
        b: usize,
    },
    /// Elements of a dimension by fixed numbers.
    Gather {
        /// Inputs.
        x: usize,
        /// The dimension.
        axis: usize,
        /// Which elements.
        indices: Vec<usize>,
    },
    /// Values one after another along a dimension.
    Concat {
        /// The values.
        parts: Vec<usize>,
        /// The dimension.
        axis: usize,
    },
    /// Elements `start..start + len` of a dimension.
    Slice {
        /// Inputs.
        x: usize,
        /// The dimension.
        axis: usize,
        /// First element.
        start: usize,
        /// How many.
        len: usize,
    },
    /// Other dimensions, the batch left out.
    Reshape {
        /// Inputs.
        x: usize,
        /// The dimensions.
        dims: Vec<usize>,
    },
    /// Dimensions in another order, the batch (0) included.
    Transpose {
        /// Inputs.
        x: usize,
        /// The order.
        perm: Vec<usize>,
    },
    /// A value without a batch repeated for every row; `dims` are the row's.
    Expand {
        /// Inputs.
        x: usize,
        /// The dimensions.
        dims: Vec<usize>,
    },
}

impl GraphSpec {
    /// The rows of the table that the layer's inputs are numbers of, if they are.
    pub(crate) fn input_ids(&self) -> Option<usize> {
        let table = |t: &usize| match t.checked_sub(1).and_then(|i| self.ops.get(i)) {
            Some(GraphOp::Param { dims, .. }) => dims.first().copied(),
            _ => None,
        };
        let mut source = 0;
        self.ops.iter().enumerate().find_map(|(i, op)| match op {
            GraphOp::Reshape { x, .. } if *x == source => {
                source = i + 1;
                None
            }
            GraphOp::Embed { ids, table: t } if *ids == source || *ids == 0 => table(t),
            _ => None,
        })
    }
}

/// The numbers of the values made so far, as nodes of a graph.
pub(crate) struct Values<'a>(pub &'a [NodeId]);

impl Values<'_> {
    fn at(&self, i: usize) -> Result<NodeId, GraphError> {
        self.0.get(i).copied().ok_or_else(|| GraphError::BadAttribute {
            op: "graph",
            what: format!("value {i} is read before it is made; there are {} so far", self.0.len()),
        })
    }

    fn maybe(&self, i: Option<usize>) -> Result<Option<NodeId>, GraphError> {
        i.map(|i| self.at(i)).transpose()
    }
}

/// A shape as batched as the value's.
fn like(g: &Graph, x: NodeId, dims: &[usize]) -> Result<Shape, GraphError> {
    if g.shape(x)?.is_batched() { Shape::batched(dims) } else { Shape::fixed(dims) }
}

fn elementwise(f: &Activation) -> Result<Act, GraphError> {
    match f {
        Activation::Act(act) => Ok(*act),
        other => Err(GraphError::BadAttribute { op: "rnn", what: format!("the activation {other}") }),
    }
}

impl GraphOp {
    /// Adds the operation to a graph; parameters and batch norms are the caller's.
    pub(crate) fn emit(&self, g: &mut Graph, v: &Values<'_>) -> Result<NodeId, GraphError> {
        match self {
            Self::Param { .. } => Err(GraphError::BadAttribute { op: "graph", what: "a parameter".to_owned() }),
            Self::Linear { x, w, b } => g.linear(v.at(*x)?, v.at(*w)?, v.maybe(*b)?),
            Self::Matmul { a, b } => g.matmul(v.at(*a)?, v.at(*b)?),
            Self::Conv { x, w, b, stride, pad, dilation, groups } => {
                let spec = Conv2dSpec { stride: *stride, pad: *pad, dilation: *dilation, groups: *groups };
                g.conv2d(v.at(*x)?, v.at(*w)?, v.maybe(*b)?, spec)
            }
            Self::Pool { x, pooling, kernel, stride, pad } => {
                let kind = if *pooling == super::Pooling::Max { PoolKind::Max } else { PoolKind::Avg };
                g.pool2d(v.at(*x)?, Pool2dSpec { kind, kernel: *kernel, stride: *stride, pad: *pad })
            }
            Self::Act { x, f } => match f {
                Activation::Act(act) => g.act(v.at(*x)?, *act),
                Activation::Softmax => g.softmax(v.at(*x)?),
                Activation::LogSoftmax => g.log_softmax(v.at(*x)?),
            },
            Self::Select { c, a, b } => g.select(v.at(*c)?, v.at(*a)?, v.at(*b)?),
            Self::LayerNorm { x, gamma, beta, eps } => g.layer_norm(v.at(*x)?, v.at(*gamma)?, v.at(*beta)?, *eps),
            Self::BatchNorm { x, gamma, beta, stats, eps } => {
                g.batch_norm(v.at(*x)?, v.at(*gamma)?, v.at(*beta)?, v.at(*stats)?, *eps)
            }
            Self::Embed { ids, table } => g.embed(v.at(*ids)?, v.at(*table)?),
            Self::Rnn { xw, w, f } => g.rnn(v.at(*xw)?, v.at(*w)?, elementwise(f)?),
            Self::Lstm { xw, w } => g.lstm(v.at(*xw)?, v.at(*w)?),
            Self::Gru { xw, w, b } => g.gru(v.at(*xw)?, v.at(*w)?, v.at(*b)?),
            _ => self.emit_other(g, v),
        }
    }

    /// Arithmetic and what moves values.
    fn emit_other(&self, g: &mut Graph, v: &Values<'_>) -> Result<NodeId, GraphError> {
        let (op, a, b) = match self {
            Self::Add { a, b } => (Binary::Add, a, b),
            Self::Sub { a, b } => (Binary::Sub, a, b),
            Self::Mul { a, b } => (Binary::Mul, a, b),
            Self::Div { a, b } => (Binary::Div, a, b),
            Self::Greater { a, b } => (Binary::Greater, a, b),
            Self::GreaterEqual { a, b } => (Binary::GreaterEqual, a, b),
            _ => return self.emit_move(g, v),
        };
        g.binary(op, v.at(*a)?, v.at(*b)?)
    }

    fn emit_move(&self, g: &mut Graph, v: &Values<'_>) -> Result<NodeId, GraphError> {
        match self {
            Self::Reduce { x, reduction, axis } => {
                let kind = match reduction {
                    Reduction::Sum => ReduceKind::Sum,
                    Reduction::Mean => ReduceKind::Mean,
                    Reduction::Max => ReduceKind::Max,
                };
                g.reduce(v.at(*x)?, kind, *axis)
            }
            Self::Gather { x, axis, indices } => g.gather(v.at(*x)?, *axis, indices),
            Self::Concat { parts, axis } => {
                let parts = parts.iter().map(|p| v.at(*p)).collect::<Result<Vec<_>, _>>()?;
                g.concat(&parts, *axis)
            }
            Self::Slice { x, axis, start, len } => g.slice(v.at(*x)?, *axis, *start, *len),
            Self::Reshape { x, dims } => {
                let x = v.at(*x)?;
                let to = like(g, x, dims)?;
                g.reshape(x, to)
            }
            Self::Transpose { x, perm } => g.transpose(v.at(*x)?, perm),
            Self::Expand { x, dims } => g.expand(v.at(*x)?, Shape::batched(dims)?),
            other => Err(GraphError::BadAttribute { op: "graph", what: format!("{other:?} has no rule") }),
        }
    }
}

impl GraphSpec {
    fn param(cx: &mut LayerCx<'_>, name: &str, dims: &[usize], kind: ParamKind) -> Result<NodeId> {
        match kind {
            ParamKind::Weight => cx.weight(name, dims, Init::GlorotUniform),
            ParamKind::Bias => cx.param(name, dims, Init::Zeros),
            ParamKind::Gain => cx.param(name, dims, Init::Constant(1.0)),
            ParamKind::Constant => cx.running(name, dims, Init::Zeros, 0.0),
            ParamKind::Statistics => cx.running(name, dims, Init::Blocks(vec![0.0, 1.0]), MOMENTUM),
        }
    }

    /// In training a batch norm takes the batch's own statistics, once for each parameter that follows them.
    fn batch_norm(&self, cx: &mut LayerCx<'_>, op: &GraphOp, values: &[NodeId]) -> Result<NodeId> {
        let v = Values(values);
        let GraphOp::BatchNorm { x, gamma, beta, stats, eps } = op else { return Ok(op.emit(cx.graph(), &v)?) };
        let is_stats = matches!(
            stats.checked_sub(1).and_then(|i| self.ops.get(i)),
            Some(GraphOp::Param { kind: ParamKind::Statistics, .. })
        );
        let readers =
            self.ops.iter().filter(|o| matches!(o, GraphOp::BatchNorm { stats: s, .. } if s == stats)).count();
        if !is_stats || readers != 1 {
            return Err(cx.refuse(format!("value {stats} must be statistics of exactly one batch norm")));
        }
        if !cx.is_training() {
            return Ok(op.emit(cx.graph(), &v)?);
        }
        let (x, gamma, beta, stats) = (v.at(*x)?, v.at(*gamma)?, v.at(*beta)?, v.at(*stats)?);
        Ok(cx.graph().batch_norm_training(x, gamma, beta, stats, *eps)?)
    }
}

/// How far statistics move towards a batch's.
const MOMENTUM: f32 = 0.1;

impl Layer for GraphSpec {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let mut values = vec![x];
        for (i, op) in self.ops.iter().enumerate() {
            let y = match op {
                GraphOp::Param { name, dims, kind } => Self::param(cx, name, dims, *kind),
                GraphOp::BatchNorm { .. } => self.batch_norm(cx, op, &values),
                op => op.emit(cx.graph(), &Values(&values)).map_err(NnError::from),
            };
            values.push(y.map_err(|e| match e {
                NnError::Graph(e) => cx.refuse(format!("operation {i}: {e}")),
                other => other,
            })?);
        }
        match values.get(self.output) {
            Some(y) if cx.graph().shape(*y)?.is_batched() => Ok(*y),
            Some(_) => Err(cx.refuse(format!("value {} is the same for all rows", self.output))),
            None => Err(cx.refuse(format!("the output is value {} of {}", self.output, values.len()))),
        }
    }
}

impl GraphOp {
    /// Calls `f` with the number of each value that the operation reads.
    pub(crate) fn reads(&mut self, mut f: impl FnMut(&mut usize)) {
        match self {
            Self::Param { .. } => {}
            Self::Linear { x, w, b } | Self::Conv { x, w, b, .. } => {
                f(x);
                f(w);
                b.iter_mut().for_each(f);
            }
            Self::Pool { x, .. }
            | Self::Act { x, .. }
            | Self::Reduce { x, .. }
            | Self::Gather { x, .. }
            | Self::Slice { x, .. }
            | Self::Reshape { x, .. }
            | Self::Transpose { x, .. }
            | Self::Expand { x, .. } => f(x),
            Self::Matmul { a, b }
            | Self::Add { a, b }
            | Self::Sub { a, b }
            | Self::Mul { a, b }
            | Self::Div { a, b }
            | Self::Greater { a, b }
            | Self::GreaterEqual { a, b }
            | Self::Embed { ids: a, table: b }
            | Self::Rnn { xw: a, w: b, .. }
            | Self::Lstm { xw: a, w: b } => [a, b].into_iter().for_each(f),
            Self::Select { c: x, a: y, b: z }
            | Self::LayerNorm { x, gamma: y, beta: z, .. }
            | Self::Gru { xw: x, w: y, b: z } => [x, y, z].into_iter().for_each(f),
            Self::BatchNorm { x, gamma, beta, stats, .. } => [x, gamma, beta, stats].into_iter().for_each(f),
            Self::Concat { parts, .. } => parts.iter_mut().for_each(f),
        }
    }
}
