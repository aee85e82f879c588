//! Versions and watchers by key: tables behind locks of their own, so that readers meet a writer only in the shard that it is changing.

use crate::error::Result;
use crate::expect::Revision;
use crate::locks::{Apart, read, write};
use crate::mailbox::{Deferred, Mailbox};
use crate::version::{Setting, Version, Versioned};
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

const SHARDS: usize = 64;
/// The bits of a hash that choose a shard: tables use those at both ends.
const SHARD_BITS: u32 = 32;

/// What is known of a key.
struct Slot {
    key: Arc<str>,
    /// Is it in the list of keys that have changed since the list was last read?
    is_noted: AtomicBool,
    current: Arc<Version>,
    /// Versions before that, the oldest first.
    past: VecDeque<Arc<Version>>,
}

/// Watchers of a key, in the order of their ids.
struct Watched {
    key: Arc<str>,
    all: Vec<Arc<Mailbox>>,
}

#[derive(Default)]
struct Shard {
    slots: HashTable<Slot>,
    watched: HashTable<Watched>,
    /// What the next watcher is numbered.
    next_id: u64,
}

pub(crate) struct Shards {
    shards: Box<[Apart<RwLock<Shard>>; SHARDS]>,
    /// Seeded: keys come from others.
    hasher: RandomState,
}

/// What became of a version that was put in its place.
pub(crate) struct Placed {
    /// The key, if it is to be noted as changed.
    pub(crate) noted: Option<Arc<str>>,
    /// The revision at which the key was deleted, if it was.
    pub(crate) was_deleted: Option<Revision>,
}

impl Default for Shards {
    fn default() -> Self {
        Self { shards: Box::new(std::array::from_fn(|_| Apart::default())), hasher: RandomState::new() }
    }
}

impl Shard {
    fn slot(&self, hash: u64, key: &str) -> Option<&Slot> {
        self.slots.find(hash, |slot| *slot.key == *key)
    }

    fn tell(&self, hash: u64, version: &Arc<Version>, waiting: Option<usize>, deferred: &mut Deferred) {
        let Some(limit) = waiting else { return };
        let watched = self.watched.find(hash, |watched| *watched.key == *version.key());
        watched.into_iter().flat_map(|watched| &watched.all).for_each(|one| one.push(version, limit, deferred));
    }
}

/// What is to be kept of a key, and who is told.
#[derive(Clone, Copy)]
pub(crate) struct Keep {
    /// Versions of a key.
    pub(crate) history: usize,
    /// Changes that wait for a watcher; none: nobody is told.
    pub(crate) waiting: Option<usize>,
}

impl Shards {
    fn shard(&self, key: &str) -> (u64, &RwLock<Shard>) {
        let hash = self.hasher.hash_one(key);
        (hash, &self.shards[(hash >> SHARD_BITS) as usize % SHARDS].0)
    }

    /// Looks at a key, under the lock of its shard: nobody's code may run there.
    fn look<T>(&self, key: &str, look: impl FnOnce(&Slot) -> T) -> Option<T> {
        let (hash, shard) = self.shard(key);
        read(shard).slot(hash, key).map(look)
    }

    /// The newest version of a key, deleted or not.
    pub(crate) fn current(&self, key: &str) -> Option<Arc<Version>> {
        self.look(key, |slot| slot.current.clone())
    }

