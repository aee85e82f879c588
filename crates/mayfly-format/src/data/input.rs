//! Bytes that can be read again from the start, from a file or from memory, packed with gzip or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::error::{FormatError, Position, Result};

/// How much is read from the system at a time, in bytes.
const BUFFER_BYTES: usize = 1 << 17;

/// The two bytes that a gzip stream begins with.
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What Windows writes before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where a data file's bytes come from: a path, or memory with a name for messages.
///
/// Cloning is cheap. Opening it again gives the same bytes from the start; that is how sources rewind.
#[derive(Debug, Clone)]
pub struct Input {
    name: String,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

impl Input {
    /// A file. Nothing is opened yet.
    pub fn from_path(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self { name: path.display().to_string(), content: Content::File(path.to_path_buf()) }
    }

    /// Bytes in memory; `name` stands for the file's name in messages, and its extension counts.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), content: Content::Memory(bytes.into()) }
    }

    /// The name that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path, unless the bytes are in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.content {
            Content::File(path) => Some(path),
            Content::Memory(_) => None,
        }
    }

    /// The extension in lower case, without `.gz`; empty when there is none.
    pub(super) fn extension(&self) -> String {
        let lower = self.name.to_ascii_lowercase();
        let plain = lower.strip_suffix(".gz").unwrap_or(&lower);
        let extension = Path::new(plain).extension().and_then(|e| e.to_str());
        extension.unwrap_or_default().to_owned()
    }

    /// Opens the bytes as they are stored.
    ///
    /// # Errors
    /// [`FormatError::Io`], and [`FormatError::Unsupported`] for what is not a regular file.
    pub(super) fn open(&self) -> Result<Stream> {
        match &self.content {
            Content::Memory(bytes) => Ok(Stream::Memory(Cursor::new(Arc::clone(bytes)))),
            Content::File(path) => open_file(path).map(Stream::File),
        }
    }

    /// Length of the stored bytes.
    pub(super) fn stored_len(&self) -> Result<u64> {
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.len() as u64),
            Content::File(path) => Ok(std::fs::metadata(path).map_err(io_error(path))?.len()),
        }
    }

    /// Opens the bytes for reading from the start, unpacked if they are a gzip stream, without a byte order mark.
    pub(super) fn open_unpacked(&self) -> Result<ByteReader> {
        let mut stored = BufReader::with_capacity(BUFFER_BYTES, self.open()?);
        let packed = stored.fill_buf().map_err(|e| self.read_error(e, 0))?.starts_with(&GZIP_MAGIC);
        let unpacked = if packed {
            Unpacked::Gzip(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(stored)))
        } else {
            Unpacked::Plain(stored)
        };
        let mut reader = ByteReader { input: self.clone(), unpacked, offset: 0 };
        // A buffer that is filled at the start of a file holds at least three bytes, if the file has them. No binary format begins so.
        if reader.fill()?.starts_with(BYTE_ORDER_MARK) {
            reader.consume(BYTE_ORDER_MARK.len());
            reader.offset = 0;
        }
        Ok(reader)
    }

    /// An I/O error of this input. What a decompressor reports is damage to the content, not a failing disk.
    pub(super) fn read_error(&self, error: io::Error, offset: u64) -> FormatError {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match (&self.content, error.kind()) {
            (Content::File(path), kind) if !matches!(kind, InvalidData | InvalidInput | UnexpectedEof) => {
                io_error(path)(error)
            }
            _ => {
                let expected = "an undamaged compressed stream";
                FormatError::malformed(&self.name, Position::Offset(offset), expected, &error.to_string())
            }
        }
    }
}

impl<P: AsRef<Path>> From<P> for Input {
    fn from(path: P) -> Self {
        Self::from_path(path)
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FormatError + '_ {
    move |source| FormatError::Io { path: path.to_path_buf(), source }
}

/// Rewinding is opening again, which a pipe or a device cannot do; a folder opens but does not read.
fn open_file(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(io_error(path))?;
    if file.metadata().map_err(io_error(path))?.is_file() {
        return Ok(file);
    }
    Err(FormatError::Unsupported {
        file: path.display().to_string(),
        what: "what is not a regular file (a folder, a pipe, a device)".into(),
        instead: "data is read more than once: save it to a file first".into(),
    })
}

/// Stored bytes, seekable.
#[derive(Debug)]
pub(super) enum Stream {
    File(File),
    Memory(Cursor<Arc<[u8]>>),
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buf),
            Self::Memory(cursor) => cursor.read(buf),
        }
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(cursor) => cursor.seek(to),
        }
    }
}

