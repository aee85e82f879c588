//! Finding a log again.

use super::Log;
use super::disk::{LogDisk, SlotFile};
use super::frame::{BLOCK, Frame, Key, Known, Row, decode};
use super::shelf::{Place, Shelf};
use crate::error::{MeshError, Result};
use crate::logged::Applied;
use crate::mutant::LeftOut;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

struct Found {
    slot: u32,
    offset: u64,
    frame: Frame,
}

impl Log {
    /// Begins a log; slots that lie there are free.
    pub(crate) fn begin(disk: Arc<dyn LogDisk>, key: Key, known: Known, left_out: LeftOut) -> Result<Self> {
        let mut log = Self::empty(disk, key, left_out);
        log.look_through()?;
        log.known = known;
        log.restart(known.purged);
        let mut change = log.change();
        change.is_due = true;
        log.write(change)?;
        Ok(log)
    }

    /// Finds a log again; none where there is no frame of it.
    pub(crate) fn open(disk: Arc<dyn LogDisk>, key: Key, left_out: LeftOut) -> Result<Option<Self>> {
        let mut log = Self::empty(disk, key, left_out);
        let mut found = log.look_through()?;
        found.sort_by_key(|found| found.frame.seq);
        let Some(newest) = found.last() else { return Ok(None) };
        log.known = newest.frame.known;
        log.purged = newest.frame.known.purged;
        log.shelf.note(log.known);
        log.go_on_after(newest)?;
        log.collect(&found)?;
        Ok(Some(log))
    }

    /// The state that is on the disk has all up to an entry, in the place of what the log says of it.
    pub(crate) fn restart(&mut self, at: Applied) {
        self.shelf.reset(at);
        self.last = at;
        self.known.purged = at;
    }

    fn empty(disk: Arc<dyn LogDisk>, key: Key, left_out: LeftOut) -> Self {
        Self {
            key,
            shelf: Arc::new(Shelf::new(key, disk.clone())),
            disk,
            slots: BTreeMap::new(),
            slot: 0,
            offset: 0,
            seq: 1,
            known: Known::default(),
            purged: Applied::NONE,
            last: Applied::NONE,
            left_out,
        }
    }

    /// Opens all slots, and finds their frames.
    fn look_through(&mut self) -> Result<Vec<Found>> {
        let slots = self.disk.slots().map_err(|e| self.failed("list", 0, &e))?;
        let mut found = Vec::new();
        for number in slots {
            let fail = |e: io::Error| self.failed("read", number, &e);
            let file = self.disk.open(number).map_err(fail)?;
            let bytes = file.len().map_err(fail)?;
            let frames = frames_of(&self.key, &file, bytes).map_err(fail)?;
            let last = frames.iter().map(|(_, frame)| frame.after.index + frame.rows.len() as u64).max().unwrap_or(0);
            found.extend(frames.into_iter().map(|(offset, frame)| Found { slot: number, offset, frame }));
            self.take_slot(number, file, bytes, last);
        }
        Ok(found)
    }

    /// Writes the newest frame once more: whether it was flushed, only whoever wrote it knew, and it may be in the system's memory alone.
    fn go_on_after(&mut self, newest: &Found) -> Result<()> {
        let Found { slot: number, offset, frame } = newest;
        let fail = |e: io::Error| self.failed("write", *number, &e);
        if let Some(slot) = self.slots.get(number) {
            let mut bytes = vec![0; usize::try_from(frame.bytes).unwrap_or(0)]; // it was read already
            slot.file.read(*offset, &mut bytes).map_err(fail)?;
            slot.file.write(*offset, &bytes).map_err(fail)?;
            slot.file.sync_data().map_err(fail)?;
        }
        (self.slot, self.offset, self.seq) = (*number, offset + frame.bytes, frame.seq + 1);
        Ok(())
    }

    /// Brings the entries that frames have into their order. Only frames that follow on each other count; what was lost before them must have been
    /// purged.
    fn collect(&mut self, found: &[Found]) -> Result<()> {
        let mut first = found.len() - 1;
        while first > 0 && found[first - 1].frame.seq + 1 == found[first].frame.seq {
            first -= 1;
        }
        let damaged = |found: &Found, what: String| MeshError::Damaged { path: self.disk.path(found.slot), what };
        self.shelf.reset(found[first].frame.after);
        for found in &found[first..] {
            let Frame { after, known, rows, .. } = &found.frame;
            self.shelf.truncate(after.index);
            let (before, last) = self.shelf.ends();
            // A snapshot took the place of what was there, or what was there before is not known any more.
            if last != *after && (known.purged.index >= after.index || before.index > after.index) {
                self.shelf.reset(*after);
            }
            if self.shelf.ends().1 != *after {
                let what =
                    format!("the frame at byte {} follows on entry {}, which it lacks", found.offset, after.index);
                return Err(damaged(found, what));
            }
            for row in rows {
                let row = Row { offset: found.offset + row.offset, ..*row };
                self.shelf.append_found(Place { slot: found.slot, row });
            }
        }
        let (before, last) = self.shelf.ends();
        let purged = self.known.purged;
        if before.index > purged.index || purged.index > last.index || !self.shelf.has(purged) {
            let oldest = &found[first];
            let what = format!(
                "before its frame {} at byte {} there is none that can be read, and entries after {} are missing",
                oldest.frame.seq, oldest.offset, purged.index
            );
            return Err(damaged(oldest, what));
        }
        self.shelf.purge(purged);
        self.last = self.shelf.ends().1;
        Ok(())
    }
}

/// The frames of a slot and where they are. Within a frame that is whole, none is looked for.
fn frames_of(key: &Key, file: &SlotFile, bytes: u64) -> io::Result<Vec<(u64, Frame)>> {
    let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read(0, &mut content)?;
    let (mut frames, mut offset) = (Vec::new(), 0);
    while let Some(rest) =
        usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).filter(|r| !r.is_empty())
    {
        let frame = decode(key, rest);
        let next = offset + frame.as_ref().map_or(BLOCK, |frame| frame.bytes);
        frames.extend(frame.map(|frame| (offset, frame)));
        offset = next;
    }
    Ok(frames)
}
