//! New values for a trained forecaster: appended to the ends of its series, and learnt from when asked.
use super::fit::{Forecaster, State};
use super::predict::other_columns;
use super::watch::Watch;
use crate::error::{ForecastError, Result};
use crate::frame::{Appended, Fill, SeriesFrame};

/// What is done with new values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UpdateOptions {
    /// What stands between the end of a series and its new values, where some are missing.
    pub fill: Fill,
    /// Takes series that then end before others for unknown up to the last time of all.
    pub align: bool,
    /// Steps of training that each model goes on for, from the weights it has, at its learning rate; 0 for none.
    pub steps: usize,
}

/// What an update did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Updated {
    /// What became of the values.
    pub appended: Appended,
    /// Whether training was asked to stop before its end.
    pub stopped: bool,
}

impl Forecaster {
    /// Takes new values: forecasts then begin behind them, as those of a frame that holds old and new values do. With steps asked for, the models learn from
    /// what is kept of each series (as many values as a forecast sees, and one) and the new values; with all values of the series in `more` they learn from all of them.
    /// Intervals from errors of a backtest stay those of the fit.
    ///
    /// A forecaster that keeps nothing of its series ([`Forecaster::forget_series`]) goes on keeping nothing, and can only be trained.
    ///
    /// # Errors
    /// Nothing was trained; another frequency, other columns, series that a multivariate model does not have, gaps; a training that diverges. Nothing has changed then.
    pub fn update(&mut self, more: &SeriesFrame, options: &UpdateOptions, watch: &mut dyn Watch) -> Result<Updated> {
        let Some(state) = &self.state else {
            return Err(ForecastError::option("forecaster", "not trained", "fit it first"));
        };
        let with = state.with_columns(more, 0)?;
        let more = with.as_ref().unwrap_or(more);
        if more.exogenous() != &state.about.exogenous {
            return Err(other_columns(more.exogenous(), &state.about.exogenous));
        }
        if options.steps == 0 && state.tails.is_none() {
            let want = "the file keeps no values of its series, to which new ones could be appended; it can only be trained on them: give steps";
            return Err(ForecastError::option("series", "missing", want));
        }
        let (whole, appended) = match &state.tails {
            Some(tails) => tails.appended(more, options.fill)?,
            None => (more.clone(), Appended::default()),
        };
        let whole = if options.align { whole.with_common_end()? } else { whole };
        state.fitted.iter().try_for_each(|fitted| fitted.check_series(&whole))?;
        self.check_losses(&whole, 0)?;
        let mut next = State { tails: None, ..state.clone() };
        next.tails = state.tails.as_ref().map(|_| whole.last(next.longest_input() + 1).unscaled());
        let scaled = next.local.as_mut().map(|scales| {
            scales.update(&whole);
            whole.scaled(scales, 0)
        });
        let stopped = options.steps > 0 && {
            next.local.iter_mut().for_each(|scales| scales.settle(&whole));
            self.train_on(&mut next, scaled.as_ref().unwrap_or(&whole), options.steps, watch)?
        };
        self.state = Some(next);
        Ok(Updated { appended, stopped })
    }

    /// Trains every model on, from the weights it has. Whether it was asked to stop.
    fn train_on(&self, state: &mut State, frame: &SeriesFrame, steps: usize, watch: &mut dyn Watch) -> Result<bool> {
        let count = state.fitted.len();
        for (i, fitted) in state.fitted.iter_mut().enumerate() {
            if fitted.go_on(frame, steps, self.threads, [i + 1, count], watch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
