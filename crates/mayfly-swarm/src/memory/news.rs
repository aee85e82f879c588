//! What was learned lately, and who was told.

use super::record::Version;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// A piece of news about a key.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) version: Version,
    told: BTreeSet<NodeId>,
    /// Members who had it already when they were told.
    met: u32,
}

/// News by key, until they are old.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    items: BTreeMap<Vec<u8>, Item>,
}

impl News {
    /// Something new; `from` needs not be told.
    pub(crate) fn add(&mut self, key: &[u8], version: Version, from: Option<NodeId>) {
        let item = Item { version, told: from.into_iter().collect(), met: 0 };
        self.items.insert(key.into(), item);
    }

    /// `peer` has this version, or a newer one.
    pub(crate) fn told(&mut self, key: &[u8], peer: NodeId) {
        if let Some(item) = self.items.get_mut(key) {
            item.told.insert(peer);
        }
    }

    /// `peer` had it before it was told.
    pub(crate) fn met(&mut self, key: &[u8]) {
        if let Some(item) = self.items.get_mut(key) {
            item.met += 1;
        }
    }

    /// It is not known whether what was said to `peer` arrived.
    pub(crate) fn untell(&mut self, peer: NodeId) {
        for item in self.items.values_mut() {
            item.told.remove(&peer);
        }
    }

    /// What `peer` was not told yet.
    pub(crate) fn for_peer(&self, peer: NodeId) -> impl Iterator<Item = (&Vec<u8>, &Item)> {
        self.items.iter().filter(move |(_, item)| !item.told.contains(&peer))
    }

    /// Drops what every neighbour was told, and what met `limit` members who had it.
    pub(crate) fn drop_old(&mut self, neighbours: &[NodeId], limit: u32) {
        self.items.retain(|_, item| item.met < limit && neighbours.iter().any(|n| !item.told.contains(n)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
