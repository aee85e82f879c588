//! Training one model.
use super::model::Model;
use super::ridge::{Solved, solve};
use super::watch::{Progress, Watch};
use crate::error::{ForecastError, Result};
use crate::families::{PLACE, Use, spec};
use crate::frame::{Series, SeriesFrame};
use crate::losses::ForecastLoss;
use crate::windows::{Held, Plan, RowShape, Rows, WindowList};
use mayfly_nn::{
    Adam, Algorithm, BatchReport, BatchRows, Control, EpochReport, GradientInfo, Network, NetworkSpec, Observer,
    ParamInfo, PreparedNetwork, Schedule, TrainConfig, Trainer,
};
use std::borrow::Cow;
use std::time::Instant;

/// Steps of a pass where nothing is held out: how often there is a report.
const QUIET_STEPS: usize = 10;

/// What is to be trained, on what.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) model: &'a Model,
    pub(super) frame: &'a SeriesFrame,
    pub(super) input_size: usize,
    pub(super) h: usize,
    /// Values at the end of each series that are held out.
    pub(super) val_size: usize,
    pub(super) threads: usize,
    /// Place among the models, and how many there are.
    pub(super) number: [usize; 2],
    /// The network whose weights it goes on from, if it does not begin anew.
    pub(super) from: Option<&'a Network>,
}

/// What a trained model forecasts with.
pub(super) struct Networks {
    pub(super) first: Network,
    /// What continues it step by step, where the model is recurrent.
    pub(super) next: Option<Network>,
}

impl Networks {
    /// What the first is, without its parameters.
    pub(super) fn spec(model: &Model, shape: RowShape) -> NetworkSpec {
        let purpose = if model.is_recurrent() { Use::Beginning } else { Use::Forecasts };
        spec(model.family, model.build(), shape, purpose)
    }

    pub(super) fn new(model: &Model, shape: RowShape, params: &[f32]) -> Result<Networks> {
        let next = || {
            let one = RowShape { input_size: 1, ..shape };
            Network::from_parts(spec(model.family, model.build(), one, Use::Continuing), params, None)
        };
        Ok(Networks {
            first: Network::from_parts(Networks::spec(model, shape), params, None)?,
            next: model.is_recurrent().then(next).transpose()?,
        })
    }

    /// Both, to be asked many times.
    pub(super) fn prepared(self) -> (PreparedNetwork, Option<PreparedNetwork>) {
        (self.first.into(), self.next.map(PreparedNetwork::from))
    }
}

/// What came of it.
pub(super) struct Trained {
    pub(super) networks: Networks,
    pub(super) seconds: f64,
    pub(super) steps: usize,
    pub(super) windows: usize,
    pub(super) stopped: bool,
}

