//! A cluster of one: one thread writes, and everyone who waits at the same time shares one flush.

use super::{Engine, Member, MemberChange, Piece, PieceAsk, Standing};
use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::etcd_error::EtcdError;
use crate::kv::{Answer, KvHash};
use crate::lease::{self, CHECKPOINT, Clock, LeaseAsk, LeaseTime, Lessor};
use crate::logged::{Applied, Logged};
use crate::models::Blobs;
use crate::store::Store;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Entries that may wait; etcd lets as many be between commit and apply.
const MAX_WAITING: usize = 5_000;
/// Entries and bytes of one flush: it bounds how long the first waits for the last.
const MAX_TOGETHER: usize = 1_000;
const MAX_BYTES_TOGETHER: usize = 8 << 20;

struct Proposal {
    entry: Vec<u8>,
    answer: oneshot::Sender<Result<Vec<u8>>>,
}

/// A cluster of one. Clones are handles on the same; when the last is gone, the thread ends after what was proposed.
#[derive(Clone)]
pub struct Single {
    store: Arc<Store>,
    proposals: mpsc::Sender<Proposal>,
    ended: watch::Receiver<Option<MeshError>>,
    lessor: Arc<Lessor>,
    over: watch::Receiver<()>,
    /// The one that the state stands in: nobody else can be elected.
    term: u64,
}

impl Single {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// [`MeshError::Disk`] when the system gives no thread; [`MeshError::NotAlone`] for a member that keeps a log with others, or waits for them.
    pub fn start(store: Store) -> Result<Self> {
        Self::start_with(store, Clock::default())
    }

    /// The same, with another clock for leases.
    ///
    /// # Errors
    /// Those of [`Single::start`].
    pub fn start_with(store: Store, clock: Clock) -> Result<Self> {
        let store = Arc::new(store);
        let applied = store.applied()?;
        if applied == Applied::NONE || store.has_log()? {
            return Err(MeshError::NotAlone { path: store.path().into() });
        }
        let (proposals, inbox) = mpsc::channel(MAX_WAITING);
        let (end, ended) = watch::channel(None);
        let lessor = Arc::new(Lessor::new(clock, CHECKPOINT));
        let fail = |e: std::io::Error| MeshError::Disk {
            action: "start the writer of",
            path: store.path().into(),
            reason: e.to_string(),
        };
        let (is_over, over) = watch::channel(());
        let term = applied.term;
        let weak = proposals.downgrade();
        let host = Host { store: store.clone(), proposals: weak, lessor: lessor.clone(), over: over.clone(), term };
        let leases = host.start().map_err(fail)?;
        let writer = Writer { applied, leases, is_over, store: store.clone(), inbox, end };
        let spawned = std::thread::Builder::new().name("mayfly-mesh".into()).spawn(move || writer.run());
        spawned.map_err(fail)?;
        Ok(Self { store, proposals, ended, lessor, over, term })
    }

    /// Ends the node after everything that was proposed, and gives its folder free once the other handles are gone, too.
    pub async fn close(self) {
        let Self { store, proposals, mut ended, .. } = self;
        drop((store, proposals));
        while ended.changed().await.is_ok() {} // until the thread has let go of its end
    }

    fn stopped(&self) -> MeshError {
        let reason = self.ended.borrow().as_ref().map_or("it was closed".into(), ToString::to_string);
        MeshError::Stopped { reason }
    }
}

impl Engine for Single {
    async fn propose(&self, entry: Entry) -> Result<Vec<u8>> {
        let (answer, done) = oneshot::channel();
        match self.proposals.try_send(Proposal { entry: entry.encode(), answer }) {
            Ok(()) => done.await.map_err(|_| self.stopped())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(MeshError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.stopped()),
        }
    }

    /// What is acknowledged is committed here, so every later reader sees it; but not of a node that has ended.
    async fn read_barrier(&self) -> Result<()> {
        if self.ended.borrow().is_some() { Err(self.stopped()) } else { Ok(()) }
    }

    fn members(&self) -> Vec<Member> {
        let (name, id) = ("default".into(), self.store.owner().member);
        vec![Member { id, name, peers: Vec::new(), clients: Vec::new(), is_voter: true }]
    }

    async fn change_members(&self, _: MemberChange) -> Result<Answer<u64>> {
        let reason = "this is a cluster of one without links to others: start it as a node of a swarm";
        Err(MeshError::Membership { reason: reason.into() })
    }

