//! The one interface to every kind of data file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chunk::Chunk;
use super::encode::Reason;
use super::kind::FileKind;
use super::schema::{ColumnKind, Names, Schema};
use super::value::Decimal;
use crate::error::Result;
use crate::limits::DataLimits;

/// A data file as a stream of rows that can be read any number of times.
pub trait Source: Send + std::fmt::Debug {
    /// The file's name, for messages.
    fn name(&self) -> &str;

    /// The columns.
    fn schema(&self) -> &Schema;

    /// What was found out when the file was opened. Worth telling the user.
    fn reading(&self) -> Reading {
        Reading::default()
    }

    /// How many rows the file declares, where its format does.
    fn declared_rows(&self) -> Option<u64>;

    /// Goes back to the first row.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    fn rewind(&mut self) -> Result<()>;

    /// Replaces `chunk` by the next rows, at most `max_rows` of them, and returns how many they are; 0 is the end.
    ///
    /// # Errors
    /// What is wrong with the file, and where. The source stays usable after [`rewind`](Source::rewind).
    fn read(&mut self, chunk: &mut Chunk, max_rows: usize) -> Result<usize>;

    /// The names behind the codes of the categorical column at `code_slot` (counted among categorical columns only),
    /// as far as rows were read. Codes never change, rewinding included.
    fn categories(&self, code_slot: usize) -> &[String];
}

/// How a file is read: what was found out about it, and what was said.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// CSV: the delimiter; a space stands for any white space.
    pub delimiter: Option<u8>,
    /// CSV: the decimal mark.
    pub decimal: Option<Decimal>,
    /// CSV: the line that names the columns, from 1.
    pub header_line: Option<u64>,
    /// CSV: lines above the table that were skipped.
    pub skipped_lines: u64,
    /// What stands for a missing value, where the options said so.
    pub missing_tokens: Option<Vec<String>>,
    /// Columns that are [`ColumnKind::Text`], by position, with the reason.
    pub reasons: BTreeMap<usize, Reason>,
    /// Whatever else may surprise, in words.
    pub remarks: Vec<String>,
    /// Where targets were looked for in vain: "t10k-labels-idx1-ubyte beside it".
    pub no_targets: Option<String>,
}

/// What happens to columns that hold row numbers or identifiers by their names and values; see `docs/formats/data.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identifiers {
    /// They are [`ColumnKind::Text`]: no inputs.
    #[default]
    LeaveOut,
    /// They are numbers like others.
    Keep,
}

/// Whether the first record of a CSV file names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Find out; see `docs/formats/data.md`.
    #[default]
    Auto,
    /// It does.
    Present,
    /// It is the first row of data.
    Absent,
}

/// The names of the arrays in an npz archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpzKeys {
    /// The array with the inputs, such as `x_test`.
    pub inputs: String,
    /// The array with the targets, such as `y_test`; none to predict.
    pub targets: Option<String>,
}

/// How to open a data file. The default finds everything out.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The kind of file; found out by content and extension when not given.
    pub kind: Option<FileKind>,
    /// CSV: the delimiter, an ASCII character; a space stands for any white space. Found out when not given.
    pub delimiter: Option<u8>,
    /// CSV: the decimal mark; found out when not given.
    pub decimal: Option<Decimal>,
    /// CSV: whether there is a header.
    pub header: Header,
    /// What stands for a missing value, in any case, instead of the usual markers; numbers too, such as `-999`. An empty field always does.
    pub missing_tokens: Option<Vec<String>>,
    /// CSV and Parquet: kinds of columns by name, instead of finding them out. [`ColumnKind::Grid`] is not possible here.
    pub kinds: BTreeMap<String, ColumnKind>,
    /// Columns that need not be read, where they are in the file: they are [`ColumnKind::Text`], also when their type is not read here.
    pub ignore: Vec<String>,
    /// What happens to row numbers and identifiers.
    pub identifiers: Identifiers,
    /// IDX: the file with the labels, when its name does not follow from the images file.
    pub labels: Option<PathBuf>,
    /// npz: which arrays to read.
    pub npz_keys: Option<NpzKeys>,
    /// Upper bounds on what the file may ask for.
    pub limits: DataLimits,
    /// As `kinds`, for columns that need not be in the file: see [`Encoder::open_options`](super::Encoder::open_options).
    pub known_kinds: BTreeMap<String, ColumnKind>,
    /// CSV: the decimal mark, where the numbers of the file do not tell it.
    pub known_decimal: Option<Decimal>,
    /// CSV: whether the file is expected to name its columns, where it does not show.
    pub known_names: Option<Names>,
}

impl OpenOptions {
    /// The kind that was given or is known for a column.
    pub(super) fn kind_of(&self, column: &str) -> Option<&ColumnKind> {
        let ignored = self.ignore.iter().any(|name| name == column).then_some(&ColumnKind::Text);
        self.kinds.get(column).or(ignored).or_else(|| self.known_kinds.get(column))
    }
}

/// Cells that one chunk holds at most, unless a single row has more: 32 MiB of numbers.
const CHUNK_CELLS: usize = 1 << 22;

/// How many rows go into a chunk when the caller asked for `max_rows`: wide rows come fewer at a time.
pub(super) fn chunk_rows(schema: &Schema, max_rows: usize) -> usize {
    let width = schema.number_width() + schema.code_width() + schema.text_width();
    max_rows.min((CHUNK_CELLS / width.max(1)).max(1))
}
