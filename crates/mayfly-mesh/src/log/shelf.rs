//! What readers of a log see: every entry that was ordered, whether it is on the disk by now or not.

use super::disk::{LogDisk, SlotFile};
use super::frame::{Key, Known, Row, is_whole};
use crate::error::{MeshError, Result};
use crate::logged::{Applied, Logged};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Where on the disk an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) slot: u32,
    /// From the beginning of the slot.
    pub(super) row: Row,
}

#[derive(Debug)]
struct Item {
    term: u64,
    len: usize,
    /// None until it is on the disk.
    place: Option<Place>,
    /// None where memory is wanted for others, and it is on the disk.
    entry: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The log begins after this one.
    before: Applied,
    items: VecDeque<Item>,
    /// How many of the first are only on the disk.
    evicted: usize,
    /// Bytes of the entries that are in memory.
    in_memory: usize,
    bytes: u64,
    /// Up to here it is on the disk.
    flushed: u64,
}

/// The entries of a log, shared by the one who writes and those who read. As openraft asks for changes one after the other, they are seen here at
/// once, and on the disk when they are there.
#[derive(Debug)]
pub(crate) struct Shelf {
    key: Key,
    disk: Arc<dyn LogDisk>,
    files: RwLock<BTreeMap<u32, Arc<SlotFile>>>,
    inner: Mutex<Inner>,
    known: Mutex<Known>,
    /// Bytes of entries that are kept in memory although they are on the disk.
    memory: usize,
}

/// An entry that was found: its bytes, or where they are.
#[derive(Debug)]
pub(crate) struct OnShelf {
    pub(crate) at: Applied,
    place: Option<Place>,
    entry: Vec<u8>,
}

