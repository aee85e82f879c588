//! Merging weights one by one, in the widest vectors that the machine has.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask64x8, u32x16, u64x8};

/// Cells of a replica: when, by whom and what, by index.
pub(super) struct Cells<C, B> {
    pub(super) clocks: C,
    pub(super) nodes: C,
    pub(super) bits: B,
}

/// As many cells as one step takes: a vector of bits.
const STEP: usize = 16;
const HALF: usize = STEP / 2;

/// Takes the cells whose `(clock, node, bits)` are higher, all slices being of one length. Was there one?
pub(super) fn merge(ours: Cells<&mut [u64], &mut [u32]>, theirs: Cells<&[u64], &[u32]>) -> bool {
    let level = Level::try_detect().unwrap_or(Level::baseline());
    dispatch!(level, simd => simd.vectorize(#[inline(always)] || merge_by(simd, ours, theirs)))
}

#[inline(always)]
fn merge_by<S: Simd>(simd: S, ours: Cells<&mut [u64], &mut [u32]>, theirs: Cells<&[u64], &[u32]>) -> bool {
    let (clocks, last_clocks) = ours.clocks.as_chunks_mut::<STEP>();
    let (nodes, last_nodes) = ours.nodes.as_chunks_mut::<STEP>();
    let (bits, last_bits) = ours.bits.as_chunks_mut::<STEP>();
    let (their_clocks, their_last_clocks) = theirs.clocks.as_chunks::<STEP>();
    let (their_nodes, their_last_nodes) = theirs.nodes.as_chunks::<STEP>();
    let (their_bits, their_last_bits) = theirs.bits.as_chunks::<STEP>();
    let mut is_new = false;
    let ours = clocks.iter_mut().zip(nodes).zip(bits);
    let theirs = their_clocks.iter().zip(their_nodes).zip(their_bits);
    for (((clocks, nodes), bits), ((their_clocks, their_nodes), their_bits)) in ours.zip(theirs) {
        let theirs = Cells { clocks: their_clocks, nodes: their_nodes, bits: their_bits };
        is_new |= merge_step(simd, Cells { clocks, nodes, bits }, theirs);
    }
    let ours = last_clocks.iter_mut().zip(last_nodes).zip(last_bits);
    let theirs = their_last_clocks.iter().zip(their_last_nodes).zip(their_last_bits);
    for (((clock, node), bits), ((their_clock, their_node), their_bits)) in ours.zip(theirs) {
        if (their_clock, their_node, their_bits) > (&*clock, &*node, &*bits) {
            (*clock, *node, *bits) = (*their_clock, *their_node, *their_bits);
            is_new = true;
        }
    }
    is_new
}

/// Without a branch for a cell: which of them win is as good as random.
#[inline(always)]
fn merge_step<S: Simd>(
    simd: S,
    ours: Cells<&mut [u64; STEP], &mut [u32; STEP]>,
    theirs: Cells<&[u64; STEP], &[u32; STEP]>,
) -> bool {
    let bits = u32x16::simd_from(simd, *ours.bits);
    let their_bits = u32x16::simd_from(simd, *theirs.bits);
    let (low, high) = their_bits.simd_gt(bits).widen();
    let low = merge_half::<S, 0>(simd, ours.clocks, ours.nodes, &theirs, low);
    let high = merge_half::<S, HALF>(simd, ours.clocks, ours.nodes, &theirs, high);
    let wins = low.narrow(high);
    if wins.any_true() {
        wins.select(their_bits, bits).store_slice(ours.bits);
        return true;
    }
    false
}

/// Clocks and nodes from `AT` on; `above` says whose bits decide for them in a tie. Returns who wins.
#[inline(always)]
fn merge_half<S: Simd, const AT: usize>(
    simd: S,
    clocks: &mut [u64; STEP],
    nodes: &mut [u64; STEP],
    theirs: &Cells<&[u64; STEP], &[u32; STEP]>,
    above: mask64x8<S>,
) -> mask64x8<S> {
    let load = |from: &[u64; STEP]| u64x8::from_slice(simd, &from[AT..AT + HALF]);
    let (clock, node) = (load(clocks), load(nodes));
    let (their_clock, their_node) = (load(theirs.clocks), load(theirs.nodes));
    let by_node = their_node.simd_gt(node) | (their_node.simd_eq(node) & above);
    let wins = their_clock.simd_gt(clock) | (their_clock.simd_eq(clock) & by_node);
    if wins.any_true() {
        wins.select(their_clock, clock).store_slice(&mut clocks[AT..AT + HALF]);
        wins.select(their_node, node).store_slice(&mut nodes[AT..AT + HALF]);
    }
    wins
}
