//! The trainer: steps, epochs, and what decides when to stop.
use super::config::TrainConfig;
use super::diverge;
use super::engine::{Engine, Measuring, Rows, Tally};
use super::evaluate::Evaluator;
use super::state::State;
use crate::error::{Divergence, NnError, Result, expect_len};
use crate::network::{Network, check_ids};
use crate::optimiser::{Optimiser, StepInfo};
use crate::spec::Mode;
use mayfly_base::mix;
use mayfly_kernels::{self as k, Buffer, Isa};
use std::ops::Range;

/// Trains one network.
///
/// ```
/// use mayfly_nn::{Act, Activation, Control, EpochReport, InMemory, Network, NetworkSpec, TrainConfig, Trainer};
/// let mut xor = InMemory::from_rows([([0.0, 0.0], [0.0]), ([0.0, 1.0], [1.0]), ([1.0, 0.0], [1.0]), ([1.0, 1.0], [0.0])])?;
/// let spec = NetworkSpec::dense(2, &[8], Act::Tanh.into(), 1, Act::Sigmoid.into());
/// let mut trainer = Trainer::new(Network::new(spec, 1)?, TrainConfig { epochs: 300, ..TrainConfig::default() })?;
/// let report = trainer.fit(&mut xor, None, &mut |_: &EpochReport| Control::Continue)?;
/// assert_eq!(report.epochs.len(), 300);
/// let network = trainer.into_network();
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
pub struct Trainer {
    pub(super) network: Network,
    pub(super) config: TrainConfig,
    pub(super) optimiser: Optimiser,
    pub(super) state: State,
    pub(super) engine: Engine,
    isa: Isa,
    grads: Buffer<f32>,
    /// One weight a row, for batches whose rows all count the same.
    weights: Buffer<f32>,
    /// Ranges of parameters that the optimiser moves.
    trained: Vec<Range<usize>>,
    /// Ranges of running statistics with their momentum.
    running: Vec<(Range<usize>, f32)>,
    /// How many of them are in use, and their value.
    weights_for: usize,
    weight: f32,
    /// The schedule's factor now.
    pub(super) rate: f32,
    /// Inputs and targets of a batch that is read.
    pub(super) batch: [Buffer<f32>; 2],
    pub(super) evaluator: Option<Evaluator>,
}

