//! The one error type of this crate: what was wrong, in which file, where, and what was expected.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The result of everything in this crate that can fail.
pub type Result<T, E = FormatError> = std::result::Result<T, E>;

/// What went wrong while reading or writing a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },

    /// The content is not what the format says.
    #[error("{file}, {at}: expected {expected}, found {found}")]
    Malformed {
        /// The file's name as the caller gave it.
        file: String,
        /// Where in the file.
        at: Position,
        /// What the format asks for at this place.
        expected: String,
        /// What is there, shortened.
        found: String,
    },

    /// A length, count or size is larger than what is allowed.
    #[error("{file}: {what} is {got}, the limit is {limit}")]
    TooLarge {
        /// The file's name as the caller gave it.
        file: String,
        /// The quantity: "bytes in a record", "header bytes".
        what: String,
        /// Its value, as far as it was counted.
        got: u64,
        /// The largest value allowed.
        limit: u64,
    },

    /// The format is known but this variant of it is not read or written.
    #[error("{file}: {what} is not supported; {instead}")]
    Unsupported {
        /// The file's name as the caller gave it.
        file: String,
        /// The variant: "Parquet column \"tags\" of nested type".
        what: String,
        /// What to do instead.
        instead: String,
    },

    /// Neither content nor extension tells what the file is.
    #[error("{file}: not a kind of data file that is read here (CSV, Parquet, FANN, IDX, npy, npz); {hint}")]
    UnknownKind {
        /// The file's name as the caller gave it.
        file: String,
        /// What the content looks like.
        hint: String,
    },

    /// The file is something else that was saved in its place.
    #[error("{file}: this is {what}; {instead}")]
    Impostor {
        /// The file's name as the caller gave it.
        file: String,
        /// What it is: "a Git LFS pointer".
        what: &'static str,
        /// What to do about it.
        instead: &'static str,
    },

    /// There is nothing in the file to learn from.
    #[error("{file}: no rows of data{hint}")]
    NoRows {
        /// The file's name as the caller gave it.
        file: String,
        /// Why there are none, when something is known: "; all 12 rows have missing values".
        hint: String,
    },

    /// A column that is needed is not in the file.
    #[error("{file}: no column \"{column}\"; the file has {}", list(present))]
    MissingColumn {
        /// The file's name as the caller gave it.
        file: String,
        /// The column that is needed.
        column: String,
        /// The columns that are there.
        present: Vec<String>,
    },

    /// The file has a column that the encoder was not fitted on.
    #[error("{file}: unknown column \"{column}\"; expected {}", list(expected))]
    UnknownColumn {
        /// The file's name as the caller gave it.
        file: String,
        /// The column that is too many.
        column: String,
        /// The columns that the encoder knows.
        expected: Vec<String>,
    },

    /// Two columns have the same name.
    #[error("{file}: columns {first} and {second} are both named \"{column}\"")]
    DuplicateColumn {
        /// The file's name as the caller gave it.
        file: String,
        /// The name.
        column: String,
        /// Position of the first, from 1.
        first: usize,
        /// Position of the second, from 1.
        second: usize,
    },

    /// A network that came without column names cannot tell which columns are its inputs.
    #[error("{file}: the network takes {want} numbers a row, the columns here hold {got}: {}; {hint}", list(columns))]
    InputChoice {
        /// The file's name as the caller gave it.
        file: String,
        /// Numbers that the network takes.
        want: usize,
        /// Numbers that the columns hold.
        got: usize,
        /// The columns that could be inputs.
        columns: Vec<String>,
        /// What to do about it.
        hint: &'static str,
    },

    /// Files without column names are matched by position, and the counts differ.
    #[error("{file}: {got} {what}, expected {want}")]
    ColumnCount {
        /// The file's name as the caller gave it.
        file: String,
        /// Which columns: "input columns", "target columns".
        what: &'static str,
        /// How many were expected.
        want: usize,
        /// How many there are.
        got: usize,
    },

    /// A column holds numbers where categories are needed, or the reverse.
    #[error("{file}: column \"{column}\" is {got}, expected {want}")]
    ColumnKind {
        /// The file's name as the caller gave it.
        file: String,
        /// The column.
        column: String,
        /// The kind that was expected.
        want: &'static str,
        /// The kind that it has.
        got: &'static str,
    },

    /// Files that are to have one encoder are not alike.
    #[error("{file}: {what} is {got}, and {other_got} at {other}; {hint}")]
    Disagreement {
        /// What the file is called.
        file: String,
        /// What they disagree on: "column \"age\"".
        what: String,
        /// What it is here.
        got: String,
        /// What the other file is called.
        other: String,
        /// What it is there.
        other_got: String,
        /// What to do about it.
        hint: &'static str,
    },

    /// A category that was not there when the encoder was fitted.
    #[error(
        "{file}, {at}: column \"{column}\" has the value \"{value}\", which was not seen in training (known: {})",
        list(known)
    )]
    UnseenCategory {
        /// The file's name as the caller gave it.
        file: String,
        /// Where in the file.
        at: Position,
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// The first few of the known values.
        known: Vec<String>,
    },

    /// A value is missing and the policy does not say how to fill it.
    #[error("{file}, {at}: the value of column \"{column}\" is missing; {hint}")]
    MissingValue {
        /// The file's name as the caller gave it.
        file: String,
        /// Where in the file.
        at: Position,
        /// The column.
        column: String,
        /// What to do about it.
        hint: &'static str,
    },

    /// A column has more different values than can be told apart.
    #[error(
        "{file}: column \"{column}\" has more than {limit} different values; leave the column out, or raise the limit"
    )]
    TooManyCategories {
        /// The file's name as the caller gave it.
        file: String,
        /// The column.
        column: String,
        /// The limit that was passed.
        limit: usize,
    },

    /// The rows are well-formed, but not something to learn from.
    #[error("{file}: {what}; {hint}")]
    Unlearnable {
        /// The file's name as the caller gave it.
        file: String,
        /// What stands in the way: "the target \"class\" has the same value in all 120 rows".
        what: String,
        /// What to do about it.
        hint: String,
    },

    /// The table does not fit into the memory that it was allowed.
    #[error(
        "{file}: the rows need more than {limit_bytes} bytes ({rows} rows of {row_bytes} bytes were read); stream them instead"
    )]
    TableTooLarge {
        /// The file's name as the caller gave it.
        file: String,
        /// Rows that were read when the limit was reached.
        rows: u64,
        /// Bytes of one encoded row.
        row_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },

    /// The target of a write cannot be replaced.
    #[error("{}: not written, because it is {what}", path.display())]
    NotReplaceable {
        /// The target.
        path: PathBuf,
        /// What stands in the way: "read-only", "a folder".
        what: &'static str,
    },

    /// A weight is not a number: a network that has it computes nothing else.
    #[error("{file}: element {index} of tensor \"{tensor}\" is NaN; train again, or allow NaN explicitly")]
    NanWeight {
        /// The file's name as the caller gave it.
        file: String,
        /// The tensor.
        tensor: String,
        /// Index of the first NaN in it, row-major.
        index: usize,
    },

    /// A model's content is not what was written.
    #[error("{file}: the file is damaged: its hash is {computed}, it was {stored} when it was written")]
    HashMismatch {
        /// The file's name as the caller gave it.
        file: String,
        /// The hash in the file.
        stored: String,
        /// The hash of the content.
        computed: String,
    },

    /// A model keeps a tensor in another file, from where it cannot be had.
    #[error("{file}: tensor \"{tensor}\" is in another file, \"{location}\": {problem}")]
    ExternalData {
        /// The file's name as the caller gave it.
        file: String,
        /// The tensor.
        tensor: String,
        /// Where the model says that it is.
        location: String,
        /// What is wrong there, and what to do.
        problem: String,
    },

    /// A value is beyond what a fixed-point file can hold.
    #[error("{what} is {value}, which does not fit 32-bit integers with {decimal_point} binary digits after the point")]
    FixedPointRange {
        /// Which value: "weight of connection 17".
        what: String,
        /// The value.
        value: f64,
        /// Binary digits after the point.
        decimal_point: u32,
    },

    /// A network was given the wrong number of inputs.
    #[error("{got} inputs, the network has {want}")]
    InputCount {
        /// Inputs of the network.
        want: usize,
        /// Inputs that it was given.
        got: usize,
    },

    /// An option that the caller gave makes no sense.
    #[error("option {option}: {problem}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// In a text: line and character position, both from 1.
    Line {
        /// Line, from 1.
        line: u64,
        /// Byte in the line, from 1.
        column: u64,
    },
    /// In a text table: line and column of the table, both from 1.
    Field {
        /// Line, from 1.
        line: u64,
        /// Column of the table, from 1.
        column: usize,
        /// The column's name; empty when it has none.
        name: String,
    },
    /// In a table without lines: data row and column of the table, both from 1.
    Cell {
        /// Data row, from 1.
        row: u64,
        /// Column of the table, from 1.
        column: usize,
        /// The column's name; empty when it has none.
        name: String,
    },
    /// In a binary file: byte offset from the start (after decompression, where there is one).
    Offset(u64),
    /// In a file within the file: its name, and the byte offset there.
    Entry {
        /// Name of the entry.
        entry: String,
        /// Byte offset from the start of the entry, decompressed.
        offset: u64,
    },
    /// In a part of a model: "tensor \"layers.0.weight\"", "neuron 12".
    Part(String),
    /// Nowhere in particular.
    File,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { line, column } => write!(f, "line {line}, column {column}"),
            Self::Field { line, column, name } => {
                write!(f, "line {line}, column {column}")?;
                named(f, name)
            }
            Self::Cell { row, column, name } => {
                write!(f, "row {row}, column {column}")?;
                named(f, name)
            }
            Self::Offset(offset) => write!(f, "byte {offset}"),
            Self::Entry { entry, offset } => write!(f, "entry {entry}, byte {offset}"),
            Self::Part(part) => f.write_str(part),
            Self::File => f.write_str("whole file"),
        }
    }
}

