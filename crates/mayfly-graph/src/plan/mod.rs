//! A plan: the graph for one batch size, fused and laid out over one arena, as immutable data.
mod arena;
mod fuse;
mod layout;
mod precision;

use crate::ops::Op;
use crate::{Dims, Graph, GraphError, ParamInfo};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use mayfly_kernels::{Act, Buffer, Isa};

pub use precision::{LayerPrecision, PrecisionReason};

/// How weights are kept for inference. Activations and accumulation are f32 (int8: i32 accumulation) throughout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// The upper half of 32-bit floats: half the memory traffic, 8 bits of mantissa.
    Bf16,
    /// 8-bit integers with one scale per output channel; each row of inputs is quantised when it arrives. Where that
    /// does not pay a plan keeps f32 and says so ([`Plan::precisions`]).
    Int8,
}

/// What an arena may take unless the options say otherwise, in bytes: 8 GiB, or 1 GiB where addresses have 32 bits.
const ARENA_LIMIT: usize = if usize::BITS > 32 { (8_u64 << 30) as usize } else { 1 << 30 };

/// What a plan is made for.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Rows a run takes.
    pub batch: usize,
    /// The instruction set; the best of this machine by default.
    pub isa: Isa,
    /// How dense weights are kept (inference plans only).
    pub precision: Precision,
    /// Refuse plans whose arena would be larger, in bytes.
    pub arena_limit: usize,
}

impl PlanOptions {
    /// Defaults for a batch of `batch` rows: f32, the best instruction set, at most 8 GiB of arena.
    pub fn batch(batch: usize) -> PlanOptions {
        PlanOptions { batch, isa: Isa::detect(), precision: Precision::F32, arena_limit: ARENA_LIMIT }
    }
}

/// Where a value lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    Arena,
    Params,
    Grads,
    Consts,
}

/// A range of one of the session's arrays, in f32 elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Loc {
    pub space: Space,
    pub at: usize,
    pub len: usize,
}

impl Loc {
    pub fn range(&self) -> Range<usize> {
        self.at..self.at + self.len
    }
}

/// What a step calls.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Call {
    /// A row of the op table.
    Op(Op),
    /// A dense layer over packed weights: activation and residual (the last input) included.
    Packed { pack: usize, act: Act, residual: bool, rows: usize },
    /// A dense layer over plain weights, with what follows it fused (training).
    Linear { act: Act, bias: bool, residual: bool },
    /// A convolution with the activation fused.
    Conv2d { spec: mayfly_kernels::Conv2d, act: Act },
}

/// One kernel call.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Step {
    pub call: Call,
    pub out: Loc,
    /// Scratch memory in the arena, right behind the output when that lies there too.
    pub scratch: Loc,
    pub ins: Vec<Loc>,
    pub in_dims: Vec<Dims>,
    pub out_dims: Dims,
    /// Arena ranges whose values nobody reads after this step.
    pub dies: Vec<Range<usize>>,
}

impl Step {
    /// What it reads apart from packed weights.
    pub fn unpacked(&self) -> impl Iterator<Item = &Loc> {
        let (packed, residual) = match self.call {
            Call::Packed { residual, .. } => (true, residual),
            _ => (false, false),
        };
        let last = self.ins.len().wrapping_sub(1);
        self.ins
            .iter()
            .enumerate()
            .filter(move |(i, _)| !packed || *i == 0 || residual && *i == last)
            .map(|(_, loc)| loc)
    }
}

/// Weights to be packed when a session is made.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PackSpec {
    pub weight: Loc,
    pub bias: Option<Loc>,
    pub inputs: usize,
    pub outputs: usize,
    pub precision: Precision,
    pub reason: PrecisionReason,
}

/// An input or output of the plan.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Port {
    pub name: String,
    pub loc: Loc,
    pub dims: Dims,
}

/// A graph laid out for one batch size: immutable, shared by any number of sessions.
///
/// `Display` gives a listing of the steps with their memory: what snapshots and hashes are taken of.
#[derive(Clone)]
pub struct Plan {
    pub(crate) isa: Isa,
    pub(crate) batch: usize,
    pub(crate) training: bool,
    pub(crate) precision: Precision,
    pub(crate) steps: Vec<Step>,
    pub(crate) packs: Vec<PackSpec>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) params: Arc<[ParamInfo]>,
    pub(crate) param_len: usize,
    pub(crate) consts: Arc<Buffer<f32>>,
    pub(crate) arena_len: usize,
}

