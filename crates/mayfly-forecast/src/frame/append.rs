//! Rows that go on with series.
use super::build::steps;
use super::fill::filled;
use super::options::{Exogenous, Fill};
use super::order::order;
use super::series::{Beside, Series, SeriesFrame};
use crate::calendar::Stamp;
use crate::error::{ForecastError, Result};
use std::collections::{BTreeMap, BTreeSet};

/// What rows that go on with series changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Appended {
    /// Values behind the ends of the series, and those of new series.
    pub rows: usize,
    /// Values that replaced others.
    pub revised: usize,
    /// Series that were not there before.
    pub series: usize,
    /// Series that have no new values.
    pub silent: usize,
    /// Values that lie before everything that is kept of their series: they join it, or are left out where some are missing between.
    pub old: usize,
}

impl SeriesFrame {
    /// These series with `more` rows of theirs: behind their ends, and in place of values at the same times, unless a new value is missing. Series that are not
    /// there yet are added. Rows of the past that are cut off from what is kept of a series are left out.
    ///
    /// # Errors
    /// Another frequency or other exogenous columns; times between those of the series; with [`Fill::Error`] a gap between the end of a series and its new rows.
    pub fn appended(&self, more: &SeriesFrame, fill: Fill) -> Result<(SeriesFrame, Appended)> {
        if more.freq() != self.freq() {
            let what = format!(
                "the new rows have the frequency {}, the series {}: give --freq if it does not show well",
                more.freq(),
                self.freq()
            );
            return Err(ForecastError::Frequency { what });
        }
        if more.about.form.zone() != self.about.form.zone() {
            let name = |frame: &SeriesFrame| frame.about.form.zone().map_or("none", |zone| zone.name()).to_owned();
            let want = format!("the series that they go on with have {}", name(self));
            return Err(ForecastError::option("time zone of the new rows", name(more), want));
        }
        if more.exogenous() != self.exogenous() {
            let want = "new rows have the columns of the series that they go on with";
            return Err(ForecastError::option("exogenous columns", more.exogenous().all().join(", "), want));
        }
        let names: BTreeSet<&str> = self.ids.iter().chain(&more.ids).map(String::as_str).collect();
        let ids: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let (old, new) = (by_name(self), by_name(more));
        let mut done = Appended::default();
        let mut all = Joined { frame: self.empty(), fill, gap: None };
        for place in order(&ids) {
            let id = ids[place as usize].as_str();
            match (old.get(id), new.get(id)) {
                (Some(old), Some(new)) => all.join(old, new, &mut done)?,
                (Some(old), None) => {
                    done.silent += 1;
                    all.push(old);
                }
                (None, Some(new)) => {
                    (done.series, done.rows) = (done.series + 1, done.rows + new.y.len());
                    all.push(new);
                }
                (None, None) => {}
            }
        }
        Ok((all.finish()?, done))
    }

    /// A frame of the same columns without series.
    fn empty(&self) -> SeriesFrame {
        SeriesFrame {
            about: self.about.clone(),
            ids: Vec::new(),
            starts: Vec::new(),
            offsets: vec![0],
            y: Vec::new(),
            known: Some(Vec::new()),
            weights: Some(Vec::new()),
            beside: Beside::default(),
            local: Vec::new(),
            notes: Vec::new(),
        }
    }
}

fn by_name(frame: &SeriesFrame) -> BTreeMap<&str, Series<'_>> {
    frame.iter().map(|series| (series.id, series)).collect()
}

/// The new frame.
struct Joined {
    frame: SeriesFrame,
    fill: Fill,
    /// The first series with a gap before its new rows, its time, missing values in all, and series.
    gap: Option<(String, Stamp, u64, usize)>,
}

impl Joined {
    fn push(&mut self, series: &Series<'_>) {
        let known: Vec<bool> = (0..series.y.len()).map(|at| series.is_known(at)).collect();
        let places: Vec<Place<'_>> = (0..series.y.len()).map(|at| Some((*series, at))).collect();
        self.put(series, series.start, series.y, &known, &places);
    }

