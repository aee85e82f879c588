//! States that follow a series, one value at a time. Errors of both kinds change the states alike, since the multiplicative error is the additive one by the forecast.
use super::form::{EtsForm, Part};

/// Below this a state that has to be positive is none. Series are scaled to a mean of 1.
const TINY: f64 = 1e-10;

/// How much an error changes each state, and how much of a slope stays.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EtsWeights {
    /// Share of an error in the level.
    pub alpha: f64,
    /// Share in the slope; 0 without a trend.
    pub beta: f64,
    /// Share in the season; 0 without one.
    pub gamma: f64,
    /// What is left of a slope after a step; 1 for an undamped trend.
    pub phi: f64,
}

/// What is known before a step.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct States {
    pub(super) level: f64,
    /// A difference or a ratio.
    pub(super) slope: f64,
    /// By place: value `t` has place `t mod m`.
    pub(super) season: Vec<f64>,
}

/// What a step expects, without and with its season.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    /// The slope as it is left by damping.
    pub(super) carried: f64,
    pub(super) trend: f64,
    /// The season's part.
    pub(super) season: f64,
    pub(super) mean: f64,
}

/// A series against a form.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Errors {
    /// Sum of squared errors, each in the form's sense.
    pub(super) squares: f64,
    /// Sum of the logarithms of the forecasts where errors are relative to them, else 0.
    pub(super) logs: f64,
}

impl Errors {
    /// Minus twice the logarithm of the likelihood at its best variance, less what is the same for all forms.
    pub(super) fn cost(&self, n: usize) -> f64 {
        // A perfect fit is none that differs from a value by less than what rounding leaves.
        let n = n as f64;
        n * self.squares.max(n * 1e-24).ln() + 2.0 * self.logs
    }
}

/// A sum of logarithms, as the logarithm of products of a few: a logarithm takes as long as a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logs {
    sum: f64,
    product: f64,
}

impl Default for Logs {
    fn default() -> Logs {
        Logs { sum: 0.0, product: 1.0 }
    }
}

impl Logs {
    pub(super) fn add(&mut self, v: f64) {
        self.product *= v;
        // Far from what is too large or too small for another factor.
        if !(self.product > 1e-100 && self.product < 1e100) {
            *self = Logs { sum: self.sum(), product: 1.0 };
        }
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum + self.product.ln()
    }
}

impl States {
    /// What is expected of the next value, at this place of the season. `None` where a state that must be positive is not.
    #[inline]
    pub(super) fn outlook(&self, form: EtsForm, weights: &EtsWeights, place: usize) -> Option<Outlook> {
        let (carried, trend) = match form.trend {
            Part::None => (0.0, self.level),
            Part::Additive => {
                let carried = weights.phi * self.slope;
                (carried, self.level + carried)
            }
            Part::Multiplicative if self.level > TINY && self.slope > TINY => {
                let carried = if form.damped { self.slope.powf(weights.phi) } else { self.slope };
                (carried, self.level * carried)
            }
            Part::Multiplicative => return None,
        };
        let (season, mean) = match form.season {
            Part::None => (0.0, trend),
            Part::Additive => (self.season[place], trend + self.season[place]),
            Part::Multiplicative if self.season[place] > TINY && trend > TINY => {
                (self.season[place], trend * self.season[place])
            }
            Part::Multiplicative => return None,
        };
        // Written so that NaN is refused as well.
        let is_sound = mean.is_finite() && (form.error == Part::Additive || mean > TINY);
        is_sound.then_some(Outlook { carried, trend, season, mean })
    }

    /// Takes a value in.
    #[inline]
    pub(super) fn update(&mut self, form: EtsForm, weights: &EtsWeights, place: usize, ahead: &Outlook, y: f64) {
        let error = match form.season {
            Part::Multiplicative => y / ahead.season - ahead.trend,
            _ => y - ahead.mean,
        };
        match form.trend {
            Part::None => {}
            Part::Additive => self.slope = ahead.carried + weights.beta * error,
            Part::Multiplicative => self.slope = ahead.carried + weights.beta * error / self.level,
        }
        self.level = ahead.trend + weights.alpha * error;
        match form.season {
            Part::None => {}
            Part::Additive => self.season[place] += weights.gamma * error,
            Part::Multiplicative => self.season[place] += weights.gamma * (y / ahead.trend - ahead.season),
        }
    }

    /// Follows a series from its first value to its last.
    pub(super) fn follow(&mut self, form: EtsForm, weights: &EtsWeights, y: &[f64]) -> Option<Errors> {
        let (mut squares, mut logs, mut place) = (0.0, Logs::default(), 0);
        for y in y {
            let ahead = self.outlook(form, weights, place)?;
            let mut error = y - ahead.mean;
            if form.error == Part::Multiplicative {
                error /= ahead.mean;
                logs.add(ahead.mean);
            }
            squares += error * error;
            self.update(form, weights, place, &ahead, *y);
            place = if place + 1 < self.season.len() { place + 1 } else { 0 };
        }
        let logs = logs.sum();
        f64::is_finite(squares + logs).then_some(Errors { squares, logs })
    }

    /// The next `h` values if nothing unexpected happens, the first at `place`.
    pub(super) fn ahead(&self, form: EtsForm, weights: &EtsWeights, place: usize, h: usize) -> Vec<f64> {
        let mut states = self.clone();
        let m = self.season.len().max(1);
        let mut last = 0.0;
        let one = |k: usize| {
            // Where an extrapolated state is no longer one the last forecast stands.
            if let Some(ahead) = states.outlook(form, weights, (place + k) % m) {
                (states.level, states.slope, last) = (ahead.trend, ahead.carried, ahead.mean);
            }
            last
        };
        (0..h).map(one).collect()
    }
}
