//! Finding out what kind of file it is.

use serde::{Deserialize, Serialize};

use super::input::{GZIP_MAGIC, Input, head};
use crate::error::{FormatError, Result};

/// How much of a file is looked at, in bytes.
pub(super) const HEAD_BYTES: usize = 1 << 16;

/// The kinds of data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileKind {
    /// Delimiter-separated text.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// FANN training data.
    Fann,
    /// IDX, the format of MNIST.
    Idx,
    /// One NumPy array.
    Npy,
    /// An archive of NumPy arrays.
    Npz,
}

impl FileKind {
    /// The kind of `input`, by content first and extension second.
    ///
    /// # Errors
    /// [`FormatError::UnknownKind`], I/O errors, and a damaged gzip stream.
    pub fn of(input: &Input) -> Result<Self> {
        let (bytes, whole) = head(input, HEAD_BYTES)?;
        crate::impostor::refuse(input.name(), &bytes)?;
        let extension = input.extension();
        let found = by_magic(&bytes).or_else(|| by_text(&bytes, whole, &extension));
        let promised = promised_by(input.name(), &extension);
        match (found, promised) {
            (Some(found), None) => Ok(found),
            (Some(found), Some(promised)) if found == promised => Ok(found),
            (None, None) => Err(unknown(input, describe(&bytes))),
            (found, Some(promised)) => {
                let content = found.map_or(describe(&bytes), |f| format!("it looks like {}", f.name()));
                Err(unknown(input, format!("the name says {}, but {content}", promised.name())))
            }
        }
    }

    /// The name that people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::Fann => "FANN data",
            Self::Idx => "IDX",
            Self::Npy => "npy",
            Self::Npz => "npz",
        }
    }
}

fn unknown(input: &Input, hint: String) -> FormatError {
    FormatError::UnknownKind { file: input.name().to_owned(), hint }
}

fn by_magic(bytes: &[u8]) -> Option<FileKind> {
    match bytes {
        [b'P', b'A', b'R', b'1', ..] => Some(FileKind::Parquet),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(FileKind::Npy),
        [b'P', b'K', 3, 4, ..] if office(bytes).is_some() => None,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(FileKind::Npz),
        [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=8, ..] => Some(FileKind::Idx),
        _ => None,
    }
}

/// Text has no NUL bytes, which also tells UTF-16 apart.
fn by_text(bytes: &[u8], whole: bool, extension: &str) -> Option<FileKind> {
    if bytes.is_empty() || bytes.contains(&0) || bytes.starts_with(&GZIP_MAGIC) || foreign(bytes).is_some() {
        return None;
    }
    if is_fann(bytes, whole, extension) {
        return Some(FileKind::Fann);
    }
    Some(FileKind::Csv)
}

/// Three whole numbers begin a FANN file. Without an extension that says so they must be all of the first line, with spaces between:
/// three tab-separated numbers may as well be a table.
fn is_fann(bytes: &[u8], whole: bool, extension: &str) -> bool {
    let words = |line: &[u8]| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
    let numbers = |text: &[u8]| {
        let words: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(4).collect();
        let good = words.iter().take(3).all(|w| w.iter().all(u8::is_ascii_digit));
        (words.len(), good)
    };
    if matches!(extension, "csv" | "tsv" | "psv") {
        return false;
    }
    if matches!(extension, "train" | "test" | "data" | "fann") {
        let (count, good) = numbers(bytes);
        // A table of whole numbers has more of them in its first line, and as many in its second.
        let mut lines = bytes.split(|&b| b == b'\n').map(words).filter(|&count| count > 0);
        let is_table = lines.next().is_some_and(|first| first > 3 && lines.next() == Some(first));
        return good && count >= 3 && !is_table;
    }
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let complete = line.len() < bytes.len() || whole;
    complete && !line.contains(&b'\t') && numbers(line) == (3, true)
}

/// The kind that the name promises, for kinds that content can be held against.
fn promised_by(name: &str, extension: &str) -> Option<FileKind> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").unwrap_or(&lower);
    match extension {
        "parquet" => Some(FileKind::Parquet),
        "npy" => Some(FileKind::Npy),
        "npz" => Some(FileKind::Npz),
        "idx" => Some(FileKind::Idx),
        _ if plain.ends_with("-ubyte") => Some(FileKind::Idx),
        _ => None,
    }
}

/// A zip archive that an office program wrote: its first member says so.
fn office(bytes: &[u8]) -> Option<&'static str> {
    let member = bytes.get(30..).unwrap_or_default();
    let begins = |name: &str| bytes.starts_with(b"PK\x03\x04") && member.starts_with(name.as_bytes());
    let excel = ["[Content_Types].xml", "xl/", "_rels/", "docProps/"].iter().any(|name| begins(name));
    match (excel, begins("mimetype")) {
        (true, _) => Some("it is an Excel workbook: save the sheet as CSV"),
        (_, true) => Some("it is an OpenDocument file: save the sheet as CSV"),
        _ => None,
    }
}

