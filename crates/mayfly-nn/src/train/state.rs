//! What a training remembers from epoch to epoch, besides parameters and the optimiser's state.
use super::report::{EpochReport, Stopped};
use crate::schedule::Plateau;
use mayfly_kernels::Buffer;

#[derive(Clone, Default)]
pub(super) struct State {
    /// Epochs run.
    pub epoch: u64,
    /// The best weights so far.
    pub best: Option<Best>,
    /// The weights training goes on with, while the network shows the best.
    pub aside: Option<Aside>,
    /// Why training is over, when more epochs would not be run by a training never interrupted.
    pub ended: Option<Stopped>,
    /// Whether the user took steps since the last epoch: the network's weights are the user's then.
    pub stepped: bool,
    /// Epochs since the best.
    pub waited: usize,
    pub plateau: Plateau,
    pub history: Vec<EpochReport>,
}

/// Weights with the loss that they were measured by.
#[derive(Clone)]
pub(super) struct Best {
    pub epoch: u64,
    pub loss: f64,
    pub params: Buffer<f32>,
}

#[derive(Clone)]
pub(super) struct Aside {
    pub params: Buffer<f32>,
    /// The epoch whose weights the network shows.
    pub shown: u64,
}

impl State {
    /// Whether `loss` is lower than the best by more than the share `min_delta` of it. A loss that is not finite is never the best, and any other beats it.
    pub(super) fn is_better(&self, loss: f64, min_delta: f64) -> bool {
        let beats = |best: &Best| !best.loss.is_finite() || loss < best.loss - min_delta * best.loss.abs();
        loss.is_finite() && self.best.as_ref().is_none_or(beats)
    }

    /// Remembers weights as the best.
    pub(super) fn keep(&mut self, epoch: u64, loss: f64, params: &[f32]) {
        self.waited = 0;
        match &mut self.best {
            Some(best) => {
                (best.epoch, best.loss) = (epoch, loss);
                best.params.copy_from_slice(params);
            }
            None => self.best = Some(Best { epoch, loss, params: Buffer::from(params) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As checkpoints of older versions may have it.
    #[test]
    fn a_best_loss_that_is_not_finite_is_beaten_by_any_other() {
        for loss in [f64::INFINITY, f64::NAN] {
            let mut state = State::default();
            state.keep(1, loss, &[0.0]);
            assert!(state.is_better(1e300, 0.0) && state.is_better(1e300, 0.5));
            assert!(!state.is_better(f64::INFINITY, 0.0) && !state.is_better(f64::NAN, 0.0));
        }
    }
}
