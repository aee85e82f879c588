//! The engine of a cluster of several.

use super::codec::place_or_none;
use super::config::ConsensusConfig;
use super::incoming::Incoming;
use super::link::{Dialer, Links};
use super::log::Log;
use super::machine::Machine;
use super::orders::{Orders, Surroundings};
use super::rounds::Rounds;
use super::situation::Situation;
use super::spool::Spool;
use super::state_writer::StateOrder;
use super::types::{Seat, Types};
use crate::bell::Bell;
use crate::cluster;
use crate::engine::{Engine, Member, MemberChange, Piece, PieceAsk, Standing};
use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::kv::{Answer, KvHash};
use crate::lease::{LeaseAsk, LeaseTime, Lessor};
use crate::models::Blobs;
use crate::store::Store;
use mayfly_wire::Transport;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{AsyncRuntime, Instant, Raft, TokioRuntime};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// The longest entry: etcd's longest request with room for what surrounds it, so that it fits into a message.
const MAX_ENTRY: usize = 3 << 20;

/// Questions of other members that are answered at once.
const MAX_ASKED: usize = 10_000;

/// A member of a cluster of several. Clones are handles on the same.
pub struct Consensus<T, R: AsyncRuntime = TokioRuntime>(pub(super) Arc<Shared<T, R>>);

pub(super) struct Shared<T, R: AsyncRuntime> {
    pub(super) raft: Raft<Types<R>, Machine<R>>,
    pub(super) orders: Orders<R>,
    pub(super) links: Arc<Links<T>>,
    pub(super) config: ConsensusConfig,
    pub(super) seat: Seat,
    pub(super) incoming: Mutex<Incoming>,
    pub(super) lessor: Arc<Lessor>,
    /// Readers here; and those, here and elsewhere, whom this member answers as the leader.
    pub(super) reads: Arc<Rounds>,
    pub(super) confirms: Arc<Rounds>,
    /// When this member was started.
    pub(super) begun: R::Instant,
    /// When this member last heard from a leader.
    pub(super) heard: std::sync::Mutex<Option<R::Instant>>,
    pub(super) situation: Bell<Situation>,
    /// Held by whoever changes the members.
    pub(super) changing: Arc<Mutex<()>>,
    /// A term in which this member leads, and since when it is known.
    pub(super) since: std::sync::Mutex<Option<(u64, R::Instant)>>,
    /// Where artefacts are kept, if they are.
    pub(super) blobs: OnceLock<Blobs>,
    /// Why it ended, if neither its disk nor openraft is the reason.
    gone: OnceLock<MeshError>,
    waiting: AtomicUsize,
    asked: AtomicUsize,
}

impl<T, R: AsyncRuntime> Clone for Consensus<T, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Transport, R: AsyncRuntime> Consensus<T, R> {
    /// Starts a member on its store: the founder of a cluster, one that joins, or one that returns. It takes all events of the transport.
    /// `seat` says where the others find it.
    ///
    /// # Errors
    /// [`MeshError::Disk`], [`MeshError::Damaged`]; [`MeshError::Membership`] for a configuration that makes no sense.
    pub async fn start(
        store: Store,
        transport: T,
        seat: Seat,
        config: ConsensusConfig,
        Surroundings { work, clock }: Surroundings,
    ) -> Result<Self> {
        let owner = store.owner();
        if seat.name.is_empty() {
            let reason = "a member needs a name: one without it was never started";
            return Err(MeshError::Membership { reason: reason.into() });
        }
        if let Some(folder) = store.folder() {
            let fail =
                |e: std::io::Error| MeshError::Disk { action: "sweep", path: folder.into(), reason: e.to_string() };
            Spool::sweep(folder).map_err(fail)?;
        }
        let openraft_config = config.openraft(owner.cluster)?;
        let orders = Orders::<R>::start(Arc::new(store), work)?;
        if orders.store.read(|transaction| cluster::is_removed(transaction, owner.member))? {
            return Err(MeshError::Removed { member: owner.member });
        }
        let links = Arc::new(Links::new(transport, owner));
        let dialer = Dialer { links: links.clone(), orders: orders.clone() };
        let (log, machine) = (Log::new(orders.clone()), Machine::new(orders.clone()));
        let raft = Raft::new(owner.member, openraft_config, dialer, log, machine).await;
        let raft = raft.map_err(|fatal| ended(&orders, &fatal))?;
        let (incoming, waiting) = (Mutex::default(), AtomicUsize::new(0));
        let lessor = Arc::new(Lessor::new(clock, Duration::from_millis(config.lease_checkpoint_ms)));
        let asked = AtomicUsize::new(0);
        let (reads, confirms, blobs, gone) = (Arc::default(), Arc::default(), OnceLock::new(), OnceLock::new());
        let shared = Arc::new(Shared {
            raft,
            orders,
            links,
            config,
            seat,
            incoming,
            lessor,
            reads,
            confirms,
            begun: R::Instant::now(),
            heard: std::sync::Mutex::default(),
            situation: Bell::default(),
            changing: Arc::default(),
            since: std::sync::Mutex::default(),
            blobs,
            gone,
            waiting,
            asked,
        });
        drop(R::spawn(shared.clone().follow_metrics()));
        drop(R::spawn(shared.clone().take_events()));
        drop(R::spawn(shared.clone().keep_seat()));
        drop(R::spawn(shared.clone().promote_learners()));
        drop(R::spawn(shared.clone().watch_members()));
        drop(R::spawn(shared.clone().watch_majority()));
        drop(R::spawn(shared.clone().keep_leases()));
        drop(R::spawn(shared.clone().cut_log()));
        Ok(Self(shared))
    }

