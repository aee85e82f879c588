//! The records that one node has.

use super::record::{Version, check_of};
use super::tree::bucket_of;
use super::{Record, RecordId, Tree};
use crate::crdt::{Clock, Stamp};
use crate::{Result, SwarmError};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
use mayfly_base::NodeId;

/// What a memory may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Longest key in bytes.
    pub key_bytes: usize,
    /// Longest value in bytes.
    pub value_bytes: usize,
    /// Keys and values of everything together in bytes. Local writes beyond it are refused; what others wrote is always taken.
    pub total_bytes: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { key_bytes: 1 << 10, value_bytes: 1 << 20, total_bytes: 1 << 30 }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    stamp: Stamp,
    check: u64,
    bucket: u8,
    value: Option<Vec<u8>>,
}

impl Entry {
    fn version(&self) -> Version {
        (self.stamp, self.check)
    }

    fn record(&self, key: &[u8]) -> Record {
        Record { key: key.into(), stamp: self.stamp, value: self.value.clone() }
    }

    fn bytes(&self, key: &[u8]) -> u64 {
        (key.len() + self.value.as_ref().map_or(0, Vec::len)) as u64
    }
}

/// All records of one node, with the tree over them and the clock that stamps new ones.
#[derive(Clone, Debug)]
pub struct Replica {
    entries: BTreeMap<Vec<u8>, Entry>,
    tree: Tree,
    clock: Clock,
    limits: MemoryLimits,
    bytes: u64,
    tombstones: usize,
}

impl Replica {
    /// An empty memory.
    pub fn new(node: NodeId, limits: MemoryLimits) -> Self {
        let clock = Clock::new(node);
        Self { entries: BTreeMap::new(), tree: Tree::default(), clock, limits, bytes: 0, tombstones: 0 }
    }

    /// The memory as it was kept: the clock goes on above everything in it and above `clock`.
    pub fn load(node: NodeId, limits: MemoryLimits, clock: Stamp, records: impl IntoIterator<Item = Record>) -> Self {
        let mut replica = Self::new(node, limits);
        replica.clock.observe(clock);
        for record in records {
            replica.apply(record);
        }
        replica
    }

    /// Stamps a write, or a deletion when there is no value. It counts when it comes back through [`Replica::apply`], after a disk has it.
    ///
    /// # Errors
    /// [`SwarmError::KeyLen`], [`SwarmError::ValueLen`], [`SwarmError::Full`].
    pub fn prepare(&mut self, key: &[u8], value: Option<Vec<u8>>, now_ms: u64) -> Result<Record> {
        let limits = self.limits;
        if !(1..=limits.key_bytes).contains(&key.len()) {
            return Err(SwarmError::KeyLen { len: key.len(), limit: limits.key_bytes });
        }
        if let Some(value) = &value {
            if value.len() > limits.value_bytes {
                return Err(SwarmError::ValueLen { len: value.len(), limit: limits.value_bytes });
            }
            let replaced = self.entries.get(key).map_or(0, |entry| entry.bytes(key));
            let held = self.bytes - replaced;
            if held + (key.len() + value.len()) as u64 > limits.total_bytes {
                return Err(SwarmError::Full { held, limit: limits.total_bytes });
            }
        }
        Ok(Record { key: key.into(), stamp: self.clock.tick(now_ms), value })
    }

    /// A stamp of its own, for what is not a record.
    pub fn tick(&mut self, now_ms: u64) -> Stamp {
        self.clock.tick(now_ms)
    }

    /// Takes a record in. False when what is here is as new, or when the record cannot be.
    pub fn apply(&mut self, record: Record) -> bool {
        if !record.is_sound(&self.limits) {
            return false;
        }
        self.clock.observe(record.stamp);
        let version = record.version();
        if self.version(&record.key).is_some_and(|ours| ours >= version) {
            return false;
        }
        let Record { key, stamp, value } = record;
        self.remove(&key);
        self.tree.insert(&key, version);
        let entry = Entry { stamp, check: version.1, bucket: bucket_of(&key), value };
        self.bytes += entry.bytes(&key);
        self.tombstones += usize::from(entry.value.is_none());
        self.entries.insert(key, entry);
        true
    }

