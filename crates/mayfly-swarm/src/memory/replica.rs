//! The records that one node has, and what it has seen.

use super::context::Context;
use super::record::{Id, Version, check_of, place_of, short};
use super::{Record, Tree};
use crate::crdt::{Clock, Stamp};
use crate::{Result, SwarmError};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use mayfly_base::NodeId;

/// What local writes may hold. What other members wrote is taken up to [`MemoryLimits::MOST`], whatever is set here: all have the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Longest key in bytes.
    pub key_bytes: usize,
    /// Longest value in bytes.
    pub value_bytes: usize,
    /// Keys and values of everything together in bytes. Local writes beyond it are refused; what others wrote is always taken.
    pub total_bytes: u64,
}

impl MemoryLimits {
    /// What no member of any swarm writes more than, which is also the default.
    pub const MOST: Self = Self { key_bytes: 1 << 10, value_bytes: 1 << 20, total_bytes: 1 << 30 };
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self::MOST
    }
}

/// A record without its key, and with its writer by number: there are few writers and many records.
#[derive(Clone, Debug)]
struct Entry {
    ms: u64,
    count: u32,
    writer: u32,
    check: u64,
    place: u64,
    value: Option<Box<[u8]>>,
}

impl Entry {
    fn bytes(&self, key: &[u8]) -> u64 {
        (key.len() + self.value.as_ref().map_or(0, |value| value.len())) as u64
    }
}

/// What became of another member's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It took effect.
    New,
    /// It was here, or something newer is.
    Known,
    /// A value that was here once and was deleted since, so long ago that no tombstone says so any more.
    Gone,
}

/// All records of one node, with the tree over them, what it has seen, and the clock that stamps new ones.
#[derive(Clone, Debug)]
pub struct Replica {
    entries: BTreeMap<Arc<[u8]>, Entry>,
    /// Whoever wrote something that was here.
    writers: Vec<NodeId>,
    numbers: BTreeMap<NodeId, u32>,
    /// Keys in the order of their places.
    places: BTreeSet<(u64, Arc<[u8]>)>,
    /// Tombstones in the order of their age.
    tombstones: BTreeSet<(Stamp, Arc<[u8]>)>,
    tree: Tree,
    clock: Clock,
    limits: MemoryLimits,
    bytes: u64,
    context: Context,
    /// Something is in the context that the disk's records do not show.
    has_to_keep_context: bool,
    /// Stamps of local writes that are on their way to the disk.
    pending: BTreeSet<Stamp>,
    /// The latest local write that took effect.
    own: Stamp,
    /// Has this memory been compared with another one since it was loaded? Before that, writes of its own may be missing here, if a copy of the file was put back.
    is_settled: bool,
    retention_ms: u64,
    /// Tombstones stamped before this have had their time.
    expiry_ms: u64,
}

/// How long a tombstone is kept, if nothing else is said: a week.
pub(crate) const RETENTION_MS: u64 = 7 * 24 * 3_600_000;

impl Replica {
    /// An empty memory.
    pub fn new(node: NodeId, limits: MemoryLimits) -> Self {
        Self {
            entries: BTreeMap::new(),
            writers: Vec::new(),
            numbers: BTreeMap::new(),
            places: BTreeSet::new(),
            tombstones: BTreeSet::new(),
            tree: Tree::default(),
            clock: Clock::new(node),
            limits,
            bytes: 0,
            context: Context::default(),
            has_to_keep_context: false,
            pending: BTreeSet::new(),
            own: Stamp::default(),
            is_settled: false,
            retention_ms: RETENTION_MS,
            expiry_ms: 0,
        }
    }

    /// The memory as it was kept: the clock goes on above everything in it and above `clock`.
    pub fn load(
        node: NodeId,
        limits: MemoryLimits,
        clock: Stamp,
        context: Context,
        records: impl IntoIterator<Item = Record>,
    ) -> Self {
        let mut replica = Self::new(node, limits);
        replica.clock.observe(clock);
        replica.context = context;
        for record in records {
            replica.apply(record);
        }
        let stamps = replica.entries.values().map(|entry| replica.stamp_of(entry));
        let own = stamps.filter(|stamp| stamp.node == node).max();
        replica.own = own.unwrap_or_default();
        let (ms, count) = (replica.own.ms, replica.own.count);
        replica.context.advance(short(node), (ms, count)); // a file has every write of its node up to the last one in it
        replica.has_to_keep_context = false;
        replica
    }

