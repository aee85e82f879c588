//! Many registers by key.

use super::{Crdt, LwwRegister, Stamp};
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// A map whose entries are [`LwwRegister`]s. A removal is a write of nothing and stays, as it must win over what it removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LwwMap<K: Ord, V> {
    entries: BTreeMap<K, LwwRegister<Option<V>>>,
}

impl<K: Ord, V> Default for LwwMap<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Ord + Clone> LwwMap<K, V> {
    /// Writes a value. Returns the delta.
    pub fn set(&mut self, key: K, value: V, stamp: Stamp) -> Self {
        self.write(key, Some(value), stamp)
    }

    /// Removes a value, also one that comes later with a lower stamp. Returns the delta.
    pub fn remove(&mut self, key: K, stamp: Stamp) -> Self {
        self.write(key, None, stamp)
    }

    fn write(&mut self, key: K, value: Option<V>, stamp: Stamp) -> Self {
        let delta = Self { entries: [(key, LwwRegister::new(value, stamp))].into() };
        self.merge(&delta);
        delta
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)?.get().as_ref()
    }

    /// Keys and values in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().filter_map(|(key, register)| Some((key, register.get().as_ref()?)))
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Crdt for LwwMap<K, V> {
    fn merge(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        for (key, theirs) in &other.entries {
            is_new |= match self.entries.get_mut(key) {
                Some(ours) => ours.merge(theirs),
                None => self.entries.insert(key.clone(), theirs.clone()).is_none(),
            };
        }
        is_new
    }
}
