//! A forecaster: models side by side, trained on one frame.
use super::conformal::{Conformal, Residuals};
use super::ensemble::{self, Ensemble};
use super::fitted::Fitted;
use super::forecasts::Forecasts;
use super::group::Cut;
use super::hierarchy::Hierarchy;
use super::local::{TrainedEach, train_each};
use super::model::Model;
use super::network::{Networks, Task};
use super::watch::Watch;
use crate::baselines::Baseline;
use crate::calendar::{Freq, Zone};
use crate::error::{ForecastError, Result};
use crate::families::FAMILIES;
use crate::frame::{About, Columns, Exogenous, LocalScaler, LocalScales, SeriesFrame};
use crate::losses::{DistributionLoss, ForecastLoss, check_level};
use crate::metrics::Scores;
use mayfly_nn::Control;
use std::borrow::Cow;

/// Steps of a forecast and values of the past, at most.
pub(crate) const MOST: usize = 16_384;

/// Models that forecast the same series over the same horizon, beside baselines.
///
/// ```
/// use mayfly_forecast::{FrameOptions, Forecaster, Model, SeriesFrame};
/// let ds: Vec<String> = (0..60).map(|i| format!("{}-{:02}", 2019 + i / 12, i % 12 + 1)).collect();
/// let y: Vec<f32> = (0..60).map(|i| 100.0 + i as f32 + 20.0 * ((i % 12) as f32 - 6.0).abs()).collect();
/// let frame = SeriesFrame::from_columns(&vec!["a".to_owned(); 60], &ds, &y, &FrameOptions::default())?;
/// let mut forecaster = Forecaster::new(6).model(Model::new("NLinear")?.with("max_steps", 50)?);
/// forecaster.fit(&frame, &mut ())?;
/// assert!(forecaster.predict(None, None)?.to_csv().starts_with("unique_id,ds,NLinear\na,2024-01,"));
/// # Ok::<(), mayfly_forecast::ForecastError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Forecaster {
    pub(super) h: usize,
    pub(super) models: Vec<Model>,
    pub(super) baselines: Vec<&'static Baseline>,
    pub(super) level: Vec<f64>,
    pub(super) conformal: Option<Conformal>,
    pub(super) val_size: Option<usize>,
    pub(super) season: Option<usize>,
    pub(super) local: Option<LocalScaler>,
    pub(super) threads: usize,
    pub(super) hierarchy: Option<Hierarchy>,
    pub(super) ensemble: Option<Ensemble>,
    pub(super) state: Option<State>,
}

/// What a fit leaves.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) about: About,
    pub(super) season: usize,
    pub(super) fitted: Vec<Fitted>,
    /// What models see series by, where they are scaled as a whole.
    pub(super) local: Option<LocalScales>,
    /// The last values of every series; none where they were left out of a file.
    pub(super) tails: Option<SeriesFrame>,
}

impl State {
    /// Values of the past that the models see, at most.
    pub(super) fn longest_input(&self) -> usize {
        self.fitted.iter().map(|fitted| fitted.input_size).max().unwrap_or(0)
    }
}

/// How a fit went.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Figures of the baselines over what was held out; none where nothing was.
    pub baselines: Vec<(String, Option<Scores>)>,
    /// Those of the ensemble, if there is one.
    pub ensemble: Option<Scores>,
    /// Values at the end of each series that were held out.
    pub val_size: usize,
    /// Whether it was asked to stop; the weights so far were kept.
    pub stopped: bool,
    /// The forecasts of what was held out.
    pub held: Option<Forecasts>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

impl Forecaster {
    /// One that forecasts `h` steps, without models.
    pub fn new(h: usize) -> Forecaster {
        Forecaster {
            h,
            models: Vec::new(),
            baselines: Vec::new(),
            level: Vec::new(),
            conformal: None,
            val_size: None,
            season: None,
            local: None,
            threads: 0,
            hierarchy: None,
            ensemble: None,
            state: None,
        }
    }

    /// The same with one more model.
    #[must_use]
    pub fn model(mut self, model: Model) -> Forecaster {
        self.models.push(model);
        self
    }

    /// The same, measured beside these baselines.
    #[must_use]
    pub fn baselines(mut self, baselines: impl IntoIterator<Item = &'static Baseline>) -> Forecaster {
        self.baselines.extend(baselines);
        self
    }

