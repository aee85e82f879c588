//! Scaling of one window by its own inputs.
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};

/// Added to every spread, as NeuralForecast does.
const EPS: f64 = 1e-6;
/// Standard deviations in a median absolute deviation of normal values.
const NORMAL_MAD: f64 = 0.674_489_750_196_081_7;

/// What the values of a window are divided by, and what is taken from them before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaler {
    /// Nothing.
    #[default]
    Identity,
    /// Mean and standard deviation.
    Standard,
    /// Median and median absolute deviation.
    Robust,
    /// To 0 … 1.
    MinMax,
    /// To −1 … 1.
    MinMax1,
    /// The inverse hyperbolic sine of what `Robust` gives, so that outliers count little.
    Invariant,
    /// As `Standard`. What NeuralForecast learns on the way back under distributions is not here, and stays what it is under all other losses.
    Revin,
}

/// The scale of one window. Shift and scale are NeuralForecast's: distributions read them as they are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fitted {
    /// Taken away first.
    pub shift: f32,
    /// Divided by; never 0.
    pub scale: f32,
    /// What is made of the quotient.
    pub curve: Curve,
}

/// What is made of `(value − shift) / scale`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Curve {
    /// Nothing.
    Line,
    /// 0 … 1 becomes −1 … 1.
    Doubled,
    /// The inverse hyperbolic sine of it.
    Asinh,
}

impl Scaler {
    /// The names.
    pub const NAMES: [&str; 7] = ["identity", "standard", "robust", "minmax", "minmax1", "invariant", "revin"];

    /// The scaler of this name.
    ///
    /// # Errors
    /// A name that is not among [`Scaler::NAMES`].
    pub fn by_name(name: &str) -> Result<Scaler> {
        match name {
            "identity" => Ok(Scaler::Identity),
            "standard" => Ok(Scaler::Standard),
            "robust" => Ok(Scaler::Robust),
            "minmax" => Ok(Scaler::MinMax),
            "minmax1" => Ok(Scaler::MinMax1),
            "invariant" => Ok(Scaler::Invariant),
            "revin" => Ok(Scaler::Revin),
            _ => Err(ForecastError::unknown("scaler", name, &Scaler::NAMES)),
        }
    }

    /// The scale of the values that are there. A spread of 0 counts as 1; without values nothing is scaled.
    pub fn fit(self, values: &mut [f64]) -> Fitted {
        if self == Scaler::Identity || values.is_empty() {
            return Fitted { curve: self.curve(), ..Fitted::line(0.0, 1.0) };
        }
        let (shift, spread) = match self {
            Scaler::Identity => (0.0, 1.0),
            Scaler::Standard | Scaler::Revin => mean_and_deviation(values),
            Scaler::Robust | Scaler::Invariant => robust(values),
            Scaler::MinMax | Scaler::MinMax1 => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (low, high - low)
            }
        };
        let scale = if spread > 0.0 { spread } else { 1.0 } + EPS;
        Fitted { shift: shift as f32, scale: scale as f32, curve: self.curve() }
    }

    /// The scale of the values of a series that is scaled as a whole by `local` before.
    pub(super) fn fit_behind(self, values: &mut [f64], [shift, scale]: [f32; 2]) -> Fitted {
        values.iter_mut().for_each(|v| *v = (*v - f64::from(shift)) / f64::from(scale));
        let own = self.fit(values);
        Fitted { shift: shift + scale * own.shift, scale: scale * own.scale, ..own }
    }

    fn curve(self) -> Curve {
        match self {
            Scaler::MinMax1 => Curve::Doubled,
            Scaler::Invariant => Curve::Asinh,
            _ => Curve::Line,
        }
    }
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

fn robust(values: &mut [f64]) -> (f64, f64) {
    let (_, deviation) = mean_and_deviation(values);
    let middle = median(values);
    values.iter_mut().for_each(|v| *v = (*v - middle).abs());
    let spread = median(values);
    (middle, if spread > 0.0 { spread } else { NORMAL_MAD * deviation })
}

