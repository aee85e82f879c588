//! Encoded rows that are all in memory.

use super::encode::{Batch, EncodedRows, Encoder, FitOptions, RowOptions, Want};
use super::source::OpenOptions;
use super::split::Part;
use crate::error::{FormatError, Result};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1 << 10;

/// Encoded rows in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Rows.
    pub rows: usize,
    /// Row-major `[rows, input_width]`.
    pub inputs: Vec<f32>,
    /// Row-major `[rows, target_width]`; empty when only inputs were wanted.
    pub targets: Vec<f32>,
    /// The position of each row in the file, from 0.
    pub row_numbers: Vec<u64>,
}

/// The rows of a file by what they are for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// For gradients.
    pub training: Table,
    /// For early stopping.
    pub validation: Table,
    /// For the figures that are reported.
    pub test: Table,
}

/// The largest table that [`load`] makes, in bytes; 1 GiB where addresses have 32 bits.
const LOAD_BYTES: usize = if usize::BITS > 32 { (4_u64 << 30) as usize } else { 1 << 30 };

/// Reads a whole data file: how its rows become numbers, fitted on the training rows, and all rows so encoded. The split of the
/// options says which rows are for what.
///
/// ```no_run
/// use mayfly_format::data::{FitOptions, load};
/// let (encoder, tables) = load("data/iris.csv", &FitOptions::default())?;
/// println!("{} rows of {} inputs", tables.training.rows, encoder.input_width());
/// # Ok::<(), mayfly_format::FormatError>(())
/// ```
///
/// # Errors
/// What [`open`](super::open()), [`Encoder::fit`] and [`Tables::read`] refuse, and files that take more than 4 GiB in memory.
pub fn load(path: impl AsRef<std::path::Path>, fit: &FitOptions) -> Result<(Encoder, Tables)> {
    let mut source = super::open(path.as_ref(), &OpenOptions::default())?;
    let encoder = Encoder::fit(source.as_mut(), fit)?;
    let options = RowOptions { want: Want::InputsAndTargets, split: fit.split, ..RowOptions::default() };
    let tables = Tables::read(&mut EncodedRows::new(source, &encoder, &options)?, LOAD_BYTES)?;
    Ok((encoder, tables))
}

/// Reads a whole data file as an encoder that was fitted on another one sees it: a test file, or rows to be answered
/// ([`Want::Inputs`], which needs no target columns).
///
/// ```no_run
/// use mayfly_format::data::{FitOptions, Want, load, load_with};
/// let (encoder, training) = load("data/digits-train.csv", &FitOptions::default())?;
/// let test = load_with("data/digits-test.csv", &encoder, Want::InputsAndTargets)?;
/// # Ok::<(), mayfly_format::FormatError>(())
/// ```
///
/// # Errors
/// What [`open`](super::open()), [`EncodedRows::new`] and [`Table::read`] refuse, and files that take more than 4 GiB in memory.
pub fn load_with(path: impl AsRef<std::path::Path>, encoder: &Encoder, want: Want) -> Result<Table> {
    let source = super::open(path.as_ref(), &encoder.open_options())?;
    Table::read(&mut EncodedRows::new(source, encoder, &RowOptions { want, ..RowOptions::default() })?, LOAD_BYTES)
}

impl Table {
    /// Reads all rows.
    ///
    /// # Errors
    /// As [`Tables::read`].
    pub fn read(rows: &mut EncodedRows, max_bytes: usize) -> Result<Self> {
        let mut table = Self::default();
        read_batches(rows, max_bytes, |batch| {
            table.rows += batch.rows;
            table.inputs.extend(&batch.inputs);
            table.targets.extend(&batch.targets);
            table.row_numbers.extend(&batch.row_numbers);
        })?;
        Ok(table)
    }

    fn push(&mut self, batch: &Batch, row: usize) {
        let part = |values: &[f32]| {
            let width = values.len() / batch.rows.max(1);
            row * width..(row + 1) * width
        };
        self.inputs.extend(batch.inputs.get(part(&batch.inputs)).unwrap_or_default());
        self.targets.extend(batch.targets.get(part(&batch.targets)).unwrap_or_default());
        self.row_numbers.extend(batch.row_numbers.get(row));
        self.rows += 1;
    }
}

impl Tables {
    /// Reads all rows, each into its part, in one pass.
    ///
    /// # Errors
    /// [`FormatError::TableTooLarge`] as soon as the rows need more than `max_bytes` (then stream them), and what is wrong with the file.
    pub fn read(rows: &mut EncodedRows, max_bytes: usize) -> Result<Self> {
        let mut tables = Self::default();
        read_batches(rows, max_bytes, |batch| {
            for (row, part) in batch.parts.iter().enumerate() {
                match part {
                    Part::Training => tables.training.push(batch, row),
                    Part::Validation => tables.validation.push(batch, row),
                    Part::Test => tables.test.push(batch, row),
                }
            }
        })?;
        Ok(tables)
    }
}

fn read_batches(rows: &mut EncodedRows, max_bytes: usize, mut each: impl FnMut(&Batch)) -> Result<()> {
    let row_bytes = rows.row_width() * size_of::<f32>() + size_of::<u64>();
    let mut batch = Batch::default();
    let mut count = 0_u64;
    rows.rewind()?;
    while rows.read(&mut batch, BATCH_ROWS)? > 0 {
        count += batch.rows as u64;
        if count.saturating_mul(row_bytes as u64) > max_bytes as u64 {
            return Err(FormatError::TableTooLarge {
                file: rows.source().name().to_owned(),
                rows: count,
                row_bytes,
                limit_bytes: max_bytes,
            });
        }
        each(&batch);
    }
    rows.rewind()
}
