//! Epochs: reading rows, validation, when to stop.
use super::config::{BatchRows, StopAt, TrainConfig};
use super::engine::Tally;
use super::evaluate::Evaluator;
use super::read::{Batch, Pass, check_data};
use super::report::{BatchReport, Control, EpochReport, FitReport, Observer, Stopped};
use super::state::Aside;
use super::trainer::Trainer;
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result};
use crate::spec::NetworkSpec;
use mayfly_kernels::{Buffer, FannMeasure};
use std::mem;

/// An epoch's sums so far.
#[derive(Default)]
struct Sums {
    /// The rows' losses.
    loss: f64,
    rows: usize,
    measure: FannMeasure,
    control: Option<Control>,
    /// Whether the weights before its only step were kept as the best, where that was asked.
    kept: Option<bool>,
}

impl Trainer {
    /// Trains until all epochs are run or something else decides; then the network has the weights of the best epoch: that with the lowest loss of the
    /// validation rows, or, without such, the lowest training loss. May be called again after [`Trainer::set_epochs`], or on a resumed checkpoint: training
    /// goes on where it stopped, and a training that had ended (by patience, or at its aim) stays so until [`Trainer::set_epochs`] asks for more.
    ///
    /// # Errors
    /// Data that does not fit, cannot be read or has no rows, and training that diverges. The network then has the best weights so far, if there are any.
    pub fn fit(
        &mut self,
        train: &mut dyn Dataset,
        validation: Option<&mut dyn Dataset>,
        observer: &mut dyn Observer,
    ) -> Result<FitReport> {
        check_data(&self.network, train)?;
        let alone = validation.is_none();
        let ended = self.run_epochs(train, validation, observer);
        let shown = ended.and_then(|stopped| Ok((stopped, self.show_best(train, alone)?)));
        let (stopped, best_epoch) = shown.inspect_err(|_| self.fall_back())?;
        Ok(FitReport { stopped, best_epoch, epochs: self.state.history.clone() })
    }

    fn run_epochs(
        &mut self,
        train: &mut dyn Dataset,
        mut validation: Option<&mut dyn Dataset>,
        observer: &mut dyn Observer,
    ) -> Result<Stopped> {
        while self.state.epoch < self.config.epochs as u64 && self.state.ended.is_none() {
            let held: Option<&mut dyn Dataset> = match &mut validation {
                Some(data) => Some(*data),
                None => None,
            };
            let (report, asked) = self.run_epoch(train, held, observer)?;
            let told = observer.epoch(&report);
            if self.reached(&report) {
                self.state.ended = Some(Stopped::Reached);
            } else if self.out_of_patience() {
                self.state.ended = Some(Stopped::Patience);
            } else if asked == Control::Stop || told == Control::Stop {
                return Ok(Stopped::Requested);
            }
        }
        Ok(self.state.ended.unwrap_or(Stopped::Epochs))
    }

    /// One epoch by itself, for loops of the user's own; [`Trainer::fit`] calls it.
    ///
    /// # Errors
    /// As for [`Trainer::fit`].
    pub fn epoch(&mut self, train: &mut dyn Dataset, validation: Option<&mut dyn Dataset>) -> Result<EpochReport> {
        let (report, _) = self.run_epoch(train, validation, &mut |_: &EpochReport| Control::Continue)?;
        Ok(report)
    }

    fn run_epoch(
        &mut self,
        train: &mut dyn Dataset,
        validation: Option<&mut dyn Dataset>,
        observer: &mut dyn Observer,
    ) -> Result<(EpochReport, Control)> {
        check_data(&self.network, train)?;
        self.state.stepped = false;
        if let Some(aside) = self.state.aside.take() {
            self.network.params_mut().copy_from_slice(&aside.params);
        }
        let alone = validation.is_none();
        let sums = match self.config.batch {
            BatchRows::Full => self.whole(train, alone)?,
            BatchRows::Rows(n) => self.in_batches(train, n, alone, observer)?,
        };
        if sums.rows == 0 {
            return Err(NnError::NoRows { what: "training" });
        }
        self.check_params()?;
        let validation_loss = validation.map(|data| self.validate(data)).transpose()?;
        Ok((self.close_epoch(&sums, validation_loss), sums.control.unwrap_or(Control::Continue)))
    }

