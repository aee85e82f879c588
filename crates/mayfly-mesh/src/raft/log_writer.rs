//! The one who writes the log.

use super::desk::{Done, Order, Writer, io_error};
use super::types::Types;
use crate::ballot::Ballot;
use crate::error::{MeshError, Result};
use crate::log::Log;
use crate::logged::{Applied, Logged};
use crate::store::Store;
use openraft::AsyncRuntime;
use openraft::storage::IOFlushed;
use std::sync::Arc;
use std::time::Instant;

/// What can be ordered.
pub(super) enum LogOrder<R: AsyncRuntime> {
    Append(Vec<Logged>, IOFlushed<Types<R>>),
    Vote(Ballot, Done<()>),
    /// The entries after this one are forgotten.
    Truncate(Applied, Done<()>),
    /// The state on the disk has the entries up to this one. Not waited for, as the next: when it is on the disk makes no difference.
    Release(Applied),
    Committed(Applied),
    /// What was given so is to be written now. Not waited for.
    Note,
}

impl<R: AsyncRuntime> Order for LogOrder<R> {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(entries, _) => entries.iter().map(|logged| logged.entry.len()).sum(),
            _ => 0,
        }
    }

    fn fail(self, error: &MeshError) {
        match self {
            Self::Append(_, flushed) => flushed.io_completed(Err(io_error(error))),
            Self::Vote(_, done) | Self::Truncate(_, done) => drop(done.send(Err(error.clone()))),
            Self::Release(_) | Self::Committed(_) | Self::Note => {}
        }
    }
}

pub(super) struct LogWriter<R> {
    log: Log,
    store: Arc<Store>,
    runtime: std::marker::PhantomData<fn() -> R>,
}

impl<R> LogWriter<R> {
    pub(super) fn new(log: Log, store: Arc<Store>) -> Self {
        Self { log, store, runtime: std::marker::PhantomData }
    }
}

impl<R: AsyncRuntime> Writer for LogWriter<R> {
    type Order = LogOrder<R>;
    const NAME: &'static str = "mayfly-mesh-log";

    fn store(&self) -> &Store {
        &self.store
    }

    fn carry_out(&mut self, orders: &mut Vec<LogOrder<R>>) -> Result<()> {
        let mut change = self.log.change();
        for order in orders.iter_mut() {
            match order {
                LogOrder::Append(entries, _) => change.append(std::mem::take(entries))?,
                LogOrder::Vote(ballot, _) => change.vote(*ballot),
                LogOrder::Truncate(after, _) => change.truncate(*after),
                LogOrder::Release(upto) => change.release(*upto),
                LogOrder::Committed(at) => change.committed(*at),
                LogOrder::Note => change.note(),
            }
        }
        let begun = Instant::now();
        if self.log.write(change)? {
            self.store.times().flushes.add(begun.elapsed());
        }
        for order in orders.drain(..) {
            match order {
                LogOrder::Append(_, flushed) => flushed.io_completed(Ok(())),
                LogOrder::Vote(_, done) | LogOrder::Truncate(_, done) => drop(done.send(Ok(()))),
                LogOrder::Release(_) | LogOrder::Committed(_) | LogOrder::Note => {}
            }
        }
        Ok(())
    }
}