    fn node(&self) -> NodeId {
        self.clock.last().node
    }

    fn stamp_of(&self, entry: &Entry) -> Stamp {
        let node = self.writers.get(entry.writer as usize).copied().unwrap_or_default();
        Stamp { ms: entry.ms, count: entry.count, node }
    }

    fn version_of(&self, entry: &Entry) -> Version {
        (self.stamp_of(entry), entry.check)
    }

    fn id_of(&self, entry: &Entry) -> Id {
        Id::new(entry.place, self.version_of(entry))
    }

    fn record_of(&self, key: &[u8], entry: &Entry) -> Record {
        let value = entry.value.as_deref().map(<[u8]>::to_vec);
        Record { key: key.into(), stamp: self.stamp_of(entry), value }
    }

    /// The number of a writer, a new one if need be.
    fn number_of(&mut self, writer: NodeId) -> u32 {
        let next = self.writers.len() as u32;
        let number = *self.numbers.entry(writer).or_insert(next);
        if number == next {
            self.writers.push(writer);
        }
        number
    }

    /// Changes how long tombstones are kept, from a week.
    pub fn keep_tombstones_for(&mut self, ms: u64) {
        self.retention_ms = ms;
    }

    /// Stamps a write, or a deletion when there is no value. It counts when it comes back through [`Replica::commit`], after a disk has it.
    ///
    /// # Errors
    /// [`SwarmError::KeyLen`], [`SwarmError::ValueLen`], [`SwarmError::Full`], [`SwarmError::NoLaterStamp`].
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
        let before = self.clock.last();
        let record = Record { key: key.into(), stamp: self.clock.tick(now_ms), value };
        if record.stamp <= before || !record.is_sound() {
            return Err(SwarmError::NoLaterStamp { ms: record.stamp.ms });
        }
        self.pending.insert(record.stamp);
        // The disk will not show any more that what is here now was seen.
        self.has_to_keep_context |= self.entries.contains_key(key);
        Ok(record)
    }

    /// A local write is on disk and takes effect. False when something newer was there first.
    pub fn commit(&mut self, record: Record) -> bool {
        self.own = self.own.max(record.stamp);
        self.abandon(record.stamp);
        self.apply(record)
    }

    /// A local write did not get onto the disk and will not.
    pub fn abandon(&mut self, stamp: Stamp) {
        self.pending.remove(&stamp);
        self.claim();
    }

    /// A stamp of its own, for what is not a record.
    pub fn tick(&mut self, now_ms: u64) -> Stamp {
        self.clock.tick(now_ms)
    }

    /// Takes a record in. False when what is here is as new, or when the record cannot be.
    pub fn apply(&mut self, record: Record) -> bool {
        if !record.is_sound() {
            return false;
        }
        self.clock.observe(record.stamp);
        let version = record.version();
        let is_unseen = self.context.add(record.stamp);
        let ours = self.version(&record.key);
        // Of two versions of one key, the disk shows the newer one only.
        self.has_to_keep_context |= is_unseen && ours.is_some();
        if ours.is_some_and(|ours| ours >= version) {
            return false;
        }
        let Record { key, stamp, value } = record;
        self.remove(&key);
        self.tree.insert(&key, version);
        let key: Arc<[u8]> = key.into();
        let (ms, count, writer) = (stamp.ms, stamp.count, self.number_of(stamp.node));
        let value = value.map(Vec::into_boxed_slice);
        let entry = Entry { ms, count, writer, check: version.1, place: place_of(&key), value };
        self.bytes += entry.bytes(&key);
        self.places.insert((entry.place, key.clone()));
        if entry.value.is_none() {
            self.tombstones.insert((stamp, key.clone()));
        }
        self.entries.insert(key, entry);
        true
    }

    /// Takes in another member's record, unless it was deleted here before.
    pub(crate) fn receive(&mut self, record: Record) -> Received {
        let is_here = self.entries.contains_key(&record.key[..]);
        if !is_here && record.value.is_none() && (record.stamp.ms < self.expiry_ms || self.context.covers(record.stamp))
        {
            return Received::Known; // its time is over, and there is nothing that it would delete
        }
        if record.value.is_some() && self.is_gone(self.version(&record.key), record.stamp) {
            return Received::Gone;
        }
        if self.apply(record) { Received::New } else { Received::Known }
    }

    /// Is there something newer than what is here, and is it not something that was deleted here?
    pub(crate) fn compare(&self, key: &[u8], theirs: Version) -> Received {
        match self.version(key) {
            Some(ours) if ours >= theirs => Received::Known,
            ours if self.is_gone(ours, theirs.0) => Received::Gone, // only values are announced by name
            _ => Received::New,
        }
    }

    /// Was a value seen here that is neither here nor replaced by something later? So it was deleted, also where an older value that nobody had heard of has come since.
    fn is_gone(&self, ours: Option<Version>, theirs: Stamp) -> bool {
        ours.is_none_or(|ours| ours.0 < theirs) && self.context.covers(theirs)
    }

    /// The same by name, where it is newer than what is here.
    pub(crate) fn compare_id(&self, theirs: &Id, ours: Option<&Id>) -> Received {
        match ours {
            _ if !theirs.is_sound() => Received::Known,
            // Of one stamp there are two values only where two members share a name by mistake: the higher hash wins.
            Some(ours) if ours.has_stamp_of(theirs) => Received::New,
            _ if !theirs.is_tombstone() && theirs.is_in(&self.context) => Received::Gone,
            None if theirs.is_tombstone() && (theirs.ms < self.expiry_ms || theirs.is_in(&self.context)) => {
                Received::Known
            }
            _ => Received::New,
        }
    }

    /// Another member knows that this very version was deleted: it goes. A tombstone does not: it has its time here, too.
    pub(crate) fn drop_gone(&mut self, id: &Id) -> Option<Record> {
        let key =
            self.keys_at(id.place).find(|key| self.entries.get(key).is_some_and(|entry| self.id_of(entry) == *id))?;
        let entry = self.entries.get(&key)?;
        let stamp = self.stamp_of(entry);
        let is_own = stamp.node == self.node() && !self.is_settled;
        if entry.value.is_none() || is_own {
            return None;
        }
        self.remove(&key);
        self.has_to_keep_context = true;
        Some(Record { key: key.to_vec(), stamp, value: None })
    }

    /// The tombstones whose time is over at `now_ms` go; at most so many at once.
    pub(crate) fn expire(&mut self, now_ms: u64, most: usize) -> Vec<Record> {
        self.expiry_ms = now_ms.saturating_sub(self.retention_ms);
        let expiry_ms = self.expiry_ms;
        let over = self.tombstones.iter().take_while(|(stamp, _)| stamp.ms < expiry_ms);
        let over: Vec<_> = over.take(most).cloned().collect();
        over.iter().for_each(|(_, key)| self.remove(key));
        self.has_to_keep_context |= !over.is_empty();
        over.into_iter().map(|(stamp, key)| Record { key: key.to_vec(), stamp, value: None }).collect()
    }

    /// Takes in another replica; what of it was new.
    pub fn merge(&mut self, other: &Replica) -> Vec<Record> {
        let records = other.records().filter(|record| self.apply(record.clone()));
        records.collect()
    }

    fn remove(&mut self, key: &[u8]) {
        let Some((key, old)) = self.entries.remove_entry(key) else { return };
        self.bytes -= old.bytes(&key);
        let version = self.version_of(&old);
        self.tree.remove(&key, version);
        if old.value.is_none() {
            self.tombstones.remove(&(version.0, key.clone()));
        }
        self.places.remove(&(old.place, key));
    }

    /// Of this node's own writes, all are seen up to the first that is still on its way to the disk.
    fn claim(&mut self) {
        let claim = match self.pending.first() {
            Some(first) if *first <= self.own => before(*first),
            _ => (self.own.ms, self.own.count),
        };
        if self.is_settled {
            self.context.advance(short(self.node()), claim);
        }
    }

    /// What was seen here.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Everything that a memory with this context has is here, too.
    pub(crate) fn caught_up(&mut self, theirs: &Context) {
        let (ms, count) = theirs.latest();
        self.clock.observe(Stamp { ms, count, node: self.node() });
        self.has_to_keep_context |= self.context.merge(theirs);
        self.settle();
    }

    /// Another memory was found to be equal, or was caught up with.
    pub(crate) fn settle(&mut self) {
        if !self.is_settled {
            self.is_settled = true;
            self.claim();
        }
    }

    /// The context, if the disk would not know it from the records that it has, and if it is not larger than this.
    pub(crate) fn context_to_keep(&mut self, most_single: usize) -> Option<Context> {
        if !self.has_to_keep_context || self.context.single_count() > most_single {
            return None;
        }
        self.has_to_keep_context = false;
        Some(self.context.clone())
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
        let behind = after.filter(|after| *after >= prefix).map(Bound::Excluded);
        let from = behind.unwrap_or(Bound::Included(prefix));
        let range = self.entries.range::<[u8], _>((from, Bound::Unbounded));
        let range = range.take_while(move |(key, _)| key.starts_with(prefix));
        range.filter_map(move |(key, entry)| Some((&key[..], entry.value.as_deref()?, self.stamp_of(entry))))
    }

    /// The record of a key, tombstone or not.
    pub fn record(&self, key: &[u8]) -> Option<Record> {
        Some(self.record_of(key, self.entries.get(key)?))
    }

    /// Every record, tombstones too.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.entries.iter().map(|(key, entry)| self.record_of(key, entry))
    }

    pub(crate) fn version(&self, key: &[u8]) -> Option<Version> {
        Some(self.version_of(self.entries.get(key)?))
    }

    /// The keys of a place: one, as good as always.
    fn keys_at(&self, place: u64) -> impl Iterator<Item = Arc<[u8]>> {
        let keys = self.places.range((place, Arc::from([]))..).take_while(move |(at, _)| *at == place);
        keys.map(|(_, key)| key.clone())
    }

    /// The records at a place.
    pub(crate) fn records_at(&self, place: u64) -> impl Iterator<Item = Record> {
        self.keys_at(place).filter_map(|key| self.record(&key))
    }

    /// Names and sizes of the records in some buckets from a place on, in the order of places.
    pub(crate) fn ids_from<'a>(&'a self, buckets: &'a [u8], from: u64) -> impl Iterator<Item = (Id, usize)> + 'a {
        let mut buckets = buckets.to_vec();
        buckets.sort_unstable();
        buckets.dedup();
        buckets.into_iter().filter(move |&bucket| u64::from(bucket) >= from >> 56).flat_map(move |bucket| {
            let start = from.max(u64::from(bucket) << 56);
            let range = self.places.range((start, Arc::from([]))..);
            let keys = range.take_while(move |(place, _)| place >> 56 == u64::from(bucket));
            keys.filter_map(move |(_, key)| {
                self.entries.get(key).map(|entry| (self.id_of(entry), entry.bytes(key) as usize))
            })
        })
    }

    /// Keys that were deleted and whose tombstones are kept.
    pub fn tombstone_count(&self) -> usize {
        self.tombstones.len()
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
        self.entries.len() - self.tombstones.len()
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
        let same = |a: &Entry, b: &Entry| {
            self.stamp_of(a) == other.stamp_of(b) && a.value == b.value && a.check == check_of(a.value.as_deref())
        };
        self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|((k, a), (l, b))| k == l && same(a, b))
    }
}

/// The last moment before a stamp.
fn before(stamp: Stamp) -> (u64, u32) {
    match stamp.count.checked_sub(1) {
        Some(count) => (stamp.ms, count),
        None => (stamp.ms.saturating_sub(1), u32::MAX),
    }
}
