//! Settings found by trying: for each model of a forecaster, trials over a space, the best of which is kept.
mod log;
mod sampler;
mod space;
mod spaces;
mod trial;

pub use space::{Range, Space};
pub use trial::Trial;

use crate::error::{ForecastError, Result};
use crate::forecaster::{Fitted, Forecaster, Model, Report, Watch};
use crate::frame::SeriesFrame;
use crate::names::nearest;
use log::{Head, TrialLog, fingerprint};
use mayfly_nn::Control;
use sampler::Sampler;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};
use trial::{Numbered, Tried, train};

/// How many of the settings of a round of successive halving go on to the next, one in so many, with so many times the steps.
const HALVING: usize = 3;
/// Rounds of successive halving.
const ROUNDS: u32 = 3;

/// How the next settings are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Search {
    /// By what came of those before: a tree-structured Parzen estimator (Bergstra et al. 2011).
    #[default]
    Tpe,
    /// At random.
    Random,
    /// At random, all for a ninth of their steps, the best third of them for a third, and the best third of those for all (Jamieson & Talwalkar 2016).
    Halving,
}

impl Search {
    const NAMES: [&str; 3] = ["tpe", "random", "halving"];
}

impl FromStr for Search {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<Search> {
        match text {
            "tpe" => Ok(Search::Tpe),
            "random" => Ok(Search::Random),
            "halving" => Ok(Search::Halving),
            _ => Err(ForecastError::UnknownName {
                kind: "search",
                name: text.to_owned(),
                near: nearest(text, &Search::NAMES),
            }),
        }
    }
}

/// How a search goes.
#[derive(Clone, PartialEq, Debug)]
pub struct AutoOptions {
    /// Settings that are tried for each model.
    pub samples: usize,
    /// How they are chosen.
    pub search: Search,
    /// Of the choice.
    pub seed: u64,
    /// No trial begins after this, once each model had one.
    pub time: Option<Duration>,
    /// Every trial is written here when it is over; where the file has trials of the same search, it goes on behind them.
    pub log: Option<PathBuf>,
}

