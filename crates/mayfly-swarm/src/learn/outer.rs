//! What a combined update does to the model.

use super::Digest;
use crate::{Result, SwarmError};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use serde::{Deserialize, Serialize};

/// How the mean of the members' updates, new minus old, changes the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Outer {
    /// It is added, times a rate: FedAvg with 1 (McMahan et al. 2017).
    Plain {
        /// The rate.
        rate: f64,
    },
    /// It is a step of Nesterov's method: DiLoCo (Douillard et al. 2023).
    Nesterov {
        /// The rate.
        rate: f64,
        /// The share of the velocity that stays.
        momentum: f64,
    },
    /// It is a step of Adam without bias correction: FedAdam (Reddi et al. 2021).
    Adam {
        /// The rate.
        rate: f64,
        /// The share of the mean that stays.
        beta1: f64,
        /// The share of the mean square that stays.
        beta2: f64,
        /// Added to the root of the mean square.
        tau: f64,
    },
}

impl Outer {
    /// Its rate.
    pub fn rate(&self) -> f64 {
        match self {
            Self::Plain { rate } | Self::Nesterov { rate, .. } | Self::Adam { rate, .. } => *rate,
        }
    }

    /// The same with another rate.
    #[must_use]
    pub fn with_rate(mut self, new: f64) -> Self {
        match &mut self {
            Self::Plain { rate } | Self::Nesterov { rate, .. } | Self::Adam { rate, .. } => *rate = new,
        }
        self
    }

    /// Moments that it keeps, each as long as the model.
    pub fn moments(&self) -> usize {
        match self {
            Self::Plain { .. } => 0,
            Self::Nesterov { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }
}

/// What a round starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    params: Vec<f32>,
    moments: Vec<Vec<f32>>,
}

impl State {
    /// The beginning of a run.
    pub fn new(params: Vec<f32>, outer: &Outer) -> Self {
        let moments = vec![vec![0.0; params.len()]; outer.moments()];
        Self { params, moments }
    }

    /// The model.
    pub fn params(&self) -> &[f32] {
        &self.params
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of_values(self.parts())
    }

    /// Model and moments.
    fn parts(&self) -> impl Iterator<Item = &[f32]> {
        core::iter::once(&self.params[..]).chain(self.moments.iter().map(Vec::as_slice))
    }

    /// As bytes: model and moments, in little-endian order.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.parts().flatten().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`SwarmError::ContributionLen`] for another length.
    pub fn from_bytes(bytes: &[u8], len: usize, outer: &Outer) -> Result<Self> {
        let want = len * (1 + outer.moments());
        if bytes.len() != want * 4 {
            return Err(SwarmError::ContributionLen { want, got: bytes.len() / 4 });
        }
        let values = |from: usize| {
            let bytes = bytes[from * len * 4..].chunks_exact(4).take(len);
            bytes.map(|value| f32::from_le_bytes(value.try_into().unwrap_or_default())).collect()
        };
        Ok(Self { params: values(0), moments: (1..=outer.moments()).map(values).collect() })
    }

