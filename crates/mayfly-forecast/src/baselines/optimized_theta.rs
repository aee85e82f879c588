//! The optimised Theta model (Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler 2016): smoothing, its start and the share of the trend line fitted together.
use super::seasonal::Seasonal;
use super::smoothing::least;
use super::theta::theta;
use super::{Normal, line};

/// Bounds of the smoothing's share, the authors'.
const ALPHA: (f64, f64) = (0.1, 0.99);
/// Figures that are fitted.
const FIGURES: usize = 3;

/// Takes a multiplicative season out where the series shows one, forecasts what is left by the model, and puts the season back.
pub(super) fn optimized_theta(y: &[f64], season: usize, h: usize) -> Normal {
    if y.len() <= FIGURES {
        return theta(y, season, h);
    }
    let seasonal = Seasonal::of(y, season);
    let model = Model::fit(&seasonal.without(y));
    let index = |k: usize| seasonal.index(y.len() + k);
    Normal {
        mean: model.means(h).into_iter().enumerate().map(|(k, mean)| mean * index(k)).collect(),
        sigma: (0..h).map(|k| model.error(k) * index(k).abs()).collect(),
    }
}

/// A fitted model: the level after `n` values, and what is added of the line through them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    n: usize,
    /// First value and slope of the line.
    line: (f64, f64),
    pub(super) alpha: f64,
    /// Where the level begins.
    pub(super) start: f64,
    /// 1 − 1/θ: θ is at least 1.
    pub(super) share: f64,
    level: f64,
    sigma: f64,
}

impl Model {
    /// Least squares. For a given alpha errors are linear in the start and the share, which are solved for; alpha is searched.
    pub(super) fn fit(y: &[f64]) -> Model {
        let line = line(y);
        let alpha = least(|alpha| Model::at(y, line, alpha).1, ALPHA.0, ALPHA.1);
        let (mut model, squares) = Model::at(y, line, alpha);
        model.sigma = (squares / y.len().saturating_sub(FIGURES).max(1) as f64).sqrt();
        model
    }

    /// The best model of this alpha, and its sum of squared errors.
    fn at(y: &[f64], line: (f64, f64), alpha: f64) -> (Model, f64) {
        let mut model = Model { n: y.len(), line, alpha, start: 0.0, share: 0.0, level: 0.0, sigma: 0.0 };
        // Errors from a start of 0, and what the start and the share take off each.
        let (mut level, mut weight) = (0.0, 1.0);
        let (mut aa, mut ab, mut bb, mut ay, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for y in y {
            let (error, trend): (f64, f64) = (y - level, model.trend(weight));
            (aa, ab, bb) = (aa + weight * weight, ab + weight * trend, bb + trend * trend);
            (ay, by) = (ay + weight * error, by + trend * error);
            level += alpha * error;
            weight *= 1.0 - alpha;
        }
        // What the trend adds beyond what the start could.
        let rest = bb - ab * ab / aa;
        // Of a series without a slope they are the same, and it is Theta's half.
        let share = if rest > 1e-12 * bb { (by - ab * ay / aa) / rest } else { 0.5 };
        model.share = share.clamp(0.0, 1.0);
        model.start = (ay - model.share * ab) / aa;
        let squares = model.follow(y);
        (model, squares)
    }

    /// What the whole line adds to the smoothing, where so much of the start is not yet forgotten: what the level lags behind the line.
    fn trend(&self, left: f64) -> f64 {
        let (first, slope) = self.line;
        left * (first - slope) + (1.0 - left * (1.0 - self.alpha)) / self.alpha * slope
    }

    /// Takes the level over the series; the sum of squared errors.
    pub(super) fn follow(&mut self, y: &[f64]) -> f64 {
        self.level = self.start;
        let (mut squares, mut left) = (0.0, 1.0);
        for y in y {
            let error = y - self.level - self.share * self.trend(left);
            squares += error * error;
            self.level += self.alpha * (y - self.level);
            left *= 1.0 - self.alpha;
        }
        squares
    }

    /// The next `h` values. The level takes each forecast for the value.
    pub(super) fn means(&self, h: usize) -> Vec<f64> {
        let (mut level, mut left) = (self.level, (1.0 - self.alpha).powf(self.n as f64));
        let one = |_| {
            let mean = level + self.share * self.trend(left);
            level += self.alpha * (mean - level);
            left *= 1.0 - self.alpha;
            mean
        };
        (0..h).map(one).collect()
    }

    /// The standard error `k` steps behind the next (Fiorucci et al. 2016, section 2).
    fn error(&self, k: usize) -> f64 {
        self.sigma * (1.0 + k as f64 * self.alpha * self.alpha).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Model {
        pub(in super::super) fn squares(mut self, y: &[f64]) -> f64 {
            self.follow(y)
        }
    }

    #[test]
    fn no_other_figures_are_better() {
        let y: Vec<f64> = (0..50).map(|i| 10.0 + 0.2 * i as f64 + (i as f64 * 1.7).sin() * 2.0).collect();
        let found = Model::fit(&y);
        let best = found.squares(&y);
        assert!((found.sigma - (best / 47.0).sqrt()).abs() < 1e-12);
        for a in 0..40 {
            for s in 0..40 {
                for share in 0..=20 {
                    let alpha = ALPHA.0 + (ALPHA.1 - ALPHA.0) * f64::from(a) / 39.0;
                    let other =
                        Model { alpha, start: f64::from(s) * 0.5 - 5.0, share: f64::from(share) / 20.0, ..found };
                    assert!(other.squares(&y) >= best - 1e-6, "{other:?} {found:?}");
                }
            }
        }
    }

    /// A share of 1 follows a line to the end, and takes the season along; a share between is what Theta's half is for curves.
    #[test]
    fn lines_and_seasons_go_on() {
        let y: Vec<f64> = (0..48).map(|i| (100.0 + 2.0 * i as f64) * [0.8, 1.0, 1.3, 0.9][i % 4]).collect();
        let Normal { mean, sigma } = optimized_theta(&y, 4, 8);
        for (k, m) in mean.iter().enumerate() {
            let want = (196.0 + 2.0 * k as f64) * [0.8, 1.0, 1.3, 0.9][k % 4];
            assert!((m - want).abs() < 0.02 * want, "{mean:?}");
        }
        assert!(sigma[4] > sigma[0] && sigma[0] > 0.0, "{sigma:?}");
    }
}
