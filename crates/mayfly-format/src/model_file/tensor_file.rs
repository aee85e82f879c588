//! Plain safetensors files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use super::header::{self, Entry};
use super::tensor::wrong;
use super::{NanPolicy, ReadOptions, Tensor, TensorData};
use crate::atomic;
use crate::error::Result;
use crate::whole_file::{file_name, read_whole};

/// A safetensors file: tensors and a map of strings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorFile {
    /// The `__metadata__` of the header.
    pub metadata: BTreeMap<String, String>,
    /// All tensors. Reading gives them in the order of the file.
    pub tensors: Vec<Tensor>,
}

impl TensorFile {
    /// Reads a safetensors file, whoever made it.
    ///
    /// # Errors
    /// I/O errors, and what [`TensorFile::parse`] refuses.
    pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_whole(path, options.max_file_bytes)?;
        Self::parse(&file_name(path), &bytes, options)
    }

    /// Reads the bytes of a safetensors file; `file` is its name for messages.
    ///
    /// # Errors
    /// [`FormatError::Malformed`](crate::FormatError::Malformed) for a damaged file, [`TooLarge`](crate::FormatError::TooLarge) beyond the limits,
    /// [`Unsupported`](crate::FormatError::Unsupported) for an element type that is not in [`super::Dtype`], [`NanWeight`](crate::FormatError::NanWeight).
    pub fn parse(file: &str, bytes: &[u8], options: &ReadOptions) -> Result<Self> {
        let content = Self::parse_with_nan(file, bytes)?;
        content.check_nan(file, options.nan)?;
        Ok(content)
    }

    /// Everything but the check for NaN, which must not hide a wrong hash.
    pub(super) fn parse_with_nan(file: &str, bytes: &[u8]) -> Result<Self> {
        let (header, data) = header::split(file, bytes)?;
        let tensors = header.entries.into_iter().map(|e| tensor(e, data)).collect();
        Ok(Self { metadata: header.metadata, tensors })
    }

    pub(super) fn check_nan(&self, file: &str, nan: NanPolicy) -> Result<()> {
        self.tensors.iter().try_for_each(|t| t.check_nan(file, nan))
    }

    /// The bytes of the file. They depend on the content and the order of the tensors only.
    ///
    /// # Errors
    /// [`FormatError::Malformed`](crate::FormatError::Malformed) for a tensor whose shape and length differ, of too many dimensions, or of a name used twice;
    /// [`TooLarge`](crate::FormatError::TooLarge) beyond the limits; [`NanWeight`](crate::FormatError::NanWeight).
    pub fn to_bytes(&self, nan: NanPolicy) -> Result<Vec<u8>> {
        Ok(Layout::new("safetensors", &self.metadata, &self.tensors, nan)?.to_bytes())
    }

    /// Writes the file, replacing an existing one atomically, see [`crate::atomic`].
    ///
    /// # Errors
    /// I/O errors and what [`TensorFile::to_bytes`] refuses.
    pub fn write(&self, path: impl AsRef<Path>, nan: NanPolicy) -> Result<()> {
        let path = path.as_ref();
        let layout = Layout::new(&file_name(path), &self.metadata, &self.tensors, nan)?;
        atomic::write(path, |out| layout.write(out))
    }
}

fn tensor(entry: Entry, data: &[u8]) -> Tensor {
    let bytes = data.get(entry.start..entry.end).unwrap_or_default(); // in range: the header was checked against the data
    Tensor { data: TensorData::from_le_bytes(entry.dtype, bytes), name: entry.name, shape: entry.shape }
}

/// A file about to be written.
pub(super) struct Layout<'a> {
    header: Vec<u8>,
    /// Larger elements first, so that every tensor is aligned; otherwise as given.
    tensors: Vec<&'a Tensor>,
}

impl<'a> Layout<'a> {
    /// Checks the tensors and gives each its place; `file` is the name for messages.
    pub(super) fn new(
        file: &str,
        metadata: &BTreeMap<String, String>,
        tensors: &'a [Tensor],
        nan: NanPolicy,
    ) -> Result<Self> {
        let mut names = BTreeSet::from(["__metadata__"]);
        for tensor in tensors {
            tensor.check(file, nan)?;
            if !names.insert(&tensor.name) {
                return Err(wrong(file, &tensor.name, "a name that is used once", "a second use"));
            }
        }
        let mut tensors: Vec<&Tensor> = tensors.iter().collect();
        tensors.sort_by_key(|t| std::cmp::Reverse(t.data.dtype().size_bytes()));
        let header = header::encode(file, metadata, &places(&tensors))?;
        Ok(Self { header, tensors })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let data: usize = self.tensors.iter().map(|t| byte_len(t)).sum();
        let mut bytes = Vec::with_capacity(self.header.len() + data);
        // Writing to a Vec cannot fail, so there is no error to name.
        let _ = self.write(&mut bytes);
        bytes
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|t| t.data.le_bytes(&mut |bytes| out.write_all(bytes)))
    }
}

/// The elements are in memory, so their bytes fit a usize.
fn byte_len(tensor: &Tensor) -> usize {
    tensor.data.len() * tensor.data.dtype().size_bytes()
}

fn places(tensors: &[&Tensor]) -> Vec<Entry> {
    let mut end = 0;
    let mut place = |t: &&Tensor| {
        let start = end;
        end += byte_len(t);
        Entry { name: t.name.clone(), dtype: t.data.dtype(), shape: t.shape.clone(), start, end }
    };
    tensors.iter().map(&mut place).collect()
}