#[derive(Debug)]
enum Unpacked {
    Plain(BufReader<Stream>),
    Gzip(BufReader<MultiGzDecoder<BufReader<Stream>>>),
}

/// A buffered reader that knows its offset and names the file in errors.
#[derive(Debug)]
pub(super) struct ByteReader {
    input: Input,
    unpacked: Unpacked,
    offset: u64,
}

impl ByteReader {
    /// The name of the file.
    pub(super) fn name(&self) -> &str {
        &self.input.name
    }

    /// Bytes consumed so far, unpacked.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the stored bytes are a gzip stream.
    pub(super) fn is_gzip(&self) -> bool {
        matches!(self.unpacked, Unpacked::Gzip(_))
    }

    /// The bytes in the buffer, at least one unless the end is reached.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        let filled = match &mut self.unpacked {
            Unpacked::Plain(reader) => reader.fill_buf(),
            Unpacked::Gzip(reader) => reader.fill_buf(),
        };
        filled.map_err(|e| self.input.read_error(e, self.offset))
    }

    /// Marks `count` bytes of the buffer as read.
    pub(super) fn consume(&mut self, count: usize) {
        self.offset = self.offset.saturating_add(count as u64);
        match &mut self.unpacked {
            Unpacked::Plain(reader) => reader.consume(count),
            Unpacked::Gzip(reader) => reader.consume(count),
        }
    }

    /// Fills `out`; at the end of the bytes it stops. Returns how many bytes were there.
    pub(super) fn read_up_to(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                break;
            }
            let count = bytes.len().min(rest.len());
            for (to, from) in rest.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.consume(count);
            filled += count;
        }
        Ok(filled)
    }

    /// Fills `out` whole; an earlier end is an error that says that `what` was expected.
    pub(super) fn read_exact(&mut self, out: &mut [u8], what: &str) -> Result<()> {
        let start = self.offset;
        let got = self.read_up_to(out)?;
        if got == out.len() {
            return Ok(());
        }
        let expected = format!("{} bytes of {what}", out.len());
        Err(FormatError::malformed(
            self.name(),
            Position::Offset(start),
            expected,
            &format!("the end of the file after {got}"),
        ))
    }
}

/// The first `max_bytes` bytes of `input`, unpacked, and whether that is all of it.
pub(super) fn head(input: &Input, max_bytes: usize) -> Result<(Vec<u8>, bool)> {
    let mut reader = input.open_unpacked()?;
    let mut bytes = vec![0; max_bytes];
    let got = reader.read_up_to(&mut bytes)?;
    bytes.truncate(got);
    let whole = got < max_bytes || reader.fill()?.is_empty();
    Ok((bytes, whole))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_gzip_read_alike_and_again() {
        let text = b"some text, longer than nothing".repeat(10_000);
        for stored in [text.clone(), gzip(&text)] {
            let input = Input::from_bytes("x", stored);
            for _ in 0..2 {
                let (bytes, whole) = head(&input, text.len() + 1).unwrap();
                assert!(bytes == text && whole);
            }
            let (bytes, whole) = head(&input, 7).unwrap();
            assert!(bytes == text[..7] && !whole);
        }
    }

    #[test]
    fn a_cut_gzip_stream_is_named_as_such() {
        let mut packed = gzip(&b"0123456789".repeat(1000));
        packed.truncate(packed.len() / 2);
        let error = head(&Input::from_bytes("t.csv.gz", packed), 1 << 16).unwrap_err();
        assert!(error.to_string().starts_with("t.csv.gz, byte "), "{error}");
    }

    #[test]
    fn a_folder_and_an_absent_file_are_errors() {
        let folder = head(&Input::from_path("."), 10).unwrap_err();
        assert!(matches!(folder, FormatError::Unsupported { .. }));
        let absent = head(&Input::from_path("no/such/file"), 10).unwrap_err();
        assert!(matches!(absent, FormatError::Io { .. }));
    }

    #[test]
    fn an_early_end_says_where_and_how_much() {
        let mut reader = Input::from_bytes("x", *b"abc").open_unpacked().unwrap();
        let error = reader.read_exact(&mut [0; 4], "header").unwrap_err();
        assert_eq!(error.to_string(), "x, byte 0: expected 4 bytes of header, found the end of the file after 3");
    }

    #[test]
    fn the_extension_ignores_case_and_gz() {
        assert_eq!(Input::from_path("a/B.CSV.gz").extension(), "csv");
        assert_eq!(Input::from_path("a.b/c").extension(), "");
    }
}
