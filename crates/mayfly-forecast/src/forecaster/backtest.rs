//! Backtests: forecasts of the past that see nothing of what came after their cutoff.
use super::ensemble::{Ensemble, NAME};
use super::fit::Forecaster;
use super::fitted::Fitted;
use super::forecasts::Forecasts;
use super::group::{Column, Cut};
use super::watch::Watch;
use crate::error::{ForecastError, Result};
use crate::frame::SeriesFrame;
use crate::metrics::Scores;

/// When models are trained again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Refit {
    /// Once, on what lies before the first cutoff.
    #[default]
    Never,
    /// On what lies before every so many cutoffs.
    Every(usize),
    /// Not at all: the models are those of [`Forecaster::fit`], which may have seen what is forecast.
    Fitted,
}

/// Which part of the past is forecast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BacktestOptions {
    /// Cutoffs of each series.
    pub windows: usize,
    /// Values between two cutoffs; none for a horizon.
    pub step: Option<usize>,
    /// When models are trained again.
    pub refit: Refit,
}

impl BacktestOptions {
    /// Cutoffs that are `step` values apart (a horizon, where nothing is said) and together forecast the last `test_size` values of every series.
    ///
    /// # Errors
    /// Sizes that such windows do not make up.
    pub fn over(test_size: usize, h: usize, step: Option<usize>) -> Result<BacktestOptions> {
        let apart = step.unwrap_or(h).max(1);
        match test_size.checked_sub(h) {
            Some(rest) if h > 0 && rest % apart == 0 => {
                Ok(BacktestOptions { windows: 1 + rest / apart, step, ..BacktestOptions::default() })
            }
            _ => {
                let want = format!("the horizon, {h}, and a multiple of the step, {apart}, more");
                Err(ForecastError::option("test_size", test_size, want))
            }
        }
    }
}

impl Default for BacktestOptions {
    fn default() -> Self {
        BacktestOptions { windows: 1, step: None, refit: Refit::Never }
    }
}

/// A backtest.
#[derive(Clone, Debug)]
pub struct Backtest {
    /// What was forecast, and what came.
    pub forecasts: Forecasts,
    /// The models of the last training, with the seconds and steps of all of them and figures over all windows.
    pub fitted: Vec<Fitted>,
    /// The baselines' figures.
    pub baselines: Vec<(String, Scores)>,
    /// Those of the ensemble, if there is one.
    pub ensemble: Option<Scores>,
    /// Whether it was asked to stop.
    pub stopped: bool,
}

impl Forecaster {
    /// Forecasts the last part of every series from what lies before, cutoff by cutoff.
    ///
    /// # Errors
    /// As for [`Forecaster::fit`], and series that are too short for so many windows.
    pub fn cross_validation(
        &self,
        frame: &SeriesFrame,
        options: &BacktestOptions,
        watch: &mut dyn Watch,
    ) -> Result<Backtest> {
        let is_fitted = options.refit == Refit::Fitted;
        let step = options.step.unwrap_or(self.h);
        let (test, val_size) = self.check_backtest(frame, options, step)?;
        let season = self.season_of(frame);
        let mut fitted: Vec<Fitted> = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        let every = if let Refit::Every(n) = options.refit { n } else { options.windows };
        for first in (0..options.windows).step_by(every) {
            let windows = first..options.windows.min(first.saturating_add(every));
            let ahead = |window: usize| test - window * step;
            let coded = match options.refit {
                Refit::Fitted => self.known_past(frame, test)?,
                _ => self.prepared(frame, ahead(first) + val_size),
            };
            if is_fitted {
                fitted = self.ready_past(Some(&*coded), None)?.1.to_vec();
            } else {
                let seen = coded.without_last(ahead(first));
                let (mut next, stopped) = self.train(&seen, val_size, watch)?;
                if self.ensemble == Some(Ensemble::Weighted) {
                    self.measure(&seen, &mut next, val_size, season)?;
                }
                fitted = again(fitted, next);
                if stopped {
                    return self.finish(frame, fitted, &spans, options, (season, step), true);
                }
            }
            // All windows of one training at once: a network is made ready once and not for each.
            let cuts: Vec<Cut<'_>> = windows
                .clone()
                .flat_map(|window| coded.iter().map(move |series| (series, series.y.len() - ahead(window))))
                .collect();
            let mut forecasts = Forecasts::new(&coded, &cuts, self.h, season, true);
            self.add_groups(&mut forecasts, &cuts, &fitted, season)?;
            spans.push(Span { windows, forecasts });
        }
        self.finish(frame, fitted, &spans, options, (season, step), false)
    }

