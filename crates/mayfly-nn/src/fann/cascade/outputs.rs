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

    /// Trains until the error stagnates; returns the epochs it took.
    pub(super) fn train(&mut self, config: &Cascade, features: &Features) -> Result<usize> {
        let mut optimiser = Optimiser::new(config.algorithm.clone(), self.weights.len())?;
        let mut grads = Buffer::zeroed(self.weights.len());
        let mut progress = Progress::new(config.outputs);
        let mut first = None;
        for epoch in 0.. {
            self.forward(features);
            self.backward();
            let mse = self.mse();
            let improvement = *first.get_or_insert(mse) - mse;
            if config.stop.is_some_and(|stop| self.reached(stop)) || progress.ended(epoch, improvement as f32) {
                return Ok(epoch + 1);
            }
            features.gradient(&mut grads, &self.slopes, &mut self.scratch);
            let info =
                StepInfo { rate: 1.0, rows: features.rows(), epoch: epoch as u64, mse: mse as f32, seed: config.seed };
            let all = 0..self.weights.len();
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
