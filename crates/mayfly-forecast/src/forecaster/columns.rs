//! From series as they were read to series with the columns that models were trained with.
use super::fit::{Forecaster, MOST, State};
use crate::error::Result;
use crate::frame::SeriesFrame;

impl State {
    /// The series with what follows from their times and was learnt from; none where there is no such thing, or other columns, which is another's error.
    pub(super) fn with_columns(&self, frame: &SeriesFrame) -> Result<Option<SeriesFrame>> {
        let features = &self.about.exogenous.calendar;
        let is_read = frame.exogenous().calendar.is_empty() && frame.freq() == self.about.freq;
        match is_read && !features.is_empty() {
            true => frame.clone().with_calendar(features).map(Some),
            false => Ok(None),
        }
    }
}

impl Forecaster {
    /// What is to be forecast with what is known ahead of it from the calendar; none where that is nothing.
    pub(super) fn known_ahead(&self, frame: Option<&SeriesFrame>, h: Option<usize>) -> Result<Option<SeriesFrame>> {
        let h = h.unwrap_or(self.h);
        let Some(state) = self.state.as_ref().filter(|state| !state.about.exogenous.calendar.is_empty()) else {
            return Ok(None);
        };
        let Some(frame) = frame.or(state.tails.as_ref()).filter(|_| h <= MOST) else { return Ok(None) };
        let frame = state.with_columns(frame)?.unwrap_or_else(|| frame.clone());
        // The networks see whole horizons, also for a shorter forecast.
        Ok(Some(frame.with_calendar_ahead(h.div_ceil(self.h).saturating_mul(self.h))))
    }
}