    /// Both parts of a series on one grid.
    fn join(&mut self, old: &Series<'_>, new: &Series<'_>, done: &mut Appended) -> Result<()> {
        let freq = self.frame.freq();
        let ahead = steps(&self.frame.about, old.id, old.start, new.start)?;
        let (old_len, new_len) = (old.y.len() as i64, new.y.len() as i64);
        if ahead + new_len < 0 {
            (done.old, done.silent) = (done.old + new.y.len(), done.silent + 1);
            self.push(old);
            return Ok(());
        }
        let first = ahead.min(0);
        let len = (old_len.max(ahead + new_len) - first) as usize;
        let place = |at: usize| -> Place<'_> {
            let here = first + at as i64;
            let within =
                |series: &Series<'_>, from: i64| usize::try_from(here - from).ok().filter(|at| *at < series.y.len());
            let (was, is) = (within(old, 0), within(new, ahead));
            match (was, is) {
                (Some(was), Some(is)) if !new.is_known(is) => Some((*old, was)),
                (_, Some(is)) => Some((*new, is)),
                (Some(was), None) => Some((*old, was)),
                (None, None) => None,
            }
        };
        let places: Vec<Place<'_>> = (0..len).map(place).collect();
        let behind = (ahead + new_len - old_len.max(ahead)).max(0) as usize;
        done.rows += behind;
        done.silent += usize::from(behind == 0);
        done.old += (-first) as usize;
        done.revised += (old_len.min(ahead + new_len) - ahead.max(0)).max(0) as usize;
        let value = |place: &Place<'_>| place.filter(|(s, at)| s.is_known(*at)).map_or(f32::NAN, |(s, at)| s.y[at]);
        let grid: Vec<f32> = places.iter().map(value).collect();
        let missing = places.iter().filter(|place| place.is_none()).count();
        if let Some(at) = places.iter().position(Option::is_none) {
            let time = freq.add(old.start, first + at as i64);
            let (_, _, all, series) = self.gap.get_or_insert_with(|| (old.id.to_owned(), time, 0, 0));
            (*all, *series) = (*all + missing as u64, *series + 1);
        }
        let (mut y, mut known) = filled(&grid, self.fill);
        for (at, place) in places.iter().enumerate() {
            // What was unknown before stays so, with the value that stands there for baselines.
            match place {
                Some((series, from)) => (y[at], known[at]) = (series.y[*from], series.is_known(*from)),
                None => known[at] = self.fill != Fill::Mask,
            }
        }
        self.put(old, freq.add(old.start, first), &y, &known, &places);
        Ok(())
    }

    /// Adds a series with these values, and exogenous columns from where they come from; in a gap the row before stands in.
    fn put(&mut self, series: &Series<'_>, start: Stamp, y: &[f32], known: &[bool], places: &[Place<'_>]) {
        let Exogenous { hist, futr, .. } = &self.frame.about.exogenous;
        let (hist, futr) = (hist.len(), futr.len());
        let beside = &mut self.frame.beside;
        let mut last = None;
        for place in places {
            last = place.or(last);
            let Some((series, at)) = last else { continue };
            beside.hist.extend(&series.hist[at * hist..(at + 1) * hist]);
            beside.futr.extend(&series.futr[at * futr..(at + 1) * futr]);
            self.frame.weights.iter_mut().for_each(|weights| weights.push(series.weight(at)));
        }
        beside.stat.extend(series.stat);
        self.frame.ids.push(series.id.to_owned());
        self.frame.starts.push(start);
        self.frame.y.extend(y);
        self.frame.known.iter_mut().for_each(|all| all.extend(known));
        self.frame.offsets.push(self.frame.y.len());
    }

    fn finish(mut self) -> Result<SeriesFrame> {
        if let (Some((id, time, missing, series)), Fill::Error) = (&self.gap, self.fill) {
            let (id, ds) = (id.clone(), self.frame.written(*time));
            return Err(ForecastError::Gap { id, ds, missing: *missing, series: *series });
        }
        if self.frame.known.as_ref().is_some_and(|known| known.iter().all(|known| *known)) {
            self.frame.known = None;
        }
        if self.frame.weights.as_ref().is_some_and(|weights| weights.iter().all(|weight| *weight == 1.0)) {
            self.frame.weights = None;
        }
        self.frame.fill_calendar(); // in a gap the row before stood in
        Ok(self.frame)
    }
}

