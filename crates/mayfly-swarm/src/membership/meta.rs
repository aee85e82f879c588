//! What members say of themselves, spread along with SWIM's packets.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use foca::{BroadcastHandler, Invalidates};
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A member's part in a topology that has parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Role {
    /// One of many.
    #[default]
    Member,
    /// The middle of a star, or the head of a cluster.
    Head,
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// What it can do, in words that the swarm's users agree on; 256 bytes in all are spread.
    pub capabilities: Vec<String>,
    /// How busy it is, 0 to 1,000.
    pub load_permille: u16,
    /// Its part in the topology.
    pub role: Role,
    /// It is about to leave, and will not be waited for.
    pub is_leaving: bool,
}

/// Longest item that is taken.
const ITEM_BYTES: usize = 512;
const CAPABILITY_BYTES: usize = 256;

impl Metadata {
    /// As much of the capabilities as may be spread.
    fn cut(mut self) -> Self {
        let mut left = CAPABILITY_BYTES;
        self.capabilities.retain(|word| {
            let fits = word.len() < left;
            left = if fits { left - word.len() - 1 } else { 0 };
            fits
        });
        self
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) node: NodeId,
    /// Rises with every change.
    pub(crate) version: u64,
    pub(crate) metadata: Metadata,
}

impl Item {
    pub(crate) fn encode(node: NodeId, version: u64, metadata: Metadata) -> Vec<u8> {
        let item = Self { node, version, metadata: metadata.cut() };
        postcard::to_stdvec(&item).unwrap_or_default() // lists of known length into a Vec: there is no way to fail
    }
}

/// The latest of every member, shared between SWIM, which fills it, and those who read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<NodeId, (u64, Metadata)>>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, (u64, Metadata)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, node: NodeId) -> Metadata {
        self.lock().get(&node).map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(crate) fn forget(&self, node: NodeId) {
        self.lock().remove(&node);
    }
}

/// A newer item of the same node makes an older one not worth spreading.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    node: NodeId,
    version: u64,
}

impl Invalidates for Key {
    fn invalidates(&self, other: &Self) -> bool {
        self.node == other.node && self.version >= other.version
    }
}

/// An item that is none.
#[derive(Debug, thiserror::Error)]
#[error("a metadata item of {len} bytes cannot be read")]
pub(crate) struct BadItem {
    len: usize,
}

impl<T> BroadcastHandler<T> for Board {
    type Key = Key;
    type Error = BadItem;

    fn receive_item(&mut self, data: &[u8], _: Option<&T>) -> Result<Option<Key>, BadItem> {
        let read = if data.len() <= ITEM_BYTES { postcard::from_bytes::<Item>(data).ok() } else { None };
        let Item { node, version, metadata } = read.ok_or(BadItem { len: data.len() })?;
        let mut board = self.lock();
        if board.get(&node).is_some_and(|&(known, _)| known >= version) {
            return Ok(None);
        }
        board.insert(node, (version, metadata));
        Ok(Some(Key { node, version }))
    }
}
