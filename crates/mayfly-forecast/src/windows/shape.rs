//! How a window becomes a row of a network's inputs and targets.
use super::scaler::{Fitted, Scaler};
use crate::frame::Series;

/// The input that says how much each target counts.
pub(crate) const KNOWN: &str = "known";
/// The input by which the loss goes back to the scale of the data: shift and scale.
pub(crate) const BACK: &str = "back";
/// The input that says which of the first input's values are there.
pub(crate) const INPUT_MASK: &str = "insample_mask";

/// The input with the columns that are known to the cutoff.
pub(crate) const HIST: &str = "hist_exog";
/// The input with the columns that are known over the horizon.
pub(crate) const FUTR: &str = "futr_exog";
/// The input with the columns that a series has once.
pub(crate) const STAT: &str = "stat_exog";

/// How many exogenous columns there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hist: usize,
    pub(crate) futr: usize,
    pub(crate) stat: usize,
}

/// Sizes of a row, and how it is scaled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct RowShape {
    pub(crate) input_size: usize,
    pub(crate) h: usize,
    /// Outputs of the network for each step.
    pub(crate) outputs: usize,
    pub(crate) reads_mask: bool,
    pub(crate) scaler: Scaler,
    pub(crate) counts: Counts,
}

/// On which scale the loss compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compare {
    Scaled,
    Original,
}

/// The places of one row.
pub(crate) struct Row<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) t: &'a mut [f32],
    pub(crate) known: &'a mut [f32],
    pub(crate) back: &'a mut [f32],
    pub(crate) mask: Option<&'a mut [f32]>,
}

impl RowShape {
    /// What a row has besides inputs and targets, and values of each.
    pub(crate) fn extras(&self) -> Vec<(String, usize)> {
        let mut extras = vec![(KNOWN.to_owned(), self.h), (BACK.to_owned(), 2)];
        extras.extend(self.reads_mask.then(|| (INPUT_MASK.to_owned(), self.input_size)));
        extras
    }

    /// Fills the row of the window at `cut`. Returns how many of its targets are known.
    pub(crate) fn fill(&self, series: &Series<'_>, cut: usize, compare: Compare, row: Row<'_>) -> f32 {
        let fitted = inputs_of(series, cut, self.scaler, row.x, row.mask);
        let back = match compare {
            Compare::Scaled => [0.0, 1.0],
            Compare::Original => [fitted.shift, fitted.scale],
        };
        row.back.copy_from_slice(&back);
        let mut count = 0.0;
        for (step, (t, known)) in row.t.chunks_exact_mut(self.outputs).zip(row.known).enumerate() {
            let is_known = series.is_known(cut + step);
            let value = if is_known { fitted.apply(series.y[cut + step]) } else { 0.0 };
            t.fill(value);
            *known = f32::from(u8::from(is_known));
            count += *known;
        }
        count
    }
}

/// Fills the inputs of the window at `cut`, scaled by themselves; what is not there is 0. `mask` says what is.
pub(crate) fn inputs_of(
    series: &Series<'_>,
    cut: usize,
    scaler: Scaler,
    x: &mut [f32],
    mask: Option<&mut [f32]>,
) -> Fitted {
    let len = x.len();
    let place = |i: usize| (cut + i).checked_sub(len).filter(|at| series.is_known(*at));
    let mut values: Vec<f64> = (0..len).filter_map(|i| Some(f64::from(series.y[place(i)?]))).collect();
    let fitted = scaler.fit(&mut values);
    for (i, x) in x.iter_mut().enumerate() {
        *x = place(i).map_or(0.0, |at| fitted.apply(series.y[at]));
    }
    if let Some(mask) = mask {
        mask.iter_mut().enumerate().for_each(|(i, m)| *m = f32::from(u8::from(place(i).is_some())));
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Stamp;

    #[test]
    fn rows_are_what_a_naive_slicer_gives() {
        let y: Vec<f32> = (0..6).map(|i| 10.0 + i as f32).collect();
        let known = [true, true, false, true, true, true];
        let series = Series { id: "a", start: Stamp(0), y: &y, known: Some(&known) };
        let shape = RowShape {
            input_size: 4,
            h: 3,
            outputs: 2,
            reads_mask: true,
            scaler: Scaler::Identity,
            counts: Counts::default(),
        };
        let (mut x, mut t, mut k, mut back, mut mask) = ([9.0; 4], [9.0; 6], [9.0; 3], [9.0; 2], [9.0; 4]);
        let row = Row { x: &mut x, t: &mut t, known: &mut k, back: &mut back, mask: Some(&mut mask) };
        assert_eq!(shape.fill(&series, 3, Compare::Original, row), 3.0);
        assert_eq!((x, mask), ([0.0, 10.0, 11.0, 0.0], [0.0, 1.0, 1.0, 0.0]));
        assert_eq!((t, k, back), ([13.0, 13.0, 14.0, 14.0, 15.0, 15.0], [1.0; 3], [0.0, 1.0]));
        let shape = RowShape { scaler: Scaler::MinMax, ..shape };
        let row = Row { x: &mut x, t: &mut t, known: &mut k, back: &mut back, mask: None };
        assert_eq!(shape.fill(&series, 5, Compare::Original, row), 1.0);
        // Inputs 11, –, 13, 14: from 11 to 14.
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        assert!(near(x[0], 0.0) && x[1] == 0.0 && near(x[2], 2.0 / 3.0) && near(x[3], 1.0), "{x:?}");
        assert!(near(t[0], 4.0 / 3.0) && t[2..] == [0.0; 4] && k == [1.0, 0.0, 0.0], "{t:?} {k:?}");
        assert!(near(back[0], 11.0) && near(back[1], 3.0));
    }
}
