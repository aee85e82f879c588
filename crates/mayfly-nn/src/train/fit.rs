//! Epochs: reading rows, validation, when to stop.
use super::config::{BatchRows, StopAt};
use super::engine::Tally;
use super::evaluate::{Evaluator, check_data};
use super::report::{BatchReport, Control, EpochReport, FitReport, Observer, Stopped};
use super::trainer::Trainer;
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result};
use mayfly_base::mix;
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
}

impl Trainer {
    /// Trains until all epochs are run or something else decides; then the network has the weights of the best epoch: that with the lowest loss of the
    /// validation rows, or, with patience but without such rows, the lowest training loss; else those of the last epoch. May be called again after
    /// [`Trainer::set_epochs`], or on a resumed checkpoint: training goes on where it stopped.
    ///
    /// # Errors
    /// Data that does not fit, cannot be read or has no rows, and training that diverges.
    pub fn fit(
        &mut self,
        train: &mut dyn Dataset,
        mut validation: Option<&mut dyn Dataset>,
        observer: &mut dyn Observer,
    ) -> Result<FitReport> {
        let mut stopped = Stopped::Epochs;
        while self.state.epoch < self.config.epochs as u64 {
            let held: Option<&mut dyn Dataset> = match &mut validation {
                Some(data) => Some(*data),
                None => None,
            };
            let (report, asked) = self.run_epoch(train, held, observer)?;
            let told = observer.epoch(&report);
            let stop = [
                (self.reached(&report), Stopped::Reached),
                (self.out_of_patience(), Stopped::Patience),
                (asked == Control::Stop || told == Control::Stop, Stopped::Requested),
            ];
            if let Some((_, why)) = stop.into_iter().find(|(is, _)| *is) {
                stopped = why;
                break;
            }
        }
        self.take_best();
        let best_epoch = self.state.best.as_ref().map_or(self.state.epoch, |best| best.epoch);
        Ok(FitReport { stopped, best_epoch, epochs: self.state.history.clone() })
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
        if let Some(last) = self.state.last.take() {
            self.network.params_mut().copy_from_slice(&last);
        }
        let sums = match self.config.batch {
            BatchRows::Full => self.whole(train)?,
            BatchRows::Rows(n) => self.in_batches(train, n, observer)?,
        };
        if sums.rows == 0 {
            return Err(NnError::NoRows { what: "training" });
        }
        self.check_params()?;
        let validation_loss = validation.map(|data| self.validate(data)).transpose()?;
        Ok((self.close_epoch(&sums, validation_loss), sums.control.unwrap_or(Control::Continue)))
    }

    /// A step on all rows at once.
    fn whole(&mut self, train: &mut dyn Dataset) -> Result<Sums> {
        self.rate = self.rate_at(0.0);
        if let Some((x, t)) = train.in_place() {
            self.fill_weights(x.len() / self.engine.lens()[0].max(1));
            let tally = if x.is_empty() { Tally::default() } else { self.step_on(x, t)? };
            return Ok(self.sums(&tally));
        }
        train.start(Order::AsIs)?;
        let [mut x, mut t] = self.take_batch(self.engine.chunk_rows());
        let result = self.accumulate_all(train, &mut x, &mut t);
        self.batch = [x, t];
        let mut tally = result?;
        if !self.config.loss.sums_rows() {
            self.average(&mut tally);
        }
        if tally.rows > 0 {
            self.apply(&[], &[], &tally)?;
        }
        Ok(self.sums(&tally))
    }

    /// The gradient of all rows, each counting 1.
    fn accumulate_all(&mut self, train: &mut dyn Dataset, x: &mut [f32], t: &mut [f32]) -> Result<Tally> {
        let [inputs, targets] = self.engine.lens();
        let mut tally = Tally::default();
        loop {
            let rows = train.next(x, t)?;
            if rows == 0 {
                return Ok(tally);
            }
            self.fill_weights_with(rows, 1.0);
            self.accumulate(&x[..rows * inputs], &t[..rows * targets], &mut tally)?;
        }
    }

