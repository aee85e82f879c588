//! Some rows of a data file, and the names behind category codes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::schema::{Column, Schema};
use crate::error::Position;

/// The code of a missing category.
pub const MISSING_CODE: u32 = u32::MAX;

/// Some consecutive rows of a [`Source`](super::Source), reused from call to call.
///
/// Numbers and codes are row-major: row `r` has the numbers `[r * w .. (r + 1) * w]` with `w` the schema's
/// [`number_width`](Schema::number_width), likewise codes. A missing number is NaN, a missing category [`MISSING_CODE`].
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Rows in this chunk.
    pub rows: usize,
    /// Position of the first of them in the file, from 0.
    pub first_row: u64,
    /// For text formats the line of each row, from 1; otherwise empty.
    pub lines: Vec<u64>,
    /// Numeric columns and grid cells, row-major.
    pub numbers: Vec<f64>,
    /// Categorical columns, row-major: indices into [`Source::categories`](super::Source::categories).
    pub codes: Vec<u32>,
    /// Text columns, one [`TextColumn`] each.
    pub texts: Vec<TextColumn>,
}

impl Chunk {
    /// Empties it and says which row comes next. Memory is kept.
    pub(super) fn start(&mut self, schema: &Schema, first_row: u64) {
        self.rows = 0;
        self.first_row = first_row;
        self.lines.clear();
        self.numbers.clear();
        self.codes.clear();
        self.texts.resize_with(schema.text_width(), TextColumn::default);
        self.texts.iter_mut().for_each(TextColumn::clear);
    }

    /// The place of a cell in the file, for messages. `row` counts within the chunk, `index` is the column's position.
    pub fn position(&self, row: usize, index: usize, column: &Column) -> Position {
        let name = column.name.clone();
        let column = index + 1;
        match self.lines.get(row) {
            Some(&line) => Position::Field { line, column, name },
            None => {
                let row = self.first_row.saturating_add(row as u64).saturating_add(1);
                Position::Cell { row, column, name }
            }
        }
    }

    /// The numbers of one row; empty past the end.
    pub fn numbers_of(&self, schema: &Schema, row: usize) -> &[f64] {
        let width = schema.number_width();
        let start = row.saturating_mul(width);
        self.numbers.get(start..start.saturating_add(width)).unwrap_or_default()
    }

    /// The codes of one row; empty past the end.
    pub fn codes_of(&self, schema: &Schema, row: usize) -> &[u32] {
        let width = schema.code_width();
        let start = row.saturating_mul(width);
        self.codes.get(start..start.saturating_add(width)).unwrap_or_default()
    }
}

/// The texts of one column, end to end in one string.
#[derive(Debug, Clone, Default)]
pub struct TextColumn {
    text: String,
    ends: Vec<usize>,
}

impl TextColumn {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        decode_into(bytes, &mut self.text);
        self.ends.push(self.text.len());
    }

    /// The text of one row of the chunk.
    pub fn get(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = match row.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..end)
    }
}

/// Appends `bytes` as UTF-8, or, if they are not, byte by byte as Latin-1.
fn decode_into(bytes: &[u8], text: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(utf8) => text.push_str(utf8),
        Err(_) => text.extend(bytes.iter().map(|&byte| char::from(byte))),
    }
}

/// `bytes` as UTF-8, or, if they are not, byte by byte as Latin-1.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    decode_into(bytes, &mut text);
    text
}

/// The categories of one column, in order of first appearance.
#[derive(Debug, Clone)]
pub(super) struct Dictionary {
    names: Vec<String>,
    codes: HashMap<Box<[u8]>, u32, BuildHasherDefault<Fnv>>,
    limit: usize,
}

impl Dictionary {
    /// One that takes up to `limit` categories.
    pub(super) fn new(limit: usize) -> Self {
        Self { names: Vec::new(), codes: HashMap::default(), limit: limit.min(MISSING_CODE as usize) }
    }

    /// The categories so far.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The code of a category, a new one if it was not there yet; `None` when there is no room for another.
    pub(super) fn code(&mut self, name: &[u8]) -> Option<u32> {
        if let Some(&code) = self.codes.get(name) {
            return Some(code);
        }
        if self.names.len() >= self.limit {
            return None;
        }
        let code = u32::try_from(self.names.len()).ok()?;
        self.names.push(decode(name));
        self.codes.insert(name.into(), code);
        Some(code)
    }
}

/// FNV-1a (Fowler, Noll, Vo). Category names are short, where it beats the default hash by far; a dictionary is too small to attack.
#[derive(Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_numbers_by_first_appearance_up_to_its_limit() {
        let mut dictionary = Dictionary::new(2);
        let codes = [&b"b"[..], b"a", b"b", b"c", b"a"].map(|name| dictionary.code(name));
        assert_eq!(codes, [Some(0), Some(1), Some(0), None, Some(1)]);
        assert_eq!(dictionary.names(), ["b", "a"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin1() {
        assert_eq!(decode(b"W/m\xb2"), "W/m²");
        assert_eq!(decode("W/m²".as_bytes()), "W/m²");
    }

    #[test]
    fn texts_come_back_row_by_row() {
        let mut column = TextColumn::default();
        for text in ["", "ab", "", "ö"] {
            column.push(text.as_bytes());
        }
        let back: Vec<_> = (0..5).map(|row| column.get(row)).collect();
        assert_eq!(back, [Some(""), Some("ab"), Some(""), Some("ö"), None]);
    }
}
