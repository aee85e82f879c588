//! One transaction of the one who writes: everything that waited, in its order.

use super::{Store, applied_in, log, note};
use crate::entry::{Entry, Tag};
use crate::error::{MeshError, Result};
use crate::kv::{self, Most, Removal};
use crate::logged::{Applied, Logged};
use crate::module::Fault;
use crate::mutant::Guard;
use crate::store::APPLIED;
use redb::{Database, Durability, WriteTransaction};
use std::sync::RwLockReadGuard;
use std::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    No,
    May,
    Must,
}

/// Entries of one module that follow each other.
type Run<'e> = Option<(Tag, Vec<(Applied, &'e [u8])>)>;

/// Changes that are made together or not at all.
pub(crate) struct Batch<'s> {
    store: &'s Store,
    transaction: WriteTransaction,
    /// The file is not made shorter before this is over.
    database: RwLockReadGuard<'s, Database>,
    /// Where the state stands after it, if that changes.
    moved: Option<Applied>,
    flush: Flush,
    /// The applied index, where a test keeps it apart from its effect.
    apart: Option<Applied>,
}

impl<'s> Batch<'s> {
    pub(super) fn begin(store: &'s Store) -> Result<Self> {
        let database = store.database();
        let transaction = database.begin_write().map_err(|e| store.failed("write", e.into()))?;
        Ok(Self { store, transaction, database, moved: None, flush: Flush::No, apart: None })
    }

    /// Applies entries that follow on the last one, and moves the applied index.
    pub(crate) fn apply(&mut self, entries: &[Logged]) -> Result<Vec<Vec<u8>>> {
        let fail = |fault| self.store.failed("write", fault);
        let mut applied = {
            let table = self.transaction.open_table(APPLIED).map_err(|e| fail(e.into()))?;
            applied_in(&table).map_err(fail)?
        };
        applied = self.apart.unwrap_or(applied);
        let mut answers = Vec::with_capacity(entries.len());
        let mut run: Run<'_> = None;
        for Logged { at, entry } in entries {
            if at.index != applied.index + 1 || at.term < applied.term {
                let what = format!("it does not follow on entry {} of term {}", applied.index, applied.term);
                return Err(MeshError::UnreadableEntry { index: at.index, what });
            }
            let unreadable = |what| MeshError::UnreadableEntry { index: at.index, what };
            let (tag, payload) = Entry::decode(entry).map_err(unreadable)?;
            match &mut run {
                Some((of, run)) if *of == tag => run.push((*at, payload)),
                other => answers.extend(self.apply_run(other.replace((tag, vec![(*at, payload)])))?),
            }
            applied = *at;
        }
        answers.extend(self.apply_run(run)?);
        if self.store.left_out.is(Guard::IndexWithEffect) {
            self.apart = Some(applied);
        } else {
            note(&self.transaction, applied).map_err(fail)?;
        }
        self.moved = Some(applied);
        Ok(answers)
    }

    fn apply_run(&self, run: Run<'_>) -> Result<Vec<Vec<u8>>> {
        let Some((tag, entries)) = run else { return Ok(Vec::new()) };
        let unreadable = |i: usize, what| MeshError::UnreadableEntry { index: entries[i].0.index, what };
        let module = self.store.module(tag).ok_or_else(|| unreadable(0, format!("no module has the tag {}", tag.0)))?;
        module.apply_all(&self.transaction, &entries).map_err(|(i, fault)| match fault {
            Fault::Unreadable(what) => unreadable(i, what),
            fault => self.store.failed("write", fault),
        })
    }

    /// What is in it, and what came before, must be on the disk when [`Self::commit`] returns.
    pub(super) fn must_flush(&mut self) {
        self.flush = Flush::Must;
    }

    /// It is time for a flush, unless the log beside the database is behind: the state on the disk is never ahead of the log there, although an
    /// entry may be applied, because others have it, before it is flushed here.
    pub(crate) fn may_flush(&mut self) {
        if self.flush == Flush::No {
            self.flush = Flush::May;
        }
    }

    /// Removes some of what is gone; the last of it is flushed.
    pub(super) fn remove_history(&mut self, most: Most) -> Result<Removal> {
        let removal = kv::remove(&self.transaction, most).map_err(|fault| self.store.failed("write", fault))?;
        if removal == Removal::Done {
            self.may_flush();
        }
        Ok(removal)
    }

    /// Takes a snapshot of the same cluster in place of the state.
    pub(crate) fn install(&mut self, input: &mut dyn std::io::Read) -> Result<()> {
        self.must_flush(); // it says where the log begins anew, so that this may be ahead of it
        self.apart = None;
        let at = self.store.take(&self.transaction, input).map_err(|fault| self.store.not_taken(fault))?;
        self.moved = Some(at);
        log::note_base(&self.transaction, at).map_err(|fault| self.store.failed("write", fault))
    }

    /// Makes the changes visible, and flushes them to the disk where something in them asks for it; the others follow with the next flush.
    /// Were they flushed?
    pub(crate) fn commit(mut self) -> Result<bool> {
        let store = self.store;
        let fail = |fault| store.failed("write", fault);
        let begun = Instant::now();
        let is_flushed = match self.flush {
            Flush::No => false,
            Flush::May => store.log_has(self.moved.unwrap_or(store.applied()?)),
            Flush::Must => true,
        };
        if !is_flushed {
            let set = self.transaction.set_durability(Durability::None);
            set.map_err(|e| fail(Fault::Damaged(e.to_string())))?;
        }
        self.transaction.commit().map_err(|e| fail(e.into()))?;
        drop(self.database);
        // Where there is a log, its flushes are those that clients wait for.
        store.times.committed(is_flushed && store.shelf.get().is_none(), begun.elapsed());
        if let Some(applied) = self.apart {
            store.transact(|transaction| note(transaction, applied))?;
        }
        if let Some(applied) = self.moved {
            store.set_applied(applied);
        }
        Ok(is_flushed)
    }
}
