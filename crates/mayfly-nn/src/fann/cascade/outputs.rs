//! The output neurons of a growing network, and their training.
use super::features::{Features, Scratch};
use super::{Cascade, Stagnation, reached};
use crate::error::Result;
use crate::optimiser::{Optimiser, StepInfo};
use crate::train::StopAt;
use mayfly_base::Rng;
use mayfly_graph::Act;
use mayfly_kernels::{self as k, Buffer, FannMeasure, FannSpan, Isa};

pub(super) struct Outputs {
    isa: Isa,
    act: Act,
    loss: k::Loss,
    span: FannSpan,
    limit: f32,
    units: usize,
    /// `[units, features]`
    weights: Vec<f32>,
    /// `[units, rows]`, as are those below.
    targets: Buffer<f32>,
    sums: Buffer<f32>,
    values: Buffer<f32>,
    /// What the loss lacks: its gradient by the sums, negative.
    errors: Buffer<f32>,
    slopes: Buffer<f32>,
    scratch: Scratch,
    pub(super) measure: FannMeasure,
}

impl Outputs {
    pub(super) fn new(config: &Cascade, t: &[f32], units: usize) -> Result<Self> {
        let act = config.output_act()?;
        let span = match act {
            Act::Fann(function, _) => function.span(),
            Act::Tanh => FannSpan::Symmetric,
            _ => FannSpan::Unit,
        };
        let error = match config.error {
            crate::loss::FannError::Linear => k::FannError::Linear,
            crate::loss::FannError::Tanh => k::FannError::Tanh,
        };
        let limit = match config.stop {
            Some(StopAt::BitFail { limit, .. }) => limit,
            _ => crate::train::BIT_FAIL_LIMIT,
        };
        let (isa, room) = (Isa::detect(), || Buffer::zeroed(t.len()));
        let mut targets = room();
        k::transpose(isa, &mut targets, t, [1, 1, t.len() / units, units], [0, 1, 3, 2]);
        Ok(Outputs {
            isa,
            act,
            loss: k::Loss::Fann { error, span },
            span,
            limit,
            units,
            weights: Vec::new(),
            targets,
            sums: room(),
            values: room(),
            errors: room(),
            slopes: room(),
            scratch: Scratch::default(),
            measure: FannMeasure::default(),
        })
    }

    /// Small random weights from everything there is at the start.
    pub(super) fn start(&mut self, features: usize, rng: &mut Rng) {
        self.weights = (0..self.units * features).map(|_| rng.between(-0.1, 0.1)).collect();
    }

    pub(super) fn weights(&self) -> &[f32] {
        &self.weights
    }

    pub(super) fn take_weights(&mut self, other: &Outputs) {
        self.weights.clone_from(&other.weights);
    }

    pub(super) fn units(&self) -> usize {
        self.units
    }

    /// What the outputs lack, `[units, rows]`.
    pub(super) fn errors(&self) -> &[f32] {
        &self.errors
    }

    /// FANN's mean square error.
    pub(super) fn mse(&self) -> f64 {
        self.measure.squared / self.targets.len() as f64
    }

    pub(super) fn forward(&mut self, features: &Features) {
        features.sums(&mut self.sums, &self.weights, &mut self.scratch);
        k::act_fwd(self.isa, self.act, &mut self.values, &self.sums);
        self.measure = k::fann_measure(&self.values, &self.targets, self.span, self.limit);
    }

    /// The gradient of the loss by the sums, into `slopes`; `errors` is its negative.
    fn backward(&mut self) {
        let n = self.values.len();
        k::loss_bwd(self.isa, &self.loss, &mut self.errors, &[1.0], &self.values, &self.targets, 1, n);
        let saved = if self.act.saves() == k::Saves::Input { &self.sums } else { &self.values };
        k::act_bwd(self.isa, self.act, &mut self.slopes, &self.errors, saved);
        for (error, slope) in self.errors.iter_mut().zip(self.slopes.iter()) {
            *error = -slope;
        }
    }

