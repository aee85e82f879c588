//! The op table: one row per operation, one file per family.
//!
//! A row says the shape of the result ([`Rule::shape`]), how its gradient is written with other operations ([`Rule::grad`]), what it means
//! ([`Rule::reference`], naive and in f64, forward operations only) and which kernels compute it ([`Rule::run`]).
mod act;
mod attention;
mod batch_norm;
mod binary;
mod conv;
mod dropout;
mod embed;
mod fft;
mod gather;
mod leaf;
mod linear;
mod loss;
mod matmul;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod reshape;
mod select;
mod softmax;

use crate::custom::{Custom, CustomBwd};
use crate::grad::GradCx;
use crate::ir::{MAX_INPUTS, ParamId};
use crate::{Dims, GraphError, NodeId, Shape};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_kernels::{Act, Isa};

pub use act::{ColumnActs, ColumnActsBwd, Unary, UnaryBwd};
pub use attention::{Attention, AttentionBwd};
pub use batch_norm::{BatchNorm, BatchNormBwdBeta, BatchNormBwdGamma, BatchNormBwdX, BatchStats, Stats};
pub use binary::{Binary, Expand, SumTo};
pub use conv::{Conv2d, Conv2dBwdB, Conv2dBwdW, Conv2dBwdX, Conv2dSpec};
pub use dropout::Dropout;
pub use embed::{Embed, EmbedBwd};
pub use fft::{Fft, FftBwd};
pub use gather::{Gather, GatherBwd};
pub use linear::{Linear, LinearBwdW, LinearBwdX};
pub use loss::{Loss, LossRows, LossRowsBwd, WeightedSum};
pub use matmul::MatMul;
pub use norm::{LayerNorm, LayerNormBwdGamma, LayerNormBwdX, RmsNorm, RmsNormBwdGamma, RmsNormBwdX};
pub use pool::{Pool2d, Pool2dBwd, Pool2dSpec};
pub use recurrent::{Gru, GruBwd, Lstm, LstmBwd, Rnn, RnnBwd, TimeShift};
pub use reduce::{Reduce, ReduceBwd};
pub use reshape::{Concat, Reshape, Slice, SliceBwd, Transpose};
pub use select::Select;
pub use softmax::{Softmax, SoftmaxBwd};

/// Every operation of the graph; [`Graph`](crate::Graph)'s methods add them. Names ending in `Bwd…` are written by [`crate::gradient`] only.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // each variant is documented where its rule stands, in its own file
#[non_exhaustive]
pub enum Op {
    Input(Shape),
    Param(ParamId, Shape),
    Constant(Arc<[f32]>, Shape),
    Linear(linear::Linear),
    LinearBwdX(linear::LinearBwdX),
    LinearBwdW(linear::LinearBwdW),
    MatMul(matmul::MatMul),
    Conv2d(conv::Conv2d),
    Conv2dBwdX(conv::Conv2dBwdX),
    Conv2dBwdW(conv::Conv2dBwdW),
    Conv2dBwdB(conv::Conv2dBwdB),
    Pool2d(pool::Pool2d),
    Pool2dBwd(pool::Pool2dBwd),
    Unary(act::Unary),
    UnaryBwd(act::UnaryBwd),
    ColumnActs(act::ColumnActs),
    ColumnActsBwd(act::ColumnActsBwd),
    Binary(Binary),
    SumTo(binary::SumTo),
    Expand(binary::Expand),
    Reduce(reduce::Reduce),
    ReduceBwd(reduce::ReduceBwd),
    Softmax(softmax::Softmax),
    SoftmaxBwd(softmax::SoftmaxBwd),
    LayerNorm(norm::LayerNorm),
    LayerNormBwdX(norm::LayerNormBwdX),
    LayerNormBwdGamma(norm::LayerNormBwdGamma),
    RmsNorm(norm::RmsNorm),
    RmsNormBwdX(norm::RmsNormBwdX),
    RmsNormBwdGamma(norm::RmsNormBwdGamma),
    BatchStats(batch_norm::BatchStats),
    BatchNorm(batch_norm::BatchNorm),
    BatchNormBwdX(batch_norm::BatchNormBwdX),
    BatchNormBwdGamma(batch_norm::BatchNormBwdGamma),
    BatchNormBwdBeta(batch_norm::BatchNormBwdBeta),
    Embed(embed::Embed),
    EmbedBwd(embed::EmbedBwd),
    Attention(attention::Attention),
    AttentionBwd(attention::AttentionBwd),
    Rnn(recurrent::Rnn),
    RnnBwd(recurrent::RnnBwd),
    Lstm(recurrent::Lstm),
    LstmBwd(recurrent::LstmBwd),
    Gru(recurrent::Gru),
    GruBwd(recurrent::GruBwd),
    TimeShift(recurrent::TimeShift),
    Fft(fft::Fft),
    FftBwd(fft::FftBwd),
    Gather(gather::Gather),
    GatherBwd(gather::GatherBwd),
    Select(select::Select),
    Concat(reshape::Concat),
    Slice(reshape::Slice),
    SliceBwd(reshape::SliceBwd),
    Reshape(reshape::Reshape),
    Transpose(reshape::Transpose),
    Dropout(dropout::Dropout),
    LossRows(loss::LossRows),
    LossRowsBwd(loss::LossRowsBwd),
    WeightedSum(loss::WeightedSum),
    Custom(Custom),
    CustomBwd(CustomBwd),
}

