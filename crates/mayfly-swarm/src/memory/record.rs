//! Records and their versions.

use super::context::Context;
use super::replica::MemoryLimits;
use crate::crdt::{MAX_STAMP_MS, Stamp};
use alloc::boxed::Box;
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

/// The same in at most 45 bytes, however long the key is. Names of one place lie in the order of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    /// The start of the key's hash: records are compared in this order.
    pub(crate) place: u64,
    pub(crate) ms: u64,
    count: u32,
    node: u64,
    check: u64,
}

impl Id {
    /// What one takes in a message at most.
    pub(crate) const BYTES: usize = 45;

    pub(crate) fn new(place: u64, (stamp, check): Version) -> Self {
        Self { place, ms: stamp.ms, count: stamp.count, node: short(stamp.node), check }
    }

    /// Is the write that made it among those seen?
    pub(crate) fn is_in(&self, context: &Context) -> bool {
        context.covers_dot(self.node, (self.ms, self.count))
    }

    /// Are both of one write?
    pub(crate) fn has_stamp_of(&self, other: &Self) -> bool {
        (self.ms, self.count, self.node) == (other.ms, other.count, other.node)
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.check == 0
    }

    /// Would it be refused wherever it came?
    pub(crate) fn is_sound(&self) -> bool {
        is_sound_moment(self.ms, self.count)
    }
}

/// The order of versions of one key.
pub(crate) type Version = (Stamp, u64);

/// What a disk has to keep or forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keep this record instead of an older one.
    Put(Record),
    /// Forget a record, if it is still the one of this stamp.
    Forget {
        /// Its key.
        key: Vec<u8>,
        /// Its stamp.
        stamp: Stamp,
    },
    /// What the memory has seen, once everything before this is kept, and not sooner.
    Seen(Box<Context>),
}

impl Record {
    pub(crate) fn version(&self) -> Version {
        (self.stamp, check_of(self.value.as_deref()))
    }

    pub(crate) fn id(&self) -> RecordId {
        let (stamp, check) = self.version();
        RecordId { key: self.key.clone(), stamp, check }
    }

    pub(crate) fn name(&self) -> Id {
        Id::new(place_of(&self.key), self.version())
    }

    /// Could a member have made this? What could not is dropped, whoever sent it.
    pub(crate) fn is_sound(&self) -> bool {
        let value = self.value.as_ref().map_or(0, Vec::len);
        (1..=MemoryLimits::MOST.key_bytes).contains(&self.key.len())
            && value <= MemoryLimits::MOST.value_bytes
            && is_sound_moment(self.stamp.ms, self.stamp.count)
    }

    /// What it takes in a message at most.
    pub(crate) fn bytes(&self) -> usize {
        record_bytes(self.key.len() + self.value.as_ref().map_or(0, Vec::len))
    }
}

/// What a record whose key and value have so many bytes takes in a message at most: stamp, lengths and a flag.
pub(crate) fn record_bytes(content: usize) -> usize {
    content + 64
}

impl RecordId {
    /// What it takes in a message at most.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + 72
    }

    pub(crate) fn version(&self) -> Version {
        (self.stamp, self.check)
    }

    pub(crate) fn name(&self) -> Id {
        Id::new(place_of(&self.key), self.version())
    }
}

/// The very last stamp is nobody's: there is a later one for whoever has to write over what was taken.
fn is_sound_moment(ms: u64, count: u32) -> bool {
    (ms, count) < (MAX_STAMP_MS, u32::MAX)
}

/// First eight bytes of the value's BLAKE3 hash; 0 for a tombstone.
pub(crate) fn check_of(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| first8(&blake3::hash(value)))
}

pub(crate) fn first8(hash: &blake3::Hash) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| hash.as_bytes()[i]))
}

/// Where a key lies among all keys: the highest byte is its bucket in the tree.
pub(crate) fn place_of(key: &[u8]) -> u64 {
    let hash = blake3::hash(key);
    u64::from_be_bytes(core::array::from_fn(|i| hash.as_bytes()[i]))
}

/// A member in eight bytes, in the order of names.
pub(crate) fn short(id: NodeId) -> u64 {
    u64::from_be_bytes(core::array::from_fn(|i| id.0[i]))
}
