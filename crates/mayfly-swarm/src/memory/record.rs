//! Records and their versions.

use crate::crdt::{MAX_STAMP_MS, Stamp};
use alloc::vec::Vec;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// A key, its value or the note that it was deleted, and when that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// At least one byte.
    pub key: Vec<u8>,
    /// The higher stamp wins.
    pub stamp: Stamp,
    /// Nothing for a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Which version of a key: enough to know who has the newer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordId {
    /// The key.
    pub key: Vec<u8>,
    /// When and by whom it was written.
    pub stamp: Stamp,
    /// Of the value; breaks the tie when one stamp was used twice.
    pub check: u64,
}

/// The order of versions of one key.
pub(crate) type Version = (Stamp, u64);

/// What a disk has to keep or forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keep this record instead of an older one.
    Put(Record),
    /// Forget a tombstone, if it is still the one of this stamp.
    Forget {
        /// Its key.
        key: Vec<u8>,
        /// Its stamp.
        stamp: Stamp,
    },
}

impl Record {
    pub(crate) fn version(&self) -> Version {
        (self.stamp, check_of(self.value.as_deref()))
    }

    pub(crate) fn id(&self) -> RecordId {
        let (stamp, check) = self.version();
        RecordId { key: self.key.clone(), stamp, check }
    }

    /// Could a member have made this? What could not is dropped, whoever sent it.
    pub(crate) fn is_sound(&self, limits: &super::MemoryLimits) -> bool {
        let value = self.value.as_ref().map_or(0, Vec::len);
        (1..=limits.key_bytes).contains(&self.key.len()) && value <= limits.value_bytes && self.stamp.ms <= MAX_STAMP_MS
    }

    /// About what it takes in a message.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + 48
    }
}

/// First eight bytes of the value's BLAKE3 hash; 0 for a tombstone.
pub(crate) fn check_of(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| first8(&blake3::hash(value)))
}

pub(crate) fn first8(hash: &blake3::Hash) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| hash.as_bytes()[i]))
}

/// A member in eight bytes, for sets of members.
pub(crate) fn short(id: NodeId) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| id.0[i]))
}