impl Default for AutoOptions {
    fn default() -> Self {
        AutoOptions { samples: 10, search: Search::Tpe, seed: 1, time: None, log: None }
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct AutoReport {
    /// How the last fit of the best models went.
    pub fit: Report,
    /// All that was tried.
    pub trials: Vec<Trial>,
}

impl Forecaster {
    /// Finds settings for every model by trying, and trains the best. Each model has its own space ([`Space::of`] its family, for instance). A trial is a fit that is
    /// measured on what it holds out (MAE); what is measured afterwards is therefore better than what new values will show: [`Forecaster::cross_validation`] of the forecaster says more.
    ///
    /// # Errors
    /// As for [`Forecaster::fit`]; nothing held out; spaces with settings that a model does not have; a log of another search; a model all of whose trials failed.
    pub fn auto(
        &mut self,
        frame: &SeriesFrame,
        spaces: &[Space],
        options: &AutoOptions,
        watch: &mut dyn Watch,
    ) -> Result<AutoReport> {
        self.check_auto(frame, spaces, options)?;
        let head = self.head(frame, spaces, options)?;
        let (mut log, old) = TrialLog::open(options.log.as_deref(), &head)?;
        let mut all = Vec::new();
        let (mut best, mut stopped) = (Vec::new(), false);
        let end = options.time.and_then(|time| Instant::now().checked_add(time));
        for (model, space) in self.models().to_vec().iter().zip(spaces) {
            let old: Vec<Trial> = old.iter().filter(|trial| trial.model == model.alias).cloned().collect();
            let most = self.most_input(frame)?;
            let mut hunt = Hunt {
                with: self,
                frame,
                model,
                space,
                options,
                most,
                end,
                log: &mut log,
                old,
                tried: Vec::new(),
                full: 0,
                watch,
            };
            stopped |= hunt.run()?;
            let found = hunt.best();
            all.extend(hunt.tried.into_iter().map(|tried| tried.trial));
            match found {
                // Asked to stop, it keeps what was found before.
                Err(ForecastError::NoTrial { .. }) if stopped && !best.is_empty() => {}
                found => best.push(found?),
            }
            if stopped {
                break;
            }
        }
        let fit = self.adopt(frame, best, stopped, watch)?;
        Ok(AutoReport { fit, trials: all })
    }

    fn check_auto(&self, frame: &SeriesFrame, spaces: &[Space], options: &AutoOptions) -> Result<()> {
        self.check()?;
        if spaces.len() != self.models().len() || spaces.is_empty() {
            let got = format!("{} for {} models", spaces.len(), self.models().len());
            return Err(ForecastError::option("spaces", got, "there must be one for each model"));
        }
        if options.samples == 0 {
            return Err(ForecastError::option("samples", 0, "it must be at least 1"));
        }
        if self.held_out(frame)? == 0 {
            let want = "settings are chosen by what is held out, and nothing is: give a val_size of at least the horizon, or longer series";
            return Err(ForecastError::option("val_size", 0, want));
        }
        self.check_networks(frame, self.held_out(frame)?)?;
        self.check_intervals(frame, self.held_out(frame)?)?;
        self.models().iter().zip(spaces).try_for_each(|(model, space)| space.check(model))
    }

    fn head(&self, frame: &SeriesFrame, spaces: &[Space], options: &AutoOptions) -> Result<Head> {
        let model = |(model, space): (&Model, &Space)| match model.is_local() {
            false => json!([model.alias, model.config(), space]),
            true => json!([model.alias, model.config(), space, "local"]),
        };
        Ok(Head {
            mayfly_auto: 1,
            h: self.h(),
            val_size: self.held_out(frame)?,
            freq: frame.freq().to_string(),
            rows: frame.rows(),
            data: fingerprint(frame),
            seed: options.seed,
            search: format!("{:?}", options.search).to_lowercase(),
            samples: options.samples,
            local_scaler: self.scaled_by(),
            models: self.models().iter().zip(spaces).map(model).collect(),
        })
    }

    /// Values of the past that there are to see, at most.
    fn most_input(&self, frame: &SeriesFrame) -> Result<usize> {
        Ok(frame.longest().saturating_sub(self.held_out(frame)? + 1).clamp(1, crate::forecaster::MOST))
    }
}

/// The search for one model.
struct Hunt<'a> {
    with: &'a Forecaster,
    frame: &'a SeriesFrame,
    model: &'a Model,
    space: &'a Space,
    options: &'a AutoOptions,
    most: usize,
    end: Option<Instant>,
    log: &'a mut TrialLog,
    /// Trials of a run before.
    old: Vec<Trial>,
    tried: Vec<Tried>,
    /// Where the trials of all steps begin among them.
    full: usize,
    watch: &'a mut dyn Watch,
}

impl Hunt<'_> {
    /// All trials. Whether it was asked to stop.
    fn run(&mut self) -> Result<bool> {
        let learns = self.options.search == Search::Tpe;
        let mut sampler = Sampler::new(self.space, learns, self.options.seed)?;
        if self.options.search == Search::Halving {
            return self.halve(&mut sampler);
        }
        for _ in 0..self.options.samples {
            let point = sampler.ask();
            if !self.go_on(&point, None)? {
                return Ok(self.watch.control() == Control::Stop);
            }
            if let Some(tried) = self.tried.last() {
                sampler.tell(&tried.trial.point, tried.trial.mae);
            }
        }
        Ok(false)
    }

    /// Rounds of ever fewer settings and ever more steps.
    fn halve(&mut self, sampler: &mut Sampler) -> Result<bool> {
        let mut points: Vec<Vec<f64>> = (0..self.options.samples).map(|_| sampler.ask()).collect();
        for round in 0..ROUNDS {
            let share = HALVING.pow(ROUNDS - 1 - round);
            let first = self.tried.len();
            for point in &points {
                if !self.go_on(point, Some(share))? {
                    return Ok(self.watch.control() == Control::Stop);
                }
            }
            self.full = first;
            let mut round: Vec<&Trial> = self.tried[first..].iter().map(|tried| &tried.trial).collect();
            round.sort_by(|a, b| error(a).total_cmp(&error(b)));
            points = round.iter().take(points.len().div_ceil(HALVING)).map(|trial| trial.point.clone()).collect();
        }
        Ok(false)
    }

    /// One more trial, for a share of its steps; false where there is no more time or it was asked to stop.
    fn go_on(&mut self, point: &[f64], share: Option<usize>) -> Result<bool> {
        let number = self.tried.len() + 1;
        let old = self.old.iter().find(|trial| trial.trial == number).cloned();
        if let Some(trial) = old {
            let model = self.settings(&trial.point, share).unwrap_or_else(|_| self.model.clone());
            self.tried.push(Tried { trial, model, fitted: None });
            return Ok(true);
        }
        let is_over = self.end.is_some_and(|end| Instant::now() >= end) && !self.tried.is_empty();
        if is_over || self.watch.control() == Control::Stop {
            return Ok(false);
        }
        let Some(tried) = self.attempt(number, point, share)? else { return Ok(false) };
        self.log.add(&tried.trial, self.options.log.as_deref())?;
        self.tried.push(tried);
        Ok(true)
    }

