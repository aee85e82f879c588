//! Records of a CSV file, one at a time, with the line that each begins on and a limit on its size.

use csv_core::ReadRecordResult;

use crate::data::input::ByteReader;
use crate::error::{FormatError, Position, Result};

/// The first size of the buffers; they grow up to the limits.
const START_BYTES: usize = 1 << 12;
const START_FIELDS: usize = 1 << 6;

/// The delimiter that stands for runs of spaces and tabs.
pub(super) const SPACES: u8 = b' ';

/// A reader of records. The current one is looked at by [`field`](Records::field).
#[derive(Debug)]
pub(super) struct Records {
    bytes: ByteReader,
    parser: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    width: usize,
    line: u64,
    /// Line ends that were skipped here, which the parser did not see.
    skipped_lines: u64,
    spaced: bool,
    limits: RecordLimits,
}

/// How large one record may become.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordLimits {
    pub(super) bytes: usize,
    pub(super) fields: usize,
}

impl Records {
    pub(super) fn new(bytes: ByteReader, delimiter: u8, limits: RecordLimits) -> Result<Self> {
        Ok(Self {
            bytes,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            fields: vec![0; START_BYTES.min(limits.bytes)],
            ends: vec![0; START_FIELDS.min(limits.fields)],
            width: 0,
            line: 0,
            skipped_lines: 0,
            spaced: delimiter == SPACES,
            limits,
        })
    }

