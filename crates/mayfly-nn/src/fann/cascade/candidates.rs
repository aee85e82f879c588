//! Candidates for the next neuron.
use super::features::{Features, Scratch};
use super::outputs::{Outputs, Progress};
use super::{Cascade, Neuron};
use crate::error::Result;
use crate::optimiser::{Optimiser, StepInfo};
use mayfly_base::Rng;
use mayfly_graph::Act;
use mayfly_kernels::{self as k, Buffer, Isa};

/// Candidates in training. None influences another.
pub(super) struct Pool {
    isa: Isa,
    acts: Vec<Act>,
    units: usize,
    features: usize,
    /// Weights from the features `[candidates, features]`, then to the outputs `[candidates, units]`; gradients likewise.
    params: Buffer<f32>,
    grads: Buffer<f32>,
    /// `[candidates, rows]`, as are those below.
    sums: Buffer<f32>,
    values: Buffer<f32>,
    errors: Buffer<f32>,
    slopes: Buffer<f32>,
    scores: Vec<f32>,
    scratch: Scratch,
}

impl Pool {
    pub(super) fn new(config: &Cascade, features: &Features, outputs: &Outputs, rng: &mut Rng) -> Result<Self> {
        let kinds = config.functions.iter().flat_map(|f| config.steepnesses.iter().map(|s| Act::Fann(*f, *s)));
        let acts: Vec<Act> = kinds.flat_map(|act| std::iter::repeat_n(act, config.groups)).collect();
        let (count, units) = (acts.len(), outputs.units());
        let len = count * (features.count() + units);
        let span = start_span(features);
        let mut params = Buffer::zeroed(len);
        params.iter_mut().for_each(|w| *w = rng.between(-span, span));
        let room = || Buffer::zeroed(count * features.rows());
        Ok(Pool {
            isa: Isa::detect(),
            units,
            features: features.count(),
            params,
            grads: Buffer::zeroed(len),
            sums: room(),
            values: room(),
            errors: room(),
            slopes: room(),
            scores: vec![0.0; count],
            scratch: Scratch::default(),
            acts,
        })
    }

    /// Trains all until the best one's score stagnates; returns the epochs it took.
    pub(super) fn train(&mut self, config: &Cascade, features: &Features, outputs: &Outputs) -> Result<usize> {
        let mut optimiser = Optimiser::new(config.algorithm.clone(), self.params.len())?;
        let mut progress = Progress::new(config.candidates);
        let squared = outputs.measure.squared as f32;
        for epoch in 0.. {
            self.measure(features, outputs, squared);
            let best = self.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if best / squared > config.candidate_limit || progress.ended(epoch, best) {
                return Ok(epoch + 1);
            }
            let info = StepInfo {
                rate: 1.0,
                rows: features.rows(),
                epoch: epoch as u64,
                mse: outputs.mse() as f32,
                seed: config.seed,
            };
            let all = (0..self.params.len()).into();
            optimiser.step(&mut self.params, &self.grads, &[all], &info)?;
        }
        Ok(0)
    }

    /// Scores and gradients of all candidates.
    fn measure(&mut self, features: &Features, outputs: &Outputs, squared: f32) {
        let (inner, outer) = self.params.split_at(self.acts.len() * self.features);
        features.sums(&mut self.sums, inner, &mut self.scratch);
        let (inner_grads, outer_grads) = self.grads.split_at_mut(inner.len());
        let rows = features.rows();
        for (c, act) in self.acts.iter().enumerate() {
            let range = c * rows..(c + 1) * rows;
            k::act_fwd(self.isa, *act, &mut self.values[range.clone()], &self.sums[range.clone()]);
            let (y, error) = (&self.values[range.clone()], &mut self.errors[range.clone()]);
            let part = c * self.units..(c + 1) * self.units;
            let left = compare(y, error, &outer[part.clone()], &mut outer_grads[part], outputs.errors());
            self.scores[c] = squared - left as f32;
            let saved = if act.saves() == k::Saves::Input { &self.sums } else { &self.values };
            k::act_bwd(self.isa, *act, &mut self.slopes[range.clone()], &self.errors[range.clone()], &saved[range]);
        }
        features.gradient(inner_grads, &self.slopes, &mut self.scratch);
    }

    /// The candidate with the highest score, and its weights to the outputs.
    pub(super) fn best(&self) -> (Neuron, Vec<f32>) {
        let score = |c: usize| self.scores[c];
        let best = (0..self.acts.len()).fold(0, |best, c| if score(c) > score(best) { c } else { best });
        let (inner, outer) = self.params.split_at(self.acts.len() * self.features);
        let weights = inner[best * self.features..][..self.features].to_vec();
        (Neuron { act: self.acts[best], weights }, outer[best * self.units..][..self.units].to_vec())
    }
}

/// One candidate against what the outputs lack, `[outputs, rows]`: writes the gradient by its value and by its weights to the outputs, and returns the
/// squared error it would leave. As in FANN the weights' gradient counts twice.
fn compare(y: &[f32], error: &mut [f32], to_outputs: &[f32], grads: &mut [f32], lacking: &[f32]) -> f64 {
    error.fill(0.0);
    let mut left = 0.0f64;
    for ((w, grad), lacking) in to_outputs.iter().zip(grads).zip(lacking.chunks_exact(y.len())) {
        let (mut slope, mut squares) = (0.0f64, 0.0f64);
        for ((error, y), lacking) in error.iter_mut().zip(y).zip(lacking) {
            let diff = y * w - lacking;
            slope += f64::from(diff * y);
            squares += f64::from(diff * diff);
            *error += diff * w;
        }
        *grad = 2.0 * slope as f32;
        left += squares;
    }
    left
}

/// Range of the start weights, after Nguyen and Widrow, as FANN has it for candidates.
fn start_span(features: &Features) -> f32 {
    let span = 2.0 * (0.7 * features.hidden() as f32).powf(1.0 / features.inputs() as f32);
    span.clamp(0.5, 8.0)
}
