//! Making links.

use super::link::Link;
use super::serve::run_link;
use super::stream::{ReadError, read_frame, write_frame};
use super::{Inner, config, reason, shut_out};
use crate::tls::KeyExchange;
use crate::{CloseReason, Frame, Kind, Peer, PublicKey, ReplayWindow, Result, WireError, from_payload, to_payload};
use mayfly_base::NodeId;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is read before a link is one: small.
pub(super) const HELLO_LIMIT: usize = 16 << 10;
const VERSION: u16 = 1;

/// The payload of a [`Kind::Hello`] frame.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    version: u16,
    name: String,
    /// Drawn at the start of a process: tells a restarted one from its former self.
    process: u64,
}

impl Hello {
    pub(super) fn frame(name: &str, process: u64) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let hello = to_payload("Hello", &Self { version: VERSION, name: name.into(), process })?;
        Frame::encode(Kind::Hello, 0, 1, &hello, HELLO_LIMIT)
    }

    /// Checks what the other side said: versions start at 1, and the lower of two is spoken. Returns which process it is.
    pub(super) fn check(frame: &Frame) -> Result<u64> {
        let hello: Self = from_payload("Hello", &frame.payload)?;
        match hello.version {
            0 => Err(WireError::Version { what: "Hello", found: 0, known: VERSION }),
            _ => Ok(hello.process),
        }
    }
}

/// For fuzzing: are these bytes a Hello or a failure?
pub(crate) fn read_first_words(bytes: &[u8]) -> bool {
    let failure = from_payload::<super::link::Failure>("a failure", bytes).is_ok();
    from_payload::<Hello>("Hello", bytes).is_ok() | failure
}

/// One at a time per node: who comes second finds the first one's link, or shares its failure. Calling in turn, those who talk to a node that is gone would
/// queue up faster than their calls time out.
#[derive(Debug, Default)]
pub(super) struct Dialing(Mutex<HashMap<NodeId, Arc<Turn>>>);

#[derive(Debug, Default)]
struct Turn {
    calling: tokio::sync::Mutex<()>,
    failures: AtomicU64,
}

impl Dialing {
    fn turn(&self, id: NodeId) -> Arc<Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    /// Forgets nodes that nobody waits for.
    fn tidy(&self, id: NodeId) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.get(&id).is_some_and(|turn| Arc::strong_count(turn) <= 2) {
            turns.remove(&id);
        }
    }
}

/// The link to a node, made if there is none.
pub(super) async fn link_to(inner: &Arc<Inner>, to: Peer) -> Result<Arc<Link>> {
    if inner.inbox.is_closed() {
        return Err(WireError::Closed);
    }
    if let Some(link) = inner.links.get(to.id) {
        return Ok(link);
    }
    let turn = inner.dialing.turn(to.id);
    let before = turn.failures.load(Ordering::Relaxed);
    let guard = turn.calling.lock().await;
    let link = match inner.links.get(to.id) {
        Some(link) => Ok(link),
        None if turn.failures.load(Ordering::Relaxed) != before => {
            Err(WireError::Connect { addr: to.addr, reason: "a call under way at the same time failed".into() })
        }
        None => dial(inner, to).await.inspect_err(|_| {
            turn.failures.fetch_add(1, Ordering::Relaxed);
        }),
    };
    drop(guard);
    inner.dialing.tidy(to.id);
    link
}

async fn dial(inner: &Arc<Inner>, to: Peer) -> Result<Arc<Link>> {
    inner.trust.member(to.id)?;
    if inner.links.len() >= inner.config.max_links {
        return Err(WireError::TooLong {
            what: "the table of links",
            len: inner.links.len() as u64 + 1,
            limit: inner.config.max_links as u64,
        });
    }
    let after_ms = inner.config.handshake_timeout_ms;
    let made = tokio::time::timeout(inner.config.handshake_timeout(), greet(inner, to)).await;
    let link = made.map_err(|_| WireError::TimedOut { what: "the handshake", after_ms })??;
    let link = Arc::new(link);
    start(inner, &link);
    Ok(link)
}

/// Puts a link to use.
pub(super) fn start(inner: &Arc<Inner>, link: &Arc<Link>) {
    let added = inner.links.add(link, inner.identity.id(), &inner.inbox);
    added.close_replaced();
    if let Some(spare) = added.spare {
        let grace = inner.config.request_timeout() + Duration::from_secs(1);
        tokio::spawn(async move { spare.retire(grace).await });
    }
    tokio::spawn(run_link(Arc::downgrade(inner), link.clone()));
    // Between the handshake's check and now the trust list may have changed without the watcher seeing this link.
    if let Some(why) = shut_out(&inner.trust, link.peer.id) {
        link.close(why);
    }
}

