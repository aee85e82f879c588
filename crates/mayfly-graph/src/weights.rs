//! Parameters as inference reads them: packed once, shared by every session that runs them.
use crate::plan::{PackSpec, Plan, Precision, Space};
use crate::{GraphError, Isa};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_kernels::{self as k, Buffer, Epilogue, Sweep};

/// A set of parameters ready for inference: dense weights packed for the instruction set, and the flat array where a plan reads it as it is.
///
/// Plans of one graph pack the same weights whatever their batch, so one `Arc<Weights>` serves sessions of any batch size on any number of
/// threads ([`Session::with_weights`](crate::Session::with_weights)). The memory is zeroised when the last of them is dropped.
pub struct Weights {
    isa: Isa,
    len: usize,
    /// Empty where every parameter that is read was packed.
    params: Buffer<f32>,
    packs: Vec<(PackSpec, Packed)>,
}

impl Weights {
    /// Packs `params` for `plan` and all plans that pack the same layers.
    ///
    /// # Errors
    /// A parameter array of the wrong length.
    pub fn new(plan: &Plan, params: &[f32]) -> Result<Arc<Weights>, GraphError> {
        check_params(plan, params)?;
        let mut weights = Weights::blank(plan);
        weights.fill(params);
        Ok(Arc::new(weights))
    }

    /// The memory of weights without any values in it.
    pub(crate) fn blank(plan: &Plan) -> Weights {
        let kept = if reads_params(plan) { plan.param_len() } else { 0 };
        let packs = plan.packs.iter().map(|spec| (spec.clone(), Packed::empty(spec, plan.isa))).collect();
        Weights { isa: plan.isa, len: plan.param_len(), params: Buffer::zeroed(kept), packs }
    }

    /// Bytes that they occupy, each array rounded up to `align` bytes.
    pub(crate) fn rounded_bytes(&self, align: usize) -> usize {
        let packs = self.packs.iter().map(|(_, pack)| pack.len());
        packs.chain([self.params.len()]).map(|words| (words * size_of::<f32>()).next_multiple_of(align)).sum()
    }

    /// Overwrites every value with zeros and returns how many bytes that were.
    pub(crate) fn wipe(&mut self) -> usize {
        self.params.wipe() + self.packs.iter_mut().map(|(_, pack)| pack.wipe()).sum::<usize>()
    }

    /// Whether there is no value but zeros.
    pub(crate) fn is_wiped(&self) -> bool {
        self.params.is_wiped() && self.packs.iter().all(|(_, pack)| pack.is_wiped())
    }

    /// Packs other values into the same memory; `params` has the plan's length.
    pub(crate) fn fill(&mut self, params: &[f32]) {
        if !self.params.is_empty() {
            self.params.copy_from_slice(params);
        }
        for (spec, pack) in &mut self.packs {
            pack.fill(spec, self.isa, params);
        }
    }

    /// # Errors
    /// A plan that reads what was not packed here.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), GraphError> {
        let same = self.isa == plan.isa
            && self.len == plan.param_len()
            && plan.packs.iter().eq(self.packs.iter().map(|(spec, _)| spec))
            && (!self.params.is_empty() || !reads_params(plan));
        if same { Ok(()) } else { Err(GraphError::ForeignWeights) }
    }

    /// The flat array, or nothing where no step reads it.
    pub(crate) fn params(&self) -> &[f32] {
        &self.params
    }

    pub(crate) fn pack(&self, index: usize) -> &Packed {
        &self.packs[index].1
    }

    /// Bytes that they occupy.
    pub fn bytes(&self) -> usize {
        size_of::<f32>() * (self.params.len() + self.packs.iter().map(|(_, p)| p.len()).sum::<usize>())
    }
}

impl core::fmt::Debug for Weights {
    /// The sizes only: values may be secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Weights of {} layers, {} bytes", self.packs.len(), self.bytes())
    }
}

