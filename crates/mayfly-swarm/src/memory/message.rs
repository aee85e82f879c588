//! What members ask and answer each other about the memory.

use super::tree::FAN;
use super::{Record, RecordId};
use crate::{Result, SwarmError};
use alloc::string::ToString;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A request about the memory, or its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// News, wishes, and where the sender stands.
    Exchange(Exchange),
    /// The hashes of the 16 branches.
    Tree([u128; FAN]),
    /// The hashes of the buckets of the branches that differ.
    Branches(Vec<(u8, [u128; FAN])>),
    /// Everything there is in these buckets.
    Leaves {
        /// The buckets.
        buckets: Vec<u8>,
        /// Their records.
        have: Vec<RecordId>,
    },
}

/// See the design page: push, have, want, seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub(crate) root: u128,
    pub(crate) push: Vec<Record>,
    pub(crate) have: Vec<RecordId>,
    pub(crate) want: Vec<Vec<u8>>,
    pub(crate) seen: Vec<Seen>,
    /// In an answer: which of the asker's `push`, then `have`, were known here before.
    pub(crate) known: Vec<u32>,
}

/// Who is known to have a tombstone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) by: Vec<u64>,
}

impl Exchange {
    /// Nothing new in it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.push.is_empty() && self.have.is_empty() && self.want.is_empty()
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