impl Task<'_> {
    /// Trains the model. With values held out the best weights are kept, without them the last.
    pub(super) fn train(&self, watch: &mut dyn Watch) -> Result<Trained> {
        let start = Instant::now();
        let common = &self.model.common;
        let frame = match self.model.family.takes.multivariate {
            true => self.frame.aligned()?,
            false => Cow::Borrowed(self.frame),
        };
        let series: Vec<Series<'_>> = frame.iter().map(|series| self.without_held(series)).collect();
        let shape = self.model.shape(self.input_size, self.h, frame.exogenous(), series.len());
        // One length for each row of series: aligned, all have the same.
        let lens: Vec<usize> = series.iter().step_by(shape.series).map(|s| s.y.len()).collect();
        let list = WindowList::new(lens.into_iter(), &self.model.windows(self.input_size, self.h));
        if list.total() == 0 {
            return Err(self.no_windows(&series));
        }
        if let Some(alpha) = self.model.own.closed_form() {
            let networks = self.solved(&series, &list, shape, alpha)?;
            let (seconds, windows) = (start.elapsed().as_secs_f64(), networks.1);
            return Ok(Trained { networks: networks.0, seconds, steps: 1, windows, stopped: false });
        }
        let pass = if self.val_size > 0 { common.val_check_steps } else { QUIET_STEPS.min(common.val_check_steps) };
        let plan = Plan {
            steps: common.max_steps,
            pass,
            series: common.batch_size,
            windows: common.windows_batch_size,
            seed: common.random_seed,
        };
        let prompter = self.model.prompter(shape.input_size, shape.h);
        let rows = Rows::new(series, &list, shape, plan).weighing(common.steps_count());
        let mut rows = rows.telling(prompter.clone());
        let training = spec(self.model.family, self.model.build(), shape, Use::Training);
        let network = match self.from {
            None => self.begun(training)?,
            Some(from) => Network::from_parts(training, from.params(), None)?,
        };
        let mut trainer = Trainer::new(network, self.config(&plan, &shape, rows.step_rows()))?;
        if self.model.loss == ForecastLoss::Rmse {
            trainer.set_gradient_hook(Some(Box::new(root)));
        }
        let mut eye = Eye { task: self, plan, watch, stopped: false };
        let held = Held::new(frame.iter().collect(), shape, self.val_size, common.steps_count());
        let mut held = held.telling(prompter);
        match self.val_size > 0 && !held.is_empty() {
            true => trainer.fit(&mut rows, Some(&mut held), &mut eye).map(drop),
            false => eye.run(&mut trainer, &mut rows),
        }
        .map_err(|source| ForecastError::Training { model: self.model.alias.clone(), source })?;
        let steps = (trainer.epochs() as usize * plan.pass).min(plan.steps);
        let stopped = eye.stopped;
        let trained = trainer.into_network();
        let networks = Networks::new(self.model, shape, trained.params())?;
        Ok(Trained { networks, seconds: start.elapsed().as_secs_f64(), steps, windows: list.total(), stopped })
    }

    /// The network as it begins: drawn, but for what is given.
    fn begun(&self, spec: NetworkSpec) -> Result<Network> {
        let mut network = Network::new(spec, self.model.common.random_seed)?;
        let Some(pretrained) = self.model.own.pretrained() else { return Ok(network) };
        let mut given = pretrained.parameters()?;
        let bad =
            |name: &str| ForecastError::option("llm", name, "it has another size than when the folder was read before");
        for info in network.layout().to_vec() {
            let Some(values) = given.remove(info.name.strip_prefix(PLACE).unwrap_or(&info.name)) else { continue };
            let place = &mut network.params_mut()[info.range()];
            if values.len() != place.len() {
                return Err(bad(&info.name));
            }
            place.copy_from_slice(&values);
        }
        given.keys().next().map_or(Ok(network), |name| Err(bad(name)))
    }

    /// The network whose weights follow from the windows, and how many those were.
    fn solved(
        &self,
        series: &[Series<'_>],
        list: &WindowList,
        shape: RowShape,
        alpha: f64,
    ) -> Result<(Networks, usize)> {
        let Solved { weight, bias, windows } = solve(series, list, &shape, alpha)?;
        if windows == 0 {
            return Err(self.no_windows(series));
        }
        let part = |info: &ParamInfo| if info.name.ends_with("weight") { &weight } else { &bias };
        let params: Vec<f32> = Networks::spec(self.model, shape).layout()?.iter().flat_map(part).copied().collect();
        Ok((Networks::new(self.model, shape, &params)?, windows))
    }

    fn without_held<'b>(&self, series: Series<'b>) -> Series<'b> {
        let len = series.y.len().saturating_sub(self.val_size);
        series.until(len)
    }

    fn no_windows(&self, series: &[Series<'_>]) -> ForecastError {
        let longest = series.iter().max_by_key(|series| series.y.len());
        ForecastError::Short {
            id: longest.map(|series| series.id.to_owned()).unwrap_or_default(),
            len: longest.map_or(0, |series| series.y.len()),
            want: 2,
            why: format!("before the {} that are held out, to learn from", self.val_size),
            count: series.len(),
        }
    }

    fn config(&self, plan: &Plan, shape: &RowShape, rows: usize) -> TrainConfig {
        let common = &self.model.common;
        let place = |step: usize| {
            let (pass, within) = (step / plan.pass, step % plan.pass);
            let length = plan.pass.min(plan.steps - pass * plan.pass);
            pass as f64 + within as f64 / length as f64
        };
        let halvings: Vec<f64> = common.halvings().into_iter().map(place).collect();
        TrainConfig {
            algorithm: Algorithm::Adam(Adam { lr: common.learning_rate, ..Adam::default() }),
            loss: self.model.loss.for_trainer(shape.h, shape.series),
            epochs: plan.steps.div_ceil(plan.pass),
            batch: BatchRows::Rows(rows),
            shuffle: true,
            seed: common.random_seed,
            threads: self.threads,
            schedule: match halvings.is_empty() {
                true => Schedule::Constant,
                false => Schedule::At { epochs: halvings, factor: 0.5 },
            },
            patience: usize::try_from(common.early_stop_patience_steps).ok().filter(|n| *n > 0),
            ..TrainConfig::default()
        }
    }
}

