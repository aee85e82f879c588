//! Scales of whole series: what is taken from all values of a series, and divided by, before windows are scaled by themselves.
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

/// The scales by which models see series, by their names.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LocalScales {
    pub(crate) scaler: LocalScaler,
    pub(crate) of: BTreeMap<String, SeriesScales>,
}

/// Those of one series: of its values, of its columns known to the cutoff, and of those known ahead.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SeriesScales {
    pub(crate) columns: Vec<Scale>,
    /// How many values they follow from, where no model learnt from the series: with more values they are made anew. 0 where one did: they stay.
    pub(crate) values: usize,
}

impl LocalScaler {
    /// The names.
    pub const NAMES: [&str; 4] = ["standard", "robust", "robust-iqr", "minmax"];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            LocalScaler::Standard => "standard",
            LocalScaler::Robust => "robust",
            LocalScaler::RobustIqr => "robust-iqr",
            LocalScaler::MinMax => "minmax",
        }
    }

    /// The scaler of this name.
    ///
    /// # Errors
    /// A name that is not among [`LocalScaler::NAMES`]; NeuralForecast's `boxcox` is not here.
    pub fn by_name(name: &str) -> Result<LocalScaler> {
        let all = [LocalScaler::Standard, LocalScaler::Robust, LocalScaler::RobustIqr, LocalScaler::MinMax];
        let found = all.into_iter().find(|scaler| scaler.name() == name);
        found.ok_or_else(|| ForecastError::unknown("local scaler", name, &LocalScaler::NAMES))
    }

    /// The scale of some values. A spread of 0 counts as 1; without values nothing is scaled.
    pub(super) fn fit(self, mut values: Vec<f64>) -> Scale {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
