//! Encoded rows, batch by batch.

use super::Encoder;
use std::cell::RefCell;
use std::collections::BTreeMap;

use super::bind::{Binding, Bound, Step, bind, key};
use super::collect::{INPUT_HINT, TARGET_HINT, is_missing, missing_value};
use super::options::{ExtraColumns, MissingPolicy, Want};
use super::strata::Strata;
use crate::data::chunk::{Chunk, MISSING_CODE};
use crate::data::source::Source;
use crate::data::split::{Part, Split, Splitter};
use crate::error::{FormatError, Position, Result};

/// Values that one batch holds at most, unless a single row has more: 64 MiB.
const BATCH_VALUES: usize = 1 << 24;

/// Rows that are read from the source at a time.
const CHUNK_ROWS: usize = 1 << 10;

/// Known categories that an error message repeats.
const KNOWN_SHOWN: usize = 16;

/// How to read encoded rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowOptions {
    /// Inputs alone, or targets too.
    pub want: Want,
    /// What to do about unknown columns.
    pub extra: ExtraColumns,
    /// How the file is divided; the same as in the fit, or the default to take every row for [`Part::Training`].
    pub split: Split,
    /// Only the rows of this part; all when not given.
    pub part: Option<Part>,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self { want: Want::InputsAndTargets, extra: ExtraColumns::Refuse, split: Split::default(), part: None }
    }
}

/// Some encoded rows, reused from call to call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Rows in this batch.
    pub rows: usize,
    /// Row-major `[rows, input_width]`.
    pub inputs: Vec<f32>,
    /// Row-major `[rows, target_width]`; empty when only inputs are wanted.
    pub targets: Vec<f32>,
    /// The position of each row in the file, from 0. Rows may be absent: see [`MissingPolicy::DropRow`].
    pub row_numbers: Vec<u64>,
    /// What each row is for.
    pub parts: Vec<Part>,
}

impl Batch {
    fn clear(&mut self) {
        self.rows = 0;
        self.inputs.clear();
        self.targets.clear();
        self.row_numbers.clear();
        self.parts.clear();
    }
}

/// The rows of a source, encoded. Like the source it streams and can be rewound.
#[derive(Debug)]
pub struct EncodedRows {
    source: Box<dyn Source>,
    binding: Binding,
    policy: MissingPolicy,
    part: Option<Part>,
    row_width: usize,
    split: Split,
    splitter: Splitter,
    strata: Strata,
    chunk: Chunk,
    next: usize,
    filled: Filled,
}

/// Missing cells that something stood in for, by the position of their column.
type Filled = RefCell<BTreeMap<usize, u64>>;

impl EncodedRows {
    /// Matches the columns of `source` with those of `encoder`, and starts at its first row.
    ///
    /// # Errors
    /// The typed errors about columns: missing, unknown, of another kind, or too many or few where there are no names.
    pub fn new(mut source: Box<dyn Source>, encoder: &Encoder, options: &RowOptions) -> Result<Self> {
        options.split.check()?;
        let binding = bind(encoder, source.as_ref(), options.want, options.extra)?;
        source.rewind()?;
        let targets = if options.want == Want::Inputs { 0 } else { encoder.target_width() };
        Ok(Self {
            strata: Strata::new(source.schema(), &binding.target_positions),
            row_width: encoder.input_width() + targets,
            policy: encoder.missing(),
            part: options.part,
            split: options.split,
            splitter: options.split.splitter(),
            chunk: Chunk::default(),
            next: 0,
            filled: Filled::default(),
            source,
            binding,
        })
    }

    /// The source that is read.
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// The columns of which missing cells were imputed since the first row, and how many. Worth telling the user.
    pub fn imputed(&self) -> Vec<(String, u64)> {
        let name = |position: &usize| self.source.schema().columns().get(*position).map(|column| column.name.clone());
        self.filled.borrow().iter().map(|(position, &count)| (name(position).unwrap_or_default(), count)).collect()
    }

