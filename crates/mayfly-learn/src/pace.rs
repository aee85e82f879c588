//! How many steps nodes take between two exchanges: the fewer, the less alike their rows are.
//!
//! What differs between nodes is of two kinds. Noise of small batches is another in every round. What comes of unlike rows comes back: a node that is pulled
//! away from the others by its rows is pulled the same way again. So each node's deviation from the mean update is compared with its own of the round before:
//! their correlation, the *drift*, is about 0 where rows are divided at random, whatever the noise, and near 1 where they are not alike at all.

use crate::{LearnError, Result};
use mayfly_base::{NodeId, split_mix};
use std::ops::Range;

/// Numbers that stand for an update, by which two of them can be compared: a count sketch (Charikar, Chen and Farach-Colton 2002).
const DIMS: usize = 64;
/// Nodes whose deviations are kept: more say no more.
const KEPT: usize = 32;
/// Below this drift rows are as good as alike.
const ALIKE: f64 = 0.1;
/// From this drift on they are as unlike as can be.
const UNLIKE: f64 = 0.6;
/// Steps between two exchanges of nodes with unlike rows, and of all before anything is known.
const FEWEST: f64 = 2.0;
/// The share of a new measurement.
const NEW: f64 = 0.3;
/// There are so many exchanges at least, however alike rows are: the outer step has a momentum that must come to speed.
const EXCHANGES: u64 = 50;

/// After this share of a run whose length is known the outer rate falls, down to the last share of it: what unlike nodes pull to and fro is averaged then.
const FALLS_FROM: f64 = 0.7;
const LAST_RATE: f64 = 0.05;

/// Nobody takes more steps between two exchanges.
const MOST_STEPS: u64 = 1 << 32;

/// A short form of an update.
type Sketch = [f32; DIMS];

/// How far nodes have come, and how many steps they take now.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Steps of each node until the next exchange.
    pub steps: u64,
    /// Steps of each node so far.
    pub done: u64,
    /// How much of what differs between nodes comes back from round to round; none before it could be measured.
    pub drift: Option<f64>,
    /// Deviations from the mean of the last round, in the order of nodes.
    deviations: Vec<(NodeId, Sketch)>,
}

/// The bounds of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Steps between two exchanges, at most.
    pub most: u64,
    /// Steps of each node in all, where that is what ends the run.
    pub total: Option<u64>,
}

impl Bounds {
    fn most(&self) -> u64 {
        self.most.min(self.total.map_or(u64::MAX, |total| total / EXCHANGES)).max(1)
    }

    /// Steps of the next round after so many.
    fn fit(&self, steps: u64, done: u64) -> u64 {
        let left = self.total.map_or(u64::MAX, |total| total.saturating_sub(done));
        steps.clamp(1, self.most()).min(left.max(1)).min(MOST_STEPS)
    }
}

impl Pace {
    pub(crate) fn first(bounds: &Bounds) -> Self {
        Self { steps: bounds.fit(FEWEST as u64, 0), done: 0, drift: None, deviations: Vec::new() }
    }

    /// Have all steps been taken?
    pub(crate) fn is_last(&self, bounds: &Bounds) -> bool {
        bounds.total.is_some_and(|total| self.done >= total)
    }

    /// What of the outer rate there is in this round.
    pub(crate) fn rate(&self, bounds: &Bounds) -> f64 {
        let gone = bounds.total.map_or(0.0, |total| self.done as f64 / total as f64);
        1.0 - (1.0 - LAST_RATE) * ((gone - FALLS_FROM) / (1.0 - FALLS_FROM)).clamp(0.0, 1.0)
    }

    /// After a round.
    pub(crate) fn next(&self, seen: Seen, bounds: &Bounds) -> Self {
        let deviations = seen.deviations();
        let measured = drift(&self.deviations, &deviations);
        let drift = match (self.drift, measured) {
            (Some(before), Some(now)) => Some(before + NEW * (now - before)),
            (before, now) => now.or(before),
        };
        let done = self.done.saturating_add(self.steps);
        let steps = bounds.fit(self.steps_at(drift, bounds), done);
        Self { steps, done, drift, deviations }
    }

    /// Twice or half as many as now, or as many.
    fn steps_at(&self, drift: Option<f64>, bounds: &Bounds) -> u64 {
        let Some(drift) = drift else { return self.steps };
        let unlike = ((drift - ALIKE) / (UNLIKE - ALIKE)).clamp(0.0, 1.0);
        let most = bounds.most() as f64;
        let wanted = most * (FEWEST.min(most) / most).powf(unlike);
        match self.steps as f64 {
            now if wanted >= 2.0 * now || wanted >= most => self.steps.saturating_mul(2),
            now if wanted <= now / 2.0 => self.steps / 2,
            _ => self.steps,
        }
    }