    /// Goes on by a mean update. Each value is computed in `f64` and rounded once.
    ///
    /// # Errors
    /// [`SwarmError::ContributionLen`] for an update of another length.
    pub fn step(&mut self, outer: &Outer, mean: &[f64]) -> Result<()> {
        if mean.len() != self.params.len() {
            return Err(SwarmError::ContributionLen { want: self.params.len(), got: mean.len() });
        }
        match (*outer, &mut self.moments[..]) {
            (Outer::Plain { rate }, _) => {
                self.params.iter_mut().zip(mean).for_each(|(param, mean)| add(param, rate * mean));
            }
            (Outer::Nesterov { rate, momentum }, [velocity, ..]) => {
                for ((param, velocity), mean) in self.params.iter_mut().zip(velocity).zip(mean) {
                    let next = momentum * f64::from(*velocity) + mean;
                    *velocity = next as f32;
                    add(param, rate * (mean + momentum * next));
                }
            }
            (Outer::Adam { rate, beta1, beta2, tau }, [first, second]) => {
                for (((param, first), second), mean) in self.params.iter_mut().zip(first).zip(second).zip(mean) {
                    let next = beta1 * f64::from(*first) + (1.0 - beta1) * mean;
                    let square = beta2 * f64::from(*second) + (1.0 - beta2) * mean * mean;
                    (*first, *second) = (next as f32, square as f32);
                    add(param, rate * next / (square.sqrt() + tau));
                }
            }
            _ => return Err(SwarmError::ContributionLen { want: outer.moments(), got: self.moments.len() }),
        }
        Ok(())
    }
}

impl State {
    /// Lets the values in `ranges` go the whole way of the mean, from `before`, and their moments be zero: running statistics are averaged and nothing more.
    ///
    /// # Errors
    /// [`SwarmError::ContributionLen`] for slices of another length, or a range outside of them.
    pub fn average(&mut self, ranges: &[Range<usize>], before: &[f32], mean: &[f64]) -> Result<()> {
        let want = self.params.len();
        let ends = ranges.iter().map(|range| range.end.max(want));
        if let Some(got) = ends.chain([before.len(), mean.len()]).find(|len| *len != want) {
            return Err(SwarmError::ContributionLen { want, got });
        }
        for i in ranges.iter().flat_map(Clone::clone) {
            self.params[i] = before[i];
            add(&mut self.params[i], mean[i]);
            self.moments.iter_mut().for_each(|moments| moments[i] = 0.0);
        }
        Ok(())
    }
}

fn add(param: &mut f32, step: f64) {
    *param = (f64::from(*param) + step) as f32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_statistics_are_averaged_and_nothing_more() {
        let outer = Outer::Nesterov { rate: 0.7, momentum: 0.9 };
        let (mut state, mean) = (State::new(vec![1.0, 1.0, 1.0], &outer), [0.5, 0.5, 0.5]);
        let before = state.clone();
        state.step(&outer, &mean).expect("fits");
        state.average(core::slice::from_ref(&(1..2)), before.params(), &mean).expect("fits");
        assert_eq!((state.params[1], state.moments[0][1]), (1.5, 0.0));
        assert!(state.params[0] != 1.5 && state.params[2] == state.params[0] && state.moments[0][2] == 0.5);
        for (ranges, before, mean) in
            [(1..4, &[0.0; 3][..], &[0.0; 3][..]), (0..1, &[0.0], &[0.0; 3]), (0..1, &[0.0; 3], &[])]
        {
            assert!(matches!(state.average(&[ranges], before, mean), Err(SwarmError::ContributionLen { want: 3, .. })));
        }
    }

    fn after(outer: Outer, means: &[f64]) -> Vec<f32> {
        let mut state = State::new(vec![1.0], &outer);
        means.iter().for_each(|mean| state.step(&outer, &[*mean]).expect("fits"));
        let parts: Vec<f32> = state.parts().flatten().copied().collect();
        let bytes = state.to_bytes();
        assert_eq!(State::from_bytes(&bytes, 1, &outer).expect("the same"), state);
        assert!(State::from_bytes(&bytes[1..], 1, &outer).is_err());
        parts
    }

    #[test]
    fn steps_are_those_of_the_papers() {
        assert_eq!(after(Outer::Plain { rate: 1.0 }, &[0.5, -0.25]), [1.25]);
        // v = 0.5, p = 1 + 0.7 (0.5 + 0.9 · 0.5); v = 0.9 · 0.5 + 0.5, p += 0.7 (0.5 + 0.9 · 0.95).
        let nesterov = after(Outer::Nesterov { rate: 0.7, momentum: 0.9 }, &[0.5, 0.5]);
        assert!((nesterov[0] - 2.6135).abs() < 1e-6 && (nesterov[1] - 0.95).abs() < 1e-6, "{nesterov:?}");
        // m = 0.05, v = 0.0025, p = 1 + 0.1 · 0.05 / (0.05 + 0.001).
        let adam = after(Outer::Adam { rate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 }, &[0.5]);
        assert!((adam[0] - 1.098_039_2).abs() < 1e-6, "{adam:?}");
        assert!((adam[1] - 0.05).abs() < 1e-6 && (adam[2] - 0.0025).abs() < 1e-8, "{adam:?}");
    }

    #[test]
    fn another_length_is_refused() {
        let outer = Outer::Plain { rate: 1.0 };
        assert!(State::new(vec![1.0], &outer).step(&outer, &[1.0, 2.0]).is_err());
    }
}
