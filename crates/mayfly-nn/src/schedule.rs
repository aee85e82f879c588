//! How the learning rate changes over a training: a factor on the algorithm's own rate.
use crate::error::{NnError, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The factor on the learning rate, by the position in the training. `at` counts epochs, parts of them included where the number of rows is known.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// Epochs between two changes.
        every: usize,
        /// What the rate is multiplied by.
        factor: f32,
    },
    /// Multiplied by `factor` at each of these places in the training, within epochs too: after half an epoch is 0.5.
    At {
        /// Epochs and parts of epochs after which the rate changes.
        epochs: Vec<f64>,
        /// What the rate is multiplied by.
        factor: f32,
    },
    /// Multiplied by `factor` each epoch, smoothly.
    Exponential {
        /// What the rate is multiplied by in an epoch.
        factor: f32,
    },
    /// Rises from 0 for `warmup` epochs, then falls along half a cosine to `floor` at the last epoch (Loshchilov & Hutter 2017).
    Cosine {
        /// Epochs of warm-up.
        #[serde(default)]
        warmup: f32,
        /// The factor at the end.
        #[serde(default)]
        floor: f32,
    },
    /// Rises from `start` to 1 over the share `rise` of the training, then falls to `end`, both along half a cosine (Smith & Topin 2018).
    OneCycle {
        /// Share of the epochs in which the rate rises.
        rise: f32,
        /// The factor at the beginning.
        start: f32,
        /// The factor at the end.
        end: f32,
    },
    /// Multiplied by `factor` whenever the loss has not become lower for `patience` epochs.
    Plateau {
        /// What the rate is multiplied by.
        factor: f32,
        /// Epochs without a lower loss.
        patience: usize,
    },
}

/// What rounding may take from a place in the training: far less than a step.
const AT_ONCE: f64 = 1e-9;

/// Halfway along a cosine: 1 at 0, 0 at 1.
fn fall(share: f64) -> f64 {
    0.5 * (1.0 + libm::cos(PI * share.clamp(0.0, 1.0)))
}

impl Schedule {
    /// The names on the command line.
    pub const NAMES: [&str; 4] = ["constant", "plateau", "cosine", "one_cycle"];

    /// The schedule of this name with settings that suit most trainings: `plateau` divides the rate by 3 whenever the loss has not fallen for eight
    /// epochs, `cosine` lets it fall to zero, `one_cycle` lets it rise for three tenths of the epochs and then fall to almost nothing.
    ///
    /// # Errors
    /// A name that is not among [`Schedule::NAMES`].
    pub fn by_name(name: &str) -> Result<Schedule> {
        match name {
            "constant" => Ok(Schedule::Constant),
            "plateau" => Ok(Schedule::Plateau { factor: 1.0 / 3.0, patience: 8 }),
            "cosine" => Ok(Schedule::Cosine { warmup: 0.0, floor: 0.0 }),
            "one_cycle" => Ok(Schedule::OneCycle { rise: 0.3, start: 0.04, end: 1e-3 }),
            _ => Err(NnError::UnknownName {
                kind: "schedule",
                name: name.to_owned(),
                known: Schedule::NAMES.map(str::to_owned).to_vec(),
            }),
        }
    }

    /// The factor after `at` of `epochs` epochs. [`Schedule::Plateau`] depends on the losses too and is 1 here.
    pub fn factor(&self, at: f64, epochs: usize) -> f32 {
        let share = at / (epochs.max(1) as f64);
        let factor = match self {
            Schedule::Constant | Schedule::Plateau { .. } => 1.0,
            Schedule::Step { every, factor } => libm::pow(f64::from(*factor), (at / (*every).max(1) as f64).floor()),
            Schedule::At { epochs, factor } => {
                let passed = epochs.iter().filter(|place| at + AT_ONCE >= **place).count();
                libm::pow(f64::from(*factor), passed as f64)
            }
            Schedule::Exponential { factor } => libm::pow(f64::from(*factor), at),
            Schedule::Cosine { warmup, floor } => {
                let (warmup, floor) = (f64::from(*warmup), f64::from(*floor));
                let rest = (epochs as f64 - warmup).max(f64::MIN_POSITIVE);
                if at < warmup { at / warmup } else { floor + (1.0 - floor) * fall((at - warmup) / rest) }
            }
            Schedule::OneCycle { rise, start, end } => {
                let (rise, start, end) = (f64::from(*rise), f64::from(*start), f64::from(*end));
                if share < rise {
                    1.0 - (1.0 - start) * fall(share / rise)
                } else {
                    end + (1.0 - end) * fall((share - rise) / (1.0 - rise))
                }
            }
        };
        factor as f32
    }