    /// The value of a key. What was decoded before is taken under the lock; decoding, which is others' code, waits until it is released.
    pub(crate) fn get<T: Setting>(&self, key: &str) -> Result<Option<Versioned<T>>> {
        let found = self.look(key, |slot| match slot.current.cached() {
            Some(value) => Ok(Versioned::new(value, slot.current.revision())),
            None => Err(slot.current.clone()),
        });
        match found {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(version)) => Ok(version.get()?.map(|value| Versioned::new(value, version.revision()))),
        }
    }

    /// What is remembered of a key, the oldest first.
    pub(crate) fn history(&self, key: &str) -> Vec<Arc<Version>> {
        let all = self.look(key, |slot| slot.past.iter().chain([&slot.current]).cloned().collect());
        all.unwrap_or_default()
    }

    /// Makes a version the newest of its key, lets go of the oldest beyond the limit, and tells the watchers of the key. Nothing happens where a key is deleted
    /// that does not exist. Only one at a time may call it.
    pub(crate) fn put(&self, version: &Arc<Version>, keep: Keep, deferred: &mut Deferred) -> Option<Placed> {
        let (hash, shard) = self.shard(version.key());
        let mut shard = write(shard);
        let Some(slot) = shard.slots.find_mut(hash, |slot| *slot.key == *version.key()) else {
            if version.is_deleted() {
                return None;
            }
            let (key, is_noted): (Arc<str>, _) = (version.key().into(), AtomicBool::new(true));
            let slot = Slot { key: key.clone(), is_noted, current: version.clone(), past: VecDeque::new() };
            shard.slots.insert_unique(hash, slot, |slot| self.hasher.hash_one(&*slot.key));
            shard.tell(hash, version, keep.waiting, deferred);
            return Some(Placed { noted: Some(key), was_deleted: None });
        };
        let was_deleted = slot.current.is_deleted().then(|| slot.current.revision());
        if version.is_deleted() && was_deleted.is_some() {
            return None;
        }
        slot.past.push_back(std::mem::replace(&mut slot.current, version.clone()));
        if slot.past.len() >= keep.history.max(1) {
            deferred.let_go(slot.past.pop_front());
        }
        let noted = (!std::mem::replace(slot.is_noted.get_mut(), true)).then(|| slot.key.clone());
        shard.tell(hash, version, keep.waiting, deferred);
        Some(Placed { noted, was_deleted })
    }

    /// The newest version of a key that was noted as changed; it is noted anew when it changes again.
    pub(crate) fn read_noted(&self, key: &str) -> Option<Arc<Version>> {
        self.look(key, |slot| {
            slot.is_noted.store(false, Ordering::Relaxed);
            slot.current.clone()
        })
    }

    /// Forgets a key that was deleted at this revision, unless it has changed since.
    pub(crate) fn forget(&self, key: &str, revision: Revision, deferred: &mut Deferred) {
        let (hash, shard) = self.shard(key);
        let mut shard = write(shard);
        let is_it = |slot: &Slot| *slot.key == *key && slot.current.revision() == revision;
        if let Ok(found) = shard.slots.find_entry(hash, is_it) {
            let (slot, _) = found.remove();
            deferred.let_go(slot.past.into_iter().chain([slot.current]));
        }
    }

    /// Adds a watcher of a key. Gives the later of the revision of the key and of what `known` says: no change is told to it that is not later, and none is left
    /// out that is.
    pub(crate) fn watch(&self, key: &Arc<str>, mailbox: &Arc<Mailbox>, known: impl FnOnce() -> Revision) -> Revision {
        let (hash, shard) = self.shard(key);
        let mut watched = Watched { key: key.clone(), all: vec![mailbox.clone()] };
        let mut shard = write(shard);
        mailbox.set_id(shard.next_id);
        shard.next_id += 1;
        match shard.watched.find_mut(hash, |watched| *watched.key == **key) {
            Some(others) => others.all.append(&mut watched.all),
            None => {
                shard.watched.insert_unique(hash, watched, |watched| self.hasher.hash_one(&*watched.key));
            }
        }
        // A change may have been placed, and told, that is not known yet; another one cannot be under way.
        known().max(shard.slot(hash, key).map_or(0, |slot| slot.current.revision()))
    }

    pub(crate) fn unwatch(&self, key: &str, mailbox: &Mailbox) {
        let (hash, shard) = self.shard(key);
        let mut shard = write(shard);
        if let Ok(mut found) = shard.watched.find_entry(hash, |watched| *watched.key == *key) {
            mailbox.leave(&mut found.get_mut().all);
            if found.get().all.is_empty() {
                found.remove();
            }
        }
    }

    /// All watchers of keys.
    pub(crate) fn each_watcher(&self, act: &mut dyn FnMut(&Arc<Mailbox>)) {
        for shard in self.shards.iter() {
            read(&shard.0).watched.iter().flat_map(|watched| &watched.all).for_each(&mut *act);
        }
    }
}

#[cfg(test)]
impl Shards {
    pub(crate) fn has_watchers(&self) -> bool {
        self.shards.iter().any(|shard| !read(&shard.0).watched.is_empty())
    }
}
