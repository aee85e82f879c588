//! Optimisers: one pass over flat parameters and gradients.
use crate::algorithm::Algorithm;
use crate::error::{NnError, Result, expect_len};
use mayfly_base::Rng;
use mayfly_kernels::{self as k, Buffer, Isa};
use std::fmt;
use std::ops::Range;

/// An algorithm with its state: up to two arrays of the parameters' layout, zeroised when dropped.
#[derive(Clone)]
pub struct Optimiser {
    algorithm: Algorithm,
    isa: Isa,
    first: Buffer<f32>,
    second: Buffer<f32>,
    steps: u64,
}

/// What a step is told besides parameters and gradients.
#[derive(Clone, Copy, Debug)]
pub struct StepInfo {
    /// Factor on the learning rate.
    pub rate: f32,
    /// Rows whose gradient this is.
    pub rows: usize,
    /// The epoch, from 0 (SARPROP's temperature).
    pub epoch: u64,
    /// FANN's mean square error of the epoch (SARPROP).
    pub mse: f32,
    /// Decides SARPROP's noise.
    pub seed: u64,
}

/// Parameters one after another that are trained alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Stretch {
    /// Where they are in the flat array.
    pub range: Range<usize>,
    /// Factor on the learning rate, besides the step's.
    pub rate: f32,
    /// Weight decay in place of the algorithm's.
    pub weight_decay: Option<f32>,
}

impl From<Range<usize>> for Stretch {
    fn from(range: Range<usize>) -> Self {
        Stretch { range, rate: 1.0, weight_decay: None }
    }
}

impl Optimiser {
    /// The algorithm at its start, for `len` parameters.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn new(algorithm: Algorithm, len: usize) -> Result<Self> {
        algorithm.check()?;
        let arrays = algorithm.state_arrays();
        let array = |i: usize| Buffer::zeroed(if i < arrays { len } else { 0 });
        let mut optimiser = Optimiser { isa: Isa::detect(), first: array(0), second: array(1), steps: 0, algorithm };
        if let Algorithm::Rprop(o) = &optimiser.algorithm {
            optimiser.second.fill(o.delta_zero);
        }
        Ok(optimiser)
    }

    /// The settings.
    pub fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The state arrays; empty ones for algorithms that need fewer.
    pub fn state(&self) -> [&[f32]; 2] {
        [&self.first, &self.second]
    }

    /// Puts a saved state back.
    ///
    /// # Errors
    /// Arrays of the wrong length.
    pub fn restore(&mut self, steps: u64, first: &[f32], second: &[f32]) -> Result<()> {
        expect_len("the first array of the optimiser's state", self.first.len(), first.len())?;
        expect_len("the second array of the optimiser's state", self.second.len(), second.len())?;
        self.first.copy_from_slice(first);
        self.second.copy_from_slice(second);
        self.steps = steps;
        Ok(())
    }

    /// Counts a step that was taken elsewhere, by an algorithm without state.
    pub(crate) fn count_step(&mut self) {
        self.steps += 1;
    }

    /// One step of the parameters in `stretches` along their gradients. Allocates nothing.
    ///
    /// # Errors
    /// Arrays that do not have one value for each parameter.
    pub fn step(&mut self, params: &mut [f32], grads: &[f32], stretches: &[Stretch], info: &StepInfo) -> Result<()> {
        expect_len("the gradient array", params.len(), grads.len())?;
        self.steps += 1;
        for stretch in stretches {
            let range = &stretch.range;
            let (Some(p), Some(g)) = (params.get_mut(range.clone()), grads.get(range.clone())) else {
                return Err(NnError::Length {
                    what: "the parameter array".to_owned(),
                    want: range.end,
                    got: grads.len(),
                });
            };
            self.step_stretch(p, g, stretch, info);
        }
        Ok(())
    }

    fn step_stretch(&mut self, p: &mut [f32], g: &[f32], stretch: &Stretch, info: &StepInfo) {
        let (isa, steps, start) = (self.isa, self.steps, stretch.range.start);
        let info = &StepInfo { rate: info.rate * stretch.rate, ..*info };
        let first = self.first.get_mut(stretch.range.clone()).unwrap_or_default();
        let second = self.second.get_mut(stretch.range.clone()).unwrap_or_default();
        let own;
        let algorithm = match stretch.weight_decay {
            Some(decay) => {
                own = self.algorithm.clone().with_weight_decay(decay);
                own.as_ref().unwrap_or(&self.algorithm)
            }
            None => &self.algorithm,
        };
        match algorithm {
            Algorithm::Sgd(o) => k::sgd(isa, p, g, (o.momentum != 0.0).then_some(first), &o.kernel(info.rate)),
            Algorithm::Adam(o) => k::adam(isa, p, g, first, second, &o.kernel(info.rate, steps)),
            Algorithm::AdamW(o) => k::adam(isa, p, g, first, second, &o.kernel(info.rate, steps)),
            Algorithm::RmsProp(o) => {
                k::rmsprop(isa, p, g, first, (o.momentum != 0.0).then_some(second), &o.kernel(info.rate))
            }
            Algorithm::Adagrad(o) => k::adagrad(isa, p, g, first, &o.kernel(info.rate, steps)),
            Algorithm::Lion(o) => k::lion(isa, p, g, first, &o.kernel(info.rate)),
            Algorithm::Incremental(o) => k::fann_incremental(isa, p, g, first, &o.kernel(info.rate)),
            Algorithm::Batch(o) => k::fann_batch(isa, p, g, o.learning_rate * info.rate, info.rows),
            Algorithm::Rprop(o) => k::irprop_minus(isa, p, g, first, second, &o.kernel()),
            Algorithm::Quickprop(o) => k::quickprop(isa, p, g, first, second, info.rows, &o.kernel(info.rate)),
            Algorithm::Sarprop(o) => {
                let noise = |i: usize| Rng::stream(info.seed ^ steps, (start + i) as u64).uniform_f32();
                let epoch = u32::try_from(info.epoch).unwrap_or(u32::MAX);
                k::sarprop(p, g, first, second, epoch, info.mse, &o.kernel(), noise);
            }
        }
    }
}

/// The settings and sizes; the arrays may be large.
impl fmt::Debug for Optimiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Optimiser {:?} after {} steps", self.algorithm, self.steps)
    }
}
