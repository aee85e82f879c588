//! How a window becomes a row of a network's inputs and targets.
use super::scaler::{Curve, Fitted, Scaler, Way};
use crate::frame::Series;

/// The input that says how much each target counts.
pub(crate) const KNOWN: &str = "known";
/// The input by which the loss goes back to the scale of the data: shift, scale, the unit of errors that are measured by their window, and 1 where a hyperbolic sine comes before.
pub(crate) const BACK: &str = "back";
/// Values of it for a series.
pub(crate) const BACK_LEN: usize = 4;
/// The input that says which of the first input's values are there.
pub(crate) const INPUT_MASK: &str = "insample_mask";

/// The input with the share of each target's quantile, for losses that draw shares.
pub(crate) const SHARES: &str = "shares";

/// The input with the columns that are known to the cutoff.
pub(crate) const HIST: &str = "hist_exog";
/// The input with the columns that are known over the horizon.
pub(crate) const FUTR: &str = "futr_exog";
/// The input with the columns that a series has once.
pub(crate) const STAT: &str = "stat_exog";
/// The input with the tokens of a sentence about the window.
pub(crate) const PROMPT: &str = "prompt";

/// How many exogenous columns there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hist: usize,
    pub(crate) futr: usize,
    pub(crate) stat: usize,
    /// How many of the hist columns are categories, which are the last, and are not scaled.
    pub(crate) hist_words: usize,
    /// The same of the futr columns.
    pub(crate) futr_words: usize,
}

/// Sizes of a row, and how it is scaled.
///
/// A row of a family that forecasts all series together holds the windows of all of them at one time: every part of it is that of the first series, then of the second, and so on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct RowShape {
    /// Series in a row: 1, or all.
    pub(crate) series: usize,
    pub(crate) input_size: usize,
    pub(crate) h: usize,
    /// Outputs of the network for each step.
    pub(crate) outputs: usize,
    pub(crate) reads_mask: bool,
    pub(crate) scaler: Scaler,
    pub(crate) counts: Counts,
    pub(crate) asks: Asks,
    /// Tokens of the sentence about a window; 0 for families that read none.
    pub(crate) prompt: usize,
}

/// What a loss wants of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Asks {
    /// On which scale training compares.
    pub(crate) compare: Compare,
    /// Errors are measured by those of the naive forecast of this season within the window.
    pub(crate) season: Option<usize>,
    /// Each target has a share between 0 and 1 that is drawn.
    pub(crate) shares: bool,
}

/// On which scale the loss compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Compare {
    #[default]
    Scaled,
    Original,
}

/// The places of one series in a row.
pub(crate) struct Row<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) t: &'a mut [f32],
    pub(crate) known: &'a mut [f32],
    pub(crate) back: &'a mut [f32],
    pub(crate) mask: Option<&'a mut [f32]>,
    pub(crate) beside: BesideMut<'a>,
}

/// The places of one series' exogenous columns in a row, time by time.
#[derive(Default)]
pub(crate) struct BesideMut<'a> {
    pub(crate) hist: Option<&'a mut [f32]>,
    pub(crate) futr: Option<&'a mut [f32]>,
    pub(crate) stat: Option<&'a mut [f32]>,
}

impl RowShape {
    /// Values of the past in a row.
    pub(crate) fn input_len(&self) -> usize {
        self.series * self.input_size
    }

    /// Targets in a row.
    pub(crate) fn target_len(&self) -> usize {
        self.series * self.h * self.outputs
    }

    /// What a row has besides inputs and targets, and values of each.
    pub(crate) fn extras(&self) -> Vec<(String, usize)> {
        let mut extras = vec![(KNOWN, self.h), (BACK, BACK_LEN)];
        extras.extend(self.reads_mask.then_some((INPUT_MASK, self.input_size)));
        extras.extend(self.beside().into_iter().filter(|(_, len)| *len > 0));
        extras.extend(self.asks.shares.then_some((SHARES, self.h)));
        let mut extras: Vec<(String, usize)> =
            extras.into_iter().map(|(name, len)| (name.to_owned(), self.series * len)).collect();
        extras.extend((self.prompt > 0).then(|| (PROMPT.to_owned(), self.prompt)));
        extras
    }

