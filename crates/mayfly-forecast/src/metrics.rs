//! Figures of forecasts.
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Figures of one model's forecasts over all series, cutoffs and steps whose truth is known. NaN (in JSON null) without such.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scores {
    /// Mean absolute error.
    #[serde(deserialize_with = "number")]
    pub mae: f64,
    /// Mean squared error.
    #[serde(deserialize_with = "number")]
    pub mse: f64,
    /// Its root.
    #[serde(deserialize_with = "number")]
    pub rmse: f64,
    /// Mean of `200 · |e| / (|y| + |ŷ|)`, as M4 counts: 0 to 200. Where both are 0 it is 0.
    #[serde(deserialize_with = "number")]
    pub smape: f64,
    /// Mean over series and cutoffs of the mean absolute error by that of the seasonal naive forecast within what lies before (Hyndman & Koehler 2006).
    /// Where the past repeats itself exactly it has no scale and is left out.
    #[serde(deserialize_with = "number")]
    pub mase: f64,
    /// For each level the share of values within its interval, of those that have one.
    pub coverage: BTreeMap<String, f64>,
}

/// JSON writes what is not finite as null.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Counts window by window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    n: f64,
    absolute: f64,
    squared: f64,
    symmetric: f64,
    scaled: f64,
    windows: f64,
    /// Values within and values that have an interval.
    within: BTreeMap<String, (f64, f64)>,
}

/// The forecasts of one window.
pub(crate) struct Window<'a> {
    /// What came; none where it is unknown.
    pub(crate) truth: &'a [Option<f64>],
    pub(crate) point: &'a [f64],
    /// Level, lower and upper bounds.
    pub(crate) intervals: &'a [(String, Vec<f64>, Vec<f64>)],
    /// Mean absolute error of the seasonal naive forecast before the cutoff.
    pub(crate) scale: f64,
}

impl Tally {
    pub(crate) fn add(&mut self, window: &Window<'_>) {
        let known = || window.truth.iter().enumerate().filter_map(|(i, y)| Some((i, (*y)?, *window.point.get(i)?)));
        let (mut sum, mut n) = (0.0, 0.0);
        for (_, y, p) in known() {
            let e = (y - p).abs();
            (sum, n) = (sum + e, n + 1.0);
            self.squared += e * e;
            let size = y.abs() + p.abs();
            self.symmetric += if size > 0.0 { 200.0 * e / size } else { 0.0 };
        }
        self.absolute += sum;
        self.n += n;
        if n > 0.0 && window.scale > 0.0 {
            self.scaled += sum / n / window.scale;
            self.windows += 1.0;
        }
        for (level, low, high) in window.intervals {
            let (inside, all) = self.within.entry(level.clone()).or_default();
            for (i, y, _) in known() {
                let (low, high) = (low.get(i).unwrap_or(&f64::NAN), high.get(i).unwrap_or(&f64::NAN));
                *inside += f64::from(u8::from(*low <= y && y <= *high));
                *all += f64::from(u8::from(!low.is_nan() && !high.is_nan()));
            }
        }
    }

    pub(crate) fn scores(&self) -> Scores {
        let mse = self.squared / self.n;
        let within = self.within.iter().filter(|(_, (_, all))| *all > 0.0);
        Scores {
            mae: self.absolute / self.n,
            mse,
            rmse: mse.sqrt(),
            smape: self.symmetric / self.n,
            mase: self.scaled / self.windows,
            coverage: within.map(|(level, (inside, all))| (level.clone(), inside / all)).collect(),
        }
    }
}

/// Mean absolute difference between values a season apart; of a series of no more than a season, between neighbours.
pub(crate) fn naive_error(y: &[f64], season: usize) -> f64 {
    let season = if season < y.len() { season.max(1) } else { 1 };
    let n = y.len().saturating_sub(season);
    y.iter().skip(season).zip(y).map(|(now, before)| (now - before).abs()).sum::<f64>() / n as f64
}

/// A quantile of ascending values, on the line between its neighbours, as NumPy's default; NaN of none.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, share) = (at.floor() as usize, at.fract());
    sorted[low] + share * (sorted[(low + 1).min(last)] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        let mut tally = Tally::default();
        let intervals = [("80".to_owned(), vec![0.0, 3.0, 0.0], vec![2.0, 9.0, 9.0])];
        tally.add(&Window {
            truth: &[Some(1.0), Some(2.0), None],
            point: &[2.0, 4.0, 9.0],
            intervals: &intervals,
            scale: 3.0,
        });
        tally.add(&Window {
            truth: &[Some(0.0)],
            point: &[0.0],
            intervals: &[("80".to_owned(), vec![0.0], vec![0.0])],
            scale: 0.0,
        });
        let scores = tally.scores();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} instead of {b}");
        close(scores.mae, 1.0);
        close(scores.mse, 5.0 / 3.0);
        close(scores.rmse, (5.0_f64 / 3.0).sqrt());
        close(scores.smape, (200.0 / 3.0 + 400.0 / 6.0) / 3.0);
        close(scores.mase, 0.5); // of the first window alone
        close(scores.coverage["80"], 2.0 / 3.0);
        assert!(Tally::default().scores().mae.is_nan());
    }

    #[test]
    fn seasons_that_are_too_long_fall_back_to_neighbours() {
        let y = [1.0, 2.0, 4.0, 8.0];
        assert_eq!((naive_error(&y, 1), naive_error(&y, 2), naive_error(&y, 4)), (7.0 / 3.0, 4.5, 7.0 / 3.0));
    }
}