/// From the gradient of a batch's mean to that of its root.
fn root(info: &GradientInfo<'_>, gradient: &mut [f32]) -> mayfly_nn::Result<()> {
    let share = if info.loss > 0.0 { (0.5 / info.loss.sqrt()) as f32 } else { 0.0 };
    gradient.iter_mut().for_each(|g| *g *= share);
    Ok(())
}

/// Hears of the trainer's passes and tells them in steps.
struct Eye<'a, 'b> {
    task: &'a Task<'b>,
    plan: Plan,
    watch: &'a mut dyn Watch,
    stopped: bool,
}

impl Eye<'_, '_> {
    /// All passes, the last weights kept.
    fn run(&mut self, trainer: &mut Trainer, rows: &mut Rows<'_>) -> mayfly_nn::Result<()> {
        while (trainer.epochs() as usize) < self.plan.steps.div_ceil(self.plan.pass) {
            let report = trainer.epoch(rows, None)?;
            if self.epoch(&report) == Control::Stop {
                break;
            }
        }
        Ok(())
    }

    /// What the trainer makes small is the square of a loss that is a root.
    fn shown(&self, loss: f64) -> f64 {
        if self.task.model.loss == ForecastLoss::Rmse { loss.sqrt() } else { loss }
    }

    fn control(&mut self) -> Control {
        let control = self.watch.control();
        self.stopped |= control == Control::Stop;
        control
    }
}

impl Observer for Eye<'_, '_> {
    fn epoch(&mut self, report: &EpochReport) -> Control {
        self.watch.progress(&Progress {
            model: &self.task.model.alias,
            number: self.task.number,
            step: (report.epoch as usize * self.plan.pass).min(self.plan.steps),
            steps: self.plan.steps,
            train_loss: self.shown(report.train_loss),
            validation_loss: report.validation_loss.map(|loss| self.shown(loss)),
        });
        self.control()
    }

    fn batch(&mut self, _: &BatchReport) -> Control {
        self.control()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::STATES;
    use crate::frame::Exogenous;
    use crate::windows::{FUTR, HIST, STAT};

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + seed * 101) % 83) as f32 / 41.5 - 1.0).collect()
    }

    /// A network that continues another gives what the other gives that sees a step more.
    #[test]
    fn continuing_is_seeing_a_step_more() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let exogenous =
            Exogenous { hist: list(&["a", "b"]), futr: list(&["c"]), stat: list(&["d"]), ..Exogenous::default() };
        for (family, settings) in [
            ("RNN", r#"{"recurrent": true, "encoder_hidden_size": 5}"#),
            ("GRU", r#"{"recurrent": true, "encoder_hidden_size": 5, "encoder_n_layers": 3}"#),
            ("LSTM", r#"{"recurrent": true, "encoder_hidden_size": 5}"#),
            ("DeepAR", r#"{"lstm_hidden_size": 5}"#),
        ] {
            let settings = serde_json::from_str(settings).unwrap();
            let model = Model::new(family).unwrap().with_all(&settings).unwrap().loss(ForecastLoss::intervals(&[80.0]));
            let l = 7;
            let shape = model.shape(l - 1, 4, &exogenous, 1);
            assert_eq!((shape.input_size, shape.h), (l, 1), "{family}");
            let count = Network::new(Networks::spec(&model, shape), 3).unwrap().params().len();
            let Networks { first, next } = Networks::new(&model, shape, &numbers(count, 1)).unwrap();
            let longer = RowShape { input_size: l + 1, ..shape };
            let longer = Networks::new(&model, longer, &numbers(count, 1)).unwrap().first;
            let (x, futr, stat) = (numbers(l + 1, 2), numbers(l + 2, 3), numbers(1, 4));
            let hist = [numbers(2 * l, 5), vec![0.0; 2]].concat();
            let seen = [(HIST, &hist[..2 * l]), (FUTR, &futr[..=l]), (STAT, &stat[..])];
            let begun = first.predict_named(&x[..l], &seen).unwrap();
            assert_eq!(begun.len(), 3 + model.own.states(3), "{family}");
            let seen = [(STATES, &begun[3..]), (HIST, &[9.0, 9.0][..]), (FUTR, &futr[l..]), (STAT, &stat[..])];
            let continued = next.unwrap().predict_named(&x[l..], &seen).unwrap();
            let want = longer.predict_named(&x, &[(HIST, &hist), (FUTR, &futr), (STAT, &stat)]).unwrap();
            let near = continued.iter().zip(&want).all(|(c, w)| (c - w).abs() < 1e-5);
            assert!(near && continued.len() == want.len(), "{family}: {continued:?}, not {want:?}");
            assert!((begun[0] - want[0]).abs() > 1e-4, "{family}: a step more changes nothing");
        }
    }
}
