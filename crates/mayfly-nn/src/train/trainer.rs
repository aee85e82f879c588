//! The trainer: steps, epochs, and what decides when to stop.
use super::config::TrainConfig;
use super::diverge;
use super::engine::{Engine, Measuring, Rows, Tally};
use super::evaluate::{Evaluator, part_lens};
use super::flat::{Flat, Row};
use super::groups::stretches;
use super::penalty::{GradientHook, GradientInfo, Penalty, PenaltyForm};
use super::read::Batch;
use super::state::State;
use crate::data::check_weights;
use crate::error::{Divergence, NnError, Result, expect_len};
use crate::network::{Network, check_ids};
use crate::optimiser::{Optimiser, StepInfo, Stretch};
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
    /// A shorter way for single rows, where there is one.
    flat: Option<Flat>,
    /// Whether the last step went that way, so that its gradient is not in `grads`.
    gradient_is_unwritten: bool,
    isa: Isa,
    grads: Buffer<f32>,
    /// Values a row of the graph's inputs: the first, the further ones, targets.
    pub(super) lens: Vec<usize>,
    /// One weight a row.
    weights: Buffer<f32>,
    /// How many of them are in use, and their value, if they all have the same.
    weights_for: usize,
    weight: f32,
    weights_are_alike: bool,
    /// What the optimiser moves.
    stretches: Vec<Stretch>,
    /// Ranges of running statistics with their momentum.
    running: Vec<(Range<usize>, f32)>,
    pub(super) penalty: Option<Penalty>,
    hook: Option<GradientHook>,
    /// The schedule's factor now.
    pub(super) rate: f32,
    /// Rows of a batch that is read.
    pub(super) batch: Batch,
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
        let stretches = stretches(network.layout(), &config.groups, &config.algorithm)?;
        Ok(Trainer {
            optimiser: Optimiser::new(config.algorithm.clone(), len)?,
            flat: Flat::new(&network, &config, &lowered, &stretches, measuring),
            gradient_is_unwritten: false,
            stretches,
            lens: part_lens(&lowered.graph),
            rate: config.schedule.factor(0.0, config.epochs),
            isa: Isa::detect(),
            grads: Buffer::zeroed(len),
            weights: Buffer::zeroed(0),
            weights_for: 0,
            weight: 0.0,
            weights_are_alike: true,
            penalty: None,
            hook: None,
            batch: Batch::default(),
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

    /// Pulls the parameters towards given values from now on, or no more. Checkpoints carry the penalty.
    ///
    /// # Errors
    /// Arrays that do not have one value for each parameter, and numbers that are negative or not finite.
    pub fn set_penalty(&mut self, penalty: Option<Penalty>) -> Result<()> {
        if let Some(penalty) = &penalty {
            penalty.check(self.network.params().len())?;
        }
        self.penalty = penalty;
        Ok(())
    }

    /// Lets a hook see, and change, every gradient from now on, or no longer. Checkpoints do not carry it: set it again after a resume.
    pub fn set_gradient_hook(&mut self, hook: Option<GradientHook>) {
        self.hook = hook;
    }

    /// The gradient of the last step, in the layout of the parameters.
    pub fn gradient(&mut self) -> &[f32] {
        if let Some(flat) = self.flat.as_ref().filter(|_| self.gradient_is_unwritten) {
            flat.write_gradient(&mut self.grads);
        }
        self.gradient_is_unwritten = false;
        &self.grads
    }

    /// One step on the rows of `x` and `t`, whatever the settings say of batches; returns their loss before the step.
    /// After [`Trainer::fit`] the step moves the weights that the network has, and training goes on from there.
    /// Allocates nothing after the first step of the same number of rows (on one thread).
    ///
    /// # Errors
    /// Values that are not whole rows, or numbers that are not finite.
    pub fn step(&mut self, x: &[f32], t: &[f32]) -> Result<f32> {
        self.step_on(&[x, t], None)
    }

    /// As [`Trainer::step`], for networks with further inputs, one slice each in the network's order, and for rows with weights.
    ///
    /// # Errors
    /// As for [`Trainer::step`], and weights that are negative or not finite.
    pub fn step_with(&mut self, x: &[f32], extras: &[&[f32]], t: &[f32], weights: Option<&[f32]>) -> Result<f32> {
        let parts: Vec<&[f32]> = [x].into_iter().chain(extras.iter().copied()).chain([t]).collect();
        self.step_on(&parts, weights)
    }

    /// The loss of some rows, as [`Trainer::step`] has it, without a step: [`Trainer::gradient`] has what was computed, with the penalty and after the hook. For
    /// gradients that are combined elsewhere; [`Trainer::step_along`] uses what came of them.
    ///
    /// # Errors
    /// As for [`Trainer::step`].
    pub fn gradient_on(&mut self, x: &[f32], t: &[f32]) -> Result<f32> {
        let parts = [x, t];
        let rows = self.count_rows(&parts)?;
        self.fill_weights(rows);
        let mut tally = Tally::default();
        self.accumulate(&parts, None, &mut tally)?;
        if !tally.loss.is_finite() {
            return Err(self.diverged(&parts, tally.loss as f32));
        }
        self.engine.finish(&mut self.grads, &tally);
        self.finish_gradient(&tally)?;
        Ok(tally.loss as f32)
    }

    /// One step along a gradient that was computed elsewhere, over `rows` rows: clipped, and taken by the optimiser, as one of this trainer's own would be.
    ///
    /// # Errors
    /// A gradient that does not have one value for each parameter.
    pub fn step_along(&mut self, gradient: &[f32], rows: usize) -> Result<()> {
        expect_len("the gradient", self.grads.len(), gradient.len())?;
        self.grads.copy_from_slice(gradient);
        self.gradient_is_unwritten = false;
        (self.state.aside, self.state.stepped) = (None, true);
        self.descend(rows, 0.0)
    }

    /// Gives the network other parameters; the optimiser goes on with the state that it has.
    ///
    /// # Errors
    /// Another number of parameters.
    pub fn set_params(&mut self, params: &[f32]) -> Result<()> {
        expect_len("the parameters", self.network.params().len(), params.len())?;
        self.network.params_mut().copy_from_slice(params);
        (self.state.aside, self.state.stepped) = (None, true);
        Ok(())
    }

    /// The optimiser: how many steps it has taken, and its state.
    pub fn optimiser(&self) -> &Optimiser {
        &self.optimiser
    }

    /// Puts a state of the optimiser back that was read before; see [`Optimiser::state`].
    ///
    /// # Errors
    /// Arrays of other lengths.
    pub fn restore_optimiser(&mut self, steps: u64, first: &[f32], second: &[f32]) -> Result<()> {
        self.optimiser.restore(steps, first, second)
    }

    fn step_on(&mut self, parts: &[&[f32]], weights: Option<&[f32]>) -> Result<f32> {
        let rows = self.count_rows(parts)?;
        if let Some(weights) = weights {
            expect_len("row weights", rows, weights.len())?;
        }
        self.fill_weights(rows);
        (self.state.aside, self.state.stepped) = (None, true);
        let tally = self.gradient_of(parts, weights)?;
        self.apply(parts, &tally)?;
        Ok(tally.loss as f32)
    }

    /// How many rows there are, the same in every part.
    pub(super) fn count_rows(&self, parts: &[&[f32]]) -> Result<usize> {
        let before = self.weights_for;
        if let ([x, t], [inputs, targets]) = (parts, &self.lens[..])
            && before > 0
            && x.len() == inputs * before
            && t.len() == targets * before
        {
            return Ok(before); // spares the usual step a division
        }
        let extras = self.network.extra_inputs();
        if let Some((name, want)) = extras.get(parts.len().saturating_sub(2)..).and_then(<[_]>::first) {
            return Err(NnError::InputShape { name: name.clone(), want: *want, got: 0 });
        }
        expect_len("parts of a row", self.lens.len(), parts.len())?;
        let (inputs, x) = (self.lens.first().copied().unwrap_or(1).max(1), parts.first().map_or(0, |x| x.len()));
        let rows = x / inputs;
        expect_len("inputs", rows.max(1) * inputs, x)?;
        for ((part, len), (name, _)) in parts.iter().zip(&self.lens).skip(1).zip(extras) {
            expect_len(&format!("input {name:?}"), rows * len, part.len())?;
        }
        let targets = self.lens.last().copied().unwrap_or(1);
        expect_len("targets", rows * targets, parts.last().map_or(0, |t| t.len()))?;
        Ok(rows)
    }

    /// What each of `rows` rows counts: `1 / rows`, or 1 where the loss is a sum.
    pub(super) fn fill_weights(&mut self, rows: usize) {
        let value = if self.config.loss.sums_rows() { 1.0 } else { 1.0 / rows as f32 };
        self.fill_weights_with(rows, value);
    }

    pub(super) fn fill_weights_with(&mut self, rows: usize, value: f32) {
        if self.weights_for == rows && self.weight == value && self.weights_are_alike {
            return;
        }
        if self.weights.len() < rows {
            self.weights = Buffer::zeroed(rows);
        }
        self.weights.iter_mut().take(rows).for_each(|w| *w = value);
        (self.weights_for, self.weight, self.weights_are_alike) = (rows, value, true);
    }

    /// The gradient of a batch whose rows' weights are filled in, but for their own.
    pub(super) fn gradient_of(&mut self, parts: &[&[f32]], own: Option<&[f32]>) -> Result<Tally> {
        if let Some(tally) = self.row_alone(parts, own) {
            return Ok(tally);
        }
        let mut tally = Tally::default();
        self.accumulate(parts, own, &mut tally)?;
        Ok(tally)
    }

    /// The shorter way for one row whose gradient nobody changes. A loss that is not finite goes the general way, which finds out where it comes from.
    fn row_alone(&mut self, parts: &[&[f32]], own: Option<&[f32]>) -> Option<Tally> {
        self.flat.iter_mut().for_each(|flat| flat.is_due = false);
        let is_alone = self.weights_for == 1 && own.is_none() && self.hook.is_none() && self.penalty.is_none();
        let (flat, &[x, t]) = (self.flat.as_mut().filter(|_| is_alone)?, parts) else { return None };
        let (loss, measure) = flat.forward(self.network.params(), Row { x, t, w: self.weight });
        flat.is_due = loss.is_finite();
        flat.is_due.then(|| Tally::of_row(loss, measure))
    }

    /// The step of a row that went the shorter way; false when there is none.
    fn descend_alone(&mut self, parts: &[&[f32]]) -> bool {
        let Trainer { flat, network, optimiser, .. } = self;
        let (Some(flat), &[x, t]) = (flat.as_mut().filter(|flat| flat.is_due), parts) else { return false };
        flat.descend(network.params_mut(), Row { x, t, w: self.weight }, self.rate);
        optimiser.count_step();
        self.gradient_is_unwritten = true;
        true
    }

    /// Adds some rows' gradient to the batch's.
    pub(super) fn accumulate(&mut self, parts: &[&[f32]], own: Option<&[f32]>, tally: &mut Tally) -> Result<()> {
        self.gradient_is_unwritten = false;
        let Trainer { weights, network, grads, engine, config, optimiser, lens, .. } = self;
        let weights = weights.get_mut(..self.weights_for).unwrap_or_default();
        let (x, t) = (parts.first().copied().unwrap_or_default(), parts.last().copied().unwrap_or_default());
        if config.class_weights.is_some() || own.is_some() {
            weigh(weights, t, config.class_weights.as_deref(), own, self.weight)?;
            self.weights_are_alike = false;
        }
        check_ids(network.spec(), x)?;
        let rows = Rows { parts, lens, w: weights };
        engine.accumulate(rows, network.params(), grads, optimiser.steps(), tally)
    }

    /// Uses the gradient: masks it, adds the penalty's, shows it to the hook, clips it, moves the parameters. `parts` are only looked at when something is not
    /// finite.
    pub(super) fn apply(&mut self, parts: &[&[f32]], tally: &Tally) -> Result<()> {
        if !tally.loss.is_finite() {
            return Err(self.diverged(parts, tally.loss as f32));
        }
        if self.descend_alone(parts) {
            return Ok(());
        }
        self.engine.finish(&mut self.grads, tally);
        self.finish_gradient(tally)?;
        self.descend(tally.rows, self.mse(tally) as f32)
    }

    /// Clips the gradient and moves the parameters along it.
    fn descend(&mut self, rows: usize, mse: f32) -> Result<()> {
        if let Some(limit) = self.config.clip_norm {
            clip(self.isa, &mut self.grads, &self.stretches, limit);
        }
        let info = StepInfo { rate: self.rate, rows, epoch: self.state.epoch, mse, seed: mix(self.config.seed) };
        self.optimiser.step(self.network.params_mut(), &self.grads, &self.stretches, &info)?;
        for (range, momentum) in &self.running {
            let (p, g) = (self.network.params_mut().get_mut(range.clone()), self.grads.get(range.clone()));
            k::axpy(self.isa, p.unwrap_or_default(), -momentum, g.unwrap_or_default());
        }
        if let Some(penalty) = self.penalty.as_ref().filter(|p| p.form == PenaltyForm::Decoupled) {
            let rate = self.rate * self.config.algorithm.learning_rate().unwrap_or(1.0);
            penalty.pull(self.network.params_mut(), rate, &self.stretches);
        }
        self.network.apply_mask();
        Ok(())
    }

    /// What is done to a gradient before it is clipped.
    fn finish_gradient(&mut self, tally: &Tally) -> Result<()> {
        let Trainer { network, grads, penalty, hook, stretches, state, optimiser, .. } = self;
        if let Some(penalty) = penalty.as_ref().filter(|p| p.form == PenaltyForm::Gradient) {
            penalty.add_gradient(network.params(), grads, stretches);
        }
        if let Some(hook) = hook {
            let info = GradientInfo {
                epoch: state.epoch + 1,
                step: optimiser.steps(),
                rows: tally.rows,
                loss: tally.loss,
                params: network.params(),
            };
            hook(&info, grads)?;
        }
        if let Some(mask) = network.mask() {
            mask.apply(grads);
        }
        Ok(())
    }

    /// Divides the gradient of a batch whose rows counted 1 each by their number.
    pub(super) fn average(&mut self, tally: &mut Tally) {
        let share = 1.0 / tally.rows.max(1) as f32;
        for range in gaps(&self.running, self.grads.len()) {
            k::scale(self.isa, self.grads.get_mut(range).unwrap_or_default(), share);
        }
        tally.loss /= tally.rows.max(1) as f64;
    }

    /// FANN's mean square error of some rows.
    pub(super) fn mse(&self, tally: &Tally) -> f64 {
        tally.measure.squared / (tally.rows * self.network.output_len()).max(1) as f64
    }

    pub(super) fn diverged(&self, parts: &[&[f32]], loss: f32) -> NnError {
        let cause = diverge::find(&self.network, parts, &self.grads, loss);
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

/// Shortens the gradient, as one vector over all that is trained, to `limit`.
fn clip(isa: Isa, grads: &mut [f32], trained: &[Stretch], limit: f32) {
    let ranges = || trained.iter().map(|stretch| stretch.range.clone());
    let square: f32 = ranges().map(|r| k::sum_sq(isa, grads.get(r).unwrap_or_default())).sum();
    let norm = square.sqrt();
    if norm > limit {
        ranges().for_each(|r| k::scale(isa, grads.get_mut(r).unwrap_or_default(), limit / norm));
    }
}

/// Each row's weight: `each` times that of its class (targets between classes mix their weights) times its own.
pub(super) fn weigh(
    weights: &mut [f32],
    targets: &[f32],
    classes: Option<&[f32]>,
    own: Option<&[f32]>,
    each: f32,
) -> Result<()> {
    weights.fill(each);
    if let Some(classes) = classes {
        let columns = targets.len() / weights.len().max(1);
        for (w, row) in weights.iter_mut().zip(targets.chunks_exact(columns.max(1))) {
            *w *= match (row, classes) {
                ([t], [no, yes]) => no + (yes - no) * t.clamp(0.0, 1.0),
                _ => row.iter().zip(classes).map(|(t, c)| t.max(0.0) * c).sum::<f32>(),
            };
        }
    }
    if let Some(own) = own {
        check_weights(own)?;
        weights.iter_mut().zip(own).for_each(|(w, own)| *w *= own);
    }
    Ok(())
}
