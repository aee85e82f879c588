//! The frame: every series on its grid.
use super::local::Scale;
use super::options::{Columns, Exogenous};
use crate::calendar::{Freq, Stamp, StampForm};
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Series of one frequency, sorted by their ids. A value takes four bytes; its time follows from its place.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesFrame {
    pub(crate) about: About,
    pub(crate) ids: Vec<String>,
    pub(crate) starts: Vec<Stamp>,
    /// Where each series begins, and behind the last where it ends.
    pub(crate) offsets: Vec<usize>,
    pub(crate) y: Vec<f32>,
    /// Whether each value is known; none where all are.
    pub(crate) known: Option<Vec<bool>>,
    /// How much each value counts in training; none where all count alike.
    pub(crate) weights: Option<Vec<f32>>,
    pub(crate) beside: Beside,
    /// `[series, 1 + columns of hist + columns of futr]`: what models see of a series is scaled by; empty where nothing is.
    pub(crate) local: Vec<Scale>,
    pub(crate) notes: Vec<String>,
}

/// The exogenous columns, row by row.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Beside {
    /// `[values, columns]`
    pub(crate) hist: Vec<f32>,
    /// `[values and what is known ahead of them, columns]`
    pub(crate) futr: Vec<f32>,
    /// Where the rows of `futr` of each series begin; empty where they are those of the values.
    pub(crate) offsets: Vec<usize>,
    /// `[series, columns]`
    pub(crate) stat: Vec<f32>,
}

/// What all series of a frame share.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    pub(crate) freq: Freq,
    pub(crate) form: StampForm,
    pub(crate) columns: Columns,
    #[serde(default, skip_serializing_if = "Exogenous::is_empty")]
    pub(crate) exogenous: Exogenous,
}

/// One series, or the beginning of one.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Its name.
    pub id: &'a str,
    /// The time of the first value.
    pub start: Stamp,
    /// The values, a step apart.
    pub y: &'a [f32],
    /// Whether each is known; none where all are.
    pub known: Option<&'a [bool]>,
    /// How much each counts in training; none where all count alike.
    pub weights: Option<&'a [f32]>,
    /// Columns known to the cutoff, row by row.
    pub hist: &'a [f32],
    /// Columns known over the horizon, row by row; there may be more rows than values.
    pub futr: &'a [f32],
    /// Columns that a series has once.
    pub stat: &'a [f32],
    /// Shift and scale of the values, and of each column of `hist` and `futr`, that models see them by; empty where they see them as they are.
    pub local: &'a [[f32; 2]],
}

impl SeriesFrame {
    /// How many series there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Values of all series together.
    pub fn rows(&self) -> usize {
        self.y.len()
    }

    /// The frequency.
    pub fn freq(&self) -> Freq {
        self.about.freq
    }

    /// What the columns are called.
    pub fn columns(&self) -> &Columns {
        &self.about.columns
    }

    /// What the exogenous columns are called.
    pub fn exogenous(&self) -> &Exogenous {
        &self.about.exogenous
    }

    /// What a person should know of the way the table was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A time as the file writes it.
    pub fn written(&self, stamp: Stamp) -> String {
        self.about.form.write(stamp)
    }

