//! Rows to learn from.
use crate::error::{NnError, Result, expect_len};
use mayfly_base::{Rng, mix};

/// The name under which a data set gives its rows' weights.
pub const WEIGHT: &str = "weight";

/// In which order an epoch sees the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As they are.
    AsIs,
    /// In the random order of this seed: the same seed gives the same order, whatever was read before.
    Shuffled(u64),
}

impl Order {
    /// Another random order for each epoch (from 0) of a training with this seed.
    pub fn of_epoch(seed: u64, epoch: u64) -> Self {
        Order::Shuffled(mix(seed) ^ mix(epoch + 1))
    }
}

/// Rows of inputs and targets that can be read any number of times.
pub trait Dataset {
    /// Values in a row of inputs.
    fn input_len(&self) -> usize;

    /// Values in a row of targets.
    fn target_len(&self) -> usize;

    /// How many rows a pass gives, where that is known; training refuses a pass that gives more or fewer.
    fn rows(&self) -> Option<usize>;

    /// Goes back to the first row of a pass in the given order.
    ///
    /// # Errors
    /// A source that cannot be read.
    fn start(&mut self, order: Order) -> Result<()>;

    /// Fills whole rows of `x` and `t` from the front and returns how many, at most as many as fit; 0 is the end. Where fewer than fit were filled, the rest is asked for again.
    ///
    /// # Errors
    /// A source that cannot be read, or values that make no sense.
    fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize>;

    /// What a row has besides inputs and targets: name and values a row. A network's further inputs go by their names; [`WEIGHT`], of one value, is how much
    /// the row counts.
    fn extras(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// As [`Dataset::next`], and fills one slice for each of [`Dataset::extras`]. Data sets with extras must have it.
    ///
    /// # Errors
    /// As for [`Dataset::next`].
    fn next_with(&mut self, x: &mut [f32], t: &mut [f32], _extras: &mut [&mut [f32]]) -> Result<usize> {
        self.next(x, t)
    }

    /// All rows as they are, where they lie in memory: `(inputs, targets)`. Training on whole batches then copies nothing, unless there are extras.
    fn in_place(&self) -> Option<(&[f32], &[f32])> {
        None
    }
}

/// Rows in memory, owned ([`InMemory`]) or borrowed ([`Borrowed`]); shuffled exactly.
#[derive(Clone, PartialEq, Debug)]
pub struct RowsOf<S> {
    x: S,
    t: S,
    /// One a row, or none.
    weights: Option<S>,
    input_len: usize,
    target_len: usize,
    /// Which row comes when; empty for rows as they are.
    order: Vec<u32>,
    at: usize,
}

/// Rows in memory.
pub type InMemory = RowsOf<Vec<f32>>;

/// Rows that lie in somebody else's memory.
///
/// ```
/// use mayfly_nn::{Act, Borrowed, Network, NetworkSpec, TrainConfig, Trainer};
/// let (inputs, targets) = ([0.0, 0.5, 1.0], [1.0, 2.0, 3.0]);
/// let mut rows = Borrowed::new(1, 1, &inputs, &targets)?.with_weights(&[1.0, 2.0, 1.0])?;
/// let network = Network::new(NetworkSpec::dense(1, &[], Act::Relu.into(), 1, Act::Identity.into()), 1)?;
/// Trainer::new(network, TrainConfig::default())?.fit(&mut rows, None, &mut ())?;
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
pub type Borrowed<'a> = RowsOf<&'a [f32]>;

impl InMemory {
    /// Rows of `input_len` inputs and `target_len` targets, one after another.
    ///
    /// # Errors
    /// Values that do not make up the same number of whole rows.
    pub fn new(input_len: usize, target_len: usize, x: Vec<f32>, t: Vec<f32>) -> Result<Self> {
        RowsOf::of(input_len, target_len, x, t)
    }

    /// From pairs of input and target rows.
    ///
    /// # Errors
    /// No rows, or rows of different lengths.
    pub fn from_rows<X: AsRef<[f32]>, T: AsRef<[f32]>>(rows: impl IntoIterator<Item = (X, T)>) -> Result<Self> {
        let (mut x, mut t, mut lens) = (Vec::new(), Vec::new(), None);
        for (inputs, targets) in rows {
            let (inputs, targets) = (inputs.as_ref(), targets.as_ref());
            let (input_len, target_len) = *lens.get_or_insert((inputs.len(), targets.len()));
            expect_len("inputs of a row", input_len, inputs.len())?;
            expect_len("targets of a row", target_len, targets.len())?;
            x.extend_from_slice(inputs);
            t.extend_from_slice(targets);
        }
        let (input_len, target_len) = lens.ok_or(NnError::NoRows { what: "given" })?;
        InMemory::new(input_len, target_len, x, t)
    }
}

impl<'a> Borrowed<'a> {
    /// Rows of `input_len` inputs and `target_len` targets, one after another.
    ///
    /// # Errors
    /// Values that do not make up the same number of whole rows.
    pub fn new(input_len: usize, target_len: usize, x: &'a [f32], t: &'a [f32]) -> Result<Self> {
        RowsOf::of(input_len, target_len, x, t)
    }
}

impl<S: AsRef<[f32]>> RowsOf<S> {
    fn of(input_len: usize, target_len: usize, x: S, t: S) -> Result<Self> {
        if input_len == 0 || target_len == 0 {
            return Err(NnError::option(
                "row length",
                format!("{input_len} inputs and {target_len} targets"),
                "both must be at least 1",
            ));
        }
        let rows = x.as_ref().len() / input_len;
        expect_len("inputs", rows * input_len, x.as_ref().len())?;
        expect_len("targets", rows * target_len, t.as_ref().len())?;
        if u32::try_from(rows).is_err() {
            return Err(NnError::option("rows", rows, "at most 4294967295 fit into memory; stream them"));
        }
        Ok(RowsOf { x, t, weights: None, input_len, target_len, order: Vec::new(), at: 0 })
    }

