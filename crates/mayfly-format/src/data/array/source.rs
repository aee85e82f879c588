//! One or two arrays with the same number of rows as a data file.

use super::reader::{ArrayReader, Cells};
use crate::data::chunk::Chunk;
use crate::data::schema::{Column, ColumnKind, Names, Schema, Targets, positional};
use crate::data::source::{OpenOptions, Reading, Source, chunk_rows};
use crate::data::value::Markers;
use crate::error::{FormatError, Position, Result};
use crate::limits::DataLimits;

/// Inputs, and perhaps targets.
#[derive(Debug)]
pub(super) struct ArraySource {
    name: String,
    schema: Schema,
    inputs: ArrayReader,
    targets: Option<ArrayReader>,
    rows: u64,
    row: u64,
    markers: Markers,
    reading: Reading,
}

/// What the arrays of a format are called, and what their targets are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    /// An input array with more than two dimensions.
    pub(super) grid: &'static str,
    /// The target array, if it has one column.
    pub(super) target: &'static str,
    /// What a target array means.
    pub(super) targets: fn(usize) -> Targets,
}

impl ArraySource {
    pub(super) fn new(
        name: &str,
        naming: Naming,
        inputs: ArrayReader,
        targets: Option<ArrayReader>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let limits = &options.limits;
        let rows = inputs.header().rows();
        let target_len = targets.as_ref().map_or(0, ArrayReader::row_len);
        check_width(name, inputs.row_len(), limits)?;
        if let Some(targets) = &targets {
            check_width(name, target_len, limits)?;
            check_rows(name, rows, targets.header().rows())?;
        }
        let mut columns = input_columns(naming.grid, inputs.header().row_shape(), inputs.row_len());
        columns.extend(target_columns(naming.target, target_len));
        let kind = targets.as_ref().map_or(Targets::Free, |_| (naming.targets)(target_len));
        let schema = Schema::new(name, columns, Names::Positional, kind)?;
        Ok(Self {
            name: name.to_owned(),
            schema,
            inputs,
            targets,
            rows,
            row: 0,
            markers: Markers::new(options.missing_tokens.as_deref()),
            reading: Reading { missing_tokens: options.missing_tokens.clone(), ..Reading::default() },
        })
    }

    /// Says where targets were looked for in vain.
    pub(super) fn without_targets(mut self, looked_for: String) -> Self {
        self.reading.no_targets = Some(looked_for);
        self
    }

    fn refuse_infinity(&self, chunk: &Chunk) -> Result<()> {
        let Some(place) = chunk.numbers.iter().position(|value| value.is_infinite()) else {
            return Ok(());
        };
        let width = self.schema.number_width().max(1);
        let (column, cell) = self.schema.column_of_number(place % width).unwrap_or_default();
        let name = match self.schema.columns().get(column) {
            Some(Column { name, kind: ColumnKind::Grid(_) }) => format!("{name}, cell {cell}"),
            Some(Column { name, .. }) => name.clone(),
            None => String::new(),
        };
        let row = chunk.first_row + (place / width) as u64 + 1;
        let at = Position::Cell { row, column: column + 1, name };
        Err(FormatError::malformed(&self.name, at, "a finite number", "infinity"))
    }
}

/// A row without values takes no bytes, so nothing would bound the number of rows.
fn check_width(name: &str, width: usize, limits: &DataLimits) -> Result<()> {
    if width == 0 {
        let expected = "at least one value in a row";
        return Err(FormatError::malformed(name, Position::File, expected, "none"));
    }
    if width <= limits.columns {
        return Ok(());
    }
    Err(FormatError::TooLarge {
        file: name.to_owned(),
        what: "the number of values in a row".into(),
        got: width as u64,
        limit: limits.columns as u64,
    })
}

fn check_rows(name: &str, inputs: u64, targets: u64) -> Result<()> {
    if inputs == targets {
        return Ok(());
    }
    let expected = format!("as many targets as the {inputs} rows of inputs");
    Err(FormatError::malformed(name, Position::File, expected, &targets.to_string()))
}

fn input_columns(grid: &str, row_shape: &[usize], row_len: usize) -> Vec<Column> {
    if row_shape.len() < 2 {
        return positional("x", row_len).collect();
    }
    let kind = ColumnKind::Grid(row_shape.to_vec());
    vec![Column { name: grid.to_owned(), kind }]
}

fn target_columns(name: &str, count: usize) -> Vec<Column> {
    if count == 1 {
        return vec![Column { name: name.to_owned(), kind: ColumnKind::Numeric }];
    }
    positional("y", count).collect()
}

impl Source for ArraySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn reading(&self) -> Reading {
        self.reading.clone()
    }

    fn declared_rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn rewind(&mut self) -> Result<()> {
        self.row = 0;
        self.inputs.rewind()?;
        self.targets.as_mut().map_or(Ok(()), ArrayReader::rewind)
    }

    fn read(&mut self, chunk: &mut Chunk, max_rows: usize) -> Result<usize> {
        chunk.start(&self.schema, self.row);
        let left = usize::try_from(self.rows - self.row).unwrap_or(usize::MAX);
        let rows = chunk_rows(&self.schema, max_rows).min(left);
        let width = self.schema.number_width();
        chunk.numbers.resize(rows * width, 0.0);
        let stride = width.max(1);
        self.inputs.read(rows, Cells { out: &mut chunk.numbers, stride, offset: 0 })?;
        if let Some(targets) = &mut self.targets {
            let offset = self.inputs.row_len();
            targets.read(rows, Cells { out: &mut chunk.numbers, stride, offset })?;
        }
        chunk.rows = rows;
        self.markers.mask(&mut chunk.numbers);
        self.refuse_infinity(chunk)?;
        self.row += rows as u64;
        Ok(rows)
    }

    fn categories(&self, _code_slot: usize) -> &[String] {
        &[]
    }
}
