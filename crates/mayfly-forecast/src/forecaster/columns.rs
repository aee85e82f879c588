//! From series as they were read to series with the columns that models were trained with.
use super::fit::{Forecaster, MOST, State};
use crate::error::Result;
use crate::frame::SeriesFrame;
use std::borrow::Cow;

impl State {
    /// The series with what follows from their times and was learnt from, words as the models number them, and scales of whole series where models want them, of new ones by what lies before their last `held` values; none where they are so already, or have another
    /// frequency, which is another's error.
    pub(super) fn with_columns(&self, frame: &SeriesFrame, held: usize) -> Result<Option<SeriesFrame>> {
        let (want, got) = (&self.about.exogenous, frame.exogenous());
        if frame.freq() != self.about.freq {
            return Ok(None);
        }
        let mut out = None;
        if got.calendar.is_empty() && !want.calendar.is_empty() {
            out = Some(frame.clone().with_calendar(&want.calendar)?);
        }
        if got.categories != want.categories {
            out = Some(out.as_ref().unwrap_or(frame).recoded(&want.categories));
        }
        if let Some(scales) = &self.local {
            out = Some(out.as_ref().unwrap_or(frame).scaled(scales, held));
        }
        Ok(out)
    }
}

impl Forecaster {
    /// The past as the models know it; of series that they have no scales of, the last `held` values say nothing about theirs.
    pub(super) fn known_past<'a>(&self, frame: &'a SeriesFrame, held: usize) -> Result<Cow<'a, SeriesFrame>> {
        let known = self.state.as_ref().map(|state| state.with_columns(frame, held)).transpose()?.flatten();
        Ok(known.map_or(Cow::Borrowed(frame), Cow::Owned))
    }

    /// What is to be forecast as the models know it, with what the calendar says of the time ahead; none where columns are as a table has them.
    pub(super) fn known_ahead(&self, frame: Option<&SeriesFrame>, h: Option<usize>) -> Result<Option<SeriesFrame>> {
        let h = h.unwrap_or(self.h);
        let is_plain = self.state.as_ref().is_none_or(|state| {
            let names = &state.about.exogenous;
            names.calendar.is_empty() && names.categories.is_empty() && state.local.is_none()
        });
        let Some(state) = self.state.as_ref().filter(|_| !is_plain) else { return Ok(None) };
        let Some(frame) = frame.or(state.tails.as_ref()).filter(|_| h <= MOST) else { return Ok(None) };
        let frame = state.with_columns(frame, 0)?.unwrap_or_else(|| frame.clone());
        // The networks see whole horizons, also for a shorter forecast.
        Ok(Some(frame.with_calendar_ahead(h.div_ceil(self.h).saturating_mul(self.h))))
    }
}
