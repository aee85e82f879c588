//! Training rows: some windows of some series for each step.
use super::draw::{distinct, shares};
use super::list::WindowList;
use super::shape::{BACK_LEN, BesideMut, Compare, Row, RowShape, weight_of};
use crate::families::Prompter;
use crate::frame::Series;
use mayfly_base::{Rng, mix};
use mayfly_nn::{Dataset, NnError, Order, WEIGHT};
use std::sync::Arc;

/// How a training goes through its windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// Steps in all.
    pub(crate) steps: usize,
    /// Steps of a pass; the last pass may have fewer.
    pub(crate) pass: usize,
    /// Series of a step, at most.
    pub(crate) series: usize,
    /// Windows of a step, at most.
    pub(crate) windows: usize,
    pub(crate) seed: u64,
}

/// Windows drawn for each step: a function of seed and step alone.
pub(crate) struct Rows<'a> {
    /// One behind another where a row holds several.
    series: Vec<Series<'a>>,
    list: &'a WindowList,
    shape: RowShape,
    plan: Plan,
    /// How much each step of a horizon counts; nothing where all count alike.
    weights: &'a [f32],
    /// What writes sentences about windows, for families that read them.
    prompter: Option<Arc<Prompter>>,
    /// Rows of a step. Steps with fewer windows are filled up with rows that weigh nothing.
    rows: usize,
    passes: usize,
    pass: usize,
    step: usize,
    drawn: Drawn,
}

/// The windows of one step.
#[derive(Default)]
struct Drawn {
    /// Series, or row of series, and cut.
    windows: Vec<(usize, usize)>,
    /// What the known targets of all of them count together.
    known: f32,
    at: usize,
}

impl<'a> Rows<'a> {
    /// Windows of `list`, which is one of series, or of rows of series of one length.
    pub(crate) fn new(series: Vec<Series<'a>>, list: &'a WindowList, shape: RowShape, plan: Plan) -> Rows<'a> {
        let mut counts: Vec<usize> = (0..series.len() / shape.series).map(|s| list.count(s)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let most: usize = counts.iter().take(plan.series.max(1)).sum();
        let rows = most.min(plan.windows).max(1);
        let (weights, prompter, drawn): (&[f32], _, _) = (&[], None, Drawn::default());
        Rows { series, list, shape, plan, weights, prompter, rows, passes: 0, pass: 0, step: 0, drawn }
    }

    /// The same where each step of a horizon counts so much.
    pub(crate) fn weighing(self, weights: &'a [f32]) -> Rows<'a> {
        Rows { weights, ..self }
    }

    /// The same with sentences about windows.
    pub(crate) fn telling(self, prompter: Option<Arc<Prompter>>) -> Rows<'a> {
        Rows { prompter, ..self }
    }

    /// Rows of a step.
    pub(crate) fn step_rows(&self) -> usize {
        self.rows
    }

    fn steps_of_pass(&self) -> usize {
        let before = self.pass * self.plan.pass;
        self.plan.steps.saturating_sub(before).clamp(1, self.plan.pass.max(1))
    }

    /// The windows of a step, counted over all passes.
    fn draw(&self, step: usize) -> Vec<(usize, usize)> {
        let n = self.series.len() / self.shape.series;
        let groups = n.div_ceil(self.plan.series.max(1)).max(1);
        let mut order: Vec<usize> = (0..n).collect();
        Rng::stream(mix(self.plan.seed), (step / groups) as u64).shuffle(&mut order);
        let group = order.chunks(self.plan.series.max(1)).nth(step % groups).unwrap_or_default();
        let mut ends = Vec::with_capacity(group.len());
        let total = group.iter().fold(0, |sum, s| {
            ends.push(sum + self.list.count(*s));
            sum + self.list.count(*s)
        });
        let mut rng = Rng::stream(mix(self.plan.seed ^ mix(1)), step as u64);
        let window = |i: usize| {
            let g = ends.partition_point(|end| *end <= i);
            let before = if g == 0 { 0 } else { ends[g - 1] };
            (group[g], self.list.cut(group[g], i - before))
        };
        distinct(total, self.plan.windows, &mut rng).into_iter().map(window).collect()
    }

    fn next_step(&mut self) {
        let windows = self.draw(self.pass * self.plan.pass + self.step);
        let h = self.shape.h;
        let of = |series: &Series<'_>, cut: usize| -> f32 {
            let known = (0..h).filter(|step| series.is_known(cut + step));
            known.map(|step| weight_of(self.weights, step) * series.weight(cut + step)).sum()
        };
        let known =
            windows.iter().flat_map(|(group, cut)| self.members(*group).iter().map(move |series| of(series, *cut)));
        let known = known.sum();
        self.drawn = Drawn { windows, known, at: 0 };
        self.step += 1;
    }

    /// The series of a row.
    fn members(&self, group: usize) -> &[Series<'a>] {
        &self.series[group * self.shape.series..][..self.shape.series]
    }
}