impl Trainer {
    /// A trainer of `network`.
    ///
    /// # Errors
    /// Settings out of range, or a loss that does not fit the outputs.
    pub fn new(network: Network, config: TrainConfig) -> Result<Self> {
        config.check(network.output_len())?;
        let lowered = network.spec().lower(Mode::Training { loss: &config.loss, seed: config.seed })?;
        let last = network.output_shape().last().copied().unwrap_or(1);
        let inside = lowered.inside.map(|inside| (inside, last));
        let measuring =
            config.measures().then_some(Measuring { span: lowered.span, limit: config.bit_fail_limit(), inside });
        let engine = Engine::new(&lowered, config.threads, config.shard_rows, measuring)?;
        let running = lowered.momenta.iter().map(|(i, m)| (lowered.graph.params()[*i].range(), *m)).collect::<Vec<_>>();
        let len = network.params().len();
        Ok(Trainer {
            optimiser: Optimiser::new(config.algorithm.clone(), len)?,
            trained: gaps(&running, len),
            rate: config.schedule.factor(0.0, config.epochs),
            isa: Isa::detect(),
            grads: Buffer::zeroed(len),
            weights: Buffer::zeroed(0),
            weights_for: 0,
            weight: 0.0,
            batch: [Buffer::zeroed(0), Buffer::zeroed(0)],
            state: State::default(),
            evaluator: None,
            network,
            config,
            engine,
            running,
        })
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network, taken out.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Changes how many epochs [`Trainer::fit`] runs in all. A training that had ended by patience or at its aim may go on.
    pub fn set_epochs(&mut self, epochs: usize) {
        self.config.epochs = epochs;
        if self.state.ended.take().is_some() {
            self.state.waited = 0;
        }
    }

    /// Epochs run so far, those before a checkpoint included.
    pub fn epochs(&self) -> u64 {
        self.state.epoch
    }

    /// The gradient of the last step, in the layout of the parameters.
    pub fn gradient(&self) -> &[f32] {
        &self.grads
    }

    /// One step on the rows of `x` and `t`, whatever the settings say of batches; returns their loss before the step.
    /// After [`Trainer::fit`] the step moves the weights that the network has, and training goes on from there.
    /// Allocates nothing after the first step of the same number of rows (on one thread).
    ///
    /// # Errors
    /// Values that are not whole rows, or numbers that are not finite.
    pub fn step(&mut self, x: &[f32], t: &[f32]) -> Result<f32> {
        let rows = self.count_rows(x, t)?;
        self.fill_weights(rows);
        (self.state.aside, self.state.stepped) = (None, true);
        let tally = self.gradient_of(x, t)?;
        self.apply(x, t, &tally)?;
        Ok(tally.loss as f32)
    }

    pub(super) fn count_rows(&self, x: &[f32], t: &[f32]) -> Result<usize> {
        let [inputs, targets] = self.engine.lens();
        let before = self.weights_for;
        if before > 0 && x.len() == inputs * before && t.len() == targets * before {
            return Ok(before); // spares the usual step a division
        }
        let rows = x.len() / inputs;
        expect_len("inputs", rows.max(1) * inputs, x.len())?;
        expect_len("targets", rows * targets, t.len())?;
        Ok(rows)
    }

    /// What each of `rows` rows counts: `1 / rows`, or 1 where the loss is a sum.
    pub(super) fn fill_weights(&mut self, rows: usize) {
        let value = if self.config.loss.sums_rows() { 1.0 } else { 1.0 / rows as f32 };
        self.fill_weights_with(rows, value);
    }

    pub(super) fn fill_weights_with(&mut self, rows: usize, value: f32) {
        if self.weights_for == rows && self.weight == value {
            return;
        }
        if self.weights.len() < rows {
            self.weights = Buffer::zeroed(rows);
        }
        self.weights.iter_mut().take(rows).for_each(|w| *w = value);
        (self.weights_for, self.weight) = (rows, value);
    }

    /// The gradient of a batch whose rows' weights are filled in.
    pub(super) fn gradient_of(&mut self, x: &[f32], t: &[f32]) -> Result<Tally> {
        let mut tally = Tally::default();
        self.accumulate(x, t, &mut tally)?;
        Ok(tally)
    }

    /// Adds some rows' gradient to the batch's.
    pub(super) fn accumulate(&mut self, x: &[f32], t: &[f32], tally: &mut Tally) -> Result<()> {
        let Trainer { weights, network, grads, engine, config, optimiser, .. } = self;
        let weights = weights.get_mut(..self.weights_for).unwrap_or_default();
        if let Some(classes) = &config.class_weights {
            weigh_classes(weights, t, classes, self.weight);
        }
        check_ids(network.spec(), x)?;
        engine.accumulate(Rows { x, t, w: weights }, network.params(), grads, optimiser.steps(), tally)
    }

    /// Uses the gradient: clips it, masks it, moves the parameters. `x` and `t` are only looked at when something is not finite.
    pub(super) fn apply(&mut self, x: &[f32], t: &[f32], tally: &Tally) -> Result<()> {
        if !tally.loss.is_finite() {
            return Err(self.diverged(x, t, tally.loss as f32));
        }
        self.engine.finish(&mut self.grads, tally);
        if let Some(mask) = self.network.mask() {
            mask.apply(&mut self.grads);
        }
        if let Some(limit) = self.config.clip_norm {
            clip(self.isa, &mut self.grads, &self.trained, limit);
        }
        let info = StepInfo {
            rate: self.rate,
            rows: tally.rows,
            epoch: self.state.epoch,
            mse: self.mse(tally) as f32,
            seed: mix(self.config.seed),
        };
        self.optimiser.step(self.network.params_mut(), &self.grads, &self.trained, &info)?;
        for (range, momentum) in &self.running {
            let (p, g) = (self.network.params_mut().get_mut(range.clone()), self.grads.get(range.clone()));
            k::axpy(self.isa, p.unwrap_or_default(), -momentum, g.unwrap_or_default());
        }
        self.network.apply_mask();
        Ok(())
    }

    /// Divides the gradient of a batch whose rows counted 1 each by their number.
    pub(super) fn average(&mut self, tally: &mut Tally) {
        let share = 1.0 / tally.rows.max(1) as f32;
        for range in &self.trained {
            k::scale(self.isa, self.grads.get_mut(range.clone()).unwrap_or_default(), share);
        }
        tally.loss /= tally.rows.max(1) as f64;
    }

    /// FANN's mean square error of some rows.
    pub(super) fn mse(&self, tally: &Tally) -> f64 {
        tally.measure.squared / (tally.rows * self.engine.lens()[1]).max(1) as f64
    }

    pub(super) fn diverged(&self, x: &[f32], t: &[f32], loss: f32) -> NnError {
        let cause = diverge::find(&self.network, x, t, &self.grads, loss);
        NnError::Diverged { epoch: self.state.epoch + 1, step: self.optimiser.steps() + 1, cause }
    }

    /// Refuses to go on with parameters that are not finite.
    pub(super) fn check_params(&self) -> Result<()> {
        if k::all_finite(self.isa, self.network.params()) {
            return Ok(());
        }
        match diverge::first_bad_param(self.network.layout(), self.network.params()) {
            Some((name, index, value)) => {
                let cause = Divergence::Parameter { name, index, value };
                Err(NnError::Diverged { epoch: self.state.epoch + 1, step: self.optimiser.steps(), cause })
            }
            None => Ok(()),
        }
    }
}

/// What `ranges` leave of `0..len`.
fn gaps(ranges: &[(Range<usize>, f32)], len: usize) -> Vec<Range<usize>> {
    let starts = [0].into_iter().chain(ranges.iter().map(|(r, _)| r.end));
    let ends = ranges.iter().map(|(r, _)| r.start).chain([len]);
    starts.zip(ends).map(|(start, end)| start..end).filter(|r| !r.is_empty()).collect()
}

/// Shortens the gradient, as one vector over `ranges`, to `limit`.
fn clip(isa: Isa, grads: &mut [f32], ranges: &[Range<usize>], limit: f32) {
    let square: f32 = ranges.iter().map(|r| k::sum_sq(isa, grads.get(r.clone()).unwrap_or_default())).sum();
    let norm = square.sqrt();
    if norm > limit {
        ranges.iter().for_each(|r| k::scale(isa, grads.get_mut(r.clone()).unwrap_or_default(), limit / norm));
    }
}

/// Each row's weight is that of its class; targets between classes mix their weights.
pub(super) fn weigh_classes(weights: &mut [f32], targets: &[f32], classes: &[f32], each: f32) {
    let columns = targets.len() / weights.len().max(1);
    for (w, row) in weights.iter_mut().zip(targets.chunks_exact(columns.max(1))) {
        *w = each
            * match (row, classes) {
                ([t], [no, yes]) => no + (yes - no) * t.clamp(0.0, 1.0),
                _ => row.iter().zip(classes).map(|(t, c)| t.max(0.0) * c).sum::<f32>(),
            };
    }
}