    /// The same, with intervals of the baselines that hold so many per cent. Models have those of their loss.
    #[must_use]
    pub fn level(mut self, level: &[f64]) -> Forecaster {
        self.level = level.to_vec();
        self.level.sort_by(f64::total_cmp);
        self.level.dedup();
        self
    }

    /// The same, with intervals of the level's ([`Forecaster::level`]) per cents also for models whose loss gives a point alone: from their errors in a backtest,
    /// for which each of them is trained a second time.
    #[must_use]
    pub fn intervals(mut self, conformal: Conformal) -> Forecaster {
        self.conformal = Some(conformal);
        self
    }

    /// The same, with so many values of each series held out to choose the best weights by and to measure on; 0 for none. Without this a fit holds out one
    /// horizon where series are long enough, and a backtest nothing.
    #[must_use]
    pub fn val_size(mut self, n: usize) -> Forecaster {
        self.val_size = Some(n);
        self
    }

    /// The same, for series that repeat themselves after so many values; else the frequency decides.
    #[must_use]
    pub fn season(mut self, n: usize) -> Forecaster {
        self.season = Some(n);
        self
    }

    /// The same, whose models see every series scaled by the values that it has before what is held out, and its exogenous columns likewise; windows are scaled by
    /// themselves behind that. Forecasts, figures and explanations stay on the scale of the data. A series that was not there has the scale of its own values.
    #[must_use]
    pub fn local_scaler(mut self, scaler: LocalScaler) -> Forecaster {
        self.local = Some(scaler);
        self
    }

    /// What whole series are scaled by.
    pub fn scaled_by(&self) -> Option<LocalScaler> {
        self.local
    }

    /// How the models' forecasts become one, if they do.
    pub fn combined_by(&self) -> Option<Ensemble> {
        self.ensemble
    }

    /// The same on so many threads; 0 for as many as the machine has. The result has the same bits at any number.
    #[must_use]
    pub fn threads(mut self, n: usize) -> Forecaster {
        self.threads = n;
        self
    }

    /// Steps of a forecast.
    pub fn h(&self) -> usize {
        self.h
    }

    /// The trained models.
    pub fn fitted(&self) -> &[Fitted] {
        self.state.as_ref().map_or(&[], |state| &state.fitted)
    }

    /// The same, whose models' forecasts add up. Files do not keep it: set it again after loading.
    #[must_use]
    pub fn hierarchy(mut self, hierarchy: Hierarchy) -> Forecaster {
        self.hierarchy = Some(hierarchy);
        self
    }

    /// The same, with one forecast from those of all models beside them, in columns called `Ensemble`.
    #[must_use]
    pub fn ensemble(mut self, ensemble: Ensemble) -> Forecaster {
        self.ensemble = Some(ensemble);
        self
    }

    /// Trains every model on the frame.
    ///
    /// # Errors
    /// Settings that make no sense, series that are all too short, and trainings that diverge.
    pub fn fit(&mut self, frame: &SeriesFrame, watch: &mut dyn Watch) -> Result<Report> {
        self.check()?;
        self.check_exogenous(frame)?;
        let val_size = self.held_out(frame)?;
        self.check_held(val_size)?;
        self.check_losses(frame, val_size)?;
        self.check_networks(frame, val_size)?;
        self.check_intervals(frame, val_size)?;
        let frame = &*self.prepared(frame, val_size);
        let mut notes = Vec::new();
        let short = frame.iter().filter(|series| series.y.len() < val_size + 2).count();
        if short > 0 && val_size > 0 {
            notes.push(format!("{short} series are too short to learn from once {val_size} values are held out"));
        }
        let (fitted, stopped) = self.train(frame, val_size, watch)?;
        self.settle(frame, fitted, Report { val_size, stopped, notes, ..Report::default() })
    }