    /// Trains and measures. None where it was asked to stop.
    fn attempt(&mut self, number: usize, point: &[f64], share: Option<usize>) -> Result<Option<Tried>> {
        let start = Instant::now();
        let (settings, number_of) = (self.settings(point, share), [number, self.planned()]);
        let mut watch = Numbered { watch: &mut *self.watch, number: number_of };
        let trained = settings.and_then(|model| Ok((model.clone(), train(self.with, &model, self.frame, &mut watch)?)));
        let (model, fitted, failed) = match trained {
            Ok((_, None)) => return Ok(None),
            Ok((model, Some(fitted))) => (model, Some(fitted), None),
            // What is wrong with the data is wrong with every trial.
            Err(error @ (ForecastError::Format(_) | ForecastError::Short { .. } | ForecastError::Apart { .. })) => {
                return Err(error);
            }
            Err(error) => (self.model.clone(), None, Some(error.to_string())),
        };
        let mae = fitted.as_ref().and_then(|f| Some(f.scores.as_ref()?.mae)).filter(|mae| mae.is_finite());
        let unmeasured = || "nothing that was held out could be measured".to_owned();
        let failed = failed.or_else(|| mae.is_none().then(unmeasured));
        let named = self.space.0.iter().zip(point).map(|((name, range), at)| (name.clone(), range.value(*at)));
        let mut config: Map<String, Value> = named.collect();
        config.insert("max_steps".into(), json!(model.common.max_steps));
        let (alias, seconds) = (self.model.alias.clone(), start.elapsed().as_secs_f64());
        let (point, input_size) = (point.to_vec(), model.common.input_size);
        let trial = Trial { model: alias, trial: number, config, point, input_size, mae, failed, seconds };
        Ok(Some(Tried { trial, model, fitted }))
    }

    /// The model at a point, for a share of its steps.
    fn settings(&self, point: &[f64], share: Option<usize>) -> Result<Model> {
        let mut model = self.space.model(self.model, point, self.with.h(), self.most)?;
        model.common.max_steps = (model.common.max_steps / share.unwrap_or(1)).max(1);
        Ok(model)
    }

    /// Trials in all.
    fn planned(&self) -> usize {
        let n = self.options.samples;
        match self.options.search {
            Search::Halving => n + n.div_ceil(HALVING) + n.div_ceil(HALVING).div_ceil(HALVING),
            _ => n,
        }
    }

    /// The best model; of rounds of ever more steps, that of the last whole one.
    fn best(&self) -> Result<(Model, Option<Fitted>)> {
        let least = |a: &&Tried, b: &&Tried| error(&a.trial).total_cmp(&error(&b.trial));
        let best = self.tried[self.full..].iter().filter(|tried| tried.trial.mae.is_some()).min_by(least);
        match best {
            Some(best) => Ok((best.model.clone(), best.fitted.clone())),
            None => {
                let why = self.tried.iter().find_map(|tried| tried.trial.failed.clone());
                let why = why.unwrap_or_else(|| "it was stopped before the first was over".into());
                Err(ForecastError::NoTrial { model: self.model.alias.clone(), why })
            }
        }
    }
}

