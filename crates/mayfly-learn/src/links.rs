//! What a node has of others: who is up, and questions and bodies on their way.

use crate::message::{Answer, Ask, Sent};
use crate::store::Store;
use crate::{Result, RunId};
use mayfly_base::NodeId;
use mayfly_swarm::learn::Digest;
use mayfly_wire::{Peer, Transport, WireError, from_payload, to_payload};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// What is said of training together, on the wire.
pub const TOPIC: u16 = 17;
/// A question that is not answered by then is asked again.
const ASK_TIME: Duration = Duration::from_secs(3);
/// A body has so long, and a second more for each MiB.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);
/// Bodies that are sent at a time.
const SENDING: usize = 4;

/// Who is up.
pub trait Directory: Send + Sync + 'static {
    /// The other nodes that are up, and where.
    fn peers(&self) -> Vec<Peer>;
}

/// Links to others. Clones are the same.
pub(crate) struct Links<T>(Arc<Shared<T>>);

impl<T> Clone for Links<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<T> {
    transport: T,
    directory: Arc<dyn Directory>,
    sending: Semaphore,
    sent: Mutex<BTreeMap<RunId, Arc<AtomicU64>>>,
    stop: watch::Sender<bool>,
}

impl<T: Transport> Links<T> {
    pub(crate) fn new(transport: T, directory: Arc<dyn Directory>) -> Self {
        let (sending, stop) = (Semaphore::new(SENDING), watch::Sender::new(false));
        Self(Arc::new(Shared { transport, directory, sending, sent: Mutex::default(), stop }))
    }

    pub(crate) fn transport(&self) -> &T {
        &self.0.transport
    }

    /// Says to all that work that it is over.
    pub(crate) fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stop.subscribe()
    }

    pub(crate) fn me(&self) -> NodeId {
        self.0.transport.id()
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.0.directory.peers()
    }

    /// Bytes that were sent for a run.
    pub(crate) fn sent_by(&self, id: RunId) -> Arc<AtomicU64> {
        self.0.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    /// Asks, with a deadline.
    pub(crate) async fn ask(&self, peer: Peer, ask: &Ask) -> Result<Answer> {
        let payload = to_payload("a message of a run", ask)?;
        self.sent_by(ask.run()).fetch_add(payload.len() as u64, Ordering::Relaxed);
        let answer = tokio::time::timeout(ASK_TIME, self.0.transport.request(peer, TOPIC, &payload)).await;
        let answer = answer.map_err(|_| late("an answer", ASK_TIME))??;
        Ok(from_payload("an answer of a run", &answer)?)
    }

    /// Asks for something until somebody says that it is coming.
    pub(crate) async fn ask_for(&self, sources: &[Peer], run: RunId, digest: Digest) -> bool {
        for peer in sources {
            if matches!(self.ask(*peer, &Ask::Fetch { run, digest }).await, Ok(Answer::Coming)) {
                return true;
            }
        }
        false
    }

    /// Sends something from the store, a few at a time.
    pub(crate) fn spawn_send(&self, peer: Peer, run: RunId, digest: Digest, store: Arc<Store>) {
        let links = self.clone();
        tokio::spawn(async move {
            let Ok(_turn) = links.0.sending.acquire().await else { return };
            let read = tokio::task::spawn_blocking(move || store.find(digest)).await;
            let Ok(Ok(Some(bytes))) = read else { return }; // it counts no more
            let time = BODY_TIME + Duration::from_secs(bytes.len() as u64 >> 20);
            match tokio::time::timeout(time, links.send(peer, Sent { run, digest }, &bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(peer = %peer.id.short(), %error, "a body was not sent"),
                Err(_) => tracing::debug!(peer = %peer.id.short(), "a body took too long"),
            }
        });
    }

    async fn send(&self, peer: Peer, sent: Sent, bytes: &[u8]) -> Result<()> {
        let meta = to_payload("the head of a body", &sent)?;
        self.sent_by(sent.run).fetch_add((meta.len() + bytes.len()) as u64, Ordering::Relaxed);
        let mut body = self.0.transport.body(peer, TOPIC, &meta, bytes.len() as u64).await?;
        body.write(bytes).await?;
        Ok(body.finish().await?)
    }
}

/// What came too late.
pub(crate) fn late(what: &'static str, after: Duration) -> WireError {
    WireError::TimedOut { what, after_ms: after.as_millis() as u64 }
}
