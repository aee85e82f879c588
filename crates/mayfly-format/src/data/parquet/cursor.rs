//! One column of one row group, read a few values at a time.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};

use super::clock::Clock;
use super::meaning::Meaning;

/// Values of one column.
#[derive(Debug)]
pub(super) enum Values {
    /// Missing is NaN.
    Numbers(Vec<f64>),
    /// Whole numbers that stand for dates or times.
    Times(Clock, Vec<Option<i64>>),
    /// Strings.
    Texts(Vec<Option<ByteArray>>),
    /// So many values that nobody asked for.
    Unread(usize),
}

impl Values {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Times(_, values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Unread(count) => *count,
        }
    }
}

/// A reader of one column of one row group.
pub(super) struct Cursor {
    reader: ColumnReader,
    meaning: Meaning,
    /// Whether values can be null.
    optional: bool,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("meaning", &self.meaning).finish_non_exhaustive()
    }
}

impl Cursor {
    pub(super) fn new(reader: ColumnReader, meaning: Meaning, optional: bool) -> Self {
        Self { reader, meaning, optional }
    }

    /// The next `rows` values, fewer only at the end of the row group.
    pub(super) fn read(&mut self, rows: usize) -> Result<Values> {
        use ColumnReader as R;
        let (meaning, optional) = (self.meaning, self.optional);
        match (&mut self.reader, meaning) {
            (R::ByteArrayColumnReader(reader), Meaning::Text) => {
                Ok(Values::Texts(pull(reader, rows, optional, |value| value.cloned())?))
            }
            (R::Int32ColumnReader(reader), Meaning::Time(clock)) => {
                Ok(Values::Times(clock, pull(reader, rows, optional, |value| value.map(|&v| i64::from(v)))?))
            }
            (R::Int64ColumnReader(reader), Meaning::Time(clock)) => {
                Ok(Values::Times(clock, pull(reader, rows, optional, |value| value.copied())?))
            }
            (reader, meaning) => numbers(reader, rows, optional, meaning).map(Values::Numbers),
        }
    }
}

fn numbers(reader: &mut ColumnReader, rows: usize, optional: bool, meaning: Meaning) -> Result<Vec<f64>> {
    use ColumnReader as R;
    const NULL: f64 = f64::NAN;
    match reader {
        R::BoolColumnReader(r) => pull(r, rows, optional, |value| value.map_or(NULL, |&v| f64::from(u8::from(v)))),
        R::Int32ColumnReader(r) => pull(r, rows, optional, |value| value.map_or(NULL, |&v| meaning.int32(v))),
        R::Int64ColumnReader(r) => pull(r, rows, optional, |value| value.map_or(NULL, |&v| meaning.int64(v))),
        R::FloatColumnReader(r) => pull(r, rows, optional, |value| value.map_or(NULL, |&v| f64::from(v))),
        R::DoubleColumnReader(r) => pull(r, rows, optional, |value| value.map_or(NULL, |&v| v)),
        R::FixedLenByteArrayColumnReader(r) => {
            pull(r, rows, optional, |value| value.map_or(NULL, |v| meaning.bytes(v.data())))
        }
        R::ByteArrayColumnReader(r) if meaning != Meaning::Text => {
            pull(r, rows, optional, |value| value.map_or(NULL, |v| meaning.bytes(v.data())))
        }
        R::ByteArrayColumnReader(_) | R::Int96ColumnReader(_) => {
            Err(ParquetError::General("a column whose pages are of another type than its schema".into()))
        }
    }
}

/// Reads `rows` values, null as `None`.
fn pull<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    optional: bool,
    value: impl Fn(Option<&T::T>) -> V,
) -> Result<Vec<V>> {
    let (mut stored, mut levels, mut records) = (Vec::new(), Vec::new(), 0);
    while records < rows {
        let (read, ..) = reader.read_records(rows - records, Some(&mut levels), None, &mut stored)?;
        if read == 0 {
            break;
        }
        records += read;
    }
    let mut stored = stored.iter();
    let mut next = || stored.next().ok_or_else(|| ParquetError::General("fewer values than levels".into()));
    let mut out = Vec::with_capacity(records);
    if optional {
        for &level in &levels {
            out.push(if level > 0 { value(Some(next()?)) } else { value(None) });
        }
    } else {
        for _ in 0..records {
            out.push(value(Some(next()?)));
        }
    }
    Ok(out)
}
