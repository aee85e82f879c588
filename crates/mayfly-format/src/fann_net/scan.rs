//! A scanner over the text of a `.net` file that knows where it is.

use std::borrow::Cow;

use crate::error::{FormatError, Position, Result};

/// Where the parameters of a net begin, at the latest.
const HEAD_BYTES: usize = 4096;
/// How much of an unexpected line an error looks at, in bytes.
const SHOWN_BYTES: usize = 80;

/// Reads tokens from the text of a `.net` file. White space before a token is skipped.
pub(super) struct Scanner<'a> {
    file: &'a str,
    text: &'a [u8],
    at: usize,
    /// Numbers are written with a comma: FANN prints them as the locale says.
    decimal_comma: bool,
}

/// Whether the first number with a fraction has a comma: the learning rate of FANN 2, the line of parameters of FANN 1.
fn decimal_comma(text: &[u8]) -> bool {
    const KEY: &[u8] = b"learning_rate=";
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    let rate = match head.windows(KEY.len()).position(|w| w == KEY) {
        Some(at) => head.get(at + KEY.len()..),
        None if head.starts_with(b"FANN_FLO_1.") => head.split(|b| *b == b'\n').nth(1),
        None => None,
    };
    rate.is_some_and(|rate| rate.split(|b| *b == b'\n').next().is_some_and(|line| line.contains(&b',')))
}

impl<'a> Scanner<'a> {
    pub(super) fn new(file: &'a str, text: &'a [u8]) -> Self {
        Self { file, text, at: 0, decimal_comma: decimal_comma(text) }
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn remaining_bytes(&self) -> usize {
        self.text.len().saturating_sub(self.at)
    }

    fn skip_space(&mut self) {
        let space = self.rest().iter().take_while(|b| b.is_ascii_whitespace()).count();
        self.at += space;
    }

    /// An error at the next token.
    pub(super) fn expected(&mut self, want: &str) -> FormatError {
        self.skip_space();
        let rest = self.rest();
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()).min(SHOWN_BYTES);
        match rest.get(..end) {
            None | Some([]) => self.error_here(want, "the end of the text"),
            Some(bytes) => self.error_here(want, String::from_utf8_lossy(bytes).trim_end()),
        }
    }

    fn error_here(&self, want: &str, found: &str) -> FormatError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line = before.iter().filter(|&&b| b == b'\n').count() as u64 + 1;
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() as u64 + 1;
        FormatError::malformed(self.file, Position::Line { line, column }, want, found)
    }

    /// Runs `read` and puts its error, if any, at the token where it started.
    fn at_start<T>(&mut self, want: impl FnOnce() -> String, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        self.skip_space();
        let start = self.at;
        read(self).ok_or_else(|| {
            self.at = start;
            self.expected(&want())
        })
    }

    /// The first line, without its line end.
    pub(super) fn first_line(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default().trim_ascii_end()
    }

    /// Exactly these bytes.
    pub(super) fn literal(&mut self, want: &str) -> Result<()> {
        self.at_start(|| format!("`{want}`"), |s| s.eat(want.as_bytes()))
    }

    fn eat(&mut self, want: &[u8]) -> Option<()> {
        self.rest().starts_with(want).then(|| self.at += want.len())
    }

    /// `key=`
    pub(super) fn key(&mut self, key: &str) -> Result<()> {
        self.at_start(|| format!("`{key}=`"), |s| s.eat(key.as_bytes()).and_then(|()| s.eat(b"=")))
    }

    /// Whether `key=` comes next.
    pub(super) fn is_at_key(&mut self, key: &str) -> bool {
        self.skip_space();
        self.rest().strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    }

    /// A number as it stands, with a point. A comma ends it, unless commas are decimal and a digit follows: FANN sets a space after those that separate.
    fn token(&mut self) -> Option<Cow<'a, str>> {
        let rest = self.rest();
        let ends = |(i, b): (usize, &u8)| match b {
            b',' => !(self.decimal_comma && rest.get(i + 1).is_some_and(u8::is_ascii_digit)),
            b'(' | b')' | b'=' => true,
            b => b.is_ascii_whitespace(),
        };
        let end = rest.iter().enumerate().position(ends).unwrap_or(rest.len());
        self.at += end;
        let token = std::str::from_utf8(rest.get(..end)?).ok()?;
        Some(if token.contains(',') { Cow::Owned(token.replace(',', ".")) } else { Cow::Borrowed(token) })
    }

    fn parse<T: std::str::FromStr>(&mut self, want: &str, good: impl FnOnce(&T) -> bool) -> Result<T> {
        self.at_start(|| want.to_owned(), |s| s.token()?.parse().ok().filter(good))
    }

    pub(super) fn unsigned(&mut self) -> Result<u32> {
        self.parse("an unsigned whole number below 4294967296", |_| true)
    }

    pub(super) fn unsigned_at_most(&mut self, most: u32) -> Result<u32> {
        self.parse(&format!("a whole number of at most {most}"), |&n| n <= most)
    }

    pub(super) fn float(&mut self) -> Result<f32> {
        self.parse("a finite number", |x: &f32| x.is_finite())
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        self.parse("a finite number", |x: &f64| x.is_finite())
    }

    /// A 32-bit integer. FANN prints some of them as unsigned, so both readings of the bits are taken.
    pub(super) fn integer(&mut self) -> Result<i32> {
        let range = i64::from(i32::MIN)..=i64::from(u32::MAX);
        let wide: i64 = self.parse("a whole number of 32 bits", |x| range.contains(x))?;
        Ok(wide as i32) // wraps on purpose: 4294967295 is -1 printed with %u
    }

    /// One of the values of an enum, by its code.
    pub(super) fn code<T>(&mut self, what: &str, from_code: fn(u32) -> Option<T>) -> Result<T> {
        self.at_start(|| format!("a number that FANN uses for {what}"), |s| from_code(s.token()?.parse().ok()?))
    }

    /// Checks a count that was read before anything is allocated for it.
    ///
    /// `bytes_each` is the least that one item takes in the text.
    pub(super) fn check_count(&self, what: &str, count: u64, bytes_each: usize) -> Result<usize> {
        let limit = self.remaining_bytes() / bytes_each;
        match usize::try_from(count) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(FormatError::TooLarge {
                file: self.file.to_owned(),
                what: format!("number of {what}, for the rest of the text,"),
                got: count,
                limit: limit as u64,
            }),
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }
}