    /// Bytes of it, always as many.
    pub(crate) const BYTES: usize = 8 + 8 + 8 + 8 + KEPT * (32 + DIMS * 4);

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        for number in [self.steps, self.done, self.drift.unwrap_or(f64::NAN).to_bits(), self.deviations.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (node, sketch) in &self.deviations {
            bytes.extend_from_slice(&node.0);
            sketch.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        bytes.resize(Self::BYTES, 0);
        bytes
    }

    /// # Errors
    /// [`LearnError::State`] for what no run comes to.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = |reason: &str| LearnError::State { reason: reason.to_owned() };
        let (numbers, rest) = bytes
            .split_at_checked(32)
            .filter(|_| bytes.len() == Self::BYTES)
            .ok_or_else(|| wrong("its end is of another length"))?;
        let number = |i: usize| u64::from_le_bytes(std::array::from_fn(|j| numbers[i * 8 + j]));
        let (steps, done, drift, count) = (number(0), number(1), f64::from_bits(number(2)), number(3));
        if steps == 0 || steps > MOST_STEPS || count > KEPT as u64 {
            return Err(wrong("no number of steps, or too many nodes"));
        }
        let one = |bytes: &[u8]| {
            let node = NodeId(std::array::from_fn(|i| bytes[i]));
            let value = |i: usize| f32::from_le_bytes(std::array::from_fn(|j| bytes[32 + i * 4 + j]));
            (node, std::array::from_fn(value))
        };
        let deviations = rest.chunks_exact(32 + DIMS * 4).take(count as usize).map(one).collect();
        Ok(Self { steps, done, drift: (!drift.is_nan()).then_some(drift), deviations })
    }
}

/// What was seen of the updates of a round.
pub(crate) struct Seen {
    sketches: Vec<(NodeId, f64, [f64; DIMS])>,
    /// Values that are not looked at, being no parameters.
    skipped: Vec<Range<usize>>,
}

impl Seen {
    pub(crate) fn new(skipped: Vec<Range<usize>>) -> Self {
        Self { sketches: Vec::new(), skipped }
    }

    /// Looks at an update that counts this much.
    pub(crate) fn add(&mut self, node: NodeId, share: f64, update: &[f32]) {
        if self.sketches.len() < KEPT {
            self.sketches.push((node, share, sketch(update, &self.skipped)));
        }
    }

    /// How each differs from their mean: a sketch of a difference is the difference of sketches.
    fn deviations(self) -> Vec<(NodeId, Sketch)> {
        let total: f64 = self.sketches.iter().map(|(_, share, _)| share).sum();
        let mean: [f64; DIMS] = std::array::from_fn(|i| {
            self.sketches.iter().map(|(_, share, sketch)| share * sketch[i]).sum::<f64>() / total
        });
        let deviation = |(node, _, sketch): &(NodeId, f64, [f64; DIMS])| {
            (*node, std::array::from_fn(|i| (sketch[i] - mean[i]) as f32))
        };
        self.sketches.iter().map(deviation).collect()
    }
}

/// Every value is added to one of some sums, or taken from it: which, is drawn by its place.
fn sketch(update: &[f32], skipped: &[Range<usize>]) -> [f64; DIMS] {
    let mut sums = [0.0; DIMS];
    for (i, value) in update.iter().enumerate() {
        let drawn = split_mix(i as u64);
        let value = f64::from(*value);
        sums[drawn as usize % DIMS] += if drawn >> 63 == 0 { value } else { -value };
    }
    for i in skipped.iter().flat_map(Clone::clone) {
        let drawn = split_mix(i as u64);
        let value = update.get(i).map_or(0.0, |value| f64::from(*value));
        sums[drawn as usize % DIMS] -= if drawn >> 63 == 0 { value } else { -value };
    }
    sums
}