    /// The inputs of the exogenous columns, and values of each for a series: 0 where there are none.
    pub(crate) fn beside(&self) -> [(&'static str, usize); 3] {
        let Counts { hist, futr, stat, .. } = self.counts;
        [(HIST, self.input_size * hist), (FUTR, (self.input_size + self.h) * futr), (STAT, stat)]
    }

    /// Fills the places of a series with its window at `cut`. Returns how much its known targets count together: each as much as `weights` has for its step, or 1.
    pub(crate) fn fill(
        &self,
        series: &Series<'_>,
        cut: usize,
        (compare, weights): (Compare, &[f32]),
        row: Row<'_>,
    ) -> f32 {
        let fitted = inputs_of(series, cut, self.scaler, row.x, row.mask);
        self.fill_beside(series, cut, row.beside);
        // Distributions are always those of the data, whatever curve the network's inputs follow.
        let is_of_data = self.asks.compare == Compare::Original;
        let Way { shift, scale, bends } = match compare {
            Compare::Scaled => Fitted::line(0.0, 1.0).way(),
            Compare::Original if is_of_data => Fitted { curve: Curve::Line, ..fitted }.way(),
            Compare::Original => fitted.way(),
        };
        let compared = |x: f32| if compare == Compare::Original { fitted.undo(x) } else { x };
        let unit = self.asks.season.map_or(1.0, |season| naive_unit(row.x, season, compared));
        row.back.copy_from_slice(&[shift, scale, unit, f32::from(u8::from(bends))]);
        let target = |y: f32| if is_of_data { fitted.quotient(y) } else { fitted.apply(y) };
        let mut count = 0.0;
        for (step, (t, known)) in row.t.chunks_exact_mut(self.outputs).zip(row.known).enumerate() {
            let is_known = series.is_known(cut + step);
            let value = if is_known { target(series.y[cut + step]) } else { 0.0 };
            t.fill(value);
            *known = if is_known { weight_of(weights, step) * series.weight(cut + step) } else { 0.0 };
            count += *known;
        }
        count
    }
}

impl RowShape {
    /// Fills the exogenous columns of the window at `cut`, each scaled by its own known inputs; what is not there is 0.
    pub(crate) fn fill_beside(&self, series: &Series<'_>, cut: usize, to: BesideMut<'_>) {
        let Counts { hist, futr, hist_words, futr_words, .. } = self.counts;
        let tables = [
            (to.hist, series.hist, hist, hist_words, self.input_size, 1),
            (to.futr, series.futr, futr, futr_words, self.input_size + self.h, 1 + hist),
        ];
        for (to, from, columns, words, times, first) in tables {
            let Some(to) = to else { continue };
            let at = |i: usize| (cut + i).checked_sub(self.input_size);
            let there = |i: usize| at(i).filter(|at| (at + 1) * columns <= from.len());
            for column in columns.saturating_sub(words)..columns {
                (0..times).for_each(|i| {
                    to[i * columns + column] = there(i).map_or(0.0, |at| from[at * columns + column]);
                });
            }
            for column in 0..columns.saturating_sub(words) {
                let known = (0..self.input_size).filter_map(|i| at(i).filter(|at| series.is_known(*at)));
                let mut values: Vec<f64> = known.map(|at| f64::from(from[at * columns + column])).collect();
                let fitted = self.scaler.fit_behind(&mut values, local(series, first + column));
                for i in 0..times {
                    to[i * columns + column] = there(i).map_or(0.0, |at| fitted.apply(from[at * columns + column]));
                }
            }
        }
        if let Some(stat) = to.stat {
            match series.stat.len() == stat.len() {
                true => stat.copy_from_slice(series.stat),
                false => stat.fill(0.0), // of a series of which nothing is known
            }
        }
    }
}

/// How much a step counts.
pub(super) fn weight_of(weights: &[f32], step: usize) -> f32 {
    weights.get(step).copied().unwrap_or(1.0)
}

/// What a column of a series is scaled by as a whole.
fn local(series: &Series<'_>, column: usize) -> [f32; 2] {
    series.local.get(column).copied().unwrap_or([0.0, 1.0])
}

/// One by the mean error of the naive forecast of a season within a window, on the scale that `compared` goes to; 0 where that makes none.
fn naive_unit(x: &[f32], season: usize, compared: impl Fn(f32) -> f32) -> f32 {
    let sum: f32 = x.iter().skip(season).zip(x).map(|(now, then)| (compared(*now) - compared(*then)).abs()).sum();
    if sum > 0.0 { (x.len() - season) as f32 / sum } else { 0.0 }
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
    let fitted = scaler.fit_behind(&mut values, local(series, 0));
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

    /// Two columns known to the cutoff, one known over the horizon, a series of six values with two rows ahead.
    #[test]
    fn exogenous_rows_are_what_a_naive_slicer_gives() {
        let y: Vec<f32> = (0..6).map(|i| i as f32).collect();
        let hist: Vec<f32> = (0..6).flat_map(|t| [10.0 + t as f32, 20.0 + 2.0 * t as f32]).collect();
        let futr: Vec<f32> = (0..8).map(|t| 100.0 + t as f32).collect();
        let series = Series { hist: &hist, futr: &futr, stat: &[7.0], ..Series::bare(&y, None) };
        let shape = RowShape {
            series: 1,
            input_size: 3,
            h: 2,
            outputs: 1,
            reads_mask: false,
            scaler: Scaler::Identity,
            counts: Counts { hist: 2, futr: 1, stat: 1, ..Counts::default() },
            asks: Asks::default(),
            prompt: 0,
        };
        let filled = |shape: &RowShape, cut: usize| {
            let (mut hist, mut futr, mut stat) = ([9.0; 6], [9.0; 5], [9.0; 1]);
            let to = BesideMut { hist: Some(&mut hist), futr: Some(&mut futr), stat: Some(&mut stat) };
            shape.fill_beside(&series, cut, to);
            (hist, futr, stat)
        };
        let (hist, futr, stat) = filled(&shape, 4);
        assert_eq!((hist, stat), ([11.0, 22.0, 12.0, 24.0, 13.0, 26.0], [7.0]));
        assert_eq!(futr, [101.0, 102.0, 103.0, 104.0, 105.0]);
        // Before the series there is nothing, behind it what is known ahead.
        assert_eq!(filled(&shape, 1).0, [0.0, 0.0, 0.0, 0.0, 10.0, 20.0]);
        assert_eq!(filled(&shape, 6).1, [103.0, 104.0, 105.0, 106.0, 107.0]);
        assert_eq!(filled(&shape, 5).1, [102.0, 103.0, 104.0, 105.0, 106.0]);
        // Each column by its own inputs: 103, 104, 105 are 0 … 1.
        let (hist, futr, _) = filled(&RowShape { scaler: Scaler::MinMax, ..shape }, 6);
        let near = |got: &[f32], want: &[f32]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4);
        assert!(near(&futr, &[0.0, 0.5, 1.0, 1.5, 2.0]), "{futr:?}");
        assert!(near(&hist, &[0.0, 0.0, 0.5, 0.5, 1.0, 1.0]), "{hist:?}");
        // Numbers of words stay what they are.
        let counts = Counts { hist_words: 1, futr_words: 1, ..shape.counts };
        let (hist, futr, _) = filled(&RowShape { scaler: Scaler::MinMax, counts, ..shape }, 6);
        assert_eq!(futr, [103.0, 104.0, 105.0, 106.0, 107.0]);
        assert!(near(&hist, &[0.0, 26.0, 0.5, 28.0, 1.0, 30.0]), "{hist:?}");
    }

