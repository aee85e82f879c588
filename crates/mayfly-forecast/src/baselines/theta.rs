//! The Theta method as it won M3 (Assimakopoulos & Nikolopoulos 2000; Hyndman & Billah 2003).
use super::seasonal::Seasonal;
use super::smoothing::smooth;
use super::{Normal, line};

/// Takes a multiplicative season out where the series shows one, forecasts the mean of its trend line and its smoothed double, and puts the season back.
pub(super) fn theta(y: &[f64], season: usize, h: usize) -> Normal {
    let seasonal = Seasonal::of(y, season);
    let plain = seasonal.without(y);
    let (start, slope) = line(&plain);
    let n = plain.len();
    let trend = |t: usize| start + slope * t as f64;
    // The line of theta 2 has twice the curvature.
    let double: Vec<f64> = plain.iter().enumerate().map(|(t, y)| 2.0 * y - trend(t)).collect();
    let smoothed = smooth(&double);
    let index = |k: usize| seasonal.index(n + k);
    // The error of the mean of both lines is half that of the double.
    let sigma = |k: usize| 0.5 * smoothed.error(k) * index(k).abs();
    Normal {
        mean: (0..h).map(|k| 0.5 * (trend(n + k) + smoothed.level) * index(k)).collect(),
        sigma: (0..h).map(sigma).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hyndman & Billah 2003: Theta is smoothing with a drift of half the slope. Without a season, step k lies on level + slope/2 · (k − 1 + 1/α − (1 − α)ⁿ/α) when both
    /// smoothings start alike; on a straight line it must go on with half the slope at least, and never more than the whole.
    #[test]
    fn lines_and_seasons_go_on() {
        let y: Vec<f64> = (0..48).map(|i| 100.0 + 2.0 * i as f64).collect();
        let Normal { mean, .. } = theta(&y, 12, 3);
        assert!(mean.windows(2).all(|pair| (pair[1] - pair[0] - 1.0).abs() < 1e-9), "{mean:?}");
        assert!((mean[0] - 196.0).abs() < 1.1, "{mean:?}");
        let pattern = [0.8, 1.0, 1.3, 0.9];
        let seasonal: Vec<f64> = (0..40).map(|i| 50.0 * pattern[i % 4]).collect();
        let Normal { mean, .. } = theta(&seasonal, 4, 8);
        for (k, m) in mean.iter().enumerate() {
            assert!((m - 50.0 * pattern[k % 4]).abs() < 0.5, "{mean:?}");
        }
    }
}