impl Shelf {
    pub(super) fn new(key: Key, disk: Arc<dyn LogDisk>) -> Self {
        let memory = usize::try_from(disk.slot_bytes()).unwrap_or(usize::MAX);
        Self { key, disk, files: RwLock::default(), inner: Mutex::default(), known: Mutex::default(), memory }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn know(&self, slot: u32, file: Arc<SlotFile>) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).insert(slot, file);
    }

    pub(super) fn forget(&self, slot: u32) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&slot);
    }

    /// The last entry that is no longer there, and the last one.
    pub(crate) fn ends(&self) -> (Applied, Applied) {
        let inner = self.lock();
        (inner.before, inner.last())
    }

    /// What the newest frame on the disk says.
    pub(crate) fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Up to which entry it is on the disk.
    pub(crate) fn flushed(&self) -> u64 {
        self.lock().flushed
    }

    /// Bytes of the entries that are there.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// The first entry of those at the end that have so many bytes together.
    pub(crate) fn first_of_last(&self, bytes: u64) -> u64 {
        let inner = self.lock();
        let mut left = bytes;
        let kept = inner.items.iter().rev().take_while(|item| {
            left = left.saturating_sub(item.len as u64);
            left > 0
        });
        let kept = kept.count() as u64;
        inner.last().index + 1 - kept
    }

    /// Does it have this entry, or did it?
    pub(crate) fn has(&self, at: Applied) -> bool {
        let inner = self.lock();
        at.index <= inner.before.index || inner.term(at.index) == Some(at.term)
    }

    /// Takes entries that follow on the last one.
    pub(crate) fn append(&self, entries: &[Logged]) {
        let mut inner = self.lock();
        for Logged { at, entry } in entries {
            inner.items.push_back(Item { term: at.term, len: entry.len(), place: None, entry: Some(entry.clone()) });
            inner.in_memory += entry.len();
            inner.bytes += entry.len() as u64;
        }
    }

    /// An entry that was found on the disk.
    pub(super) fn append_found(&self, place: Place) {
        let mut inner = self.lock();
        let (term, len) = (place.row.term, place.row.len as usize);
        inner.items.push_back(Item { term, len, place: Some(place), entry: None });
        inner.bytes += len as u64;
        inner.evicted = inner.items.len();
        inner.flushed = inner.last().index;
    }

    /// Forgets the entries after one.
    pub(crate) fn truncate(&self, after: u64) {
        let mut inner = self.lock();
        while inner.last().index > after.max(inner.before.index) {
            let gone = inner.items.pop_back();
            inner.account(gone);
        }
        inner.evicted = inner.evicted.min(inner.items.len());
        inner.flushed = inner.flushed.min(inner.last().index);
    }

    /// Forgets the entries up to one; where the log ends before it, it begins anew there.
    pub(crate) fn purge(&self, upto: Applied) {
        let mut inner = self.lock();
        while inner.before.index < upto.index {
            let Some(gone) = inner.items.pop_front() else { break };
            inner.before = Applied { index: inner.before.index + 1, term: gone.term };
            inner.evicted = inner.evicted.saturating_sub(1);
            inner.account(Some(gone));
        }
        if inner.before.index < upto.index {
            inner.before = upto;
        }
        inner.flushed = inner.flushed.max(inner.before.index);
    }

    /// It begins anew after an entry.
    pub(super) fn reset(&self, at: Applied) {
        *self.lock() = Inner { before: at, flushed: at.index, ..Inner::default() };
    }

    /// Entries after one are on the disk now.
    pub(super) fn settle(&self, after: u64, places: impl IntoIterator<Item = Place>) {
        let mut inner = self.lock();
        let mut index = after;
        for place in places {
            index += 1;
            if let Some(item) = inner.item_mut(index).filter(|item| item.term == place.row.term) {
                item.place = Some(place);
            }
        }
        inner.flushed = index.min(inner.last().index).max(inner.before.index);
        inner.evict(self.memory);
    }

    /// Entries of a range, as many as have `max_bytes`, but at least one where there is one.
    pub(crate) fn look_up(&self, range: Range<u64>, max_bytes: usize) -> Vec<OnShelf> {
        let inner = self.lock();
        let (mut found, mut bytes) = (Vec::new(), 0);
        let first = range.start.saturating_sub(inner.before.index + 1);
        let items = inner.items.iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
        for (index, item) in (range.start.max(inner.before.index + 1)..range.end).zip(items) {
            bytes += item.len;
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            let entry = item.entry.clone();
            let place = item.place.filter(|_| entry.is_none());
            found.push(OnShelf { at: Applied { index, term: item.term }, place, entry: entry.unwrap_or_default() });
        }
        found
    }

    /// The bytes of entries, those from the disk too.
    pub(crate) fn fetch(&self, found: Vec<OnShelf>) -> Result<Vec<Logged>> {
        found
            .into_iter()
            .map(|OnShelf { at, place, entry }| {
                let entry = place.map_or(Ok(entry), |place| self.fetch_one(at, place))?;
                Ok(Logged { at, entry })
            })
            .collect()
    }

    fn fetch_one(&self, at: Applied, Place { slot, row }: Place) -> Result<Vec<u8>> {
        let path = || self.disk.path(slot);
        let file = self.files.read().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned();
        let gone = || MeshError::Damaged { path: path(), what: format!("it is gone, and entry {} with it", at.index) };
        let mut entry = vec![0; row.len as usize]; // it was read or written once
        file.ok_or_else(gone)?.read(row.offset, &mut entry).map_err(|e| MeshError::Disk {
            action: "read",
            path: path(),
            reason: e.to_string(),
        })?;
        if is_whole(&self.key, &entry, &row.hash) {
            return Ok(entry);
        }
        let what = format!("entry {} at byte {} is not what was written", at.index, row.offset);
        Err(MeshError::Damaged { path: path(), what })
    }
}

impl OnShelf {
    pub(crate) fn is_on_disk(&self) -> bool {
        self.place.is_some()
    }
}

impl Inner {
    fn last(&self) -> Applied {
        let term = self.items.back().map_or(self.before.term, |item| item.term);
        Applied { index: self.before.index + self.items.len() as u64, term }
    }

    fn item_mut(&mut self, index: u64) -> Option<&mut Item> {
        let place = index.checked_sub(self.before.index + 1)?;
        self.items.get_mut(usize::try_from(place).ok()?)
    }

    fn term(&self, index: u64) -> Option<u64> {
        let place = index.checked_sub(self.before.index + 1)?;
        Some(self.items.get(usize::try_from(place).ok()?)?.term)
    }

    fn account(&mut self, gone: Option<Item>) {
        let Some(Item { len, entry, .. }) = gone else { return };
        self.bytes -= len as u64;
        self.in_memory -= entry.map_or(0, |entry| entry.len());
    }

    /// Gives memory free: the oldest first, as those are behind who ask for them.
    fn evict(&mut self, memory: usize) {
        while self.in_memory > memory {
            let Some(item) = self.items.get_mut(self.evicted).filter(|item| item.place.is_some()) else { return };
            self.in_memory -= item.entry.take().map_or(0, |entry| entry.len());
            self.evicted += 1;
        }
    }
}
