//! Weights as the mean of what every peer contributes.

use super::Crdt;
use crate::SwarmError;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// What one peer trained, in its latest round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contribution {
    /// Higher rounds replace lower ones.
    pub round: u64,
    /// Its share in the mean, for example the number of samples.
    pub weight: f32,
    /// One number per parameter.
    pub values: Vec<f32>,
}

impl Contribution {
    /// Round first, then bits: NaN and −0.0 have their place.
    fn order(&self, other: &Self) -> Ordering {
        let bits = |c: &Self| (c.round, c.weight.to_bits(), c.values.len());
        let values = || self.values.iter().map(|v| v.to_bits()).cmp(other.values.iter().map(|v| v.to_bits()));
        bits(self).cmp(&bits(other)).then_with(values)
    }

    fn is_usable(&self) -> bool {
        self.weight.is_finite() && self.weight > 0.0 && self.values.iter().all(|v| v.is_finite())
    }
}

impl PartialEq for Contribution {
    fn eq(&self, other: &Self) -> bool {
        self.order(other).is_eq()
    }
}

/// How contributions become one value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Combine {
    /// The mean by weight.
    Mean,
    /// The mean by weight without this share of the lowest and of the highest values, rounded down; below 0.5.
    TrimmedMean(f32),
    /// The middle value, or the mean of the middle two; weights do not count.
    Median,
}

/// Contributions by peer. Unlike last-writer-wins, nobody's training is thrown away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AverageTensor {
    len: usize,
    peers: BTreeMap<NodeId, Contribution>,
}

impl AverageTensor {
    /// A tensor of `len` weights without contributions.
    pub fn new(len: usize) -> Self {
        Self { len, peers: BTreeMap::new() }
    }

    /// Contributes for `node`, which must be the caller's own name; a round lower than the last is ignored. Returns the delta.
    ///
    /// # Errors
    /// [`SwarmError::ContributionLen`], [`SwarmError::ContributionValue`] when a value is not finite or the weight not above 0.
    pub fn contribute(&mut self, node: NodeId, contribution: Contribution) -> Result<Self, SwarmError> {
        if contribution.values.len() != self.len {
            return Err(SwarmError::ContributionLen { want: self.len, got: contribution.values.len() });
        }
        if !contribution.is_usable() {
            return Err(SwarmError::ContributionValue);
        }
        let delta = Self { len: self.len, peers: [(node, contribution)].into() };
        self.merge(&delta);
        Ok(delta)
    }

    /// The combined weights, or nothing while no usable contribution is there. Contributions that a peer made up of NaN, infinity or a weight of 0 do not count.
    ///
    /// # Errors
    /// [`SwarmError::TrimShare`] for a share below 0 or from 0.5 on.
    pub fn value(&self, combine: Combine) -> Result<Option<Vec<f32>>, SwarmError> {
        if let Combine::TrimmedMean(share) = combine
            && !(0.0..0.5).contains(&share)
        {
            return Err(SwarmError::TrimShare { got: share });
        }
        let usable: Vec<&Contribution> =
            self.peers.values().filter(|c| c.is_usable() && c.values.len() == self.len).collect();
        if usable.is_empty() {
            return Ok(None);
        }
        let mut column = vec![(0.0, 0.0); usable.len()];
        let combined = (0..self.len).map(|i| {
            for (cell, c) in column.iter_mut().zip(&usable) {
                *cell = (c.values[i], c.weight);
            }
            combine.of(&mut column)
        });
        Ok(Some(combined.collect()))
    }

    /// Who contributed, and in which round.
    pub fn rounds(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.peers.iter().map(|(&node, c)| (node, c.round))
    }
}

impl Combine {
    /// Of finite (value, weight) pairs, at least one.
    fn of(self, column: &mut [(f32, f32)]) -> f32 {
        let n = column.len();
        if self != Self::Mean {
            column.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        }
        match self {
            Self::Mean => mean(column),
            Self::TrimmedMean(share) => {
                let cut = ((n as f32 * share) as usize).min((n - 1) / 2);
                mean(&column[cut..n - cut])
            }
            Self::Median => ((f64::from(column[(n - 1) / 2].0) + f64::from(column[n / 2].0)) / 2.0) as f32,
        }
    }
}

/// In f64: a weight of 10³⁸ samples does not overflow.
fn mean(column: &[(f32, f32)]) -> f32 {
    let add = |(sum, total), &(v, w): &(f32, f32)| (sum + f64::from(v) * f64::from(w), total + f64::from(w));
    let (sum, total) = column.iter().fold((0.0, 0.0), add);
    (sum / total) as f32
}

impl Crdt for AverageTensor {
    /// Contributions of another length are left out; a tensor of another length changes nothing.
    fn merge(&mut self, other: &Self) -> bool {
        if self.len != other.len {
            return false;
        }
        let mut is_new = false;
        for (node, theirs) in other.peers.iter().filter(|(_, c)| c.values.len() == self.len) {
            let is_newer = self.peers.get(node).is_none_or(|ours| theirs.order(ours).is_gt());
            if is_newer {
                self.peers.insert(*node, theirs.clone());
                is_new = true;
            }
        }
        is_new
    }
}
