//! How errors change with every figure: slopes are carried along with the states, and gathered into the equations of Gauss and Newton.
use super::form::{EtsForm, Part};
use super::recursion::{EtsWeights, Outlook, States};
use super::space::{Slopes, Space};

/// Equations of a step towards the least `squares · exp(2 · mean of logs)`, which is least where the likelihood is largest.
pub(super) struct Equations {
    /// Of all pairs of figures, a row each.
    pub(super) matrix: Vec<f64>,
    /// Half the slope of the sum of squares.
    pub(super) slope: Vec<f64>,
}

/// What a step is to each of its causes: coefficients that are the same for all figures.
struct Linear {
    carried: [f64; 2],
    trend: [f64; 2],
    /// Of the season in the error that changes the states, and of trend and season in the forecast.
    error: f64,
    mean: [f64; 2],
    /// Of the level in the slope, and what an error of the series adds by the weight.
    slope: [f64; 3],
    season: [f64; 3],
    /// The error that changes the level.
    level: f64,
}

impl Linear {
    fn new(form: EtsForm, weights: &EtsWeights, states: &States, ahead: &Outlook, y: f64) -> Linear {
        let EtsWeights { beta, gamma, phi, .. } = *weights;
        let (carried, trend) = match form.trend {
            Part::None => ([0.0, 0.0], [1.0, 0.0]),
            Part::Additive => ([phi, states.slope], [1.0, 1.0]),
            Part::Multiplicative => {
                let carried = [phi * ahead.carried / states.slope, ahead.carried * states.slope.ln()];
                (carried, [ahead.carried, states.level])
            }
        };
        let (error, level, mean) = match form.season {
            Part::None => (0.0, y - ahead.mean, [1.0, 0.0]),
            Part::Additive => (1.0, y - ahead.mean, [1.0, 1.0]),
            Part::Multiplicative => {
                let level = y / ahead.season - ahead.trend;
                (y / (ahead.season * ahead.season), level, [ahead.season, ahead.trend])
            }
        };
        let slope = match form.trend {
            Part::None => [0.0; 3],
            Part::Additive => [level, beta, 0.0],
            Part::Multiplicative => {
                [level / states.level, beta / states.level, -beta * level / (states.level * states.level)]
            }
        };
        let season = match form.season {
            Part::None => [0.0; 3],
            Part::Additive => [1.0 - gamma, level, -gamma],
            Part::Multiplicative => {
                let ratio = y / ahead.trend;
                [1.0 - gamma, ratio - ahead.season, -gamma * ratio / ahead.trend]
            }
        };
        Linear { carried, trend, error, mean, slope, season, level }
    }

    /// Carries the slopes of the states over a step; what the forecast's are is left in `mean`.
    fn carry(&self, alpha: f64, of: &mut Slopes, place: usize, mean: &mut [f64]) {
        let k = mean.len();
        let season = &mut of.season[place * k..][..k];
        let weights = (&of.alpha[..k], &of.beta[..k], &of.gamma[..k], &of.phi[..k]);
        self.carry_all(
            alpha,
            mean,
            &mut of.level[..k],
            &mut of.slope[..k],
            season,
            weights.0,
            weights.1,
            weights.2,
            weights.3,
        );
    }

    /// The same. Slices that are arguments are known to lie apart, and the loop becomes one of vectors.
    fn carry_all(
        &self,
        alpha: f64,
        mean: &mut [f64],
        level: &mut [f64],
        slope: &mut [f64],
        season: &mut [f64],
        d_alpha: &[f64],
        d_beta: &[f64],
        d_gamma: &[f64],
        d_phi: &[f64],
    ) {
        let k = mean.len();
        let (level, slope, season) = (&mut level[..k], &mut slope[..k], &mut season[..k]);
        let (d_alpha, d_beta, d_gamma, d_phi) = (&d_alpha[..k], &d_beta[..k], &d_gamma[..k], &d_phi[..k]);
        for j in 0..k {
            let carried = self.carried[0] * slope[j] + self.carried[1] * d_phi[j];
            let trend = self.trend[0] * level[j] + self.trend[1] * carried;
            let error = -trend - self.error * season[j];
            mean[j] = self.mean[0] * trend + self.mean[1] * season[j];
            slope[j] = carried + self.slope[0] * d_beta[j] + self.slope[1] * error + self.slope[2] * level[j];
            level[j] = trend + self.level * d_alpha[j] + alpha * error;
            season[j] = self.season[0] * season[j] + self.season[1] * d_gamma[j] + self.season[2] * trend;
        }
    }
}

impl Equations {
    /// Those at a row of figures.
    pub(super) fn at(space: &Space, row: &[f64], y: &[f64]) -> Option<Equations> {
        let (form, k) = (space.form, space.len());
        let (weights, mut states, mut slopes) = (space.weights(row), space.states(row), space.slopes(row));
        let mut sums = Sums::new(k);
        let mut logs_slope = vec![0.0; k];
        let mut change = vec![0.0; k];
        for (t, y) in y.iter().enumerate() {
            let place = t % space.m;
            let ahead = states.outlook(form, &weights, place)?;
            Linear::new(form, &weights, &states, &ahead, *y).carry(weights.alpha, &mut slopes, place, &mut change);
            states.update(form, &weights, place, &ahead, *y);
            if form.error == Part::Multiplicative {
                logs_slope.iter_mut().zip(&change).for_each(|(sum, c)| *sum += c / ahead.mean);
                sums.add((y - ahead.mean) / ahead.mean, -y / (ahead.mean * ahead.mean), &change);
            } else {
                sums.add(y - ahead.mean, -1.0, &change);
            }
        }
        let n = y.len() as f64;
        logs_slope.iter_mut().for_each(|sum| *sum /= n);
        sums.equations(&logs_slope)
    }
}

