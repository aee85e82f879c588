//! Links that others start.

use super::dial::{HELLO_LIMIT, Hello, key_of, policy_name, start};
use super::join::{Joining, admit};
use super::link::Link;
use super::stream::{ReadError, read_frame, write_frame};
use super::{Inner, shut_out};
use crate::{CloseReason, Frame, JoinToken, Kind, Peer, ReplayWindow, Result};
use std::sync::{Arc, Weak};
use tokio::time::{Instant, timeout};
use tracing::debug;

/// Accepts until the socket closes.
pub(super) async fn accept_all(socket: quinn::Endpoint, inner: Weak<Inner>) {
    let Some(handshakes) = inner.upgrade().map(|inner| inner.handshakes.clone()) else { return };
    let mut prove_until = Instant::now();
    while let Ok(permit) = handshakes.clone().acquire_owned().await {
        let Some(incoming) = socket.accept().await else { return };
        let Some(inner) = inner.upgrade() else { return };
        if inner.links.len() >= inner.config.max_links {
            incoming.refuse();
            continue;
        }
        let busy = inner.config.max_handshakes.saturating_sub(handshakes.available_permits());
        if busy > inner.config.retry_from {
            prove_until = Instant::now() + inner.config.handshake_timeout();
        }
        // Not only while it is busy: a caller that was sent away repeats its first packet before it hears so. Taken in then, that packet would hold a place
        // until it times out, for a handshake that nobody goes on with.
        if Instant::now() < prove_until && incoming.may_retry() && !incoming.remote_address_validated() {
            let _ = incoming.retry(); // it may retry: that was just asked
            continue;
        }
        tokio::spawn(async move {
            welcome(&inner, incoming).await;
            drop(permit);
        });
    }
}

async fn welcome(inner: &Arc<Inner>, incoming: quinn::Incoming) {
    let addr = incoming.remote_address();
    let policy = policy_name(inner.config.key_exchange);
    let connection = match timeout(inner.config.handshake_timeout(), incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return debug!(%addr, policy, %error, "handshake failed"),
        Err(_) => return debug!(%addr, policy, "handshake took too long"),
    };
    match timeout(inner.config.handshake_timeout(), first_words(inner, &connection)).await {
        Ok(Ok(First::Hello(link))) => start(inner, &Arc::new(link)),
        Ok(Ok(First::Join(asked))) => admit(inner, &connection, asked).await,
        Ok(Err(why)) => close(&connection, why),
        Err(_) => close(&connection, CloseReason::TooSlow),
    }
}

fn close(connection: &quinn::Connection, why: CloseReason) {
    debug!(addr = %connection.remote_address(), %why, "link refused");
    connection.close(why.code().into(), b"");
}

/// What a connection is for.
enum First {
    Hello(Link),
    Join(Joining),
}

/// Hello makes a link, Join makes a member; anything else ends the connection.
async fn first_words(inner: &Arc<Inner>, connection: &quinn::Connection) -> Result<First, CloseReason> {
    let key = key_of(connection).map_err(|_| CloseReason::Protocol)?;
    let barred = shut_out(&inner.trust, key.id());
    let due: &[Kind] = match barred {
        None => &[Kind::Hello, Kind::Join],
        Some(CloseReason::NotMember) if inner.trust.expects_joins(super::now_ms()) => &[Kind::Join],
        Some(why) => return Err(why),
    };
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|_| CloseReason::Lost)?;
    let frame = match read_frame(&mut receive, due, HELLO_LIMIT).await {
        Ok(frame) => frame,
        Err(ReadError::Refused(_)) => return Err(barred.unwrap_or(CloseReason::Protocol)),
        Err(ReadError::Broken(_)) => return Err(CloseReason::Lost),
    };
    match frame.kind {
        Kind::Join => {
            let token = JoinToken::from_bytes(&frame.payload).map_err(|_| CloseReason::Protocol)?;
            Ok(First::Join(Joining { send, token, key }))
        }
        _ => {
            let process = greet(inner, &frame, &mut send).await?;
            let mut seen = ReplayWindow::default();
            seen.accept(frame.id).map_err(|_| CloseReason::Protocol)?;
            let peer = Peer { id: key.id(), addr: connection.remote_address() };
            Ok(First::Hello(Link::new(peer, process, connection.clone(), false, seen)))
        }
    }
}

async fn greet(inner: &Inner, hello: &Frame, send: &mut quinn::SendStream) -> Result<u64, CloseReason> {
    let process = Hello::check(hello).map_err(|_| CloseReason::Protocol)?;
    let answer = inner.hello().map_err(|_| CloseReason::Protocol)?;
    write_frame(send, &answer).await.map_err(|_| CloseReason::Lost)?;
    let _ = send.finish();
    Ok(process)
}
