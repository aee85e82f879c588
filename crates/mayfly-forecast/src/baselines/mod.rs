//! Forecasts that need no training: what every network has to beat.
mod classical;
mod ets;
#[cfg(test)]
mod golden;
mod optimized_theta;
mod seasonal;
mod smoothing;
mod theta;

pub use ets::{Ets, EtsForm, EtsWeights};

use crate::error::{ForecastError, Result};

/// A forecast of one series: means and standard errors, a step each.
#[derive(Clone, PartialEq, Debug)]
pub struct Normal {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard errors.
    pub sigma: Vec<f64>,
}

/// A way to forecast a series from itself.
pub struct Baseline {
    /// As columns and `--baselines` name it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// `(values, at least one; season; steps)`
    run: fn(&[f64], usize, usize) -> Normal,
}

/// Every baseline that there is.
pub static BASELINES: &[Baseline] = &[
    Baseline { name: "Naive", about: "the last value", run: classical::naive },
    Baseline { name: "SeasonalNaive", about: "the value a season ago", run: classical::seasonal_naive },
    Baseline { name: "RandomWalkWithDrift", about: "the last value and the mean step", run: classical::drift },
    Baseline { name: "WindowAverage", about: "the mean of the last season", run: classical::window_average },
    Baseline { name: "SES", about: "simple exponential smoothing (Brown 1956)", run: smoothing::ses },
    Baseline {
        name: "Theta",
        about: "half the trend and smoothing, season taken out (Assimakopoulos & Nikolopoulos 2000)",
        run: theta::theta,
    },
    Baseline {
        name: "OptimizedTheta",
        about: "Theta whose share of the trend is fitted as well (Fiorucci et al. 2016)",
        run: optimized_theta::optimized_theta,
    },
    Baseline {
        name: "ETS",
        about: "exponential smoothing of the form with the least AICc (Hyndman & Khandakar 2008)",
        run: ets::ets,
    },
];

impl Baseline {
    /// The baseline of this name, in any case.
    ///
    /// # Errors
    /// A name that none has.
    pub fn by_name(name: &str) -> Result<&'static Baseline> {
        let found = BASELINES.iter().find(|b| b.name.eq_ignore_ascii_case(name.trim()));
        let known: Vec<&str> = BASELINES.iter().map(|b| b.name).collect();
        found.ok_or_else(|| ForecastError::unknown("baseline", name, &known))
    }

    /// The next `h` values of a series that repeats itself after `season` values (1 for none). Without values the forecast is 0.
    pub fn forecast(&self, y: &[f64], season: usize, h: usize) -> Normal {
        match y {
            [] => Normal { mean: vec![0.0; h], sigma: vec![0.0; h] },
            y => (self.run)(y, season.max(1), h),
        }
    }
}

impl std::fmt::Debug for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Root of the mean square; 0 of nothing.
fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v * v, n + 1.0));
    if n > 0.0 { (sum / n).sqrt() } else { 0.0 }
}

/// Least squares over the number of the value: the line's first value and its slope.
fn line(y: &[f64]) -> (f64, f64) {
    let n = y.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, y.iter().sum::<f64>() / n);
    let (top, bottom) = y.iter().enumerate().fold((0.0, 0.0), |(top, bottom), (t, y)| {
        let t = t as f64 - middle;
        (top + t * (y - mean), bottom + t * t)
    });
    let slope = if bottom > 0.0 { top / bottom } else { 0.0 };
    (mean - slope * middle, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_hand() {
        assert_eq!(line(&[1.0, 3.0, 5.0]), (1.0, 2.0));
        assert_eq!(line(&[7.0]), (7.0, 0.0));
    }

    #[test]
    fn short_and_constant_series_have_forecasts() {
        for baseline in BASELINES {
            for y in [&[][..], &[3.0], &[3.0, 3.0], &[3.0; 30]] {
                let Normal { mean, sigma } = baseline.forecast(y, 12, 4);
                let want = if y.is_empty() { 0.0 } else { 3.0 };
                assert!(
                    mean.len() == 4 && mean.iter().all(|m| (m - want).abs() < 1e-9),
                    "{baseline:?} {y:?}: {mean:?}"
                );
                assert!(sigma.iter().all(|s| s.abs() < 1e-9), "{baseline:?}: {sigma:?}");
            }
        }
        assert!(Baseline::by_name("seasonal").unwrap_err().to_string().contains("SeasonalNaive"));
    }
}
