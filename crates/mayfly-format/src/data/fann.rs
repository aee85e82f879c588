//! FANN training data: `n_rows n_in n_out`, then the numbers, parted by any white space.

use super::chunk::Chunk;
use super::input::{ByteReader, Input};
use super::number::number;
use super::schema::{Names, Schema, Targets, positional};
use super::source::{OpenOptions, Source, chunk_rows};
use crate::error::{FormatError, Position, Result};

/// No number needs more; C prints at most 350 characters for one.
const MAX_WORD_BYTES: usize = 400;

/// A FANN data file.
#[derive(Debug)]
pub(super) struct FannSource {
    input: Input,
    schema: Schema,
    rows: u64,
    words: Words,
    row: u64,
}

/// What the first three numbers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FannHeader {
    rows: u64,
    inputs: usize,
    outputs: usize,
}

impl FannSource {
    pub(super) fn open(input: Input, options: &OpenOptions) -> Result<Self> {
        let mut words = Words::new(input.open_unpacked()?);
        let header = read_header(&mut words)?;
        check_header(&input, &words, header, options.limits.columns)?;
        let columns = positional("x", header.inputs).chain(positional("y", header.outputs));
        let targets = Targets::Raw(header.outputs);
        let schema = Schema::new(input.name(), columns.collect(), Names::Positional, targets)?;
        Ok(Self { input, schema, rows: header.rows, words, row: 0 })
    }

    fn read_row(&mut self, chunk: &mut Chunk) -> Result<()> {
        let width = self.schema.number_width();
        for index in 0..width {
            match self.words.number()? {
                Some(value) => chunk.numbers.push(value),
                None => return Err(self.bad_number(chunk.rows, index)),
            }
            if index == 0 {
                chunk.lines.push(self.words.line);
            }
        }
        Ok(())
    }

    #[cold]
    fn bad_number(&self, row_in_chunk: usize, index: usize) -> FormatError {
        let row = self.row + row_in_chunk as u64 + 1;
        let name = self.schema.columns().get(index).map_or("", |column| &column.name);
        let expected = format!("a finite number: {name} of row {row} of {}", self.rows);
        self.words.error(&expected)
    }

    fn check_end(&mut self) -> Result<()> {
        if self.words.advance()? {
            let expected = format!("the end after {} rows of {} numbers", self.rows, self.schema.number_width());
            return Err(self.words.error(&expected));
        }
        Ok(())
    }
}

fn read_header(words: &mut Words) -> Result<FannHeader> {
    Ok(FannHeader {
        rows: words.count("the number of rows")?,
        inputs: to_usize(words.count("the number of inputs, at least 1")?),
        outputs: to_usize(words.count("the number of outputs")?),
    })
}

/// A count beyond the address space fails the limits that follow.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Every number takes a digit and a separator, so that the file's length bounds how many there can be.
fn check_header(input: &Input, words: &Words, header: FannHeader, max_columns: usize) -> Result<()> {
    let columns = header.inputs.saturating_add(header.outputs);
    if columns > max_columns {
        return Err(FormatError::TooLarge {
            file: input.name().to_owned(),
            what: "the number of inputs and outputs".into(),
            got: columns as u64,
            limit: max_columns as u64,
        });
    }
    let want = header.rows.saturating_mul(columns as u64);
    let possible = input.stored_len()? / 2 + 1;
    if header.inputs == 0 || !words.bytes.is_gzip() && want > possible {
        let expected = format!("a header that fits the file, which can hold {possible} numbers");
        let found = format!("{} rows of {} + {}", header.rows, header.inputs, header.outputs);
        let at = Position::Line { line: 1, column: 1 };
        return Err(FormatError::malformed(input.name(), at, expected, &found));
    }
    Ok(())
}

impl Source for FannSource {
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
        self.words = Words::new(self.input.open_unpacked()?);
        read_header(&mut self.words)?;
        self.row = 0;
        Ok(())
    }

    fn read(&mut self, chunk: &mut Chunk, max_rows: usize) -> Result<usize> {
        chunk.start(&self.schema, self.row);
        let max_rows = chunk_rows(&self.schema, max_rows);
        while chunk.rows < max_rows && self.row + (chunk.rows as u64) < self.rows {
            self.read_row(chunk)?;
            chunk.rows += 1;
        }
        self.row += chunk.rows as u64;
        if self.row == self.rows {
            self.check_end()?;
        }
        Ok(chunk.rows)
    }

    fn categories(&self, _code_slot: usize) -> &[String] {
        &[]
    }
}

/// Words of a text and where they begin.
#[derive(Debug)]
struct Words {
    bytes: ByteReader,
    word: Vec<u8>,
    /// Line and column of the current word, from 1.
    line: u64,
    column: u64,
    /// Line that the next byte is on, and the offset of its first byte.
    next_line: u64,
    line_start: u64,
}

impl Words {
    fn new(bytes: ByteReader) -> Self {
        Self { bytes, word: Vec::new(), line: 1, column: 1, next_line: 1, line_start: 0 }
    }

