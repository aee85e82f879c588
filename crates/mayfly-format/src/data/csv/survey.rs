//! The first look at a CSV file: delimiter, header, names and kinds of the columns.

use super::cell::{MissingTokens, trim};
use super::profile::{Profile, Verdict, can_be_name};
use super::records::{RecordLimits, Records};
use super::sniff;
use crate::data::chunk::decode;
use crate::data::input::{Input, head};
use crate::data::kind::HEAD_BYTES;
use crate::data::schema::{Column, ColumnKind, Names, Schema, Targets};
use crate::data::source::{Header, OpenOptions};
use crate::error::{FormatError, Position, Result};

/// How much is looked at to judge the kinds.
const SAMPLE_RECORDS: usize = 1 << 16;
const SAMPLE_BYTES: u64 = 8 << 20;

/// How the file is to be read.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    pub(super) has_header: bool,
    pub(super) schema: Schema,
}

pub(super) fn survey(input: &Input, options: &OpenOptions) -> Result<Layout> {
    let delimiter = match options.delimiter {
        Some(delimiter) => checked(delimiter)?,
        None => {
            let (bytes, whole) = head(input, HEAD_BYTES)?;
            sniff::delimiter(&bytes, whole)
        }
    };
    let sample = Sample::take(open_records(input, delimiter, options)?, input, options)?;
    let has_header = sample.has_header(options);
    let schema = sample.schema(input.name(), has_header, options)?;
    Ok(Layout { delimiter, has_header, schema })
}

fn checked(delimiter: u8) -> Result<u8> {
    if delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\n' | b'\r' | 0) {
        return Ok(delimiter);
    }
    Err(FormatError::Option {
        option: "delimiter",
        problem: "must be an ASCII character other than a quote or a line end".into(),
    })
}

/// The records of the file, from the start.
pub(super) fn open_records(input: &Input, delimiter: u8, options: &OpenOptions) -> Result<Records> {
    let limits = RecordLimits { bytes: options.limits.record_bytes, fields: options.limits.columns };
    Records::new(input.open_unpacked()?, delimiter, limits)
}

/// The first record, and what the columns below it hold.
struct Sample {
    missing: MissingTokens,
    max_different: usize,
    first: Vec<Vec<u8>>,
    first_line: u64,
    profiles: Vec<Profile>,
    /// Whether a field of the first record occurs again below itself.
    recurs: bool,
}

impl Sample {
    fn take(mut records: Records, input: &Input, options: &OpenOptions) -> Result<Self> {
        if !records.advance()? {
            return Err(FormatError::NoRows { file: input.name().to_owned(), hint: String::new() });
        }
        let width = records.width();
        let first: Vec<Vec<u8>> = (0..width).map(|i| trim(records.field(i)).to_vec()).collect();
        let mut sample = Self {
            missing: MissingTokens::new(&options.missing_tokens),
            max_different: options.limits.categories,
            first_line: records.line(),
            profiles: (0..width).map(|_| Profile::default()).collect(),
            first,
            recurs: false,
        };
        if !sample.is_all_known(options) {
            sample.fill(&mut records)?;
        }
        Ok(sample)
    }

    /// With a header and a kind for every name in it there is nothing left to find out.
    fn is_all_known(&self, options: &OpenOptions) -> bool {
        let known = |field: &Vec<u8>| options.kind_of(&decode(field)).is_some();
        options.header != Header::Absent && self.first.iter().all(known)
    }

    fn fill(&mut self, records: &mut Records) -> Result<()> {
        let mut taken = 0;
        while taken < SAMPLE_RECORDS && records.offset() < SAMPLE_BYTES && records.advance()? {
            if records.width() != self.first.len() {
                return Err(records.ragged(self.first.len()));
            }
            for (index, profile) in self.profiles.iter_mut().enumerate() {
                let field = trim(records.field(index));
                self.recurs |= self.first.get(index).is_some_and(|first| first == field);
                if !self.missing.contain(field) {
                    profile.add(records.line(), field, self.max_different);
                }
            }
            taken += 1;
        }
        Ok(())
    }

    fn has_header(&self, options: &OpenOptions) -> bool {
        match options.header {
            Header::Present => true,
            Header::Absent => false,
            Header::Auto => self.holds_known_name(options) || self.looks_like_header(),
        }
    }

    fn holds_known_name(&self, options: &OpenOptions) -> bool {
        self.first.iter().any(|field| options.kind_of(&decode(field)).is_some())
    }

    fn looks_like_header(&self) -> bool {
        let mut names = self.first.iter().enumerate();
        let all_names = names.all(|(index, field)| can_be_name(field, &self.missing) || index == 0 && field.is_empty());
        all_names && (self.profiles.iter().any(Profile::is_numeric) || !self.recurs)
    }

    fn schema(mut self, file: &str, has_header: bool, options: &OpenOptions) -> Result<Schema> {
        if !has_header {
            for (profile, field) in self.profiles.iter_mut().zip(&self.first) {
                if !self.missing.contain(field) {
                    profile.add(self.first_line, field, self.max_different);
                }
            }
        }
        let columns = (0..self.first.len())
            .map(|index| self.column(file, index, has_header, options))
            .collect::<Result<Vec<Column>>>()?;
        let names = if has_header { Names::Given } else { Names::Positional };
        let schema = Schema::new(file, columns, names, Targets::Free)?;
        refuse_unknown_kinds(file, &schema, options)?;
        Ok(schema)
    }

    fn column(&self, file: &str, index: usize, has_header: bool, options: &OpenOptions) -> Result<Column> {
        let given = self.first.get(index).filter(|_| has_header).map(|field| decode(field));
        let nameless = index == 0 && given.as_ref().is_some_and(String::is_empty);
        let name = match given {
            Some(name) if name.is_empty() => format!("column{}", index + 1),
            Some(name) => name,
            None => format!("x{}", index + 1),
        };
        let Some(profile) = self.profiles.get(index) else {
            return Ok(Column { name, kind: ColumnKind::Numeric }); // one profile per field: not reached
        };
        let kind = match (options.kind_of(&name), profile.verdict()) {
            (Some(kind), _) => kind.clone(),
            (None, _) if nameless && profile.is_row_number() => ColumnKind::Text,
            (None, Verdict::Kind(kind)) => kind,
            (None, Verdict::BadNumber(odd)) => {
                let at = Position::Field { line: odd.row, column: index + 1, name };
                return Err(FormatError::malformed(file, at, MOSTLY_NUMBERS, &format!("\"{}\"", odd.value)));
            }
        };
        Ok(Column { name, kind })
    }
}

/// What was expected of the odd value in a column that is numeric otherwise.
const MOSTLY_NUMBERS: &str = "a number with a decimal point, like the rest of the column (if these are categories, declare the column categorical)";

/// A kind for a column that is not there is a typing error of the caller.
pub(in crate::data) fn refuse_unknown_kinds(file: &str, schema: &Schema, options: &OpenOptions) -> Result<()> {
    for (name, kind) in &options.kinds {
        if schema.position(name).is_none() {
            return Err(FormatError::MissingColumn {
                file: file.to_owned(),
                column: name.clone(),
                present: schema.column_names(),
            });
        }
        if matches!(kind, ColumnKind::Grid(_)) {
            return Err(FormatError::Option {
                option: "kinds",
                problem: format!("column \"{name}\" of a table cannot be a grid"),
            });
        }
    }
    Ok(())
}
