//! A form, fitted to a series.
use super::super::Normal;
use super::form::EtsForm;
use super::recursion::{EtsWeights, States};
use super::search::{self, Found};
use super::space::Space;
use super::{start, variance};

/// Values at most: what lies before the last so many is forgotten by any weights worth finding, and a search takes so many times their number.
const LONGEST: usize = 2048;
/// Exponential smoothing of one form, fitted to a series by its likelihood.
#[derive(Clone, Debug)]
pub struct Ets {
    form: EtsForm,
    weights: EtsWeights,
    /// States behind the last value, of a series scaled to a mean of 1.
    end: States,
    /// The place in the season of the next value.
    place: usize,
    scale: f64,
    /// Of a step's error, in the form's sense.
    variance: f64,
    likelihood: f64,
    aicc: f64,
}

impl Ets {
    /// The likeliest model of this form for a series that repeats itself after `season` values (1 for none). Of a series of more than 2,048 values the last so many are fitted.
    ///
    /// `None` where the form does not suit: multiplicative parts want values above zero, seasonal ones a season that the series is longer than, every
    /// form more values than it has figures, and of a constant series there is nothing to fit.
    pub fn fit(form: EtsForm, y: &[f64], season: usize) -> Option<Ets> {
        let y = &y[y.len().saturating_sub(LONGEST)..];
        let (scale, scaled) = scaled(y)?;
        let m = if form.has_season() { season } else { 1 };
        let is_positive = y.iter().all(|y| *y > 0.0);
        // The variance is a figure as well, and AICc divides by what is left but one.
        let is_long = y.len() > form.figures(m).saturating_add(2);
        if !is_long || (form.has_season() && m < 2) || (form.needs_positive() && !is_positive) {
            return None;
        }
        let space = Space::new(form, m);
        let found = search::likeliest(&space, start::rows(&space, &scaled), &scaled)?;
        Ets::new(&space, &found, &scaled, scale)
    }

    fn new(space: &Space, found: &Found, y: &[f64], scale: f64) -> Option<Ets> {
        let (form, weights) = (space.form, space.weights(&found.row));
        let mut end = space.states(&found.row);
        let errors = end.follow(form, &weights, y)?;
        let (n, k) = (y.len() as f64, (space.len() + 1) as f64);
        let likelihood = -0.5 * (errors.cost(y.len()) + 2.0 * n * scale.ln());
        let aicc = -2.0 * likelihood + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0);
        let variance = errors.squares / (n - k + 1.0);
        Some(Ets { form, weights, end, place: y.len() % space.m, scale, variance, likelihood, aicc })
    }

    /// Its form.
    pub fn form(&self) -> EtsForm {
        self.form
    }

    /// How much an error changes each state.
    pub fn weights(&self) -> EtsWeights {
        self.weights
    }

    /// Logarithm of the likelihood, less what is the same for all forms: R's `loglik`.
    pub fn log_likelihood(&self) -> f64 {
        self.likelihood
    }

    /// Akaike's criterion, corrected for short series.
    pub fn aicc(&self) -> f64 {
        self.aicc
    }

    /// Standard error of a step: of the value, or of its ratio to the forecast where errors are multiplicative.
    pub fn sigma(&self) -> f64 {
        let unit = if self.form.needs_scale() { self.scale } else { 1.0 };
        self.variance.sqrt() * unit
    }

    /// The next `h` values if nothing unexpected happens, and their standard errors.
    pub fn forecast(&self, h: usize) -> Normal {
        let mean = self.end.ahead(self.form, &self.weights, self.place, h);
        let sigma = variance::errors(self.form, &self.weights, &self.end, self.place, self.variance, &mean);
        let back = |values: Vec<f64>| values.into_iter().map(|v| v * self.scale).collect();
        Normal { mean: back(mean), sigma: back(sigma) }
    }
}

/// The series by the mean of its sizes, so that bounds and tolerances fit any unit.
fn scaled(y: &[f64]) -> Option<(f64, Vec<f64>)> {
    let first = *y.first()?;
    let largest = y.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
    // By the largest first: a sum of sizes may be too large, or too small, to be told.
    let share = y.iter().map(|y| y.abs() / largest).sum::<f64>() / y.len() as f64;
    let scale = largest * share;
    let is_sound = y.iter().all(|y| y.is_finite()) && scale.is_normal() && y.iter().any(|y| *y != first);
    is_sound.then(|| (scale, y.iter().map(|y| y / scale).collect()))
}
