//! The one who writes the state: applies entries, and takes snapshots in their place.

use super::desk::{Done, Order, Writer};
use super::log_writer::LogOrder;
use crate::bell::Bell;
use crate::error::{MeshError, Result};
use crate::logged::{Applied, Logged};
use crate::mutant::Guard;
use crate::store::Store;
use openraft::AsyncRuntime;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::WeakUnboundedSender;

/// The state is flushed after so many entries, or bytes of them: until then the log has them.
const FLUSH_ENTRIES: usize = 5_000;
const FLUSH_BYTES: usize = 8 << 20;

/// What can be ordered.
pub(super) enum StateOrder {
    Apply(Vec<Logged>, Done<Vec<Vec<u8>>>),
    /// A snapshot's bytes in place of the state.
    Install(Box<dyn io::Read + Send>, Done<()>),
    /// The log may forget the entries up to this one, once the state on the disk has them. Not waited for.
    Purge(Applied),
    /// What was applied is flushed, for a member that ends in order: its next start has nothing to apply again.
    Flush(Done<()>),
}

impl Order for StateOrder {
    fn bytes(&self) -> usize {
        match self {
            Self::Apply(entries, _) => entries.iter().map(|logged| logged.entry.len()).sum(),
            _ => 0,
        }
    }

    fn fail(self, error: &MeshError) {
        match self {
            Self::Apply(_, done) => drop(done.send(Err(error.clone()))),
            Self::Install(_, done) | Self::Flush(done) => drop(done.send(Err(error.clone()))),
            Self::Purge(_) => {}
        }
    }
}

pub(super) struct StateWriter<R: AsyncRuntime> {
    store: Arc<Store>,
    /// Weak: it ends when nobody else gives orders.
    log: WeakUnboundedSender<LogOrder<R>>,
    applied: Applied,
    /// Told of it.
    told: Arc<Bell<u64>>,
    /// Up to where the state on the disk stands.
    flushed: Applied,
    entries: usize,
    bytes: usize,
    /// What the log wants to forget.
    purge: Option<Applied>,
}

impl<R: AsyncRuntime> Writer for StateWriter<R> {
    type Order = StateOrder;
    const NAME: &'static str = "mayfly-mesh-state";

    fn store(&self) -> &Store {
        &self.store
    }

    fn carry_out(&mut self, orders: &mut Vec<StateOrder>) -> Result<()> {
        while let Some(first) = orders.first_mut() {
            match first {
                StateOrder::Apply(..) => self.apply(orders)?,
                StateOrder::Install(bytes, _) => {
                    self.install(bytes)?;
                    if let StateOrder::Install(_, done) = orders.remove(0) {
                        let _ = done.send(Ok(())); // whoever asked may be gone
                    }
                }
                StateOrder::Flush(_) => {
                    self.flush()?;
                    if let StateOrder::Flush(done) = orders.remove(0) {
                        let _ = done.send(Ok(())); // whoever asked may be gone
                    }
                }
                StateOrder::Purge(upto) => {
                    let upto = *upto;
                    orders.remove(0);
                    self.purge(upto)?;
                }
            }
        }
        Ok(())
    }
}

impl<R: AsyncRuntime> StateWriter<R> {
    pub(super) fn new(store: Arc<Store>, log: WeakUnboundedSender<LogOrder<R>>, told: Arc<Bell<u64>>) -> Result<Self> {
        let applied = store.applied()?;
        Ok(Self { store, log, applied, told, flushed: applied, entries: 0, bytes: 0, purge: None })
    }

    /// Applies the entries of all orders up to the first of another kind.
    fn apply(&mut self, orders: &mut Vec<StateOrder>) -> Result<()> {
        let run = orders.iter().take_while(|order| matches!(order, StateOrder::Apply(..))).count();
        let mut applied = self.applied;
        for order in &orders[..run] {
            let StateOrder::Apply(entries, _) = order else { continue };
            self.entries += entries.len();
            self.bytes += order.bytes();
            applied = entries.last().map_or(applied, |logged| logged.at);
        }
        let is_due = self.entries >= FLUSH_ENTRIES || self.bytes >= FLUSH_BYTES || self.purge.is_some();
        let (answers, is_flushed) = self.store.write_together(|batch| {
            if is_due {
                batch.may_flush();
            }
            let applies = orders[..run].iter().map(|order| match order {
                StateOrder::Apply(entries, _) => batch.apply(entries),
                _ => Ok(Vec::new()), // the run has no others
            });
            applies.collect::<Result<Vec<_>>>()
        })?;
        self.applied = applied;
        self.note(is_flushed);
        for (order, answers) in orders.drain(..run).zip(answers) {
            if let StateOrder::Apply(_, done) = order {
                let _ = done.send(Ok(answers)); // whoever asked may be gone
            }
        }
        Ok(())
    }

    fn install(&mut self, bytes: &mut dyn io::Read) -> Result<()> {
        let ((), is_flushed) = self.store.write_together(|batch| batch.install(bytes))?;
        self.applied = self.store.applied()?;
        self.note(is_flushed);
        Ok(())
    }

    fn purge(&mut self, upto: Applied) -> Result<()> {
        self.purge = Some(upto);
        if self.store.left_out().is(Guard::FlushBeforePurge) {
            self.flushed = self.applied;
        } else if self.flushed.index < upto.index {
            self.flush()?;
        }
        self.release();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let ((), is_flushed) = self.store.write_together(|batch| {
            batch.may_flush();
            Ok(())
        })?;
        self.note(is_flushed);
        Ok(())
    }

    fn note(&mut self, is_flushed: bool) {
        self.told.set(|told| *told = self.applied.index);
        if is_flushed {
            (self.flushed, self.entries, self.bytes) = (self.applied, 0, 0);
            self.release();
        }
    }

    /// Tells the log what it may forget.
    fn release(&mut self) {
        if let Some(upto) = self.purge.take_if(|upto| upto.index <= self.flushed.index)
            && let Some(log) = self.log.upgrade()
        {
            let _ = log.send(LogOrder::Release(upto)); // it has ended, and the member with it
        }
    }
}
