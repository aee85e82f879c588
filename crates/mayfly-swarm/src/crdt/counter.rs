//! Counters: every node counts for itself, the value is the sum.

use super::Crdt;
use alloc::collections::BTreeMap;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// A counter that only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GCounter {
    counts: BTreeMap<NodeId, u64>,
}

impl GCounter {
    /// Counts `n` more for `node`, which must be the caller's own name. Stops at `u64::MAX` per node. Returns the delta.
    pub fn add(&mut self, node: NodeId, n: u64) -> Self {
        let count = self.counts.entry(node).or_default();
        *count = count.saturating_add(n);
        Self { counts: [(node, *count)].into() }
    }

    /// The sum over all nodes.
    pub fn value(&self) -> u128 {
        self.counts.values().map(|&n| u128::from(n)).sum()
    }
}

impl Crdt for GCounter {
    fn merge(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        for (&node, &theirs) in &other.counts {
            let ours = self.counts.entry(node).or_insert_with(|| {
                is_new = true; // a node that counted nothing is news, too
                0
            });
            is_new |= theirs > *ours;
            *ours = theirs.max(*ours);
        }
        is_new
    }
}

/// A counter that goes up and down: two that grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnCounter {
    up: GCounter,
    down: GCounter,
}

impl PnCounter {
    /// Adds `n`, which may be negative, for `node`. Returns the delta.
    pub fn add(&mut self, node: NodeId, n: i64) -> Self {
        let mut delta = Self::default();
        if n < 0 {
            delta.down = self.down.add(node, n.unsigned_abs());
        } else {
            delta.up = self.up.add(node, n.unsigned_abs());
        }
        delta
    }

    /// What was added, less what was taken.
    pub fn value(&self) -> i128 {
        self.up.value() as i128 - self.down.value() as i128 // at most 2⁶⁴ nodes of 2⁶⁴: i128 holds any that fit into memory
    }
}

impl Crdt for PnCounter {
    fn merge(&mut self, other: &Self) -> bool {
        let up = self.up.merge(&other.up);
        self.down.merge(&other.down) || up
    }
}
