//! What a round starts from: the network's parameters, and the moments of whatever moves them.

use crate::pace::{Bounds, Pace};
use crate::{LearnError, Result};
use mayfly_nn::{Algorithm, Trainer};
use mayfly_swarm::learn::{Digest, Outer, State};

/// What moves the network from round to round.
#[derive(Clone, Debug, PartialEq)]
pub enum Mover {
    /// The mean of what nodes changed.
    Outer(Outer),
    /// The mean of what nodes changed, in as many steps as the pace says.
    Paced(Outer, Bounds),
    /// The optimiser, along the mean gradient.
    Optimiser(Algorithm),
}

/// A state of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelState {
    /// Moved by the mean of what nodes changed.
    Outer(State),
    /// So too, and nodes take another number of steps in each round.
    Paced {
        /// Parameters and moments.
        state: State,
        /// The steps.
        pace: Pace,
    },
    /// Moved by the optimiser, along the mean gradient.
    Optimiser {
        /// The network.
        params: Vec<f32>,
        /// The optimiser's state.
        arrays: [Vec<f32>; 2],
        /// Steps that it has taken.
        steps: u64,
    },
}

impl ModelState {
    /// The beginning of a run.
    pub fn first(mover: &Mover, params: &[f32]) -> Self {
        match mover {
            Mover::Optimiser(algorithm) => {
                let arrays = array_lens(algorithm, params.len()).map(|len| vec![0.0; len]);
                Self::Optimiser { params: params.to_vec(), arrays, steps: 0 }
            }
            Mover::Outer(outer) => Self::Outer(State::new(params.to_vec(), outer)),
            Mover::Paced(outer, bounds) => {
                Self::Paced { state: State::new(params.to_vec(), outer), pace: Pace::first(bounds) }
            }
        }
    }

    /// How many steps nodes take, where that is a part of the state.
    pub fn pace(&self) -> Option<&Pace> {
        match self {
            Self::Paced { pace, .. } => Some(pace),
            Self::Outer(_) | Self::Optimiser { .. } => None,
        }
    }

    /// Is it the last one of a run that is moved so, whatever its rounds?
    pub fn is_last(&self, mover: &Mover) -> bool {
        matches!((self, mover), (Self::Paced { pace, .. }, Mover::Paced(_, bounds)) if pace.is_last(bounds))
    }

    /// What a trainer has come to.
    pub(crate) fn of_trainer(trainer: &Trainer) -> Self {
        let optimiser = trainer.optimiser();
        let arrays = optimiser.state().map(<[f32]>::to_vec);
        Self::Optimiser { params: trainer.network().params().to_vec(), arrays, steps: optimiser.steps() }
    }

    /// The network's parameters.
    pub fn params(&self) -> &[f32] {
        match self {
            Self::Outer(state) | Self::Paced { state, .. } => state.params(),
            Self::Optimiser { params, .. } => params,
        }
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// As bytes: parameters and moments as little-endian numbers, and behind them the pace, or the steps of an optimiser.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Outer(state) => state.to_bytes(),
            Self::Paced { state, pace } => [state.to_bytes(), pace.to_bytes()].concat(),
            Self::Optimiser { params, arrays: [first, second], steps } => {
                let values = params.iter().chain(first).chain(second);
                values.flat_map(|value| value.to_le_bytes()).chain(steps.to_le_bytes()).collect()
            }
        }
    }

    /// How many bytes a state of a run has.
    pub fn byte_len(mover: &Mover, len: usize) -> usize {
        match mover {
            Mover::Optimiser(algorithm) => (len + array_lens(algorithm, len).iter().sum::<usize>()) * 4 + 8,
            Mover::Outer(outer) => len * (1 + outer.moments()) * 4,
            Mover::Paced(outer, _) => len * (1 + outer.moments()) * 4 + Pace::BYTES,
        }
    }

    /// From bytes, for a network of `len` parameters.
    ///
    /// # Errors
    /// [`LearnError::Length`].
    pub fn from_bytes(bytes: &[u8], mover: &Mover, len: usize) -> Result<Self> {
        let want = Self::byte_len(mover, len);
        if bytes.len() != want {
            return Err(LearnError::Length { what: "a state", want, got: bytes.len() });
        }
        let algorithm = match mover {
            Mover::Outer(outer) => return Ok(Self::Outer(State::from_bytes(bytes, len, outer)?)),
            Mover::Paced(outer, _) => {
                let (state, pace) = bytes.split_at(want - Pace::BYTES);
                let (state, pace) = (State::from_bytes(state, len, outer)?, Pace::from_bytes(pace)?);
                return Ok(Self::Paced { state, pace });
            }
            Mover::Optimiser(algorithm) => algorithm,
        };
        let (values, steps) = bytes.split_at(want - 8);
        let mut values = values_of(values);
        let [first, _] = array_lens(algorithm, len);
        let second = values.split_off(len + first);
        let first = values.split_off(len);
        let steps = u64::from_le_bytes(steps.try_into().unwrap_or_default());
        Ok(Self::Optimiser { params: values, arrays: [first, second], steps })
    }

    /// Gives a trainer these parameters, and its optimiser this state.
    pub(crate) fn load(&self, trainer: &mut Trainer) -> Result<()> {
        trainer.set_params(self.params())?;
        if let Self::Optimiser { arrays: [first, second], steps, .. } = self {
            trainer.restore_optimiser(*steps, first, second)?;
        }
        Ok(())
    }

    /// As a state that is moved by means.
    pub(crate) fn into_outer(self, outer: &Outer) -> State {
        match self {
            Self::Outer(state) | Self::Paced { state, .. } => state,
            Self::Optimiser { params, .. } => State::new(params, outer),
        }
    }
}

/// Little-endian numbers.
pub(crate) fn values_of(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

fn array_lens(algorithm: &Algorithm, len: usize) -> [usize; 2] {
    let arrays = algorithm.state_arrays();
    [0, 1].map(|i| if i < arrays { len } else { 0 })
}
