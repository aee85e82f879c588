//! The queue between an endpoint's tasks and whoever calls `next`.

use crate::Event;
use tokio::sync::{Mutex, mpsc, watch};

/// What peers send is bounded: a reader that is behind holds the links up, which hold the other sides up. What happens to links is not, so that
/// its order is kept without waiting; each such event costs the other side a handshake.
#[derive(Debug)]
pub(crate) struct Inbox {
    traffic: mpsc::Sender<Event>,
    news: mpsc::UnboundedSender<Event>,
    receivers: Mutex<Receivers>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Receivers {
    traffic: mpsc::Receiver<Event>,
    news: mpsc::UnboundedReceiver<Event>,
}

impl Receivers {
    /// News first: nobody hears from a peer before hearing that it is there.
    async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            event = self.news.recv() => event,
            event = self.traffic.recv() => event,
        }
    }
}

impl Inbox {
    pub(crate) fn new(capacity: usize) -> Self {
        let (traffic, from_peers) = mpsc::channel(capacity.max(1));
        let (news, of_links) = mpsc::unbounded_channel();
        let receivers = Mutex::new(Receivers { traffic: from_peers, news: of_links });
        Self { traffic, news, receivers, closed: watch::Sender::new(false) }
    }

    /// Waits for room. After the end, the event is dropped.
    pub(crate) async fn push(&self, event: Event) {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            _ = self.traffic.send(event) => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }

    /// Tells that a link came or went.
    pub(crate) fn announce(&self, event: Event) {
        let _ = self.news.send(event);
    }

    /// Drops the event when there is no room, as a network would.
    pub(crate) fn offer(&self, event: Event) {
        let _ = self.traffic.try_send(event);
    }

    /// Gives the event back when there is no room.
    pub(crate) fn try_push(&self, event: Event) -> Result<(), Event> {
        self.traffic.try_send(event).map_err(|full| match full {
            mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event) => event,
        })
    }

    pub(crate) async fn next(&self) -> Option<Event> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => None,
            event = async { self.receivers.lock().await.next().await } => event,
        }
    }

    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Drops what waits, so that those who asked learn that nobody answers. For an inbox that is closed and that nobody reads any more.
    pub(crate) fn drain(&self) {
        if let Ok(mut receivers) = self.receivers.try_lock() {
            receivers.traffic.close();
            receivers.news.close();
            while receivers.traffic.try_recv().is_ok() {}
            while receivers.news.try_recv().is_ok() {}
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}