    /// Trains until the error stagnates or the aim is reached; returns the epochs it took. The weights are then those of the lowest error on the way.
    pub(super) fn train(&mut self, config: &Cascade, features: &Features) -> Result<usize> {
        let mut optimiser = Optimiser::new(config.algorithm.clone(), self.weights.len())?;
        let mut grads = Buffer::zeroed(self.weights.len());
        let mut progress = Progress::new(config.outputs);
        let (mut first, mut lowest, mut kept) = (None, f64::INFINITY, self.weights.clone());
        for epoch in 0.. {
            self.forward(features);
            self.backward();
            let mse = self.mse();
            if mse < lowest {
                lowest = mse;
                kept.clone_from(&self.weights);
            }
            let improvement = *first.get_or_insert(mse) - mse;
            if config.stop.is_some_and(|stop| self.reached(stop)) {
                return Ok(epoch + 1);
            }
            if progress.ended(epoch, improvement as f32) {
                if mse != lowest {
                    self.weights = kept;
                    self.forward(features);
                    self.backward();
                }
                return Ok(epoch + 1);
            }
            features.gradient(&mut grads, &self.slopes, &mut self.scratch);
            let info =
                StepInfo { rate: 1.0, rows: features.rows(), epoch: epoch as u64, mse: mse as f32, seed: config.seed };
            let all = (0..self.weights.len()).into();
            optimiser.step(&mut self.weights, &grads, &[all], &info)?;
        }
        Ok(0)
    }

    fn reached(&self, stop: StopAt) -> bool {
        let report = super::CascadeReport {
            neurons: 0,
            epochs: 0,
            mse: self.mse(),
            bit_fail: self.measure.bit_fail,
            validation_mse: None,
            installed: None,
            is_best: false,
        };
        reached(stop, &report)
    }

    /// A new feature comes last: each output takes `to_outputs · multiplier` of it.
    pub(super) fn grow(&mut self, to_outputs: &[f32], multiplier: f32) {
        let width = self.weights.len() / self.units;
        let rows = self.weights.chunks_exact(width).zip(to_outputs);
        self.weights = rows.flat_map(|(row, w)| row.iter().copied().chain([w * multiplier])).collect();
    }
}

/// FANN's rule for when a part of the training no longer gets anywhere.
pub(super) struct Progress {
    rule: Stagnation,
    target: f32,
    backslide: f32,
    until: usize,
}

impl Progress {
    pub(super) fn new(rule: Stagnation) -> Self {
        Progress { rule, target: 0.0, backslide: -1.0e20, until: rule.max_epochs }
    }

    /// Whether the epoch (from 0) with this figure, larger being better, is the last.
    pub(super) fn ended(&mut self, epoch: usize, figure: f32) -> bool {
        let moved = if self.target >= 0.0 {
            figure > self.target || figure < self.backslide
        } else {
            figure < self.target || figure > self.backslide
        };
        if moved && epoch > self.rule.min_epochs {
            self.target = figure * (1.0 + self.rule.change);
            self.backslide = figure * (1.0 - self.rule.change);
            self.until = epoch + self.rule.epochs;
        }
        epoch >= self.until || epoch >= self.rule.max_epochs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Stagnation = Stagnation { change: 0.1, epochs: 5, min_epochs: 3, max_epochs: 100 };

    /// The last epoch for figures that stay 1 but for those given, which hold from their epoch on.
    fn last(rule: Stagnation, changes: &[(usize, f32)]) -> usize {
        let mut progress = Progress::new(rule);
        let figure = |epoch| changes.iter().rev().find(|(from, _)| *from <= epoch).map_or(1.0, |(_, figure)| *figure);
        (0..).find(|epoch| progress.ended(*epoch, figure(*epoch))).unwrap()
    }

    #[test]
    fn only_a_change_beyond_the_threshold_is_progress() {
        // The first look at the figure is in epoch 4, behind the fewest epochs.
        assert_eq!(last(RULE, &[]), 9);
        assert_eq!(last(RULE, &[(6, 1.05)]), 9, "within a tenth");
        assert_eq!(last(RULE, &[(6, 0.95)]), 9, "within a tenth");
        assert_eq!(last(RULE, &[(6, 1.15)]), 11);
        assert_eq!(last(RULE, &[(6, 0.85)]), 11, "FANN takes a fall for progress as well");
        assert_eq!(last(RULE, &[(6, 1.15), (8, 1.2)]), 11, "the threshold moves with the figure");
        assert_eq!(last(RULE, &[(6, 1.15), (8, 1.3)]), 13);
        assert_eq!(last(Stagnation { change: 0.01, ..RULE }, &[(6, 1.05)]), 11);
        assert_eq!(last(Stagnation { max_epochs: 7, ..RULE }, &[]), 7);
        assert_eq!(last(Stagnation { min_epochs: 20, max_epochs: 30, ..RULE }, &[]), 26);
    }
}
