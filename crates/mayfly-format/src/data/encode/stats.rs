//! Figures of a column, collected in one pass.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Count, mean, variance and range of a stream of finite numbers: Welford 1962; merging by Chan, Golub and LeVeque 1979.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    count: u64,
    mean: f64,
    /// Sum of squared differences from the mean.
    spread: f64,
    min: f64,
    max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, spread: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.spread += before * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds a whole block, such as an image: passes over it with several sums at a time and one merge are faster than a division per
    /// value. NaN stands for missing and is skipped; returns how many were.
    pub(super) fn add_block(&mut self, values: &[f64]) -> u64 {
        if sum_by_lanes(values, |value| value).is_nan() {
            let missing = values.iter().filter(|value| value.is_nan()).count();
            values.iter().filter(|value| !value.is_nan()).for_each(|&value| self.add(value));
            return missing as u64;
        }
        let count = values.len() as u64;
        if count > 0 {
            let mean = sum_by_lanes(values, |value| value) / count as f64;
            let spread = sum_by_lanes(values, |value| (value - mean) * (value - mean));
            let (min, max) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
            self.merge(Self { count, mean, spread, min, max });
        }
        0
    }

    pub(super) fn merge(&mut self, other: Self) {
        let count = self.count + other.count;
        if other.count == 0 {
            return; // a share of nothing is not a number
        }
        let difference = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.mean += difference * share;
        self.spread += other.spread + difference * difference * self.count as f64 * share;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count = count;
    }

    /// Whether there are numbers of which these are the figures. That they are too large for a mean is said where one is wanted.
    pub(super) fn is_sound(&self) -> bool {
        if self.count == 0 {
            return *self == Self::default();
        }
        let slack = 1e-9 * self.min.abs().max(self.max.abs()); // the mean of equal numbers may be off by rounding
        let within = (self.min - slack..=self.max + slack).contains(&self.mean) || !self.mean.is_finite();
        let ordered = self.min <= self.max && self.min.is_finite() && self.max.is_finite();
        ordered && within && (self.spread >= 0.0 || self.spread.is_nan())
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    pub(super) fn min(&self) -> f64 {
        self.min
    }

    pub(super) fn max(&self) -> f64 {
        self.max
    }

    /// The population's standard deviation.
    pub(super) fn deviation(&self) -> f64 {
        (self.spread / self.count.max(1) as f64).sqrt()
    }
}

/// The sum of `f` of each value, in eight sums that do not wait for each other.
fn sum_by_lanes(values: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(sum, &value)| *sum += f(value));
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&value| f(value)).sum::<f64>()
}

/// The different values of a numeric column and how often each occurs, up to a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Values {
    counts: BTreeMap<Ordered, u64>,
    limit: usize,
    overflowed: bool,
    whole: bool,
}

/// A finite number by value; both zeros are one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ordered(f64);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

impl Values {
    pub(super) fn new(limit: usize) -> Self {
        Self { counts: BTreeMap::new(), limit, overflowed: false, whole: true }
    }

    /// Notes a value; `times` is 1 where it counts and 0 where it is only to be known.
    pub(super) fn add(&mut self, value: f64, times: u64) {
        self.whole &= value.fract() == 0.0;
        if self.overflowed {
            return;
        }
        let key = Ordered(value + 0.0); // -0 becomes 0
        if let Some(count) = self.counts.get_mut(&key) {
            *count += times;
        } else if self.counts.len() < self.limit {
            self.counts.insert(key, times);
        } else {
            self.overflowed = true;
            self.counts.clear();
        }
    }

    /// Adds those of another place.
    pub(super) fn merge(&mut self, other: &Self) {
        self.whole &= other.whole;
        if other.overflowed {
            self.overflowed = true;
            self.counts.clear();
        }
        other.counts.iter().for_each(|(value, &times)| self.add(value.0, times));
    }

    /// Whether these are numbers, of as many rows at most.
    pub(super) fn fit(&self, rows: u64) -> bool {
        self.counts.keys().all(|key| key.0.is_finite()) && sums_to_at_most(self.counts.values().copied(), rows)
    }

    /// The values in ascending order with their counts, unless there were more than the limit.
    pub(super) fn all(&self) -> Option<Vec<(f64, u64)>> {
        (!self.overflowed).then(|| self.counts.iter().map(|(key, &count)| (key.0, count)).collect())
    }

    /// Whether every value is a whole number.
    pub(super) fn all_whole(&self) -> bool {
        self.whole
    }
}

/// Watches whether in every row exactly one of several columns is 1 and the others are all 0, or all −1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OneHot {
    low: Option<f64>,
    broken: bool,
    largest: Vec<u64>,
}

impl OneHot {
    pub(super) fn new(columns: usize) -> Self {
        Self { low: None, broken: false, largest: vec![0; columns] }
    }

