//! Simple exponential smoothing.
use super::Normal;

/// A smoothed series: level at the end, share of each new value, standard error of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smoothed {
    pub(super) level: f64,
    pub(super) alpha: f64,
    pub(super) sigma: f64,
}

/// Level after the series and the sum of squared errors, beginning at `start`.
fn run(y: &[f64], start: f64, alpha: f64) -> (f64, f64) {
    y.iter().fold((start, 0.0), |(level, sum), y| {
        let error = y - level;
        (level + alpha * error, sum + error * error)
    })
}

/// The start that suits a share best: the level is linear in it, and so is every error.
fn best_start(y: &[f64], alpha: f64) -> f64 {
    // error_t = e_t − start · w_t, where e is the error from a start of 0 and w that of a series of zeros from a start of 1.
    let (mut level, mut weight, mut top, mut bottom) = (0.0, 1.0, 0.0, 0.0);
    for y in y {
        let error: f64 = y - level;
        top += error * weight;
        bottom += weight * weight;
        level += alpha * error;
        weight *= 1.0 - alpha;
    }
    if bottom > 0.0 { top / bottom } else { 0.0 }
}

/// Where a cost is least: the best of a grid, then a golden section beside it.
pub(super) fn least(cost: impl Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    let grid = 32;
    let at = |i: usize| low + (high - low) * i as f64 / grid as f64;
    let best = (0..=grid).map(|i| (cost(at(i)), i)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, i)| i);
    let (mut low, mut high) = (at(best.saturating_sub(1)), at((best + 1).min(grid)));
    let golden = (5_f64.sqrt() - 1.0) / 2.0;
    for _ in 0..40 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if cost(a) <= cost(b) { high = b } else { low = a }
    }
    f64::midpoint(low, high)
}

/// The share and the start of the least squared error.
pub(super) fn smooth(y: &[f64]) -> Smoothed {
    let alpha = least(|alpha| run(y, best_start(y, alpha), alpha).1, 1e-4, 1.0 - 1e-4);
    let (level, sum) = run(y, best_start(y, alpha), alpha);
    Smoothed { level, alpha, sigma: (sum / y.len().max(1) as f64).sqrt() }
}

/// The level, with errors that grow by what each step may change it.
pub(super) fn ses(y: &[f64], _: usize, h: usize) -> Normal {
    let smoothed = smooth(y);
    Normal { mean: vec![smoothed.level; h], sigma: (0..h).map(|k| smoothed.error(k)).collect() }
}

impl Smoothed {
    /// The standard error `k` steps behind the next.
    pub(super) fn error(&self, k: usize) -> f64 {
        self.sigma * (1.0 + k as f64 * self.alpha * self.alpha).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Vec<f64> {
        (0..n).map(|i| 10.0 + (i as f64 * 1.7).sin() * 2.0 + (i as f64 * 0.05).cos() * 4.0).collect()
    }

    #[test]
    fn the_level_by_hand() {
        let (level, sum) = run(&[2.0, 4.0], 1.0, 0.5);
        assert_eq!((level, sum), (2.75, 1.0 + 6.25));
    }

    #[test]
    fn no_other_share_or_start_is_better() {
        let y = wave(60);
        let found = smooth(&y);
        let best = run(&y, best_start(&y, found.alpha), found.alpha).1;
        for a in 1..200 {
            let alpha = f64::from(a) / 200.0;
            for start in 0..40 {
                assert!(run(&y, f64::from(start) * 0.5, alpha).1 >= best - 1e-6, "{alpha} {start}");
            }
        }
        assert!((found.sigma - (best / 60.0).sqrt()).abs() < 1e-12);
    }
}