    /// Lets another one lead, if this member does and one is there; for members that are about to end.
    pub async fn step_down(&self, within: Duration) {
        let _ = R::timeout(within, self.0.step_down()).await; // without it, an election follows
    }

    /// Ends the member. The transport is closed, too.
    pub async fn close(&self) {
        let _ = self.0.raft.shutdown().await; // it fails only when it has ended already
        let orders = &self.0.orders;
        let _ = orders.wait(|done| orders.state(StateOrder::Flush(done))).await; // without it, the next start applies some again
        self.0.links.transport.close().await;
    }

    /// Who leads, as far as this member knows.
    pub fn leader(&self) -> Option<u64> {
        self.0.raft.metrics().borrow_watched().current_leader
    }
}

fn ended<R: AsyncRuntime>(orders: &Orders<R>, fatal: &Fatal<Types<R>>) -> MeshError {
    orders.ended().unwrap_or_else(|| MeshError::Stopped { reason: fatal.to_string() })
}

/// A place among those who wait, given back when it is dropped.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    pub(super) fn place(&self) -> Result<Place<'_>> {
        let place = Place(&self.waiting);
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting >= self.config.max_waiting { Err(MeshError::Busy) } else { Ok(place) }
    }

    /// A place among the questions of others that are being answered.
    pub(super) fn place_of_question(&self) -> Option<Place<'_>> {
        let place = Place(&self.asked);
        (self.asked.fetch_add(1, Ordering::Relaxed) < MAX_ASKED).then_some(place)
    }

    pub(super) fn check_len(&self, entry: &[u8]) -> Result<()> {
        match entry.len() {
            bytes if bytes > MAX_ENTRY => Err(MeshError::TooLong { bytes, max: MAX_ENTRY }),
            _ => Ok(()),
        }
    }

    pub(super) fn fatal(&self, fatal: &Fatal<Types<R>>) -> MeshError {
        self.gone.get().cloned().unwrap_or_else(|| ended(&self.orders, fatal))
    }

    /// It has no place any more.
    pub(super) async fn leave(&self, why: MeshError) {
        let _ = self.gone.set(why); // it is told twice at most
        let _ = self.raft.shutdown().await; // it fails only when it has ended already
    }

    pub(super) fn stopped(&self) -> MeshError {
        if let Some(gone) = self.gone.get() {
            return gone.clone();
        }
        let reason = self.orders.ended().map_or("it was closed".into(), |error| error.to_string());
        MeshError::Stopped { reason }
    }
}

impl<T: Transport, R: AsyncRuntime> Engine for Consensus<T, R> {
    async fn propose(&self, entry: Entry) -> Result<Vec<u8>> {
        let entry = entry.encode();
        self.0.check_len(&entry)?;
        let _place = self.0.place()?;
        Box::pin(self.0.propose_anywhere(entry)).await // short for those who carry it about
    }

    async fn read_barrier(&self) -> Result<()> {
        let _place = self.0.place()?;
        self.0.barrier_anywhere().await
    }

    fn members(&self) -> Vec<Member> {
        self.0.members()
    }

    async fn change_members(&self, change: MemberChange) -> Result<Answer<u64>> {
        self.0.change_members(&change).await
    }

    async fn hand_over(&self, to: u64) -> Result<Answer<()>> {
        self.0.hand_over_to(to).await
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<Option<LeaseTime>> {
        let _place = self.0.place()?;
        self.0.lease_anywhere(ask).await
    }

    async fn hash_of(&self, member: u64, revision: i64) -> Result<Answer<KvHash>> {
        self.0.hash_over_there(member, revision).await
    }

    fn keep_artefacts(&self, blobs: Blobs) {
        let _ = self.0.blobs.set(blobs); // it is served once
    }

    async fn piece(&self, member: u64, ask: PieceAsk) -> Result<Piece> {
        self.0.piece_over_there(member, ask).await
    }

    async fn ended(&self) -> MeshError {
        self.0.ends().await;
        match &self.0.raft.metrics().borrow_watched().running_state {
            Err(fatal) => self.0.fatal(fatal),
            Ok(()) => self.0.stopped(),
        }
    }

    fn store(&self) -> &Store {
        &self.0.orders.store
    }

    fn term(&self) -> u64 {
        self.0.raft.metrics().borrow_watched().current_term
    }

    fn standing(&self) -> Result<Standing> {
        let metrics = self.0.raft.metrics();
        let (committed, leader) = {
            let metrics = metrics.borrow_watched();
            (place_or_none(metrics.cluster_committed.max(metrics.local_committed)).index, metrics.current_leader)
        };
        let leader = leader.filter(|_| self.0.has_majority(self.0.config.patience()));
        Ok(Standing { committed, applied: self.0.orders.store.applied()?, leader })
    }
}
