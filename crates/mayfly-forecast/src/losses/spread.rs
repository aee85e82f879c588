//! Which quantiles a forecast has, and what their columns are called.
use super::check_level;
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};

/// Quantiles of a forecast: the median always, and those around it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// The bounds of intervals that hold so many per cent each.
    Level(Vec<f64>),
    /// These, each between 0 and 1.
    Quantiles(Vec<f64>),
}

impl Default for Spread {
    fn default() -> Self {
        Spread::Level(vec![80.0, 90.0])
    }
}

/// One quantile, and what its column is called behind the model's name.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Bound {
    pub(crate) share: f64,
    pub(crate) suffix: String,
}

impl Spread {
    /// Intervals that hold so many per cent each, or the usual ones where none are given.
    pub fn level(level: &[f64]) -> Spread {
        if level.is_empty() {
            return Spread::default();
        }
        let mut level = level.to_vec();
        level.sort_by(f64::total_cmp);
        level.dedup();
        Spread::Level(level)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Spread::Level(level) => check_level(level),
            Spread::Quantiles(quantiles) => match quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
                Some(q) => Err(ForecastError::option("quantiles", q, "each must be between 0 and 1")),
                None => Ok(()),
            },
        }
    }

    /// The median first, then the others ascending.
    pub(crate) fn bounds(&self) -> Vec<Bound> {
        let bound = |share: f64, suffix: String| Bound { share, suffix };
        let median = bound(0.5, "-median".to_owned());
        let others: Vec<Bound> = match self {
            Spread::Level(level) => {
                let low = level.iter().rev().map(|l| bound((50.0 - l / 2.0) / 100.0, format!("-lo-{l}")));
                let high = level.iter().map(|l| bound((50.0 + l / 2.0) / 100.0, format!("-hi-{l}")));
                low.chain(high).collect()
            }
            Spread::Quantiles(quantiles) => {
                let mut quantiles: Vec<f64> = quantiles.iter().copied().filter(|q| *q != 0.5).collect();
                quantiles.sort_by(f64::total_cmp);
                quantiles.dedup();
                let side = |q: f64| if q < 0.5 { "lo" } else { "hi" };
                quantiles.into_iter().map(|q| bound(q, format!("-{}-{:?}", side(q), level_of(q)))).collect()
            }
        };
        std::iter::once(median).chain(others).collect()
    }

    /// Level, and which two of the bounds hold it.
    pub(crate) fn intervals(&self) -> Vec<(String, [usize; 2])> {
        match self {
            Spread::Level(level) => {
                let n = level.len();
                level.iter().enumerate().map(|(i, level)| (level.to_string(), [n - i, n + 1 + i])).collect()
            }
            Spread::Quantiles(_) => {
                let bounds = self.bounds();
                let upper = |low: &Bound| {
                    bounds.iter().position(|high| high.share > 0.5 && level_of(high.share) == level_of(low.share))
                };
                let low = bounds.iter().enumerate().rev().filter(|(_, bound)| bound.share < 0.5);
                low.filter_map(|(i, bound)| Some((level_of(bound.share).to_string(), [i, upper(bound)?]))).collect()
            }
        }
    }
}

/// How many per cent the interval from this quantile to its mirror image holds, to two places as NeuralForecast names it.
fn level_of(q: f64) -> f64 {
    let level = if q < 0.5 { 100.0 - 200.0 * q } else { 100.0 - 200.0 * (1.0 - q) };
    (level * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suffixes(spread: &Spread) -> Vec<String> {
        spread.bounds().into_iter().map(|bound| bound.suffix).collect()
    }

    #[test]
    fn columns_are_neural_forecasts() {
        let level = Spread::level(&[90.0, 80.0, 90.0]);
        assert_eq!(suffixes(&level), ["-median", "-lo-90", "-lo-80", "-hi-80", "-hi-90"]);
        assert_eq!(level.intervals(), [("80".to_owned(), [2, 3]), ("90".to_owned(), [1, 4])]);
        let shares: Vec<f64> = level.bounds().iter().map(|bound| bound.share).collect();
        assert!(shares.iter().zip([0.5, 0.05, 0.1, 0.9, 0.95]).all(|(q, want)| (q - want).abs() < 1e-12));
        let some = Spread::Quantiles(vec![0.9, 0.1, 0.25]);
        assert_eq!(suffixes(&some), ["-median", "-lo-80.0", "-lo-50.0", "-hi-80.0"]);
        assert_eq!(some.intervals(), [("80".to_owned(), [1, 3])]);
        assert_eq!(suffixes(&Spread::level(&[99.5]))[1], "-lo-99.5");
    }

    #[test]
    fn shares_are_checked() {
        for bad in [Spread::Level(vec![100.0]), Spread::Level(vec![]), Spread::Quantiles(vec![0.0, 0.5])] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        assert!(Spread::Quantiles(vec![0.01]).check().is_ok());
    }
}