    #[test]
    fn rows_are_what_a_naive_slicer_gives() {
        let y: Vec<f32> = (0..6).map(|i| 10.0 + i as f32).collect();
        let known = [true, true, false, true, true, true];
        let series = Series::bare(&y, Some(&known));
        let shape = RowShape {
            series: 1,
            input_size: 4,
            h: 3,
            outputs: 2,
            reads_mask: true,
            scaler: Scaler::Identity,
            counts: Counts::default(),
            asks: Asks::default(),
            prompt: 0,
        };
        let (mut x, mut t, mut k, mut back, mut mask) = ([9.0; 4], [9.0; 6], [9.0; 3], [9.0; 4], [9.0; 4]);
        let row = Row {
            x: &mut x,
            t: &mut t,
            known: &mut k,
            back: &mut back,
            mask: Some(&mut mask),
            beside: BesideMut::default(),
        };
        assert_eq!(shape.fill(&series, 3, (Compare::Original, &[]), row), 3.0);
        assert_eq!((x, mask), ([0.0, 10.0, 11.0, 0.0], [0.0, 1.0, 1.0, 0.0]));
        assert_eq!((t, k, back), ([13.0, 13.0, 14.0, 14.0, 15.0, 15.0], [1.0; 3], [0.0, 1.0, 1.0, 0.0]));
        let shape = RowShape { scaler: Scaler::MinMax, ..shape };
        let row =
            Row { x: &mut x, t: &mut t, known: &mut k, back: &mut back, mask: None, beside: BesideMut::default() };
        assert_eq!(shape.fill(&series, 5, (Compare::Original, &[]), row), 1.0);
        // Inputs 11, –, 13, 14: from 11 to 14.
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        assert!(near(x[0], 0.0) && x[1] == 0.0 && near(x[2], 2.0 / 3.0) && near(x[3], 1.0), "{x:?}");
        assert!(near(t[0], 4.0 / 3.0) && t[2..] == [0.0; 4] && k == [1.0, 0.0, 0.0], "{t:?} {k:?}");
        assert!(near(back[0], 11.0) && near(back[1], 3.0));
    }

