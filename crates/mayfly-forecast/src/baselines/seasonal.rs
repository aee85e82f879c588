//! A season that multiplies, taken out of a series and put back (Assimakopoulos & Nikolopoulos 2000).

/// The indices of a season: 1 alone where a series shows none.
#[derive(Clone, Debug)]
pub(super) struct Seasonal {
    indices: Vec<f64>,
}

impl Seasonal {
    pub(super) fn of(y: &[f64], season: usize) -> Seasonal {
        Seasonal { indices: if is_seasonal(y, season) { seasonal_indices(y, season) } else { vec![1.0] } }
    }

    /// Of value `t`.
    pub(super) fn index(&self, t: usize) -> f64 {
        self.indices[t % self.indices.len()]
    }

    /// The series with all indices 1.
    pub(super) fn without(&self, y: &[f64]) -> Vec<f64> {
        y.iter().enumerate().map(|(t, y)| y / self.index(t)).collect()
    }
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

    #[test]
    fn indices_by_hand() {
        let indices = seasonal_indices(&[2.0, 4.0, 2.0, 4.0, 2.0, 4.0], 2);
        assert!((indices[0] - 2.0 / 3.0).abs() < 1e-12 && (indices[1] - 4.0 / 3.0).abs() < 1e-12, "{indices:?}");
        let noise: Vec<f64> = (0..60_u64).map(|i| 10.0 + (mayfly_base::mix(i) % 1000) as f64 / 100.0).collect();
        assert!(!is_seasonal(&noise, 12) && !is_seasonal(&[1.0; 60], 12) && !is_seasonal(&noise[..30], 12));
    }
}
