//! What members ask and answer each other about the memory. None is longer than [`MOST_BYTES`], however much the sender has.

use super::context::Context;
use super::record::Id;
use super::tree::FAN;
use super::{Record, RecordId};
use crate::{Result, SwarmError};
use alloc::string::ToString;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// No message is longer: what fits into a payload of the wire.
pub const MOST_BYTES: usize = 4 << 20;

/// A request about the memory, or its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Rumours, wishes, and where the sender stands. Answered by another.
    Exchange(Exchange),
    /// The hashes of the 16 branches, and a digest of the context. Answered by `Branches`.
    Tree {
        /// The hashes.
        branches: [u128; FAN],
        /// The digest.
        context: u64,
    },
    /// The hashes of the buckets of the branches that differ.
    Branches {
        /// Branch and hashes.
        differ: Vec<(u8, [u128; FAN])>,
        /// What the sender has seen, if the digests differ.
        context: Option<Context>,
    },
    /// Everything there is in some buckets between two places. Answered by `Compared`.
    Page(Page),
    /// What the comparison of a page came to.
    Compared(Compared),
    /// Records that were wanted, and names of records that were deleted. Answered by another, with names alone.
    Give {
        /// The records.
        records: Vec<Record>,
        /// The names.
        gone: Vec<Id>,
    },
}

/// See the design page: push, have, want, known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub(crate) root: u128,
    /// A digest of the sender's context.
    pub(crate) context: u64,
    pub(crate) push: Vec<Record>,
    pub(crate) have: Vec<RecordId>,
    pub(crate) want: Vec<Vec<u8>>,
    /// In an answer: which of the asker's `push`, then `have`, were known here before.
    pub(crate) known: Vec<u32>,
    /// What the other side told of and was deleted here.
    pub(crate) gone: Vec<Id>,
}

/// See [`crate::pages`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    pub(crate) buckets: Vec<u8>,
    pub(crate) from: u64,
    pub(crate) upto: u64,
    pub(crate) have: Vec<Id>,
}

/// The answer to a [`Page`]; complete up to a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    pub(crate) upto: u64,
    pub(crate) give: Vec<Record>,
    /// Places of records that the sender wants.
    pub(crate) want: Vec<u64>,
    /// What the asker has and was deleted here.
    pub(crate) gone: Vec<Id>,
}

impl Exchange {
    /// Nothing new in it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.push.is_empty() && self.have.is_empty() && self.want.is_empty() && self.gone.is_empty()
    }
}

impl Message {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default() // lists of known length into a Vec: there is no way to fail
    }

    /// From bytes. Memory is taken as elements are read, not as lengths say.
    ///
    /// # Errors
    /// [`SwarmError::Message`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(SwarmError::Message { reason: alloc::format!("{} bytes follow its end", rest.len()) }),
            Err(e) => Err(SwarmError::Message { reason: e.to_string() }),
        }
    }
}
