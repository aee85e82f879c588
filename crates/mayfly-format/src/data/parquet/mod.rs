//! Parquet, as described in `docs/formats/data.md`.

mod clock;
mod cursor;
mod fill;
mod guard;
mod meaning;
#[cfg(test)]
mod tests;

use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};

use self::cursor::{Cursor, Values};
use self::fill::Filler;
use self::guard::{Parts, guarded};
use self::meaning::Meaning;
use super::chunk::{Chunk, Dictionary};
use super::column::{Profile, Rules, Verdict, says_identity};
use super::csv::refuse_unknown_kinds;
use super::encode::Reason;
use super::input::Input;
use super::schema::{Column, ColumnKind, Names, Schema, Targets};
use super::source::{Identifiers, OpenOptions, Reading, Source, chunk_rows};
use super::value::{Markers, Style, trim};
use crate::error::{FormatError, Position, Result};
use crate::limits::DataLimits;

/// How many rows are looked at to tell categories from free text.
const SAMPLE_ROWS: usize = 1 << 16;
const SAMPLE_STEP: usize = 1 << 12;

/// A Parquet file.
pub(super) struct ParquetSource {
    input: Input,
    limits: DataLimits,
    file: SerializedFileReader<Parts>,
    schema: Schema,
    /// One a column of the schema.
    leaves: Vec<Leaf>,
    markers: Markers,
    reading: Reading,
    dictionaries: Vec<Dictionary>,
    rows: u64,
    row: u64,
    next_group: usize,
    group: Group,
}

/// A stored column that is a column of the table.
#[derive(Debug, Clone)]
struct Leaf {
    /// Its position among the stored columns.
    index: usize,
    name: String,
    /// None for one that is not read.
    meaning: Option<Meaning>,
}

/// What is left of the current row group.
#[derive(Debug, Default)]
struct Group {
    /// None for columns that are not read.
    cursors: Vec<Option<Cursor>>,
    rows_left: u64,
}

impl std::fmt::Debug for ParquetSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSource").field("input", &self.input).field("row", &self.row).finish_non_exhaustive()
    }
}

impl ParquetSource {
    pub(super) fn open(input: Input, options: &OpenOptions) -> Result<Self> {
        let parts = Parts::new(&input)?;
        let file = guarded(input.name(), || SerializedFileReader::new(parts))?;
        let leaves = leaves(&input, &file, &options.ignore)?;
        check_places(&input, &file)?;
        check_codecs(&input, &file, &leaves)?;
        let mut source = Self {
            schema: Schema::new(input.name(), Vec::new(), Names::Given, Targets::Free)?,
            limits: options.limits.clone(),
            rows: declared_rows(&input, &file)?,
            dictionaries: Vec::new(),
            row: 0,
            next_group: 0,
            group: Group::default(),
            markers: Markers::new(options.missing_tokens.as_deref()),
            reading: Reading { missing_tokens: options.missing_tokens.clone(), ..Reading::default() },
            file,
            leaves,
            input,
        };
        source.schema = source.find_schema(options)?;
        source.dictionaries = vec![Dictionary::new(options.limits.categories); source.schema.code_width()];
        source.rewind()?;
        Ok(source)
    }

    fn find_schema(&mut self, options: &OpenOptions) -> Result<Schema> {
        let unknown = |leaf: &Leaf| options.kind_of(&leaf.name).is_none() && leaf.must_be_sampled();
        let verdicts = match self.leaves.iter().any(unknown) {
            true => self.sample()?,
            false => vec![Verdict::Kind(ColumnKind::Numeric); self.leaves.len()],
        };
        let mut columns = Vec::with_capacity(self.leaves.len());
        for (index, (leaf, verdict)) in self.leaves.iter().zip(verdicts).enumerate() {
            let kind = match (options.kind_of(&leaf.name), leaf.meaning) {
                (_, None) => ColumnKind::Text,
                (Some(ColumnKind::Numeric), Some(Meaning::Time(_))) => {
                    return Err(not_numeric(&self.input, leaf.name.clone()));
                }
                (Some(kind), _) => kind.clone(),
                (None, Some(Meaning::Time(_))) => {
                    self.reading.reasons.insert(index, Reason::Date);
                    ColumnKind::Text
                }
                (None, Some(_)) => match verdict {
                    Verdict::Kind(kind) => kind,
                    Verdict::LeftOut(Reason::RowNumber | Reason::Identifier)
                        if options.identifiers == Identifiers::Keep =>
                    {
                        ColumnKind::Numeric
                    }
                    Verdict::LeftOut(reason) => {
                        self.reading.reasons.insert(index, reason);
                        ColumnKind::Text
                    }
                    Verdict::Bad { odd, expected } => {
                        let at = Position::Cell { row: odd.row, column: index + 1, name: leaf.name.clone() };
                        let found = format!("\"{}\"", odd.value);
                        return Err(FormatError::malformed(self.input.name(), at, expected, &found));
                    }
                },
            };
            columns.push(Column { name: leaf.name.clone(), kind });
        }
        let schema = Schema::new(self.input.name(), columns, Names::Given, Targets::Free)?;
        refuse_unknown_kinds(self.input.name(), &schema, options)?;
        Ok(schema)
    }