    /// Takes in another replica; what of it was new.
    pub fn merge(&mut self, other: &Replica) -> Vec<Record> {
        let records = other.records().filter(|record| self.apply(record.clone()));
        records.collect()
    }

    /// Forgets a tombstone. False when the key has another version by now.
    pub(crate) fn forget(&mut self, key: &[u8], stamp: Stamp) -> bool {
        let is_it = self.entries.get(key).is_some_and(|entry| entry.stamp == stamp && entry.value.is_none());
        if is_it {
            self.remove(key);
        }
        is_it
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(old) = self.entries.remove(key) {
            self.tree.remove(key, old.version());
            self.bytes -= old.bytes(key);
            self.tombstones -= usize::from(old.value.is_none());
        }
    }

    /// The value of a key.
    pub fn read(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key)?.value.as_deref()
    }

    /// Keys that start with `prefix`, with values and stamps, in order.
    pub fn scan<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8], Stamp)> {
        self.scan_after(prefix, None)
    }

    /// As [`Replica::scan`], but only keys behind `after`, if that is given.
    pub fn scan_after<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8], Stamp)> {
        let behind = after.filter(|after| *after >= prefix).map(|after| Bound::Excluded(after.to_vec()));
        let from = behind.unwrap_or_else(|| Bound::Included(prefix.to_vec()));
        let range = self.entries.range((from, Bound::Unbounded)).take_while(move |(key, _)| key.starts_with(prefix));
        range.filter_map(|(key, entry)| Some((&key[..], entry.value.as_deref()?, entry.stamp)))
    }

    /// The record of a key, tombstone or not.
    pub fn record(&self, key: &[u8]) -> Option<Record> {
        Some(self.entries.get(key)?.record(key))
    }

    /// Every record, tombstones too.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.entries.iter().map(|(key, entry)| entry.record(key))
    }

    pub(crate) fn version(&self, key: &[u8]) -> Option<Version> {
        Some(self.entries.get(key)?.version())
    }

    /// The ids of the records in the chosen buckets, each with its bucket.
    pub(crate) fn ids_in(&self, is_chosen: &[bool; 256]) -> Vec<(u8, RecordId)> {
        let chosen = self.entries.iter().filter(|(_, entry)| is_chosen[usize::from(entry.bucket)]);
        let id = |key: &Vec<u8>, e: &Entry| RecordId { key: key.clone(), stamp: e.stamp, check: e.check };
        chosen.map(|(key, entry)| (entry.bucket, id(key, entry))).collect()
    }

    /// Tombstones, in the order of keys.
    pub(crate) fn tombstones(&self) -> Vec<(Vec<u8>, Stamp)> {
        if self.tombstones == 0 {
            return Vec::new();
        }
        let stones = self.entries.iter().filter(|(_, entry)| entry.value.is_none());
        stones.map(|(key, entry)| (key.clone(), entry.stamp)).collect()
    }

    /// Keys that were deleted and not collected yet.
    pub fn tombstone_count(&self) -> usize {
        self.tombstones
    }

    /// The tree over the records.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The highest stamp made or seen.
    pub fn last_stamp(&self) -> Stamp {
        self.clock.last()
    }

    /// Keys with a value.
    pub fn len(&self) -> usize {
        self.entries.len() - self.tombstones
    }

    /// Has no key a value?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values, tombstones' keys too, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Are the records equal byte for byte, as they and not only their hashes say?
    pub fn same_records(&self, other: &Self) -> bool {
        let same =
            |a: &Entry, b: &Entry| a.stamp == b.stamp && a.value == b.value && a.check == check_of(a.value.as_deref());
        self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|((k, a), (l, b))| k == l && same(a, b))
    }
}