    /// A step on all rows at once.
    fn whole(&mut self, train: &mut dyn Dataset, alone: bool) -> Result<Sums> {
        self.rate = self.rate_at(0.0);
        let shown = if train.extras().is_empty() { train.in_place() } else { None };
        if let Some((x, t)) = shown {
            if x.is_empty() {
                return Ok(Sums::default());
            }
            let parts = [x, t];
            let rows = self.count_rows(&parts)?;
            self.fill_weights(rows);
            let tally = self.gradient_of(&parts, None)?;
            return self.only_step(&parts, &tally, alone);
        }
        let mut pass = Pass::start(train, Order::AsIs, &self.network)?;
        let mut batch = self.take_batch(self.engine.chunk_rows(train.rows()), &pass)?;
        let result = self.accumulate_all(train, &mut pass, &mut batch);
        self.batch = batch;
        let mut tally = result?;
        if tally.rows == 0 {
            return Ok(Sums::default());
        }
        if !self.config.loss.sums_rows() {
            self.average(&mut tally);
        }
        self.only_step(&[], &tally, alone)
    }

    /// The step of an epoch that has no other. Its loss is that of the weights before it: without validation rows these may be the best so far.
    fn only_step(&mut self, parts: &[&[f32]], tally: &Tally, alone: bool) -> Result<Sums> {
        let mut sums = self.sums(tally);
        if alone {
            let report = self.report(&sums, None);
            sums.kept = Some(self.keep_if_best(&report));
        }
        self.apply(parts, tally)?;
        Ok(sums)
    }

