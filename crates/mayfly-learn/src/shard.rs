//! A node's own rows, and where in them its training is.

use crate::{LearnError, Result};
use mayfly_format::data::{Batch, EncodedRows, Encoder, RowOptions, Want, open};
use mayfly_nn::tabular::FileOptions;
use mayfly_nn::{Dataset, InMemory, Order};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1 << 10;
/// The largest shard, in bytes: 4 GiB.
const SHARD_BYTES: usize = if usize::BITS > 32 { (4_u64 << 30) as usize } else { 1 << 30 };

/// Where a node's rows are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// The data file.
    pub file: PathBuf,
    /// The rows of it that are this node's, from 0; all of them unless told.
    pub rows: Option<Vec<u64>>,
    /// How it is read, where that is not to be found out.
    #[serde(default)]
    pub reading: FileOptions,
}

/// Reads a node's rows as the run's encoder has them.
///
/// # Errors
/// A file that cannot be read or has other columns, with file, column and line; [`LearnError::NoRows`]; rows that take more than 4 GiB.
pub fn read_shard(shard: &Shard, encoder: &Encoder) -> Result<InMemory> {
    let Shard { file, rows: numbers, reading } = shard;
    let source = open(file, &reading.over(encoder.open_options()))?;
    let options = RowOptions { want: Want::InputsAndTargets, ..RowOptions::default() };
    let mut rows = EncodedRows::new(source, encoder, &options)?;
    let (inputs, targets) = (encoder.input_width(), encoder.target_width());
    let (mut batch, mut x, mut t) = (Batch::default(), Vec::new(), Vec::new());
    let mut wanted = numbers.as_ref().map(|numbers| numbers.iter().peekable());
    while rows.read(&mut batch, BATCH_ROWS)? > 0 {
        let pairs = batch.inputs.chunks_exact(inputs.max(1)).zip(batch.targets.chunks_exact(targets.max(1)));
        for (number, (inputs, targets)) in batch.row_numbers.iter().zip(pairs) {
            let is_wanted = wanted.as_mut().is_none_or(|wanted| wanted.next_if(|next| *next == number).is_some());
            if is_wanted {
                x.extend_from_slice(inputs);
                t.extend_from_slice(targets);
            }
        }
        if (x.len() + t.len()).saturating_mul(4) > SHARD_BYTES {
            let want = format!("at most {} GiB of rows are held in memory", SHARD_BYTES >> 30);
            return Err(LearnError::option("shard", file.display(), want));
        }
    }
    if x.is_empty() {
        return Err(LearnError::NoRows { what: file.display().to_string() });
    }
    Ok(InMemory::new(inputs, targets, x, t)?)
}

/// Goes through a shard batch by batch, again and again, each time in another order. It can be put back to any place.
#[derive(Clone, Debug)]
pub struct Cursor {
    rows: InMemory,
    seed: u64,
    place: Place,
    x: Vec<f32>,
    t: Vec<f32>,
}

/// Where in its rows a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Passes that are over.
    pub epoch: u64,
    /// Batches of this pass that are over.
    pub batches: u64,
}

impl Cursor {
    /// At the beginning. The order of the rows in each pass is that of `mayfly_nn`'s trainer with this seed.
    ///
    /// # Errors
    /// [`LearnError::NoRows`], [`LearnError::Option`] for batches of no row.
    pub fn new(mut rows: InMemory, batch: usize, seed: u64) -> Result<Self> {
        if rows.is_empty() {
            return Err(LearnError::NoRows { what: "this node".to_owned() });
        }
        if batch == 0 {
            return Err(LearnError::option("batch", 0, "at least 1 row is wanted"));
        }
        let batch = batch.min(rows.len());
        let (x, t) = (vec![0.0; batch * rows.input_len()], vec![0.0; batch * rows.target_len()]);
        rows.start(Order::of_epoch(seed, 0))?;
        Ok(Self { rows, seed, place: Place::default(), x, t })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Goes to a place.
    ///
    /// # Errors
    /// Those of the rows.
    pub fn seek(&mut self, place: Place) -> Result<()> {
        if place == self.place {
            return Ok(());
        }
        self.rows.start(Order::of_epoch(self.seed, place.epoch))?;
        self.place = Place { batches: 0, ..place };
        for _ in 0..place.batches {
            self.read()?;
        }
        Ok(())
    }

    /// The next batch: inputs and targets. The last one of a pass may be smaller.
    ///
    /// # Errors
    /// Those of the rows.
    pub fn next_batch(&mut self) -> Result<(&[f32], &[f32])> {
        let mut rows = self.read()?;
        if rows == 0 {
            self.place = Place { epoch: self.place.epoch + 1, batches: 0 };
            self.rows.start(Order::of_epoch(self.seed, self.place.epoch))?;
            rows = self.read()?;
        }
        Ok((&self.x[..rows * self.rows.input_len()], &self.t[..rows * self.rows.target_len()]))
    }

    fn read(&mut self) -> Result<usize> {
        let rows = self.rows.next(&mut self.x, &mut self.t)?;
        self.place.batches += u64::from(rows > 0);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(rows: usize, batch: usize) -> Cursor {
        let rows = InMemory::from_rows((0..rows).map(|i| ([i as f32], [-(i as f32)]))).unwrap();
        Cursor::new(rows, batch, 5).unwrap()
    }

    fn batches(cursor: &mut Cursor, count: usize) -> Vec<Vec<f32>> {
        (0..count).map(|_| cursor.next_batch().unwrap().0.to_vec()).collect()
    }

    #[test]
    fn every_pass_has_every_row_once_and_another_order() {
        let mut cursor = cursor(7, 3);
        let passes: Vec<Vec<f32>> = (0..3).map(|_| batches(&mut cursor, 3).concat()).collect();
        for pass in &passes {
            let mut sorted = pass.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        }
        assert!(passes[0] != passes[1] && passes[1] != passes[2]);
        assert_eq!(cursor.place(), Place { epoch: 2, batches: 3 });
    }

    #[test]
    fn it_goes_on_from_any_place() {
        let mut whole = cursor(7, 3);
        let all = batches(&mut whole, 12);
        for from in 0..12 {
            let mut first = cursor(7, 3);
            batches(&mut first, from);
            let place = first.place();
            let mut second = cursor(7, 3);
            batches(&mut second, (from * 5) % 11);
            second.seek(place).unwrap();
            assert_eq!(batches(&mut second, 12 - from), all[from..], "from {from}");
        }
    }

    #[test]
    fn a_batch_is_at_most_the_shard() {
        assert_eq!(batches(&mut cursor(2, 64), 2).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        let none = InMemory::new(1, 1, vec![], vec![]).unwrap();
        assert!(matches!(Cursor::new(none, 3, 1), Err(LearnError::NoRows { .. })));
        let one = InMemory::new(1, 1, vec![0.0], vec![0.0]).unwrap();
        assert!(matches!(Cursor::new(one, 0, 1), Err(LearnError::Option { .. })));
    }
}
