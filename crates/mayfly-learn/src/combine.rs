//! The next state, from the one before and what nodes sent.

use crate::local::network_of;
use crate::pace::Seen;
use crate::state::{ModelState, Mover};
use crate::{Body, LearnError, Mode, Result, Run};
use mayfly_base::NodeId;
use mayfly_nn::{TrainConfig, Trainer};
use mayfly_swarm::learn::Mean;
use std::ops::Range;

/// Combines contributions, one after another: no more than one of them has to be in memory.
pub struct Combine {
    run: Run,
    len: usize,
    /// Running statistics of batch norm: no optimiser may touch them.
    running: Vec<Range<usize>>,
    /// Where the optimiser makes the step.
    trainer: Option<Trainer>,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// The next state.
    pub state: ModelState,
    /// How alike the updates were: the square of their mean's length over the mean square of their lengths, 1 for the same one and about 1/n for n that have
    /// nothing in common.
    pub agreement: f64,
}

impl Combine {
    /// For a run.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn new(run: &Run) -> Result<Self> {
        let network = network_of(run)?;
        let (len, running) = (network.params().len(), network.running().collect());
        let trainer = match run.mode {
            Mode::Sync => Some(Trainer::new(network, TrainConfig { threads: 1, ..run.config.clone() })?),
            _ => None,
        };
        Ok(Self { run: run.clone(), len, running, trainer })
    }

    /// Parameters of the network.
    pub fn parameters(&self) -> usize {
        self.len
    }

    /// The next state. `shares` are who contributed and what each counts, in the order of nodes, and `body` gets the bytes of one by its place.
    ///
    /// # Errors
    /// [`LearnError::Contribution`] for the first that cannot be used; those of `body`.
    pub fn combine(
        &mut self,
        state: &ModelState,
        shares: &[(NodeId, f64)],
        body: &mut dyn FnMut(usize) -> Result<Vec<u8>>,
    ) -> Result<Combined> {
        let mut mean = Mean::new(self.len);
        let (mut square, mut whole) = (0.0, None);
        let mut seen = state.pace().map(|_| Seen::new(self.running.clone()));
        for (i, (node, share)) in shares.iter().enumerate() {
            let bytes = body(i)?;
            let unusable = |error: LearnError| LearnError::of_contribution(i, error);
            match Body::from_bytes(&bytes, self.len).map_err(unusable)? {
                Body::Update(values) => {
                    square += share * norm_square(values.iter().map(|value| f64::from(*value)));
                    mean.add(&values, *share).map_err(|error| unusable(error.into()))?;
                    seen.iter_mut().for_each(|seen| seen.add(*node, *share, &values));
                }
                Body::Whole(values) if shares.len() == 1 => whole = Some(values),
                Body::Whole(_) => {
                    return Err(unusable(LearnError::Codec { code: bytes.first().copied().unwrap_or(0) }));
                }
            }
        }
        if let Some(params) = whole {
            let state = self.paced(self.replace(state, params)?, state, seen);
            return Ok(Combined { state, agreement: 1.0 });
        }
        let total: f64 = shares.iter().map(|(_, share)| share).sum();
        let mean = mean.finish();
        let agreement = if square > 0.0 { norm_square(mean.iter().copied()) * total / square } else { 1.0 };
        let next = self.step(state, &mean)?;
        Ok(Combined { state: self.paced(next, state, seen), agreement })
    }

    /// With the steps of the next round, where these are a part of the state.
    fn paced(&self, next: ModelState, before: &ModelState, seen: Option<Seen>) -> ModelState {
        match (self.run.mover(), before.pace(), seen) {
            (Mover::Paced(outer, bounds), Some(pace), Some(seen)) => {
                ModelState::Paced { state: next.into_outer(&outer), pace: pace.next(seen, &bounds) }
            }
            _ => next,
        }
    }

    /// A node that is alone has trained: there is nothing to combine.
    fn replace(&self, state: &ModelState, params: Vec<f32>) -> Result<ModelState> {
        let mut bytes = state.to_bytes();
        bytes.chunks_exact_mut(4).zip(&params).for_each(|(place, value)| place.copy_from_slice(&value.to_le_bytes()));
        ModelState::from_bytes(&bytes, &self.run.mover(), self.len)
    }

    fn step(&mut self, state: &ModelState, mean: &[f64]) -> Result<ModelState> {
        if let Some(trainer) = &mut self.trainer {
            state.load(trainer)?;
            let gradient: Vec<f32> = mean.iter().map(|value| *value as f32).collect();
            trainer.step_along(&gradient, 1)?;
            return Ok(ModelState::of_trainer(trainer));
        }
        let outer = match (self.run.mover(), state.pace()) {
            (Mover::Paced(outer, bounds), Some(pace)) => outer.with_rate(outer.rate() * pace.rate(&bounds)),
            _ => self.run.outer,
        };
        let mut next = state.clone().into_outer(&outer);
        next.step(&outer, mean)?;
        next.average(&self.running, state.params(), mean)?;
        Ok(ModelState::Outer(next))
    }
}

fn norm_square(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum()
}
