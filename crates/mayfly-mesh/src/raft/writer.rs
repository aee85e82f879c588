//! The one who writes to a member's database. Everyone who waits at the same time shares a transaction and a flush.

use super::types::Types;
use crate::error::{MeshError, Result};
use crate::lease::Clock;
use crate::logged::{Applied, Logged};
use crate::store::log::Ballot;
use crate::store::{Batch, Store};
use openraft::AsyncRuntime;
use openraft::storage::IOFlushed;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Orders of one transaction, and bytes of entries in them: it bounds how long the first waits for the last.
const MAX_TOGETHER: usize = 1_000;
const MAX_BYTES_TOGETHER: usize = 8 << 20;

/// Where a member's disk is waited for.
#[derive(Clone)]
pub enum DiskWork {
    /// On threads beside the runtime's: a thread for the one who writes, and tokio's for readers.
    Threads,
    /// Between the runtime's other tasks, each transaction after a pause: for simulations on virtual time.
    Between(Arc<dyn Fn() -> Duration + Send + Sync>),
}

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

/// Who is told when an order is carried out.
type Done<T> = oneshot::Sender<Result<T>>;

/// What can be ordered.
pub(super) enum Order<R: AsyncRuntime> {
    Append(Vec<Logged>, IOFlushed<Types<R>>),
    Vote(Ballot, Done<()>),
    /// The entries after this index are forgotten.
    Truncate(u64, Done<()>),
    /// Not waited for: whether they are gone makes no difference.
    Purge(Applied),
    Committed(Applied),
    Apply(Vec<Logged>, Done<Vec<Vec<u8>>>),
    /// A snapshot's bytes in place of the state.
    Install(Box<dyn io::Read + Send>, Done<()>),
}

/// Entries that were ordered and are not in the database yet: the log's readers see them.
#[derive(Default)]
pub(super) struct Unwritten(Mutex<BTreeMap<u64, Logged>>);

impl Unwritten {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Logged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to the one who writes. When the last is gone, it ends after what was ordered.
pub(super) struct Orders<R: AsyncRuntime> {
    to: mpsc::UnboundedSender<Order<R>>,
    pub(super) store: Arc<Store>,
    pub(super) unwritten: Arc<Unwritten>,
    pub(super) work: DiskWork,
    ended: Arc<Mutex<Option<MeshError>>>,
}

impl<R: AsyncRuntime> Clone for Orders<R> {
    fn clone(&self) -> Self {
        let Self { to, store, unwritten, work, ended } = self;
        Self {
            to: to.clone(),
            store: store.clone(),
            unwritten: unwritten.clone(),
            work: work.clone(),
            ended: ended.clone(),
        }
    }
}

impl<R: AsyncRuntime> Orders<R> {
    /// Starts the one who writes.
    pub(super) fn start(store: Arc<Store>, work: DiskWork) -> Result<Self> {
        let (to, inbox) = mpsc::unbounded_channel(); // openraft bounds what it has under way
        let (unwritten, ended) = (Arc::default(), Arc::default());
        let writer =
            Writer { store: store.clone(), inbox, unwritten: Arc::clone(&unwritten), ended: Arc::clone(&ended) };
        match &work {
            DiskWork::Threads => {
                let spawned = std::thread::Builder::new().name("mayfly-mesh".into()).spawn(move || writer.run());
                spawned.map_err(|e| no_thread(&store, &e))?;
            }
            DiskWork::Between(pause) => drop(R::spawn(writer.run_between(pause.clone()))),
        }
        Ok(Self { to, store, unwritten, work, ended })
    }

    pub(super) fn give(&self, order: Order<R>) {
        if let Err(mpsc::error::SendError(order)) = self.to.send(order) {
            order.fail(&self.stopped());
        }
    }

