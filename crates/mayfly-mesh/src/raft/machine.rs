//! openraft's state machine: the modules, applied by the one who writes the state; and snapshots, which are views of the database.

use super::codec::{id_of, logged, stored_from};
use super::desk::io_error;
use super::orders::Orders;
use super::spool::Spool;
use super::state_writer::StateOrder;
use super::types::{Id, LogEntry, SnapshotMeta, StoredMembers, Types};
use crate::store::{Store, View};
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{AsyncRuntime, OptionalSend, Snapshot};
use std::io;
use std::sync::Arc;

/// Entries that are applied in one order.
const MAX_TOGETHER: usize = 1_000;

pub(super) struct Machine<R: AsyncRuntime> {
    orders: Orders<R>,
}

/// A snapshot: of this member's state, or received from another.
pub(super) enum State {
    Here(Arc<Store>, Box<View>),
    Received(Box<Spool>),
}

pub(super) type SnapshotOf =
    Snapshot<<Id as openraft::log_id::RaftLogId>::CommittedLeaderId, u64, super::types::Seat, State>;

impl<R: AsyncRuntime> Machine<R> {
    pub(super) fn new(orders: Orders<R>) -> Self {
        Self { orders }
    }
}

/// The state as it is now; none before the first entry.
async fn current<R: AsyncRuntime>(orders: &Orders<R>) -> io::Result<Option<SnapshotOf>> {
    let view = orders.read(Store::view).await.map_err(|e| io_error(&e))?;
    let Some(last_log_id) = id_of(view.applied) else { return Ok(None) };
    let last_membership = stored_from(view.membership.clone()).map_err(io::Error::other)?;
    let meta = SnapshotMeta { last_log_id: Some(last_log_id), last_membership };
    Ok(Some(Snapshot { meta, snapshot: State::Here(orders.store.clone(), Box::new(view)) }))
}

impl<R: AsyncRuntime> RaftStateMachine<Types<R>> for Machine<R> {
    type SnapshotData = State;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<Id>, StoredMembers)> {
        let view = self.orders.read(Store::view).await.map_err(|e| io_error(&e))?;
        Ok((id_of(view.applied), stored_from(view.membership).map_err(io::Error::other)?))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types<R>>>> + Unpin + OptionalSend,
    {
        let mut parts = entries.ready_chunks(MAX_TOGETHER);
        while let Some(part) = parts.next().await {
            let part: Vec<(LogEntry, Option<ApplyResponder<Types<R>>>)> =
                part.into_iter().collect::<io::Result<_>>()?;
            let (entries, who): (Vec<_>, Vec<_>) = part.into_iter().unzip();
            let entries = entries.into_iter().map(logged).collect();
            let applied = self.orders.wait(|done| self.orders.state(StateOrder::Apply(entries, done))).await;
            for (who, answer) in who.into_iter().zip(applied.map_err(|e| io_error(&e))?) {
                if let Some(who) = who {
                    who.send(answer);
                }
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        Self::new(self.orders.clone())
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta, snapshot: State) -> io::Result<()> {
        let State::Received(spool) = snapshot else {
            return Err(io::Error::other("a member's own state is there already"));
        };
        let bytes = spool.into_reader()?;
        self.orders.wait(|done| self.orders.state(StateOrder::Install(bytes, done))).await.map_err(|e| io_error(&e))
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf>> {
        current(&self.orders).await
    }
}

impl<R: AsyncRuntime> RaftSnapshotBuilder<Types<R>> for Machine<R> {
    type SnapshotData = State;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf> {
        current(&self.orders).await?.ok_or_else(|| io::Error::other("there is no state to make a snapshot of"))
    }
}