    fn in_batches(&mut self, train: &mut dyn Dataset, n: usize, observer: &mut dyn Observer) -> Result<Sums> {
        let total = train.rows();
        let n = total.map_or(n, |rows| n.min(rows.max(1)));
        train.start(self.order())?;
        let [mut x, mut t] = self.take_batch(n);
        let result = self.batches(train, total, &mut x, &mut t, observer);
        self.batch = [x, t];
        result
    }

    fn batches(
        &mut self,
        train: &mut dyn Dataset,
        total: Option<usize>,
        x: &mut [f32],
        t: &mut [f32],
        observer: &mut dyn Observer,
    ) -> Result<Sums> {
        let [inputs, targets] = self.engine.lens();
        let mut sums = Sums::default();
        self.rate = self.rate_at(0.0);
        loop {
            let rows = train.next(x, t)?;
            if rows == 0 {
                return Ok(sums);
            }
            if let Some(total) = total.filter(|_| self.config.schedule.is_smooth()) {
                self.rate = self.rate_at(sums.rows as f64 / total.max(1) as f64);
            }
            self.fill_weights(rows);
            let tally = self.step_on(&x[..rows * inputs], &t[..rows * targets])?;
            let step = self.sums(&tally);
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
        Sums { loss: tally.loss * rows, rows: tally.rows, measure: tally.measure, control: None }
    }

    /// Memory for `rows` rows, taken out of the trainer.
    fn take_batch(&mut self, rows: usize) -> [Buffer<f32>; 2] {
        let [inputs, targets] = self.engine.lens();
        let [x, t] = mem::replace(&mut self.batch, [Buffer::zeroed(0), Buffer::zeroed(0)]);
        let fitting = |buffer: Buffer<f32>, len: usize| if buffer.len() == len { buffer } else { Buffer::zeroed(len) };
        [fitting(x, rows * inputs), fitting(t, rows * targets)]
    }

    /// The order of this epoch's rows, whatever happened in the epochs before.
    fn order(&self) -> Order {
        if self.config.shuffle {
            Order::Shuffled(mix(self.config.seed) ^ mix(self.state.epoch + 1))
        } else {
            Order::AsIs
        }
    }

    /// The factor on the learning rate when the share `done` of this epoch is over.
    fn rate_at(&self, done: f64) -> f32 {
        self.config.schedule.factor(self.state.epoch as f64 + done, self.config.epochs)
            * self.state.plateau.factor as f32
    }

    fn validate(&mut self, data: &mut dyn Dataset) -> Result<f64> {
        check_data(&self.network, data)?;
        let mut evaluator = match self.evaluator.take() {
            Some(evaluator) => evaluator,
            None => Evaluator::new(self.network.spec(), &self.config.loss, self.network.params(), data.rows())?,
        };
        let loss = evaluator.mean_loss(self.network.spec(), self.network.params(), data);
        self.evaluator = Some(evaluator);
        loss
    }

    /// Enters the epoch into the books.
    fn close_epoch(&mut self, sums: &Sums, validation_loss: Option<f64>) -> EpochReport {
        let rows = sums.rows as f64;
        let measured = self.config.measures();
        let mut report = EpochReport {
            epoch: self.state.epoch + 1,
            train_loss: sums.loss / rows,
            validation_loss,
            mse: measured.then(|| sums.measure.squared / (rows * self.engine.lens()[1] as f64)),
            bit_fail: measured.then_some(sums.measure.bit_fail),
            rows: sums.rows,
            rate: self.rate,
            is_best: false,
        };
        let judged = validation_loss.is_some() || self.config.patience.is_some();
        report.is_best = judged && self.state.is_better(report.loss(), self.config.min_delta);
        self.state.epoch += 1;
        if report.is_best {
            self.state.keep(report.epoch, report.loss(), self.network.params());
        } else {
            self.state.waited += 1;
        }
        self.state.plateau.observe(&self.config.schedule, report.loss());
        self.state.history.push(report.clone());
        report
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

    /// Gives the network the best weights; those that training goes on with are kept aside.
    fn take_best(&mut self) {
        if let Some(best) = &self.state.best
            && self.state.last.is_none()
        {
            self.state.last = Some(Buffer::from(self.network.params()));
            self.network.params_mut().copy_from_slice(&best.params);
        }
    }
}
