//! Who takes part, and who is a majority.

use super::share::shares;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// From so many members on, nobody counts more than a share.
const SHARED_FROM: usize = 3;

/// A member, as all know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Its rows.
    pub rows: u64,
    /// The first round whose update from it has not counted yet.
    pub next: u64,
}

/// The members of a run. It changes with a decided round and at no other time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    seats: BTreeMap<NodeId, Seat>,
    /// Who has left, and with which round: a wish to join that is older does not count any more.
    left: BTreeMap<NodeId, u64>,
}

impl FromIterator<(NodeId, u64)> for Roster {
    fn from_iter<T: IntoIterator<Item = (NodeId, u64)>>(members: T) -> Self {
        let seats = members.into_iter().map(|(node, rows)| (node, Seat { rows, next: 0 })).collect();
        Self { seats, left: BTreeMap::new() }
    }
}

impl Roster {
    /// The members, in the order of their ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.seats.keys().copied()
    }

    /// Somebody's seat.
    pub fn seat(&self, node: NodeId) -> Option<Seat> {
        self.seats.get(&node).copied()
    }

    /// Is somebody on it?
    pub fn has(&self, node: NodeId) -> bool {
        self.seats.contains_key(&node)
    }

    /// Takes somebody in, or changes a seat.
    pub fn set(&mut self, node: NodeId, seat: Seat) {
        self.seats.insert(node, seat);
        self.left.remove(&node);
    }

    /// Takes somebody out who wants to go, with a round.
    pub fn leave(&mut self, node: NodeId, round: u64) {
        self.remove(node);
        self.left.insert(node, round);
    }

    /// Has somebody left, and not come again?
    pub fn has_left(&self, node: NodeId) -> bool {
        self.left.contains_key(&node)
    }

    /// May somebody be taken in who asked for it after so many rounds?
    pub fn may_join(&self, node: NodeId, rounds: u64) -> bool {
        !self.has(node) && self.left.get(&node).is_none_or(|left| rounds > *left)
    }

    /// Takes somebody out.
    pub fn remove(&mut self, node: NodeId) {
        self.seats.remove(&node);
    }

    /// Do these count for more than half of all?
    pub fn is_majority(&self, most: f64, nodes: impl Iterator<Item = NodeId>) -> bool {
        self.share(most, nodes) > 0.5 + 1e-9
    }

    /// What these count for, of 1.
    pub fn share(&self, most: f64, nodes: impl Iterator<Item = NodeId>) -> f64 {
        let weights: Vec<f64> = self.seats.values().map(|seat| seat.rows as f64).collect();
        let shares = shares(&weights, bound(most, weights.len()));
        let mut by_node: BTreeMap<NodeId, f64> = self.members().zip(shares).collect();
        nodes.filter_map(|node| by_node.remove(&node)).sum()
    }
}

/// The largest share among so many.
pub(super) fn bound(most: f64, count: usize) -> f64 {
    if count < SHARED_FROM { 1.0 } else { most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half_of_the_weight() {
        let node = |i: u8| NodeId([i; 32]);
        let roster: Roster = [(node(1), 100), (node(2), 1), (node(3), 1)].into_iter().collect();
        let is_majority = |nodes: &[u8]| roster.is_majority(0.5, nodes.iter().map(|i| node(*i)));
        assert!(!is_majority(&[1]), "half is not more than half");
        assert!(!is_majority(&[2, 3]) && is_majority(&[1, 2]) && is_majority(&[1, 2, 3]));
        assert!(!is_majority(&[1, 1, 9]), "nobody counts twice, and strangers not at all");
        let two: Roster = [(node(1), 100), (node(2), 1)].into_iter().collect();
        assert!(two.is_majority(0.5, [node(1)].into_iter()) && !two.is_majority(0.5, [node(2)].into_iter()));
    }
}
