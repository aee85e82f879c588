//! Losses over a horizon.
mod op;

use crate::error::{ForecastError, Result};
use mayfly_nn::{CustomLoss, Loss};
use serde::{Deserialize, Serialize};

/// What training makes small: the mean over the known values of a batch's horizons.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ForecastLoss {
    /// Absolute error.
    #[default]
    Mae,
    /// Squared error.
    Mse,
    /// Half the squared error up to `delta`, a line beyond (Huber 1964).
    Huber {
        /// Where the square turns into a line.
        delta: f32,
    },
    /// One quantile (Koenker & Bassett 1978).
    Quantile {
        /// Between 0 and 1.
        q: f32,
    },
    /// The median and the bounds of intervals, one output each.
    MultiQuantile {
        /// How many per cent each interval holds.
        level: Vec<f64>,
    },
}

impl ForecastLoss {
    /// The names on the command line; `quantile` is followed by its share: `quantile:0.9`.
    pub const NAMES: [&str; 5] = ["mae", "mse", "huber", "quantile", "mq"];

    /// The loss of this name; `mq` has the intervals of `level`.
    ///
    /// # Errors
    /// A name that is not among [`ForecastLoss::NAMES`], or a number that makes no sense behind it.
    pub fn by_name(name: &str, level: &[f64]) -> Result<ForecastLoss> {
        let (name, number) = name.split_once(':').map_or((name, None), |(name, number)| (name, Some(number)));
        let number = |default: f32| match number {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| ForecastError::option("loss", text, "a number stands behind the colon"))
            }
        };
        let loss = match name {
            "mae" => ForecastLoss::Mae,
            "mse" => ForecastLoss::Mse,
            "huber" => ForecastLoss::Huber { delta: number(1.0)? },
            "quantile" => ForecastLoss::Quantile { q: number(0.5)? },
            "mq" => ForecastLoss::intervals(if level.is_empty() { &[80.0, 90.0] } else { level }),
            _ => return Err(ForecastError::unknown("loss", name, &ForecastLoss::NAMES)),
        };
        loss.check()?;
        Ok(loss)
    }

    /// The median and intervals that hold so many per cent each.
    pub fn intervals(level: &[f64]) -> ForecastLoss {
        let mut level = level.to_vec();
        level.sort_by(f64::total_cmp);
        level.dedup();
        ForecastLoss::MultiQuantile { level }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            ForecastLoss::Huber { delta } if !(*delta > 0.0 && delta.is_finite()) => {
                Err(ForecastError::option("loss", format!("huber:{delta}"), "the number must be positive"))
            }
            ForecastLoss::Quantile { q } if !(*q > 0.0 && *q < 1.0) => {
                Err(ForecastError::option("loss", format!("quantile:{q}"), "the share must be between 0 and 1"))
            }
            ForecastLoss::MultiQuantile { level } => check_level(level),
            _ => Ok(()),
        }
    }

    /// The quantiles of the outputs, the median first and the others ascending; none for other losses.
    pub(crate) fn quantiles(&self) -> Vec<f64> {
        match self {
            ForecastLoss::MultiQuantile { level } => {
                let low = level.iter().rev().map(|l| (50.0 - l / 2.0) / 100.0);
                let high = level.iter().map(|l| (50.0 + l / 2.0) / 100.0);
                [0.5].into_iter().chain(low).chain(high).collect()
            }
            ForecastLoss::Quantile { q } => vec![f64::from(*q)],
            _ => Vec::new(),
        }
    }

    /// Outputs of the network for each step.
    pub fn outputs(&self) -> usize {
        self.quantiles().len().max(1)
    }

    /// What is appended to a model's name for each output.
    pub fn columns(&self) -> Vec<String> {
        match self {
            ForecastLoss::MultiQuantile { level } => {
                let low = level.iter().rev().map(|l| format!("-lo-{l}"));
                let high = level.iter().map(|l| format!("-hi-{l}"));
                ["-median".to_owned()].into_iter().chain(low).chain(high).collect()
            }
            ForecastLoss::Quantile { q } => vec![format!("_ql{q}")],
            _ => vec![String::new()],
        }
    }

    /// The intervals that the outputs have.
    pub fn level(&self) -> &[f64] {
        match self {
            ForecastLoss::MultiQuantile { level } => level,
            _ => &[],
        }
    }

    /// Puts the outputs of one step, the median first, into an order without crossings: the quantiles sorted.
    pub(crate) fn uncross(&self, outputs: &mut [f32]) {
        let ForecastLoss::MultiQuantile { level } = self else { return };
        let n = level.len();
        if outputs.len() != 2 * n + 1 {
            return;
        }
        outputs.sort_by(f32::total_cmp);
        // Ascending has the median in the middle; it comes first.
        if let Some(head) = outputs.get_mut(..=n) {
            head.rotate_right(1);
        }
    }

    /// For the trainer: reads how much each target counts, and how to go back to the scale of the data.
    pub(crate) fn for_trainer(&self, h: usize, series: usize) -> Loss {
        let op = op::HorizonLoss { loss: self.clone(), quantiles: self.quantiles(), h, series };
        Loss::Custom(CustomLoss::new(op).reading([crate::windows::KNOWN, crate::windows::BACK]))
    }
}

/// Intervals hold more than nothing and less than all.
pub(crate) fn check_level(level: &[f64]) -> Result<()> {
    match level.iter().find(|l| !(**l > 0.0 && **l < 100.0)) {
        _ if level.is_empty() => {
            Err(ForecastError::option("level", "empty", "at least one number between 0 and 100 is needed"))
        }
        Some(l) => Err(ForecastError::option("level", l, "it must be between 0 and 100")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_neural_forecasts() {
        let loss = ForecastLoss::by_name("mq", &[90.0, 80.0]).unwrap();
        assert_eq!(loss.columns(), ["-median", "-lo-90", "-lo-80", "-hi-80", "-hi-90"]);
        let want = [0.5, 0.05, 0.1, 0.9, 0.95];
        assert!(loss.quantiles().iter().zip(want).all(|(q, want)| (q - want).abs() < 1e-12));
        assert_eq!(ForecastLoss::by_name("quantile:0.1", &[]).unwrap().columns(), ["_ql0.1"]);
        assert_eq!(ForecastLoss::intervals(&[99.5]).columns()[1], "-lo-99.5");
    }

    #[test]
    fn quantiles_never_cross() {
        let mut outputs = [5.0, 7.0, 1.0, 6.0, 2.0];
        ForecastLoss::intervals(&[80.0, 90.0]).uncross(&mut outputs);
        assert_eq!(outputs, [5.0, 1.0, 2.0, 6.0, 7.0]);
        ForecastLoss::Mae.uncross(&mut outputs[..1]);
    }

    #[test]
    fn names_and_numbers_are_checked() {
        for bad in ["quantile:1", "quantile:x", "huber:0", "mape"] {
            assert!(ForecastLoss::by_name(bad, &[]).is_err(), "{bad}");
        }
        assert!(ForecastLoss::by_name("mq", &[100.0]).unwrap_err().to_string().contains("level"));
        assert_eq!(ForecastLoss::by_name("huber:2", &[]).unwrap(), ForecastLoss::Huber { delta: 2.0 });
    }
}
