//! Weights of which the last written ones win, block by block.

use super::cells::Cells;
use super::{Crdt, Stamp};
use crate::SwarmError;
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// When and by whom a block was written, in 16 bytes: the order of blocks before their bits decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorClock {
    /// Milliseconds (42 bits) and count (22 bits) of the stamp.
    pub time: u64,
    /// The first eight bytes of the node's name.
    pub node: u64,
}

impl TensorClock {
    /// From a stamp. Beyond the year 2109, or 4,194,303 updates in a millisecond, later stamps are equal and bits decide.
    pub fn new(stamp: Stamp) -> Self {
        let (ms, count) = (stamp.ms.min((1 << 42) - 1), u64::from(stamp.count).min((1 << 22) - 1));
        Self { time: ms << 22 | count, node: short(stamp.node) }
    }
}

fn short(node: NodeId) -> u64 {
    u64::from_be_bytes(core::array::from_fn(|i| node.0[i]))
}

/// `len` weights in blocks of `block`, or, after [`LwwTensor::write`], the part of them that a delta holds.
///
/// The higher `(clock, node, bits)` of a block wins. Bits are compared as unsigned numbers, so NaN, −0.0 and equal clocks have one outcome, and the
/// origin of a block ends the same everywhere too. Merging works in place and allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct LwwTensor {
    len: usize,
    block: usize,
    /// The first block held.
    first: usize,
    clocks: Vec<u64>,
    nodes: Vec<u64>,
    /// Weights of the blocks held, the last one perhaps short.
    bits: Vec<u32>,
}

/// What arrives, before it is known to fit together.
#[derive(Deserialize)]
struct Parts {
    len: usize,
    block: usize,
    first: usize,
    clocks: Vec<u64>,
    nodes: Vec<u64>,
    bits: Vec<u32>,
}

impl TryFrom<Parts> for LwwTensor {
    type Error = SwarmError;

    fn try_from(parts: Parts) -> Result<Self, SwarmError> {
        let Parts { len, block, first, clocks, nodes, bits } = parts;
        let held = clocks.len();
        // Every number comes from outside: a product that overflows is no tensor. The last block may be short, so its end may lie beyond what there are numbers for.
        let start = first.checked_mul(block);
        let end = first.checked_add(held).map(|end| end.saturating_mul(block).min(len));
        let fits = block > 0
            && first.checked_add(held).is_some_and(|end| end <= len.div_ceil(block))
            && nodes.len() == held
            && start.zip(end).is_some_and(|(start, end)| bits.len() == end.saturating_sub(start));
        if fits { Ok(Self { len, block, first, clocks, nodes, bits }) } else { Err(SwarmError::TensorParts) }
    }
}

impl LwwTensor {
    /// `len` zeros that nobody wrote, in blocks of `block` weights: 1 for cells.
    ///
    /// # Errors
    /// [`SwarmError::BlockSize`] for a block of 0.
    pub fn new(len: usize, block: usize) -> Result<Self, SwarmError> {
        if block == 0 {
            return Err(SwarmError::BlockSize);
        }
        let blocks = len.div_ceil(block);
        Ok(Self { len, block, first: 0, clocks: vec![0; blocks], nodes: vec![0; blocks], bits: vec![0; len] })
    }

    /// Writes `values` from weight `at` on, which must be the start of a block. Returns the delta: those blocks alone, as they were written.
    ///
    /// # Errors
    /// [`SwarmError::TensorRange`] when the values reach beyond the tensor, start inside a block or end inside one.
    pub fn write(&mut self, at: usize, values: &[f32], clock: TensorClock) -> Result<Self, SwarmError> {
        let end = at.checked_add(values.len()).filter(|&end| end <= self.len);
        let is_whole =
            end.is_some_and(|end| at.is_multiple_of(self.block) && (end.is_multiple_of(self.block) || end == self.len));
        if !is_whole || self.bits.len() != self.len {
            return Err(SwarmError::TensorRange { at, count: values.len(), len: self.len, block: self.block });
        }
        let blocks = values.len().div_ceil(self.block);
        let delta = Self {
            len: self.len,
            block: self.block,
            first: at / self.block,
            clocks: vec![clock.time; blocks],
            nodes: vec![clock.node; blocks],
            bits: values.iter().map(|v| v.to_bits()).collect(),
        };
        self.merge(&delta);
        Ok(delta)
    }

    /// Takes in another replica or a delta of the same shape; [`Crdt::merge`] with an error instead of silence.
    ///
    /// # Errors
    /// [`SwarmError::TensorShape`] when length or block size differ, or when this is a delta that does not hold the other's blocks.
    pub fn try_merge(&mut self, other: &Self) -> Result<bool, SwarmError> {
        let holds = other.first >= self.first && other.first + other.clocks.len() <= self.first + self.clocks.len();
        if (self.len, self.block) != (other.len, other.block) || !holds {
            let (want, got) = ((self.len, self.block), (other.len, other.block));
            return Err(SwarmError::TensorShape { want, got });
        }
        let at = other.first - self.first;
        if self.block == 1 {
            return Ok(self.merge_cells(at, other));
        }
        Ok((0..other.clocks.len()).filter(|&i| self.merge_block(at + i, other, i)).count() > 0)
    }

    fn merge_cells(&mut self, at: usize, other: &Self) -> bool {
        let held = at..at + other.clocks.len();
        let clocks = &mut self.clocks[held.clone()];
        let ours = Cells { clocks, nodes: &mut self.nodes[held.clone()], bits: &mut self.bits[held] };
        let theirs = Cells { clocks: &other.clocks[..], nodes: &other.nodes[..], bits: &other.bits[..] };
        super::cells::merge(ours, theirs)
    }

    fn merge_block(&mut self, at: usize, other: &Self, from: usize) -> bool {
        let ours = (self.clocks[at], self.nodes[at]);
        let theirs = (other.clocks[from], other.nodes[from]);
        let (span, from_span) = (self.span(at), other.span(from));
        let is_newer = theirs > ours || theirs == ours && other.bits[from_span.clone()] > self.bits[span.clone()];
        if is_newer {
            (self.clocks[at], self.nodes[at]) = theirs;
            self.bits[span].copy_from_slice(&other.bits[from_span]);
        }
        is_newer
    }

    /// Where the weights of a held block lie.
    fn span(&self, block: usize) -> core::ops::Range<usize> {
        block * self.block..((block + 1) * self.block).min(self.bits.len())
    }

    /// The weights, as far as they are held.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        self.bits.iter().map(|&bits| f32::from_bits(bits))
    }

    /// When and by whom the block of weight `at` was written; nothing for a weight that is not held.
    pub fn origin(&self, at: usize) -> Option<TensorClock> {
        let block = (at / self.block).checked_sub(self.first)?;
        Some(TensorClock { time: *self.clocks.get(block)?, node: *self.nodes.get(block)? })
    }

    /// Number of weights of the whole tensor.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Has the tensor no weights?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Crdt for LwwTensor {
    /// A tensor of another shape changes nothing; [`LwwTensor::try_merge`] says so.
    fn merge(&mut self, other: &Self) -> bool {
        self.try_merge(other).unwrap_or(false)
    }
}
