//! Intervals from the errors of a backtest: conformal prediction (Vovk et al. 2005, Stankevičiūtė et al. 2021), for models whose loss gives a point alone.
use super::group::{Column, Cut, Group};
use crate::error::{ForecastError, Result};
use crate::losses::Margin;
use crate::metrics::quantile;
use crate::names::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What is made of the errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConformalMethod {
    /// Bounds are quantiles of the forecast less and plus every error.
    #[default]
    Distribution,
    /// Bounds are the forecast less and plus a quantile of the errors.
    Error,
}

/// How intervals are made: a model like the one at hand is trained on what lies before the last cutoffs of the training data, and its errors there, per series and step, are what the forecast may be off by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conformal {
    /// What is made of the errors.
    pub method: ConformalMethod,
    /// Cutoffs of each series; at least 2.
    pub windows: usize,
    /// Values between two of them; none for a horizon.
    pub step: Option<usize>,
}

impl Default for Conformal {
    /// Twelve cutoffs, a value apart: many errors of few values.
    fn default() -> Self {
        Conformal { method: ConformalMethod::Distribution, windows: 12, step: Some(1) }
    }
}

impl FromStr for ConformalMethod {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<ConformalMethod> {
        match text {
            "distribution" => Ok(ConformalMethod::Distribution),
            "error" => Ok(ConformalMethod::Error),
            _ => Err(ForecastError::UnknownName {
                kind: "way to make intervals",
                name: text.to_owned(),
                near: nearest(text, &["distribution", "error"]),
            }),
        }
    }
}

impl Conformal {
    pub(super) fn check(&self) -> Result<()> {
        match (self.windows, self.step) {
            (0 | 1, _) => Err(ForecastError::option("windows of intervals", self.windows, "it must be at least 2")),
            (_, Some(0)) => Err(ForecastError::option("step of intervals", 0, "it must be at least 1")),
            _ => Ok(()),
        }
    }

    /// Values at the end of a series that the backtest forecasts.
    pub(super) fn reach(&self, h: usize) -> usize {
        (self.windows - 1).saturating_mul(self.step.unwrap_or(h)).saturating_add(h)
    }

    /// Where a series of `len` values is cut, first to last; none where it is too short to learn anything before.
    pub(super) fn cuts(&self, len: usize, h: usize) -> impl Iterator<Item = usize> {
        let first = len.checked_sub(self.reach(h)).filter(|first| *first >= 2);
        let (step, windows) = (self.step.unwrap_or(h), self.windows);
        first.into_iter().flat_map(move |first| (0..windows).map(move |w| first + w * step))
    }
}

/// The errors of one model, by series: absolute, `[windows, h]`; NaN where the truth is not known.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Residuals {
    pub(super) method: ConformalMethod,
    /// How many per cent intervals hold.
    pub(super) level: Vec<f64>,
    pub(super) h: usize,
    pub(super) of: BTreeMap<String, Vec<f32>>,
}

