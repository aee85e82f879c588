//! Orders to those who write: one for the log and one for the state.

use super::desk::{DiskWork, Done, Ended, Order, start};
use super::log_writer::{LogOrder, LogWriter};
use super::state_writer::{StateOrder, StateWriter};
use crate::bell::Bell;
use crate::error::{MeshError, Result};
use crate::lease::Clock;
use crate::log::Shelf;
use crate::store::Store;
use openraft::AsyncRuntime;
use std::io;
use std::sync::{Arc, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// What a member needs of the machine that it runs on.
#[derive(Clone)]
pub struct Surroundings {
    /// Where its disk is waited for.
    pub work: DiskWork,
    /// What measures the time of leases.
    pub clock: Clock,
}

impl Default for Surroundings {
    /// Threads, and the system's monotonic clock.
    fn default() -> Self {
        Self { work: DiskWork::Threads, clock: Clock::default() }
    }
}

/// A way to those who write. When the last is gone, they end after what was ordered.
pub(super) struct Orders<R: AsyncRuntime> {
    log: mpsc::UnboundedSender<LogOrder<R>>,
    state: mpsc::UnboundedSender<StateOrder>,
    pub(super) store: Arc<Store>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) work: DiskWork,
    /// The last entry that is applied.
    pub(super) applied: Arc<Bell<u64>>,
    ended: Ended,
}

impl<R: AsyncRuntime> Clone for Orders<R> {
    fn clone(&self) -> Self {
        let Self { log, state, store, shelf, work, applied, ended } = self;
        Self {
            log: log.clone(),
            state: state.clone(),
            store: store.clone(),
            shelf: shelf.clone(),
            work: work.clone(),
            applied: applied.clone(),
            ended: ended.clone(),
        }
    }
}

impl<R: AsyncRuntime> Orders<R> {
    /// Opens the log, and starts those who write.
    pub(super) fn start(store: Arc<Store>, work: DiskWork) -> Result<Self> {
        let log = store.open_log()?;
        let (shelf, ended) = (log.shelf(), Ended::default());
        let start_log = |inbox| start::<R, _>(LogWriter::new(log, store.clone()), inbox, &ended, &work);
        let (log, inbox) = mpsc::unbounded_channel(); // openraft bounds what it has under way
        start_log(inbox).map_err(|e| no_thread(&store, &e))?;
        let (state, inbox) = mpsc::unbounded_channel();
        let applied = Arc::new(Bell::new(store.applied()?.index));
        let writer = StateWriter::new(store.clone(), log.downgrade(), applied.clone());
        start::<R, _>(writer?, inbox, &ended, &work).map_err(|e| no_thread(&store, &e))?;
        Ok(Self { log, state, store, shelf, work, applied, ended })
    }

    pub(super) fn log(&self, order: LogOrder<R>) {
        if let Err(mpsc::error::SendError(order)) = self.log.send(order) {
            order.fail(&self.stopped());
        }
    }

    pub(super) fn state(&self, order: StateOrder) {
        if let Err(mpsc::error::SendError(order)) = self.state.send(order) {
            order.fail(&self.stopped());
        }
    }

    /// Waits until an order is carried out.
    pub(super) async fn wait<T>(&self, give: impl FnOnce(Done<T>)) -> Result<T> {
        let (done, outcome) = oneshot::channel();
        give(done);
        outcome.await.map_err(|_| self.stopped())?
    }

    /// Waits for the disk where that holds nobody up.
    pub(super) async fn aside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        match self.work {
            DiskWork::Between(_) => Ok(act()),
            DiskWork::Threads => tokio::task::spawn_blocking(act).await.map_err(|_| self.stopped()),
        }
    }

    /// Reads from the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        self.aside(move || act(&store)).await?
    }

    /// Why the member ended, if its disk is the reason.
    pub(super) fn ended(&self) -> Option<MeshError> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stopped(&self) -> MeshError {
        let reason = self.ended().map_or("it was closed".into(), |error| error.to_string());
        MeshError::Stopped { reason }
    }
}

fn no_thread(store: &Store, error: &io::Error) -> MeshError {
    MeshError::Disk { action: "start the writer of", path: store.path().into(), reason: error.to_string() }
}
