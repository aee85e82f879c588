//! The log of a member that keeps one with others: entries in the order in which they are to be applied, and what it voted. Files beside the database,
//! written at the end only, so that a flush writes what is new and nothing else.

mod disk;
mod frame;
mod open;
mod shelf;
#[cfg(test)]
mod tests;

pub(crate) use disk::Folder;
pub use disk::{LogDisk, SlotFile};
#[cfg(test)]
pub(crate) use frame::written;
pub(crate) use frame::{Key, Known, reads_again};
pub(crate) use shelf::{OnShelf, Shelf};

use crate::ballot::Ballot;
use crate::error::{MeshError, Result};
use crate::logged::{Applied, Logged};
use crate::mutant::{Guard, LeftOut};
use frame::Row;
use shelf::Place;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// The one who writes a log.
#[derive(Debug)]
pub(crate) struct Log {
    key: Key,
    disk: Arc<dyn LogDisk>,
    slots: BTreeMap<u32, Slot>,
    /// Where the next frame is put.
    slot: u32,
    offset: u64,
    seq: u64,
    known: Known,
    /// What the newest frame on the disk says: slots with nothing beyond it are free.
    purged: Applied,
    last: Applied,
    shelf: Arc<Shelf>,
    left_out: LeftOut,
}

#[derive(Debug)]
struct Slot {
    file: Arc<SlotFile>,
    bytes: u64,
    /// The last entry that was ever written into it, since it was free.
    last: u64,
}

/// What is to be written at once.
#[derive(Debug)]
pub(crate) struct Change {
    after: Applied,
    entries: Vec<Logged>,
    known: Known,
    /// Something in it counts only once it is on the disk.
    is_due: bool,
}

impl Change {
    pub(crate) fn append(&mut self, entries: Vec<Logged>) -> Result<()> {
        let last = self.last();
        if let Some(first) = entries.first().filter(|first| first.at.index != last.index + 1) {
            let what = format!("it does not follow on entry {} of the log", last.index);
            return Err(MeshError::UnreadableEntry { index: first.at.index, what });
        }
        self.entries.extend(entries);
        self.is_due = true;
        Ok(())
    }

    fn last(&self) -> Applied {
        self.entries.last().map_or(self.after, |logged| logged.at)
    }

    /// The log ends here.
    pub(crate) fn truncate(&mut self, after: Applied) {
        self.entries.retain(|logged| logged.at.index <= after.index);
        if after.index < self.after.index {
            self.after = after;
        }
        self.is_due = true;
    }

    pub(crate) fn vote(&mut self, ballot: Ballot) {
        self.known.vote = Some(ballot);
        self.is_due = true;
    }

    /// Not waited for, as the next.
    pub(crate) fn committed(&mut self, at: Applied) {
        self.known.committed = at;
    }

    /// What is known is written, even if nothing else is.
    pub(crate) fn note(&mut self) {
        self.is_due = true;
    }

    /// The entries up to this one are in the state that is on the disk. Where the log ends before it, it begins anew there.
    pub(crate) fn release(&mut self, upto: Applied) {
        if upto.index > self.known.purged.index {
            self.known.purged = upto;
        }
        if upto.index > self.last().index {
            self.entries.clear();
            self.after = upto;
        }
    }
}

