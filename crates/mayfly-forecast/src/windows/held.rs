//! Rows that are held back: the windows of some cuts, measured on the scale of the data.
use super::draw::shares;
use super::rows::{fill, tell};
use super::shape::{Compare, RowShape, weight_of};
use crate::families::Prompter;
use crate::frame::Series;
use mayfly_nn::{Dataset, NnError, Order, WEIGHT};
use std::sync::Arc;

/// Of the shares that are drawn.
const SEED: u64 = 1;

/// The windows of the last values of each series, one for every cut that leaves a whole horizon.
pub(crate) struct Held<'a> {
    series: Vec<Series<'a>>,
    shape: RowShape,
    /// How much each step of a horizon counts; nothing where all count alike.
    weights: &'a [f32],
    /// What writes sentences about windows, for families that read them.
    prompter: Option<Arc<Prompter>>,
    /// Which row of series, and where it is cut.
    cuts: Vec<(usize, usize)>,
    at: usize,
}

impl<'a> Held<'a> {
    /// Of the last `size` values of each series, where they are so long; `weights` say how much each step of a horizon counts.
    pub(crate) fn new(series: Vec<Series<'a>>, shape: RowShape, size: usize, weights: &'a [f32]) -> Held<'a> {
        let mut cuts = Vec::new();
        for (group, members) in series.chunks(shape.series).enumerate() {
            let len = members.iter().map(|series| series.y.len()).max().unwrap_or(0);
            let last = len.saturating_sub(shape.h);
            let counts = |step: &usize| weight_of(weights, *step) > 0.0;
            let is_there = |at: usize| members.iter().any(|series| series.is_known(at) && series.weight(at) > 0.0);
            let known = |cut: usize| (0..shape.h).filter(counts).any(|step| is_there(cut + step));
            cuts.extend((len.saturating_sub(size).max(1)..=last).filter(|cut| known(*cut)).map(|cut| (group, cut)));
        }
        Held { series, shape, weights, prompter: None, cuts, at: 0 }
    }

    /// The same with sentences about windows.
    pub(crate) fn telling(self, prompter: Option<Arc<Prompter>>) -> Held<'a> {
        Held { prompter, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }
}

impl Dataset for Held<'_> {
    fn input_len(&self) -> usize {
        self.shape.input_len()
    }

    fn target_len(&self) -> usize {
        self.shape.target_len()
    }

    fn rows(&self) -> Option<usize> {
        Some(self.cuts.len())
    }

    fn start(&mut self, _: Order) -> Result<(), NnError> {
        self.at = 0;
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
        let room = x.len() / self.shape.input_len().max(1);
        let count = room.min(self.cuts.len() - self.at);
        for i in 0..count {
            let (group, cut) = self.cuts[self.at + i];
            let members = &self.series[group * self.shape.series..][..self.shape.series];
            let how = (Compare::Original, self.weights);
            let known = fill(&self.shape, members, cut, how, (i, x, t, extras));
            if self.shape.asks.shares {
                // The same at every check, so that checks can be compared.
                shares(extras, self.shape.series * self.shape.h, i, (SEED, (self.at + i) as u64));
            }
            if let Some(weights) = extras.last_mut() {
                weights[i] = known;
            }
        }
        tell(self.prompter.as_deref(), &self.shape, (count, &*x), extras);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scaler;
    use super::*;

    #[test]
    fn cuts_leave_whole_horizons_in_the_part_that_is_held_back() {
        let y: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let series = |len: usize| Series::bare(&y[..len], None);
        let shape = RowShape {
            series: 1,
            input_size: 4,
            h: 2,
            outputs: 1,
            reads_mask: false,
            scaler: Scaler::Standard,
            counts: crate::windows::Counts::default(),
            asks: crate::windows::Asks::default(),
            prompt: 0,
        };
        let held = Held::new(vec![series(10), series(2), series(4)], shape, 4, &[]);
        assert_eq!(held.cuts, [(0, 6), (0, 7), (0, 8), (2, 1), (2, 2)]);
        // A horizon of which nothing is known that counts is left out, and rows weigh what counts.
        let known: Vec<bool> = (0..10).map(|at| at != 8).collect();
        let some = vec![Series::bare(&y, Some(&known))];
        let mut held = Held::new(some, shape, 4, &[0.0, 2.5]);
        assert_eq!(held.cuts, [(0, 6), (0, 8)]);
        let (mut x, mut t, mut of, mut back, mut weights) = ([0.0; 8], [0.0; 4], [9.0; 4], [0.0; 8], [0.0; 2]);
        assert_eq!(held.next_with(&mut x, &mut t, &mut [&mut of, &mut back, &mut weights]).unwrap(), 2);
        assert_eq!((of, weights), ([0.0, 2.5, 0.0, 2.5], [2.5, 2.5]));
    }
}
