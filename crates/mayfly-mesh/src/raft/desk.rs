//! One who writes, with what waits for it: everyone who waits at the same time shares a flush or a transaction.

use crate::error::{MeshError, Result};
use crate::store::Store;
use openraft::AsyncRuntime;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Orders that are carried out together, and bytes of entries in them: it bounds how long the first waits for the last.
const MAX_TOGETHER: usize = 1_000;
const MAX_BYTES_TOGETHER: usize = 4 << 20;

/// Where a member's disk is waited for.
#[derive(Clone)]
pub enum DiskWork {
    /// On threads beside the runtime's: one for each of those who write, and tokio's for readers.
    Threads,
    /// Between the runtime's other tasks, each lot of orders after a pause: for simulations on virtual time.
    Between(Arc<dyn Fn() -> Duration + Send + Sync>),
}

/// Who is told when an order is carried out.
pub(super) type Done<T> = oneshot::Sender<Result<T>>;

/// Something to be written.
pub(super) trait Order: Send + 'static {
    /// Bytes of entries in it.
    fn bytes(&self) -> usize;

    /// Tells whoever waits that it was not carried out, or that nobody knows.
    fn fail(self, error: &MeshError);
}

/// One who writes.
pub(super) trait Writer: Send + 'static {
    type Order: Order;
    /// The name of its thread.
    const NAME: &'static str;

    fn store(&self) -> &Store;

    /// Carries out orders, takes them out of the list and answers them. When it fails, those that are left are told so, and the member ends.
    fn carry_out(&mut self, orders: &mut Vec<Self::Order>) -> Result<()>;
}

/// Why a member ended, if its disk is the reason.
pub(super) type Ended = Arc<Mutex<Option<MeshError>>>;

/// An error for openraft, which ends the member.
pub(super) fn io_error(error: &MeshError) -> io::Error {
    io::Error::other(error.to_string())
}

/// Starts one who writes.
pub(super) fn start<R: AsyncRuntime, W: Writer>(
    writer: W,
    inbox: mpsc::UnboundedReceiver<W::Order>,
    ended: &Ended,
    work: &DiskWork,
) -> io::Result<()> {
    let desk = Desk { writer, inbox, ended: ended.clone() };
    match work {
        DiskWork::Threads => {
            std::thread::Builder::new().name(W::NAME.into()).spawn(move || desk.run())?;
        }
        DiskWork::Between(pause) => drop(R::spawn(desk.run_between::<R>(pause.clone()))),
    }
    Ok(())
}

/// One who writes, with what waits for it.
struct Desk<W: Writer> {
    writer: W,
    inbox: mpsc::UnboundedReceiver<W::Order>,
    ended: Ended,
}

impl<W: Writer> Desk<W> {
    fn run(mut self) {
        while let Some(first) = self.inbox.blocking_recv() {
            if !self.turn(first) {
                return;
            }
        }
    }

    async fn run_between<R: AsyncRuntime>(mut self, pause: Arc<dyn Fn() -> Duration + Send + Sync>) {
        while let Some(first) = self.inbox.recv().await {
            R::sleep(pause()).await;
            if !self.turn(first) {
                return;
            }
        }
    }

    /// Carries out the first order and those that wait by now. False when the member has ended.
    fn turn(&mut self, first: W::Order) -> bool {
        let mut orders = self.gather(first);
        let before = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match before.map_or_else(|| self.writer.carry_out(&mut orders), Err) {
            Ok(()) => true,
            Err(error) => self.end(orders, &error),
        }
    }

    fn gather(&mut self, first: W::Order) -> Vec<W::Order> {
        let mut bytes = first.bytes();
        let mut orders = vec![first];
        while orders.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER {
            let Ok(next) = self.inbox.try_recv() else { break };
            bytes += next.bytes();
            orders.push(next);
        }
        orders
    }

    /// Never tried again: after a failed flush the system may have dropped the pages and say yes to the next.
    fn end(&mut self, orders: Vec<W::Order>, error: &MeshError) -> bool {
        tracing::error!(%error, "the member ends");
        self.writer.store().forget_cached();
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        self.inbox.close();
        orders.into_iter().for_each(|order| order.fail(error));
        let stopped = MeshError::Stopped { reason: error.to_string() };
        while let Ok(order) = self.inbox.try_recv() {
            order.fail(&stopped);
        }
        false
    }
}