    /// Notes a row; `times` as in [`Values::add`].
    pub(super) fn add(&mut self, row: impl Iterator<Item = f64> + Clone, times: u64) {
        let high = row.clone().filter(|&value| value == 1.0).count();
        let lows = row.clone().filter(|&value| value != 1.0);
        for low in lows {
            self.broken |= *self.low.get_or_insert(low) != low || (low != 0.0 && low != -1.0);
        }
        self.broken |= high != 1;
        if let Some(count) = largest(row).and_then(|class| self.largest.get_mut(class)) {
            *count += times;
        }
    }

    /// Adds the rows of another place, of as many columns.
    pub(super) fn merge(&mut self, other: &Self) {
        self.broken |= other.broken || matches!((self.low, other.low), (Some(a), Some(b)) if a != b);
        self.low = self.low.or(other.low);
        self.largest.iter_mut().zip(&other.largest).for_each(|(sum, count)| *sum += count);
    }

    pub(super) fn columns(&self) -> usize {
        self.largest.len()
    }

    /// Whether it is of so many rows at most.
    pub(super) fn fits(&self, rows: u64) -> bool {
        self.low.is_none_or(f64::is_finite) && sums_to_at_most(self.largest.iter().copied(), rows)
    }

    pub(super) fn is_one_hot(&self) -> bool {
        !self.broken
    }

    /// How often each column was the largest.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.largest.clone()
    }
}

/// The index of the largest value, the first of equal ones; `None` if there is none but NaN.
pub(super) fn largest<T: PartialOrd>(values: impl Iterator<Item = T>) -> Option<usize> {
    let mut best: Option<(usize, T)> = None;
    for (index, value) in values.enumerate() {
        let better = match &best {
            None => value.partial_cmp(&value).is_some(),
            Some((_, most)) => value > *most,
        };
        if better {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}

/// Whether counts are of so many rows at most.
pub(super) fn sums_to_at_most(mut counts: impl Iterator<Item = u64>, rows: u64) -> bool {
    counts.try_fold(0_u64, u64::checked_add).is_some_and(|sum| sum <= rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64, scale: f64) -> bool {
        (a - b).abs() <= 1e-12 * scale.max(1.0)
    }

    proptest! {
        #[test]
        fn one_pass_equals_two(values in prop::collection::vec(-1e6..1e6_f64, 1..200), cut in 0..200_usize) {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let mut single = Moments::default();
            values.iter().for_each(|&v| single.add(v));
            let mut blocks = Moments::default();
            let (a, b) = values.split_at(cut.min(values.len()));
            prop_assert_eq!(blocks.add_block(a) + blocks.add_block(b), 0);
            for moments in [single, blocks] {
                prop_assert_eq!(moments.count(), values.len() as u64);
                prop_assert!(close(moments.mean(), mean, 1e6));
                prop_assert!(close(moments.deviation(), variance.sqrt(), 1e6));
                prop_assert_eq!(moments.min(), values.iter().copied().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(moments.max(), values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            }
        }
    }

    #[test]
    fn a_large_offset_does_not_drown_the_deviation() {
        let mut moments = Moments::default();
        for i in 0..1000 {
            moments.add(1e9 + f64::from(i % 2));
        }
        assert!((moments.deviation() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn missing_cells_of_a_block_are_skipped_and_counted() {
        let mut moments = Moments::default();
        assert_eq!(moments.add_block(&[1.0, f64::NAN, 3.0]), 1);
        assert_eq!((moments.count(), moments.mean()), (2, 2.0));
        assert_eq!(moments.add_block(&[f64::NAN]), 1);
        assert_eq!(moments.mean(), 2.0);
    }

    #[test]
    fn values_stop_at_their_limit() {
        let mut values = Values::new(2);
        values.add(0.0, 1);
        values.add(-0.0, 1);
        values.add(-1.0, 0);
        assert_eq!(values.all(), Some(vec![(-1.0, 0), (0.0, 2)]));
        assert!(values.all_whole());
        values.add(0.5, 1);
        assert_eq!(values.all(), None);
        assert!(!values.all_whole());
    }

    #[test]
    fn one_hot_rows() {
        let check = |rows: &[[f64; 3]]| {
            let mut probe = OneHot::new(3);
            rows.iter().for_each(|row| probe.add(row.iter().copied(), 1));
            probe.is_one_hot()
        };
        assert!(check(&[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]));
        assert!(check(&[[-1.0, 1.0, -1.0]]));
        assert!(!check(&[[0.0, 1.0, 0.0], [-1.0, 1.0, -1.0]]));
        assert!(!check(&[[1.0, 1.0, 0.0]]));
        assert!(!check(&[[0.0, 0.0, 0.0]]));
        assert!(!check(&[[0.0, 1.0, 0.5]]));
    }

    #[test]
    fn the_first_largest_wins_and_nan_never() {
        assert_eq!(largest([1.0, 3.0, 3.0].into_iter()), Some(1));
        assert_eq!(largest([f64::NAN, -1.0].into_iter()), Some(1));
        assert_eq!(largest([1.0, f64::NAN].into_iter()), Some(0));
        assert_eq!(largest([f64::NAN].into_iter()), None);
    }
}