/// Steps whose products are added at once, so that a sum is read and written once for all of them, and sums that are added side by side.
const AT_ONCE: usize = 4;

/// Sums over the series of products of errors and their slopes.
struct Sums {
    k: usize,
    /// Values of a row: figures, rounded up.
    width: usize,
    /// The lower half, and what is right of it up to a multiple of four.
    matrix: Vec<f64>,
    slope: Vec<f64>,
    squares: f64,
    rows: [Vec<f64>; AT_ONCE],
    filled: usize,
}

impl Sums {
    fn new(k: usize) -> Sums {
        let width = k.next_multiple_of(AT_ONCE);
        let rows = std::array::from_fn(|_| vec![0.0; width]);
        Sums { k, width, matrix: vec![0.0; k * width], slope: vec![0.0; k], squares: 0.0, rows, filled: 0 }
    }

    /// An error whose slopes are so many times these.
    fn add(&mut self, error: f64, times: f64, change: &[f64]) {
        self.squares += error * error;
        let row = &mut self.rows[self.filled];
        for ((row, slope), c) in row.iter_mut().zip(&mut self.slope).zip(change) {
            *row = times * c;
            *slope += *row * error;
        }
        self.filled += 1;
        if self.filled == AT_ONCE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.rows[self.filled..].iter_mut().for_each(|row| row.fill(0.0));
        let [a, b, c, d] = &self.rows;
        for (i, sums) in self.matrix.chunks_exact_mut(self.width).enumerate() {
            let n = (i + 1).next_multiple_of(AT_ONCE);
            add_products(&mut sums[..n], [a[i], b[i], c[i], d[i]], &a[..n], &b[..n], &c[..n], &d[..n]);
        }
        self.filled = 0;
    }

    /// Errors times the geometric mean of the forecasts, whose logarithm has this slope: each has a part more, the same share of every error.
    fn equations(mut self, logs_slope: &[f64]) -> Option<Equations> {
        self.flush();
        let Sums { k, width, matrix: sums, mut slope, squares, .. } = self;
        let mut matrix = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..=i {
                let both = logs_slope[i] * logs_slope[j] * squares;
                let sum = sums[i * width + j] + logs_slope[i] * slope[j] + logs_slope[j] * slope[i] + both;
                (matrix[i * k + j], matrix[j * k + i]) = (sum, sum);
            }
        }
        slope.iter_mut().zip(logs_slope).for_each(|(s, log)| *s += log * squares);
        let is_finite = matrix.iter().chain(&slope).all(|v| v.is_finite());
        is_finite.then_some(Equations { matrix, slope })
    }
}

/// `sums += times · rows`; a loop of vectors, as the slices are as long as each other and lie apart.
fn add_products(sums: &mut [f64], times: [f64; AT_ONCE], a: &[f64], b: &[f64], c: &[f64], d: &[f64]) {
    let n = sums.len();
    let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
    for j in 0..n {
        sums[j] += times[0] * a[j] + times[1] * b[j] + (times[2] * c[j] + times[3] * d[j]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::space::Shares;
    use super::*;

    /// Slopes of every form against differences of its cost, at weights and states far from any optimum.
    #[test]
    fn slopes_are_those_of_the_cost() {
        let y: Vec<f64> = (0..23).map(|t| 1.0 + 0.3 * (t as f64 * 1.3).sin() + 0.01 * t as f64).collect();
        for form in EtsForm::all() {
            let space = Space::new(form, 4);
            let shares = Shares { alpha: 0.4, beta: 0.3, gamma: 0.35, phi: 0.6 };
            let (slope, season) = match (form.trend, form.season) {
                (Part::Multiplicative, Part::Multiplicative) => (1.05, vec![0.9, 1.2, 1.1, 0.8]),
                (Part::Multiplicative, _) => (1.05, vec![0.1, -0.2, 0.15, -0.05]),
                (_, Part::Multiplicative) => (0.04, vec![0.9, 1.2, 1.1, 0.8]),
                _ => (0.04, vec![0.1, -0.2, 0.15, -0.05]),
            };
            let row = space.row(&shares, &States { level: 0.9, slope, season });
            let equations = Equations::at(&space, &row, &y).unwrap();
            let squares = space.states(&row).follow(form, &space.weights(&row), &y).unwrap().squares;
            let log_cost = |row: &[f64]| {
                let errors = space.states(row).follow(form, &space.weights(row), &y).unwrap();
                errors.cost(y.len()) / y.len() as f64
            };
            for i in 0..space.len() {
                let moved = |by: f64| {
                    let mut row = row.clone();
                    row[i] += by;
                    log_cost(&row)
                };
                let want = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                let got = 2.0 * equations.slope[i] / squares;
                assert!((got - want).abs() < 1e-6 * want.abs().max(1.0), "{form} {i}: {got} instead of {want}");
            }
        }
    }
}
