//! CSV: delimiter-separated text, as described in `docs/formats/data.md`.

mod heading;
mod records;
mod shape;
mod sniff;
mod survey;
#[cfg(test)]
mod tests;

use self::records::Records;
use self::survey::{Layout, open_records, survey};
use super::chunk::{Chunk, Dictionary, MISSING_CODE};
use super::input::Input;
use super::schema::{Column, Schema, Slot};
use super::source::{OpenOptions, Reading, Source, chunk_rows};
use super::value::{Markers, number_in, trim};
use crate::error::{FormatError, Position, Result};

pub(super) use self::heading::USUAL_TARGETS;
#[cfg(feature = "parquet")]
pub(super) use self::survey::refuse_unknown_kinds;

/// A CSV file.
#[derive(Debug)]
pub(super) struct CsvSource {
    input: Input,
    options: OpenOptions,
    layout: Layout,
    markers: Markers,
    dictionaries: Vec<Dictionary>,
    records: Records,
    row: u64,
}

impl CsvSource {
    pub(super) fn open(input: Input, options: &OpenOptions) -> Result<Self> {
        let layout = survey(&input, options)?;
        let records = start(&input, &layout, options)?;
        Ok(Self {
            markers: Markers::new(options.missing_tokens.as_deref()),
            dictionaries: vec![Dictionary::new(options.limits.categories); layout.schema.code_width()],
            options: options.clone(),
            row: 0,
            input,
            layout,
            records,
        })
    }

    fn read_record(&mut self, chunk: &mut Chunk) -> Result<()> {
        let line = self.records.line();
        if !self.layout.widths.fit(&self.records) {
            return Err(self.records.ragged(self.layout.widths.columns));
        }
        for (index, (column, slot)) in self.layout.schema.slots().enumerate() {
            let field = trim(self.records.field(index));
            match slot {
                Slot::Number(_) => match number_in(field, self.layout.style) {
                    Some(value) => chunk.numbers.push(self.markers.masked(value)),
                    None if self.markers.contain_beside_numbers(field) => chunk.numbers.push(f64::NAN),
                    None => return Err(bad_number(&self.input, line, index, column, field)),
                },
                Slot::Code(slot) => {
                    let code = if self.markers.contain(field) {
                        Some(MISSING_CODE)
                    } else {
                        self.dictionaries.get_mut(slot).and_then(|d| d.code(field))
                    };
                    chunk.codes.push(code.ok_or_else(|| self.too_many_categories(column))?);
                }
                Slot::Text(slot) => {
                    if let Some(texts) = chunk.texts.get_mut(slot) {
                        texts.push(field);
                    }
                }
            }
        }
        chunk.lines.push(line);
        Ok(())
    }

    fn too_many_categories(&self, column: &Column) -> FormatError {
        FormatError::TooManyCategories {
            file: self.input.name().to_owned(),
            column: column.name.clone(),
            limit: self.options.limits.categories,
        }
    }
}

/// The records of the rows.
fn start(input: &Input, layout: &Layout, options: &OpenOptions) -> Result<Records> {
    let mut records = open_records(input, layout.delimiter, options)?;
    for _ in 0..layout.skip {
        records.advance()?;
    }
    Ok(records)
}

#[cold]
fn bad_number(input: &Input, line: u64, index: usize, column: &Column, field: &[u8]) -> FormatError {
    let at = Position::Field { line, column: index + 1, name: column.name.clone() };
    let found = format!("\"{}\"", super::chunk::decode(field));
    FormatError::malformed(input.name(), at, "a finite number, as in the rest of the column", &found)
}

impl Source for CsvSource {
    fn name(&self) -> &str {
        self.input.name()
    }

    fn schema(&self) -> &Schema {
        &self.layout.schema
    }

    fn reading(&self) -> Reading {
        self.layout.reading.clone()
    }

    fn declared_rows(&self) -> Option<u64> {
        None
    }

    fn rewind(&mut self) -> Result<()> {
        self.records = start(&self.input, &self.layout, &self.options)?;
        self.row = 0;
        Ok(())
    }

    fn read(&mut self, chunk: &mut Chunk, max_rows: usize) -> Result<usize> {
        chunk.start(&self.layout.schema, self.row);
        let max_rows = chunk_rows(&self.layout.schema, max_rows);
        while chunk.rows < max_rows && self.records.advance()? {
            self.read_record(chunk)?;
            chunk.rows += 1;
        }
        self.row += chunk.rows as u64;
        Ok(chunk.rows)
    }

    fn categories(&self, code_slot: usize) -> &[String] {
        self.dictionaries.get(code_slot).map(Dictionary::names).unwrap_or_default()
    }
}