    /// Orders something, and waits until it is carried out.
    pub(super) async fn wait<T>(&self, order: impl FnOnce(Done<T>) -> Order<R>) -> Result<T> {
        let (done, outcome) = oneshot::channel();
        self.give(order(done));
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

/// An error for openraft, which ends the member.
pub(super) fn io_error(error: &MeshError) -> io::Error {
    io::Error::other(error.to_string())
}

impl<R: AsyncRuntime> Order<R> {
    fn fail(self, error: &MeshError) {
        let error = error.clone();
        match self {
            Self::Append(_, flushed) => flushed.io_completed(Err(io_error(&error))),
            Self::Vote(_, done) | Self::Truncate(_, done) | Self::Install(_, done) => drop(done.send(Err(error))),
            Self::Apply(_, done) => drop(done.send(Err(error))),
            Self::Purge(_) | Self::Committed(_) => {}
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Append(entries, _) | Self::Apply(entries, _) => entries.iter().map(|logged| logged.entry.len()).sum(),
            _ => 0,
        }
    }
}

struct Writer<R: AsyncRuntime> {
    store: Arc<Store>,
    inbox: mpsc::UnboundedReceiver<Order<R>>,
    unwritten: Arc<Unwritten>,
    ended: Arc<Mutex<Option<MeshError>>>,
}

impl<R: AsyncRuntime> Writer<R> {
    fn run(mut self) {
        while let Some(first) = self.inbox.blocking_recv() {
            if !self.turn(first) {
                return;
            }
        }
    }

    async fn run_between(mut self, pause: Arc<dyn Fn() -> Duration + Send + Sync>) {
        while let Some(first) = self.inbox.recv().await {
            R::sleep(pause()).await;
            if !self.turn(first) {
                return;
            }
        }
    }

    /// Carries out the first order and those that wait by now. False when the member has ended.
    fn turn(&mut self, first: Order<R>) -> bool {
        let mut orders = self.gather(first);
        let written = self
            .store
            .write_together(|batch| orders.iter_mut().map(|order| carry_out(batch, order)).collect::<Result<Vec<_>>>());
        match written {
            Ok(answers) => {
                orders.into_iter().zip(answers).for_each(|(order, answers)| self.report(order, answers));
                true
            }
            Err(error) => self.end(orders, &error),
        }
    }

    fn gather(&mut self, first: Order<R>) -> Vec<Order<R>> {
        let mut bytes = first.bytes();
        let mut orders = vec![first];
        while orders.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER {
            let Ok(next) = self.inbox.try_recv() else { break };
            bytes += next.bytes();
            orders.push(next);
        }
        orders
    }

    fn report(&self, order: Order<R>, answers: Vec<Vec<u8>>) {
        match order {
            Order::Append(entries, flushed) => {
                let mut unwritten = self.unwritten.lock();
                for logged in entries {
                    if unwritten.get(&logged.at.index).is_some_and(|other| other.at == logged.at) {
                        unwritten.remove(&logged.at.index);
                    }
                }
                drop(unwritten);
                flushed.io_completed(Ok(()));
            }
            Order::Vote(_, done) | Order::Truncate(_, done) => drop(done.send(Ok(()))),
            Order::Apply(_, done) => drop(done.send(Ok(answers))),
            Order::Install(_, done) => drop(done.send(Ok(()))),
            Order::Purge(_) | Order::Committed(_) => {}
        }
    }

    /// Never tried again: after a failed flush the system may have dropped the pages and say yes to the next.
    fn end(&mut self, orders: Vec<Order<R>>, error: &MeshError) -> bool {
        tracing::error!(%error, "the member ends");
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        self.inbox.close();
        orders.into_iter().for_each(|order| order.fail(error));
        let stopped = MeshError::Stopped { reason: error.to_string() };
        while let Ok(order) = self.inbox.try_recv() {
            order.fail(&stopped);
        }
        false
    }
}

fn carry_out<R: AsyncRuntime>(batch: &mut Batch<'_>, order: &mut Order<R>) -> Result<Vec<Vec<u8>>> {
    match order {
        Order::Append(entries, _) => batch.append(entries)?,
        Order::Vote(ballot, _) => batch.vote(*ballot)?,
        Order::Truncate(after, _) => batch.truncate(*after)?,
        Order::Purge(upto) => batch.purge(*upto)?,
        Order::Committed(at) => batch.committed(*at)?,
        Order::Apply(entries, _) => return batch.apply(entries),
        Order::Install(bytes, _) => batch.install(bytes)?,
    }
    Ok(Vec::new())
}