/// The lower of the two middle values where there are two, as torch has it.
fn median(values: &mut [f64]) -> f64 {
    let at = values.len().saturating_sub(1) / 2;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

impl Fitted {
    /// A scale without a curve.
    pub const fn line(shift: f32, scale: f32) -> Fitted {
        Fitted { shift, scale, curve: Curve::Line }
    }

    /// To the scale of the network.
    pub fn apply(&self, value: f32) -> f32 {
        let z = self.quotient(value);
        match self.curve {
            Curve::Line => z,
            Curve::Doubled => 2.0 * z - 1.0,
            Curve::Asinh => z.asinh(),
        }
    }

    /// How a value of the data changes with what a network gives for it.
    pub fn slope(&self, value: f32) -> f32 {
        match self.curve {
            Curve::Line => self.scale,
            Curve::Doubled => self.scale / 2.0,
            Curve::Asinh => self.scale * value.cosh(),
        }
    }

    /// `(value − shift) / scale` without the curve, which is what distributions compare with.
    pub(crate) fn quotient(&self, value: f32) -> f32 {
        (value - self.shift) / self.scale
    }

    /// Back.
    pub fn undo(&self, value: f32) -> f32 {
        let Way { shift, scale, bends } = self.way();
        (if bends { value.sinh() } else { value }) * scale + shift
    }

    /// The way back in two numbers, and whether a hyperbolic sine comes before.
    pub(crate) fn way(&self) -> Way {
        let Fitted { shift, scale, curve } = *self;
        match curve {
            Curve::Line => Way { shift, scale, bends: false },
            Curve::Doubled => Way { shift: shift + scale / 2.0, scale: scale / 2.0, bends: false },
            Curve::Asinh => Way { shift, scale, bends: true },
        }
    }
}

/// From the scale of the network to that of the data: `value · scale + shift`, or `sinh(value) · scale + shift`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Way {
    pub(crate) shift: f32,
    pub(crate) scale: f32,
    pub(crate) bends: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [&str; 7] = Scaler::NAMES;

    #[test]
    fn scales_by_hand() {
        let of = |scaler: Scaler, values: &[f64]| scaler.fit(&mut values.to_vec());
        let close = |fitted: Fitted, shift: f32, scale: f32| {
            assert!((fitted.shift - shift).abs() < 1e-5 && (fitted.scale - scale).abs() < 1e-5, "{fitted:?}");
        };
        let values = [1.0, 2.0, 3.0, 10.0];
        close(of(Scaler::Identity, &values), 0.0, 1.0);
        close(of(Scaler::Standard, &values), 4.0, 12.5_f32.sqrt());
        close(of(Scaler::Robust, &values), 2.0, 1.0); // deviations 0 1 1 8: the lower middle is 1
        close(of(Scaler::MinMax, &values), 1.0, 9.0);
        close(of(Scaler::MinMax1, &values), 1.0, 9.0);
        let ends = [1.0, 5.5, 10.0].map(|v| of(Scaler::MinMax1, &values).apply(v));
        assert!(ends.iter().zip([-1.0, 0.0, 1.0]).all(|(got, want)| (got - want).abs() < 1e-5), "{ends:?}");
        // Most values alike: the deviation of normal values stands in.
        close(of(Scaler::Robust, &[5.0, 5.0, 5.0, 9.0]), 5.0, (0.674_489_75 * 3.0_f32.sqrt()).abs());
        for scaler in ALL.map(|name| Scaler::by_name(name).unwrap()) {
            let flat = of(scaler, &[7.0; 4]);
            assert!(flat.scale >= 0.5 && flat.scale <= 1.00001, "{scaler:?}: {flat:?}");
            close(of(scaler, &[]), 0.0, 1.0);
        }
    }

    proptest! {
        #[test]
        fn undoing_is_the_inverse(values in prop::collection::vec(-1e3_f64..1e3, 1..20), probe in -1e3_f32..1e3) {
            for scaler in ALL.map(|name| Scaler::by_name(name).unwrap()) {
                let fitted = scaler.fit(&mut values.clone());
                let back = fitted.undo(fitted.apply(probe));
                // Far from the centre a logarithm keeps fewer digits.
                let slack = 1e-3 * (1.0 + probe.abs() + (probe - fitted.shift).abs());
                prop_assert!((back - probe).abs() <= slack, "{:?}: {} {}", scaler, back, probe);
            }
        }

        #[test]
        fn ranges_are_met(values in prop::collection::vec(-1e3_f64..1e3, 2..20)) {
            let scaled = |scaler: Scaler| -> Vec<f32> {
                let fitted = scaler.fit(&mut values.clone());
                values.iter().map(|v| fitted.apply(*v as f32)).collect()
            };
            // Values that lie close together far from 0 are rounded to 32 bits before they are scaled.
            let spread = values.iter().copied().fold(f64::MIN, f64::max) - values.iter().copied().fold(f64::MAX, f64::min);
            let slack = (1e-3 + 4e-4 / spread.max(1e-6)) as f32;
            prop_assert!(scaled(Scaler::MinMax).iter().all(|v| (-slack..=1.0 + slack).contains(v)));
            prop_assert!(scaled(Scaler::MinMax1).iter().all(|v| (-1.0 - slack..=1.0 + slack).contains(v)));
            let mean = scaled(Scaler::Standard).iter().sum::<f32>() / values.len() as f32;
            prop_assert!(mean.abs() < 1e-2 + slack);
        }
    }
}
