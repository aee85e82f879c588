//! Forecasts as a table.
use super::group::{Column, Cut, Group};
use crate::calendar::{Freq, Stamp};
use crate::frame::SeriesFrame;
use crate::metrics::{Scores, Tally, Window, naive_error};
use std::io::{self, Write};

/// Forecasts, a row for each series, cutoff and step.
#[derive(Clone, Debug)]
pub struct Forecasts {
    about: crate::frame::About,
    pub(super) h: usize,
    pub(super) cuts: Vec<Origin>,
    pub(super) groups: Vec<Group>,
    /// Whether rows have cutoff and truth.
    pub(super) backtest: bool,
}

/// Where a forecast was made.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    id: String,
    /// The time before the first step.
    cutoff: Stamp,
    /// What came, as far as it is known.
    truth: Vec<Option<f32>>,
    /// Mean absolute error of the seasonal naive forecast before.
    scale: f64,
}

/// The forecast of one model from one origin.
#[derive(Clone, Debug)]
pub struct Outlook<'a> {
    /// The point forecast.
    pub point: &'a [f32],
    /// Level, lower and upper bounds.
    pub intervals: Vec<(String, &'a [f32], &'a [f32])>,
    /// What came, as far as it is known.
    pub truth: &'a [Option<f32>],
    /// Its mean absolute error by that of the seasonal naive forecast before; NaN where nothing is known.
    pub mase: f64,
}

impl Forecasts {
    pub(super) fn new(frame: &SeriesFrame, cuts: &[Cut<'_>], h: usize, season: usize, backtest: bool) -> Forecasts {
        let origin = |(series, cut): &Cut<'_>| {
            let past: Vec<f64> = series.y[..*cut].iter().map(|y| f64::from(*y)).collect();
            Origin {
                id: series.id.to_owned(),
                cutoff: frame.about.freq.add(series.start, *cut as i64 - 1),
                truth: (*cut..cut + h).map(|at| series.is_known(at).then(|| series.y[at])).collect(),
                scale: if backtest { naive_error(&past, season) } else { f64::NAN },
            }
        };
        Forecasts {
            about: frame.about.clone(),
            h,
            cuts: cuts.iter().map(origin).collect(),
            groups: Vec::new(),
            backtest,
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.cuts.len() * self.h
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The frequency.
    pub fn freq(&self) -> Freq {
        self.about.freq
    }

    /// What the columns are called, as they are written.
    pub fn columns(&self) -> Vec<String> {
        let names = &self.about.columns;
        let mut all = vec![names.id.clone(), names.time.clone()];
        if self.backtest {
            all.extend(["cutoff".to_owned(), names.target.clone()]);
        }
        all.extend(self.values().map(|column| column.name.clone()));
        all
    }

    fn values(&self) -> impl Iterator<Item = &Column> {
        self.groups.iter().flat_map(|group| &group.columns)
    }

    /// Models and baselines, in the order of their columns.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// The values of one column, row by row.
    pub fn column(&self, name: &str) -> Option<&[f32]> {
        self.values().find(|column| column.name == name).map(|column| &column.values[..])
    }

    /// Series, time, and in a backtest cutoff of each row.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Stamp, Stamp)> {
        let freq = self.about.freq;
        self.cuts.iter().flat_map(move |origin| {
            (1..=self.h as i64).map(move |k| (origin.id.as_str(), freq.add(origin.cutoff, k), origin.cutoff))
        })
    }

    /// A time as the file writes it.
    pub fn written(&self, stamp: Stamp) -> String {
        self.about.form.write(stamp)
    }

    /// The figures of a model or baseline; NaN where nothing is known of what came.
    pub fn scores(&self, model: &str) -> Option<Scores> {
        let group = self.groups.iter().find(|group| group.name == model)?;
        let mut tally = Tally::default();
        let h = self.h;
        let part = |at: usize, i: usize| -> Vec<f64> {
            let values = group.columns.get(at).map_or(&[][..], |column| &column.values[i * h..(i + 1) * h]);
            values.iter().map(|v| f64::from(*v)).collect()
        };
        for (i, origin) in self.cuts.iter().enumerate() {
            let truth: Vec<Option<f64>> = origin.truth.iter().map(|y| y.map(f64::from)).collect();
            let bounds =
                group.intervals.iter().map(|(level, [low, high])| (level.clone(), part(*low, i), part(*high, i)));
            let intervals: Vec<_> = bounds.collect();
            tally.add(&Window { truth: &truth, point: &part(0, i), intervals: &intervals, scale: origin.scale });
        }
        Some(tally.scores())
    }

    /// Where forecasts were made: series and cutoff, in the order of the rows.
    pub fn origins(&self) -> impl Iterator<Item = (&str, Stamp)> {
        self.cuts.iter().map(|origin| (origin.id.as_str(), origin.cutoff))
    }

    /// What a model says from one of the origins.
    pub fn outlook(&self, model: &str, origin: usize) -> Option<Outlook<'_>> {
        let group = self.groups.iter().find(|group| group.name == model)?;
        let part = |at: usize| group.columns.get(at)?.values.get(origin * self.h..(origin + 1) * self.h);
        let bounds = |(level, [low, high]): &(String, [usize; 2])| Some((level.clone(), part(*low)?, part(*high)?));
        let of = self.cuts.get(origin)?;
        let point = part(0)?;
        let errors = of.truth.iter().zip(point).filter_map(|(y, p)| Some(f64::from(((*y)? - p).abs())));
        let (sum, n) = errors.fold((0.0, 0.0), |(sum, n), e| (sum + e, n + 1.0));
        let intervals = group.intervals.iter().filter_map(bounds).collect();
        Some(Outlook { point, intervals, truth: &of.truth, mase: sum / n / of.scale })
    }

    /// How many windows have no scale for MASE, as their past repeats itself exactly.
    pub fn without_scale(&self) -> usize {
        self.cuts.iter().filter(|origin| !(origin.scale > 0.0)).count()
    }

    /// Writes the rows as comma-separated values.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<String> = self.columns().iter().map(|name| quoted(name)).collect();
        writeln!(out, "{}", header.join(","))?;
        for (i, (id, ds, cutoff)) in self.keys().enumerate() {
            write!(out, "{},{}", quoted(id), self.written(ds))?;
            if self.backtest {
                let truth = self.cuts.get(i / self.h).and_then(|origin| *origin.truth.get(i % self.h)?);
                write!(out, ",{},{}", self.written(cutoff), truth.map(|y| y.to_string()).unwrap_or_default())?;
            }
            for column in self.values() {
                let value = column.values.get(i).copied().unwrap_or(f32::NAN);
                write!(out, ",{}", if value.is_finite() { value.to_string() } else { String::new() })?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// The table as text; see [`Forecasts::write`].
    pub fn to_csv(&self) -> String {
        let mut out = Vec::new();
        let _ = self.write(&mut out); // writing to memory does not fail
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// A CSV field, quoted where it must be.
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