/// # Errors
/// A parameter array of the wrong length.
pub(crate) fn check_params(plan: &Plan, params: &[f32]) -> Result<(), GraphError> {
    let (want, got) = (plan.param_len(), params.len());
    if want == got { Ok(()) } else { Err(GraphError::Length { what: "the parameter array".to_string(), want, got }) }
}

/// Whether a step reads parameters other than through packed weights, or they are a result.
fn reads_params(plan: &Plan) -> bool {
    let of_step = plan.steps.iter().flat_map(|s| s.unpacked());
    of_step.chain(plan.outputs.iter().map(|p| &p.loc)).any(|loc| loc.space == Space::Params)
}

/// Packed weights of one dense layer.
pub(crate) struct Packed {
    inputs: usize,
    outputs: usize,
    values: Values,
}

enum Values {
    F32(Buffer<f32>),
    Bf16(Buffer<i32>),
    Int8(Buffer<i32>),
}

impl Packed {
    fn empty(spec: &PackSpec, isa: Isa) -> Packed {
        let (inputs, outputs) = (spec.inputs, spec.outputs);
        let values = match spec.precision {
            Precision::F32 => Values::F32(Buffer::zeroed(k::packed_len(isa, inputs, outputs))),
            Precision::Bf16 => Values::Bf16(Buffer::zeroed(k::packed_bf16_len(isa, inputs, outputs))),
            Precision::Int8 => Values::Int8(Buffer::zeroed(k::packed_i8_len(isa, inputs, outputs))),
        };
        Packed { inputs, outputs, values }
    }

    /// In 32-bit words.
    fn len(&self) -> usize {
        match &self.values {
            Values::F32(p) => p.len(),
            Values::Bf16(p) | Values::Int8(p) => p.len(),
        }
    }

    fn wipe(&mut self) -> usize {
        match &mut self.values {
            Values::F32(p) => p.wipe(),
            Values::Bf16(p) | Values::Int8(p) => p.wipe(),
        }
    }

    fn is_wiped(&self) -> bool {
        match &self.values {
            Values::F32(p) => p.is_wiped(),
            Values::Bf16(p) | Values::Int8(p) => p.is_wiped(),
        }
    }

    fn fill(&mut self, spec: &PackSpec, isa: Isa, params: &[f32]) {
        let (i, o) = (self.inputs, self.outputs);
        let weight = &params[spec.weight.range()];
        let bias = spec.bias.map(|b| &params[b.range()]);
        match &mut self.values {
            Values::F32(p) => k::pack(isa, p, weight, bias, i, o),
            Values::Bf16(p) => k::pack_bf16(isa, p, weight, bias, i, o),
            Values::Int8(p) => k::pack_i8(isa, p, weight, bias, i, o),
        }
    }

    /// `scratch` is read and written by layers in int8 alone, which need [`scratch_len`].
    pub(crate) fn run(
        &self,
        isa: Isa,
        y: &mut [f32],
        x: &[f32],
        scratch: &mut [i32],
        epilogue: Epilogue<'_>,
        sweep: Sweep,
        rows: usize,
    ) {
        let (i, o) = (self.inputs, self.outputs);
        match &self.values {
            Values::F32(p) => k::packed_fwd_swept(isa, y, x, p, epilogue, sweep, rows, i, o),
            Values::Bf16(p) => k::packed_bf16_fwd(isa, y, x, p, epilogue, rows, i, o),
            Values::Int8(p) => k::packed_i8_fwd(isa, y, x, p, scratch, epilogue, rows, i, o),
        }
    }
}

/// Room that one session needs for the quantised inputs of its layers in int8, in 32-bit words.
pub(crate) fn scratch_len(plan: &Plan) -> usize {
    let quantised = plan.packs.iter().filter(|p| p.precision == Precision::Int8);
    quantised.map(|p| k::packed_i8_scratch_len(p.inputs)).max().unwrap_or(0)
}
