//! From the values of Parquet columns to the rows of a chunk.

use std::io::Write;

use parquet::data_type::ByteArray;

use super::cursor::Values;
use crate::data::chunk::{Chunk, Dictionary, MISSING_CODE};
use crate::data::schema::{Column, ColumnKind, Schema, Slot};
use crate::data::value::{Markers, Style, number_in, trim};
use crate::error::{FormatError, Result};

/// What is needed to put values into a chunk.
pub(super) struct Filler<'a> {
    pub(super) file: &'a str,
    pub(super) schema: &'a Schema,
    pub(super) dictionaries: &'a mut [Dictionary],
    pub(super) markers: &'a Markers,
    /// The limit on categories, for the message.
    pub(super) categories: usize,
}

impl Filler<'_> {
    /// Appends `rows` rows, given column by column.
    pub(super) fn fill(&mut self, chunk: &mut Chunk, rows: usize, columns: Vec<Values>) -> Result<()> {
        let all = chunk.rows + rows;
        chunk.numbers.resize(all * self.schema.number_width(), 0.0);
        chunk.codes.resize(all * self.schema.code_width(), 0);
        for (index, ((column, slot), values)) in self.schema.slots().zip(columns).enumerate() {
            match slot {
                Slot::Number(at) => self.numbers(chunk, (index, column), at, values)?,
                Slot::Code(at) => self.codes(chunk, (index, column), at, &values)?,
                Slot::Text(at) => {
                    if let Some(texts) = chunk.texts.get_mut(at) {
                        each_text(&values, |_, text| {
                            texts.push(text.unwrap_or_default());
                            Ok(())
                        })?;
                    }
                }
            }
        }
        chunk.rows = all;
        Ok(())
    }

    fn numbers(&self, chunk: &mut Chunk, (index, column): (usize, &Column), at: usize, values: Values) -> Result<()> {
        let mut numbers = match values {
            Values::Numbers(numbers) => numbers,
            Values::Texts(texts) => self.parsed(chunk, (index, column), &texts)?,
            Values::Times(..) | Values::Unread(_) => {
                return Err(FormatError::ColumnKind {
                    file: self.file.to_owned(),
                    column: column.name.clone(),
                    want: ColumnKind::Numeric.name(),
                    got: ColumnKind::Text.name(),
                });
            }
        };
        self.markers.mask(&mut numbers);
        if let Some(row) = numbers.iter().position(|value| value.is_infinite()) {
            let place = chunk.position(chunk.rows + row, index, column);
            return Err(FormatError::malformed(self.file, place, "a finite number", "infinity"));
        }
        let width = self.schema.number_width(); // at least 1: this is a number
        let cells = chunk.numbers.iter_mut().skip(chunk.rows * width + at).step_by(width);
        cells.zip(numbers).for_each(|(cell, value)| *cell = value);
        Ok(())
    }

    /// Numbers that are stored as strings.
    fn parsed(
        &self,
        chunk: &Chunk,
        (index, column): (usize, &Column),
        texts: &[Option<ByteArray>],
    ) -> Result<Vec<f64>> {
        let number = |(row, text): (usize, &Option<ByteArray>)| {
            let Some(text) = text.as_ref().map(|text| trim(text.data())) else { return Ok(f64::NAN) };
            match number_in(text, Style::default()) {
                Some(value) => Ok(value),
                None if self.markers.contain_beside_numbers(text) => Ok(f64::NAN),
                None => {
                    let place = chunk.position(chunk.rows + row, index, column);
                    let found = format!("\"{}\"", String::from_utf8_lossy(text));
                    Err(FormatError::malformed(
                        self.file,
                        place,
                        "a finite number, as in the rest of the column",
                        &found,
                    ))
                }
            }
        };
        texts.iter().enumerate().map(number).collect()
    }

    fn codes(
        &mut self,
        chunk: &mut Chunk,
        (index, column): (usize, &Column),
        at: usize,
        values: &Values,
    ) -> Result<()> {
        let (width, first) = (self.schema.code_width(), chunk.rows);
        let markers = self.markers;
        let Some(dictionary) = self.dictionaries.get_mut(at) else {
            return Ok(()); // one dictionary per code slot
        };
        each_text(values, |row, text| {
            let code = match text {
                None => MISSING_CODE,
                Some(text) if markers.contain(trim(text)) => MISSING_CODE,
                Some(text) if std::str::from_utf8(text).is_err() => {
                    let place = chunk.position(first + row, index, column);
                    let found = String::from_utf8_lossy(text);
                    return Err(FormatError::malformed(self.file, place, "UTF-8 text", &found));
                }
                Some(text) => dictionary.code(trim(text)).ok_or_else(|| FormatError::TooManyCategories {
                    file: self.file.to_owned(),
                    column: column.name.clone(),
                    limit: self.categories,
                })?,
            };
            if let Some(cell) = chunk.codes.get_mut((first + row) * width + at) {
                *cell = code;
            }
            Ok(())
        })
    }
}

/// Calls `each` with the row and the text of every value; numbers are written as decimals, dates and times as such, missing ones are `None`.
fn each_text(values: &Values, mut each: impl FnMut(usize, Option<&[u8]>) -> Result<()>) -> Result<()> {
    let mut text = Vec::new();
    let mut written = |number: &dyn std::fmt::Display| {
        text.clear();
        let _ = write!(text, "{number}"); // writing to memory does not fail
        text.clone()
    };
    match values {
        Values::Unread(count) => (0..*count).try_for_each(|row| each(row, None))?,
        Values::Texts(values) => {
            for (row, value) in values.iter().enumerate() {
                each(row, value.as_ref().map(|value| value.data()))?;
            }
        }
        Values::Times(clock, values) => {
            for (row, value) in values.iter().enumerate() {
                each(row, value.map(|value| clock.written(value)).as_deref().map(str::as_bytes))?;
            }
        }
        Values::Numbers(values) => {
            for (row, &value) in values.iter().enumerate() {
                each(row, (!value.is_nan()).then(|| written(&value)).as_deref())?;
            }
        }
    }
    Ok(())
}
