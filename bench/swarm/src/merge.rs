//! Merging weights of which the last written win, beside a plain copy of as many bytes.

use crate::ALLOCATOR;
use crate::report::{Row, median};
use anyhow::Result;
use mayfly_base::Rng;
use mayfly_swarm::crdt::{LwwTensor, TensorClock};
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;

/// Time, node and bits of a cell.
const CELL_BYTES: usize = 20;
/// What 1,024 cells may take, in copies of the same bytes.
const CEILING: f64 = 2.0;
/// Turns of one measurement: merge, copy, merge, copy …
const TURNS: usize = 200;

/// How the clocks of two replicas stand to each other.
#[derive(Clone, Copy)]
enum Mix {
    /// All of the other's cells are newer: every byte is written.
    Newer,
    /// Each cell newer or older, by chance.
    Random,
    /// The same cells, already known.
    Known,
}

pub fn rows(rounds: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (mix, name) in [(Mix::Newer, "newer"), (Mix::Random, "random"), (Mix::Known, "known")] {
        for cells in [1, 16, 64, 256, 1024] {
            rows.push(beside_copy(cells, mix, name, rounds)?);
        }
    }
    Ok(rows)
}

/// Enough targets that the clock's own time does not count, few enough to stay in the cache.
fn targets_of(cells: usize) -> usize {
    (4096 / cells).clamp(4, 256)
}

/// Medians over turns, then over rounds.
fn beside_copy(cells: usize, mix: Mix, name: &str, rounds: usize) -> Result<Row> {
    let (ours, theirs) = tensors(cells, mix)?;
    let targets = targets_of(cells);
    let mut replicas = vec![ours.clone(); targets];
    let (from, mut to) = (vec![7_u8; cells * CELL_BYTES], vec![vec![0_u8; cells * CELL_BYTES]; targets]);
    let (mut merge_ns, mut copy_ns, mut allocations) = (Vec::new(), Vec::new(), 0);
    let each = |start: Instant| start.elapsed().as_secs_f64() * 1e9 / targets as f64;
    for _ in 0..rounds {
        let (mut merges, mut copies) = (Vec::with_capacity(TURNS), Vec::with_capacity(TURNS));
        for _ in 0..TURNS {
            replicas.iter_mut().for_each(|replica| replica.clone_from(&ours));
            let before = ALLOCATOR.total_allocated();
            let start = Instant::now();
            for replica in &mut replicas {
                black_box(black_box(replica).try_merge(black_box(&theirs))?);
            }
            merges.push(each(start));
            allocations += ALLOCATOR.total_allocated() - before;
            let start = Instant::now();
            for target in &mut to {
                black_box(target).copy_from_slice(black_box(&from));
            }
            copies.push(each(start));
        }
        merge_ns.push(median(merges));
        copy_ns.push(median(copies));
    }
    let (merge_ns, copy_ns) = (median(merge_ns), median(copy_ns));
    let mut figures = vec![
        ("ns", json!(merge_ns)),
        ("copy_ns", json!(copy_ns)),
        ("ratio", json!(merge_ns / copy_ns)),
        ("allocated_bytes", json!(allocations)),
    ];
    if cells == 1024 {
        figures.push(("ceiling", json!(CEILING)));
    }
    Ok(Row::new(format!("merge, {cells} cells, {name}"), figures))
}

fn tensors(cells: usize, mix: Mix) -> Result<(LwwTensor, LwwTensor)> {
    let mut rng = Rng::new(4);
    let (mut ours, mut theirs) = (LwwTensor::new(cells, 1)?, LwwTensor::new(cells, 1)?);
    for i in 0..cells {
        let (mine, other) = match mix {
            Mix::Newer => (1, 2),
            Mix::Random => (rng.below(8), rng.below(8)),
            Mix::Known => (3, 3),
        };
        let value = rng.normal() as f32;
        ours.write(i, &[value], TensorClock { time: mine, node: 1 })?;
        let (value, node) = if matches!(mix, Mix::Known) { (value, 1) } else { (rng.normal() as f32, 2) };
        theirs.write(i, &[value], TensorClock { time: other, node })?;
    }
    Ok((ours, theirs))
}