pub(super) async fn greet(inner: &Inner, to: Peer) -> Result<Link> {
    let connection = open(&inner.socket, inner.client.clone(), &inner.config, to).await?;
    check_peer(&connection, to.id)?;
    if let Some(why) = shut_out(&inner.trust, to.id) {
        connection.close(why.code().into(), b"");
        inner.trust.member(to.id)?;
    }
    let mut seen = ReplayWindow::default();
    let answer = exchange(&connection, to, &inner.hello()?, Kind::Hello, HELLO_LIMIT).await;
    let greeted = answer.and_then(|answer| {
        seen.accept(answer.id)?;
        Hello::check(&answer)
    });
    let process = greeted.inspect_err(|_| connection.close(CloseReason::Protocol.code().into(), b""))?;
    Ok(Link::new(to, process, connection, true, seen))
}

/// A handshake and no more; whoever answers has to be a member.
pub(super) async fn who_is_at(inner: &Inner, addr: SocketAddr) -> Result<NodeId> {
    let anybody = Peer { id: inner.identity.id(), addr }; // the name is checked by whoever wants a certain one
    let asked = async {
        let opened = open(&inner.socket, inner.client.clone(), &inner.config, anybody).await;
        let connection = opened.map_err(|error| nameless(error, addr))?;
        let id = key_of(&connection)?.id();
        connection.close(CloseReason::Leaving.code().into(), b"");
        Ok(id)
    };
    let after_ms = inner.config.handshake_timeout_ms;
    let timed_out = |_| WireError::TimedOut { what: "the handshake", after_ms };
    tokio::time::timeout(inner.config.handshake_timeout(), asked).await.map_err(timed_out)?
}

/// A handshake's error without the name of whom it was meant for, as it was meant for nobody.
fn nameless(error: WireError, addr: SocketAddr) -> WireError {
    let reason = match error {
        WireError::NotMember { .. } => "who listens there is no member".into(),
        WireError::Revoked { .. } => "the key of who listens there was revoked".into(),
        WireError::ClosedBy { why, .. } => format!("it closed the call: {why}"),
        other => return other,
    };
    WireError::Connect { addr, reason }
}

/// A connection whose TLS handshake is through.
pub(super) async fn open(
    socket: &quinn::Endpoint,
    tls: Arc<quinn::crypto::rustls::QuicClientConfig>,
    settings: &super::EndpointConfig,
    to: Peer,
) -> Result<quinn::Connection> {
    let mut client = quinn::ClientConfig::new(tls);
    client.transport_config(config::transport(settings, to.addr));
    let failed = |reason: String| WireError::Connect { addr: to.addr, reason };
    let connecting = socket.connect_with(client, to.addr, &server_name(to.id)).map_err(|e| failed(e.to_string()))?;
    connecting.await.map_err(|e| reason::of_handshake(&e, to.id, to.addr))
}

/// A DNS name for an id, in two labels as one may have 63 characters. It never crosses the wire; sessions are kept under it.
fn server_name(id: NodeId) -> String {
    let id = id.to_string();
    let (left, right) = id.split_at(32);
    format!("{left}.{right}.mayfly")
}

/// Sends the first frame of a link and reads its answer.
pub(super) async fn exchange(
    connection: &quinn::Connection,
    to: Peer,
    first: &[u8],
    due: Kind,
    limit: usize,
) -> Result<Frame> {
    let mut receive = say(connection, to, first).await?;
    hear(connection, to, &mut receive, due, limit).await
}

/// Sends the first frame of a link; the answer comes on the stream that is returned.
pub(super) async fn say(connection: &quinn::Connection, to: Peer, first: &[u8]) -> Result<quinn::RecvStream> {
    let (mut send, receive) = connection.open_bi().await.map_err(|e| lost(connection, to, e.to_string()))?;
    write_frame(&mut send, first).await.map_err(|reason| lost(connection, to, reason))?;
    let _ = send.finish();
    Ok(receive)
}

/// Reads a frame of the answer.
pub(super) async fn hear(
    connection: &quinn::Connection,
    to: Peer,
    receive: &mut quinn::RecvStream,
    due: Kind,
    limit: usize,
) -> Result<Frame> {
    match read_frame(receive, &[due], limit).await {
        Ok(frame) => Ok(frame),
        Err(ReadError::Refused(error)) => Err(error),
        Err(ReadError::Broken(reason)) => Err(lost(connection, to, reason)),
    }
}

fn lost(connection: &quinn::Connection, to: Peer, reason: String) -> WireError {
    match reason::of_link(connection, to.id, reason) {
        WireError::Lost { reason, .. } => WireError::Connect { addr: to.addr, reason },
        other => other,
    }
}

/// Closes a connection to another node than the one that was meant.
pub(super) fn check_peer(connection: &quinn::Connection, want: NodeId) -> Result<()> {
    let got = key_of(connection)?.id();
    if got == want {
        return Ok(());
    }
    connection.close(CloseReason::Leaving.code().into(), b"");
    Err(WireError::WrongPeer { want, got })
}

/// The key that the other side proved to have.
pub(super) fn key_of(connection: &quinn::Connection) -> Result<PublicKey> {
    let identity = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let spki = identity.as_ref().and_then(|keys| keys.first()).ok_or(WireError::PublicKey { len: 0 })?;
    PublicKey::from_spki(spki)
}

/// The policy's name for logs.
pub(super) fn policy_name(policy: KeyExchange) -> &'static str {
    policy.group_names()[0]
}
