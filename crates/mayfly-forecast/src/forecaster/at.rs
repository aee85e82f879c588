//! Forecasts at cuts of series: of networks, and of baselines.
use super::fitted::Fitted;
use super::group::{Column, Cut, Group};
use super::seen::Seen;
use crate::baselines::Baseline;
use crate::error::ForecastError;
use crate::error::Result;
use crate::frame::Series;
use crate::normal::deviations;
use crate::windows::RowShape;
use std::collections::{BTreeMap, BTreeSet};

/// Windows that are run at a time.
const RUN: usize = 256;

impl Fitted {
    /// Forecasts of `h` steps at every cut; beyond what the network gives, its point forecasts are fed back.
    pub(super) fn at(&self, cuts: &[Cut<'_>], h: usize) -> Result<Group> {
        let width = self.columns();
        let mut columns: Vec<Column> = self
            .model
            .columns()
            .into_iter()
            .map(|name| Column { name, values: Vec::with_capacity(cuts.len() * h) })
            .collect();
        let values = match self.series.len() {
            0 => self.in_parts(cuts, (RUN / self.paths()).max(1), h)?,
            n => {
                let Together { cuts: all, places } = Together::new(cuts, &self.series);
                let values = self.in_parts(&all, (RUN / n).max(1) * n, h)?;
                let of = |place: usize| values[place * h * width..(place + 1) * h * width].iter().copied();
                places.into_iter().flat_map(of).collect()
            }
        };
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

    /// Columns of forecasts, not counting those of conformal intervals.
    fn columns(&self) -> usize {
        self.model.loss.columns().len()
    }

    /// `[cuts, h, columns]`, so many cuts at a time.
    fn in_parts(&self, cuts: &[Cut<'_>], part: usize, h: usize) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(cuts.len() * h * self.columns());
        for part in cuts.chunks(part) {
            values.extend(match &self.next {
                None => self.rolled(part, h)?,
                Some(next) => self.step_by_step(next, part, h)?,
            });
        }
        Ok(values)
    }

    /// `[cuts, h, columns]` for any h.
    fn rolled(&self, cuts: &[Cut<'_>], h: usize) -> Result<Vec<f32>> {
        let (own, width) = (self.h, self.columns());
        let first = self.once(cuts)?;
        if h <= own {
            return Ok(first.chunks_exact(own * width).flat_map(|row| &row[..h * width]).copied().collect());
        }
        if !self.exogenous.hist.is_empty() {
            let want = format!(
                "at most {own}, as trained: {} would have to be known up to there as well",
                self.exogenous.hist.join(", ")
            );
            return Err(ForecastError::option("h", h, want));
        }
        let futr = self.exogenous.futr.len();
        let mut rows: Vec<Vec<f32>> = first.chunks_exact(own * width).map(<[f32]>::to_vec).collect();
        let mut pasts: Vec<(Vec<f32>, Vec<bool>)> = cuts.iter().map(|cut| self.past(cut)).collect();
        while rows.first().is_some_and(|row| row.len() < h * width) {
            for ((y, known), row) in pasts.iter_mut().zip(&rows) {
                let last = &row[row.len() - own * width..];
                y.extend(last.iter().skip(self.model.loss.fed_back()).step_by(width));
                known.resize(y.len(), true);
            }
            let longer: Vec<Cut<'_>> = pasts
                .iter()
                .zip(cuts)
                .map(|((y, known), (series, cut))| {
                    let futr = &series.futr[cut.saturating_sub(self.input_size) * futr..];
                    (Series { y, known: Some(known), futr, ..*series }, y.len())
                })
                .collect();
            let next = self.once(&longer)?;
            rows.iter_mut().zip(next.chunks_exact(own * width)).for_each(|(row, next)| row.extend_from_slice(next));
        }
        Ok(rows
            .into_iter()
            .flat_map(|mut row| {
                row.truncate(h * width);
                row
            })
            .collect())
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

    /// `[cuts, h, columns]` for the h of the network, on the scale of the data.
    fn once(&self, cuts: &[Cut<'_>]) -> Result<Vec<f32>> {
        let seen = Seen::new(self.shape(), cuts);
        let y = self.network.predict_named(&seen.x, &seen.extras())?;
        let outputs = self.model.loss.outputs();
        let mut columns = Vec::with_capacity(cuts.len() * self.h * self.columns());
        for (row, scale) in y.chunks_exact(self.h * outputs).zip(&seen.scales) {
            row.chunks_exact(outputs).for_each(|step| self.model.loss.read(step, *scale, &mut columns));
        }
        Ok(columns)
    }
}

/// Cuts of series that are forecast together: those of one time side by side, in the order of the network.
struct Together<'a> {
    cuts: Vec<Cut<'a>>,
    /// Where each of the cuts that were asked for is among them.
    places: Vec<usize>,
}

impl<'a> Together<'a> {
    /// All series end together, so that the values that lie behind a cut tell its time. A series that has not begun at a time is unknown there.
    fn new(cuts: &[Cut<'a>], names: &'a [String]) -> Together<'a> {
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

/// A baseline's forecasts at every cut, with the intervals of these levels.
pub(super) fn baseline(baseline: &Baseline, cuts: &[Cut<'_>], h: usize, season: usize, level: &[f64]) -> Group {
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
    for (series, cut) in cuts {
        let past: Vec<f64> = series.y[..*cut].iter().map(|y| f64::from(*y)).collect();
        let forecast = baseline.forecast(&past, season, h);
        for (column, factor) in columns.iter_mut().zip(&factors) {
            column
                .values
                .extend(forecast.mean.iter().zip(&forecast.sigma).map(|(mean, sigma)| (mean + factor * sigma) as f32));
        }
    }
    let intervals = level.iter().enumerate().map(|(i, l)| (l.to_string(), [n - i, n + 1 + i])).collect();
    Group { name: baseline.name.to_owned(), columns, intervals }
}
