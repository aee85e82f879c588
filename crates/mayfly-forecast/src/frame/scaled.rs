//! Frames with the scales of their series.
use super::local::{LocalScaler, LocalScales, Scale, SeriesScales};
use super::series::{Series, SeriesFrame};

/// Known values that make a scale, at least.
const FEW: usize = 2;

impl SeriesFrame {
    /// The scales of its series, by what is known before the last `held` values of each. A series that has too little there, from which nothing is learnt, has those of all
    /// its values.
    pub(crate) fn scales(&self, scaler: LocalScaler, held: usize) -> LocalScales {
        let one = |series: Series<'_>| (series.id.to_owned(), self.scales_of(scaler, &series, held));
        LocalScales { scaler, of: self.iter().map(one).collect() }
    }

    /// The frame seen by these scales; series that are not among them by those of what they have before their last `held` values.
    #[must_use]
    pub(crate) fn scaled(&self, by: &LocalScales, held: usize) -> SeriesFrame {
        let of = |series: Series<'_>| match by.of.get(series.id) {
            Some(known) => known.columns.clone(),
            None => self.scales_of(by.scaler, &series, held).columns,
        };
        SeriesFrame { local: self.iter().flat_map(of).collect(), ..self.clone() }
    }

    /// The frame as it is.
    #[must_use]
    pub(crate) fn unscaled(self) -> SeriesFrame {
        SeriesFrame { local: Vec::new(), ..self }
    }

    fn scales_of(&self, scaler: LocalScaler, series: &Series<'_>, held: usize) -> SeriesScales {
        let known = |len: usize| (0..len).filter(|at| series.is_known(*at)).collect::<Vec<usize>>();
        let mut seen = known(series.y.len().saturating_sub(held));
        let is_learnt = seen.len() >= FEW;
        if !is_learnt {
            seen = known(series.y.len());
        }
        let of = |values: &[f32], columns: usize, column: usize| {
            scaler.fit(seen.iter().map(|at| f64::from(values[at * columns + column])).collect())
        };
        let all = |values: &'_ [f32], columns: usize| (0..columns).map(|column| of(values, columns, column)).collect();
        let names = &self.about.exogenous;
        let [hist, futr]: [Vec<Scale>; 2] = [all(series.hist, names.hist.len()), all(series.futr, names.futr.len())];
        let columns = [vec![of(series.y, 1, 0)], hist, futr].concat();
        SeriesScales { columns, values: if is_learnt { 0 } else { seen.len() } }
    }
}

impl LocalScales {
    /// Adds the series of a frame that are not there, and makes those anew that no model learnt from and that have more values now.
    pub(crate) fn update(&mut self, frame: &SeriesFrame) {
        for series in frame.iter() {
            let values = (0..series.y.len()).filter(|at| series.is_known(*at)).count();
            let is_better = |old: &SeriesScales| old.values > 0 && values > old.values;
            if self.of.get(series.id).is_none_or(is_better) {
                let new = frame.scales_of(self.scaler, &series, 0);
                self.of.insert(series.id.to_owned(), SeriesScales { values: values.max(1), ..new });
            }
        }
    }

    /// Takes note that models have learnt from these series: their scales stay.
    pub(crate) fn settle(&mut self, frame: &SeriesFrame) {
        for id in &frame.ids {
            if let Some(known) = self.of.get_mut(id) {
                known.values = 0;
            }
        }
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
        let by = frame.scales(LocalScaler::MinMax, 1);
        let scaled = frame.scaled(&by, 0);
        let scales: Vec<&[Scale]> = scaled.iter().map(|series| series.local).collect();
        assert_eq!(scales, [[[1.0, 2.0], [2.0, 4.0], [5.0, 4.0]], [[10.0, 20.0], [0.0, 1.0], [7.0, 1.0]]]);
        // They stay with their series, whatever part of them is left.
        assert_eq!(scaled.last(1).only(1).iter().next().unwrap().local, scales[1]);
        assert!(scaled.clone().unscaled().iter().all(|series| series.local.is_empty()));
        // A series that is not among them has those of its own values.
        let one = LocalScales { of: by.of.iter().take(1).map(|(id, s)| (id.clone(), s.clone())).collect(), ..by };
        let of = |held: usize| frame.scaled(&one, held).iter().map(|series| series.local[0]).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![[1.0, 2.0], [10.0, 90.0]], vec![[1.0, 2.0], [10.0, 20.0]]));
        // Where too little is left to see, all of it counts, and the scales are no final ones.
        let all = frame.scales(LocalScaler::MinMax, 2);
        assert_eq!((all.of["a"].columns[0], all.of["a"].values), ([1.0, 99.0], 3));
    }

    #[test]
    fn scales_of_series_that_nobody_learnt_from_follow_them() {
        let frame = |y: &[f32]| {
            let ds: Vec<String> = (0..y.len()).map(|i| i.to_string()).collect();
            let options = FrameOptions { freq: Some("1".parse().unwrap()), least: 1, ..FrameOptions::default() };
            SeriesFrame::from_columns(&vec!["new".to_owned(); y.len()], &ds, y, &options).unwrap()
        };
        let mut scales = LocalScales { scaler: LocalScaler::MinMax, of: std::collections::BTreeMap::new() };
        let mut after = |y: &[f32]| {
            scales.update(&frame(y));
            scales.of["new"].columns[0]
        };
        assert_eq!(after(&[5.0]), [5.0, 1.0]);
        assert_eq!(after(&[5.0, 9.0, 7.0]), [5.0, 4.0]);
        // Fewer values say less.
        assert_eq!(after(&[100.0, 200.0]), [5.0, 4.0]);
        let mut settled = LocalScales { scaler: LocalScaler::MinMax, of: std::collections::BTreeMap::new() };
        settled.update(&frame(&[1.0, 2.0]));
        settled.settle(&frame(&[1.0]));
        settled.update(&frame(&[1.0, 2.0, 9.0]));
        assert_eq!(settled.of["new"].columns[0], [1.0, 1.0]);
    }
}
