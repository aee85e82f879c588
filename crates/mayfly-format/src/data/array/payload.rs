//! The values of an array in its file: stored, gzipped, or a deflated member of an archive.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use crate::data::input::{Input, Stream};
use crate::error::{FormatError, Position, Result};

/// Where the values of an array are. Its size was checked against the stored bytes before this was made.
#[derive(Debug, Clone)]
pub(super) struct Payload {
    pub(super) input: Input,
    pub(super) packing: Packing,
    /// Unpacked bytes before the values.
    pub(super) header_bytes: u64,
    /// Bytes of the values.
    pub(super) value_bytes: u64,
    /// The member of an archive, for messages.
    pub(super) entry: Option<String>,
}

/// How the header and the values are packed.
#[derive(Debug, Clone)]
pub(super) enum Packing {
    /// As they are, from this offset.
    Stored { at: u64, crc: Option<u32> },
    /// The whole file is a gzip stream.
    Gzip,
    /// A deflate stream in the file.
    Deflate { at: u64, packed_bytes: u64, crc: u32 },
}

impl Payload {
    /// Opens it at the first value.
    pub(super) fn open(&self) -> Result<PayloadReader> {
        let (reader, crc): (Box<dyn Read + Send>, _) = match self.packing {
            Packing::Gzip => (Box::new(Unzipped(self.input.open_unpacked()?)), None),
            Packing::Stored { at, crc } => {
                let length = self.header_bytes.saturating_add(self.value_bytes);
                (Box::new(self.section(at, length)?), crc)
            }
            Packing::Deflate { at, packed_bytes, crc } => {
                (Box::new(DeflateDecoder::new(self.section(at, packed_bytes)?)), Some(crc))
            }
        };
        let mut reader = PayloadReader {
            payload: self.clone(),
            reader,
            crc: crc.map(|want| (Crc::new(), want)),
            left: self.value_bytes,
        };
        reader.skip_header()?;
        Ok(reader)
    }

    fn section(&self, at: u64, length: u64) -> Result<impl BufRead + Send + use<>> {
        let mut stream = self.input.open()?;
        self.seek(&mut stream, at)?;
        Ok(BufReader::with_capacity(1 << 17, stream).take(length))
    }

    fn seek(&self, stream: &mut Stream, to: u64) -> Result<()> {
        let sought = stream.seek(SeekFrom::Start(to));
        sought.map(drop).map_err(|e| self.input.read_error(e, to))
    }

    /// Whether any part can be read without what is before it; then [`read_at`](Payload::read_at) works.
    pub(super) fn is_seekable(&self) -> bool {
        matches!(self.packing, Packing::Stored { .. })
    }

    /// Fills `out` from the values at byte `offset`; `stream` is an open stream of the same input.
    pub(super) fn read_at(&self, stream: &mut Stream, offset: u64, out: &mut [u8]) -> Result<()> {
        let Packing::Stored { at, .. } = self.packing else {
            return Err(self.error(offset, "values that are stored unpacked", "packed ones"));
        };
        let place = at.saturating_add(self.header_bytes).saturating_add(offset);
        self.seek(stream, place)?;
        stream.read_exact(out).map_err(|e| self.input.read_error(e, place))
    }

    fn error(&self, value_offset: u64, expected: &str, found: &str) -> FormatError {
        let offset = self.header_bytes.saturating_add(value_offset);
        let at = match (&self.entry, &self.packing) {
            (Some(entry), _) => Position::Entry { entry: entry.clone(), offset },
            (None, Packing::Stored { at, .. }) => Position::Offset(at.saturating_add(offset)),
            (None, _) => Position::Offset(offset),
        };
        FormatError::malformed(self.input.name(), at, expected, found)
    }
}

/// Reads the values from first to last, and proves at the last one that there are no more and that their checksum is right.
pub(super) struct PayloadReader {
    payload: Payload,
    reader: Box<dyn Read + Send>,
    crc: Option<(Crc, u32)>,
    left: u64,
}

impl std::fmt::Debug for PayloadReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { payload, left, .. } = self;
        f.debug_struct("PayloadReader").field("payload", payload).field("left", left).finish_non_exhaustive()
    }
}

impl PayloadReader {
    fn skip_header(&mut self) -> Result<()> {
        let mut left = self.payload.header_bytes;
        let mut buffer = [0; 512];
        while left > 0 {
            let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let Some(part) = buffer.get_mut(..count) else { break };
            let read = self.reader.read_exact(part);
            read.map_err(|e| self.payload.input.read_error(e, 0))?;
            if let Some((crc, _)) = &mut self.crc {
                crc.update(part);
            }
            left -= count as u64;
        }
        Ok(())
    }

    /// Fills `out` with the next bytes of the values. The caller does not ask for more than there are.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<()> {
        let offset = self.payload.value_bytes - self.left;
        if out.len() as u64 > self.left {
            return Err(self.payload.error(offset, "no more values", "a request for more"));
        }
        self.reader.read_exact(out).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let expected = format!("{} more bytes of values", self.left);
                self.payload.error(offset, &expected, "the end of the data")
            }
            _ => self.payload.input.read_error(e, offset),
        })?;
        if let Some((crc, _)) = &mut self.crc {
            crc.update(out);
        }
        self.left -= out.len() as u64;
        if self.left == 0 { self.check_end() } else { Ok(()) }
    }

    fn check_end(&mut self) -> Result<()> {
        let end = self.payload.value_bytes;
        let mut extra = [0; 1];
        let more = self.reader.read(&mut extra);
        if more.map_err(|e| self.payload.input.read_error(e, end))? > 0 {
            return Err(self.payload.error(end, "the end of the data", "more bytes"));
        }
        match &self.crc {
            Some((crc, want)) if crc.sum() != *want => {
                let expected = format!("data with the CRC-32 {want:08x}");
                Err(self.payload.error(end, &expected, &format!("{:08x}", crc.sum())))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of the values that were not read yet.
    pub(super) fn left(&self) -> u64 {
        self.left
    }
}

/// A [`ByteReader`](crate::data::input::ByteReader) as a plain reader.
struct Unzipped(crate::data::input::ByteReader);

impl Read for Unzipped {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_up_to(out).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
    }
}