/// Names of the forward operations: each has an example in the tests.
#[doc(hidden)]
pub const FORWARD: &[&str] = &[
    "linear",
    "matmul",
    "conv2d",
    "pool2d",
    "unary",
    "column_acts",
    "add",
    "sub",
    "mul",
    "div",
    "greater",
    "greater_equal",
    "select",
    "expand",
    "reduce",
    "softmax",
    "log_softmax",
    "layer_norm",
    "rms_norm",
    "batch_stats",
    "batch_norm",
    "embed",
    "attention",
    "rnn",
    "lstm",
    "gru",
    "rfft",
    "irfft",
    "gather",
    "concat",
    "slice",
    "reshape",
    "transpose",
    "dropout",
    "loss_rows",
];

/// What a kernel call is told besides its slices.
pub(crate) struct RunCx<'a> {
    pub isa: Isa,
    /// Counts training steps; dropout draws its mask from it.
    pub step: u64,
    pub out: Dims,
    pub ins: &'a [Dims],
}

/// The inputs of one step, in order.
pub(crate) type Ins<'a> = [&'a [f32]; MAX_INPUTS + 1];

/// A value of the reference interpreter: dimensions and f64 elements.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub dims: Dims,
    pub data: Vec<f64>,
}

/// One row of the op table.
pub(crate) trait Rule {
    fn name(&self) -> &'static str;

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError>;

    /// The gradient of the loss with respect to each input, written as nodes; `None` where there is none or nobody needs it.
    fn grad(&self, _cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        Err(GraphError::NotDifferentiable { op: self.name().to_string() })
    }

    fn reference(&self, _ins: &[&Tensor], _out: Dims) -> Result<Vec<f64>, GraphError> {
        Err(GraphError::NoReference { op: self.name() })
    }

    /// Scratch memory in f32 elements, given the concrete dimensions.
    fn scratch_len(&self, _ins: &[Dims], _out: Dims) -> usize {
        0
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32]);
}

impl Op {
    /// The one exhaustive match of the crate.
    pub(crate) fn rule(&self) -> &dyn Rule {
        match self {
            Op::Input(_) | Op::Param(..) | Op::Constant(..) => self,
            Op::Linear(o) => o,
            Op::LinearBwdX(o) => o,
            Op::LinearBwdW(o) => o,
            Op::MatMul(o) => o,
            Op::Conv2d(o) => o,
            Op::Conv2dBwdX(o) => o,
            Op::Conv2dBwdW(o) => o,
            Op::Conv2dBwdB(o) => o,
            Op::Pool2d(o) => o,
            Op::Pool2dBwd(o) => o,
            Op::Unary(o) => o,
            Op::UnaryBwd(o) => o,
            Op::ColumnActs(o) => o,
            Op::ColumnActsBwd(o) => o,
            Op::Binary(o) => o,
            Op::SumTo(o) => o,
            Op::Expand(o) => o,
            Op::Reduce(o) => o,
            Op::ReduceBwd(o) => o,
            Op::Softmax(o) => o,
            Op::SoftmaxBwd(o) => o,
            Op::LayerNorm(o) => o,
            Op::LayerNormBwdX(o) => o,
            Op::LayerNormBwdGamma(o) => o,
            Op::RmsNorm(o) => o,
            Op::RmsNormBwdX(o) => o,
            Op::RmsNormBwdGamma(o) => o,
            Op::BatchStats(o) => o,
            Op::BatchNorm(o) => o,
            Op::BatchNormBwdX(o) => o,
            Op::BatchNormBwdGamma(o) => o,
            Op::BatchNormBwdBeta(o) => o,
            Op::Embed(o) => o,
            Op::EmbedBwd(o) => o,
            Op::Attention(o) => o,
            Op::AttentionBwd(o) => o,
            Op::Rnn(o) => o,
            Op::RnnBwd(o) => o,
            Op::Lstm(o) => o,
            Op::LstmBwd(o) => o,
            Op::Gru(o) => o,
            Op::GruBwd(o) => o,
            Op::TimeShift(o) => o,
            Op::Fft(o) => o,
            Op::FftBwd(o) => o,
            Op::Gather(o) => o,
            Op::GatherBwd(o) => o,
            Op::Select(o) => o,
            Op::Concat(o) => o,
            Op::Slice(o) => o,
            Op::SliceBwd(o) => o,
            Op::Reshape(o) => o,
            Op::Transpose(o) => o,
            Op::Dropout(o) => o,
            Op::LossRows(o) => o,
            Op::LossRowsBwd(o) => o,
            Op::WeightedSum(o) => o,
            Op::Custom(o) => o,
            Op::CustomBwd(o) => o,
        }
    }

    /// The name of the operation.
    pub fn name(&self) -> &'static str {
        self.rule().name()
    }

    pub(crate) fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        self.rule().shape(ins)
    }

    /// The elementwise function, when that is all the operation is.
    pub(crate) fn as_act(&self) -> Option<Act> {
        match self {
            Op::Unary(act::Unary(a)) => Some(*a),
            _ => None,
        }
    }
}

/// Checks the number of inputs and hands them over as an array.
pub(crate) fn arity<const N: usize>(op: &'static str, ins: &[Shape]) -> Result<[Shape; N], GraphError> {
    const WANT: [&str; 9] = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
    ins.try_into().map_err(|_| GraphError::Arity { op, want: WANT[N.min(8)], got: ins.len() })
}

pub(crate) fn mismatch(op: &'static str, want: impl ToString, got: Shape) -> GraphError {
    GraphError::ShapeMismatch { op, want: want.to_string(), got }
}

pub(crate) fn expect_shape(op: &'static str, want: Shape, got: Shape) -> Result<(), GraphError> {
    if want == got { Ok(()) } else { Err(mismatch(op, want, got)) }
}

pub(crate) fn bad_attribute(op: &'static str, what: impl ToString) -> GraphError {
    GraphError::BadAttribute { op, what: what.to_string() }
}
