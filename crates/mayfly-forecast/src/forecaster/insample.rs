//! Forecasts of the past by models as they are, to compare with what came.
use super::fit::Forecaster;
use super::forecasts::Forecasts;
use super::group::Cut;
use crate::error::{ForecastError, Result};
use crate::frame::SeriesFrame;

impl Forecaster {
    /// What the trained models make of every part of these series: forecasts from cutoffs that are `step` values apart (a horizon, where nothing is said), the last
    /// of them a horizon before the end, with the values that came. Where the series are those of the fit the models have seen these values:
    /// such errors say how well they fit, not how well they forecast. A backtest says that. A series that is new to models with a local scaler is scaled by all its values.
    ///
    /// # Errors
    /// Nothing was trained, series that the models do not forecast, a step of 0, and series of which none is longer than a horizon.
    pub fn predict_insample(&self, frame: &SeriesFrame, step: Option<usize>) -> Result<Forecasts> {
        let known = self.known_past(frame, 0)?;
        let (frame, fitted, h) = self.ready_past(Some(&*known), None)?;
        let step = step.unwrap_or(h);
        if step == 0 {
            return Err(ForecastError::option("step", step, "it must be at least 1"));
        }
        frame.at_least_one(h + 1, "for a forecast of its past")?;
        let of = |len: usize| (1..=len.saturating_sub(h)).rev().step_by(step).collect::<Vec<usize>>();
        let cuts: Vec<Cut<'_>> = frame
            .iter()
            .flat_map(|series| of(series.y.len()).into_iter().rev().map(move |cut| (series, cut)))
            .collect();
        let season = self.season_of(frame);
        let mut forecasts = Forecasts::new(frame, &cuts, h, season, true);
        self.add_groups(&mut forecasts, &cuts, fitted, season)?;
        Ok(forecasts)
    }
}