    /// Reads the next record; `false` at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.skip_blank()?;
        self.line = self.parser.line() + self.skipped_lines;
        if self.spaced {
            return self.advance_spaced();
        }
        let (mut filled, mut width) = (0, 0);
        loop {
            let input = self.bytes.fill()?;
            let out = self.fields.get_mut(filled..).unwrap_or_default();
            let ends = self.ends.get_mut(width..).unwrap_or_default();
            let (result, read, written, ended) = self.parser.read_record(input, out, ends);
            self.bytes.consume(read);
            filled += written;
            width += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.grow_fields()?,
                ReadRecordResult::OutputEndsFull => self.grow_ends()?,
                ReadRecordResult::Record => break,
                ReadRecordResult::End => {
                    self.width = 0;
                    return Ok(false);
                }
            }
        }
        self.width = width;
        Ok(true)
    }

    /// A line of fields that spaces and tabs part; a field in quotes may hold them.
    fn advance_spaced(&mut self) -> Result<bool> {
        self.fields.clear();
        self.ends.clear();
        let (mut started, mut quoted) = (false, false);
        loop {
            let (mut read, mut done) = (0, false);
            let input = self.bytes.fill()?;
            let at_end = input.is_empty();
            for &byte in input {
                match byte {
                    b'\n' | b'\r' if !quoted => {
                        done = true;
                        break;
                    }
                    b'"' if quoted || !started => (started, quoted) = (true, !quoted),
                    b' ' | b'\t' if !quoted => {
                        if started {
                            self.ends.push(self.fields.len());
                        }
                        started = false;
                    }
                    byte => {
                        started = true;
                        self.fields.push(byte);
                    }
                }
                read += 1;
            }
            self.bytes.consume(read);
            self.check("bytes in a record", self.fields.len(), self.limits.bytes)?;
            self.check("columns", self.ends.len(), self.limits.fields)?;
            if done || at_end {
                break;
            }
        }
        if started {
            self.ends.push(self.fields.len());
        }
        self.width = self.ends.len();
        Ok(self.width > 0)
    }

    /// The parser skips blank lines too, but only after it was asked for the record, when the line is no longer known.
    fn skip_blank(&mut self) -> Result<()> {
        loop {
            let input = self.bytes.fill()?;
            let is_blank = |byte: u8| byte == b'\n' || byte == b'\r' || self.spaced && (byte == b' ' || byte == b'\t');
            let blank = input.iter().take_while(|&&byte| is_blank(byte)).count();
            let newlines = input.iter().take(blank).filter(|&&b| b == b'\n').count();
            if blank == 0 {
                return Ok(());
            }
            self.bytes.consume(blank);
            self.skipped_lines += newlines as u64;
        }
    }

    fn grow_fields(&mut self) -> Result<()> {
        let want = self.fields.len().saturating_mul(2);
        self.check("bytes in a record", self.fields.len(), self.limits.bytes)?;
        self.fields.resize(want.clamp(1, self.limits.bytes), 0);
        Ok(())
    }

    fn grow_ends(&mut self) -> Result<()> {
        let want = self.ends.len().saturating_mul(2);
        self.check("columns", self.ends.len(), self.limits.fields)?;
        self.ends.resize(want.clamp(1, self.limits.fields), 0);
        Ok(())
    }

    fn check(&self, what: &str, used: usize, limit: usize) -> Result<()> {
        if used < limit {
            return Ok(());
        }
        Err(FormatError::TooLarge {
            file: format!("{}, line {}", self.bytes.name(), self.line),
            what: format!("the number of {what} (is a quote left open?)"),
            got: used as u64 + 1,
            limit: limit as u64,
        })
    }

    /// The line that the current record begins on, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many fields the current record has.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// How many bytes were read so far.
    pub(super) fn offset(&self) -> u64 {
        self.bytes.offset()
    }

    /// A field of the current record, unquoted; empty past the last.
    pub(super) fn field(&self, index: usize) -> &[u8] {
        self.range(index).and_then(|range| self.fields.get(range)).unwrap_or_default()
    }

    fn range(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let ends = self.ends.get(..self.width)?;
        let end = *ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *ends.get(before)?,
            None => 0,
        };
        Some(start..end)
    }

    /// The error for a record of another width than the first.
    pub(super) fn ragged(&self, want: usize) -> FormatError {
        let column = self.width.min(want) + 1;
        FormatError::malformed(
            self.bytes.name(),
            Position::Field { line: self.line, column, name: String::new() },
            format!("{want} field{}, as in the first record", if want == 1 { "" } else { "s" }),
            &format!("{}", self.width),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::input::Input;

    const LIMITS: RecordLimits = RecordLimits { bytes: 1 << 20, fields: 1000 };

    fn records(text: &[u8], limits: RecordLimits) -> Records {
        let bytes = Input::from_bytes("t.csv", text).open_unpacked().unwrap();
        Records::new(bytes, b',', limits).unwrap()
    }

    fn all(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut records = records(text, LIMITS);
        let mut out = Vec::new();
        while records.advance().unwrap() {
            let fields = (0..records.width()).map(|i| String::from_utf8_lossy(records.field(i)).into_owned()).collect();
            out.push((records.line(), fields));
        }
        out
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(|&f| f.to_owned()).collect())
    }

    #[test]
    fn quotes_line_ends_marks_and_blank_lines() {
        let text = b"\xef\xbb\xbfa,\"b\"\"q\"\r\n\r\n1,\"two\nlines\"\n\n\n3,\n\"4\",5";
        let want = [row(1, &["a", "b\"q"]), row(3, &["1", "two\nlines"]), row(7, &["3", ""]), row(8, &["4", "5"])];
        assert_eq!(all(text), want);
    }

    #[test]
    fn long_records_grow_and_stop_at_the_limit() {
        let long = format!("{},{}\nx,y\n", "a".repeat(50_000), "b".repeat(50_000));
        let fields = all(long.as_bytes());
        assert_eq!(fields[0].1[1].len(), 50_000);
        assert_eq!(fields[1].1, ["x", "y"]);
        let small = RecordLimits { bytes: 99_999, fields: 1000 };
        assert!(records(long.as_bytes(), small).advance().is_err());
        let exact = RecordLimits { bytes: 100_001, fields: 2 };
        assert!(records(long.as_bytes(), exact).advance().unwrap());
    }

    #[test]
    fn white_space_parts_columns() {
        let text = b"  a \t b\r\n\n 1  \"two words\" \n3\t4";
        let mut records =
            Records::new(Input::from_bytes("t", text.as_slice()).open_unpacked().unwrap(), SPACES, LIMITS).unwrap();
        let mut out = Vec::new();
        while records.advance().unwrap() {
            let fields = (0..records.width()).map(|i| String::from_utf8_lossy(records.field(i)).into_owned());
            out.push((records.line(), fields.collect::<Vec<String>>()));
        }
        assert_eq!(out, [row(1, &["a", "b"]), row(3, &["1", "two words"]), row(4, &["3", "4"])]);
    }

    #[test]
    fn an_open_quote_and_too_many_columns_are_named() {
        let limits = RecordLimits { bytes: 100, fields: 10 };
        let open = format!("a,b\n1,\"{}", "x,y\n".repeat(100));
        let mut reader = records(open.as_bytes(), limits);
        assert!(reader.advance().unwrap());
        let error = reader.advance().unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("100") && error.contains("quote"), "{error}");
        let error = records(b"1,2,3,4,5,6,7,8,9,10,11\n", limits).advance().unwrap_err();
        assert!(matches!(error, FormatError::TooLarge { got: 11, limit: 10, .. }), "{error}");
    }
}
