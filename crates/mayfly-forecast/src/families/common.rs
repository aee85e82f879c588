//! Settings that all families have, by NeuralForecast's names.
use crate::error::{ForecastError, Result};
use crate::windows::Scaler;
use serde::{Deserialize, Serialize};

/// How a model is trained and what it sees. The names are those of NeuralForecast's arguments.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// Values of the past that a forecast sees; chosen from horizon and data when not given.
    pub input_size: Option<usize>,
    /// Steps of training.
    pub max_steps: usize,
    /// Adam's learning rate.
    pub learning_rate: f32,
    /// How often the rate is halved over a training; −1 for never.
    pub num_lr_decays: i64,
    /// Validations without a lower loss after which training stops; −1 for never.
    pub early_stop_patience_steps: i64,
    /// Steps between two validations.
    pub val_check_steps: usize,
    /// Series of a step.
    pub batch_size: usize,
    /// Windows of a step.
    pub windows_batch_size: usize,
    /// Steps between the windows of a series.
    pub step_size: usize,
    /// Whether windows may begin before their series.
    pub start_padding_enabled: bool,
    /// Shares of a window's inputs and targets that must be there.
    pub training_data_availability_threshold: [f64; 2],
    /// What each window is scaled by.
    pub scaler_type: Scaler,
    /// How much each step of the horizon counts in the loss; all alike when not given.
    pub horizon_weight: Option<Vec<f32>>,
    /// Seed of everything random.
    pub random_seed: u64,
}

impl Common {
    /// 1,000 steps at 0.001.
    pub fn a() -> Common {
        Common {
            input_size: None,
            max_steps: 1000,
            learning_rate: 1e-3,
            num_lr_decays: -1,
            early_stop_patience_steps: -1,
            val_check_steps: 100,
            batch_size: 32,
            windows_batch_size: 1024,
            step_size: 1,
            start_padding_enabled: false,
            training_data_availability_threshold: [0.0, 0.0],
            scaler_type: Scaler::Identity,
            horizon_weight: None,
            random_seed: 1,
        }
    }

    /// As [`Common::a`], with three halvings of the rate.
    pub fn a3() -> Common {
        Common { num_lr_decays: 3, ..Common::a() }
    }

    /// 1,000 steps of 128 windows, each scaled robustly: recurrent families.
    pub fn r() -> Common {
        Common { windows_batch_size: 128, scaler_type: Scaler::Robust, ..Common::a() }
    }

    /// 1,000 steps of 32 windows of all series.
    pub fn c() -> Common {
        Common { windows_batch_size: 32, ..Common::a() }
    }

    /// 5,000 steps at 0.0001.
    pub fn b() -> Common {
        Common { max_steps: 5000, learning_rate: 1e-4, ..Common::a() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let counts = [
            ("input_size", self.input_size.unwrap_or(1)),
            ("max_steps", self.max_steps),
            ("val_check_steps", self.val_check_steps),
            ("batch_size", self.batch_size),
            ("windows_batch_size", self.windows_batch_size),
            ("step_size", self.step_size),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return Err(ForecastError::option(*name, 0, "it must be at least 1"));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(ForecastError::option("learning_rate", self.learning_rate, "it must be positive"));
        }
        match self.training_data_availability_threshold.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            Some(share) => {
                let want = "shares are between 0 and 1";
                Err(ForecastError::option("training_data_availability_threshold", share, want))
            }
            None => Ok(()),
        }
    }

    /// How much each step of the horizon counts; nothing where all count alike.
    pub(crate) fn steps_count(&self) -> &[f32] {
        self.horizon_weight.as_deref().unwrap_or_default()
    }

    /// Refuses weights of another number of steps than are forecast, and those that are none.
    pub(crate) fn check_horizon(&self, h: usize) -> Result<()> {
        let Some(weights) = &self.horizon_weight else { return Ok(()) };
        let want = match weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite())) {
            _ if weights.len() != h => format!("it has {} numbers: {h} are needed, one for each step", weights.len()),
            Some(weight) => format!("{weight} is among them: each must be 0 or more"),
            None if weights.iter().all(|weight| *weight == 0.0) => "some step must count".to_owned(),
            None => return Ok(()),
        };
        Err(ForecastError::option("horizon_weight", format!("{weights:?}"), want))
    }

    /// Steps after which the rate is halved.
    pub(crate) fn halvings(&self) -> Vec<usize> {
        let decays = usize::try_from(self.num_lr_decays).unwrap_or(0);
        let every = (self.max_steps / decays.max(1)).max(1);
        // As a scheduler counts that steps on every `every` steps; what falls on the last step is never used.
        if decays == 0 {
            Vec::new()
        } else {
            (1..).map(|n| n * every).take_while(|step| *step < self.max_steps).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_halved_after_every_third() {
        assert_eq!(Common::a3().halvings(), [333, 666, 999]);
        assert!(Common::b().halvings().is_empty());
        assert_eq!(Common { max_steps: 2, ..Common::a3() }.halvings(), [1]);
    }

    #[test]
    fn weights_of_a_horizon_are_as_many_as_its_steps() {
        let said = |weights: &[f32], h: usize| {
            let common = Common { horizon_weight: Some(weights.to_vec()), ..Common::a() };
            common.check_horizon(h).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(said(&[0.0, 2.0], 2), "");
        assert!(said(&[1.0, 2.0], 3).contains("it has 2 numbers: 3 are needed"), "{}", said(&[1.0, 2.0], 3));
        assert!(said(&[1.0, -2.0], 2).contains("-2 is among them"));
        assert!(said(&[1.0, f32::NAN], 2).contains("NaN is among them"));
        assert!(said(&[0.0, 0.0], 2).contains("some step must count"));
        assert!(said(&[], 1).contains("1 are needed"));
        assert!(Common::a().check_horizon(7).is_ok() && Common::a().steps_count().is_empty());
    }

    #[test]
    fn counts_of_zero_are_refused_by_name() {
        let bad = Common { val_check_steps: 0, ..Common::a() };
        assert_eq!(bad.check().unwrap_err().to_string(), "val_check_steps is 0; it must be at least 1");
        assert!(Common { learning_rate: f32::NAN, ..Common::a() }.check().is_err());
        assert!(Common { training_data_availability_threshold: [0.0, 1.5], ..Common::a() }.check().is_err());
    }
}
