//! Standard errors of forecasts (Hyndman et al. 2008, chapter 6): exact where additive trends and multiplicative errors leave them so, else of seeded paths.
use super::form::{EtsForm, Part};
use super::recursion::{EtsWeights, States};
use mayfly_base::Rng;

/// Paths where there is no formula.
const PATHS: usize = 2000;

/// Standard errors of the steps whose forecasts are `mean`, from the states before the first, which has this place in the season.
pub(super) fn errors(
    form: EtsForm,
    weights: &EtsWeights,
    states: &States,
    place: usize,
    variance: f64,
    mean: &[f64],
) -> Vec<f64> {
    let variances = match (form.error, form.trend, form.season) {
        (_, Part::Multiplicative, _) | (Part::Additive, _, Part::Multiplicative) => {
            return of_paths(form, weights, states, place, variance, mean.len());
        }
        (Part::Additive, ..) => linear(form, weights, states.season.len(), variance, mean.len()),
        (_, _, Part::Multiplicative) => by_factors(form, weights, states, place, variance, mean.len()),
        _ => relative(form, weights, states.season.len(), variance, mean),
    };
    variances.into_iter().map(|v| v.max(0.0).sqrt()).collect()
}

/// What an error of a step is to the value `k = 1, 2, …` steps later.
fn echoes(form: EtsForm, weights: &EtsWeights, m: usize, h: usize) -> Vec<f64> {
    let (mut power, mut slope) = (1.0, 0.0);
    let echo = |k: usize| {
        power *= weights.phi;
        slope += power;
        let season = if form.has_season() && k.is_multiple_of(m) { weights.gamma } else { 0.0 };
        weights.alpha + weights.beta * slope + season
    };
    (1..h).map(echo).collect()
}

/// Additive throughout: every error before adds its echo.
fn linear(form: EtsForm, weights: &EtsWeights, m: usize, variance: f64, h: usize) -> Vec<f64> {
    let echoes = echoes(form, weights, m, h);
    let add = |sum: &mut f64, echo: f64| {
        *sum += variance * echo * echo;
        Some(*sum)
    };
    [0.0].into_iter().chain(echoes).scan(variance, |sum, echo| add(sum, echo)).take(h).collect()
}

/// Errors relative to forecasts, additive states: the squares of forecasts to come are themselves uncertain.
fn relative(form: EtsForm, weights: &EtsWeights, m: usize, variance: f64, mean: &[f64]) -> Vec<f64> {
    let echoes = echoes(form, weights, m, mean.len());
    let mut squares: Vec<f64> = Vec::with_capacity(mean.len());
    for (k, mean) in mean.iter().enumerate() {
        let before: f64 = echoes[..k].iter().zip(squares.iter().rev()).map(|(echo, square)| echo * echo * square).sum();
        squares.push(mean * mean + variance * before);
    }
    squares.iter().zip(mean).map(|(square, mean)| (1.0 + variance) * square - mean * mean).collect()
}

/// Errors and season multiplicative, trend additive. The season's part of an error is a factor, and level and slope go on without the season, so that a value
/// is trend · start of its place · (1 + γε) of every error at its place before · (1 + ε): moments of level and slope are carried along with those factors.
fn by_factors(form: EtsForm, weights: &EtsWeights, states: &States, place: usize, variance: f64, h: usize) -> Vec<f64> {
    let m = states.season.len();
    let one = |step: usize| {
        let mut moments = Moments::new(form, states);
        for before in 0..step {
            let gamma = if (step - before).is_multiple_of(m) { weights.gamma } else { 0.0 };
            moments.carry(weights, gamma, variance);
        }
        let (mean, square) = moments.of_trend(weights);
        let season = states.season[(place + step) % m];
        season * season * ((1.0 + variance) * square - mean * mean)
    };
    (0..h).map(one).collect()
}

/// Means and second moments of level and slope.
struct Moments {
    level: f64,
    slope: f64,
    level_level: f64,
    level_slope: f64,
    slope_slope: f64,
}

impl Moments {
    fn new(form: EtsForm, states: &States) -> Moments {
        let (level, slope) = (states.level, if form.has_trend() { states.slope } else { 0.0 });
        Moments { level, slope, level_level: level * level, level_slope: level * slope, slope_slope: slope * slope }
    }

    /// Mean and square of level and slope together.
    fn of_trend(&self, weights: &EtsWeights) -> (f64, f64) {
        let phi = weights.phi;
        let square = self.level_level + 2.0 * phi * self.level_slope + phi * phi * self.slope_slope;
        (self.level + phi * self.slope, square)
    }

