//! Versions by key, for readers: tables behind locks of their own, so that readers meet a writer only in the shard that it is changing.

use crate::error::Result;
use crate::expect::Revision;
use crate::locks::{read, write};
use crate::mailbox::Deferred;
use crate::version::{Setting, Version, Versioned};
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, RwLock};

const SHARDS: usize = 64;
/// The bits of a hash that choose a shard: the tables use those at both ends.
const SHARD_BITS: u32 = 32;

/// On a cache line of its own, so that locks of different shards do not slow each other down.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<HashTable<Slot>>);

/// What is known of a key.
struct Slot {
    current: Arc<Version>,
    /// Versions before that, the oldest first.
    past: VecDeque<Arc<Version>>,
}

pub(crate) struct Shards {
    shards: Box<[Shard; SHARDS]>,
    /// Seeded: keys come from others.
    hasher: RandomState,
}

impl Default for Shards {
    fn default() -> Self {
        Self { shards: Box::new(std::array::from_fn(|_| Shard::default())), hasher: RandomState::new() }
    }
}

impl Shards {
    fn place(&self, key: &str) -> (u64, &RwLock<HashTable<Slot>>) {
        let hash = self.hasher.hash_one(key);
        (hash, &self.shards[(hash >> SHARD_BITS) as usize % SHARDS].0)
    }

    /// The newest version of a key, deleted or not.
    pub(crate) fn current(&self, key: &str) -> Option<Arc<Version>> {
        let (hash, shard) = self.place(key);
        read(shard).find(hash, |slot| slot.current.key() == key).map(|slot| slot.current.clone())
    }

    /// The value of a key. What was decoded before is taken under the lock; decoding, which is others' code, waits until it is released.
    pub(crate) fn get<T: Setting>(&self, key: &str) -> Result<Option<Versioned<T>>> {
        let (hash, shard) = self.place(key);
        let version = {
            let table = read(shard);
            let Some(slot) = table.find(hash, |slot| slot.current.key() == key) else { return Ok(None) };
            if let Some(value) = slot.current.cached() {
                return Ok(Some(Versioned::new(value, slot.current.revision())));
            }
            slot.current.clone()
        };
        Ok(version.get()?.map(|value| Versioned::new(value, version.revision())))
    }

    /// What is remembered of a key, the oldest first.
    pub(crate) fn history(&self, key: &str) -> Vec<Arc<Version>> {
        let (hash, shard) = self.place(key);
        let table = read(shard);
        let slot = table.find(hash, |slot| slot.current.key() == key);
        slot.map_or_else(Vec::new, |slot| slot.past.iter().chain([&slot.current]).cloned().collect())
    }

    /// Makes a version the newest of its key, and lets go of the oldest beyond the limit. Only one at a time may call it.
    pub(crate) fn put(&self, version: Arc<Version>, limit: usize, deferred: &mut Deferred) {
        let (hash, shard) = self.place(version.key());
        let mut table = write(shard);
        match table.find_mut(hash, |slot| slot.current.key() == version.key()) {
            Some(slot) => {
                slot.past.push_back(std::mem::replace(&mut slot.current, version));
                if slot.past.len() >= limit.max(1) {
                    deferred.let_go(slot.past.pop_front());
                }
            }
            None => {
                let slot = Slot { current: version, past: VecDeque::new() };
                table.insert_unique(hash, slot, |slot| self.hasher.hash_one(slot.current.key()));
            }
        }
    }

    /// Forgets a key that was deleted at this revision, unless it has changed since.
    pub(crate) fn forget(&self, key: &str, revision: Revision, deferred: &mut Deferred) {
        let (hash, shard) = self.place(key);
        let mut table = write(shard);
        let is_it = |slot: &Slot| slot.current.key() == key && slot.current.revision() == revision;
        if let Ok(found) = table.find_entry(hash, is_it) {
            let (slot, _) = found.remove();
            deferred.let_go(slot.past.into_iter().chain([slot.current]));
        }
    }
}