impl Log {
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.clone()
    }

    /// A change to what is there.
    pub(crate) fn change(&self) -> Change {
        Change { after: self.last, entries: Vec::new(), known: self.known, is_due: false }
    }

    /// Writes a change. What must be on the disk is there when this returns; when it fails, nobody knows what is, and the member must end.
    /// Was there something?
    pub(crate) fn write(&mut self, change: Change) -> Result<bool> {
        let Change { after, entries, known, is_due } = change;
        let vote = if self.left_out.is(Guard::KeptVote) { self.known.vote } else { known.vote };
        self.known = Known { vote, ..known };
        self.last = after;
        if !is_due {
            return Ok(false);
        }
        let mut rest = &entries[..];
        loop {
            // A frame is flushed before the next one is written: so only the last one can be torn.
            let now;
            (now, rest) = rest.split_at(self.fitting(rest));
            self.put(now)?;
            if rest.is_empty() {
                return Ok(true);
            }
        }
    }

    /// How many entries fit into one frame: at least one.
    fn fitting(&self, entries: &[Logged]) -> usize {
        let most = self.disk.slot_bytes();
        let mut bytes = frame::bytes_of(std::iter::empty());
        let fit = entries.iter().take_while(|logged| {
            bytes += frame::bytes_of(std::iter::once(logged.entry.len()));
            bytes <= most
        });
        fit.count().max(1).min(entries.len())
    }

    /// Writes and flushes a frame.
    fn put(&mut self, entries: &[Logged]) -> Result<()> {
        let after = self.last;
        let last = entries.last().map_or(after, |logged| logged.at);
        let (bytes, rows) = frame::encode(&self.key, self.seq, after, self.known, entries);
        self.make_room(bytes.len() as u64)?;
        let (number, offset) = (self.slot, self.offset);
        let fail = |e: io::Error| self.failed("write", number, &e);
        let Some(slot) = self.slots.get(&number) else { return Err(fail(io::ErrorKind::NotFound.into())) };
        slot.file.write(offset, &bytes).map_err(fail)?;
        if !self.left_out.is(Guard::FlushBeforeAck) {
            slot.file.sync_data().map_err(fail)?;
        }
        self.last = last;
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.last = slot.last.max(self.last.index);
        }
        self.offset += bytes.len() as u64;
        self.seq += 1;
        self.purged = self.known.purged;
        self.shelf.note(self.known);
        let place = |row: Row| Place { slot: number, row: Row { offset: offset + row.offset, ..row } };
        self.shelf.settle(after.index, rows.into_iter().map(place));
        Ok(())
    }

    /// Moves on to another slot where this one has no room left for so many bytes.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        if self.slots.get(&self.slot).is_some_and(|slot| self.offset + bytes <= slot.bytes) {
            return Ok(());
        }
        let (current, purged) = (self.slot, self.purged.index);
        let free = |(&number, slot): (&u32, &Slot)| (number != current && slot.last <= purged).then_some(number);
        let mut free: Vec<u32> = self.slots.iter().filter_map(free).collect();
        let fits = |number: &u32| self.slots.get(number).is_some_and(|slot| slot.bytes >= bytes);
        let number = match free.iter().position(fits) {
            Some(found) => free.swap_remove(found),
            None => self.make_slot(bytes)?,
        };
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.last = 0;
        }
        (self.slot, self.offset) = (number, 0);
        self.give_back(&free)
    }

    fn make_slot(&mut self, bytes: u64) -> Result<u32> {
        let number = self.slots.last_key_value().map_or(0, |(last, _)| last + 1);
        let bytes = bytes.max(self.disk.slot_bytes());
        let file = self.disk.make(number, bytes).map_err(|e| self.failed("make", number, &e))?;
        self.take_slot(number, file, bytes, 0);
        Ok(number)
    }

    fn take_slot(&mut self, number: u32, file: SlotFile, bytes: u64, last: u64) {
        let file = Arc::new(file);
        self.shelf.know(number, file.clone());
        self.slots.insert(number, Slot { file, bytes, last });
    }

    /// Of the slots that are free, one is kept for later.
    fn give_back(&mut self, free: &[u32]) -> Result<()> {
        let usual = self.disk.slot_bytes();
        let kept = free.iter().find(|number| self.slots.get(number).is_some_and(|slot| slot.bytes == usual)).copied();
        for &number in free.iter().filter(|number| Some(**number) != kept) {
            self.slots.remove(&number);
            self.shelf.forget(number);
            self.disk.remove(number).map_err(|e| self.failed("remove", number, &e))?;
        }
        Ok(())
    }

    fn failed(&self, action: &'static str, slot: u32, error: &io::Error) -> MeshError {
        MeshError::Disk { action, path: self.disk.path(slot), reason: error.to_string() }
    }
}
