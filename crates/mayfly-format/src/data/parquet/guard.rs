//! The `parquet` crate, kept from taking the program down with it.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use crate::data::input::{Input, Stream};
use crate::error::{FormatError, Position, Result};

/// An [`Input`] as the `parquet` crate reads it. It asks for parts by offset and length; none beyond the end is tried.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    input: Input,
    length: u64,
}

impl Parts {
    pub(super) fn new(input: &Input) -> Result<Self> {
        Ok(Self { input: input.clone(), length: input.stored_len()? })
    }
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Parts {
    type T = BufReader<Stream>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let external = |e| ParquetError::External(Box::new(e));
        let mut stream = self.input.open().map_err(external)?;
        stream.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(stream))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            let problem = format!("{length} bytes at {start} asked for, but the file has {}", self.length);
            return Err(ParquetError::EOF(problem));
        }
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Runs code of the `parquet` crate and turns whatever goes wrong into an error of this crate.
///
/// The crate panics on some damaged files (an index page without its dictionary, a value cut short; about one flipped bit in 400, in version
/// 60). The panic is caught here; its message is still printed by the standard panic hook, and a build with `panic = "abort"` aborts.
pub(super) fn guarded<T>(file: &str, run: impl FnOnce() -> ParquetResult<T>) -> Result<T> {
    let wrong = |found: &str| Err(FormatError::malformed(file, Position::File, "an undamaged Parquet file", found));
    // Unwind safety: after an error the caller drops what the panic may have left half done.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => wrong(&error.to_string()),
        Err(_) => wrong("one that the decoder gives up on"),
    }
}
