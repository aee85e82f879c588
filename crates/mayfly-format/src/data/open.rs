//! Opening any data file.

use super::array;
use super::csv::CsvSource;
use super::fann::FannSource;
use super::input::Input;
use super::kind::FileKind;
use super::source::{OpenOptions, Source};
use crate::error::Result;

/// Opens a data file of any kind, found out by its content; `input` is a path or an [`Input`].
///
/// ```
/// use mayfly_format::data::{self, Chunk, Input, OpenOptions, Source};
/// # fn main() -> mayfly_format::Result<()> {
/// let input = Input::from_bytes("xor.data", *b"4 2 1\n0 0\n0\n0 1\n1\n1 0\n1\n1 1\n0\n");
/// let mut source = data::open(input, &OpenOptions::default())?;
/// let mut chunk = Chunk::default();
/// assert_eq!(source.read(&mut chunk, 1000)?, 4);
/// assert_eq!(chunk.numbers_of(source.schema(), 1), [0.0, 1.0, 1.0]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// When the file cannot be read, is of no known kind, or its beginning is not what its kind asks for.
pub fn open(input: impl Into<Input>, options: &OpenOptions) -> Result<Box<dyn Source>> {
    let input = input.into();
    let kind = match options.kind {
        Some(kind) => kind,
        None => FileKind::of(&input)?,
    };
    match kind {
        FileKind::Csv => Ok(Box::new(CsvSource::open(input, options)?)),
        FileKind::Fann => Ok(Box::new(FannSource::open(input, options)?)),
        FileKind::Idx => array::open_idx(&input, options),
        FileKind::Npy => array::open_npy(&input, options),
        FileKind::Npz => array::open_npz(&input, options),
        FileKind::Parquet => open_parquet(input, options),
    }
}

#[cfg(feature = "parquet")]
fn open_parquet(input: Input, options: &OpenOptions) -> Result<Box<dyn Source>> {
    Ok(Box::new(super::parquet::ParquetSource::open(input, options)?))
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(input: Input, _: &OpenOptions) -> Result<Box<dyn Source>> {
    Err(crate::FormatError::Unsupported {
        file: input.name().to_owned(),
        what: "Parquet, in this build".into(),
        instead: "build with the cargo feature `parquet`, or save the table as CSV".into(),
    })
}