    /// What the columns are, by their first values: those of strings, and those of numbers whose name says identifier.
    fn sample(&mut self) -> Result<Vec<Verdict>> {
        let markers = self.markers.clone();
        let rules = Rules { style: Style::default(), markers: &markers, max_different: self.limits.categories };
        let mut profiles: Vec<Profile> = self.leaves.iter().map(|_| Profile::default()).collect();
        let mut taken = 0;
        while taken < SAMPLE_ROWS && self.start_group()? {
            let rows = to_usize(self.group.rows_left).min(SAMPLE_STEP);
            let columns = self.read_columns(rows)?;
            for ((profile, leaf), values) in profiles.iter_mut().zip(&self.leaves).zip(columns) {
                match values {
                    Values::Texts(texts) => {
                        for (row, text) in texts.iter().enumerate() {
                            let text = text.as_ref().map(|text| trim(text.data()));
                            text.into_iter().for_each(|text| profile.add((taken + row + 1) as u64, text, rules));
                        }
                    }
                    Values::Numbers(numbers) if says_identity(&leaf.name) => {
                        numbers.iter().for_each(|&number| profile.add_number(number, rules));
                    }
                    _ => {}
                }
            }
            taken += rows;
        }
        Ok(profiles.iter().zip(&self.leaves).map(|(profile, leaf)| profile.verdict(&leaf.name)).collect())
    }

    /// Makes sure that there are rows left in the current group, or goes to the next one; `false` at the end.
    fn start_group(&mut self) -> Result<bool> {
        while self.group.rows_left == 0 {
            let index = self.next_group;
            if index >= self.file.num_row_groups() {
                return Ok(false);
            }
            self.next_group += 1;
            let leaves = &self.leaves;
            let (file, name) = (&self.file, self.input.name());
            self.group = guarded(name, || {
                let reader = file.get_row_group(index)?;
                let columns = file.metadata().file_metadata().schema_descr().columns();
                let mut cursors = Vec::with_capacity(leaves.len());
                for leaf in leaves {
                    let optional = columns.get(leaf.index).is_some_and(|column| column.max_def_level() > 0);
                    cursors.push(match leaf.meaning {
                        Some(meaning) => Some(Cursor::new(reader.get_column_reader(leaf.index)?, meaning, optional)),
                        None => None,
                    });
                }
                let rows_left = u64::try_from(reader.metadata().num_rows()).unwrap_or(0);
                Ok(Group { cursors, rows_left })
            })?;
        }
        Ok(true)
    }

