//! What a training remembers from epoch to epoch, besides parameters and the optimiser's state.
use super::report::EpochReport;
use crate::schedule::Plateau;
use mayfly_kernels::Buffer;

#[derive(Clone, Default)]
pub(super) struct State {
    /// Epochs run.
    pub epoch: u64,
    /// The best weights so far, where some loss decides that.
    pub best: Option<Best>,
    /// The weights training goes on with, while the network holds the best.
    pub last: Option<Buffer<f32>>,
    /// Epochs since the best.
    pub waited: usize,
    pub plateau: Plateau,
    pub history: Vec<EpochReport>,
}

#[derive(Clone)]
pub(super) struct Best {
    pub epoch: u64,
    pub loss: f64,
    pub params: Buffer<f32>,
}

impl State {
    /// Whether `loss` is lower than the best by more than the share `min_delta` of it.
    pub(super) fn is_better(&self, loss: f64, min_delta: f64) -> bool {
        self.best.as_ref().is_none_or(|best| loss < best.loss - min_delta * best.loss.abs())
    }

    /// Remembers the weights of the epoch just run as the best.
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