    /// Under `invariant` point losses compare curved values, and are told so where they go back; distributions are those of the data.
    #[test]
    fn a_curved_scale_is_told_to_those_who_go_back() {
        let y = [1.0, 2.0, 3.0, 10.0, 30.0];
        let series = Series::bare(&y, None);
        let of = |compare: Compare, asked: Compare| {
            let asks = Asks { compare: asked, season: Some(1), shares: false };
            let shape = RowShape {
                series: 1,
                input_size: 4,
                h: 1,
                outputs: 1,
                reads_mask: false,
                scaler: Scaler::Invariant,
                counts: Counts::default(),
                asks,
                prompt: 0,
            };
            let (mut x, mut t, mut known, mut back) = ([9.0; 4], [9.0; 1], [9.0; 1], [9.0; 4]);
            let beside = BesideMut::default();
            let row = Row { x: &mut x, t: &mut t, known: &mut known, back: &mut back, mask: None, beside };
            assert_eq!(shape.fill(&series, 4, (compare, &[2.5]), row), 2.5);
            assert_eq!(known, [2.5]);
            assert!((x[3] - 8.0_f32.asinh()).abs() < 1e-5, "{x:?}");
            (t[0], back)
        };
        // Median 2, median absolute deviation 1; the naive forecast errs by 3 in the mean, and by asinh 8 + asinh 1 thirds.
        let near = |got: [f32; 4], want: [f32; 4]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4);
        let curved = 3.0 / (8.0_f32.asinh() + 1.0_f32.asinh());
        for (compare, asked, target, want) in [
            (Compare::Scaled, Compare::Scaled, 28.0_f32.asinh(), [0.0, 1.0, curved, 0.0]),
            (Compare::Original, Compare::Scaled, 28.0_f32.asinh(), [2.0, 1.0, 1.0 / 3.0, 1.0]),
            (Compare::Original, Compare::Original, 28.0, [2.0, 1.0, 1.0 / 3.0, 0.0]),
        ] {
            let (t, back) = of(compare, asked);
            assert!((t - target).abs() < 1e-3 && near(back, want), "{compare:?} {asked:?}: {t} {back:?}");
        }
    }
}
