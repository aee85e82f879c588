//! The inputs of one row of a network, all that is explained of them one behind the other.
use crate::families::Prompter;
use crate::forecaster::group::Cut;
use crate::forecaster::seen::Seen;
use crate::frame::Exogenous;
use crate::windows::{Counts, Fitted as Scale, RowShape, Scaler};

/// What kind of input it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum InputKind {
    /// A value of the series.
    Y,
    /// A column known up to the forecast.
    Hist,
    /// A column known over the horizon.
    Futr,
    /// A column that a series has once.
    Static,
}

impl InputKind {
    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            InputKind::Y => "y",
            InputKind::Hist => "hist",
            InputKind::Futr => "futr",
            InputKind::Static => "static",
        }
    }
}

/// One number that a model sees.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// What kind of column it is from.
    pub kind: InputKind,
    /// The column.
    pub column: String,
    /// The series it belongs to, for models that see all of them; none for the series that is forecast.
    pub of: Option<String>,
    /// When, in steps from the last value: that is at 0, the first step of the forecast at 1. None for what does not change with time.
    pub ahead: Option<i64>,
}

impl Input {
    /// How many steps it lies before the step that is forecast; below 0 behind it.
    pub fn lag(&self, step: usize) -> Option<i64> {
        self.ahead.map(|ahead| step as i64 - ahead)
    }
}

/// Where inputs lie: the values of all series, then their columns known to the cutoff, over the horizon, and once; each series by series, time by time.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Of a whole forecast, also where a network gives one step at a time.
    pub(super) shape: RowShape,
}

impl Layout {
    /// Name of the network's input, and its values for one series.
    pub(super) fn parts(&self) -> [(&'static str, usize); 4] {
        let [hist, futr, stat] = self.shape.beside();
        [("", self.shape.input_size), hist, futr, stat]
    }

    /// Values of a row.
    pub(super) fn len(&self) -> usize {
        self.shape.series * self.parts().iter().map(|(_, len)| len).sum::<usize>()
    }

    /// The parts of a row.
    pub(super) fn split<'a>(&self, mut row: &'a [f32]) -> [&'a [f32]; 4] {
        self.parts().map(|(_, len)| {
            let (part, rest) = row.split_at((self.shape.series * len).min(row.len()));
            row = rest;
            part
        })
    }

    /// Which inputs there are.
    pub(super) fn inputs(&self, target: &str, names: &Exogenous, series: &[String]) -> Vec<Input> {
        let (l, h) = (self.shape.input_size, self.shape.h);
        let y = [target.to_owned()];
        let kinds = [
            (InputKind::Y, &y[..], l),
            (InputKind::Hist, &names.hist[..], l),
            (InputKind::Futr, &names.futr[..], l + h),
            (InputKind::Static, &names.stat[..], 1),
        ];
        let mut inputs = Vec::with_capacity(self.len());
        for (kind, columns, times) in kinds {
            for place in 0..self.shape.series {
                for time in 0..times {
                    let ahead = (kind != InputKind::Static).then_some(time as i64 + 1 - l as i64);
                    let of = series.get(place);
                    let one = |column: &String| Input { kind, column: column.clone(), of: of.cloned(), ahead };
                    inputs.extend(columns.iter().map(one));
                }
            }
        }
        inputs
    }

    /// The places of each column that changes with time, series by series, time by time.
    pub(super) fn columns(&self) -> Vec<Vec<usize>> {
        let Counts { hist, futr, .. } = self.shape.counts;
        let mut all = Vec::new();
        let mut start = 0;
        for ((_, len), columns) in self.parts().into_iter().zip([1, hist, futr, 0]) {
            for _ in 0..self.shape.series {
                all.extend((0..columns).map(|column| (start + column..start + len).step_by(columns).collect()));
                start += len;
            }
        }
        all
    }
}

/// A row of a network at the ends of its series: one, or all that are forecast together.
pub(super) struct Row {
    pub(super) values: Vec<f32>,
    /// The row that says nothing.
    pub(super) empty: Vec<f32>,
    /// Which places hold a value; others are unknown or lie before the series.
    pub(super) is_there: Vec<bool>,
    pub(super) mask: Vec<f32>,
    /// Tokens of the sentence about the window, which is taken as given.
    pub(super) prompt: Vec<f32>,
    /// What each series was scaled by.
    pub(super) scales: Vec<Scale>,
}

impl Row {
    pub(super) fn new(layout: Layout, cuts: &[Cut<'_>], prompter: Option<&Prompter>) -> Row {
        let seen = Seen::new(layout.shape, cuts).telling(prompter);
        let mut values = seen.x;
        seen.beside.iter().for_each(|(_, _, part)| values.extend(part));
        let is_there = there(layout, cuts);
        let empty = match layout.shape.scaler {
            Scaler::Identity => means(layout, &values, &is_there),
            _ => vec![0.0; values.len()],
        };
        Row { values, empty, is_there, mask: seen.mask, prompt: seen.prompt, scales: seen.scales }
    }

    /// Rows like this one, but with these values, as a network takes them.
    pub(super) fn seen(&self, layout: Layout, rows: &[f32]) -> Seen {
        let [_, hist, futr, stat] = layout.parts();
        let n = rows.len() / layout.len().max(1);
        let mut seen = Seen {
            x: Vec::with_capacity(n * layout.shape.input_len()),
            mask: self.mask.repeat(n),
            beside: [hist, futr, stat]
                .map(|(name, len)| (name, len, Vec::with_capacity(n * layout.shape.series * len))),
            prompt: self.prompt.repeat(n),
            scales: self.scales.repeat(n),
        };
        for row in rows.chunks_exact(layout.len().max(1)) {
            let [x, beside @ ..] = layout.split(row);
            seen.x.extend_from_slice(x);
            seen.beside.iter_mut().zip(beside).for_each(|(to, from)| to.2.extend_from_slice(from));
        }
        seen
    }
}

/// Which places of a row hold a value.
fn there(layout: Layout, cuts: &[Cut<'_>]) -> Vec<bool> {
    let Counts { hist, futr, stat, .. } = layout.shape.counts;
    let (l, h) = (layout.shape.input_size, layout.shape.h);
    let mut all = Vec::with_capacity(layout.len());
    for (series, cut) in cuts {
        all.extend((0..l).map(|i| (cut + i).checked_sub(l).is_some_and(|at| series.is_known(at))));
    }
    for (columns, times, is_hist) in [(hist, l, true), (futr, l + h, false)] {
        for (series, cut) in cuts {
            let rows = if is_hist { series.hist.len() } else { series.futr.len() } / columns.max(1);
            let is_there = |i: usize| (cut + i).checked_sub(l).is_some_and(|at| at < rows);
            all.extend((0..times).flat_map(|i| vec![is_there(i); columns]));
        }
    }
    all.extend(cuts.iter().flat_map(|(series, _)| vec![series.stat.len() == stat; stat]));
    all
}

/// Each column's mean over what is there of the past; 0 for static columns and where nothing is.
fn means(layout: Layout, values: &[f32], is_there: &[bool]) -> Vec<f32> {
    let mut means = vec![0.0; values.len()];
    for places in layout.columns() {
        let past = places.iter().take(layout.shape.input_size).filter(|at| is_there[**at]);
        let (sum, n) = past.fold((0.0, 0.0), |(sum, n), at| (sum + f64::from(values[*at]), n + 1.0));
        let mean = if n > 0.0 { (sum / n) as f32 } else { 0.0 };
        places.iter().filter(|at| is_there[**at]).for_each(|at| means[*at] = mean);
    }
    means
}
