//! Who counts how much.

use alloc::vec;
use alloc::vec::Vec;

/// The shares of weights that are at least 0: in proportion, but nobody above `most`, and 1 together. Where so few are there that `most` cannot be kept,
/// all have the same. Nothing but zeros gives the same to all, too.
pub fn shares(weights: &[f64], most: f64) -> Vec<f64> {
    let count = weights.len();
    let equal = 1.0 / count.max(1) as f64;
    let sum: f64 = weights.iter().sum();
    if most * count as f64 <= 1.0 || sum.is_nan() || sum <= 0.0 {
        return vec![equal; count];
    }
    // Whoever is above the bound gets it; what is left goes to the others in proportion, who may then be above it themselves.
    let mut is_cut = vec![false; count];
    loop {
        let cut = is_cut.iter().filter(|cut| **cut).count();
        let left = 1.0 - most * cut as f64;
        let others: f64 = weights.iter().zip(&is_cut).filter(|(_, cut)| !**cut).map(|(weight, _)| weight).sum();
        let share =
            |weight: f64| if others > 0.0 { left * weight / others } else { left / (count - cut).max(1) as f64 };
        let above: Vec<usize> = (0..count).filter(|i| !is_cut[*i] && share(weights[*i]) > most).collect();
        if above.is_empty() {
            return (0..count).map(|i| if is_cut[i] { most } else { share(weights[i]) }).collect();
        }
        above.into_iter().for_each(|i| is_cut[i] = true);
    }
}

/// An update counts that was made from a state of at most so many rounds before.
pub(super) const LATEST: u64 = 2;

/// What an update counts that was made from a state of so many rounds before.
pub fn staleness(rounds: u64) -> f64 {
    if rounds > LATEST { 0.0 } else { 1.0 / (1.0 + rounds as f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_base::Rng;

    #[test]
    fn shares_are_in_proportion_and_nobody_is_above_the_bound() {
        assert_eq!(shares(&[1.0, 1.0, 2.0], 0.5), [0.25, 0.25, 0.5]);
        assert_eq!(shares(&[1.0, 1.0, 98.0], 0.5), [0.25, 0.25, 0.5]);
        assert_eq!(shares(&[1.0, 99.0], 1.0), [0.01, 0.99]);
        assert_eq!(shares(&[0.0, 0.0], 0.5), [0.5, 0.5]);
        assert_eq!(shares(&[5.0], 0.5), [1.0], "alone there is nobody to give it to");
        // Whoever is cut makes another one exceed the bound.
        let cut = shares(&[100.0, 30.0, 1.0, 1.0], 0.34);
        assert_eq!((cut[0], cut[1]), (0.34, 0.34));
        assert!((cut[2] - 0.16).abs() < 1e-12 && cut[2] == cut[3], "{cut:?}");
    }

    #[test]
    fn shares_of_anything_are_shares() {
        let mut rng = Rng::new(1);
        for _ in 0..10_000 {
            let count = 1 + rng.below(9) as usize;
            let weights: Vec<f64> = (0..count)
                .map(|_| {
                    let bits = rng.below(40);
                    rng.below(1 << bits) as f64
                })
                .collect();
            let most = 0.1 + 0.9 * rng.uniform_f64();
            let shares = shares(&weights, most);
            let bound = most.max(1.0 / count as f64) + 1e-12;
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{weights:?} {most}: {shares:?}");
            assert!(shares.iter().all(|share| (0.0..=bound).contains(share)), "{weights:?} {most}: {shares:?}");
            // Who has more rows does not count less.
            for i in 0..count {
                let less = (0..count).find(|j| weights[*j] < weights[i] && shares[*j] > shares[i] + 1e-12);
                assert_eq!(less, None, "{weights:?} {most}: {shares:?}");
            }
        }
    }

    #[test]
    fn late_updates_count_less_and_then_not() {
        assert_eq!([0, 1, 2, 3].map(staleness), [1.0, 1.0 / 2_f64.sqrt(), 1.0 / 3_f64.sqrt(), 0.0]);
    }
}