    /// Reads the next word as a number; `None` if it is none, or at the end. The word is then there for the message.
    fn number(&mut self) -> Result<Option<f64>> {
        self.start_word()?;
        // Nearly always the word is in the buffer whole, and need not be copied.
        let bytes = self.bytes.fill()?;
        let length = bytes.iter().position(|&byte| is_space(byte));
        if let Some((length, value)) = length.and_then(|length| Some((length, number(bytes.get(..length)?)?))) {
            self.bytes.consume(length);
            return Ok(Some(value));
        }
        self.finish_word()?;
        Ok(number(&self.word))
    }

    /// Reads the next word; `false` at the end, where the word is empty.
    fn advance(&mut self) -> Result<bool> {
        self.start_word()?;
        self.finish_word()?;
        Ok(!self.word.is_empty())
    }

    fn start_word(&mut self) -> Result<()> {
        self.skip_space()?;
        self.line = self.next_line;
        self.column = self.bytes.offset() - self.line_start + 1;
        Ok(())
    }

    fn finish_word(&mut self) -> Result<()> {
        self.word.clear();
        loop {
            let bytes = self.bytes.fill()?;
            let length = bytes.iter().take_while(|byte| !is_space(**byte)).count();
            let ends = length < bytes.len() || bytes.is_empty();
            let room = MAX_WORD_BYTES.saturating_sub(self.word.len());
            self.word.extend(bytes.iter().take(length.min(room)));
            self.bytes.consume(length);
            if length > room {
                return Err(self.error("a number of a reasonable length"));
            }
            if ends {
                return Ok(());
            }
        }
    }

    fn skip_space(&mut self) -> Result<()> {
        loop {
            let offset = self.bytes.offset();
            let bytes = self.bytes.fill()?;
            let mut length = 0;
            for &byte in bytes.iter().take_while(|byte| is_space(**byte)) {
                length += 1;
                if byte == b'\n' {
                    self.next_line += 1;
                    self.line_start = offset + length;
                }
            }
            let done = length < bytes.len() as u64 || bytes.is_empty();
            self.bytes.consume(length as usize); // not more than the buffer
            if done {
                return Ok(());
            }
        }
    }

    fn count(&mut self, expected: &str) -> Result<u64> {
        self.advance()?;
        let text = std::str::from_utf8(&self.word).unwrap_or_default();
        text.parse().map_err(|_| self.error(expected))
    }

    fn error(&self, expected: &str) -> FormatError {
        let at = Position::Line { line: self.line, column: self.column };
        let found = match self.word.as_slice() {
            [] => "the end of the file".to_owned(),
            word => format!("\"{}\"", String::from_utf8_lossy(word)),
        };
        FormatError::malformed(self.bytes.name(), at, expected, &found)
    }
}

/// What C's `isspace` says, which is what `fscanf` skips.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<f64>, Vec<u64>)> {
        let mut source = FannSource::open(Input::from_bytes("t.data", text.as_bytes()), &OpenOptions::default())?;
        let (mut numbers, mut lines, mut chunk) = (Vec::new(), Vec::new(), Chunk::default());
        while source.read(&mut chunk, 2)? > 0 {
            numbers.extend(&chunk.numbers);
            lines.extend(&chunk.lines);
        }
        Ok((numbers, lines))
    }

    #[test]
    fn line_ends_mean_nothing() {
        let want = [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1e-3, 1.0, 1.5];
        let usual = read("3 2 1\n-1 -1\n-1\n-1 1\n1\n1e-3 1\n1.5\n").unwrap();
        assert_eq!(usual.0, want);
        assert_eq!(usual.1, [2, 4, 6]);
        for odd in
            ["3 2 1 -1 -1 -1 -1 1 1 1e-3 1 1.5", "\r\n3\t2\r\n1\r\n\r\n-1\r\n-1 -1 -1 1 1 +1e-3 \x0b1 1.5\r\n  \r\n"]
        {
            assert_eq!(read(odd).unwrap().0, want);
        }
    }

    #[test]
    fn errors_name_line_column_and_counts() {
        for (text, want) in [
            ("", "t.data, line 1, column 1: expected the number of rows, found the end of the file"),
            ("2 x 1", "t.data, line 1, column 3: expected the number of inputs, at least 1, found \"x\""),
            (
                "2 1 1\n0 1\n7\n\n",
                "t.data, line 5, column 1: expected a finite number: y1 of row 2 of 2, found the end of the file",
            ),
            (
                "1 1 1\n0 1\n  7 8\n",
                "t.data, line 3, column 3: expected the end after 1 rows of 2 numbers, found \"7\"",
            ),
            ("1 2 1\n0 nan\n1", "t.data, line 2, column 3: expected a finite number: x2 of row 1 of 1, found \"nan\""),
            (
                "4000000 1000 1\n0\n",
                "t.data, line 1, column 1: expected a header that fits the file, which can hold 9 numbers, found 4000000 rows of 1000 + 1",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), want);
        }
        assert!(read("1 99999999999999999999 1").is_err());
        assert!(read("1 18446744073709551615 18446744073709551615").is_err());
        assert!(read("18446744073709551615 1 0 1").is_err());
        assert!(read("1 0 1 1").is_err());
        assert!(read(&format!("1 1 0 {}", "1".repeat(401))).is_err());
    }

    #[test]
    fn inputs_alone_are_a_file_too() {
        assert_eq!(read("2 1 0\n5\n6\n").unwrap().0, [5.0, 6.0]);
    }
}