    /// The series, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Series<'_>> + Clone {
        let names = &self.about.exogenous;
        let (hist, futr, stat) = (names.hist.len(), names.futr.len(), names.stat.len());
        let locals = self.local.len() / self.len().max(1);
        (0..self.len()).map(move |i| {
            let range = self.offsets[i]..self.offsets[i + 1];
            let known = self.known.as_ref().map(|known| &known[range.clone()]);
            let weights = self.weights.as_ref().map(|weights| &weights[range.clone()]);
            let futr_range = match &self.beside.offsets[..] {
                [] => range.clone(),
                offsets => offsets[i]..offsets[i + 1],
            };
            Series {
                id: &self.ids[i],
                start: self.starts[i],
                known,
                weights,
                hist: &self.beside.hist[range.start * hist..range.end * hist],
                futr: &self.beside.futr[futr_range.start * futr..futr_range.end * futr],
                stat: &self.beside.stat[i * stat..(i + 1) * stat],
                local: &self.local[i * locals..(i + 1) * locals],
                y: &self.y[range],
            }
        })
    }

    /// The time of value `at` of a series, which may lie beyond its end.
    pub fn time(&self, series: &Series<'_>, at: usize) -> Stamp {
        self.about.freq.add(series.start, at as i64)
    }

    /// Values of the longest series.
    pub fn longest(&self) -> usize {
        self.iter().map(|series| series.y.len()).max().unwrap_or(0)
    }

    /// Values of the shortest series.
    pub fn shortest(&self) -> usize {
        self.iter().map(|series| series.y.len()).min().unwrap_or(0)
    }

    /// The same series without their last `n` values. Series that have no more are left out.
    pub fn without_last(&self, n: usize) -> SeriesFrame {
        self.parts(|len| 0..len.saturating_sub(n))
    }

    /// The last `n` values of every series.
    pub fn last(&self, n: usize) -> SeriesFrame {
        self.parts(|len| len.saturating_sub(n)..len)
    }

    /// One of the series alone.
    pub(crate) fn only(&self, i: usize) -> SeriesFrame {
        let range = self.offsets[i]..self.offsets[i + 1];
        let names = &self.about.exogenous;
        let (hist, futr, stat) = (names.hist.len(), names.futr.len(), names.stat.len());
        let rows = match &self.beside.offsets[..] {
            [] => range.clone(),
            offsets => offsets[i]..offsets[i + 1],
        };
        let beside = Beside {
            hist: self.beside.hist[range.start * hist..range.end * hist].to_vec(),
            futr: self.beside.futr[rows.start * futr..rows.end * futr].to_vec(),
            offsets: if self.beside.offsets.is_empty() { Vec::new() } else { vec![0, rows.len()] },
            stat: self.beside.stat[i * stat..(i + 1) * stat].to_vec(),
        };
        SeriesFrame {
            about: self.about.clone(),
            ids: vec![self.ids[i].clone()],
            starts: vec![self.starts[i]],
            offsets: vec![0, range.len()],
            known: self.known.as_ref().map(|known| known[range.clone()].to_vec()),
            weights: self.weights.as_ref().map(|weights| weights[range.clone()].to_vec()),
            y: self.y[range].to_vec(),
            beside,
            local: self.iter().nth(i).map_or(Vec::new(), |series| series.local.to_vec()),
            notes: Vec::new(),
        }
    }

    fn parts(&self, part: impl Fn(usize) -> std::ops::Range<usize>) -> SeriesFrame {
        let mut out = SeriesFrame {
            about: self.about.clone(),
            ids: Vec::new(),
            starts: Vec::new(),
            offsets: vec![0],
            y: Vec::new(),
            known: self.known.as_ref().map(|_| Vec::new()),
            weights: self.weights.as_ref().map(|_| Vec::new()),
            beside: Beside::default(),
            local: Vec::new(),
            notes: Vec::new(),
        };
        let names = &self.about.exogenous;
        for series in self.iter() {
            let range = part(series.y.len());
            if range.is_empty() {
                continue;
            }
            out.ids.push(series.id.to_owned());
            out.starts.push(self.time(&series, range.start));
            out.y.extend_from_slice(&series.y[range.clone()]);
            if let (Some(out), Some(known)) = (&mut out.known, series.known) {
                out.extend_from_slice(&known[range.clone()]);
            }
            if let (Some(out), Some(weights)) = (&mut out.weights, series.weights) {
                out.extend_from_slice(&weights[range.clone()]);
            }
            let columns = |values: &[f32], n: usize| values[range.start * n..range.end * n].to_vec();
            out.beside.hist.extend(columns(series.hist, names.hist.len()));
            out.beside.futr.extend(columns(series.futr, names.futr.len()));
            out.beside.stat.extend(series.stat);
            out.local.extend(series.local);
            out.offsets.push(out.y.len());
        }
        out
    }

    /// The frame with every series up to the last time of any: what lies behind a series' end is unknown, and its last value stands there for baselines.
    ///
    /// # Errors
    /// Exogenous columns that change with time, which nobody can know there.
    pub fn with_common_end(&self) -> Result<SeriesFrame> {
        let names = &self.about.exogenous;
        if let Some(name) = names.hist.iter().chain(names.told()).next() {
            let want = "series that end early have no values of it up to the last time of all: leave one of them out";
            return Err(ForecastError::option("align", name, want));
        }
        let end = |series: &Series<'_>| self.time(series, series.y.len().saturating_sub(1));
        let last = self.iter().map(|series| end(&series)).max().unwrap_or(Stamp(0));
        let mut out = SeriesFrame {
            offsets: vec![0],
            y: Vec::new(),
            known: Some(Vec::new()),
            weights: self.weights.as_ref().map(|_| Vec::new()),
            ..self.clone()
        };
        for series in self.iter() {
            // On one grid, so that there is a whole number of steps.
            let behind = self.about.freq.steps(end(&series), last).unwrap_or(0).max(0) as usize;
            out.y.extend_from_slice(series.y);
            let last = series.y.last().copied().unwrap_or(0.0);
            out.y.resize(out.y.len() + behind, last);
            if let Some(known) = &mut out.known {
                known.extend((0..series.y.len() + behind).map(|at| series.is_known(at)));
            }
            if let Some(weights) = &mut out.weights {
                weights.extend((0..series.y.len() + behind).map(|at| series.weight(at)));
            }
            out.offsets.push(out.y.len());
        }
        // Without given columns there are those of the calendar alone, which are known at every time.
        (out.beside.futr, out.beside.offsets) = (vec![0.0; out.y.len() * names.futr.len()], Vec::new());
        out.fill_calendar();
        Ok(out)
    }

    /// The frame with what each value counts in training, by its series and place: half as much for every year that it is older, for instance.
    ///
    /// # Errors
    /// A weight that is negative or not finite; weights that are all 0.
    pub fn weighted(mut self, weight: impl Fn(&Series<'_>, usize) -> f32) -> Result<SeriesFrame> {
        let of = |series: Series<'_>| (0..series.y.len()).map(|at| weight(&series, at)).collect::<Vec<f32>>();
        let weights: Vec<f32> = self.iter().flat_map(of).collect();
        if let Some(bad) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            return Err(ForecastError::option("weight", bad, "finite numbers that are not negative"));
        }
        self.weights = Some(weights);
        self.check_weights()
    }

    /// Refuses weights by which nothing counts.
    pub(super) fn check_weights(self) -> Result<SeriesFrame> {
        match self.weights.as_ref().is_some_and(|weights| weights.iter().all(|weight| *weight == 0.0)) {
            true => Err(ForecastError::option("weight", 0, "at least one value that counts: all weights are 0")),
            false => Ok(self),
        }
    }

    /// Whether all series end at the same time, as multivariate models need it.
    pub fn ends_together(&self) -> bool {
        self.aligned().is_ok()
    }

    /// All series from the first time of any of them on, unknown (and 0) before their own first.
    ///
    /// # Errors
    /// Series that do not end together.
    pub(crate) fn aligned(&self) -> Result<Cow<'_, SeriesFrame>> {
        let end = |series: &Series<'_>| self.time(series, series.y.len().saturating_sub(1));
        let last = self.iter().map(|series| end(&series)).max().unwrap_or(Stamp(0));
        let early = || self.iter().filter(|series| end(series) != last);
        if let Some(first) = early().next() {
            return Err(ForecastError::Apart {
                id: first.id.to_owned(),
                ds: self.written(end(&first)),
                last: self.written(last),
                series: early().count(),
            });
        }
        let longest = self.longest();
        if self.shortest() == longest {
            return Ok(Cow::Borrowed(self));
        }
        let Exogenous { hist, futr, .. } = &self.about.exogenous;
        let mut out = SeriesFrame {
            about: self.about.clone(),
            ids: self.ids.clone(),
            starts: Vec::with_capacity(self.len()),
            offsets: vec![0],
            y: Vec::with_capacity(self.len() * longest),
            known: Some(Vec::with_capacity(self.len() * longest)),
            weights: self.weights.as_ref().map(|_| Vec::with_capacity(self.len() * longest)),
            beside: Beside { stat: self.beside.stat.clone(), ..Beside::default() },
            local: self.local.clone(),
            notes: self.notes.clone(),
        };
        let mut rows = vec![0];
        for series in self.iter() {
            let before = longest - series.y.len();
            out.starts.push(self.about.freq.add(series.start, -(before as i64)));
            let padded = |to: &mut Vec<f32>, columns: usize, values: &[f32]| {
                to.resize(to.len() + before * columns, 0.0);
                to.extend_from_slice(values);
            };
            padded(&mut out.y, 1, series.y);
            padded(&mut out.beside.hist, hist.len(), series.hist);
            padded(&mut out.beside.futr, futr.len(), series.futr);
            if let Some(known) = &mut out.known {
                known.resize(known.len() + before, false);
                known.extend((0..series.y.len()).map(|at| series.is_known(at)));
            }
            if let Some(weights) = &mut out.weights {
                weights.resize(weights.len() + before, 1.0); // unknown, so that they count nothing
                weights.extend((0..series.y.len()).map(|at| series.weight(at)));
            }
            out.offsets.push(out.y.len());
            rows.push(out.beside.futr.len() / futr.len().max(1));
        }
        if !futr.is_empty() {
            out.beside.offsets = rows;
        }
        out.fill_calendar();
        Ok(Cow::Owned(out))
    }

    /// Refuses frames of which no series has `want` values.
    pub(crate) fn at_least_one(&self, want: usize, why: &str) -> Result<()> {
        match self.longest() >= want {
            true => Ok(()),
            false => self.at_least(want, why),
        }
    }

    /// Refuses series of fewer than `want` values.
    pub(crate) fn at_least(&self, want: usize, why: &str) -> Result<()> {
        let short = || self.iter().filter(|series| series.y.len() < want);
        match short().next() {
            None => Ok(()),
            Some(first) => Err(ForecastError::Short {
                id: first.id.to_owned(),
                len: first.y.len(),
                want,
                why: why.to_owned(),
                count: short().count(),
            }),
        }
    }

    /// The frame without series of fewer than `want` values, and how many those were.
    #[must_use]
    pub fn long_enough(&self, want: usize) -> (SeriesFrame, usize) {
        let kept = self.parts(|len| if len < want { 0..0 } else { 0..len });
        let dropped = self.len() - kept.len();
        (SeriesFrame { notes: self.notes.clone(), ..kept }, dropped)
    }
}

