//! The first look at a CSV file: delimiter, decimal mark, header, names and kinds of the columns.

use super::heading;
use super::records::{RecordLimits, Records};
use super::shape::{Preamble, preamble};
use super::sniff;
use crate::data::chunk::decode;
use crate::data::column::{Oddity, Profile, Rules, Verdict};
use crate::data::encode::Reason;
use crate::data::input::{Input, head};
use crate::data::kind::HEAD_BYTES;
use crate::data::schema::{Column, ColumnKind, Names, Schema, Targets};
use crate::data::source::{Identifiers, OpenOptions, Reading};
use crate::data::value::{Markers, Style, trim};
use crate::error::{FormatError, Position, Result};

/// How much is looked at to judge the kinds.
const SAMPLE_RECORDS: usize = 1 << 16;
const SAMPLE_BYTES: u64 = 8 << 20;

/// How the file is to be read.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    pub(super) style: Style,
    /// Records before the first row.
    pub(super) skip: usize,
    pub(super) widths: Widths,
    pub(super) schema: Schema,
    pub(super) reading: Reading,
}

/// How many fields a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) columns: usize,
    /// Columns at the end that have neither name nor value, and need not be there.
    pub(super) optional: usize,
}

impl Widths {
    /// Whether a record has the columns of the table; empty fields behind them do not matter.
    pub(super) fn fit(self, records: &Records) -> bool {
        let width = records.width();
        let needed = self.columns - self.optional;
        (needed..=self.columns).contains(&width)
            || width > self.columns && (self.columns..width).all(|index| trim(records.field(index)).is_empty())
    }
}

pub(super) fn survey(input: &Input, options: &OpenOptions) -> Result<Layout> {
    let (bytes, whole) = head(input, HEAD_BYTES)?;
    let said = Preamble::said_delimiter(&bytes);
    let delimiter = match options.delimiter.or(said) {
        Some(delimiter) => checked(delimiter)?,
        None => sniff::delimiter(&bytes, whole),
    };
    let records = sniff::sample(&bytes, whole, delimiter);
    let style = match options.decimal {
        Some(decimal) => Style { decimal, undecided: false },
        None => sniff::style(&records, delimiter, options.known_decimal),
    };
    let before = preamble(&records, said.is_some());
    let markers = Markers::new(options.missing_tokens.as_deref());
    let rules = Rules { style, markers: &markers, max_different: options.limits.categories };
    let sample = Sample::take(open_records(input, delimiter, options)?, input, options, rules, before)?;
    let has_header = heading::has_header(&sample, options);
    sample.layout(input.name(), delimiter, has_header, options)
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
pub(super) struct Sample<'a> {
    pub(super) markers: &'a Markers,
    pub(super) rules: Rules<'a>,
    before: Preamble,
    pub(super) first: Vec<Vec<u8>>,
    first_line: u64,
    pub(super) profiles: Vec<Profile>,
    /// Whether a field of the first record occurs again below itself.
    pub(super) recurs: bool,
}

impl<'a> Sample<'a> {
    fn take(
        mut records: Records,
        input: &Input,
        options: &OpenOptions,
        rules: Rules<'a>,
        before: Preamble,
    ) -> Result<Self> {
        for _ in 0..before.skip {
            records.advance()?;
        }
        if !records.advance()? {
            return Err(FormatError::NoRows { file: input.name().to_owned(), hint: String::new() });
        }
        let mut first: Vec<Vec<u8>> = (0..records.width()).map(|i| trim(records.field(i)).to_vec()).collect();
        if before.row_names {
            first.insert(0, Vec::new());
        }
        let mut sample = Self {
            markers: rules.markers,
            rules,
            before,
            first_line: records.line(),
            profiles: first.iter().map(|_| Profile::default()).collect(),
            first,
            recurs: false,
        };
        sample.fill(&mut records)?;
        if sample.first.is_empty() || options.limits.columns == 0 {
            return Err(FormatError::NoRows { file: input.name().to_owned(), hint: String::new() });
        }
        Ok(sample)
    }

    fn fill(&mut self, records: &mut Records) -> Result<()> {
        let unnamed = self.first.iter().rev().take_while(|field| field.is_empty()).count();
        let widths = Widths { columns: self.first.len(), optional: unnamed.min(self.first.len() - 1) };
        let mut taken = 0;
        while taken < SAMPLE_RECORDS && records.offset() < SAMPLE_BYTES && records.advance()? {
            if !widths.fit(records) {
                return Err(records.ragged(self.first.len()));
            }
            for (index, profile) in self.profiles.iter_mut().enumerate() {
                let field = trim(records.field(index));
                self.recurs |= self.first.get(index).is_some_and(|first| first == field && !field.is_empty());
                profile.add(records.line(), field, self.rules);
            }
            taken += 1;
        }
        Ok(())
    }