/// Where a value comes from; none in a gap.
type Place<'a> = Option<(Series<'a>, usize)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameOptions, Table};

    /// Series a and b from 1 to 9, with a column each of hist and futr.
    fn frame(rows: &[(&str, i64)]) -> SeriesFrame {
        let value = |(id, t): &(&str, i64)| *t as f32 + if *id == "a" { 100.0 } else { 200.0 };
        let (ids, ds): (Vec<String>, Vec<String>) =
            rows.iter().map(|(id, t)| ((*id).to_owned(), t.to_string())).unzip();
        let y: Vec<f32> = rows.iter().map(value).collect();
        let (hist, futr): (Vec<f32>, Vec<f32>) = y.iter().map(|y| (y * 2.0, y * 3.0)).unzip();
        let table = Table { ids: &ids, ds: &ds, y: &y, hist: &[("h", &hist)], futr: &[("f", &futr)] };
        let options = FrameOptions { freq: Some("1".parse().unwrap()), least: 1, ..FrameOptions::default() };
        SeriesFrame::from_table(&table, &options).unwrap()
    }

    fn rows(id: &'static str, times: std::ops::RangeInclusive<i64>) -> Vec<(&'static str, i64)> {
        times.map(|t| (id, t)).collect()
    }

    #[test]
    fn parts_make_the_whole_wherever_they_are_cut() {
        let whole = frame(&[rows("a", 1..=9), rows("b", 3..=9), rows("c", 8..=9)].concat());
        for (cut, overlap) in [(5, 0), (5, 2), (8, 1), (4, 3)] {
            let old = frame(&[rows("a", 1..=cut), rows("b", 3..=cut)].concat());
            let new = [rows("a", cut + 1 - overlap..=9), rows("b", cut + 1..=9), rows("c", 8..=9)].concat();
            let (joined, done) = old.appended(&frame(&new), Fill::Error).unwrap();
            assert_eq!(joined, whole, "{cut} {overlap}");
            let rows = (9 - cut) as usize * 2 + 2;
            let want = Appended { rows, revised: overlap as usize, series: 1, silent: 0, old: 0 };
            assert_eq!(done, want, "{cut} {overlap}");
        }
        let (same, done) = whole.appended(&frame(&rows("b", 9..=9)), Fill::Error).unwrap();
        assert_eq!((same, done.silent, done.revised, done.rows), (whole, 3, 1, 0));
    }

    #[test]
    fn rows_of_the_past_are_taken_where_they_join() {
        let old = frame(&rows("a", 5..=9));
        let (joined, done) = old.appended(&frame(&rows("a", 2..=4)), Fill::Error).unwrap();
        assert_eq!((joined, done.rows, done.old, done.silent), (frame(&rows("a", 2..=9)), 0, 3, 1));
        let (same, done) = old.appended(&frame(&rows("a", 1..=3)), Fill::Error).unwrap();
        assert_eq!((same, done.old), (old, 3));
    }

    #[test]
    fn gaps_are_refused_or_filled() {
        let (old, new) = (frame(&[rows("a", 1..=4), rows("b", 1..=4)].concat()), frame(&rows("a", 7..=8)));
        let said = old.appended(&new, Fill::Error).unwrap_err().to_string();
        assert!(said.contains("\"a\" has no value at 5; 2 values are missing in 1 series"), "{said}");
        let filled = |fill| old.appended(&new, fill).unwrap().0;
        let a = |frame: &SeriesFrame| frame.y[..8].to_vec();
        assert_eq!(a(&filled(Fill::Linear)), frame(&rows("a", 1..=8)).y);
        assert_eq!(a(&filled(Fill::Zero))[3..7], [104.0, 0.0, 0.0, 107.0]);
        let masked = filled(Fill::Mask);
        let known = masked.known.clone().unwrap();
        assert_eq!(known[..8], [true, true, true, true, false, false, true, true]);
        assert_eq!(masked.beside.hist[3..7], [208.0, 208.0, 208.0, 214.0], "the row before stands in");
        // A new value that is missing replaces none.
        let mut hole = frame(&rows("a", 4..=5));
        hole.known = Some(vec![false, true]);
        assert_eq!(old.appended(&hole, Fill::Error).unwrap().0.y[..5], frame(&rows("a", 1..=5)).y);
        assert_eq!(old.appended(&hole, Fill::Error).unwrap().0.known, None);
    }

    /// Every second step: a row between two of them belongs nowhere.
    #[test]
    fn times_between_those_of_the_series_are_refused() {
        let of = |times: &[&str]| {
            let options = FrameOptions { freq: Some("2".parse().unwrap()), least: 1, ..FrameOptions::default() };
            SeriesFrame::from_columns(&vec!["a"; times.len()], times, &vec![1.0; times.len()], &options).unwrap()
        };
        let said = of(&["0", "2", "4"]).appended(&of(&["7", "9"]), Fill::Mask).unwrap_err().to_string();
        assert!(said.contains("7 is not on the grid of frequency 2, which goes 6, 8"), "{said}");
    }

    #[test]
    fn other_frequencies_and_columns_are_refused() {
        let old = frame(&rows("a", 1..=4));
        let ids = ["a", "a"];
        let other = SeriesFrame::from_columns(&ids, &["5", "6"], &[1.0, 2.0], &FrameOptions::default()).unwrap();
        assert!(old.appended(&other, Fill::Error).unwrap_err().to_string().contains("exogenous columns"));
    }
}