fn named(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if name.is_empty() {
        return Ok(());
    }
    write!(f, " ({name})")
}

impl FormatError {
    /// [`FormatError::Malformed`] with `found` shortened to a readable length.
    pub(crate) fn malformed(file: &str, at: Position, expected: impl Into<String>, found: &str) -> Self {
        Self::Malformed { file: file.to_owned(), at, expected: expected.into(), found: shorten(found) }
    }
}

/// The longest piece of a bad file that a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// `text` on one line, control characters escaped, cut after [`SHOWN_CHARS`].
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(escape_control).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn escape_control(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// How many names a message lists before it says how many more there are.
const LISTED: usize = 12;

fn list(names: &[String]) -> String {
    let mut text =
        names.iter().take(LISTED).map(|name| format!("\"{}\"", shorten(name))).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    if names.is_empty() {
        text.push_str("none");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_what_and_instead_of_what() {
        let at = Position::Field { line: 17, column: 3, name: "petal length".into() };
        let error = FormatError::malformed("iris.csv", at, "a number", "\"4,5\n\"");
        assert_eq!(
            error.to_string(),
            "iris.csv, line 17, column 3 (petal length): expected a number, found \"4,5\\n\""
        );
    }

    #[test]
    fn long_finds_are_cut_and_long_lists_counted() {
        assert_eq!(shorten(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
        assert_eq!(shorten(&"x".repeat(60)), "x".repeat(60));
        let names: Vec<String> = (0..14).map(|i| format!("c{i}")).collect();
        assert!(list(&names).ends_with("\"c11\" and 2 more"));
        assert_eq!(list(&[]), "none");
    }
}
