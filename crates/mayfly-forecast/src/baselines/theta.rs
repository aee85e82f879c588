//! The Theta method as it won M3 (Assimakopoulos & Nikolopoulos 2000; Hyndman & Billah 2003).
use super::Normal;
use super::smoothing::smooth;

/// Takes a multiplicative season out where the series shows one, forecasts the mean of its trend line and its smoothed double, and puts the season back.
pub(super) fn theta(y: &[f64], season: usize, h: usize) -> Normal {
    let indices = if is_seasonal(y, season) { seasonal_indices(y, season) } else { vec![1.0] };
    let period = indices.len();
    let plain: Vec<f64> = y.iter().enumerate().map(|(t, y)| y / indices[t % period]).collect();
    let (start, slope) = line(&plain);
    let n = plain.len();
    let trend = |t: usize| start + slope * t as f64;
    // The line of theta 2 has twice the curvature.
    let double: Vec<f64> = plain.iter().enumerate().map(|(t, y)| 2.0 * y - trend(t)).collect();
    let smoothed = smooth(&double);
    let index = |k: usize| indices[(n + k) % period];
    // The error of the mean of both lines is half that of the double.
    let sigma = |k: usize| 0.5 * smoothed.error(k) * index(k).abs();
    Normal {
        mean: (0..h).map(|k| 0.5 * (trend(n + k) + smoothed.level) * index(k)).collect(),
        sigma: (0..h).map(sigma).collect(),
    }
}

/// Least squares over the number of the value.
fn line(y: &[f64]) -> (f64, f64) {
    let n = y.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, y.iter().sum::<f64>() / n);
    let (top, bottom) = y.iter().enumerate().fold((0.0, 0.0), |(top, bottom), (t, y)| {
        let t = t as f64 - middle;
        (top + t * (y - mean), bottom + t * t)
    });
    let slope = if bottom > 0.0 { top / bottom } else { 0.0 };
    (mean - slope * middle, slope)
}

/// Whether the autocorrelation at the season stands out (90 %, Bartlett), and the series is long enough and positive.
fn is_seasonal(y: &[f64], season: usize) -> bool {
    let n = y.len();
    if season < 2 || n < 3 * season || y.iter().any(|y| *y <= 0.0) {
        return false;
    }
    let mean = y.iter().sum::<f64>() / n as f64;
    let variance: f64 = y.iter().map(|y| (y - mean) * (y - mean)).sum();
    if variance <= 0.0 {
        return false;
    }
    let correlation =
        |lag: usize| y.iter().skip(lag).zip(y).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / variance;
    let before: f64 = (1..season).map(|lag| correlation(lag) * correlation(lag)).sum();
    correlation(season).abs() > 1.645 * ((1.0 + 2.0 * before) / n as f64).sqrt()
}

/// Mean ratio of each place of the season to the centred moving average; their mean is 1.
fn seasonal_indices(y: &[f64], season: usize) -> Vec<f64> {
    let half = season / 2;
    let average = |t: usize| {
        let window = &y[t - half..=t + half];
        let sum: f64 = window.iter().sum();
        match season % 2 {
            // Of an even season the two outermost count half.
            0 => (sum - 0.5 * (window[0] + window[season])) / season as f64,
            _ => sum / season as f64,
        }
    };
    let mut sums = vec![(0.0, 0.0); season];
    for t in half..y.len() - half {
        let (sum, n) = &mut sums[t % season];
        (*sum, *n) = (*sum + y[t] / average(t), *n + 1.0);
    }
    let ratios: Vec<f64> = sums.iter().map(|(sum, n)| if *n > 0.0 { sum / n } else { 1.0 }).collect();
    let mean = ratios.iter().sum::<f64>() / season as f64;
    ratios.iter().map(|ratio| ratio / mean).collect()
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

    #[test]
    fn pieces_by_hand() {
        assert_eq!(line(&[1.0, 3.0, 5.0]), (1.0, 2.0));
        let indices = seasonal_indices(&[2.0, 4.0, 2.0, 4.0, 2.0, 4.0], 2);
        assert!((indices[0] - 2.0 / 3.0).abs() < 1e-12 && (indices[1] - 4.0 / 3.0).abs() < 1e-12, "{indices:?}");
        let noise: Vec<f64> = (0..60_u64).map(|i| 10.0 + (mayfly_base::mix(i) % 1000) as f64 / 100.0).collect();
        assert!(!is_seasonal(&noise, 12) && !is_seasonal(&[1.0; 60], 12) && !is_seasonal(&noise[..30], 12));
    }
}