    /// The frame as models learn from it: words and scales are those of what lies before the last `held` values.
    pub(super) fn prepared<'a>(&self, frame: &'a SeriesFrame, held: usize) -> Cow<'a, SeriesFrame> {
        let coded = frame.coded(held);
        match self.local {
            Some(scaler) => Cow::Owned(coded.scaled(&coded.scales(scaler, held), held)),
            None => coded,
        }
    }

    /// Measures what was trained, and keeps it.
    fn settle(&mut self, frame: &SeriesFrame, mut fitted: Vec<Fitted>, report: Report) -> Result<Report> {
        let Report { val_size, stopped, notes, .. } = report;
        let season = self.season_of(frame);
        let held = (val_size > 0).then(|| self.measure(frame, &mut fitted, val_size, season)).transpose()?;
        let ensemble = held.as_ref().and_then(|held| held.scores(ensemble::NAME));
        let scores = |b: &&Baseline| (b.name.to_owned(), held.as_ref().and_then(|held| held.scores(b.name)));
        let baselines = self.baselines.iter().map(scores).collect();
        let local = self.local.map(|scaler| frame.scales(scaler, val_size));
        let mut state = State { about: frame.about.clone(), season, fitted, local, tails: None };
        state.tails = Some(frame.last(state.longest_input() + 1).unscaled());
        self.state = Some(state);
        Ok(Report { baselines, ensemble, val_size, stopped, held, notes })
    }

    /// Values after which the series repeat themselves.
    pub(super) fn season_of(&self, frame: &SeriesFrame) -> usize {
        self.season.unwrap_or(frame.freq().season())
    }

    /// The models, before or after a fit.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The same with this model alone, nothing beside it and no intervals from a backtest.
    #[cfg(feature = "auto")]
    pub(crate) fn alone(&self, model: Model) -> Forecaster {
        let (models, state) = (vec![model], None);
        Forecaster {
            models,
            baselines: Vec::new(),
            conformal: None,
            hierarchy: None,
            ensemble: None,
            state,
            ..self.clone()
        }
    }

    /// Takes these models, with weights where they were trained; trains those without, and makes intervals from a backtest where they are wanted. Asked to stop it
    /// keeps the models that have weights.
    #[cfg(feature = "auto")]
    pub(crate) fn adopt(
        &mut self,
        frame: &SeriesFrame,
        found: Vec<(Model, Option<Fitted>)>,
        stopped: bool,
        watch: &mut dyn Watch,
    ) -> Result<Report> {
        self.check_exogenous(frame)?;
        let val_size = self.held_out(frame)?;
        self.check_intervals(frame, val_size)?;
        let frame = &*self.prepared(frame, val_size);
        let found: Vec<_> = found.into_iter().filter(|(_, fitted)| !stopped || fitted.is_some()).collect();
        if found.is_empty() {
            let want = "the best settings so far were found in a run before: go on with its log to have them trained";
            return Err(ForecastError::option("search", "stopped", want));
        }
        let (models, weights): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        self.models = models;
        let (mut all, mut stopped) = (Vec::new(), stopped);
        for (i, fitted) in weights.into_iter().enumerate() {
            let (fitted, cut) = match fitted {
                Some(fitted) => (Some(fitted), false),
                None => self.train_one(i, frame, val_size, watch)?,
            };
            let Some(mut fitted) = fitted else { break };
            if !stopped && !cut {
                let (residuals, cut) = self.residuals(i, frame, val_size, watch)?;
                (fitted.residuals, stopped) = (residuals, cut);
            }
            stopped |= cut;
            all.push(fitted);
        }
        self.settle(frame, all, Report { val_size, stopped, ..Report::default() })
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.h == 0 || self.h > MOST {
            return Err(ForecastError::option("h", self.h, format!("it must be between 1 and {MOST}")));
        }
        if self.models.is_empty() {
            return Err(ForecastError::option("models", "empty", "at least one model is needed"));
        }
        if self.season == Some(0) {
            return Err(ForecastError::option("season", 0, "it must be at least 1"));
        }
        if !self.level.is_empty() || self.conformal.is_some() {
            check_level(&self.level)?;
        }
        if let Some(conformal) = &self.conformal {
            conformal.check()?;
        }
        let mut names: Vec<&str> = self.models.iter().map(|model| model.alias.as_str()).collect();
        names.extend(self.baselines.iter().map(|baseline| baseline.name));
        self.check_ensemble()?;
        names.extend(self.ensemble.map(|_| ensemble::NAME));
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ForecastError::option(
                "models",
                pair[0],
                "it is there twice, and forecasts are told apart by name: give one of them another (its alias)",
            ));
        }
        for model in &self.models {
            model.common.check()?;
            model.check_loss()?;
            model.check_horizon(self.h)?;
            model.check_local()?;
            model.check_ready()?;
            if let Some(n) = model.common.input_size.filter(|n| *n > MOST) {
                return Err(ForecastError::option("input_size", n, format!("it must be at most {MOST}")));
            }
        }
        Ok(())
    }

    /// Refuses models whose networks cannot be made for these series, before the first of them is trained; and series of which nothing is known.
    pub(crate) fn check_networks(&self, frame: &SeriesFrame, val_size: usize) -> Result<()> {
        if frame.known.as_ref().is_some_and(|known| !known.contains(&true)) {
            let want = "values to learn from: all are missing, or marked as not available";
            return Err(ForecastError::option("series", "unknown at every time", want));
        }
        self.models.iter().try_for_each(|model| self.check_network(model, frame, val_size))
    }

    /// Refuses a model whose network cannot be made for these series: patches that do not divide its input, a horizon too short for its bases.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_model(&self, model: &Model, frame: &SeriesFrame) -> Result<()> {
        self.check_network(model, frame, self.val_size.unwrap_or(0))
    }

    fn check_network(&self, model: &Model, frame: &SeriesFrame, val_size: usize) -> Result<()> {
        // What a language model lacks is said where it is read.
        if model.own.pretrained().is_some() || model.own.closed_form().is_some() {
            return Ok(());
        }
        let input_size = self.input_size(model, frame, val_size);
        let model = model.clone().for_columns(frame.exogenous());
        let series = if model.family.takes.multivariate { frame.len() } else { 1 };
        let shape = model.shape(input_size, self.h, frame.exogenous(), series);
        let refused = |error: mayfly_nn::NnError| {
            let said = error.to_string();
            ForecastError::option("models", &model.alias, said.strip_prefix("layers.0: ").unwrap_or(&said))
        };
        Networks::spec(&model, shape).layout().map(drop).map_err(refused)
    }

    fn check_ensemble(&self) -> Result<()> {
        let Some(ensemble) = self.ensemble else { return Ok(()) };
        let bad = |want: &str| Err(ForecastError::option("ensemble", format!("{ensemble:?}").to_lowercase(), want));
        match (self.models.len(), ensemble, &self.hierarchy) {
            (0 | 1, ..) => bad("it is made of the forecasts of at least two models"),
            (_, Ensemble::Median, Some(_)) => bad("medians of forecasts that add up do not: take mean or weighted"),
            _ => Ok(()),
        }
    }

    /// Refuses what goes by what is held out where nothing is: weights of models, and stopping when a validation gets no better.
    pub(super) fn check_held(&self, val_size: usize) -> Result<()> {
        let patience = self.models.iter().map(|model| model.common.early_stop_patience_steps).max().unwrap_or(-1);
        if patience > 0 && val_size == 0 {
            let want = "validations are of what is held out, and nothing is: give a val_size of at least the horizon";
            return Err(ForecastError::option("early_stop_patience_steps", patience, want));
        }
        match (self.ensemble, val_size) {
            (Some(Ensemble::Weighted), 0) => {
                let want = "models are weighted by their errors on what is held out, and nothing is: give a val_size of at least the horizon, or take mean or median";
                Err(ForecastError::option("ensemble", "weighted", want))
            }
            _ => Ok(()),
        }
    }

    /// Refuses models that would not look at the exogenous columns.
    pub(super) fn check_exogenous(&self, frame: &SeriesFrame) -> Result<()> {
        let names = frame.exogenous();
        for model in &self.models {
            let kinds = model.family.takes.kinds();
            let words: Vec<String> = names.categories.iter().map(|category| category.name.clone()).collect();
            let there = [("hist", &names.hist), ("futr", &names.futr), ("static", &names.stat), ("cat", &words)];
            let Some((kind, names)) =
                there.into_iter().find(|(kind, names)| !names.is_empty() && !kinds.contains(kind))
            else {
                continue;
            };
            let takers =
                FAMILIES.iter().filter(|family| family.takes.kinds().contains(&kind)).map(|family| family.name);
            let takers = takers.collect::<Vec<_>>().join(", ");
            let want = format!("it takes no {kind} columns such as {}; {takers} do", names.join(", "));
            return Err(ForecastError::option("models", &model.alias, want));
        }
        Ok(())
    }

    /// Refuses losses that say nothing about the values of the series, or about windows of this length.
    pub(super) fn check_losses(&self, frame: &SeriesFrame, val_size: usize) -> Result<()> {
        self.hierarchy.iter().try_for_each(|hierarchy| hierarchy.check(frame))?;
        for model in &self.models {
            model.loss.check_window(self.input_size(model, frame, val_size))?;
            let ForecastLoss::Distribution(DistributionLoss { distribution, .. }) = &model.loss else { continue };
            let Some(domain) = distribution.domain() else { continue };
            for series in frame.iter() {
                let strange = |at: &usize| series.is_known(*at) && !domain.holds(series.y[*at]);
                if let Some(at) = (0..series.y.len()).find(strange) {
                    let time = frame.written(frame.freq().add(series.start, at as i64));
                    let found = format!(
                        "{} is of {}, and series {:?} has {} at {time}",
                        distribution.name(),
                        domain.said(),
                        series.id,
                        series.y[at]
                    );
                    return Err(ForecastError::option("loss", distribution.name(), found));
                }
            }
        }
        Ok(())
    }

    /// Values at the end of each series that are held out.
    pub(crate) fn held_out(&self, frame: &SeriesFrame) -> Result<usize> {
        let longest = frame.longest();
        match self.val_size {
            None if longest >= 2 * self.h + 2 => Ok(self.h),
            None | Some(0) => Ok(0),
            Some(n) if n < self.h => {
                Err(ForecastError::option("val_size", n, format!("it must be 0 or at least the horizon, {}", self.h)))
            }
            Some(n) if n + 2 > longest => {
                Err(ForecastError::option("val_size", n, format!("the longest series has {longest} values")))
            }
            Some(n) => Ok(n),
        }
    }

    /// Values of the past that a model sees: three horizons, where series are that long.
    pub(super) fn input_size(&self, model: &Model, frame: &SeriesFrame, val_size: usize) -> usize {
        let most = frame.longest().saturating_sub(val_size + 1).clamp(1, MOST);
        model.common.input_size.unwrap_or_else(|| (3 * self.h).min(most))
    }

    /// Trains all models; those that were not begun when it was asked to stop are left out.
    pub(super) fn train(
        &self,
        frame: &SeriesFrame,
        val_size: usize,
        watch: &mut dyn Watch,
    ) -> Result<(Vec<Fitted>, bool)> {
        let mut all = Vec::with_capacity(self.models.len());
        for i in 0..self.models.len() {
            let (fitted, mut stopped) = self.train_one(i, frame, val_size, watch)?;
            let Some(mut fitted) = fitted else { return Ok((all, true)) };
            if !stopped {
                (fitted.residuals, stopped) = self.residuals(i, frame, val_size, watch)?;
            }
            all.push(fitted);
            if stopped || watch.control() == Control::Stop {
                return Ok((all, true));
            }
        }
        Ok((all, false))
    }

    /// One model, and whether it was asked to stop: of a local one there is then none.
    fn train_one(
        &self,
        i: usize,
        frame: &SeriesFrame,
        val_size: usize,
        watch: &mut dyn Watch,
    ) -> Result<(Option<Fitted>, bool)> {
        let model = &self.models[i].clone().for_columns(frame.exogenous()).read()?;
        let input_size = self.input_size(model, frame, val_size);
        let number = [i + 1, self.models.len()];
        let task = Task { model, frame, input_size, h: self.h, val_size, threads: self.threads, number, from: None };
        if model.local {
            let Some(each) = train_each(&task, None, watch)? else { return Ok((None, true)) };
            let shape = model.shape(input_size, self.h, frame.exogenous(), 1);
            let first = each.locals.values().next().map_or(&[][..], |params| &params[..]);
            let networks = Networks::new(model, shape, first)?;
            let bare = Fitted::new(model.clone(), input_size, self.h, frame.exogenous().clone(), networks);
            let TrainedEach { locals, seconds, steps, windows } = each;
            return Ok((Some(Fitted { locals: Some(locals), seconds, steps, windows, ..bare }), false));
        }
        let trained = task.train(watch)?;
        let bare = Fitted::new(model.clone(), input_size, self.h, frame.exogenous().clone(), trained.networks);
        let series = if model.family.takes.multivariate { frame.ids.clone() } else { Vec::new() };
        let (seconds, steps, windows) = (trained.seconds, trained.steps, trained.windows);
        Ok((Some(Fitted { series, seconds, steps, windows, ..bare }), trained.stopped))
    }

    /// Refuses series that are too short for the backtest that intervals are made from, before anything is trained.
    pub(crate) fn check_intervals(&self, frame: &SeriesFrame, val_size: usize) -> Result<()> {
        let Some(conformal) = self.conformal else { return Ok(()) };
        let wanted = self.models.iter().filter(|model| model.loss.spread().is_none());
        let all = wanted.clone().any(|model| model.family.takes.multivariate);
        if wanted.count() == 0 {
            return Ok(());
        }
        let seen = frame.without_last(val_size);
        let (want, len) =
            (conformal.reach(self.h).saturating_add(2), if all { seen.shortest() } else { seen.longest() });
        if len >= want {
            return Ok(());
        }
        let what = format!(
            "with them intervals need {want} values of a series before what is held out, and the {} one has {len}: take fewer, or fewer values held out",
            if all { "shortest" } else { "longest" }
        );
        Err(ForecastError::option("windows of intervals", conformal.windows, what))
    }

    /// The errors of a model like this one in a backtest on what it learns from.
    fn residuals(
        &self,
        i: usize,
        frame: &SeriesFrame,
        val_size: usize,
        watch: &mut dyn Watch,
    ) -> Result<(Option<Residuals>, bool)> {
        let wanted = self.conformal.filter(|_| self.models[i].loss.spread().is_none());
        let Some(conformal) = wanted else { return Ok((None, false)) };
        let reach = conformal.reach(self.h);
        let seen = frame.without_last(val_size);
        let seen = self.prepared(&seen, reach);
        let (before, stopped) = self.train_one(i, &seen.without_last(reach), 0, watch)?;
        let Some(before) = before else { return Ok((None, stopped)) };
        let cuts: Vec<Cut<'_>> = seen
            .iter()
            .flat_map(|series| conformal.cuts(series.y.len(), self.h).map(move |cut| (series, cut)))
            .collect();
        let group = before.at(&cuts, self.h)?;
        let points = group.columns.first().map_or(&[][..], |column| &column.values);
        Ok((Some(Residuals::new(conformal.method, &self.level, self.h, &cuts, points)), stopped))
    }

    /// Forecasts of what was held out, a horizon behind the other. Sets the models' figures, and their weights in an ensemble.
    pub(super) fn measure(
        &self,
        frame: &SeriesFrame,
        fitted: &mut [Fitted],
        val_size: usize,
        season: usize,
    ) -> Result<Forecasts> {
        let mut cuts: Vec<Cut<'_>> = Vec::new();
        for series in frame.iter() {
            let len = series.y.len();
            let ends = (1..=val_size / self.h).rev().filter_map(|n| len.checked_sub(n * self.h));
            cuts.extend(ends.filter(|cut| *cut >= 1).map(|cut| (series, cut)));
        }
        let mut forecasts = Forecasts::new(frame, &cuts, self.h, season, true);
        self.add_models(&mut forecasts, &cuts, fitted, self.h)?;
        for fitted in fitted.iter_mut() {
            fitted.scores = forecasts.scores(&fitted.model.alias);
            // An error of 0 counts more than any other, and still not all.
            let mae = fitted.scores.as_ref().map_or(f64::INFINITY, |scores| scores.mae);
            fitted.weight = 1.0 / mae.max(1e-12);
        }
        self.add_ensemble(&mut forecasts, fitted);
        self.add_baselines(&mut forecasts, &cuts, season);
        Ok(forecasts)
    }

    /// What the exogenous columns of its series are called.
    pub fn exogenous(&self) -> Option<&Exogenous> {
        self.state.as_ref().map(|state| &state.about.exogenous)
    }

    /// What the columns of its series are called.
    pub fn columns(&self) -> Option<&Columns> {
        self.state.as_ref().map(|state| &state.about.columns)
    }

    /// The frequency of its series.
    pub fn freq(&self) -> Option<Freq> {
        self.state.as_ref().map(|state| state.about.freq)
    }

    /// Whose clock the times of its series are, where that is known.
    pub fn zone(&self) -> Option<&Zone> {
        self.state.as_ref().and_then(|state| state.about.form.zone())
    }

    /// The ends of the series it was trained on, where it has them.
    pub fn tails(&self) -> Option<&SeriesFrame> {
        self.state.as_ref().and_then(|state| state.tails.as_ref())
    }
}