impl Plan {
    /// Lays a graph out.
    ///
    /// # Errors
    /// No outputs, a batch of zero rows, a value that no memory holds, or an arena beyond the limit.
    pub fn new(graph: &Graph, options: &PlanOptions) -> Result<Arc<Plan>, GraphError> {
        if options.batch == 0 {
            return Err(GraphError::EmptyPlan { reason: "the batch has zero rows" });
        }
        if graph.outputs().is_empty() {
            return Err(GraphError::EmptyPlan { reason: "the graph has no outputs" });
        }
        let graph = fuse::fold_constants(graph)?;
        let drafts = fuse::fuse(&graph, options);
        layout::lay_out(&graph, drafts, options).map(Arc::new)
    }

    /// Rows a run takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The instruction set its kernels use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Whether sessions of this plan compute gradients.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Parameters in the order of the flat arrays.
    pub fn params(&self) -> &[ParamInfo] {
        &self.params
    }

    /// Length of the flat parameter array.
    pub fn param_len(&self) -> usize {
        self.param_len
    }

    /// Bytes of working memory of a session, parameters and packed weights not counted.
    pub fn arena_bytes(&self) -> usize {
        self.arena_len * size_of::<f32>()
    }

    /// Bytes that the plan itself occupies, constants included: what a cache of plans counts.
    pub fn bytes(&self) -> usize {
        let steps = self.steps.iter().map(|s| {
            size_of::<Step>() + size_of_val(&s.ins[..]) + size_of_val(&s.in_dims[..]) + size_of_val(&s.dies[..])
        });
        let ports = self.inputs.iter().chain(&self.outputs).map(|p| size_of::<Port>() + p.name.len());
        let params = self.params.iter().map(|p| size_of::<ParamInfo>() + p.name.len());
        let consts = self.consts.bytes().len() + size_of_val(&self.packs[..]);
        size_of::<Plan>() + consts + steps.chain(ports).chain(params).sum::<usize>()
    }

    /// Names and dimensions of the inputs in order.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, Dims)> {
        self.inputs.iter().map(|p| (p.name.as_str(), p.dims))
    }

    /// Names and dimensions of the outputs in order.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, Dims)> {
        self.outputs.iter().map(|p| (p.name.as_str(), p.dims))
    }
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = match self.space {
            Space::Arena => 'a',
            Space::Params => 'p',
            Space::Grads => 'g',
            Space::Consts => 'c',
        };
        write!(f, "{space}{}+{}", self.at, self.len)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.out)?;
        match &self.call {
            Call::Op(op) => write!(f, "{}", op.name())?,
            Call::Packed { pack, act, residual, .. } => {
                write!(f, "packed_linear #{pack} {act:?}{}", if *residual { " +residual" } else { "" })?
            }
            Call::Linear { act, .. } => write!(f, "linear {act:?}")?,
            Call::Conv2d { act, .. } => write!(f, "conv2d {act:?}")?,
        }
        self.ins.iter().try_for_each(|l| write!(f, " {l}"))?;
        if self.scratch.len > 0 {
            write!(f, " scratch {}", self.scratch.len)?;
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "batch {}, arena {}, params {}, {}",
            self.batch,
            self.arena_len,
            self.param_len,
            if self.training { "training" } else { "inference" }
        )?;
        for p in &self.inputs {
            writeln!(f, "input {} {:?} at {}", p.name, p.dims, p.loc)?;
        }
        for (i, p) in self.packs.iter().enumerate() {
            writeln!(f, "pack #{i} {:?} {}x{} from {}", p.precision, p.outputs, p.inputs, p.weight)?;
        }
        self.steps.iter().try_for_each(|s| writeln!(f, "{s}"))?;
        self.outputs.iter().try_for_each(|p| writeln!(f, "output {} {:?} at {}", p.name, p.dims, p.loc))
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
