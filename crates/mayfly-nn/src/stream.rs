//! Rows of a data file that need not fit into memory.
use crate::data::{Dataset, Order};
use crate::error::{NnError, Result, expect_len};
use mayfly_base::Rng;
use mayfly_format::data::{Batch, EncodedRows, Encoder, Table};
use mayfly_kernels::Buffer;

use crate::data::InMemory;

/// Rows that are read from the file at a time.
const READ_ROWS: usize = 1024;
/// Values that the shuffling buffer holds, unless that is less than [`READ_ROWS`] rows: 256 MiB.
const SHUFFLE_VALUES: usize = 1 << 26;

/// The rows of a file, encoded, read anew in every epoch.
///
/// A shuffled pass draws each row at random from a buffer of some hundred MiB that is refilled from the file: exact for files that fit into it, and close enough to
/// random for larger ones unless they are sorted. The same seed gives the same order.
#[derive(Debug)]
pub struct Streamed {
    rows: EncodedRows,
    input_len: usize,
    target_len: usize,
    known_rows: Option<usize>,
    /// What was read from the file, and how much of it was used.
    batch: Batch,
    used: usize,
    shuffle: Option<Shuffle>,
}

/// Rows among which the next one is drawn.
#[derive(Debug)]
struct Shuffle {
    rng: Rng,
    x: Buffer<f32>,
    t: Buffer<f32>,
    filled: usize,
}

impl Streamed {
    /// The rows that `rows` reads, encoded by `encoder`; `known_rows` says how many, where that is known ([`Encoder::training_rows`] for the training part):
    /// schedules that change within an epoch need it.
    pub fn new(rows: EncodedRows, encoder: &Encoder, known_rows: Option<usize>) -> Self {
        let (input_len, target_len) = (encoder.input_width(), encoder.target_width());
        Streamed { rows, input_len, target_len, known_rows, batch: Batch::default(), used: 0, shuffle: None }
    }

    /// Makes sure that there is an unused row; false at the end.
    fn refill(&mut self) -> Result<bool> {
        if self.used >= self.batch.rows {
            self.rows.read(&mut self.batch, READ_ROWS)?;
            self.used = 0;
            let rows = self.batch.rows;
            expect_len("inputs of the file", rows * self.input_len, self.batch.inputs.len())?;
            expect_len("targets of the file", rows * self.target_len, self.batch.targets.len())?;
        }
        Ok(self.batch.rows > 0)
    }

    /// Copies the next row of the file; false at the end.
    fn pull(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<bool> {
        if !self.refill()? {
            return Ok(false);
        }
        x.copy_from_slice(&self.batch.inputs[self.used * self.input_len..(self.used + 1) * self.input_len]);
        t.copy_from_slice(&self.batch.targets[self.used * self.target_len..(self.used + 1) * self.target_len]);
        self.used += 1;
        Ok(true)
    }

    /// Copies a row at random; false at the end.
    fn draw(&mut self, shuffle: &mut Shuffle, x: &mut [f32], t: &mut [f32]) -> Result<bool> {
        let (n, m) = (self.input_len, self.target_len);
        let capacity = shuffle.x.len() / n;
        while shuffle.filled < capacity
            && self.pull(row_mut(&mut shuffle.x, shuffle.filled, n), row_mut(&mut shuffle.t, shuffle.filled, m))?
        {
            shuffle.filled += 1;
        }
        if shuffle.filled == 0 {
            return Ok(false);
        }
        let at = shuffle.rng.below(shuffle.filled as u64) as usize;
        x.copy_from_slice(row_mut(&mut shuffle.x, at, n));
        t.copy_from_slice(row_mut(&mut shuffle.t, at, m));
        shuffle.filled -= 1;
        let last = shuffle.filled;
        shuffle.x.copy_within(last * n..(last + 1) * n, at * n);
        shuffle.t.copy_within(last * m..(last + 1) * m, at * m);
        Ok(true)
    }
}

fn row_mut(values: &mut [f32], row: usize, len: usize) -> &mut [f32] {
    &mut values[row * len..(row + 1) * len]
}

impl Dataset for Streamed {
    fn input_len(&self) -> usize {
        self.input_len
    }

    fn target_len(&self) -> usize {
        self.target_len
    }

    fn rows(&self) -> Option<usize> {
        self.known_rows
    }

    fn start(&mut self, order: Order) -> Result<()> {
        self.rows.rewind()?;
        (self.batch.rows, self.used) = (0, 0);
        let before = self.shuffle.take();
        if let Order::Shuffled(seed) = order {
            let capacity = (SHUFFLE_VALUES / (self.input_len + self.target_len).max(1)).max(READ_ROWS);
            let capacity = self.known_rows.map_or(capacity, |rows| capacity.min(rows.max(1)));
            let (x, t) = match before {
                Some(shuffle) => (shuffle.x, shuffle.t),
                None => (Buffer::zeroed(capacity * self.input_len), Buffer::zeroed(capacity * self.target_len)),
            };
            self.shuffle = Some(Shuffle { rng: Rng::new(seed), x, t, filled: 0 });
        }
        Ok(())
    }

    fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
        let mut shuffle = self.shuffle.take();
        let mut rows = 0;
        for (x, t) in x.chunks_exact_mut(self.input_len).zip(t.chunks_exact_mut(self.target_len)) {
            let more = match &mut shuffle {
                Some(shuffle) => self.draw(shuffle, x, t)?,
                None => self.pull(x, t)?,
            };
            if !more {
                break;
            }
            rows += 1;
        }
        self.shuffle = shuffle;
        Ok(rows)
    }
}

impl InMemory {
    /// The rows of a table that `encoder` made.
    ///
    /// # Errors
    /// A table without targets.
    pub fn from_table(table: Table, encoder: &Encoder) -> Result<Self> {
        if table.targets.is_empty() && table.rows > 0 {
            return Err(NnError::NoRows { what: "target" });
        }
        InMemory::new(encoder.input_width(), encoder.target_width(), table.inputs, table.targets)
    }
}
