//! Parquet, as described in `docs/formats/data.md`.

mod cursor;
mod fill;
mod guard;
mod meaning;
#[cfg(test)]
mod tests;

use parquet::file::reader::{FileReader, SerializedFileReader};

use self::cursor::{Cursor, Values};
use self::fill::Filler;
use self::guard::{Parts, guarded};
use self::meaning::Meaning;
use super::chunk::{Chunk, Dictionary};
use super::csv::{Profile, refuse_unknown_kinds};
use super::input::Input;
use super::schema::{Column, ColumnKind, Names, Schema, Targets};
use super::source::{OpenOptions, Source, chunk_rows};
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
    meanings: Vec<Meaning>,
    dictionaries: Vec<Dictionary>,
    rows: u64,
    row: u64,
    next_group: usize,
    group: Group,
}

/// What is left of the current row group.
#[derive(Debug, Default)]
struct Group {
    cursors: Vec<Cursor>,
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
        check_places(&input, &file)?;
        let meanings = meanings(&input, &file)?;
        let mut source = Self {
            schema: Schema::new(input.name(), Vec::new(), Names::Given, Targets::Free)?,
            limits: options.limits.clone(),
            rows: declared_rows(&input, &file)?,
            dictionaries: Vec::new(),
            row: 0,
            next_group: 0,
            group: Group::default(),
            file,
            meanings,
            input,
        };
        source.schema = source.find_schema(options)?;
        source.dictionaries = vec![Dictionary::new(options.limits.categories); source.schema.code_width()];
        source.rewind()?;
        Ok(source)
    }

    fn names(&self) -> Vec<String> {
        let descriptor = self.file.metadata().file_metadata().schema_descr();
        descriptor.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    fn find_schema(&mut self, options: &OpenOptions) -> Result<Schema> {
        let names = self.names();
        let known = |name: &String| options.kind_of(name).cloned();
        let unknown = |(name, meaning): (&String, &Meaning)| *meaning == Meaning::Text && known(name).is_none();
        let found = match names.iter().zip(&self.meanings).any(unknown) {
            true => self.sample()?,
            false => vec![ColumnKind::Text; names.len()],
        };
        let mut columns = Vec::with_capacity(names.len());
        for ((name, meaning), found) in names.into_iter().zip(&self.meanings).zip(found) {
            let kind = match known(&name) {
                Some(ColumnKind::Numeric) if meaning.is_text() => return Err(not_numeric(&self.input, name)),
                Some(kind) => kind,
                None if *meaning == Meaning::Text => found,
                None if *meaning == Meaning::Time => ColumnKind::Text,
                None => ColumnKind::Numeric,
            };
            columns.push(Column { name, kind });
        }
        let schema = Schema::new(self.input.name(), columns, Names::Given, Targets::Free)?;
        refuse_unknown_kinds(self.input.name(), &schema, options)?;
        Ok(schema)
    }

    /// The kinds of the string columns, by their first values.
    fn sample(&mut self) -> Result<Vec<ColumnKind>> {
        let mut profiles: Vec<Profile> = self.meanings.iter().map(|_| Profile::default()).collect();
        let mut taken = 0;
        while taken < SAMPLE_ROWS && self.start_group()? {
            let rows = to_usize(self.group.rows_left).min(SAMPLE_STEP);
            let columns = self.read_columns(rows)?;
            for (profile, values) in profiles.iter_mut().zip(columns) {
                if let Values::Texts(texts) = values {
                    texts.iter().flatten().for_each(|text| profile.add(0, text.data(), self.limits.categories));
                }
            }
            taken += rows;
        }
        Ok(profiles.iter().map(Profile::text_verdict).collect())
    }

    /// Makes sure that there are rows left in the current group, or goes to the next one; `false` at the end.
    fn start_group(&mut self) -> Result<bool> {
        while self.group.rows_left == 0 {
            let index = self.next_group;
            if index >= self.file.num_row_groups() {
                return Ok(false);
            }
            self.next_group += 1;
            let meanings = &self.meanings;
            let (file, name) = (&self.file, self.input.name());
            self.group = guarded(name, || {
                let reader = file.get_row_group(index)?;
                let columns = file.metadata().file_metadata().schema_descr().columns();
                let mut cursors = Vec::with_capacity(columns.len());
                for (index, (column, meaning)) in columns.iter().zip(meanings).enumerate() {
                    cursors.push(Cursor::new(reader.get_column_reader(index)?, *meaning, column.max_def_level() > 0));
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

/// The meaning of every column; a column that is not read is an error with its name.
fn meanings(input: &Input, file: &SerializedFileReader<Parts>) -> Result<Vec<Meaning>> {
    let meaning = |column: &parquet::schema::types::ColumnDescPtr| {
        Meaning::of(column).map_err(|(what, instead)| FormatError::Unsupported {
            file: input.name().to_owned(),
            what: format!("column \"{}\" with {what}", column.path().string()),
            instead: instead.into(),
        })
    };
    file.metadata().file_metadata().schema_descr().columns().iter().map(meaning).collect()
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
