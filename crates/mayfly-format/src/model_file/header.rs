//! The JSON header of a safetensors file.
//!
//! The file format's own crate parses the entries and checks that they tile the data. We read the object around them ourselves because
//! the crate buffers it untyped, at a large multiple of its size, keeps the last of two equal names, and does not always name the tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::tensor::wrong;
use super::{Dtype, MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS};
use crate::error::{FormatError, Position, Result, shorten};

/// Where the header says its length.
const LENGTH_BYTES: usize = 8;
const METADATA_KEY: &str = "__metadata__";

/// One tensor's place in the file.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Byte range in the data part.
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, String>,
    /// In the order of the file.
    pub(super) entries: Vec<Entry>,
}

fn bad_header(file: &str, want: impl Into<String>, got: &str) -> FormatError {
    FormatError::malformed(file, Position::Part("header".into()), want, got)
}

/// Splits a file into its checked header and the data part.
pub(super) fn split<'a>(file: &str, bytes: &'a [u8]) -> Result<(Header, &'a [u8])> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(bad_header(
            file,
            "8 bytes with the length of the header",
            &format!("a file of {} bytes", bytes.len()),
        ));
    };
    let length = u64::from_le_bytes(*length);
    limit(file, "size of the header in bytes", length, MAX_HEADER_BYTES)?;
    let Some((json, data)) = rest.split_at_checked(length as usize) else {
        return Err(bad_header(
            file,
            format!("{length} bytes, as the file says at its start"),
            &format!("{} bytes", rest.len()),
        ));
    };
    let raw: RawHeader =
        serde_json::from_slice(json).map_err(|e| bad_header(file, "a safetensors header in JSON", &e.to_string()))?;
    Ok((raw.check(file, data.len())?, data))
}

/// The header as it stands in the file.
struct RawHeader {
    metadata: BTreeMap<String, String>,
    entries: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a safetensors header, an object of tensor entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<RawHeader, A::Error> {
        let mut header = RawHeader { metadata: BTreeMap::new(), entries: Vec::new() };
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA_KEY {
                header.metadata = map.next_value()?;
            } else if header.entries.len() < MAX_TENSORS {
                header.entries.push((name, map.next_value()?));
            } else {
                return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            }
        }
        Ok(header)
    }
}

impl RawHeader {
    fn check(mut self, file: &str, data_len: usize) -> Result<Header> {
        self.check_names(file)?;
        self.entries
            .sort_by(|(a_name, a), (b_name, b)| a.data_offsets.cmp(&b.data_offsets).then_with(|| a_name.cmp(b_name)));
        let covered =
            Metadata::new(None, self.entries.clone()).map_err(|source| self.explain(file, &source))?.data_len();
        if covered != data_len {
            return Err(bad_header(
                file,
                format!("{covered} bytes of tensor data after the header"),
                &format!("{data_len} bytes"),
            ));
        }
        let entries = self.entries.into_iter().map(|e| entry(file, e)).collect::<Result<_>>()?;
        Ok(Header { metadata: self.metadata, entries })
    }

    fn check_names(&self, file: &str) -> Result<()> {
        let mut seen = BTreeSet::new();
        match self.entries.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(wrong(file, name, "one tensor of that name", "two")),
            None => Ok(()),
        }
    }

    /// The crate's verdict with the tensor's name, which it leaves out when shape and size do not match.
    fn explain(&self, file: &str, source: &safetensors::SafeTensorError) -> FormatError {
        let misfit = self.entries.iter().find(|(_, info)| {
            let (start, end) = info.data_offsets;
            size_bits(info) != end.checked_sub(start).and_then(|bytes| bytes.checked_mul(8))
        });
        match misfit {
            Some((name, info)) => {
                let (start, end) = info.data_offsets;
                wrong(
                    file,
                    name,
                    format!("a byte range that fits {} {:?}", info.dtype, info.shape),
                    &format!("{start} to {end}"),
                )
            }
            None => bad_header(file, "tensors that follow each other without gaps", &source.to_string()),
        }
    }
}

fn size_bits(info: &TensorInfo) -> Option<usize> {
    info.shape.iter().try_fold(info.dtype.bitsize(), |n, &dim| n.checked_mul(dim))
}

fn entry(file: &str, (name, info): (String, TensorInfo)) -> Result<Entry> {
    if info.shape.len() > MAX_RANK {
        return Err(wrong(file, &name, format!("at most {MAX_RANK} dimensions"), &info.shape.len().to_string()));
    }
    let Some(dtype) = Dtype::from_safetensors(info.dtype) else {
        let known: Vec<_> = Dtype::ALL.iter().map(|d| d.name()).collect();
        return Err(FormatError::Unsupported {
            file: file.to_owned(),
            what: format!("tensor \"{}\" of type {}", shorten(&name), info.dtype),
            instead: format!("convert it to one of {}", known.join(", ")),
        });
    };
    let (start, end) = info.data_offsets;
    Ok(Entry { name, dtype, shape: info.shape, start, end })
}

/// Length field and header, padded so that the data part starts at a multiple of 8.
pub(super) fn encode(file: &str, metadata: &BTreeMap<String, String>, entries: &[Entry]) -> Result<Vec<u8>> {
    let mut object = serde_json::Map::new();
    if !metadata.is_empty() {
        object.insert(METADATA_KEY.into(), serde_json::json!(metadata));
    }
    for e in entries {
        object.insert(
            e.name.clone(),
            serde_json::json!({ "dtype": e.dtype.name(), "shape": e.shape, "data_offsets": [e.start, e.end] }),
        );
    }
    let mut json = serde_json::Value::Object(object).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    limit(file, "size of the header in bytes", json.len() as u64, MAX_HEADER_BYTES)?;
    limit(file, "number of tensors", entries.len() as u64, MAX_TENSORS as u64)?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok(bytes)
}

fn limit(file: &str, what: &str, got: u64, limit: u64) -> Result<()> {
    if got <= limit {
        return Ok(());
    }
    Err(FormatError::TooLarge { file: file.to_owned(), what: what.into(), got, limit })
}