fn error(trial: &Trial) -> f64 {
    trial.mae.unwrap_or(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecaster::Progress;
    use crate::frame::FrameOptions;

    fn frame() -> SeriesFrame {
        let ds: Vec<String> = (0..80).map(|i| i.to_string()).collect();
        let y: Vec<f32> = (0..80_u16).map(|i| (f32::from(i) * 0.6).sin() * 10.0 + f32::from(i) * 0.1).collect();
        SeriesFrame::from_columns(&vec!["a".to_owned(); 80], &ds, &y, &FrameOptions::default()).unwrap()
    }

    fn space(text: &str) -> Space {
        serde_json::from_str(text).unwrap()
    }

    const SPACE: &str = r#"{"learning_rate": {"log": [0.0001, 0.1]}, "hidden_size": {"choice": [4, 8]}, "max_steps": {"int": [3, 30, 3]}}"#;

    fn forecaster() -> Forecaster {
        let model = Model::new("MLP").unwrap().with("scaler_type", "standard").unwrap().input_size(12);
        Forecaster::new(4).model(model).season(10)
    }

    fn options(samples: usize) -> AutoOptions {
        AutoOptions { samples, ..AutoOptions::default() }
    }

    /// Stops in so many trials.
    struct StopAt(usize, usize);

    impl Watch for StopAt {
        fn progress(&mut self, progress: &Progress<'_>) {
            self.1 = progress.number[0];
        }

        fn control(&mut self) -> Control {
            if self.1 >= self.0 { Control::Stop } else { Control::Continue }
        }
    }

    #[test]
    fn the_best_trial_is_what_stays() {
        let (frame, mut forecaster) = (frame(), forecaster());
        let report = forecaster.auto(&frame, &[space(SPACE)], &options(8), &mut ()).unwrap();
        assert_eq!(report.trials.len(), 8);
        let best = report.trials.iter().min_by(|a, b| error(a).total_cmp(&error(b))).unwrap();
        let fitted = &forecaster.fitted()[0];
        assert_eq!(fitted.scores.as_ref().map(|s| s.mae), best.mae);
        for (name, value) in &best.config {
            let (kept, value) = (fitted.model.config()[name].as_f64(), value.as_f64());
            assert!(kept.zip(value).is_some_and(|(k, v)| (k - v).abs() < 1e-6), "{name}");
        }
        let worst = report.trials.iter().map(error).fold(0.0, f64::max);
        assert!(error(best) < worst && report.trials.iter().all(|trial| trial.failed.is_none()));
        // A fit with these settings gives the same.
        let mut again = Forecaster::new(4).model(fitted.model.clone());
        again.fit(&frame, &mut ()).unwrap();
        assert_eq!(again.predict(None, None).unwrap().to_csv(), forecaster.predict(None, None).unwrap().to_csv());
    }

    #[test]
    fn a_search_that_was_broken_off_goes_on_from_its_log() {
        let (frame, folder) = (frame(), tempfile::tempdir().unwrap());
        for search in [Search::Tpe, Search::Random, Search::Halving] {
            let path = folder.path().join(format!("{search:?}.jsonl"));
            let logged = AutoOptions { search, log: Some(path.clone()), ..options(9) };
            let searched = |options: &AutoOptions, watch: &mut dyn Watch| {
                let mut forecaster = forecaster();
                let report = forecaster.auto(&frame, &[space(SPACE)], options, watch).unwrap();
                let trials = report.trials.into_iter().map(|trial| Trial { seconds: 0.0, ..trial });
                (trials.collect::<Vec<_>>(), forecaster.predict(None, None).unwrap().to_csv())
            };
            let whole = searched(&AutoOptions { log: None, ..logged.clone() }, &mut ());
            let part = searched(&logged, &mut StopAt(4, 0));
            assert_eq!(part.0, whole.0[..3]);
            // A kill in the middle of a line.
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{text}{{\"model\":\"ML")).unwrap();
            assert_eq!(searched(&logged, &mut ()), whole, "{search:?}");
            let log = std::fs::read_to_string(&path).unwrap();
            assert!(log.starts_with(&text) && log.lines().count() == whole.0.len() + 1);
            // All of it is known already.
            let again = searched(&logged, &mut ());
            assert_eq!((again, std::fs::read_to_string(&path).unwrap()), (whole, log));
        }
    }

    /// Stops once a model of this name trains.
    struct StopIn(&'static str, bool);

    impl Watch for StopIn {
        fn progress(&mut self, progress: &Progress<'_>) {
            self.1 |= progress.model == self.0;
        }

        fn control(&mut self) -> Control {
            if self.1 { Control::Stop } else { Control::Continue }
        }
    }

    #[test]
    fn asked_to_stop_it_keeps_the_models_that_were_searched() {
        let mut forecaster = forecaster().model(Model::new("MLP").unwrap().alias("Second").input_size(12));
        let spaces = [space(SPACE), space(SPACE)];
        let report = forecaster.auto(&frame(), &spaces, &options(2), &mut StopIn("Second", false)).unwrap();
        assert!(report.fit.stopped && report.trials.len() == 2);
        let names: Vec<&str> = forecaster.fitted().iter().map(|fitted| fitted.model.alias.as_str()).collect();
        assert_eq!(names, ["MLP"]);
    }

    #[test]
    fn logs_of_other_searches_are_refused_and_kept() {
        let (frame, folder) = (frame(), tempfile::tempdir().unwrap());
        let path = folder.path().join("log.jsonl");
        let logged = AutoOptions { log: Some(path.clone()), ..options(1) };
        forecaster().auto(&frame, &[space(SPACE)], &logged, &mut ()).unwrap();
        let kept = std::fs::read_to_string(&path).unwrap();
        let other = AutoOptions { seed: 2, ..logged.clone() };
        let said = forecaster().auto(&frame, &[space(SPACE)], &other, &mut ()).unwrap_err().to_string();
        assert!(said.contains("seed is 1 there and 2 here"), "{said}");
        let said =
            forecaster().auto(&frame.without_last(1), &[space(SPACE)], &logged, &mut ()).unwrap_err().to_string();
        assert!(said.contains("another search"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), kept);
        for foreign in ["a,b\n1,2\n", "no line end", "{\"mayfly_auto\": 1}\n"] {
            std::fs::write(&path, foreign).unwrap();
            let said = forecaster().auto(&frame, &[space(SPACE)], &logged, &mut ()).unwrap_err().to_string();
            assert!(said.contains("no log of a search"), "{said}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
        }
    }

    #[test]
    fn trials_that_fail_are_said_and_the_others_count() {
        let frame = frame();
        let heads = r#"{"n_head": {"choice": [3, 4]}, "hidden_size": {"choice": [8]}, "max_steps": {"choice": [2]}}"#;
        let model = Model::new("VanillaTransformer").unwrap().input_size(12);
        let mut forecaster = Forecaster::new(4).model(model.clone());
        let trials = forecaster.auto(&frame, &[space(heads)], &options(6), &mut ()).unwrap().trials;
        let failed = |trial: &Trial| trial.failed.as_ref().is_some_and(|why| why.contains("n_head"));
        assert!(trials.iter().all(|trial| failed(trial) == (trial.config["n_head"] == 3)), "{trials:?}");
        assert!(trials.iter().any(failed) && !trials.iter().all(failed));
        let mut forecaster = Forecaster::new(4).model(model);
        let said = forecaster.auto(&frame, &[space(&heads.replace("3, 4", "3"))], &options(2), &mut ()).unwrap_err();
        assert!(
            said.to_string().contains("no trial of VanillaTransformer came to a result: hidden_size is 8"),
            "{said}"
        );
    }

    #[test]
    fn halving_gives_the_best_more_steps() {
        let options = AutoOptions { search: Search::Halving, ..options(9) };
        let space = space(r#"{"learning_rate": {"log": [0.0001, 0.1]}, "max_steps": {"choice": [27]}}"#);
        let mut forecaster = forecaster();
        let trials = forecaster.auto(&frame(), &[space], &options, &mut ()).unwrap().trials;
        let steps: Vec<u64> = trials.iter().map(|trial| trial.config["max_steps"].as_u64().unwrap()).collect();
        assert_eq!(steps, [[3; 9].to_vec(), vec![9; 3], vec![27]].concat());
        let mut first: Vec<f64> = trials[..9].iter().map(error).collect();
        first.sort_by(f64::total_cmp);
        let rate = |trial: &Trial| trial.config["learning_rate"].clone();
        for trial in &trials[9..12] {
            assert!(trials[..9].iter().any(|before| rate(before) == rate(trial) && error(before) <= first[2]));
        }
        assert_eq!(forecaster.fitted()[0].model.common.max_steps, 27);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_the_first_trial() {
        let frame = frame();
        let said = |forecaster: &mut Forecaster, spaces: &[Space], options: &AutoOptions| {
            forecaster.auto(&frame, spaces, options, &mut StopAt(1, 1)).unwrap_err().to_string()
        };
        assert!(said(&mut forecaster().val_size(0), &[space(SPACE)], &options(2)).contains("val_size is 0"));
        assert!(said(&mut forecaster(), &[], &options(2)).contains("one for each model"));
        assert!(said(&mut forecaster(), &[space(SPACE)], &options(0)).contains("samples is 0"));
        assert!(
            said(&mut forecaster(), &[space(r#"{"hiden_size": {"choice": [1]}}"#)], &options(2))
                .contains("hidden_size")
        );
        assert!(said(&mut forecaster(), &[space(SPACE)], &options(2)).contains("stopped before the first"));
        assert!("tpee".parse::<Search>().unwrap_err().to_string().contains("tpe"));
        // Without time there is one trial.
        let hurried = AutoOptions { time: Some(Duration::ZERO), ..options(5) };
        let trials = forecaster().auto(&frame, &[space(SPACE)], &hurried, &mut ()).unwrap().trials;
        assert_eq!(trials.len(), 1);
    }
}
