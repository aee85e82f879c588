//! Rumours: writes that this node learned of lately and still passes on.

use super::record::Version;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// A write of one key that is being passed on.
#[derive(Clone, Debug)]
pub(crate) struct Rumour {
    pub(crate) version: Version,
    /// Members that need not be told: they were, or it came from them.
    informed: BTreeSet<NodeId>,
    /// Members who had it already when they were told.
    repeats: u32,
}

/// Rumours by key, until they have gone round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rumours {
    by_key: BTreeMap<Vec<u8>, Rumour>,
}

impl Rumours {
    /// A new one; `from` needs not be told.
    pub(crate) fn add(&mut self, key: &[u8], version: Version, from: Option<NodeId>) {
        let rumour = Rumour { version, informed: from.into_iter().collect(), repeats: 0 };
        self.by_key.insert(key.into(), rumour);
    }

    /// `peer` has this version, or a newer one, or is just being told.
    pub(crate) fn inform(&mut self, key: &[u8], peer: NodeId) {
        if let Some(rumour) = self.by_key.get_mut(key) {
            rumour.informed.insert(peer);
        }
    }

    /// Somebody had it before being told.
    pub(crate) fn repeat(&mut self, key: &[u8]) {
        if let Some(rumour) = self.by_key.get_mut(key) {
            rumour.repeats += 1;
        }
    }

    /// It is not known whether what was said to `peer` arrived.
    pub(crate) fn doubt(&mut self, peer: NodeId) {
        for rumour in self.by_key.values_mut() {
            rumour.informed.remove(&peer);
        }
    }

    /// What `peer` was not told yet.
    pub(crate) fn for_peer(&self, peer: NodeId) -> impl Iterator<Item = (&Vec<u8>, &Rumour)> {
        self.by_key.iter().filter(move |(_, rumour)| !rumour.informed.contains(&peer))
    }

    /// Drops what every neighbour was told, and what `limit` members had already.
    pub(crate) fn retire(&mut self, neighbours: &[NodeId], limit: u32) {
        let is_fresh =
            |rumour: &Rumour| rumour.repeats < limit && neighbours.iter().any(|n| !rumour.informed.contains(n));
        self.by_key.retain(|_, rumour| is_fresh(rumour));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
