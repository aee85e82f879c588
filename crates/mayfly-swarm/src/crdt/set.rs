//! A set in which an addition wins over a removal that did not know of it.

use super::Crdt;
use alloc::collections::{BTreeMap, BTreeSet};
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// The name of one addition: the node and its count of additions, from 1.
pub type Dot = (NodeId, u64);

/// Which additions were seen: all of a node up to a count, and single ones beyond.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Context {
    all: BTreeMap<NodeId, u64>,
    some: BTreeSet<Dot>,
}

impl Context {
    fn contains(&self, dot: &Dot) -> bool {
        self.all.get(&dot.0).is_some_and(|&upto| dot.1 <= upto) || self.some.contains(dot)
    }

    /// The highest count of a node, seen in order or not.
    fn highest(&self, node: NodeId) -> u64 {
        let some = self.some.range((node, 0)..=(node, u64::MAX)).next_back().map_or(0, |dot| dot.1);
        self.all.get(&node).copied().unwrap_or(0).max(some)
    }

    /// Moves what is in order from `some` to `all`: equal knowledge has one form.
    fn compact(&mut self) {
        let all = &mut self.all;
        self.some.retain(|&(node, count)| {
            let upto = all.get(&node).copied().unwrap_or(0);
            if count > upto && count - upto == 1 {
                all.insert(node, count); // dots come in order, so the next one of the node may follow
            }
            count > all.get(&node).copied().unwrap_or(0)
        });
    }

    fn merge(&mut self, other: &Self) -> bool {
        let before = self.clone();
        for (&node, &upto) in &other.all {
            let ours = self.all.entry(node).or_default();
            *ours = upto.max(*ours);
        }
        self.some.extend(&other.some);
        self.compact();
        *self != before
    }
}

/// An observed-remove set without tombstones (Bieniusa et al. 2012, deltas after Almeida et al. 2018): what was seen and is not there was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrSet<T: Ord> {
    entries: BTreeMap<T, BTreeSet<Dot>>,
    seen: Context,
}

impl<T: Ord> Default for OrSet<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), seen: Context::default() }
    }
}

impl<T: Ord + Clone> OrSet<T> {
    /// Adds an item for `node`, which must be the caller's own name. Returns the delta.
    pub fn add(&mut self, node: NodeId, item: T) -> Self {
        let dot = (node, self.seen.highest(node).saturating_add(1));
        let old = self.entries.get(&item).cloned().unwrap_or_default();
        let mut delta = Self { entries: [(item, [dot].into())].into(), seen: Context::default() };
        delta.seen.some.extend(old);
        delta.seen.some.insert(dot);
        delta.seen.compact();
        self.merge(&delta);
        delta
    }

    /// Removes the additions of an item that were seen here. Returns the delta.
    pub fn remove(&mut self, item: &T) -> Self {
        let mut delta = Self::default();
        delta.seen.some = self.entries.get(item).cloned().unwrap_or_default();
        delta.seen.compact();
        self.merge(&delta);
        delta
    }

    /// Is the item there?
    pub fn contains(&self, item: &T) -> bool {
        self.entries.contains_key(item)
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.keys()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T: Ord + Clone> Crdt for OrSet<T> {
    fn merge(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        let none = BTreeSet::new();
        self.entries.retain(|item, ours| {
            let theirs = other.entries.get(item).unwrap_or(&none);
            let before = ours.len();
            ours.retain(|dot| theirs.contains(dot) || !other.seen.contains(dot));
            is_new |= ours.len() < before;
            !ours.is_empty()
        });
        for (item, theirs) in &other.entries {
            let unseen: BTreeSet<Dot> = theirs.iter().filter(|dot| !self.seen.contains(dot)).copied().collect();
            if !unseen.is_empty() {
                self.entries.entry(item.clone()).or_default().extend(unseen);
                is_new = true;
            }
        }
        self.seen.merge(&other.seen) || is_new
    }
}
