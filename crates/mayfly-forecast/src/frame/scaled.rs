//! Frames with the scales of their series.
use super::local::{LocalScaler, Scale};
use super::series::{Series, SeriesFrame};
use std::collections::BTreeMap;

impl SeriesFrame {
    /// The frame with the scales of its series, by what is known before the last `held` values of each. Where a series has nothing there, nothing is scaled.
    #[must_use]
    pub(crate) fn scaled(&self, scaler: LocalScaler, held: usize) -> SeriesFrame {
        let local = self.iter().flat_map(|series| self.scales(scaler, &series, held)).collect();
        let mut out = SeriesFrame { local, ..self.clone() };
        out.about.local = Some(scaler);
        out
    }

    /// The frame with the scales of another that has the same columns; series that are not there have those of their own values.
    #[must_use]
    pub(crate) fn scaled_like(&self, scaler: LocalScaler, other: Option<&SeriesFrame>) -> SeriesFrame {
        let others = other.into_iter().flat_map(SeriesFrame::iter).filter(|series| !series.local.is_empty());
        let others: BTreeMap<&str, &[Scale]> = others.map(|series| (series.id, series.local)).collect();
        let of = |series: Series<'_>| match others.get(series.id) {
            Some(scales) => scales.to_vec(),
            None => self.scales(scaler, &series, 0),
        };
        let local = self.iter().flat_map(of).collect();
        let mut out = SeriesFrame { local, ..self.clone() };
        out.about.local = Some(scaler);
        out
    }

    /// Scales of the values, of the columns known to the cutoff, and of those known ahead.
    fn scales(&self, scaler: LocalScaler, series: &Series<'_>, held: usize) -> Vec<Scale> {
        let names = &self.about.exogenous;
        let seen: Vec<usize> = (0..series.y.len().saturating_sub(held)).filter(|at| series.is_known(*at)).collect();
        let of = |values: &[f32], columns: usize, column: usize| {
            scaler.fit(seen.iter().map(|at| f64::from(values[at * columns + column])).collect())
        };
        let all = |values: &'_ [f32], columns: usize| (0..columns).map(|column| of(values, columns, column)).collect();
        let [hist, futr]: [Vec<Scale>; 2] = [all(series.hist, names.hist.len()), all(series.futr, names.futr.len())];
        [vec![of(series.y, 1, 0)], hist, futr].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameOptions, Table};

    #[test]
    fn each_column_of_a_series_has_a_scale_of_what_is_not_held_out() {
        let ids = ["a", "a", "a", "b", "b", "b"].map(str::to_owned);
        let ds = ["1", "2", "3", "1", "2", "3"].map(str::to_owned);
        let y = [1.0, 3.0, 100.0, 10.0, 30.0, 100.0];
        let (h, f) = ([2.0, 6.0, 0.0, 0.0, 1.0, 0.0], [5.0, 9.0, 0.0, 7.0, 7.0, 0.0]);
        let table = Table { ids: &ids, ds: &ds, y: &y, hist: &[("h", &h)], futr: &[("f", &f)] };
        let options = FrameOptions { freq: Some("1".parse().unwrap()), ..FrameOptions::default() };
        let frame = SeriesFrame::from_table(&table, &options).unwrap();
        assert!(frame.iter().all(|series| series.local.is_empty()));
        let scaled = frame.scaled(LocalScaler::MinMax, 1);
        let scales: Vec<&[Scale]> = scaled.iter().map(|series| series.local).collect();
        assert_eq!(scales, [[[1.0, 2.0], [2.0, 4.0], [5.0, 4.0]], [[10.0, 20.0], [0.0, 1.0], [7.0, 1.0]]]);
        // They stay with their series, whatever part of them is left.
        assert_eq!(scaled.last(1).only(1).iter().next().unwrap().local, scales[1]);
        let known = scaled.only(0);
        let like = frame.scaled_like(LocalScaler::MinMax, Some(&known));
        let got: Vec<&[Scale]> = like.iter().map(|series| series.local).collect();
        assert_eq!((got[0], got[1][0]), (scales[0], [10.0, 90.0]));
    }
}