    /// Values in a row: inputs, and targets where they are wanted.
    pub(in crate::data) fn row_width(&self) -> usize {
        self.row_width
    }

    /// Goes back to the first row.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn rewind(&mut self) -> Result<()> {
        self.source.rewind()?;
        self.splitter = self.split.splitter();
        self.chunk = Chunk::default();
        self.next = 0;
        self.filled.borrow_mut().clear();
        Ok(())
    }

    /// Replaces `batch` by the next `max_rows` rows, fewer only at the end (and where rows are so wide that a batch would be huge).
    /// Returns how many they are; 0 is the end.
    ///
    /// # Errors
    /// What is wrong with the file, a missing value that is not to be filled in, a category that was not there in training, or
    /// a number that does not fit into `f32` when scaled, with its place.
    pub fn read(&mut self, batch: &mut Batch, max_rows: usize) -> Result<usize> {
        batch.clear();
        let max_rows = max_rows.min((BATCH_VALUES / self.row_width.max(1)).max(1));
        while batch.rows < max_rows {
            if self.next >= self.chunk.rows && !self.read_chunk()? {
                break;
            }
            self.encode_next(batch)?;
        }
        Ok(batch.rows)
    }

    fn read_chunk(&mut self) -> Result<bool> {
        self.next = 0;
        if self.source.read(&mut self.chunk, CHUNK_ROWS)? == 0 {
            self.chunk.rows = 0;
            return Ok(false);
        }
        self.strata.update(self.source.as_ref());
        for bound in self.binding.inputs.iter_mut().chain(&mut self.binding.targets) {
            if let Step::OneHot { remap, .. } = &mut bound.step {
                remap.update(self.source.as_ref());
            }
        }
        Ok(true)
    }

    fn encode_next(&mut self, batch: &mut Batch) -> Result<()> {
        let row = self.next;
        self.next += 1;
        let class = self.strata.class_of(self.source.schema(), &self.chunk, row);
        let part = self.splitter.next_part(class);
        if self.part.is_some_and(|only| only != part) {
            return Ok(());
        }
        let view = RowView {
            source: self.source.as_ref(),
            chunk: &self.chunk,
            row,
            policy: self.policy,
            filled: &self.filled,
        };
        if self.policy == MissingPolicy::DropRow && view.misses_any(&self.binding) {
            return Ok(());
        }
        view.encode(&self.binding.inputs, Role::Input, &mut batch.inputs)?;
        view.encode(&self.binding.targets, Role::Target, &mut batch.targets)?;
        batch.row_numbers.push(self.chunk.first_row + row as u64);
        batch.parts.push(part);
        batch.rows += 1;
        Ok(())
    }
}

/// What a column is for, which decides whether it may be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Target,
}

/// One row of a chunk.
struct RowView<'a> {
    source: &'a dyn Source,
    chunk: &'a Chunk,
    row: usize,
    policy: MissingPolicy,
    filled: &'a Filled,
}