    /// The next `rows` values of every column of the current group.
    fn read_columns(&mut self, rows: usize) -> Result<Vec<Values>> {
        let name = self.input.name();
        let mut columns = Vec::with_capacity(self.group.cursors.len());
        for (index, cursor) in self.group.cursors.iter_mut().enumerate() {
            let Some(cursor) = cursor else {
                columns.push(Values::Unread(rows));
                continue;
            };
            let values = guarded(name, || cursor.read(rows))?;
            if values.len() != rows {
                let at =
                    Position::Cell { row: self.row + values.len() as u64 + 1, column: index + 1, name: String::new() };
                let expected = format!("{} more values, as the row group declares", self.group.rows_left);
                return Err(FormatError::malformed(name, at, expected, &values.len().to_string()));
            }
            columns.push(values);
        }
        self.group.rows_left -= rows as u64;
        Ok(columns)
    }
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Leaf {
    fn must_be_sampled(&self) -> bool {
        match self.meaning {
            Some(Meaning::Text) => true,
            Some(Meaning::Time(_)) | None => false,
            Some(_) => says_identity(&self.name),
        }
    }
}

/// The columns of the table. What is to be ignored is not read, whatever it is: a nested column is one then, by the name of its root. Another
/// column that cannot be read is an error with its name.
fn leaves(input: &Input, file: &SerializedFileReader<Parts>, ignore: &[String]) -> Result<Vec<Leaf>> {
    let mut leaves: Vec<Leaf> = Vec::new();
    for (index, column) in file.metadata().file_metadata().schema_descr().columns().iter().enumerate() {
        let root = column.path().parts().first().cloned().unwrap_or_default();
        let (name, path) = (column.name().to_owned(), column.path().string());
        let is_ignored = |name: &String| ignore.iter().any(|other| other == name);
        if [&root, &path].into_iter().any(is_ignored) || column.path().parts().len() == 1 && is_ignored(&name) {
            if leaves.last().is_none_or(|leaf| leaf.name != root) {
                leaves.push(Leaf { index, name: root, meaning: None });
            }
            continue;
        }
        let meaning = Meaning::of(column).map_err(|(what, instead)| FormatError::Unsupported {
            file: input.name().to_owned(),
            what: format!("column \"{path}\" with {what}"),
            instead: format!("leave the column out (--ignore {root}), or {instead}"),
        })?;
        leaves.push(Leaf { index, name, meaning: Some(meaning) });
    }
    Ok(leaves)
}

/// Compression that is not read is said to be that, and not damage.
fn check_codecs(input: &Input, file: &SerializedFileReader<Parts>, leaves: &[Leaf]) -> Result<()> {
    let read = leaves.iter().filter(|leaf| leaf.meaning.is_some());
    for leaf in read {
        let chunks = file.metadata().row_groups().iter().filter_map(|group| group.columns().get(leaf.index));
        let unknown = chunks.map(|chunk| chunk.compression()).find(|codec| matches!(codec, Compression::LZO));
        if let Some(codec) = unknown {
            return Err(FormatError::Unsupported {
                file: input.name().to_owned(),
                what: format!("compression {codec} of column \"{}\"", leaf.name),
                instead: "save the file with Snappy, gzip, Zstandard, LZ4, Brotli or no compression".into(),
            });
        }
    }
    Ok(())
}

/// Every column of every row group lies in the file. The decoder trusts that.
fn check_places(input: &Input, file: &SerializedFileReader<Parts>) -> Result<()> {
    let length = input.stored_len()?;
    for (group, metadata) in file.metadata().row_groups().iter().enumerate() {
        for (index, column) in metadata.columns().iter().enumerate() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let place = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
            let end = place.and_then(|(start, bytes)| start.checked_add(bytes));
            if end.is_none_or(|end| end > length) || column.num_values() < 0 {
                let expected = format!("column {} of row group {group} inside the file of {length} bytes", index + 1);
                let found = format!("{} values in {} bytes at {start}", column.num_values(), column.compressed_size());
                return Err(FormatError::malformed(input.name(), Position::File, expected, &found));
            }
        }
    }
    Ok(())
}

/// The rows of all groups together. A row without columns takes no bytes, so nothing would bound their number.
fn declared_rows(input: &Input, file: &SerializedFileReader<Parts>) -> Result<u64> {
    let groups = file.metadata().row_groups();
    let rows = groups.iter().map(|group| u64::try_from(group.num_rows()).ok());
    let total = rows.into_iter().try_fold(0_u64, |sum, rows| sum.checked_add(rows?));
    let columns = file.metadata().file_metadata().schema_descr().num_columns();
    match total {
        Some(total) if columns > 0 => Ok(total),
        total => {
            let expected = "at least one column, and row groups with sensible numbers of rows";
            let found = format!("{columns} columns and {total:?} rows");
            Err(FormatError::malformed(input.name(), Position::File, expected, &found))
        }
    }
}

fn not_numeric(input: &Input, column: String) -> FormatError {
    let (want, got) = (ColumnKind::Numeric.name(), ColumnKind::Text.name());
    FormatError::ColumnKind { file: input.name().to_owned(), column, want, got }
}

impl Source for ParquetSource {
    fn name(&self) -> &str {
        self.input.name()
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
        self.next_group = 0;
        self.group = Group::default();
        Ok(())
    }

    fn read(&mut self, chunk: &mut Chunk, max_rows: usize) -> Result<usize> {
        chunk.start(&self.schema, self.row);
        let max_rows = chunk_rows(&self.schema, max_rows);
        while chunk.rows < max_rows && self.start_group()? {
            let rows = to_usize(self.group.rows_left).min(max_rows - chunk.rows);
            let columns = self.read_columns(rows)?;
            let mut filler = Filler {
                file: self.input.name(),
                schema: &self.schema,
                dictionaries: &mut self.dictionaries,
                markers: &self.markers,
                categories: self.limits.categories,
            };
            filler.fill(chunk, rows, columns)?;
            self.row += rows as u64;
        }
        Ok(chunk.rows)
    }

    fn categories(&self, code_slot: usize) -> &[String] {
        self.dictionaries.get(code_slot).map(Dictionary::names).unwrap_or_default()
    }
}
