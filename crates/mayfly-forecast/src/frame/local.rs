//! Scales of whole series: what is taken from all values of a series, and divided by, before windows are scaled by themselves.
use super::series::{Series, SeriesFrame};
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the columns of a series are scaled by before a model sees them, each by its own values: NeuralForecast's `local_scaler_type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalScaler {
    /// Mean and standard deviation.
    Standard,
    /// Median and median absolute deviation.
    Robust,
    /// Median and the range of the middle half.
    RobustIqr,
    /// To 0 … 1.
    #[serde(rename = "minmax")]
    MinMax,
}

/// Shift and scale of a column of a series.
pub(crate) type Scale = [f32; 2];

impl LocalScaler {
    /// The names.
    pub const NAMES: [&str; 4] = ["standard", "robust", "robust-iqr", "minmax"];

    /// The scaler of this name.
    ///
    /// # Errors
    /// A name that is not among [`LocalScaler::NAMES`]; NeuralForecast's `boxcox` is not here.
    pub fn by_name(name: &str) -> Result<LocalScaler> {
        match name {
            "standard" => Ok(LocalScaler::Standard),
            "robust" => Ok(LocalScaler::Robust),
            "robust-iqr" => Ok(LocalScaler::RobustIqr),
            "minmax" => Ok(LocalScaler::MinMax),
            _ => Err(ForecastError::unknown("local scaler", name, &LocalScaler::NAMES)),
        }
    }

    /// The scale of some values. A spread of 0 counts as 1; without values nothing is scaled.
    fn fit(self, mut values: Vec<f64>) -> Scale {
        if values.is_empty() {
            return [0.0, 1.0];
        }
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let (shift, spread) = match self {
            LocalScaler::Standard => {
                let mean = values.iter().sum::<f64>() / n;
                (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
            }
            LocalScaler::Robust => {
                let middle = quantile(&values, 0.5);
                let mut off: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
                off.sort_by(f64::total_cmp);
                (middle, quantile(&off, 0.5))
            }
            LocalScaler::RobustIqr => (quantile(&values, 0.5), quantile(&values, 0.75) - quantile(&values, 0.25)),
            LocalScaler::MinMax => (values[0], values[values.len() - 1] - values[0]),
        };
        let scale = spread as f32;
        [shift as f32, if scale > 0.0 { scale } else { 1.0 }]
    }
}

/// A quantile of sorted values, between two of them by the line that joins them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let low = at.floor();
    let [a, b] = [low, at.ceil()].map(|i| sorted[i as usize]);
    a + (at - low) * (b - a)
}

impl SeriesFrame {
    /// The frame with the scales of its series, by what is known before the last `held` values of each. Where a series has nothing there, nothing is scaled.
    #[must_use]
    pub(crate) fn scaled(&self, scaler: LocalScaler, held: usize) -> SeriesFrame {
        let local = self.iter().flat_map(|series| self.scales(scaler, &series, held)).collect();
        let mut out = SeriesFrame { local, ..self.clone() };
        out.about.local = Some(scaler);
        out
    }

    /// The frame with the scales of another that has the same columns; series that are not there have those of their own values.
    #[must_use]
    pub(crate) fn scaled_like(&self, scaler: LocalScaler, other: Option<&SeriesFrame>) -> SeriesFrame {
        let others = other.into_iter().flat_map(SeriesFrame::iter).filter(|series| !series.local.is_empty());
        let others: BTreeMap<&str, &[Scale]> = others.map(|series| (series.id, series.local)).collect();
        let of = |series: Series<'_>| match others.get(series.id) {
            Some(scales) => scales.to_vec(),
            None => self.scales(scaler, &series, 0),
        };
        let local = self.iter().flat_map(of).collect();
        let mut out = SeriesFrame { local, ..self.clone() };
        out.about.local = Some(scaler);
        out
    }

    /// Scales of the values, of the columns known to the cutoff, and of those known ahead.
    fn scales(&self, scaler: LocalScaler, series: &Series<'_>, held: usize) -> Vec<Scale> {
        let names = &self.about.exogenous;
        let seen: Vec<usize> = (0..series.y.len().saturating_sub(held)).filter(|at| series.is_known(*at)).collect();
        let of = |values: &[f32], columns: usize, column: usize| {
            scaler.fit(seen.iter().map(|at| f64::from(values[at * columns + column])).collect())
        };
        let all = |values: &'_ [f32], columns: usize| (0..columns).map(|column| of(values, columns, column)).collect();
        let [hist, futr]: [Vec<Scale>; 2] = [all(series.hist, names.hist.len()), all(series.futr, names.futr.len())];
        [vec![of(series.y, 1, 0)], hist, futr].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameOptions, Table};

    /// By coreforecast, which NeuralForecast scales series with.
    #[test]
    fn scales_are_coreforecasts() {
        let values = [1.0, 2.0, 4.0, 3.0, 8.0, 16.0];
        for (name, want) in
            LocalScaler::NAMES.into_iter().zip([[5.666_666_5, 5.120_764], [3.5, 2.0], [3.5, 4.75], [1.0, 15.0]])
        {
            let scaler = LocalScaler::by_name(name).unwrap();
            let got = scaler.fit(values.to_vec());
            assert!(got.iter().zip(want).all(|(g, w): (&f32, f32)| (g - w).abs() < 1e-5), "{name}: {got:?}");
            assert_eq!(scaler.fit(vec![5.0; 4]), [5.0, 1.0], "{name}");
            assert_eq!(scaler.fit(Vec::new()), [0.0, 1.0], "{name}");
            assert_eq!(serde_json::to_value(scaler).unwrap(), name);
        }
        let said = LocalScaler::by_name("robust_iqr").unwrap_err().to_string();
        assert!(said.contains("robust-iqr"), "{said}");
    }

    #[test]
    fn each_column_of_a_series_has_a_scale_of_what_is_not_held_out() {
        let ids = ["a", "a", "a", "b", "b", "b"].map(str::to_owned);
        let ds = ["1", "2", "3", "1", "2", "3"].map(str::to_owned);
        let y = [1.0, 3.0, 100.0, 10.0, 30.0, 100.0];
        let (h, f) = ([2.0, 6.0, 0.0, 0.0, 1.0, 0.0], [5.0, 9.0, 0.0, 7.0, 7.0, 0.0]);
        let table = Table { ids: &ids, ds: &ds, y: &y, hist: &[("h", &h)], futr: &[("f", &f)] };
        let options = FrameOptions { freq: Some("1".parse().unwrap()), ..FrameOptions::default() };
        let frame = SeriesFrame::from_table(&table, &options).unwrap();
        assert!(frame.iter().all(|series| series.local.is_empty()));
        let scaled = frame.scaled(LocalScaler::MinMax, 1);
        let scales: Vec<&[Scale]> = scaled.iter().map(|series| series.local).collect();
        assert_eq!(scales, [[[1.0, 2.0], [2.0, 4.0], [5.0, 4.0]], [[10.0, 20.0], [0.0, 1.0], [7.0, 1.0]]]);
        // They stay with their series, whatever part of them is left.
        assert_eq!(scaled.last(1).only(1).iter().next().unwrap().local, scales[1]);
        let known = scaled.only(0);
        let like = frame.scaled_like(LocalScaler::MinMax, Some(&known));
        let got: Vec<&[Scale]> = like.iter().map(|series| series.local).collect();
        assert_eq!((got[0], got[1][0]), (scales[0], [10.0, 90.0]));
    }
}
