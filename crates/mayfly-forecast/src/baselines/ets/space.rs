//! The figures that a fit has to find, in a row: weights, damping, level, slope, season. Weights are told by where they lie between their bounds.
use super::form::{EtsForm, Part};
use super::recursion::{EtsWeights, States};

/// Bounds of weights, and of damping, as R's `ets` has them.
const WEIGHT: (f64, f64) = (1e-4, 0.9999);
const DAMPING: (f64, f64) = (0.8, 0.98);

/// What the figures of a form mean, with their bounds.
pub(super) struct Space {
    pub(super) form: EtsForm,
    /// Values of a season; 1 without one.
    pub(super) m: usize,
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
}

/// Slopes along the figures, of weights and of starting states.
pub(super) struct Slopes {
    pub(super) alpha: Vec<f64>,
    pub(super) beta: Vec<f64>,
    pub(super) gamma: Vec<f64>,
    pub(super) phi: Vec<f64>,
    pub(super) level: Vec<f64>,
    pub(super) slope: Vec<f64>,
    /// A row a place.
    pub(super) season: Vec<f64>,
}

/// Weights by their place between their bounds, each 0 to 1: the slope's share is at most the level's, and level's and season's together at most 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) gamma: f64,
    pub(super) phi: f64,
}

impl Space {
    pub(super) fn new(form: EtsForm, m: usize) -> Space {
        let m = if form.has_season() { m } else { 1 };
        let mut bounds = vec![WEIGHT];
        bounds.extend(form.has_trend().then_some((0.0, 1.0)));
        bounds.extend(form.has_season().then_some((0.0, 1.0)));
        bounds.extend(form.damped.then_some(DAMPING));
        let free = (f64::NEG_INFINITY, f64::INFINITY);
        let positive = (1e-8, f64::INFINITY);
        bounds.push(if form.needs_positive() && form.trend != Part::Additive { positive } else { free });
        bounds.extend(form.has_trend().then_some(if form.trend == Part::Multiplicative { (1e-3, 1e3) } else { free }));
        let place = if form.season == Part::Multiplicative { (1e-4, m as f64) } else { free };
        bounds.extend(vec![place; m - 1]);
        let (low, high) = bounds.into_iter().unzip();
        Space { form, m, low, high }
    }

    pub(super) fn len(&self) -> usize {
        self.low.len()
    }

    /// Where shares of weights and states are in the row.
    pub(super) fn row(&self, shares: &Shares, states: &States) -> Vec<f64> {
        let between = |(low, high): (f64, f64), share: f64| low + (high - low) * share;
        let mut row = vec![between(WEIGHT, shares.alpha)];
        row.extend(self.form.has_trend().then_some(shares.beta));
        row.extend(self.form.has_season().then_some(shares.gamma));
        row.extend(self.form.damped.then_some(between(DAMPING, shares.phi)));
        row.push(states.level);
        row.extend(self.form.has_trend().then_some(states.slope));
        row.extend(states.season.iter().take(self.m - 1));
        self.clamp(&mut row);
        row
    }

    pub(super) fn clamp(&self, row: &mut [f64]) {
        for ((v, low), high) in row.iter_mut().zip(&self.low).zip(&self.high) {
            *v = v.max(*low).min(*high);
        }
    }

    pub(super) fn weights(&self, row: &[f64]) -> EtsWeights {
        let at = self.places();
        let alpha = row[0];
        let beta = at.beta.map_or(0.0, |i| WEIGHT.0 + (alpha - WEIGHT.0) * row[i]);
        let gamma = at.gamma.map_or(0.0, |i| WEIGHT.0 + (1.0 - alpha - WEIGHT.0) * row[i]);
        EtsWeights { alpha, beta, gamma, phi: at.phi.map_or(1.0, |i| row[i]) }
    }

    /// The states before the first value. A season's last place follows from the others: additive ones sum to 0, multiplicative ones to their number.
    pub(super) fn states(&self, row: &[f64]) -> States {
        let at = self.places();
        let slope = at.slope.map_or(0.0, |i| row[i]);
        let mut season = row[at.season..].to_vec();
        let whole = if self.form.season == Part::Multiplicative { self.m as f64 } else { 0.0 };
        season.push(whole - season.iter().sum::<f64>());
        States { level: row[at.level], slope, season }
    }

    pub(super) fn slopes(&self, row: &[f64]) -> Slopes {
        let (k, at) = (self.len(), self.places());
        let unit = |place: Option<usize>, value: f64| {
            let mut slopes = vec![0.0; k];
            if let Some(place) = place {
                slopes[place] = value;
            }
            slopes
        };
        let mut beta = unit(at.beta, row[0] - WEIGHT.0);
        beta[0] = at.beta.map_or(0.0, |i| row[i]);
        let mut gamma = unit(at.gamma, 1.0 - row[0] - WEIGHT.0);
        gamma[0] = at.gamma.map_or(0.0, |i| -row[i]);
        let mut season = vec![0.0; self.m * k];
        for i in 0..self.m - 1 {
            season[i * k + at.season + i] = 1.0;
            season[(self.m - 1) * k + at.season + i] = -1.0;
        }
        Slopes {
            alpha: unit(Some(0), 1.0),
            beta,
            gamma,
            phi: unit(at.phi, 1.0),
            level: unit(Some(at.level), 1.0),
            slope: unit(at.slope, 1.0),
            season,
        }
    }

    fn places(&self) -> Places {
        let form = self.form;
        let beta = form.has_trend().then_some(1);
        let gamma = form.has_season().then_some(1 + usize::from(form.has_trend()));
        let level = 1 + [form.has_trend(), form.has_season(), form.damped].into_iter().filter(|has| *has).count();
        let phi = form.damped.then_some(level - 1);
        let slope = form.has_trend().then_some(level + 1);
        Places { beta, gamma, phi, level, slope, season: level + 1 + usize::from(form.has_trend()) }
    }
}

/// Where the figures stand; alpha is the first.
struct Places {
    beta: Option<usize>,
    gamma: Option<usize>,
    phi: Option<usize>,
    level: usize,
    slope: Option<usize>,
    season: usize,
}