/// The correlation of nodes' deviations with their own of the round before.
fn drift(before: &[(NodeId, Sketch)], now: &[(NodeId, Sketch)]) -> Option<f64> {
    let dot = |a: &Sketch, b: &Sketch| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let (mut same, mut all) = (0.0, 0.0);
    for (node, now) in now {
        if let Some((_, before)) = before.iter().find(|(other, _)| other == node) {
            same += dot(before, now);
            all += (dot(before, before) * dot(now, now)).sqrt();
        }
    }
    (all > 0.0).then(|| (same / all).clamp(-1.0, 1.0)).filter(|drift| drift.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_base::Rng;

    const BOUNDS: Bounds = Bounds { most: 50, total: None };
    const LEN: usize = 5_000;

    fn noise(rng: &mut Rng) -> Vec<f32> {
        (0..LEN).map(|_| rng.uniform_f32() - 0.5).collect()
    }

    /// Rounds of five nodes whose updates are a way that all go, noise, and a pull of their own that is this strong.
    fn after(rounds: usize, pull: f32, bounds: &Bounds) -> Pace {
        let mut rng = Rng::new(7);
        let pulls: Vec<Vec<f32>> = (0..5).map(|_| noise(&mut rng)).collect();
        let way = noise(&mut rng);
        let mut pace = Pace::first(bounds);
        for _ in 0..rounds {
            let mut seen = Seen::new(Vec::new());
            for (node, own) in pulls.iter().enumerate() {
                let noise = noise(&mut rng);
                let update: Vec<f32> = (0..LEN).map(|i| 2.0 * way[i] + noise[i] + pull * own[i]).collect();
                seen.add(NodeId([node as u8; 32]), 0.2, &update);
            }
            pace = pace.next(seen, bounds);
        }
        pace
    }

    #[test]
    fn noise_is_no_drift_and_a_pull_is() {
        let (alike, between, unlike) = (after(30, 0.0, &BOUNDS), after(30, 0.6, &BOUNDS), after(30, 3.0, &BOUNDS));
        let drift = |pace: &Pace| pace.drift.unwrap_or(f64::NAN);
        assert!(drift(&alike).abs() < ALIKE, "{}", drift(&alike));
        assert!((0.15..0.4).contains(&drift(&between)), "{}", drift(&between));
        assert!(drift(&unlike) > 0.8, "{}", drift(&unlike));
        assert_eq!((alike.steps, unlike.steps), (50, 2));
        assert!((8..=32).contains(&between.steps), "{}", between.steps);
    }

    #[test]
    fn steps_double_and_halve_and_no_more() {
        let paces: Vec<u64> = (0..8).map(|rounds| after(rounds, 0.0, &BOUNDS).steps).collect();
        assert_eq!(paces, [2, 2, 4, 8, 16, 32, 50, 50]);
        let pace = Pace { steps: 50, drift: Some(0.9), ..Pace::first(&BOUNDS) };
        let next = pace.next(Seen::new(Vec::new()), &BOUNDS);
        assert_eq!((next.steps, next.done, next.drift), (25, 50, Some(0.9)));
    }

    #[test]
    fn a_run_ends_after_so_many_steps_and_has_enough_exchanges() {
        let bounds = Bounds { most: 50, total: Some(201) };
        let (mut pace, mut rounds) = (Pace::first(&bounds), 0);
        while !pace.is_last(&bounds) {
            pace = pace.next(Seen::new(Vec::new()), &bounds);
            rounds += 1;
        }
        assert_eq!((pace.done, rounds), (201, 101));
        assert_eq!(after(10, 0.0, &bounds).steps, 4);
        let tiny = Bounds { most: 50, total: Some(3) };
        assert_eq!((Pace::first(&tiny).steps, after(3, 0.0, &tiny).done), (1, 3));
    }

    #[test]
    fn the_rate_falls_towards_an_end_that_is_known() {
        let at = |done: u64, total: Option<u64>| {
            let bounds = Bounds { total, ..BOUNDS };
            Pace { done, ..Pace::first(&bounds) }.rate(&bounds)
        };
        assert_eq!((at(0, Some(100)), at(70, Some(100)), at(1_000_000, None)), (1.0, 1.0, 1.0));
        assert!((at(85, Some(100)) - 0.525).abs() < 1e-12 && (at(100, Some(100)) - LAST_RATE).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_parameter_is_not_looked_at() {
        let mut update = noise(&mut Rng::new(1));
        let part = 100..200;
        let without = {
            let mut update = update.clone();
            update[part.clone()].fill(0.0);
            sketch(&update, &[])
        };
        update[part.clone()].fill(1e3);
        let with = sketch(&update, std::slice::from_ref(&part));
        assert!(with.iter().zip(without).all(|(a, b)| (a - b).abs() < 1e-6), "{with:?} {without:?}");
    }

    #[test]
    fn bytes_and_back() {
        for pace in [Pace::first(&BOUNDS), after(4, 1.0, &BOUNDS)] {
            let bytes = pace.to_bytes();
            assert_eq!((bytes.len(), Pace::from_bytes(&bytes).unwrap()), (Pace::BYTES, pace));
            assert!(Pace::from_bytes(&bytes[1..]).is_err());
        }
        let mut bytes = Pace::first(&BOUNDS).to_bytes();
        bytes[..8].fill(0);
        assert!(matches!(Pace::from_bytes(&bytes), Err(LearnError::State { .. })));
        bytes[7] = 1;
        assert!(matches!(Pace::from_bytes(&bytes), Err(LearnError::State { .. })));
        bytes[7] = 0;
        bytes[0] = 1;
        bytes[24] = 33;
        assert!(matches!(Pace::from_bytes(&bytes), Err(LearnError::State { .. })));
    }
}