    /// The same rows, each counting as much as its weight: the loss of a row is multiplied by it.
    ///
    /// # Errors
    /// Not one weight a row, or one that is negative or not finite.
    pub fn with_weights(mut self, weights: S) -> Result<Self> {
        expect_len("row weights", self.len(), weights.as_ref().len())?;
        check_weights(weights.as_ref())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.inputs().len() / self.input_len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inputs().is_empty()
    }

    /// All inputs, row by row.
    pub fn inputs(&self) -> &[f32] {
        self.x.as_ref()
    }

    /// All targets, row by row.
    pub fn targets(&self) -> &[f32] {
        self.t.as_ref()
    }

    /// The rows' weights, where they have some.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_ref().map(AsRef::as_ref)
    }

    /// Holds a random share of the rows back: `(the rest, the share)`, both in their old order. The same seed gives the same parts.
    ///
    /// # Errors
    /// A share that is not between 0 and 1, or that leaves one part without rows.
    pub fn split(&self, share: f64, seed: u64) -> Result<(InMemory, InMemory)> {
        let rows = self.len();
        let held = (rows as f64 * share).round();
        if !(held >= 1.0 && held < rows as f64) {
            return Err(NnError::option("share", format!("{share} of {rows} rows"), "both parts need rows"));
        }
        let mut order: Vec<usize> = (0..rows).collect();
        Rng::new(mix(seed)).shuffle(&mut order);
        let mut is_held = vec![false; rows];
        order.iter().take(held as usize).for_each(|row| is_held[*row] = true);
        Ok((self.pick(|row| !is_held[row]), self.pick(|row| is_held[row])))
    }

    fn pick(&self, keep: impl Fn(usize) -> bool) -> InMemory {
        let rows = |values: &[f32], len: usize| -> Vec<f32> {
            let kept = values.chunks_exact(len).enumerate().filter(|(row, _)| keep(*row));
            kept.flat_map(|(_, values)| values.iter().copied()).collect()
        };
        let (x, t) = (rows(self.inputs(), self.input_len), rows(self.targets(), self.target_len));
        let weights = self.weights().map(|weights| rows(weights, 1));
        RowsOf { x, t, weights, input_len: self.input_len, target_len: self.target_len, order: Vec::new(), at: 0 }
    }

    fn row(&self, at: usize) -> usize {
        self.order.get(at).map_or(at, |row| *row as usize)
    }

    /// Copies the next rows of one part.
    fn copy(&self, to: &mut [f32], from: &[f32], len: usize, rows: usize) {
        for (i, to) in to.chunks_exact_mut(len).take(rows).enumerate() {
            let row = self.row(self.at + i);
            to.copy_from_slice(&from[row * len..(row + 1) * len]);
        }
    }
}

/// Refuses weights of rows that are negative or not finite.
pub(crate) fn check_weights(weights: &[f32]) -> Result<()> {
    match weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        Some(row) => {
            Err(NnError::option("weight of a row", weights[row], format!("row {row} needs a number from 0 on")))
        }
        None => Ok(()),
    }
}

impl<S: AsRef<[f32]>> Dataset for RowsOf<S> {
    fn input_len(&self) -> usize {
        self.input_len
    }

    fn target_len(&self) -> usize {
        self.target_len
    }

    fn rows(&self) -> Option<usize> {
        Some(self.len())
    }

    fn start(&mut self, order: Order) -> Result<()> {
        self.at = 0;
        self.order.clear();
        if let Order::Shuffled(seed) = order {
            self.order.extend(0..self.len() as u32);
            Rng::new(seed).shuffle(&mut self.order);
        }
        Ok(())
    }

    fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
        self.next_with(x, t, &mut [])
    }

    fn extras(&self) -> Vec<(String, usize)> {
        self.weights.iter().map(|_| (WEIGHT.to_owned(), 1)).collect()
    }

    fn next_with(&mut self, x: &mut [f32], t: &mut [f32], extras: &mut [&mut [f32]]) -> Result<usize> {
        let (n, m) = (self.input_len, self.target_len);
        let rows = (x.len() / n).min(t.len() / m).min(self.len() - self.at);
        self.copy(x, self.inputs(), n, rows);
        self.copy(t, self.targets(), m, rows);
        if let (Some(weights), Some(to)) = (self.weights(), extras.first_mut()) {
            self.copy(to, weights, 1, rows);
        }
        self.at += rows;
        Ok(rows)
    }

    fn in_place(&self) -> Option<(&[f32], &[f32])> {
        Some((self.inputs(), self.targets()))
    }
}

/// Weights that let every class of one-hot targets count the same: `rows / (classes · rows of the class)`, for [`TrainConfig::class_weights`](crate::TrainConfig).
/// A single 0/1 output counts as two classes. A class without rows gets 1.
pub fn balanced_class_weights(targets: &[f32], target_len: usize) -> Vec<f32> {
    let classes = if target_len == 1 { 2 } else { target_len };
    let mut counts = vec![0_usize; classes];
    for row in targets.chunks_exact(target_len.max(1)) {
        counts[class_of(row)] += 1;
    }
    let rows: usize = counts.iter().sum();
    counts.iter().map(|n| if *n == 0 { 1.0 } else { rows as f32 / (classes * n) as f32 }).collect()
}

/// The class that a row of outputs or targets names: its largest value, or, alone, whether it is above one half. The first of equals.
pub fn class_of(row: &[f32]) -> usize {
    match row {
        [one] => usize::from(*one > 0.5),
        _ => {
            row.iter()
                .enumerate()
                .fold((0, f32::NEG_INFINITY), |best, (i, v)| if *v > best.1 { (i, *v) } else { best })
                .0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(rows: usize) -> InMemory {
        InMemory::from_rows((0..rows).map(|i| ([i as f32, -(i as f32)], [i as f32 * 10.0]))).unwrap()
    }

    /// All rows of a pass, by their first input; checks that inputs and targets stay together.
    fn pass(data: &mut InMemory, order: Order, batch: usize) -> Vec<usize> {
        let (mut x, mut t, mut seen) = (vec![0.0; batch * 2], vec![0.0; batch], Vec::new());
        data.start(order).unwrap();
        loop {
            let rows = data.next(&mut x, &mut t).unwrap();
            if rows == 0 {
                return seen;
            }
            for i in 0..rows {
                assert_eq!((x[2 * i + 1], t[i]), (-x[2 * i], x[2 * i] * 10.0));
                seen.push(x[2 * i] as usize);
            }
        }
    }

    #[test]
    fn every_pass_sees_every_row_once_in_the_order_of_its_seed() {
        let mut data = numbered(23);
        assert_eq!(pass(&mut data, Order::AsIs, 5), (0..23).collect::<Vec<_>>());
        let first = pass(&mut data, Order::Shuffled(1), 5);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..23).collect::<Vec<_>>());
        assert_ne!(first, sorted);
        assert_ne!(pass(&mut data, Order::Shuffled(2), 5), first);
        assert_eq!(
            pass(&mut data, Order::Shuffled(1), 23),
            first,
            "neither the batch nor what was read before matters"
        );
        assert_eq!(pass(&mut data, Order::AsIs, 40), (0..23).collect::<Vec<_>>());
    }

    #[test]
    fn parts_of_a_split_are_disjoint_and_complete() {
        let data = numbered(50);
        let (rest, held) = data.split(0.2, 3).unwrap();
        assert_eq!((rest.len(), held.len()), (40, 10));
        let mut all: Vec<f32> = rest.targets().iter().chain(held.targets()).copied().collect();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, data.targets());
        assert_eq!(data.split(0.2, 3).unwrap(), (rest.clone(), held));
        assert_ne!(data.split(0.2, 4).unwrap().0, rest);
        for share in [0.0, 1.0, f64::NAN, -0.5, 0.001] {
            assert!(data.split(share, 0).is_err(), "{share}");
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        assert!(InMemory::new(2, 1, vec![0.0; 5], vec![0.0; 2]).is_err());
        assert!(InMemory::new(2, 1, vec![0.0; 4], vec![0.0; 3]).is_err());
        assert!(InMemory::new(0, 1, vec![], vec![]).is_err());
        assert!(InMemory::from_rows([([0.0, 1.0].as_slice(), [1.0]), ([0.0].as_slice(), [1.0])]).is_err());
    }

    #[test]
    fn balanced_weights_give_each_class_the_same_sum() {
        let targets = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]].concat();
        assert_eq!(balanced_class_weights(&targets, 3), [4.0 / 9.0, 4.0 / 3.0, 1.0]);
        assert_eq!(balanced_class_weights(&[1.0, 0.0, 0.0, 0.0], 1), [4.0 / 6.0, 2.0]);
    }
}