    /// The gradient of all rows, each counting 1.
    fn accumulate_all(&mut self, train: &mut dyn Dataset, pass: &mut Pass, batch: &mut Batch) -> Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let rows = pass.read(train, batch)?;
            if rows == 0 {
                return Ok(tally);
            }
            self.fill_weights_with(rows, 1.0);
            batch.with(rows, |parts, weights| {
                self.accumulate(parts, weights, &mut tally)?;
                if tally.loss.is_finite() { Ok(()) } else { Err(self.diverged(parts, tally.loss as f32)) }
            })?;
        }
    }

    fn in_batches(
        &mut self,
        train: &mut dyn Dataset,
        n: usize,
        alone: bool,
        observer: &mut dyn Observer,
    ) -> Result<Sums> {
        let n = train.rows().map_or(n, |rows| n.min(rows.max(1)));
        let mut pass = Pass::start(train, self.order(), &self.network)?;
        let mut batch = self.take_batch(n, &pass)?;
        let result = self.batches(train, alone, &mut pass, &mut batch, observer);
        self.batch = batch;
        result
    }

    fn batches(
        &mut self,
        train: &mut dyn Dataset,
        alone: bool,
        pass: &mut Pass,
        batch: &mut Batch,
        observer: &mut dyn Observer,
    ) -> Result<Sums> {
        let total = train.rows();
        let mut sums = Sums::default();
        self.rate = self.rate_at(0.0);
        loop {
            let rows = pass.read(train, batch)?;
            if rows == 0 {
                return Ok(sums);
            }
            if let Some(total) = total.filter(|_| self.config.schedule.is_smooth()) {
                self.rate = self.rate_at(sums.rows as f64 / total.max(1) as f64);
            }
            self.fill_weights(rows);
            let step = batch.with(rows, |parts, weights| {
                let tally = self.gradient_of(parts, weights)?;
                self.only_step(parts, &tally, alone && total == Some(rows))
            })?;
            sums.kept = step.kept;
            sums.loss += step.loss;
            sums.rows += rows;
            sums.measure.squared += step.measure.squared;
            sums.measure.bit_fail += step.measure.bit_fail;
            let report = BatchReport { epoch: self.state.epoch + 1, rows: sums.rows, loss: step.loss / rows as f64 };
            if observer.batch(&report) == Control::Stop {
                sums.control = Some(Control::Stop);
                return Ok(sums);
            }
        }
    }

    /// A batch's figures, its loss as the sum over the rows.
    fn sums(&self, tally: &Tally) -> Sums {
        let rows = if self.config.loss.sums_rows() { 1.0 } else { tally.rows as f64 };
        Sums { loss: tally.loss * rows, rows: tally.rows, measure: tally.measure, ..Sums::default() }
    }

    /// Memory for `rows` rows, taken out of the trainer.
    fn take_batch(&mut self, rows: usize, pass: &Pass) -> Result<Batch> {
        let mut batch = mem::take(&mut self.batch);
        batch.fit(&self.lens, rows, pass.is_weighted())?;
        Ok(batch)
    }

    /// The order of this epoch's rows, whatever happened in the epochs before.
    fn order(&self) -> Order {
        if self.config.shuffle { Order::of_epoch(self.config.seed, self.state.epoch) } else { Order::AsIs }
    }

    /// The factor on the learning rate when the share `done` of this epoch is over.
    fn rate_at(&self, done: f64) -> f32 {
        self.config.schedule.factor(self.state.epoch as f64 + done, self.config.epochs)
            * self.state.plateau.factor as f32
    }

    fn validate(&mut self, data: &mut dyn Dataset) -> Result<f64> {
        check_data(&self.network, data)?;
        let evaluator = evaluator(&mut self.evaluator, self.network.spec(), &self.config)?;
        evaluator.mean_loss(&self.network, self.network.params(), None, data)
    }

    /// Enters the epoch into the books.
    fn close_epoch(&mut self, sums: &Sums, validation_loss: Option<f64>) -> EpochReport {
        let mut report = self.report(sums, validation_loss);
        report.is_best = match sums.kept {
            Some(kept) => kept,
            None => self.keep_if_best(&report),
        };
        self.state.epoch += 1;
        self.state.waited += usize::from(!report.is_best);
        self.state.plateau.observe(&self.config.schedule, report.loss());
        self.state.history.push(report.clone());
        report
    }

    /// The figures of the epoch under way.
    fn report(&self, sums: &Sums, validation_loss: Option<f64>) -> EpochReport {
        let rows = sums.rows as f64;
        let measured = self.config.measures();
        EpochReport {
            epoch: self.state.epoch + 1,
            train_loss: sums.loss / rows,
            validation_loss,
            mse: measured.then(|| sums.measure.squared / (rows * self.network.output_len() as f64)),
            bit_fail: measured.then_some(sums.measure.bit_fail),
            rows: sums.rows,
            rate: self.rate,
            is_best: false,
        }
    }

    /// Keeps the weights as they are now if their loss is the lowest, or if they reach the training's aim and there are no validation rows to judge by.
    fn keep_if_best(&mut self, report: &EpochReport) -> bool {
        let aimed = report.validation_loss.is_none() && self.reached(report);
        let best = aimed || self.state.is_better(report.loss(), self.config.min_delta);
        if best {
            self.state.keep(report.epoch, report.loss(), self.network.params());
        }
        best
    }

    fn reached(&self, report: &EpochReport) -> bool {
        match self.config.stop {
            Some(StopAt::Mse(limit)) => report.mse.is_some_and(|mse| mse <= limit),
            Some(StopAt::BitFail { fails, .. }) => report.bit_fail.is_some_and(|n| n <= fails),
            None => false,
        }
    }

    fn out_of_patience(&self) -> bool {
        self.config.patience.is_some_and(|patience| self.state.waited >= patience.max(1))
    }

    /// Gives the network the best weights; those that training goes on with are kept aside. Returns the epoch whose weights it has now.
    fn show_best(&mut self, train: &mut dyn Dataset, alone: bool) -> Result<u64> {
        if let Some(aside) = &self.state.aside {
            return Ok(aside.shown);
        }
        if self.state.stepped || self.last_is_best(train, alone)? {
            return Ok(self.state.epoch);
        }
        let Some(best) = &self.state.best else { return Ok(self.state.epoch) };
        self.state.aside = Some(Aside { params: Buffer::from(self.network.params()), shown: best.epoch });
        self.network.params_mut().copy_from_slice(&best.params);
        Ok(best.epoch)
    }

    /// Whether the weights after the last epoch are at least as good as the best. The training loss of an epoch was measured while weights changed, so
    /// without validation rows both are measured by the training rows once more.
    fn last_is_best(&mut self, train: &mut dyn Dataset, alone: bool) -> Result<bool> {
        let Trainer { state, network, config, evaluator: place, .. } = self;
        let Some(best) = &state.best else { return Ok(true) };
        let aimed = state.ended == Some(Stopped::Reached) && best.epoch == state.epoch;
        if !alone || aimed || best.params[..] == *network.params() {
            return Ok(false);
        }
        let classes = config.class_weights.as_deref();
        let evaluator = evaluator(place, network.spec(), config)?;
        let kept = evaluator.mean_loss(network, &best.params, classes, train)?;
        let last = evaluator.mean_loss(network, network.params(), classes, train)?;
        Ok(last <= kept || (last.is_finite() && !kept.is_finite()))
    }

    /// After an error: the best weights so far, where there are any and the network does not have them.
    fn fall_back(&mut self) {
        if let (Some(best), None) = (&self.state.best, &self.state.aside) {
            self.network.params_mut().copy_from_slice(&best.params);
        }
    }
}

/// The trainer's evaluator, made when it is first needed.
fn evaluator<'a>(
    place: &'a mut Option<Evaluator>,
    spec: &NetworkSpec,
    config: &TrainConfig,
) -> Result<&'a mut Evaluator> {
    let made = match place.take() {
        Some(made) => made,
        None => Evaluator::new(spec, &config.loss)?,
    };
    Ok(place.insert(made))
}