    /// A step whose error counts as the factor 1 + γε in what is asked for. With q the trend and c the slope as damped,
    /// the level is q (1 + αε), the slope c + βqε; ε is normal: its third moment is 0, its fourth three squares of its variance.
    fn carry(&mut self, weights: &EtsWeights, gamma: f64, variance: f64) {
        let EtsWeights { alpha, beta, phi, .. } = *weights;
        let (q, qq) = self.of_trend(weights);
        let c = phi * self.slope;
        let qc = phi * (self.level_slope + phi * self.slope_slope);
        let cc = phi * phi * self.slope_slope;
        // Means of 1, ε and ε² by the factor, and by its square.
        let mean = [1.0, gamma * variance];
        let fourth = 3.0 * variance * variance;
        let square = [1.0 + gamma * gamma * variance, 2.0 * gamma * variance, variance + gamma * gamma * fourth];
        self.level = q * (mean[0] + alpha * mean[1]);
        self.slope = c * mean[0] + beta * q * mean[1];
        self.level_level = qq * (square[0] + 2.0 * alpha * square[1] + alpha * alpha * square[2]);
        self.level_slope = qc * (square[0] + alpha * square[1]) + beta * qq * (square[1] + alpha * square[2]);
        self.slope_slope = cc * square[0] + 2.0 * beta * qc * square[1] + beta * beta * qq * square[2];
    }
}

/// Half of what lies between the quantiles one standard error off, of simulated paths: a few that run away, as they do where states divide, do not count.
fn of_paths(form: EtsForm, weights: &EtsWeights, start: &States, place: usize, variance: f64, h: usize) -> Vec<f64> {
    let mut rng = Rng::new(1);
    let (m, sigma) = (start.season.len().max(1), variance.sqrt());
    let mut steps = vec![Vec::with_capacity(PATHS); h];
    for _ in 0..PATHS {
        let (mut states, mut last) = (start.clone(), 0.0);
        for (k, step) in steps.iter_mut().enumerate() {
            let place = (place + k) % m;
            let error = sigma * rng.normal();
            // A path whose states are no longer any stays where it was.
            if let Some(ahead) = states.outlook(form, weights, place) {
                last = match form.error {
                    Part::Multiplicative => ahead.mean * (1.0 + error.max(-1.0)),
                    _ => ahead.mean + error,
                };
                states.update(form, weights, place, &ahead, last);
            }
            step.push(last);
        }
    }
    let width = |mut step: Vec<f64>| {
        step.sort_by(f64::total_cmp);
        let at = |share: f64| step[(share * (PATHS - 1) as f64).round() as usize];
        0.5 * (at(0.841344746) - at(0.158655254))
    };
    steps.into_iter().map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(form: EtsForm) -> (EtsWeights, States) {
        let slope = if form.trend == Part::Multiplicative { 1.02 } else { 0.05 };
        let season = match form.season {
            Part::None => vec![0.0],
            Part::Additive => vec![0.2, -0.3, 0.1],
            Part::Multiplicative => vec![1.2, 0.7, 1.1],
        };
        let phi = if form.damped { 0.85 } else { 1.0 };
        let beta = if form.has_trend() { 0.2 } else { 0.0 };
        let gamma = if form.has_season() { 0.35 } else { 0.0 };
        (EtsWeights { alpha: 0.45, beta, gamma, phi }, States { level: 1.3, slope, season })
    }

    /// Every formula against the spread of very many paths, and the paths of forms without one against themselves by quantiles.
    #[test]
    fn errors_are_those_of_paths() {
        let (h, place, paths) = (8, 1, 30_000);
        for form in EtsForm::all() {
            let (weights, start) = some(form);
            let sigma: f64 = if form.error == Part::Multiplicative { 0.09 } else { 0.03 };
            let mean = start.ahead(form, &weights, place, h);
            let got = errors(form, &weights, &start, place, sigma * sigma, &mean);
            let mut rng = Rng::new(3);
            let mut sums = vec![(0.0, 0.0); h];
            for _ in 0..paths {
                let mut states = start.clone();
                for (k, (sum, squares)) in sums.iter_mut().enumerate() {
                    let place = (place + k) % start.season.len();
                    let ahead = states.outlook(form, &weights, place).unwrap();
                    let unit = if form.error == Part::Multiplicative { ahead.mean } else { 1.0 };
                    let y = ahead.mean + unit * sigma * rng.normal();
                    (*sum, *squares) = (*sum + y, *squares + y * y);
                    states.update(form, &weights, place, &ahead, y);
                }
            }
            let is_exact = form.is_candidate();
            for (k, ((sum, squares), got)) in sums.iter().zip(&got).enumerate() {
                let n = f64::from(paths);
                let want = (squares / n - (sum / n) * (sum / n)).sqrt();
                let tolerance = if is_exact { 0.018 } else { 0.08 };
                assert!((got / want - 1.0).abs() < tolerance, "{form} {k}: {got} instead of {want}");
            }
        }
    }
}
