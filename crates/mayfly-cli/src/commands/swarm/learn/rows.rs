//! Which rows each node has.

use super::prepare::Prepared;
use anyhow::Result;
use mayfly_learn::{Shard, Split};
use mayfly_nn::InMemory;

/// The places, among the training rows, of each node's.
pub fn divide(prepared: &Prepared, split: Split, nodes: usize) -> Result<Vec<Vec<usize>>> {
    let training = &prepared.parts.training;
    let classes = Split::classes(training.targets(), prepared.parts.plan.encoder.target_width());
    let of = split.assign(&classes, nodes, prepared.parts.plan.config.seed)?;
    let mut parts = vec![Vec::new(); nodes];
    of.iter().enumerate().for_each(|(row, node)| parts[*node].push(row));
    Ok(parts)
}

/// Some of the rows.
pub fn part(all: &InMemory, rows: &[usize]) -> Result<InMemory> {
    let (inputs, targets) = (all.inputs().len() / all.len(), all.targets().len() / all.len());
    let pick =
        |values: &[f32], len: usize| rows.iter().flat_map(|row| values[row * len..(row + 1) * len].to_vec()).collect();
    Ok(InMemory::new(inputs, targets, pick(all.inputs(), inputs), pick(all.targets(), targets))?)
}

/// A node's part of the file.
pub fn shard(prepared: &Prepared, rows: &[usize]) -> Shard {
    prepared.shard(Some(rows.iter().map(|row| prepared.parts.row_numbers[*row]).collect()))
}
