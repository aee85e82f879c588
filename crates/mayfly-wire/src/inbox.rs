//! The queue between an endpoint's tasks and whoever calls `next`.

use crate::Event;
use tokio::sync::{Mutex, mpsc, watch};

/// Bounded: a reader that is behind holds the links up, which hold the other sides up.
#[derive(Debug)]
pub(crate) struct Inbox {
    sender: mpsc::Sender<Event>,
    receiver: Mutex<mpsc::Receiver<Event>>,
    closed: watch::Sender<bool>,
}

impl Inbox {
    pub(crate) fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        Self { sender, receiver: Mutex::new(receiver), closed: watch::Sender::new(false) }
    }

    /// Waits for room. After the end, the event is dropped.
    pub(crate) async fn push(&self, event: Event) {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            _ = self.sender.send(event) => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }

    /// Drops the event when there is no room, as a network would.
    pub(crate) fn offer(&self, event: Event) {
        let _ = self.sender.try_send(event);
    }

    pub(crate) async fn next(&self) -> Option<Event> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => None,
            event = async { self.receiver.lock().await.recv().await } => event,
        }
    }

    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}
