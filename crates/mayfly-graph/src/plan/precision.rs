//! In which precision each dense layer runs: the one asked for, unless it would be slower or inexact there.
use super::{PackSpec, Plan, Precision};

/// Networks with no more weights than this stay f32: they fit the first-level cache (32 KiB), where reading fewer bytes gains nothing
/// and quantising every row costs time. The same on every machine, so that a model answers alike wherever it runs.
const CACHED_WEIGHTS: usize = 8 * 1024;

/// Why a layer has its precision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PrecisionReason {
    /// It is the one that was asked for.
    Asked,
    /// The weights of the whole network fit the first-level cache as f32: int8 would be slower there.
    FitsCache,
    /// So many inputs that their products may exceed 32-bit sums.
    TooManyInputs,
}

/// In which precision one dense layer runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayerPrecision<'a> {
    /// The name of the weight.
    pub weight: &'a str,
    /// Inputs and outputs.
    pub size: [usize; 2],
    /// What the plan was asked for.
    pub asked: Precision,
    /// What it uses.
    pub used: Precision,
    /// Why.
    pub reason: PrecisionReason,
}

/// Takes back int8 where it does not pay.
pub(super) fn settle(packs: &mut [PackSpec]) {
    let weights = packs.iter().fold(0, |sum: usize, p| sum.saturating_add(p.weight.len));
    for pack in packs.iter_mut().filter(|p| p.precision == Precision::Int8) {
        pack.reason = match pack.inputs {
            _ if weights <= CACHED_WEIGHTS => PrecisionReason::FitsCache,
            inputs if inputs > mayfly_kernels::I8_MAX_INPUTS => PrecisionReason::TooManyInputs,
            _ => continue,
        };
        pack.precision = Precision::F32;
    }
}

impl Plan {
    /// In which precision each dense layer with packed weights runs, in the order of first use.
    pub fn precisions(&self) -> impl Iterator<Item = LayerPrecision<'_>> {
        self.packs.iter().map(|pack| LayerPrecision {
            weight: self.params.iter().find(|p| p.offset == pack.weight.at).map_or("", |p| p.name.as_str()),
            size: [pack.inputs, pack.outputs],
            asked: self.precision,
            used: pack.precision,
            reason: pack.reason,
        })
    }
}
