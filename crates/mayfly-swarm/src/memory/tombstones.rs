//! Tombstones go when everyone has seen them.

use super::message::Seen;
use super::record::{first8, short};
use super::{Change, Replica};
use crate::crdt::Stamp;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// How long it is remembered that a tombstone was collected, so that a neighbour who is behind does not bring it back.
const MEMO_MS: u64 = 10 * 60 * 1000;
/// Tombstones spoken of in one exchange.
const AT_ONCE: usize = 32;

/// Who has seen which tombstone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tombstones {
    seen: BTreeMap<u64, BTreeSet<u64>>,
    collected: BTreeMap<u64, u64>,
    turn: u64,
}

/// A tombstone's name.
pub(crate) fn tomb_id(key: &[u8], stamp: Stamp) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key).update(&stamp.ms.to_le_bytes()).update(&stamp.count.to_le_bytes()).update(&stamp.node.0);
    first8(&hasher.finalize())
}

impl Tombstones {
    /// Was this one collected lately?
    pub(crate) fn was_collected(&self, key: &[u8], stamp: Stamp) -> bool {
        !self.collected.is_empty() && self.collected.contains_key(&tomb_id(key, stamp))
    }

    /// Some of what is known, others each time.
    pub(crate) fn speak(&mut self) -> Vec<Seen> {
        let after = self.seen.range(self.turn..).chain(self.seen.range(..self.turn));
        let said: Vec<Seen> =
            after.take(AT_ONCE).map(|(&id, by)| Seen { id, by: by.iter().copied().collect() }).collect();
        self.turn = said.last().map_or(0, |last| last.id.wrapping_add(1));
        said
    }

    /// Takes in what another member says, and answers about what was collected here.
    pub(crate) fn hear(&mut self, said: &[Seen], members: &[NodeId]) -> Vec<Seen> {
        let mut answer = Vec::new();
        for Seen { id, by } in said.iter().take(AT_ONCE) {
            if let Some(seen) = self.seen.get_mut(id) {
                seen.extend(by.iter().take(1 << 16));
            } else if self.collected.contains_key(id) {
                let by = by.iter().copied().chain(members.iter().map(|&m| short(m)));
                answer.push(Seen { id: *id, by: by.collect::<BTreeSet<u64>>().into_iter().collect() });
            }
        }
        answer
    }

    /// Notes the tombstones that are here, and collects those that every one of `members` (this node among them) has.
    pub(crate) fn collect(
        &mut self,
        replica: &mut Replica,
        here: NodeId,
        members: &[NodeId],
        now_ms: u64,
    ) -> Vec<Change> {
        let needed: BTreeSet<u64> = members.iter().map(|&m| short(m)).collect();
        let mut before = core::mem::take(&mut self.seen);
        let mut changes = Vec::new();
        for (key, stamp) in replica.tombstones() {
            let id = tomb_id(&key, stamp);
            let mut by = before.remove(&id).unwrap_or_default();
            by.insert(short(here));
            if by.is_superset(&needed) && replica.forget(&key, stamp) {
                self.collected.insert(id, now_ms + MEMO_MS);
                changes.push(Change::Forget { key, stamp });
            } else {
                self.seen.insert(id, by);
            }
        }
        self.collected.retain(|_, &mut until| until > now_ms);
        changes
    }
}
