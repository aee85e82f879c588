//! Weights of the classes.
use super::options::ClassWeights;
use super::rows::Rows;
use crate::data::class_of;
use crate::error::{NnError, Result};
use std::collections::BTreeMap;

/// One weight for each class of the target; `counts` tells how many rows each has, where that is asked for.
pub(super) fn class_weights(
    wanted: &ClassWeights,
    labels: &[String],
    counts: impl FnOnce() -> Result<Vec<u64>>,
) -> Result<Vec<f32>> {
    if labels.is_empty() {
        return refused("goes with classes; numbers are predicted here (`task` classify makes classes of them)");
    }
    match wanted {
        ClassWeights::Balanced => Ok(balanced(&counts()?)),
        ClassWeights::Of(weights) => named(weights, labels),
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T> {
    Err(NnError::misfit("class_weights", what))
}

/// Classes that are not named weigh 1.
fn named(wanted: &BTreeMap<String, f32>, labels: &[String]) -> Result<Vec<f32>> {
    let mut weights = vec![1.0; labels.len()];
    for (label, weight) in wanted {
        if !(weight.is_finite() && *weight >= 0.0) {
            return refused(format!(
                "cannot be {weight} for {label:?}, which is no weight: a number from 0 on is wanted"
            ));
        }
        let Some((_, place)) = labels.iter().zip(&mut weights).find(|(known, _)| *known == label) else {
            return refused(format!("names {label:?}, but no class is called so; there are {}", labels.join(", ")));
        };
        *place = *weight;
    }
    if weights.iter().all(|w| *w == 0.0) {
        return refused("makes nothing count: no class has a weight");
    }
    Ok(weights)
}

/// `rows / (classes · rows of the class)`: every class counts the same.
fn balanced(counts: &[u64]) -> Vec<f32> {
    let (classes, all) = (counts.len(), counts.iter().sum::<u64>());
    counts.iter().map(|n| if *n == 0 { 1.0 } else { all as f32 / (classes as u64 * n) as f32 }).collect()
}

/// How many training rows each class has.
pub(super) fn class_counts(rows: &mut Rows) -> Result<Vec<u64>> {
    let mut counts = vec![0_u64; rows.encoder.labels().len()];
    let width = rows.encoder.target_width().max(1);
    rows.training.each(|_, targets| {
        for row in targets.chunks_exact(width) {
            if let Some(count) = counts.get_mut(class_of(row)) {
                *count += 1;
            }
        }
        Ok(())
    })?;
    Ok(counts)
}
