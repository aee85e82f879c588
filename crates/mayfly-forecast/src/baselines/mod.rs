//! Forecasts that need no training: what every network has to beat.
mod classical;
mod smoothing;
mod theta;

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

/// How many standard deviations lie around the mean in an interval that holds `level` per cent.
pub(crate) fn deviations(level: f64) -> f64 {
    quantile(0.5 + level / 200.0)
}

/// The quantile of the standard normal distribution: Acklam's approximation, and one step of Halley's method towards libm's `erfc`.
fn quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.3577518672690,
        -30.66479806614716,
        2.506628277459239,
    ];
    const B: [f64; 5] =
        [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572];
    const C: [f64; 6] = [
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * libm::log(p)).sqrt();
        poly(&C, q) / (poly(&D, q) * q + 1.0)
    };
    let x = if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let (q, r) = (p - 0.5, (p - 0.5) * (p - 0.5));
        poly(&A, r) * q / (poly(&B, r) * r + 1.0)
    };
    let error = 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2) - p;
    let step = error * (2.0 * std::f64::consts::PI).sqrt() * libm::exp(x * x / 2.0);
    x - step / (1.0 + x * step / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (level, want) in
            [(80.0, 1.281551565544600), (90.0, 1.644853626951473), (95.0, 1.959963984540054), (99.9, 3.290526731491895)]
        {
            assert!((deviations(level) - want).abs() < 1e-12, "{level}: {}", deviations(level));
        }
        assert!(quantile(0.5).abs() < 1e-15 && (quantile(0.01) + 2.326347874040841).abs() < 1e-12);
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