impl Dataset for Rows<'_> {
    fn input_len(&self) -> usize {
        self.shape.input_len()
    }

    fn target_len(&self) -> usize {
        self.shape.target_len()
    }

    fn rows(&self) -> Option<usize> {
        Some(self.steps_of_pass() * self.rows)
    }

    /// A shuffled pass is the next one of the training; one in order is the first, to look at.
    fn start(&mut self, order: Order) -> Result<(), NnError> {
        match order {
            Order::AsIs => self.pass = 0,
            Order::Shuffled(_) => {
                self.pass = self.passes;
                self.passes += 1;
            }
        }
        (self.step, self.drawn) = (0, Drawn { at: self.rows, ..Drawn::default() });
        Ok(())
    }

    fn next(&mut self, _: &mut [f32], _: &mut [f32]) -> Result<usize, NnError> {
        Ok(0) // all rows have extras, so that this is never asked
    }

    fn extras(&self) -> Vec<(String, usize)> {
        let mut extras = self.shape.extras();
        extras.push((WEIGHT.to_owned(), 1));
        extras
    }

    fn next_with(&mut self, x: &mut [f32], t: &mut [f32], extras: &mut [&mut [f32]]) -> Result<usize, NnError> {
        if self.drawn.at >= self.rows {
            if self.step >= self.steps_of_pass() {
                return Ok(0);
            }
            self.next_step();
        }
        let room = x.len() / self.shape.input_len().max(1);
        let count = room.min(self.rows - self.drawn.at);
        for i in 0..count {
            let window = self.drawn.windows.get(self.drawn.at + i).copied();
            let weight = match window {
                Some((group, cut)) => {
                    let how = (self.shape.asks.compare, self.weights);
                    let known = fill(&self.shape, self.members(group), cut, how, (i, x, t, extras));
                    // The step's loss becomes Σ wl / Σ w: the trainer divides by the number of rows.
                    if self.drawn.known > 0.0 { known * self.rows as f32 / self.drawn.known } else { 0.0 }
                }
                None => {
                    let places = i * self.shape.series..(i + 1) * self.shape.series;
                    places.for_each(|place| empty(row(&self.shape, place, x, t, extras)));
                    0.0
                }
            };
            if self.shape.asks.shares {
                let step = self.pass * self.plan.pass + self.step;
                let number = (step * self.rows + self.drawn.at + i) as u64;
                let seed = mix(self.plan.seed ^ mix(2));
                shares(extras, self.shape.series * self.shape.h, i, (seed, number));
            }
            if let Some(weights) = extras.last_mut() {
                weights[i] = weight;
            }
        }
        tell(self.prompter.as_deref(), &self.shape, (count, &*x), extras);
        self.drawn.at += count;
        Ok(count)
    }
}

/// Fills row `i` with the windows of its series at `cut`. Returns what its known targets count together.
pub(super) fn fill(
    shape: &RowShape,
    members: &[Series<'_>],
    cut: usize,
    how: (Compare, &[f32]),
    (i, x, t, extras): (usize, &mut [f32], &mut [f32], &mut [&mut [f32]]),
) -> f32 {
    let one = |(n, series)| shape.fill(series, cut, how, row(shape, i * shape.series + n, x, t, extras));
    members.iter().enumerate().map(one).sum()
}

/// Writes the sentences about the first windows of `x`; they stand before the weights of rows.
pub(super) fn tell(
    prompter: Option<&Prompter>,
    shape: &RowShape,
    (count, x): (usize, &[f32]),
    extras: &mut [&mut [f32]],
) {
    if let (Some(prompter), [.., ids, _]) = (prompter, extras) {
        prompter.tell(&x[..count * shape.input_size], shape.input_size, ids);
    }
}

/// The places of series `i`, counted over all rows.
fn row<'b>(shape: &RowShape, i: usize, x: &'b mut [f32], t: &'b mut [f32], extras: &'b mut [&mut [f32]]) -> Row<'b> {
    let len = shape.h * shape.outputs;
    let (l, h) = (shape.input_size, shape.h);
    let [known, back, rest @ ..] = extras else {
        let beside = BesideMut::default();
        return Row { x: &mut [], t: &mut [], known: &mut [], back: &mut [], mask: None, beside };
    };
    let mut rest = rest.iter_mut();
    let mut take = |len: usize| match len {
        0 => None,
        len => rest.next().map(|part| &mut part[i * len..(i + 1) * len]),
    };
    let mask = take(if shape.reads_mask { l } else { 0 });
    let [hist, futr, stat] = shape.beside().map(|(_, len)| take(len));
    Row {
        x: &mut x[i * l..(i + 1) * l],
        t: &mut t[i * len..(i + 1) * len],
        known: &mut known[i * h..(i + 1) * h],
        back: &mut back[i * BACK_LEN..(i + 1) * BACK_LEN],
        mask,
        beside: BesideMut { hist, futr, stat },
    }
}