impl RowView<'_> {
    fn misses_any(&self, binding: &Binding) -> bool {
        let mut used = binding.inputs.iter().chain(&binding.targets);
        used.any(|bound| is_missing(self.source.schema(), self.chunk, self.row, bound.position))
    }

    fn encode(&self, columns: &[Bound], role: Role, out: &mut Vec<f32>) -> Result<()> {
        let schema = self.source.schema();
        let numbers = self.chunk.numbers_of(schema, self.row);
        let codes = self.chunk.codes_of(schema, self.row);
        for bound in columns {
            match &bound.step {
                &Step::Numbers { at, width, shift, scale, fill } => {
                    let cells = numbers.get(at..at + width).unwrap_or_default();
                    let scaled = |value: f64| ((value - shift) / scale) as f32;
                    let start = out.len();
                    out.extend(cells.iter().map(|&value| scaled(value)));
                    let new = out.get_mut(start..).unwrap_or_default();
                    if !all_finite(new) {
                        self.repair(bound, role, cells, new, (fill, &scaled))?;
                    }
                }
                Step::OneHot { at, width, fill, remap } => {
                    let index = match codes.get(*at).copied().unwrap_or(MISSING_CODE) {
                        MISSING_CODE => self.fill(bound, role, *fill)?,
                        code => remap
                            .get(code)
                            .ok_or_else(|| self.unseen(bound, remap.name(self.source, code), known_names(bound)))?,
                    };
                    push_one_hot(out, *width, index);
                }
                Step::ByValue { at, width, index } => {
                    let value = numbers.get(*at).copied().unwrap_or(f64::NAN);
                    let value = if value.is_nan() { self.fill(bound, role, value)? } else { value };
                    let index = index.get(&key(value));
                    let index = index.ok_or_else(|| self.unseen(bound, &value.to_string(), known_names(bound)))?;
                    push_one_hot(out, *width, *index);
                }
            }
        }
        Ok(())
    }

    /// Fills what is missing into scaled cells, or says what is wrong with the first that cannot be helped.
    #[cold]
    fn repair(
        &self,
        bound: &Bound,
        role: Role,
        cells: &[f64],
        scaled_cells: &mut [f32],
        (fill, scaled): (f64, &dyn Fn(f64) -> f32),
    ) -> Result<()> {
        for (&value, cell) in cells.iter().zip(scaled_cells) {
            let value = if value.is_nan() { self.fill(bound, role, fill)? } else { value };
            *cell = scaled(value);
            if !cell.is_finite() {
                return Err(self.too_large(bound, value));
            }
        }
        Ok(())
    }

    /// What stands in for a missing value, where that is allowed.
    fn fill<T>(&self, bound: &Bound, role: Role, fill: T) -> Result<T> {
        match (role, self.policy) {
            (Role::Input, MissingPolicy::Impute) => {
                *self.filled.borrow_mut().entry(bound.position).or_default() += 1;
                Ok(fill)
            }
            (Role::Input, _) => Err(self.missing(bound, INPUT_HINT)),
            (Role::Target, _) => Err(self.missing(bound, TARGET_HINT)),
        }
    }

    #[cold]
    fn missing(&self, bound: &Bound, hint: &'static str) -> FormatError {
        missing_value(self.source.name(), self.source.schema(), self.chunk, self.row, bound.position, hint)
    }

    fn place(&self, bound: &Bound) -> (Position, String) {
        match self.source.schema().columns().get(bound.position) {
            Some(column) => (self.chunk.position(self.row, bound.position, column), column.name.clone()),
            None => (Position::File, String::new()),
        }
    }

    #[cold]
    fn unseen(&self, bound: &Bound, value: &str, known: Vec<String>) -> FormatError {
        let (at, column) = self.place(bound);
        FormatError::UnseenCategory { file: self.source.name().to_owned(), at, column, value: value.to_owned(), known }
    }

    #[cold]
    fn too_large(&self, bound: &Bound, value: f64) -> FormatError {
        let (at, _) = self.place(bound);
        let expected = "a number that fits into f32 when scaled";
        FormatError::malformed(self.source.name(), at, expected, &value.to_string())
    }
}

/// Without a branch per value, so that it is done several at a time.
fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, value| all & value.is_finite())
}

fn push_one_hot(out: &mut Vec<f32>, width: usize, index: usize) {
    let start = out.len();
    out.resize(start + width, 0.0);
    if let Some(one) = out.get_mut(start + index) {
        *one = 1.0;
    }
}

/// The first known categories of a column, in order, for a message.
fn known_names(bound: &Bound) -> Vec<String> {
    match &bound.step {
        Step::Numbers { .. } => Vec::new(),
        Step::OneHot { remap, .. } => remap.known(KNOWN_SHOWN),
        Step::ByValue { index, .. } => {
            let mut values: Vec<f64> = index.keys().map(|&bits| f64::from_bits(bits)).collect();
            values.sort_by(f64::total_cmp);
            values.iter().take(KNOWN_SHOWN).map(f64::to_string).collect()
        }
    }
}
