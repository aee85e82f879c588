//! Where a search looks next.
use super::space::{Range, Space};
use crate::error::{ForecastError, Result};
use mayfly_base::split_mix;
use std::convert::Infallible;
use tpe::{TpeOptimizer, TpeOptimizerBuilder};

/// Trials at random before the tree-structured Parzen estimator begins to choose.
const RANDOM_FIRST: usize = 5;
/// The share of trials that count as good.
const GOOD: f64 = 0.25;

/// A seeded sequence, the same on every machine and with every version of other crates.
pub(super) struct Dice(u64);

impl rand_core_10::TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = split_mix(self.0);
        self.0
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Chooses points of a space: at random, or by a tree-structured Parzen estimator for each setting (Bergstra et al. 2011).
pub(super) struct Sampler {
    spans: Vec<[f64; 2]>,
    estimators: Option<Vec<TpeOptimizer>>,
    told: usize,
    dice: Dice,
}

impl Sampler {
    pub(super) fn new(space: &Space, learns: bool, seed: u64) -> Result<Sampler> {
        let estimator = |(name, range): (&String, &Range)| {
            let [from, to] = range.span();
            let kind = if range.is_choice() { tpe::histogram_estimator() } else { tpe::parzen_estimator() };
            let bad = |what: String| ForecastError::option(name.as_str(), what, "a range that holds something");
            let span = tpe::range(from, to).map_err(|e| bad(e.to_string()))?;
            TpeOptimizerBuilder::new().gamma(GOOD).build(kind, span).map_err(|e| bad(e.to_string()))
        };
        let estimators = if learns { Some(space.0.iter().map(estimator).collect::<Result<_>>()?) } else { None };
        let spans = space.0.values().map(Range::span).collect();
        Ok(Sampler { spans, estimators, told: 0, dice: Dice(seed) })
    }

    /// The next point, a coordinate for each setting.
    pub(super) fn ask(&mut self) -> Vec<f64> {
        let dice = &mut self.dice;
        let random: Vec<f64> = self.spans.iter().map(|[from, to]| from + (to - from) * dice.uniform()).collect();
        match &mut self.estimators {
            Some(estimators) if self.told >= RANDOM_FIRST => {
                let asked = |(estimator, random): (&mut TpeOptimizer, f64)| estimator.ask(dice).unwrap_or(random);
                estimators.iter_mut().zip(random).map(asked).collect()
            }
            _ => random,
        }
    }

    /// What came of a point; none where it has failed.
    pub(super) fn tell(&mut self, point: &[f64], error: Option<f64>) {
        self.told += 1;
        let error = error.filter(|error| !error.is_nan()).unwrap_or(f64::MAX);
        for (estimator, at) in self.estimators.iter_mut().flatten().zip(point) {
            // A point of another space is no news of this one.
            estimator.tell(*at, error).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn space() -> Space {
        let named = |name: &str, range| (name.to_owned(), range);
        let kinds = (0..8).map(|i| json!(i)).collect();
        Space(BTreeMap::from([
            named("a", Range::Log([1e-4, 1.0])),
            named("b", Range::Choice(kinds)),
            named("c", Range::Int([0, 40, 2])),
        ]))
    }

    /// Least at a = 0.01, b = 5, c = 10.
    fn error(space: &Space, point: &[f64]) -> f64 {
        let values: Vec<f64> =
            space.0.values().zip(point).map(|(range, at)| range.value(*at).as_f64().unwrap()).collect();
        (values[0].log10() + 2.0).abs() + if values[1] == 5.0 { 0.0 } else { 2.0 } + (values[2] - 10.0).abs() / 10.0
    }

    fn best(learns: bool, seed: u64, trials: usize) -> (f64, Vec<Vec<f64>>) {
        let (space, mut points, mut least) = (space(), Vec::new(), f64::MAX);
        let mut sampler = Sampler::new(&space, learns, seed).unwrap();
        for _ in 0..trials {
            let point = sampler.ask();
            let error = error(&space, &point);
            sampler.tell(&point, Some(error));
            least = least.min(error);
            points.push(point);
        }
        (least, points)
    }

    #[test]
    fn it_learns_where_to_look() {
        let mean = |learns| (0..40).map(|seed| best(learns, seed, 40).0).sum::<f64>() / 40.0;
        let (random, learned) = (mean(false), mean(true));
        assert!(learned < 0.7 * random, "{learned} with learning, {random} without");
    }

    #[test]
    fn a_seed_gives_the_same_points_within_the_space() {
        for learns in [false, true] {
            let (_, points) = best(learns, 7, 30);
            assert_eq!(points, best(learns, 7, 30).1);
            assert_ne!(points, best(learns, 8, 30).1);
            let spans: Vec<[f64; 2]> = space().0.values().map(Range::span).collect();
            let within = |point: &Vec<f64>| point.iter().zip(&spans).all(|(p, [from, to])| from <= p && p <= to);
            assert!(points.iter().all(within));
        }
    }

    #[test]
    fn failures_are_avoided() {
        let space = space();
        let mut sampler = Sampler::new(&space, true, 3).unwrap();
        let mut failed = [0, 0];
        for trial in 0..80 {
            let point = sampler.ask();
            let fails = point[1] < 4.0;
            failed[usize::from(trial >= 40)] += usize::from(fails);
            sampler.tell(&point, (!fails).then_some(1.0));
        }
        assert!(failed[1] < failed[0], "{failed:?}");
    }
}