    /// Whether the factor changes within an epoch.
    pub(crate) fn is_smooth(&self) -> bool {
        use Schedule::{At, Cosine, Exponential, OneCycle};
        matches!(self, At { .. } | Exponential { .. } | Cosine { .. } | OneCycle { .. })
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refused = |want: &str| Err(NnError::option("schedule", format!("{self:?}"), want));
        let factor_fits = |f: f32| f > 0.0 && f.is_finite();
        match self {
            Schedule::Step { every: 0, .. } => refused("every must be at least 1"),
            Schedule::At { epochs, .. } if !epochs.iter().all(|place| *place >= 0.0 && place.is_finite()) => {
                refused("the places must not be negative")
            }
            Schedule::Step { factor, .. }
            | Schedule::At { factor, .. }
            | Schedule::Exponential { factor }
            | Schedule::Plateau { factor, .. }
                if !factor_fits(*factor) =>
            {
                refused("the factor must be positive")
            }
            Schedule::Cosine { warmup, floor }
                if !(*warmup >= 0.0 && warmup.is_finite() && (0.0..=1.0).contains(floor)) =>
            {
                refused("warmup must not be negative and floor be between 0 and 1")
            }
            Schedule::OneCycle { rise, start, end }
                if !(*rise > 0.0
                    && *rise < 1.0
                    && (0.0..=f32::MAX).contains(start)
                    && (0.0..=f32::MAX).contains(end)) =>
            {
                refused("rise must be between 0 and 1, start and end not negative")
            }
            _ => Ok(()),
        }
    }
}

/// The state of [`Schedule::Plateau`].
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Plateau {
    /// The factor now.
    #[serde(with = "crate::bits")]
    pub factor: f64,
    /// The lowest loss so far.
    #[serde(with = "crate::bits")]
    pub best: f64,
    /// Epochs since then.
    pub waited: usize,
}

impl Default for Plateau {
    fn default() -> Self {
        Plateau { factor: 1.0, best: f64::INFINITY, waited: 0 }
    }
}

impl Plateau {
    /// Takes an epoch's loss into account.
    pub(crate) fn observe(&mut self, schedule: &Schedule, loss: f64) {
        let Schedule::Plateau { factor, patience } = schedule else { return };
        if loss < self.best {
            (self.best, self.waited) = (loss, 0);
            return;
        }
        self.waited += 1;
        if self.waited > *patience {
            self.factor *= f64::from(*factor);
            self.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(schedule: &Schedule, points: &[f64]) -> Vec<f32> {
        points.iter().map(|p| schedule.factor(*p, 10)).collect()
    }

    fn close(got: &[f32], want: &[f32]) {
        assert!(
            got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6),
            "{got:?} instead of {want:?}"
        );
    }

    #[test]
    fn factors_by_hand() {
        close(&at(&Schedule::Constant, &[0.0, 9.9]), &[1.0, 1.0]);
        close(
            &at(&Schedule::Step { every: 3, factor: 0.5 }, &[0.0, 2.99, 3.0, 8.0, 9.0]),
            &[1.0, 1.0, 0.5, 0.25, 0.125],
        );
        let places = Schedule::At { epochs: vec![0.3, 2.5], factor: 0.5 };
        close(&at(&places, &[0.0, 0.29, 0.1 + 0.2, 2.4, 2.5, 9.0]), &[1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        close(&at(&Schedule::Exponential { factor: 0.25 }, &[0.0, 0.5, 2.0]), &[1.0, 0.5, 0.0625]);
        close(
            &at(&Schedule::Cosine { warmup: 2.0, floor: 0.2 }, &[0.0, 1.0, 2.0, 6.0, 10.0, 12.0]),
            &[0.0, 0.5, 1.0, 0.6, 0.2, 0.2],
        );
        close(&at(&Schedule::Cosine { warmup: 0.0, floor: 0.0 }, &[0.0, 5.0, 10.0]), &[1.0, 0.5, 0.0]);
        let cycle = Schedule::OneCycle { rise: 0.4, start: 0.1, end: 0.02 };
        close(&at(&cycle, &[0.0, 2.0, 4.0, 7.0, 10.0]), &[0.1, 0.55, 1.0, 0.51, 0.02]);
    }

    #[test]
    fn a_plateau_lowers_the_rate_and_a_lower_loss_resets_the_wait() {
        let schedule = Schedule::Plateau { factor: 0.1, patience: 1 };
        let mut state = Plateau::default();
        let factors: Vec<f32> = [3.0, 2.0, 2.0, 1.9, 1.9, 1.9, 1.9, 1.9]
            .into_iter()
            .map(|loss| {
                state.observe(&schedule, loss);
                state.factor as f32
            })
            .collect();
        close(&factors, &[1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01]);
    }

    #[test]
    fn named_schedules_are_within_range() {
        for name in Schedule::NAMES {
            Schedule::by_name(name).unwrap().check().unwrap();
        }
        assert!(Schedule::by_name("plato").unwrap_err().to_string().contains("one_cycle"));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let bad = [
            Schedule::Step { every: 0, factor: 0.5 },
            Schedule::At { epochs: vec![1.0, -0.5], factor: 0.5 },
            Schedule::At { epochs: vec![1.0], factor: 0.0 },
            Schedule::Exponential { factor: 0.0 },
            Schedule::Exponential { factor: f32::NAN },
            Schedule::Cosine { warmup: -1.0, floor: 0.0 },
            Schedule::Cosine { warmup: 0.0, floor: 1.5 },
            Schedule::OneCycle { rise: 1.0, start: 0.1, end: 0.0 },
            Schedule::Plateau { factor: -0.5, patience: 3 },
        ];
        for schedule in bad {
            assert!(schedule.check().is_err(), "{schedule:?}");
        }
    }
}
