//! What a driver sees of any transport: the QUIC endpoint and the one in memory are the same to it.

use crate::{BodyReader, BodyWriter, CloseReason, Result};
use mayfly_base::NodeId;
use std::future::Future;
use std::net::SocketAddr;
use tokio::sync::oneshot;

/// Failure codes from here on belong to the wire; those below, to the application.
pub const FAILURE_WIRE: u16 = 0xff00;
/// The failure code of a request that was dropped without an answer.
pub const FAILURE_DROPPED: u16 = FAILURE_WIRE;
/// The failure code of an answer that was longer than a payload may be.
pub const FAILURE_TOO_LONG: u16 = FAILURE_WIRE + 1;

/// A node and where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Who it is; a link to anybody else is refused.
    pub id: NodeId,
    /// Where it is tried.
    pub addr: SocketAddr,
}

/// What came in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A link to a member is up, whichever side started it.
    Up {
        /// The member and the address that its packets come from.
        peer: Peer,
    },
    /// The last link to a member is gone.
    Down {
        /// The member.
        id: NodeId,
        /// Why, as far as it is known.
        why: CloseReason,
    },
    /// A question.
    Request {
        /// Who asks.
        from: Peer,
        /// What it is about.
        topic: u16,
        /// The question.
        payload: Vec<u8>,
        /// Where the answer goes.
        reply: Reply,
    },
    /// A message that nobody waits to be answered.
    Datagram {
        /// Who sent it.
        from: Peer,
        /// What it is about.
        topic: u16,
        /// The message.
        payload: Vec<u8>,
    },
    /// A large body, to be read at the receiver's pace.
    Body {
        /// Who sends it.
        from: Peer,
        /// What it is about.
        topic: u16,
        /// What the sender says of it.
        meta: Vec<u8>,
        /// The bytes. Dropping it makes the sender's next write fail.
        body: BodyReader,
    },
}

/// The answer that a [`Reply`] carries back.
pub(crate) type Answer = std::result::Result<Vec<u8>, (u16, String)>;

/// The one answer to a request. Dropped without one, the asker gets [`crate::WireError::Failed`] with [`FAILURE_DROPPED`].
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Answer>);

impl Reply {
    pub(crate) fn channel() -> (Self, oneshot::Receiver<Answer>) {
        let (send, receive) = oneshot::channel();
        (Self(send), receive)
    }

    /// A reply and what becomes of it, for transports of one's own.
    ///
    /// The future gives [`crate::WireError::Failed`] for a reply that is refused or dropped.
    pub fn pair() -> (Self, impl Future<Output = Result<Vec<u8>>> + Send + use<>) {
        let (reply, receive) = Self::channel();
        let failed = |(code, message)| crate::WireError::Failed { code, message };
        (reply, async move { answer_of(receive).await.map_err(failed) })
    }

    /// Answers. When the asker is gone, nothing happens.
    pub fn answer(self, payload: Vec<u8>) {
        let _ = self.0.send(Ok(payload));
    }

    /// Answers that it cannot be done. Codes from [`FAILURE_WIRE`] on belong to the wire.
    pub fn refuse(self, code: u16, message: impl Into<String>) {
        let _ = self.0.send(Err((code, message.into())));
    }
}

/// The answer, or why there is none.
pub(crate) async fn answer_of(receive: oneshot::Receiver<Answer>) -> Answer {
    let dropped = || Err((FAILURE_DROPPED, "the request was dropped without an answer".into()));
    receive.await.unwrap_or_else(|_| dropped())
}

/// How a link has done.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkStats {
    /// The other side.
    pub peer: Peer,
    /// Smoothed round-trip time in milliseconds.
    pub rtt_ms: f64,
    /// Bytes of UDP payload sent, everything counted.
    pub sent_bytes: u64,
    /// Bytes of UDP payload received, everything counted.
    pub received_bytes: u64,
    /// Packets that were lost on the way out.
    pub lost_packets: u64,
}

/// Links to other nodes. They are made when first needed, kept, and made again when they broke; a call that fails is not repeated.
///
/// Calls may run side by side from many tasks. A future that is dropped gives its call up.
pub trait Transport: Send + Sync + 'static {
    /// Who this node is.
    fn id(&self) -> NodeId;

    /// Where this node listens.
    fn addr(&self) -> SocketAddr;

    /// Makes sure that there is a link.
    ///
    /// # Errors
    /// [`crate::WireError::Connect`], [`crate::WireError::WrongPeer`], [`crate::WireError::ClosedBy`], [`crate::WireError::TimedOut`] and the others of a handshake.
    fn connect(&self, to: Peer) -> impl Future<Output = Result<()>> + Send;

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// Those of [`Transport::connect`]; [`crate::WireError::Failed`] when the other side refuses; [`crate::WireError::Lost`] and [`crate::WireError::TimedOut`],
    /// after which nobody here knows whether the request was carried out.
    fn request(&self, to: Peer, topic: u16, payload: &[u8]) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Sends a message that may be lost, doubled never, overtaken always.
    ///
    /// # Errors
    /// Those of [`Transport::connect`]; [`crate::WireError::TooLong`] when it does not fit into one packet of the path (about 1,150 bytes are safe everywhere).
    fn datagram(&self, to: Peer, topic: u16, payload: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Starts a body of `len` bytes; the writer waits when the reader is slow.
    ///
    /// # Errors
    /// Those of [`Transport::connect`]; [`crate::WireError::TooLong`].
    fn body(&self, to: Peer, topic: u16, meta: &[u8], len: u64) -> impl Future<Output = Result<BodyWriter>> + Send;

    /// The next thing that came in; nothing any more after [`Transport::close`]. Whoever does not call this soon enough loses datagrams and holds the other sides up.
    fn next(&self) -> impl Future<Output = Option<Event>> + Send;

    /// The links that are up.
    fn links(&self) -> Vec<LinkStats>;

    /// Closes every link, tells the other sides, and ends [`Transport::next`].
    fn close(&self) -> impl Future<Output = ()> + Send;
}