    /// Refuses what makes no backtest. How many values are forecast, and how many are held out before them.
    fn check_backtest(&self, frame: &SeriesFrame, options: &BacktestOptions, step: usize) -> Result<(usize, usize)> {
        let is_fitted = options.refit == Refit::Fitted;
        if !is_fitted {
            self.check()?;
        }
        self.check_exogenous(frame)?;
        let refit = if let Refit::Every(n) = options.refit { n } else { 1 };
        for (option, value) in [("windows", options.windows), ("step", step), ("refit", refit)] {
            if value == 0 {
                return Err(ForecastError::option(option, 0, "it must be at least 1"));
            }
        }
        let test = (options.windows - 1).saturating_mul(step).saturating_add(self.h);
        let val_size = if is_fitted { 0 } else { self.val_size.unwrap_or(0) };
        if val_size > 0 && val_size < self.h {
            return Err(ForecastError::option(
                "val_size",
                val_size,
                format!("it must be 0 or at least the horizon, {}", self.h),
            ));
        }
        if is_fitted {
            frame.at_least(test.saturating_add(1), "for the windows and a value before them")?;
        } else {
            let least = test.saturating_add(val_size).saturating_add(2);
            frame.at_least(least, "for the windows and something to learn from")?;
            self.check_held(val_size)?;
            self.check_losses(frame, val_size)?;
            self.check_networks(&frame.without_last(test), val_size)?;
        }
        Ok((test, val_size))
    }

    /// Puts the windows together, those of a series side by side, and measures.
    fn finish(
        &self,
        frame: &SeriesFrame,
        mut fitted: Vec<Fitted>,
        spans: &[Span],
        options: &BacktestOptions,
        (season, step): (usize, usize),
        stopped: bool,
    ) -> Result<Backtest> {
        let test = (options.windows - 1) * step + self.h;
        let windows = spans.last().map_or(0, |span| span.windows.end);
        let places = (0..frame.len()).flat_map(|s| (0..windows).map(move |w| (s, w)));
        let places: Vec<(usize, usize)> = places.collect();
        let series: Vec<_> = frame.iter().collect();
        let cuts: Vec<Cut<'_>> =
            places.iter().map(|(s, w)| (series[*s], series[*s].y.len() + w * step - test)).collect();
        let mut all = Forecasts::new(frame, &cuts, self.h, season, true);
        if let Some(first) = spans.first() {
            all.groups = first.forecasts.groups.clone();
        }
        for (g, group) in all.groups.iter_mut().enumerate() {
            for (c, column) in group.columns.iter_mut().enumerate() {
                let values = places.iter().flat_map(|(s, w)| self.steps(spans, frame.len(), [*s, *w, g, c]));
                *column = Column { name: column.name.clone(), values: values.copied().collect() };
            }
        }
        for fitted in &mut fitted {
            fitted.scores = all.scores(&fitted.model.alias);
        }
        let baselines = self.baselines.iter().filter_map(|b| Some((b.name.to_owned(), all.scores(b.name)?))).collect();
        let ensemble = all.scores(NAME);
        Ok(Backtest { forecasts: all, fitted, baselines, ensemble, stopped })
    }

    /// The steps of a series, a window, a group and a column of it.
    fn steps<'a>(&self, spans: &'a [Span], series: usize, [s, w, g, c]: [usize; 4]) -> &'a [f32] {
        let Some(span) = spans.iter().find(|span| span.windows.contains(&w)) else { return &[] };
        let start = ((w - span.windows.start) * series + s) * self.h;
        &span.forecasts.groups[g].columns[c].values[start..start + self.h]
    }
}

/// Windows that are forecast by one training, window by window and series by series.
struct Span {
    windows: std::ops::Range<usize>,
    forecasts: Forecasts,
}

/// The models of a new training, with what those before took.
fn again(before: Vec<Fitted>, mut next: Vec<Fitted>) -> Vec<Fitted> {
    for (next, before) in next.iter_mut().zip(&before) {
        next.seconds += before.seconds;
        next.steps += before.steps;
    }
    next
}
