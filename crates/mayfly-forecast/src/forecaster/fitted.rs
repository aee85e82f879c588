//! A trained model.
use super::conformal::Residuals;
use super::local::{Locals, train_each};
use super::model::Model;
use super::network::{Networks, Task};
use super::watch::Watch;
use crate::error::{ForecastError, Result};
use crate::frame::{Exogenous, SeriesFrame};
use crate::metrics::Scores;
use mayfly_nn::{Network, PreparedNetwork};

/// A trained model.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// What was trained.
    pub model: Model,
    /// Values of the past that it sees.
    pub input_size: usize,
    /// Steps that it gives at once.
    pub h: usize,
    /// The exogenous columns that it takes.
    pub exogenous: Exogenous,
    /// The series that it forecasts together; none for families that look at one at a time.
    pub series: Vec<String>,
    /// How long its training took.
    pub seconds: f64,
    /// Steps of its training.
    pub steps: usize,
    /// Windows that it was trained on.
    pub windows: usize,
    /// What it counts in a weighted ensemble.
    pub(super) weight: f64,
    /// Its figures over what was held out.
    pub scores: Option<Scores>,
    /// Of a local model that of one of its series.
    pub(super) network: PreparedNetwork,
    /// Where forecasts are made step by step, what continues the first.
    pub(super) next: Option<PreparedNetwork>,
    /// The parameters of each series, of a local model.
    pub(super) locals: Option<Locals>,
    /// What its intervals are made of, if not of its loss.
    pub(super) residuals: Option<Residuals>,
}

impl Fitted {
    /// A model with its weights, of whose training nothing is known.
    pub(super) fn new(model: Model, input_size: usize, h: usize, exogenous: Exogenous, networks: Networks) -> Fitted {
        let (network, next) = networks.prepared();
        let (steps, series) = (model.common.max_steps, Vec::new());
        let (seconds, windows, weight, scores, residuals) = (0.0, 0, 1.0, None, None);
        Fitted {
            model,
            input_size,
            h,
            exogenous,
            series,
            seconds,
            steps,
            windows,
            weight,
            scores,
            network,
            next,
            locals: None,
            residuals,
        }
    }

    /// The same but for the parameters of its series.
    pub(super) fn clone_without_locals(&self) -> Fitted {
        Fitted {
            model: self.model.clone(),
            exogenous: self.exogenous.clone(),
            series: self.series.clone(),
            scores: self.scores.clone(),
            network: self.network.clone(),
            next: self.next.clone(),
            locals: None,
            residuals: self.residuals.clone(),
            ..*self
        }
    }

    /// Trains on for so many steps from the weights that it has. Whether it was asked to stop. Its figures were those of other weights: they go. What is solved and not
    /// trained stays as it is: from the few values at hand it would follow anew, and worse.
    pub(super) fn go_on(
        &mut self,
        frame: &SeriesFrame,
        steps: usize,
        threads: usize,
        number: [usize; 2],
        watch: &mut dyn Watch,
    ) -> Result<bool> {
        if self.model.own.closed_form().is_some() {
            return Ok(false);
        }
        let mut model = self.model.clone();
        model.common.max_steps = steps;
        let (input_size, h, from) = (self.input_size, self.h, Some(&*self.network));
        if let Some(locals) = &self.locals {
            let task = Task { model: &model, frame, input_size, h, val_size: 0, threads, number, from: None };
            let Some(each) = train_each(&task, Some(locals), watch)? else { return Ok(true) };
            self.seconds += each.seconds;
            self.steps += each.steps;
            (self.windows, self.locals, self.scores) = (each.windows, Some(each.locals), None);
            return Ok(false);
        }
        let trained = Task { model: &model, frame, input_size, h, val_size: 0, threads, number, from }.train(watch)?;
        self.seconds += trained.seconds;
        self.steps += trained.steps;
        self.windows = trained.windows;
        (self.network, self.next) = trained.networks.prepared();
        self.scores = None;
        Ok(trained.stopped)
    }
}

impl Fitted {
    /// The model of one series, where each has its own.
    pub(super) fn of_series(&self, locals: &Locals, id: &str) -> Result<Fitted> {
        let Some(params) = locals.get(id) else { return Err(self.no_model_of(id)) };
        let (network, next) = Networks::new(&self.model, self.shape(), params)?.prepared();
        Ok(Fitted { network, next, locals: None, ..self.clone_without_locals() })
    }

    /// A series that a local model was not trained on.
    pub(super) fn no_model_of(&self, id: &str) -> ForecastError {
        let want = format!(
            "{} has a network for each series that it was trained on, and none for this one; a model without --local forecasts any series",
            self.model.alias
        );
        ForecastError::option("series", format!("{id:?}"), want)
    }
}

impl Fitted {
    /// Numbers that were learnt.
    pub fn parameters(&self) -> usize {
        self.network.param_count() * self.locals.as_ref().map_or(1, |locals| locals.len())
    }

    /// Refuses series that a multivariate model was not trained on, and frames that lack some of those it was, or whose series do not end together.
    pub(super) fn check_series(&self, frame: &SeriesFrame) -> Result<()> {
        if let Some(strange) =
            self.locals.as_ref().and_then(|locals| frame.ids.iter().find(|id| !locals.contains_key(*id)))
        {
            return Err(self.no_model_of(strange));
        }
        if self.series.is_empty() {
            return Ok(());
        }
        let alias = &self.model.alias;
        let lacking = self.series.iter().find(|id| !frame.ids.contains(id));
        let strange = frame.ids.iter().find(|id| !self.series.contains(id));
        let what = match (lacking, strange) {
            (Some(id), _) => format!("without {id:?}"),
            (_, Some(id)) => format!("with {id:?}, which it was not trained on"),
            _ => return frame.aligned().map(drop),
        };
        let want = format!(
            "{alias} forecasts the {} series that it was trained on together; it needs all of them, and no others",
            self.series.len()
        );
        Err(ForecastError::option("series", what, want))
    }

    /// The network, from scaled windows to scaled forecasts; of a recurrent model to the next step, with the states of its layers behind it.
    pub fn network(&self) -> &Network {
        &self.network
    }
}