impl Residuals {
    /// From point forecasts at cuts, `h` values each.
    pub(super) fn new(method: ConformalMethod, level: &[f64], h: usize, cuts: &[Cut<'_>], points: &[f32]) -> Residuals {
        let mut of: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for ((series, cut), points) in cuts.iter().zip(points.chunks_exact(h)) {
            let errors = points.iter().enumerate().map(|(step, point)| match series.is_known(cut + step) {
                true => (series.y[cut + step] - point).abs(),
                false => f32::NAN,
            });
            of.entry(series.id.to_owned()).or_default().extend(errors);
        }
        Residuals { method, level: level.to_vec(), h, of }
    }

    /// Adds the bounds to a point forecast; NaN where nothing is known of the errors: other series, steps beyond the horizon.
    pub(super) fn widen(&self, group: &mut Group, cuts: &[Cut<'_>], h: usize) {
        let Some(points) = group.columns.first().map(|column| column.values.clone()) else { return };
        let n = self.level.len();
        let names = self.level.iter().rev().map(|l| format!("{}-lo-{l}", group.name));
        let names = names.chain(self.level.iter().map(|l| format!("{}-hi-{l}", group.name)));
        let mut bounds: Vec<Column> =
            names.map(|name| Column { name, values: Vec::with_capacity(points.len()) }).collect();
        for ((series, _), points) in cuts.iter().zip(points.chunks_exact(h)) {
            for (step, point) in points.iter().enumerate() {
                let errors = self.errors(series.id, step);
                for (i, level) in self.level.iter().enumerate() {
                    let [low, high] = self.bounds(f64::from(*point), &errors, *level);
                    bounds[n - 1 - i].values.push(low as f32);
                    bounds[n + i].values.push(high as f32);
                }
            }
        }
        group.columns.extend(bounds);
        group.intervals = self.level.iter().enumerate().map(|(i, l)| (l.to_string(), [n - i, n + 1 + i])).collect();
    }

    /// Makes draws of a point: it with every error that is known of the step, on both sides.
    pub(super) fn doubt(&self, margin: &mut Margin, id: &str, step: usize) {
        let Margin::Point(point) = *margin else { return };
        let errors = self.errors(id, step);
        if !errors.is_empty() {
            let below = errors.iter().rev().map(|e| point - e);
            *margin = Margin::Draws(below.chain(errors.iter().map(|e| point + e)).collect());
        }
    }

    /// The known errors of a step, ascending.
    fn errors(&self, id: &str, step: usize) -> Vec<f64> {
        let all = self.of.get(id).filter(|_| step < self.h).map_or(&[][..], |errors| &errors[..]);
        let mut errors: Vec<f64> =
            all.iter().skip(step).step_by(self.h).filter(|e| e.is_finite()).map(|e| f64::from(*e)).collect();
        errors.sort_by(f64::total_cmp);
        errors
    }

    fn bounds(&self, point: f64, errors: &[f64], level: f64) -> [f64; 2] {
        match self.method {
            ConformalMethod::Error => {
                let reach = quantile(errors, level / 100.0);
                [point - reach, point + reach]
            }
            ConformalMethod::Distribution => {
                // Around 0, so that both bounds are the same reach away.
                let both: Vec<f64> = errors.iter().rev().map(|e| -e).chain(errors.iter().copied()).collect();
                [0.5 - level / 200.0, 0.5 + level / 200.0].map(|q| point + quantile(&both, q))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Series;

    fn residuals(method: ConformalMethod) -> Residuals {
        // Two steps; errors of step 0: 1, 2, 4, of step 1: 10, NaN, 30.
        let of = BTreeMap::from([("a".to_owned(), vec![4.0, 10.0, 1.0, f32::NAN, 2.0, 30.0])]);
        Residuals { method, level: vec![50.0, 80.0], h: 2, of }
    }

    fn group(values: Vec<f32>) -> Group {
        Group { name: "M".into(), columns: vec![Column { name: "M".into(), values }], intervals: Vec::new() }
    }

    /// numpy.quantile([1, 2, 4], .8) is 3.2, numpy.quantile([-4, -2, -1, 1, 2, 4], [.1, .9]) −3 and 3.
    #[test]
    fn bounds_are_quantiles_of_errors() {
        let y = [0.0; 4];
        let (known, other) = (Series::bare(&y, None), Series { id: "b", ..Series::bare(&y, None) });
        for (method, want) in [(ConformalMethod::Error, [3.2, 2.0]), (ConformalMethod::Distribution, [3.0, 1.75])] {
            let mut group = group(vec![100.0, 200.0, 5.0, 6.0]);
            residuals(method).widen(&mut group, &[(known, 4), (other, 4)], 2);
            let names: Vec<&str> = group.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, ["M", "M-lo-80", "M-lo-50", "M-hi-50", "M-hi-80"]);
            let of = |column: usize, row: usize| group.columns[column].values[row];
            for (low, high, reach) in [(1, 4, want[0]), (2, 3, want[1])] {
                assert!((of(low, 0) - (100.0 - reach)).abs() < 1e-4 && (of(high, 0) - (100.0 + reach)).abs() < 1e-4);
            }
            assert!(of(1, 1) < of(2, 1) && of(2, 1) < 200.0, "the second step has errors of its own");
            assert!((1..5).all(|column| of(column, 2).is_nan()), "nothing is known of series b");
            assert_eq!(group.intervals, [("50".to_owned(), [2, 3]), ("80".to_owned(), [1, 4])]);
        }
    }

    #[test]
    fn cuts_are_a_step_apart_and_end_a_horizon_before_the_end() {
        let of =
            |windows, step, len| Conformal { windows, step, ..Conformal::default() }.cuts(len, 4).collect::<Vec<_>>();
        assert_eq!(of(3, Some(1), 20), [14, 15, 16]);
        assert_eq!(of(3, None, 20), [8, 12, 16]);
        assert_eq!(of(3, None, 13), Vec::<usize>::new(), "one value is nothing to learn from");
        assert!(Conformal { windows: 1, ..Conformal::default() }.check().is_err());
        assert!(Conformal { step: Some(0), ..Conformal::default() }.check().is_err());
    }

    #[derive(Deserialize)]
    struct Case {
        method: ConformalMethod,
        series: usize,
        windows: usize,
        h: usize,
        level: Vec<f64>,
        points: Vec<f32>,
        errors: Vec<f32>,
        bounds: BTreeMap<String, Vec<f64>>,
    }

    /// `tests/tables.json` is written by `bench/python/nf_tables.py`. For `error` NeuralForecast takes the quantile of (100 + level)/2 %, so that an interval of 80 % holds 90 % of the errors: ours are its intervals of another level.
    #[test]
    fn bounds_are_neural_forecasts() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables.json");
        let mut tables: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases: Vec<Case> = serde_json::from_value(tables["conformal"].take()).unwrap();
        assert_eq!(cases.iter().filter(|case| case.method == ConformalMethod::Error).count(), 3);
        for case in cases {
            let ours = |level: f64| if case.method == ConformalMethod::Error { 50.0 + level / 2.0 } else { level };
            let ids: Vec<String> = (0..case.series).map(|s| format!("s{s}")).collect();
            let errors = case.errors.chunks_exact(case.windows * case.h).map(<[f32]>::to_vec);
            let of = ids.iter().cloned().zip(errors).collect();
            let level = case.level.iter().map(|level| ours(*level)).collect();
            let residuals = Residuals { method: case.method, level, h: case.h, of };
            let series = ids.iter().map(|id| (Series { id, ..Series::bare(&[0.0; 2], None) }, 2));
            let mut group = group(case.points.clone());
            residuals.widen(&mut group, &series.collect::<Vec<_>>(), case.h);
            for level in &case.level {
                for side in ["lo", "hi"] {
                    let name = format!("M-{side}-{}", ours(*level));
                    let got = &group.columns.iter().find(|column| column.name == name).unwrap().values;
                    let want = &case.bounds[&format!("M-{side}-{level}")];
                    let near = got.iter().zip(want).all(|(g, w)| (f64::from(*g) - w).abs() < 1e-5 * w.abs().max(1.0));
                    assert!(near && got.len() == want.len(), "{:?} {name}: {got:?}, not {want:?}", case.method);
                }
            }
        }
    }
}
