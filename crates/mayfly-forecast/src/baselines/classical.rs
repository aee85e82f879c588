//! Values and means of the past as they are (Hyndman & Athanasopoulos 2021, 5.2 and 5.5).
use super::{Normal, root_mean_square};

/// The last value.
pub(super) fn naive(y: &[f64], _: usize, h: usize) -> Normal {
    seasonal_naive(y, 1, h)
}

/// The value a season ago; with less than a season of values the last one.
pub(super) fn seasonal_naive(y: &[f64], season: usize, h: usize) -> Normal {
    let season = if season > y.len() { 1 } else { season };
    let sigma = root_mean_square(y.iter().skip(season).zip(y).map(|(now, before)| now - before));
    let last = &y[y.len() - season..];
    let error = |k: usize| sigma * ((k / season + 1) as f64).sqrt();
    Normal { mean: (0..h).map(|k| last[k % season]).collect(), sigma: (0..h).map(error).collect() }
}

/// The last value and the mean step.
pub(super) fn drift(y: &[f64], _: usize, h: usize) -> Normal {
    let steps = (y.len() - 1) as f64;
    let (first, last) = (y[0], y[y.len() - 1]);
    let slope = if steps > 0.0 { (last - first) / steps } else { 0.0 };
    let sigma = root_mean_square(y.windows(2).map(|pair| pair[1] - pair[0] - slope));
    let error = |k: f64| sigma * (k * (1.0 + k / steps.max(1.0))).sqrt();
    let ahead = |k: usize| (k + 1) as f64;
    Normal { mean: (0..h).map(|k| last + slope * ahead(k)).collect(), sigma: (0..h).map(|k| error(ahead(k))).collect() }
}

/// The mean of the last season, or of the last three values without one. Its error is that of its own forecasts of the past.
pub(super) fn window_average(y: &[f64], season: usize, h: usize) -> Normal {
    let n = if season > 1 { season } else { 3 }.min(y.len());
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let sigma = root_mean_square(y.windows(n + 1).map(|window| window[n] - mean(&window[..n])));
    Normal { mean: vec![mean(&y[y.len() - n..]); h], sigma: vec![sigma; h] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: &[f64], want: &[f64]) {
        assert!(
            got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-9),
            "{got:?} instead of {want:?}"
        );
    }

    const Y: [f64; 5] = [1.0, 4.0, 2.0, 5.0, 5.0];

    #[test]
    fn forecasts_by_hand() {
        let Normal { mean, sigma } = naive(&Y, 9, 3);
        let s = ((9.0 + 4.0 + 9.0 + 0.0) / 4.0_f64).sqrt();
        close(&mean, &[5.0; 3]);
        close(&sigma, &[s, s * 2_f64.sqrt(), s * 3_f64.sqrt()]);
        let Normal { mean, sigma } = seasonal_naive(&Y, 2, 5);
        let s = ((1.0 + 1.0 + 9.0) / 3.0_f64).sqrt();
        close(&mean, &[5.0, 5.0, 5.0, 5.0, 5.0]);
        close(&sigma, &[s, s, s * 2_f64.sqrt(), s * 2_f64.sqrt(), s * 3_f64.sqrt()]);
        close(&seasonal_naive(&Y, 3, 4).mean, &[2.0, 5.0, 5.0, 2.0]);
        let Normal { mean, sigma } = drift(&Y, 1, 2);
        let s = ((4.0 + 9.0 + 4.0 + 1.0) / 4.0_f64).sqrt();
        close(&mean, &[6.0, 7.0]);
        close(&sigma, &[s * 1.25_f64.sqrt(), s * 3_f64.sqrt()]);
        let Normal { mean, sigma } = window_average(&Y, 2, 2);
        close(&mean, &[5.0, 5.0]);
        close(&sigma, &[((0.25 + 4.0 + 2.25) / 3.0_f64).sqrt(); 2]);
        close(&window_average(&Y, 1, 1).mean, &[4.0]);
    }
}
