//! Weights of the classes.
use super::options::ClassWeights;
use super::rows::Rows;
use crate::data::class_of;
use crate::error::{NnError, Result};
use std::collections::BTreeMap;

/// One weight for each class of the target.
pub(super) fn class_weights(wanted: &ClassWeights, rows: &mut Rows) -> Result<Vec<f32>> {
    let labels = rows.encoder.labels().to_vec();
    if labels.is_empty() {
        return refused("goes with classes; numbers are predicted here (`task` classify makes classes of them)");
    }
    match wanted {
        ClassWeights::Balanced => balanced(labels.len(), rows),
        ClassWeights::Of(weights) => named(weights, &labels),
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
fn balanced(classes: usize, rows: &mut Rows) -> Result<Vec<f32>> {
    let mut counts = vec![0_usize; classes];
    let width = rows.encoder.target_width().max(1);
    rows.training.each(|_, targets| {
        for row in targets.chunks_exact(width) {
            if let Some(count) = counts.get_mut(class_of(row)) {
                *count += 1;
            }
        }
        Ok(())
    })?;
    let all: usize = counts.iter().sum();
    Ok(counts.iter().map(|n| if *n == 0 { 1.0 } else { all as f32 / (classes * n) as f32 }).collect())
}