    /// The first record as names.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |(index, field): (usize, &Vec<u8>)| {
            let name = decode(field);
            if index > 0 { name } else { name.trim_start_matches('#').trim_start().to_owned() }
        };
        self.first.iter().enumerate().map(name).collect()
    }

    fn layout(mut self, file: &str, delimiter: u8, has_header: bool, options: &OpenOptions) -> Result<Layout> {
        if !has_header {
            for (profile, field) in self.profiles.iter_mut().zip(&self.first) {
                profile.add(self.first_line, field, self.rules);
            }
        }
        let mut reading = Reading {
            delimiter: Some(delimiter),
            decimal: Some(self.rules.style.decimal),
            header_line: has_header.then_some(self.first_line),
            skipped_lines: self.before.titles,
            missing_tokens: options.missing_tokens.clone(),
            ..Reading::default()
        };
        if !has_header && heading::could_be_header(&self) {
            let line = self.first_line;
            reading
                .remarks
                .push(format!("line {line} is read as a row of data; if it names the columns, say --header"));
        }
        let names = self.names();
        let columns = (0..self.first.len())
            .map(|index| {
                self.column(file, index, has_header.then(|| names.get(index).cloned()).flatten(), options, &mut reading)
            })
            .collect::<Result<Vec<Column>>>()?;
        let unneeded = |(index, field): &(usize, &Vec<u8>)| {
            (field.is_empty() || !has_header) && reading.reasons.get(index) == Some(&Reason::Empty)
        };
        let optional = self.first.iter().enumerate().rev().take_while(unneeded).count();
        let widths = Widths { columns: columns.len(), optional: optional.min(columns.len() - 1) };
        let given = if has_header { Names::Given } else { Names::Positional };
        let schema = Schema::new(file, columns, given, Targets::Free)?;
        refuse_unknown_kinds(file, &schema, options)?;
        let skip = self.before.skip + usize::from(has_header);
        Ok(Layout { delimiter, style: self.rules.style, skip, widths, schema, reading })
    }

    fn column(
        &self,
        file: &str,
        index: usize,
        given: Option<String>,
        options: &OpenOptions,
        reading: &mut Reading,
    ) -> Result<Column> {
        let heading = given.clone().unwrap_or_else(|| format!("x{}", index + 1));
        let name = if heading.is_empty() { format!("column{}", index + 1) } else { heading.clone() };
        let Some(profile) = self.profiles.get(index) else {
            return Ok(Column { name, kind: ColumnKind::Numeric }); // one profile per field: not reached
        };
        if let Some(kind) = options.kind_of(&name) {
            return Ok(Column { name, kind: kind.clone() });
        }
        let nameless = given.as_ref().is_none_or(String::is_empty);
        let verdict = match profile.verdict(&heading) {
            _ if nameless && profile.is_empty() && index > 0 => Verdict::LeftOut(Reason::Empty),
            Verdict::LeftOut(Reason::RowNumber | Reason::Identifier) if options.identifiers == Identifiers::Keep => {
                Verdict::Kind(ColumnKind::Numeric)
            }
            verdict => verdict,
        };
        let kind = match verdict {
            Verdict::Kind(kind) => kind,
            Verdict::LeftOut(reason) => {
                reading.reasons.insert(index, reason);
                ColumnKind::Text
            }
            Verdict::Bad { odd, expected } => return Err(self.bad(file, index, name, odd, expected, given.is_none())),
        };
        if kind == ColumnKind::Numeric && options.identifiers == Identifiers::LeaveOut {
            reading.remarks.extend(profile.remark(&name));
        }
        Ok(Column { name, kind })
    }

    /// Of a first record that was not taken for a header, that may be what is wrong.
    fn bad(
        &self,
        file: &str,
        index: usize,
        name: String,
        odd: Oddity,
        expected: String,
        headless: bool,
    ) -> FormatError {
        let at = Position::Field { line: odd.row, column: index + 1, name };
        let found = format!("\"{}\"", odd.value);
        if headless && odd.row == self.first_line {
            let line = self.first_line;
            let expected =
                format!("{expected}; line {line} was not taken for a header: if it names the columns, say --header");
            return FormatError::malformed(file, at, expected, &found);
        }
        FormatError::malformed(file, at, expected, &found)
    }
}

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