impl<'a> Series<'a> {
    /// The series without what lies behind its first `len` values; what is known of the future stays.
    pub(crate) fn until(self, len: usize) -> Series<'a> {
        let hist = self.hist.len() / self.y.len().max(1);
        Series {
            y: &self.y[..len],
            known: self.known.map(|known| &known[..len]),
            weights: self.weights.map(|weights| &weights[..len]),
            hist: &self.hist[..len * hist],
            ..self
        }
    }

    /// A series of which nothing is known.
    pub(crate) fn nothing(id: &'a str) -> Series<'a> {
        Series { id, start: Stamp(0), y: &[], known: None, weights: None, hist: &[], futr: &[], stat: &[], local: &[] }
    }

    /// A series of values alone.
    #[cfg(test)]
    pub(crate) fn bare(y: &'a [f32], known: Option<&'a [bool]>) -> Series<'a> {
        Series { y, known, ..Series::nothing("a") }
    }
}

impl Series<'_> {
    /// Whether value `at` is there and known.
    pub fn is_known(&self, at: usize) -> bool {
        at < self.y.len() && self.known.is_none_or(|known| known[at])
    }

    /// How much value `at` counts in training: 1 where nothing else is said.
    pub fn weight(&self, at: usize) -> f32 {
        self.weights.and_then(|weights| weights.get(at)).copied().unwrap_or(1.0)
    }
}
