//! One transport for several who drive it, told apart by the topics of what comes in.

use crate::inbox::Inbox;
use crate::{BodyWriter, Event, LinkStats, Peer, Result, Transport};
use mayfly_base::NodeId;
use std::net::SocketAddr;
use std::ops::{Deref, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// What may wait for the driver of a lane.
const WAITING: usize = 1024;
/// The failure code of a request on a topic that no lane has, or whose lane is closed.
const NOBODY: u16 = crate::FAILURE_WIRE + 2;
/// The failure code of a request whose lane has too much to do.
const BUSY: u16 = crate::FAILURE_WIRE + 3;

/// A transport, as one of those sees it who share it: what comes in on its topics, and news of links.
///
/// Closing the last lane closes the transport.
pub struct Lane<T> {
    shared: Arc<Shared<T>>,
    /// Its place among the lanes.
    place: usize,
    is_closed: AtomicBool,
}

struct Shared<T> {
    transport: T,
    lanes: Arc<Lanes>,
}

struct Lanes {
    lanes: Vec<(RangeInclusive<u16>, Inbox)>,
    open: AtomicUsize,
    none_open: Notify,
}

/// Shares a transport: a lane for each range of topics.
///
/// # Panics
/// Outside of a tokio runtime, as it starts a task there.
pub fn lanes<T: Transport, const N: usize>(transport: T, topics: [RangeInclusive<u16>; N]) -> [Lane<T>; N] {
    let lanes = topics.into_iter().map(|topics| (topics, Inbox::new(WAITING))).collect();
    let lanes = Arc::new(Lanes { lanes, open: AtomicUsize::new(N), none_open: Notify::new() });
    let shared = Arc::new(Shared { transport, lanes });
    tokio::spawn(pump(shared.clone()));
    std::array::from_fn(|place| Lane { shared: shared.clone(), place, is_closed: AtomicBool::new(false) })
}

/// Hands what comes in to whom it concerns.
async fn pump<T: Transport>(shared: Arc<Shared<T>>) {
    let Shared { transport, lanes } = &*shared;
    loop {
        tokio::select! {
            event = transport.next() => match event {
                Some(event) => lanes.hand_out(event),
                None => break,
            },
            () = lanes.none_open.notified() => break,
        }
    }
    lanes.lanes.iter().for_each(|(_, inbox)| inbox.close());
}

impl Lanes {
    fn hand_out(&self, event: Event) {
        let topic = match &event {
            Event::Request { topic, .. } | Event::Datagram { topic, .. } | Event::Body { topic, .. } => *topic,
            Event::Up { peer } => return self.announce(|| Event::Up { peer: *peer }),
            Event::Down { id, why } => return self.announce(|| Event::Down { id: *id, why: *why }),
        };
        let lane = self.lanes.iter().find(|(topics, inbox)| topics.contains(&topic) && !inbox.is_closed());
        let refused = match lane {
            Some((_, inbox)) => inbox.try_push(event).err().map(|event| (event, BUSY, "too much waits here already")),
            None => Some((event, NOBODY, "nobody here answers to this topic")),
        };
        // A datagram may be lost, and the writer of a body learns that nobody reads it.
        if let Some((Event::Request { reply, .. }, code, why)) = refused {
            reply.refuse(code, why);
        }
    }

    fn announce(&self, event: impl Fn() -> Event) {
        let open = self.lanes.iter().filter(|(_, inbox)| !inbox.is_closed());
        open.for_each(|(_, inbox)| inbox.announce(event()));
    }
}

impl<T> Lane<T> {
    fn inbox(&self) -> Option<&Inbox> {
        self.shared.lanes.lanes.get(self.place).map(|(_, inbox)| inbox)
    }

    /// Was it the last one?
    fn end(&self) -> bool {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        if let Some(inbox) = self.inbox() {
            inbox.close();
            inbox.drain();
        }
        self.shared.lanes.open.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        if self.end() {
            self.shared.lanes.none_open.notify_one();
        }
    }
}

impl<T> Deref for Lane<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared.transport
    }
}

impl<T: Transport> Transport for Lane<T> {
    fn id(&self) -> NodeId {
        self.shared.transport.id()
    }

    fn addr(&self) -> SocketAddr {
        self.shared.transport.addr()
    }

    async fn connect(&self, to: Peer) -> Result<()> {
        self.shared.transport.connect(to).await
    }

    async fn request(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<Vec<u8>> {
        self.shared.transport.request(to, topic, payload).await
    }

    async fn datagram(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<()> {
        self.shared.transport.datagram(to, topic, payload).await
    }

    async fn body(&self, to: Peer, topic: u16, meta: &[u8], len: u64) -> Result<BodyWriter> {
        self.shared.transport.body(to, topic, meta, len).await
    }

    async fn next(&self) -> Option<Event> {
        match self.inbox() {
            Some(inbox) => inbox.next().await,
            None => None,
        }
    }

    fn links(&self) -> Vec<LinkStats> {
        self.shared.transport.links()
    }

    async fn close(&self) {
        if self.end() {
            self.shared.transport.close().await;
            self.shared.lanes.none_open.notify_one();
        }
    }
}
