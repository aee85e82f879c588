//! Forecasts at cuts of series: of networks, and of baselines.
use super::fitted::Fitted;
use super::group::{Column, Cut, Group};
use super::seen::Seen;
use crate::baselines::{Baseline, Normal};
use crate::error::ForecastError;
use crate::error::Result;
use crate::frame::Series;
use crate::losses::{Margin, Told};
use crate::normal::deviations;
use crate::windows::RowShape;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Windows that are run at a time.
const RUN: usize = 256;

/// Cuts that a thread takes at a time.
const MANY: usize = 32;

/// What is made of each step that a network tells.
pub(super) type Read<'a, T> = &'a dyn Fn(&Told<'_>, &mut Vec<T>);

impl Fitted {
    /// Forecasts of `h` steps at every cut; beyond what the network gives, its point forecasts are fed back.
    pub(super) fn at(&self, cuts: &[Cut<'_>], h: usize) -> Result<Group> {
        let names = self.model.columns();
        let width = names.len();
        let mut columns: Vec<Column> =
            names.into_iter().map(|name| Column { name, values: Vec::with_capacity(cuts.len() * h) }).collect();
        let values = self.told(cuts, h, &|told, values| self.model.loss.read(told, values))?;
        for row in values.chunks_exact(width) {
            columns.iter_mut().zip(row).for_each(|(column, value)| column.values.push(*value));
        }
        let intervals = self.model.loss.intervals_of_columns();
        let mut group = Group { name: self.model.alias.clone(), intervals, columns };
        if let Some(residuals) = &self.residuals {
            residuals.widen(&mut group, cuts, h);
        }
        Ok(group)
    }

    /// What is known of each step by itself: `[cuts, h]`.
    pub(super) fn margins(&self, cuts: &[Cut<'_>], h: usize) -> Result<Vec<Margin>> {
        let mut margins = self.told(cuts, h, &|told, margins| margins.push(self.model.loss.margin(told)))?;
        if let Some(residuals) = &self.residuals {
            for (i, margin) in margins.iter_mut().enumerate() {
                residuals.doubt(margin, cuts[i / h].0.id, i % h);
            }
        }
        Ok(margins)
    }

    /// What `read` makes of every step of every cut.
    fn told<T: Clone>(&self, cuts: &[Cut<'_>], h: usize, read: Read<'_, T>) -> Result<Vec<T>> {
        if let Some(locals) = &self.locals {
            let mut told = Vec::new();
            for cuts in cuts.chunk_by(|a, b| a.0.id == b.0.id) {
                let id = cuts.first().map_or("", |(series, _)| series.id);
                told.extend(self.of_series(locals, id)?.told(cuts, h, read)?);
            }
            return Ok(told);
        }
        match self.series.len() {
            0 => self.in_parts(cuts, (RUN / self.paths()).max(1), h, read),
            n => {
                let Together { cuts: all, places } = Together::new(cuts, &self.series);
                let told = self.in_parts(&all, (RUN / n).max(1) * n, h, read)?;
                let each = told.len() / all.len().max(1);
                let of = |place: usize| told[place * each..(place + 1) * each].iter().cloned();
                Ok(places.into_iter().flat_map(of).collect())
            }
        }
    }

    /// The same, so many cuts at a time.
    fn in_parts<T>(&self, cuts: &[Cut<'_>], part: usize, h: usize, read: Read<'_, T>) -> Result<Vec<T>> {
        let mut told = Vec::new();
        for part in cuts.chunks(part) {
            told.extend(match &self.next {
                None => self.rolled(part, h, read)?,
                Some(next) => self.step_by_step(next, part, h, read)?,
            });
        }
        Ok(told)
    }

    /// The same of a network that gives several steps at once, for any h.
    fn rolled<T>(&self, cuts: &[Cut<'_>], h: usize, read: Read<'_, T>) -> Result<Vec<T>> {
        let (own, outputs) = (self.h, self.model.loss.told());
        if h > own && !self.exogenous.hist.is_empty() {
            let want = format!(
                "at most {own}, as trained: {} would have to be known up to there as well",
                self.exogenous.hist.join(", ")
            );
            return Err(ForecastError::option("h", h, want));
        }
        let mut told: Vec<Vec<T>> = cuts.iter().map(|_| Vec::new()).collect();
        let prompter = self.model.prompter(self.input_size, own);
        let mut pasts: Vec<(Vec<f32>, Vec<bool>)> = Vec::new();
        for done in (0..h).step_by(own) {
            let seen = match done {
                0 => Seen::new(self.shape(), cuts),
                _ => Seen::new(self.shape(), &self.continued(cuts, &pasts)),
            };
            let seen = seen.telling(prompter.as_deref());
            let y = self.network.predict_named(&seen.x, &seen.extras())?;
            let rows = || y.chunks_exact(own * outputs).zip(&seen.scales);
            for ((row, scale), told) in rows().zip(&mut told) {
                for outputs in row.chunks_exact(outputs).take(h - done) {
                    read(&Told { outputs, scale: *scale, shares: &[] }, told);
                }
            }
            if done + own < h {
                if done == 0 {
                    pasts = cuts.iter().map(|cut| self.past(cut)).collect();
                }
                for ((row, scale), (y, known)) in rows().zip(&mut pasts) {
                    y.extend(row.chunks_exact(outputs).map(|step| self.model.loss.point(step, *scale)));
                    known.resize(y.len(), true);
                }
            }
        }
        Ok(told.into_iter().flatten().collect())
    }

    /// Series that go on with what was forecast of them.
    fn continued<'a>(&self, cuts: &[Cut<'a>], pasts: &'a [(Vec<f32>, Vec<bool>)]) -> Vec<Cut<'a>> {
        let futr = self.exogenous.futr.len();
        let one = |((y, known), (series, cut)): (&'a (Vec<f32>, Vec<bool>), &Cut<'a>)| {
            let futr = &series.futr[cut.saturating_sub(self.input_size) * futr..];
            (Series { y, known: Some(known), futr, ..*series }, y.len())
        };
        pasts.iter().zip(cuts).map(one).collect()
    }

    /// What the network sees before a cut.
    fn past(&self, (series, cut): &Cut<'_>) -> (Vec<f32>, Vec<bool>) {
        let range = cut.saturating_sub(self.input_size)..*cut;
        (series.y[range.clone()].to_vec(), range.map(|at| series.is_known(at)).collect())
    }

    /// A row of the network's inputs.
    pub(super) fn shape(&self) -> RowShape {
        self.model.shape(self.input_size, self.h, &self.exogenous, self.series.len())
    }
}

/// Cuts of series that are forecast together: those of one time side by side, in the order of the network.
pub(super) struct Together<'a> {
    pub(super) cuts: Vec<Cut<'a>>,
    /// Where each of the cuts that were asked for is among them.
    pub(super) places: Vec<usize>,
}

impl<'a> Together<'a> {
    /// All series end together, so that the values that lie behind a cut tell its time. A series that has not begun at a time is unknown there.
    pub(super) fn new(cuts: &[Cut<'a>], names: &'a [String]) -> Together<'a> {
        let behind = |(series, cut): &Cut<'_>| series.y.len() - cut;
        let times: BTreeSet<usize> = cuts.iter().map(behind).collect();
        let rows: BTreeMap<usize, usize> = times.into_iter().enumerate().map(|(row, time)| (time, row)).collect();
        let columns: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        // Names are those of the cuts: a model refuses other series.
        let column = |(series, _): &Cut<'_>| columns.get(series.id).copied().unwrap_or(0);
        let mut all: Vec<Cut<'a>> =
            (0..rows.len()).flat_map(|_| names).map(|name| (Series::nothing(name), 0)).collect();
        for cut in cuts {
            for row in all.chunks_exact_mut(names.len()) {
                row[column(cut)].0.stat = cut.0.stat;
            }
        }
        let places: Vec<usize> = cuts.iter().map(|cut| rows[&behind(cut)] * names.len() + column(cut)).collect();
        for (cut, place) in cuts.iter().zip(&places) {
            all[*place] = *cut;
        }
        Together { cuts: all, places }
    }
}

/// A baseline's forecasts at every cut, with the intervals of these levels; so many cuts at a time as there are threads (0 for as many as the machine has).
pub(super) fn baseline(
    baseline: &Baseline,
    cuts: &[Cut<'_>],
    (h, season): (usize, usize),
    level: &[f64],
    threads: usize,
) -> Group {
    let n = level.len();
    let lower = level.iter().rev().map(|l| format!("{}-lo-{l}", baseline.name));
    let upper = level.iter().map(|l| format!("{}-hi-{l}", baseline.name));
    let names = [baseline.name.to_owned()].into_iter().chain(lower).chain(upper);
    let mut columns: Vec<Column> =
        names.map(|name| Column { name, values: Vec::with_capacity(cuts.len() * h) }).collect();
    // Deviations of each column from the mean.
    let wide: Vec<f64> = level.iter().map(|l| deviations(*l)).collect();
    let factors: Vec<f64> =
        [0.0].into_iter().chain(wide.iter().rev().map(|d| -d)).chain(wide.iter().copied()).collect();
    for forecast in forecasts(baseline, cuts, (h, season), threads) {
        for (column, factor) in columns.iter_mut().zip(&factors) {
            column
                .values
                .extend(forecast.mean.iter().zip(&forecast.sigma).map(|(mean, sigma)| (mean + factor * sigma) as f32));
        }
    }
    let intervals = level.iter().enumerate().map(|(i, l)| (l.to_string(), [n - i, n + 1 + i])).collect();
    Group { name: baseline.name.to_owned(), columns, intervals }
}

/// The forecast at each cut.
fn forecasts(baseline: &Baseline, cuts: &[Cut<'_>], (h, season): (usize, usize), threads: usize) -> Vec<Normal> {
    let one = |(series, cut): &Cut<'_>| {
        let past: Vec<f64> = series.y[..*cut].iter().map(|y| f64::from(*y)).collect();
        baseline.forecast(&past, season, h)
    };
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    if threads == 1 || cuts.len() < MANY {
        return cuts.iter().map(one).collect();
    }
    // Threads take small parts in turns, since some series take longer than others.
    let parts: Vec<&[Cut<'_>]> = cuts.chunks(MANY).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        while let Some((i, part)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, parts.get(i)?))) {
            done.push((i, part.iter().map(one).collect::<Vec<Normal>>()));
        }
        done
    };
    let mut done: Vec<(usize, Vec<Normal>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.min(parts.len())).map(|_| scope.spawn(take)).collect();
        let own = take();
        // A panic of a baseline is one here as well.
        let others =
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
        own.into_iter().chain(others).collect()
    });
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().flat_map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::BASELINES;

    #[test]
    fn baselines_are_the_same_at_any_number_of_threads() {
        let y: Vec<f32> = (0..400_u16).map(|i| (f32::from(i) * 0.7).sin() * 5.0 + f32::from(i % 7)).collect();
        let cuts: Vec<Cut<'_>> = (20..130).map(|cut| (Series::bare(&y, None), cut)).collect();
        let values = |threads: usize| -> Vec<Vec<f32>> {
            let all = BASELINES.iter().filter(|b| b.name != "ETS");
            let group = |b| baseline(b, &cuts, (3, 7), &[80.0], threads);
            all.flat_map(|b| group(b).columns).map(|column| column.values).collect()
        };
        let one = values(1);
        assert!(one.iter().all(|values| values.len() == 3 * cuts.len()));
        assert_eq!(one, values(3));
        assert_eq!(one, values(0));
    }
}