/// Text in two bytes a character without a mark: every second byte of the beginning is zero.
fn is_wide(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    let zeros = |skip: usize| head.len() > 3 && head.iter().skip(skip).step_by(2).all(|&byte| byte == 0);
    zeros(0) != zeros(1)
}

/// What is known but not read, and what to do about it.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    if let Some(known) = office(bytes) {
        return Some(known);
    }
    if is_wide(bytes) {
        return Some("it is UTF-16 text: save it as UTF-8");
    }
    let start = bytes.trim_ascii_start();
    match start {
        [b'{' | b'[', ..] => return Some("it is JSON: save the table as CSV"),
        [b'@', rest @ ..] if rest.get(..8).is_some_and(|word| word.eq_ignore_ascii_case(b"relation")) => {
            return Some("it is ARFF: save the table as CSV");
        }
        _ => {}
    }
    match bytes {
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("it is a PDF document"),
        [0x89, b'H', b'D', b'F', ..] => Some("it is HDF5: save the arrays as npz"),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Some("it is Arrow or Feather: save it as Parquet"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some("it is an old Excel file: save it as CSV"),
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', ..] => Some("it is SQLite: export the table as CSV"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is UTF-16 text: save it as UTF-8"),
        _ => None,
    }
}

fn describe(bytes: &[u8]) -> String {
    match (foreign(bytes), bytes) {
        (Some(known), _) => known.into(),
        (None, []) => "it is empty".into(),
        (None, [first]) => format!("it is the single byte {first:#04x}"),
        (None, [first, second, ..]) => format!("it begins with the bytes {first:#04x} {second:#04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, bytes: &[u8]) -> Result<FileKind> {
        FileKind::of(&Input::from_bytes(name, bytes))
    }

    #[test]
    fn content_decides() {
        let cases: [(&str, &[u8], FileKind); 11] = [
            ("a.csv", b"a,b\n1,2\n", FileKind::Csv),
            ("iris.data", b"5.1,3.5,1.4,0.2,Iris-setosa\n", FileKind::Csv),
            ("xor.data", b"4 2 1\n-1 -1\n-1\n", FileKind::Fann),
            ("odd.train", b"4\n2 1 -1 -1 -1\n", FileKind::Fann),
            ("noext", b"4 2 1\n-1 -1\n", FileKind::Fann),
            ("noext", b"4 2 1 7\n-1 -1\n", FileKind::Csv),
            ("noext", b"4\t2\t1\n5\t6\t7\n", FileKind::Csv),
            ("t.csv", b"4 2 1\n", FileKind::Csv),
            ("x", b"\x93NUMPY\x01\x00", FileKind::Npy),
            ("x", b"\0\0\x08\x01\0\0\0\x01\x07", FileKind::Idx),
            ("x", b"PAR1....", FileKind::Parquet),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(kind(name, bytes).unwrap(), want, "{name} {bytes:?}");
        }
    }

    #[test]
    fn tables_of_whole_numbers_are_not_fann() {
        assert_eq!(kind("glass.data", b"1 2 3 4\n5 6 7 8\n").unwrap(), FileKind::Csv);
        assert_eq!(kind("odd.train", b"2 2 1 -1 -1 -1\n1 1 1\n").unwrap(), FileKind::Fann);
        assert_eq!(kind("xor.data", b"\xef\xbb\xbf4 2 1\n-1 -1\n-1\n").unwrap(), FileKind::Fann);
    }

    #[test]
    fn a_name_that_promises_something_else_is_an_error() {
        let error = kind("a.npy", b"a,b\n").unwrap_err().to_string();
        assert!(error.contains("the name says npy, but it looks like CSV"), "{error}");
        let error = kind("train-images-idx3-ubyte", b"PK\x03\x04").unwrap_err();
        assert!(matches!(error, FormatError::UnknownKind { .. }));
    }

    #[test]
    fn what_is_not_read_says_what_to_do() {
        for (bytes, hint) in [
            (&b""[..], "empty"),
            (b"\xff\xfea\0,\0", "UTF-8"),
            (b"a\0,\0b\0", "UTF-16"),
            (b"{\"a\": 1}", "JSON"),
            (b"@RELATION x", "ARFF"),
            (b"\x89HDF\r\n", "npz"),
            (b"ab\0cd", "0x61"),
        ] {
            let error = kind("x", bytes).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