fn empty(row: Row<'_>) {
    row.x.fill(0.0);
    row.t.fill(0.0);
    row.known.fill(0.0);
    row.back.copy_from_slice(&[0.0, 1.0, 1.0, 0.0]);
    let BesideMut { hist, futr, stat } = row.beside;
    [row.mask, hist, futr, stat].into_iter().flatten().for_each(|part| part.fill(0.0));
}

#[cfg(test)]
mod tests {
    use super::super::{Asks, Counts, Scaler, WindowSpec};
    use super::*;

    const SHAPE: RowShape = RowShape {
        series: 1,
        input_size: 3,
        h: 2,
        outputs: 1,
        reads_mask: false,
        scaler: Scaler::Identity,
        counts: Counts { hist: 0, futr: 0, stat: 0, hist_words: 0, futr_words: 0 },
        asks: Asks { compare: Compare::Scaled, season: None, shares: false },
        prompt: 0,
    };
    const SPEC: WindowSpec =
        WindowSpec { input_size: 3, h: 2, step_size: 1, start_padding: false, availability: [0.0; 2] };

    fn series(values: &[Vec<f32>]) -> Vec<Series<'_>> {
        values.iter().map(|y| Series::bare(y, None)).collect()
    }

    /// A pass: for each step its rows as (inputs, targets, weight).
    fn pass(rows: &mut Rows<'_>, order: Order, room: usize) -> Vec<(Vec<f32>, Vec<f32>, f32)> {
        rows.start(order).unwrap();
        let mut all = Vec::new();
        loop {
            let (mut x, mut t, mut k) = (vec![0.0; 3 * room], vec![0.0; 2 * room], vec![0.0; 2 * room]);
            let (mut back, mut w) = (vec![0.0; BACK_LEN * room], vec![0.0; room]);
            let n = rows.next_with(&mut x, &mut t, &mut [&mut k, &mut back, &mut w]).unwrap();
            if n == 0 {
                assert_eq!(Some(all.len()), rows.rows());
                return all;
            }
            all.extend((0..n).map(|i| (x[3 * i..3 * i + 3].to_vec(), t[2 * i..2 * i + 2].to_vec(), w[i])));
        }
    }

    #[test]
    fn a_step_has_every_window_once_and_weights_that_count_targets() {
        let values = vec![(0..8).map(|i| i as f32).collect::<Vec<_>>()];
        let list = WindowList::new([8].into_iter(), &SPEC);
        let plan = Plan { steps: 3, pass: 2, series: 4, windows: 100, seed: 1 };
        let mut rows = Rows::new(series(&values), &list, SHAPE, plan);
        assert_eq!(rows.step_rows(), 5);
        let first = pass(&mut rows, Order::Shuffled(0), 5);
        assert_eq!(first.len(), 10);
        for (i, (x, t, w)) in first[..5].iter().enumerate() {
            let at = i as f32;
            assert_eq!(x, &[at, at + 1.0, at + 2.0]);
            assert_eq!(t, &[at + 3.0, if i < 4 { at + 4.0 } else { 0.0 }]);
            // Nine targets are known in five windows.
            assert!((w - if i < 4 { 2.0 } else { 1.0 } * 5.0 / 9.0).abs() < 1e-6);
        }
        assert_eq!(pass(&mut rows, Order::Shuffled(0), 5).len(), 5); // the third step
        // In pieces it is the same.
        assert_eq!(pass(&mut rows, Order::AsIs, 2), first);
    }

    /// Steps that count more make their rows heavier, by what of them is known.
    #[test]
    fn rows_weigh_what_the_steps_of_their_horizon_count() {
        let values = vec![(0..8).map(|i| i as f32).collect::<Vec<_>>()];
        let list = WindowList::new([8].into_iter(), &SPEC);
        let plan = Plan { steps: 1, pass: 1, series: 4, windows: 100, seed: 1 };
        let mut rows = Rows::new(series(&values), &list, SHAPE, plan).weighing(&[0.5, 3.0]);
        rows.start(Order::Shuffled(0)).unwrap();
        let (mut x, mut t, mut known) = ([0.0; 15], [0.0; 10], [9.0; 10]);
        let (mut back, mut weights) = ([0.0; 5 * BACK_LEN], [0.0; 5]);
        assert_eq!(rows.next_with(&mut x, &mut t, &mut [&mut known, &mut back, &mut weights]).unwrap(), 5);
        // The second step of the last window is unknown: 4 · 3.5 + 0.5 in all.
        assert_eq!(known, [0.5, 3.0, 0.5, 3.0, 0.5, 3.0, 0.5, 3.0, 0.5, 0.0]);
        for (i, weight) in weights.iter().enumerate() {
            let want = if i < 4 { 3.5 } else { 0.5 } * 5.0 / 14.5;
            assert!((weight - want).abs() < 1e-6, "{weights:?}");
        }
    }

    #[test]
    fn every_series_comes_once_before_any_comes_again() {
        let values: Vec<Vec<f32>> = (0..5).map(|s| (0..6).map(|i| (100 * s + i) as f32).collect()).collect();
        let list = WindowList::new([6; 5].into_iter(), &SPEC);
        let plan = Plan { steps: 30, pass: 30, series: 2, windows: 4, seed: 3 };
        let mut rows = Rows::new(series(&values), &list, SHAPE, plan);
        let steps = pass(&mut rows, Order::Shuffled(0), 4);
        let mut orders = std::collections::BTreeSet::new();
        for sweep in steps.chunks(12) {
            let seen: Vec<usize> = sweep
                .chunks(4)
                .flat_map(|step| {
                    let mut series: Vec<usize> =
                        step.iter().filter(|r| r.2 > 0.0).map(|r| (r.0[2] / 100.0) as usize).collect();
                    series.sort_unstable();
                    series.dedup();
                    series
                })
                .collect();
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
            orders.insert(seen);
        }
        assert!(orders.len() > 3);
        // Same seed, same rows.
        let mut again = Rows::new(series(&values), &list, SHAPE, plan);
        assert_eq!(pass(&mut again, Order::Shuffled(9), 4), steps);
        // The third step of a sweep has one series, of three windows: the fourth row weighs nothing.
        assert_eq!(steps[8..12].iter().filter(|row| row.2 == 0.0).count(), 1);
    }
    /// Two series of which the second begins later: rows have both, at the same times.
    #[test]
    fn a_row_of_several_series_has_their_windows_of_one_time() {
        let values: Vec<Vec<f32>> = vec![(0..6).map(|i| i as f32).collect(), vec![0.0, 0.0, 12.0, 13.0, 14.0, 15.0]];
        let known = [false, false, true, true, true, true];
        let series = vec![Series::bare(&values[0], None), Series::bare(&values[1], Some(&known))];
        let shape = RowShape { series: 2, scaler: Scaler::MinMax1, ..SHAPE };
        let list = WindowList::new([6].into_iter(), &SPEC);
        let plan = Plan { steps: 1, pass: 1, series: 1, windows: 4, seed: 1 };
        let mut rows = Rows::new(series, &list, shape, plan);
        assert_eq!((rows.input_len(), rows.target_len(), rows.step_rows()), (6, 4, 3));
        assert_eq!(rows.extras()[..2], [("known".to_owned(), 4), ("back".to_owned(), 8)]);
        rows.start(Order::Shuffled(0)).unwrap();
        let (mut x, mut t, mut known, mut back, mut weights) = ([9.0; 18], [9.0; 12], [9.0; 12], [9.0; 24], [9.0; 3]);
        let n = rows.next_with(&mut x, &mut t, &mut [&mut known, &mut back, &mut weights]).unwrap();
        assert_eq!(n, 3);
        // At cut 3 the first series has 0, 1, 2 behind it, the second only 12.
        let near = |got: &[f32], want: &[f32]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4);
        assert!(near(&x[..3], &[-1.0, 0.0, 1.0]) && x[3..5] == [0.0; 2], "{x:?}");
        assert!(near(&x[6..9], &[-1.0, 0.0, 1.0]) && x[9] == 0.0 && near(&x[10..12], &[-1.0, 1.0]), "{x:?}");
        assert!(near(&t[..2], &[2.0, 3.0]) && near(&t[4..6], &[2.0, 3.0]), "{t:?}");
        assert_eq!(known[..8], [1.0; 8]);
        // Cuts 3, 4 and 5 have 4, 4 and 2 known targets.
        assert!(near(&weights, &[4.0 * 3.0 / 10.0, 1.2, 0.6]), "{weights:?}");
    }
}
