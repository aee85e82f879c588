//! A cluster of one: one thread writes, and everyone who waits at the same time shares one flush.

use super::{Engine, Standing};
use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::logged::{Applied, Logged};
use crate::store::Store;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Entries that may wait; etcd lets as many be between commit and apply.
const MAX_WAITING: usize = 5_000;
/// Entries and bytes of one flush: it bounds how long the first waits for the last.
const MAX_TOGETHER: usize = 1_000;
const MAX_BYTES_TOGETHER: usize = 8 << 20;
/// Nobody else can be elected.
const TERM: u64 = 1;

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
}

impl Single {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// [`MeshError::Disk`] when the system gives no thread; [`MeshError::NotAlone`] for a member that keeps a log with others, or waits for them.
    pub fn start(store: Store) -> Result<Self> {
        let store = Arc::new(store);
        let applied = store.applied()?;
        if applied == Applied::NONE || store.has_log()? {
            return Err(MeshError::NotAlone { path: store.path().into() });
        }
        let (proposals, inbox) = mpsc::channel(MAX_WAITING);
        let (end, ended) = watch::channel(None);
        let writer = Writer { applied, store: store.clone(), inbox, end };
        let spawned = std::thread::Builder::new().name("mayfly-mesh".into()).spawn(move || writer.run());
        let fail = |e: std::io::Error| MeshError::Disk {
            action: "start the writer of",
            path: store.path().into(),
            reason: e.to_string(),
        };
        spawned.map_err(fail)?;
        Ok(Self { store, proposals, ended })
    }

    /// Ends the node after everything that was proposed, and gives its folder free once the other handles are gone, too.
    pub async fn close(self) {
        let Self { store, proposals, mut ended } = self;
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

    async fn ended(&self) -> MeshError {
        let mut ended = self.ended.clone();
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| MeshError::Stopped { reason: "it was closed".into() })
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn term(&self) -> u64 {
        TERM
    }

    fn standing(&self) -> Result<Standing> {
        let applied = self.store.applied()?;
        Ok(Standing { committed: applied.index, applied, leader: Some(self.store.owner().member) })
    }
}

/// Dropped in this order: who sees the end of `end` finds the store closed.
struct Writer {
    applied: Applied,
    store: Arc<Store>,
    inbox: mpsc::Receiver<Proposal>,
    end: watch::Sender<Option<MeshError>>,
}

impl Writer {
    fn run(mut self) {
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
            entries.push(Logged { at: Applied { index, term: TERM }, entry });
            answers.push(answer);
            let has_room = entries.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER;
            next = if has_room { self.inbox.try_recv().ok() } else { None };
        }
        (entries, answers)
    }
}
