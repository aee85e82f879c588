//! Weights of which the last written ones win, block by block.

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
        let fits = block > 0
            && first.checked_add(held).is_some_and(|end| end <= len.div_ceil(block))
            && nodes.len() == held
            && bits.len() == ((first + held) * block).min(len).saturating_sub(first * block);
        if fits { Ok(Self { len, block, first, clocks, nodes, bits }) } else { Err(SwarmError::TensorParts) }
    }
}

/// Blocks compared at once: long enough to pay for a copy, short enough that few runs are mixed; what is left over goes in shorter ones.
const RUN: usize = 32;
const SHORT_RUN: usize = 8;

/// How the clocks of a run stand to another replica's.
#[derive(PartialEq, Eq)]
enum Order {
    /// All of theirs are newer.
    Newer,
    /// All of theirs are older.
    Older,
    /// The same, one by one.
    Same,
    Mixed,
}

/// The highest bit tells whether `a > b`, without the comparison of 64-bit numbers that the oldest vector units lack.
fn above(a: u64, b: u64) -> u64 {
    (a & !b) | (!(a ^ b) & b.wrapping_sub(a))
}

/// Without branches, so that the compiler compares whole vectors.
fn order_of<const N: usize>(ours: &[u64; N], theirs: &[u64; N]) -> Order {
    let (mut all, mut some) = (u64::MAX, 0);
    for i in 0..N {
        let newer = above(theirs[i], ours[i]);
        (all, some) = (all & newer, some | newer);
    }
    match (all >> 63, some >> 63) {
        (1, _) => Order::Newer,
        (_, 1) => Order::Mixed,
        _ if ours == theirs => Order::Same,
        _ if (0..N).fold(u64::MAX, |all, i| all & above(ours[i], theirs[i])) >> 63 == 1 => Order::Older,
        _ => Order::Mixed,
    }
}

/// Takes theirs where the mask is all ones.
fn select<const N: usize>(ours: &mut [u64; N], theirs: &[u64; N], mask: &[u64; N]) {
    for i in 0..N {
        ours[i] = (ours[i] & !mask[i]) | (theirs[i] & mask[i]);
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
        let (count, mut done, mut is_new) = (other.clocks.len(), 0, false);
        while count - done >= RUN {
            is_new |= self.merge_run::<RUN>(at + done, other, done);
            done += RUN;
        }
        while count - done >= SHORT_RUN {
            is_new |= self.merge_run::<SHORT_RUN>(at + done, other, done);
            done += SHORT_RUN;
        }
        is_new |= (done..count).filter(|&i| self.merge_block(at + i, other, i)).count() > 0;
        Ok(is_new)
    }

    /// `N` blocks: copied or skipped as one where their clocks allow it, else one by one.
    fn merge_run<const N: usize>(&mut self, at: usize, other: &Self, from: usize) -> bool {
        let (ours, theirs) = (self.clocks[at..].first_chunk::<N>(), other.clocks[from..].first_chunk::<N>());
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return false }; // the caller counted
        match order_of(ours, theirs) {
            Order::Newer => {
                self.copy_run::<N>(at, other, from);
                true
            }
            Order::Older => false,
            Order::Same if self.same_run(at, other, from, N) => false,
            _ if self.block == 1 => self.mix_cells::<N>(at, other, from).unwrap_or(false),
            _ => (0..N).filter(|i| self.merge_block(at + i, other, from + i)).count() > 0,
        }
    }

    fn same_run(&self, at: usize, other: &Self, from: usize, count: usize) -> bool {
        self.nodes[at..at + count] == other.nodes[from..from + count]
            && self.bits[self.span(at, count)] == other.bits[other.span(from, count)]
    }

    /// Lengths that the compiler knows become a few moves instead of calls.
    fn copy_run<const N: usize>(&mut self, at: usize, other: &Self, from: usize) {
        self.clocks[at..at + N].copy_from_slice(&other.clocks[from..from + N]);
        self.nodes[at..at + N].copy_from_slice(&other.nodes[from..from + N]);
        if self.block == 1 {
            self.bits[at..at + N].copy_from_slice(&other.bits[from..from + N]);
        } else {
            let span = self.span(at, N);
            self.bits[span].copy_from_slice(&other.bits[other.span(from, N)]);
        }
    }

    /// Cells without a branch for each. Nothing when there are fewer than `N`.
    fn mix_cells<const N: usize>(&mut self, at: usize, other: &Self, from: usize) -> Option<bool> {
        let (clocks, nodes) = (self.clocks[at..].first_chunk_mut::<N>()?, self.nodes[at..].first_chunk_mut::<N>()?);
        let bits = self.bits[at..].first_chunk_mut::<N>()?;
        let (their_clocks, their_nodes) = (other.clocks[from..].first_chunk()?, other.nodes[from..].first_chunk()?);
        let their_bits = other.bits[from..].first_chunk::<N>()?;
        let mut mask = [0; N];
        let mut has_ties = false;
        for i in 0..N {
            mask[i] = (above(their_clocks[i], clocks[i]) >> 63).wrapping_neg();
            has_ties |= their_clocks[i] == clocks[i];
        }
        if has_ties {
            for i in (0..N).filter(|&i| their_clocks[i] == clocks[i]) {
                mask[i] = u64::from((their_nodes[i], their_bits[i]) > (nodes[i], bits[i])).wrapping_neg();
            }
        }
        select(clocks, their_clocks, &mask);
        select(nodes, their_nodes, &mask);
        for i in 0..N {
            let mask = mask[i] as u32;
            bits[i] = (bits[i] & !mask) | (their_bits[i] & mask);
        }
        Some(mask.iter().any(|&mask| mask != 0))
    }

    fn merge_block(&mut self, at: usize, other: &Self, from: usize) -> bool {
        let ours = (self.clocks[at], self.nodes[at]);
        let theirs = (other.clocks[from], other.nodes[from]);
        let is_newer = theirs > ours || theirs == ours && other.bits[other.span(from, 1)] > self.bits[self.span(at, 1)];
        if is_newer {
            self.copy_run::<1>(at, other, from);
        }
        is_newer
    }

    /// Where the weights of held blocks lie.
    fn span(&self, block: usize, count: usize) -> core::ops::Range<usize> {
        block * self.block..((block + count) * self.block).min(self.bits.len())
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
