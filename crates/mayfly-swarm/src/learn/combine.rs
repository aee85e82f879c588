//! The weighted mean of updates.

use super::roster::bound;
use super::share::{shares, staleness};
use super::{Contribution, Digest};
use crate::{Result, SwarmError};
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// A weighted mean that is summed in `f64`. The same contributions in the same order give the same bits everywhere; the order is that of node ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    sum: Vec<f64>,
    share: f64,
}

impl Mean {
    /// Of updates with so many values.
    pub fn new(len: usize) -> Self {
        Self { sum: vec![0.0; len], share: 0.0 }
    }

    /// Adds an update that counts this much.
    ///
    /// # Errors
    /// [`SwarmError::ContributionLen`]; [`SwarmError::ContributionValue`] for a value that is not finite, or a share that is not above 0. Nothing is added then.
    pub fn add(&mut self, update: &[f32], share: f64) -> Result<()> {
        if update.len() != self.sum.len() {
            return Err(SwarmError::ContributionLen { want: self.sum.len(), got: update.len() });
        }
        let is_share = share.is_finite() && share > 0.0;
        if !is_share || !update.iter().all(|value| value.is_finite()) {
            return Err(SwarmError::ContributionValue);
        }
        self.sum.iter_mut().zip(update).for_each(|(sum, value)| *sum += share * f64::from(*value));
        self.share += share;
        Ok(())
    }

    /// The mean; zeros of nothing.
    pub fn finish(mut self) -> Vec<f64> {
        if self.share > 0.0 {
            self.sum.iter_mut().for_each(|sum| *sum /= self.share);
        }
        self.sum
    }
}

/// Who contributed and what it counts, in their order: by rows and by how late they are, and nobody above `most` from three on.
pub fn shares_of(contributions: &[Contribution], most: f64) -> Vec<(NodeId, f64)> {
    let weight = |one: &Contribution| one.rows as f64 * staleness(u64::from(one.staleness));
    let weights: Vec<f64> = contributions.iter().map(weight).collect();
    let shares = shares(&weights, bound(most, weights.len()));
    contributions.iter().map(|one| one.node).zip(shares).collect()
}

/// What a result is called in simulations without numbers: it depends on the parent and on who contributed what.
pub(super) fn named(parent: Digest, contributions: impl Iterator<Item = Digest>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&parent.0);
    contributions.for_each(|digest| {
        hasher.update(&digest.0);
    });
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_weighted_and_refuses_what_spoils_it() {
        let mut mean = Mean::new(2);
        mean.add(&[1.0, -4.0], 0.25).expect("fits");
        mean.add(&[5.0, 0.0], 0.75).expect("fits");
        let before = mean.clone();
        assert!(matches!(mean.add(&[1.0], 0.5), Err(SwarmError::ContributionLen { want: 2, got: 1 })));
        for (update, share) in
            [([f32::NAN, 0.0], 0.5), ([f32::INFINITY, 0.0], 0.5), ([1.0, 1.0], 0.0), ([1.0, 1.0], f64::NAN)]
        {
            assert!(matches!(mean.add(&update, share), Err(SwarmError::ContributionValue)), "{update:?} {share}");
        }
        assert_eq!(mean, before, "nothing was added");
        assert_eq!(mean.finish(), [4.0, -1.0]);
        assert_eq!(Mean::new(1).finish(), [0.0]);
    }

    #[test]
    fn shares_need_not_sum_to_one() {
        let mut mean = Mean::new(1);
        mean.add(&[2.0], 0.1).expect("fits");
        mean.add(&[4.0], 0.1).expect("fits");
        assert!((mean.finish()[0] - 3.0).abs() < 1e-12);
    }
}
