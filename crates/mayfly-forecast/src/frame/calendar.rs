//! Columns that follow from the times: no table has them, and they are known as far ahead as anyone likes.
use super::beside::check_names;
use super::series::{Beside, SeriesFrame};
use crate::calendar::{StampForm, TimeFeature, no_calendar};
use crate::error::{ForecastError, Result};

impl SeriesFrame {
    /// The frame with these parts of the calendar as columns that are known over the horizon; [`TimeFeature::of`] has those that fit its frequency. Models that were
    /// trained with them add them to any frame themselves.
    ///
    /// # Errors
    /// Times that are whole numbers, a part that is named twice or as another column, a frame that has such columns already.
    pub fn with_calendar(mut self, features: &[TimeFeature]) -> Result<SeriesFrame> {
        if self.about.form == StampForm::Integer {
            return Err(no_calendar());
        }
        let names = &mut self.about.exogenous;
        if !names.calendar.is_empty() {
            return Err(ForecastError::option("calendar", "asked for", "these series have columns of the calendar"));
        }
        let (before, at) = (names.futr.len(), names.given());
        names.futr.splice(at..at, features.iter().map(|feature| feature.name().to_owned()));
        names.calendar = features.to_vec();
        check_names(names)?;
        let after = names.futr.len();
        self.beside.futr = match before {
            0 => {
                self.beside.offsets.clear();
                vec![0.0; self.y.len() * after]
            }
            _ => self.beside.futr.chunks_exact(before).flat_map(|row| with_zeros(row, at, after - before)).collect(),
        };
        self.fill_calendar();
        Ok(self)
    }

    /// Writes the values of the calendar's columns, at every time that there is a row for.
    pub(super) fn fill_calendar(&mut self) {
        let (names, freq, form) = (&self.about.exogenous, self.about.freq, &self.about.form);
        let (n, given) = (names.futr.len(), names.given());
        if names.calendar.is_empty() {
            return;
        }
        let ends = if self.beside.offsets.is_empty() { &self.offsets } else { &self.beside.offsets };
        for (start, ends) in self.starts.iter().zip(ends.windows(2)) {
            let rows = self.beside.futr[ends[0] * n..ends[1] * n].chunks_exact_mut(n);
            for (at, row) in rows.enumerate() {
                let time = form.civil(freq.add(*start, at as i64));
                row[given..].iter_mut().zip(&names.calendar).for_each(|(value, feature)| *value = feature.value(time));
            }
        }
    }

    /// The frame with rows for `h` steps behind every series, where all that is known over the horizon follows from the times.
    #[must_use]
    pub(crate) fn with_calendar_ahead(mut self, h: usize) -> SeriesFrame {
        let names = &self.about.exogenous;
        if names.calendar.is_empty() || names.told().next().is_some() {
            return self;
        }
        let ends = (0..self.offsets.len()).map(|i| self.offsets[i] + i * h);
        let offsets: Vec<usize> = ends.collect();
        let futr = vec![0.0; offsets.last().copied().unwrap_or(0) * names.futr.len()];
        self.beside = Beside { futr, offsets, ..self.beside };
        self.fill_calendar();
        self
    }
}

fn with_zeros(row: &[f32], at: usize, zeros: usize) -> impl Iterator<Item = f32> + '_ {
    row[..at].iter().copied().chain(std::iter::repeat_n(0.0, zeros)).chain(row[at..].iter().copied())
}

#[cfg(test)]
mod tests {
    use super::super::{Fill, FrameOptions, Table};
    use super::*;

    const MONTHS: [TimeFeature; 2] = [TimeFeature::Month, TimeFeature::MonthDay];

    /// A series from January 2024 on, with a column of its own if asked.
    fn frame(months: std::ops::RangeInclusive<usize>, price: bool) -> SeriesFrame {
        let ds: Vec<String> = months.map(|m| format!("{}-{:02}", 2024 + (m - 1) / 12, (m - 1) % 12 + 1)).collect();
        let (ids, y) = (vec!["a".to_owned(); ds.len()], vec![1.0; ds.len()]);
        let futr: &[(&str, &[f32])] = if price { &[("price", &y)] } else { &[] };
        let options = FrameOptions { freq: Some("MS".parse().unwrap()), least: 1, ..FrameOptions::default() };
        SeriesFrame::from_table(&Table { ids: &ids, ds: &ds, y: &y, hist: &[], futr }, &options).unwrap()
    }

    fn month(m: usize) -> f32 {
        ((m - 1) % 12) as f32 / 11.0 - 0.5
    }

    fn near(got: &[f32], want: &[f32]) -> bool {
        got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6)
    }

    #[test]
    fn columns_stand_behind_those_of_the_table() {
        let frame = frame(11..=13, true).with_calendar(&MONTHS).unwrap();
        assert_eq!(frame.exogenous().futr, ["price", "month", "monthday"]);
        let want = [[1.0, month(11), -0.5], [1.0, month(12), -0.5], [1.0, month(1), -0.5]].concat();
        assert!(near(&frame.beside.futr, &want), "{:?}", frame.beside.futr);
        // Ahead of the series the price is not known.
        assert_eq!(frame.clone().with_calendar_ahead(5), frame);
    }

    #[test]
    fn the_calendar_goes_on_behind_the_series() {
        let frame = frame(11..=12, false).with_calendar(&MONTHS[..1]).unwrap().with_calendar_ahead(2);
        assert!(near(frame.iter().next().unwrap().futr, &[month(11), month(12), month(1), month(2)]));
        assert_eq!(frame.with_common_end().unwrap().iter().next().unwrap().futr.len(), 2);
    }

    /// In a gap the row before stands in for given columns; the calendar knows better.
    #[test]
    fn gaps_have_a_calendar() {
        let frame = |months| frame(months, true).with_calendar(&MONTHS[..1]).unwrap();
        let (joined, _) = frame(1..=2).appended(&frame(5..=5), Fill::Linear).unwrap();
        let months: Vec<f32> = joined.beside.futr.iter().skip(1).step_by(2).copied().collect();
        assert!(near(&months, &[1, 2, 3, 4, 5].map(month)), "{months:?}");
    }

    #[test]
    fn series_that_end_early_go_on() {
        let (ids, ds) = (["a", "a", "a", "b", "b"], ["2024-01", "2024-02", "2024-03", "2024-01", "2024-02"]);
        let frame = SeriesFrame::from_columns(&ids, &ds, &[1.0; 5], &FrameOptions::default()).unwrap();
        let frame = frame.with_calendar(&MONTHS[..1]).unwrap().with_common_end().unwrap();
        let want = [1, 2, 3, 1, 2, 3].map(month);
        assert!(near(&frame.beside.futr, &want), "{:?}", frame.beside.futr);
    }

    #[test]
    fn what_has_no_calendar_is_refused() {
        let said =
            |frame: SeriesFrame, features: &[TimeFeature]| frame.with_calendar(features).unwrap_err().to_string();
        let once = || frame(1..=3, false).with_calendar(&MONTHS).unwrap();
        assert!(said(once(), &MONTHS).contains("have columns of the calendar"));
        assert!(said(frame(1..=3, false), &[TimeFeature::Month; 2]).contains("named twice"));
        let numbers = SeriesFrame::from_columns(&["a", "a"], &["1", "2"], &[0.0; 2], &FrameOptions::default()).unwrap();
        assert!(said(numbers, &MONTHS).contains("whole numbers"));
    }
}
