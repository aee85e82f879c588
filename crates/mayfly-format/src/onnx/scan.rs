//! A walk over the bytes of a model before they are decoded.
//!
//! A decoder makes a struct of hundreds of bytes out of an empty message of two, so a small file could claim a lot of memory. The walk
//! adds up what decoding will take, and finds the byte at which a damaged file goes wrong.

use super::proto;
use super::{MAX_DEPTH, MAX_ITEMS};
use crate::error::{FormatError, Position, Result};

/// Decoding may take this many times the size of the file: ordinary files of nothing but small nodes come to about 14.
const MEMORY_FACTOR: usize = 24;
/// And this much in any case.
const MEMORY_FLOOR_BYTES: usize = 1 << 20;

/// What a length-delimited field holds.
#[derive(Clone, Copy)]
enum Content {
    Message(&'static Message),
    /// A string or bytes, one of many.
    Repeated,
    /// Packed varints: one byte may become eight.
    Varints,
    /// A feature that changes the meaning of the model, so it must not be skipped.
    Refused(&'static str),
}

/// A message type: the fields that matter to the walk.
struct Message {
    name: &'static str,
    size_bytes: usize,
    fields: &'static [(u64, Content)],
}

use Content::{Message as Sub, Refused, Repeated, Varints};

static MODEL: Message = Message {
    name: "ModelProto",
    size_bytes: size_of::<proto::ModelProto>(),
    fields: &[
        (7, Sub(&GRAPH)),
        (8, Sub(&OPERATOR_SET)),
        (14, Sub(&ENTRY)),
        (25, Refused("a model with functions of its own")),
    ],
};
static GRAPH: Message = Message {
    name: "GraphProto",
    size_bytes: size_of::<proto::GraphProto>(),
    fields: &[
        (1, Sub(&NODE)),
        (5, Sub(&TENSOR)),
        (11, Sub(&VALUE_INFO)),
        (12, Sub(&VALUE_INFO)),
        (13, Sub(&VALUE_INFO)),
        (15, Refused("a model with sparse weights")),
    ],
};
static NODE: Message = Message {
    name: "NodeProto",
    size_bytes: size_of::<proto::NodeProto>(),
    fields: &[(1, Repeated), (2, Repeated), (5, Sub(&ATTRIBUTE))],
};
static ATTRIBUTE: Message = Message {
    name: "AttributeProto",
    size_bytes: size_of::<proto::AttributeProto>(),
    fields: &[(5, Sub(&TENSOR)), (6, Sub(&GRAPH)), (8, Varints), (9, Repeated)],
};
static TENSOR: Message = Message {
    name: "TensorProto",
    size_bytes: size_of::<proto::TensorProto>(),
    fields: &[(1, Varints), (5, Varints), (6, Repeated), (7, Varints), (11, Varints), (13, Sub(&ENTRY))],
};
static VALUE_INFO: Message =
    Message { name: "ValueInfoProto", size_bytes: size_of::<proto::ValueInfoProto>(), fields: &[(2, Sub(&TYPE))] };
static TYPE: Message =
    Message { name: "TypeProto", size_bytes: size_of::<proto::TypeProto>(), fields: &[(1, Sub(&TENSOR_TYPE))] };
static TENSOR_TYPE: Message =
    Message { name: "TypeProto.Tensor", size_bytes: size_of::<proto::TensorTypeProto>(), fields: &[(2, Sub(&SHAPE))] };
static SHAPE: Message = Message {
    name: "TensorShapeProto",
    size_bytes: size_of::<proto::TensorShapeProto>(),
    fields: &[(1, Sub(&DIMENSION))],
};
static DIMENSION: Message =
    Message { name: "TensorShapeProto.Dimension", size_bytes: size_of::<proto::DimensionProto>(), fields: &[] };
static OPERATOR_SET: Message =
    Message { name: "OperatorSetIdProto", size_bytes: size_of::<proto::OperatorSetId>(), fields: &[] };
static ENTRY: Message =
    Message { name: "StringStringEntryProto", size_bytes: size_of::<proto::StringStringEntry>(), fields: &[] };

/// Checks that `bytes` are a model in protobuf that can be decoded in reasonable memory.
pub(super) fn scan(file: &str, bytes: &[u8]) -> Result<()> {
    let limit = bytes.len().saturating_mul(MEMORY_FACTOR).saturating_add(MEMORY_FLOOR_BYTES);
    let mut walk = Walk { file, bytes, at: 0, items: 0, memory: 0, memory_limit: limit };
    walk.message(&MODEL, bytes.len(), 0)
}

struct Walk<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    items: usize,
    memory: usize,
    memory_limit: usize,
}

impl Walk<'_> {
    /// Walks over the message that ends at `end`.
    fn message(&mut self, message: &'static Message, end: usize, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(self.too_large("depth of nested messages", depth, MAX_DEPTH));
        }
        self.claim(1, message.size_bytes)?;
        while self.at < end {
            self.field(message, end, depth)?;
        }
        Ok(())
    }

    fn field(&mut self, message: &'static Message, end: usize, depth: usize) -> Result<()> {
        let start = self.at;
        let key = self.varint(message, end)?;
        let (tag, wire_type) = (key >> 3, key & 7);
        match wire_type {
            0 => self.varint(message, end).map(|_| self.claim(0, size_of::<u64>()))?,
            1 => self.skip(message, end, 8),
            2 => {
                let content_end = self.delimited(message, end)?;
                self.content(message, tag, content_end, depth)
            }
            5 => self.skip(message, end, 4),
            _ => Err(self.malformed(start, message, "a field of wire type 0, 1, 2 or 5", &format!("{wire_type}"))),
        }
    }

    fn content(&mut self, message: &'static Message, tag: u64, end: usize, depth: usize) -> Result<()> {
        let content = message.fields.iter().find(|(t, _)| *t == tag).map(|(_, content)| *content);
        match content {
            Some(Sub(inner)) => return self.message(inner, end, depth + 1),
            Some(Refused(what)) => return Err(self.unsupported(what)),
            Some(Repeated) => self.claim(1, size_of::<String>())?,
            Some(Varints) => self.claim(0, (end - self.at).saturating_mul(size_of::<u64>()))?,
            None => self.claim(0, end - self.at)?,
        }
        self.at = end;
        Ok(())
    }

    /// Adds to what decoding will take.
    fn claim(&mut self, items: usize, bytes: usize) -> Result<()> {
        self.items += items;
        self.memory = self.memory.saturating_add(bytes);
        if self.items > MAX_ITEMS {
            return Err(self.too_large("number of messages and strings", self.items, MAX_ITEMS));
        }
        if self.memory > self.memory_limit {
            return Err(self.too_large("memory in bytes to decode the messages", self.memory, self.memory_limit));
        }
        Ok(())
    }

    fn varint(&mut self, message: &'static Message, end: usize) -> Result<u64> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at).filter(|_| self.at < end) else {
                return Err(self.malformed(start, message, "a number", "the end of the message"));
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed(start, message, "a number of at most 10 bytes", "a longer one"))
    }

    /// The end of a length-delimited field, which must be within the message.
    fn delimited(&mut self, message: &'static Message, end: usize) -> Result<usize> {
        let start = self.at;
        let length = self.varint(message, end)?;
        let left = end - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(self.at + length),
            _ => Err(self.malformed(
                start,
                message,
                format!("at most {left} bytes, the rest of the message"),
                &length.to_string(),
            )),
        }
    }

    fn skip(&mut self, message: &'static Message, end: usize, count: usize) -> Result<()> {
        if end - self.at < count {
            return Err(self.malformed(self.at, message, format!("{count} bytes"), "the end of the message"));
        }
        self.at += count;
        self.claim(0, count)
    }

    fn malformed(&self, at: usize, message: &'static Message, want: impl AsRef<str>, got: &str) -> FormatError {
        let want = format!("{} in {}", want.as_ref(), message.name);
        FormatError::malformed(self.file, Position::Offset(at as u64), want, got)
    }

    fn too_large(&self, what: &str, got: usize, limit: usize) -> FormatError {
        FormatError::TooLarge {
            file: self.file.to_owned(),
            what: what.to_owned(),
            got: got as u64,
            limit: limit as u64,
        }
    }

    fn unsupported(&self, what: &str) -> FormatError {
        let instead = "export it again with these turned into plain nodes and dense tensors".to_owned();
        FormatError::Unsupported { file: self.file.to_owned(), what: what.to_owned(), instead }
    }
}