    async fn hand_over(&self, to: u64) -> Result<Answer<()>> {
        let is_self = to == self.store.owner().member;
        Ok(if is_self { Ok(()) } else { Err(EtcdError::BadLeaderTransferee) })
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<Option<LeaseTime>> {
        self.read_barrier().await?;
        let Self { store, proposals, lessor, over, term, .. } = self.clone();
        lease::ask(&Host { store, proposals: proposals.downgrade(), lessor, over, term }, ask).await
    }

    async fn hash_of(&self, member: u64, _: i64) -> Result<Answer<KvHash>> {
        Err(MeshError::Unsure { reason: format!("there is no member {member:x} beside this one") })
    }

    fn keep_artefacts(&self, _: Blobs) {} // nobody asks

    async fn piece(&self, member: u64, _: PieceAsk) -> Result<Piece> {
        Err(MeshError::Unsure { reason: format!("there is no member {member:x} beside this one") })
    }

    async fn ended(&self) -> MeshError {
        let mut ended = self.ended.clone();
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| MeshError::Stopped { reason: "it was closed".into() })
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn term(&self) -> u64 {
        self.term
    }

    fn standing(&self) -> Result<Standing> {
        let applied = self.store.applied()?;
        Ok(Standing { committed: applied.index, applied, leader: Some(self.store.owner().member) })
    }
}

/// What leases need.
struct Host {
    store: Arc<Store>,
    proposals: mpsc::WeakSender<Proposal>,
    lessor: Arc<Lessor>,
    /// Its sender is gone when the node ends.
    over: watch::Receiver<()>,
    term: u64,
}

impl Host {
    /// Starts the thread that ends leases.
    fn start(self) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let drive = move || runtime.block_on(lease::drive(self));
        std::thread::Builder::new().name("mayfly-leases".into()).spawn(drive)
    }
}

impl lease::Host for Host {
    fn lessor(&self) -> &Lessor {
        &self.lessor
    }

    fn leads(&self) -> Option<u64> {
        Some(self.term)
    }

    async fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Store, &Lessor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        act(&self.store, &self.lessor)
    }

    fn commits(&self) -> watch::Receiver<()> {
        self.store.commits()
    }

    async fn say(&self, entry: Entry) -> Result<()> {
        let stopped = || MeshError::Stopped { reason: "it was closed".into() };
        let (answer, done) = oneshot::channel();
        let proposals = self.proposals.upgrade().ok_or_else(stopped)?;
        proposals.send(Proposal { entry: entry.encode(), answer }).await.map_err(|_| stopped())?;
        done.await.map_err(|_| stopped())?.map(drop)
    }

    async fn wait(&self, commits: &mut watch::Receiver<()>, most: Option<Duration>) -> bool {
        let mut over = self.over.clone();
        tokio::select! {
            _ = over.changed() => false,
            _ = commits.changed() => true,
            () = async { match most {
                Some(most) => tokio::time::sleep(most).await,
                None => std::future::pending().await,
            } } => true,
        }
    }

    async fn pause(&self, time: Duration) -> bool {
        let mut over = self.over.clone();
        tokio::select! {
            _ = over.changed() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}

struct Writer {
    applied: Applied,
    leases: JoinHandle<()>,
    is_over: watch::Sender<()>,
    store: Arc<Store>,
    inbox: mpsc::Receiver<Proposal>,
    end: watch::Sender<Option<MeshError>>,
}

impl Writer {
    fn run(mut self) {
        self.write();
        let Self { leases, is_over, store, inbox, end, .. } = self;
        drop(is_over);
        let _ = leases.join(); // a panic there was printed
        drop((inbox, store));
        drop(end); // who sees its end finds the store closed
    }

    fn write(&mut self) {
        while let Some(first) = self.inbox.blocking_recv() {
            let (entries, answers) = self.gather(first);
            match self.store.apply(&entries) {
                Ok(outcomes) => {
                    self.applied = entries.last().map_or(self.applied, |last| last.at);
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        let _ = answer.send(Ok(outcome)); // whoever asked may be gone
                    }
                }
                Err(error) => {
                    // Never tried again: after a failed flush the system may have dropped the pages and say yes to the next.
                    tracing::error!(%error, "the node ends");
                    self.store.forget_cached();
                    self.end.send_replace(Some(error.clone()));
                    self.inbox.close();
                    answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone()))));
                    while let Ok(Proposal { answer, .. }) = self.inbox.try_recv() {
                        let _ = answer.send(Err(MeshError::Stopped { reason: error.to_string() }));
                    }
                    return;
                }
            }
        }
    }

    /// The first and all who wait by now.
    fn gather(&mut self, first: Proposal) -> (Vec<Logged>, Vec<oneshot::Sender<Result<Vec<u8>>>>) {
        let (mut index, mut bytes) = (self.applied.index, 0);
        let (mut entries, mut answers) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Proposal { entry, answer }) = next {
            index += 1;
            bytes += entry.len();
            entries.push(Logged { at: Applied { index, term: self.applied.term }, entry });
            answers.push(answer);
            let has_room = entries.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER;
            next = if has_room { self.inbox.try_recv().ok() } else { None };
        }
        (entries, answers)
    }
}
