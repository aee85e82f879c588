//! One link: what comes in.

use super::Inner;
use super::link::{Failure, Link};
use super::stream::{ReadError, expect_end, read_frame, write_frame};
use crate::body::BodyHead;
use crate::frame::check_len;
use crate::transport::{Answer, answer_of};
use crate::{CloseReason, Event, FAILURE_TOO_LONG, Frame, Kind, Reply, Result, WireError};
use crate::{from_payload, to_payload};
use std::sync::{Arc, Weak};
use tokio::time::timeout;
use tracing::debug;

/// Takes in what comes until the link ends.
pub(super) async fn run_link(inner: Weak<Inner>, link: Arc<Link>) {
    tokio::select! {
        _ = link.connection.closed() => {}
        () = accept_requests(&inner, &link) => {}
        () = accept_bodies(&inner, &link) => {}
        () = accept_datagrams(&inner, &link) => {}
    }
    link.connection.closed().await;
    if let Some(inner) = inner.upgrade() {
        inner.links.remove(&link, &inner.inbox);
    }
}

async fn accept_requests(inner: &Weak<Inner>, link: &Arc<Link>) {
    while let Ok((send, receive)) = link.connection.accept_bi().await {
        let Some(inner) = inner.upgrade() else { return };
        let link = link.clone();
        tokio::spawn(async move {
            let served = serve_request(&inner, &link, send, receive).await;
            end_if_refused(&link, served);
        });
    }
}

async fn accept_bodies(inner: &Weak<Inner>, link: &Arc<Link>) {
    while let Ok(stream) = link.connection.accept_uni().await {
        let Some(inner) = inner.upgrade() else { return };
        let link = link.clone();
        tokio::spawn(async move {
            let served = serve_body(&inner, &link, stream).await;
            end_if_refused(&link, served);
        });
    }
}

async fn accept_datagrams(inner: &Weak<Inner>, link: &Arc<Link>) {
    while let Ok(bytes) = link.connection.read_datagram().await {
        let Some(inner) = inner.upgrade() else { return };
        let served = serve_datagram(&inner, link, &bytes);
        end_if_refused(link, served.map_err(ReadError::Refused));
    }
}

/// No correct program sends what is refused here; the link is not worth keeping.
fn end_if_refused(link: &Link, served: Result<(), ReadError>) {
    if let Err(ReadError::Refused(error)) = served {
        debug!(peer = %link.peer.id.short(), %error, "frame refused, link closed");
        link.close(CloseReason::Protocol);
    }
}

async fn serve_request(
    inner: &Inner,
    link: &Link,
    mut send: quinn::SendStream,
    mut receive: quinn::RecvStream,
) -> Result<(), ReadError> {
    let limit = inner.config.limits.payload;
    let question = async {
        let frame = read_frame(&mut receive, &[Kind::Request], limit).await?;
        expect_end(&mut receive).await?;
        Ok::<_, ReadError>(frame)
    };
    let Ok(question) = timeout(inner.config.request_timeout(), question).await else {
        return Ok(()); // half a question: its stream is dropped, which the asker sees
    };
    let Frame { topic, id, payload, .. } = question?;
    link.accept_id(id)?;
    let (reply, answer) = Reply::channel();
    inner.inbox.push(Event::Request { from: link.peer, topic, payload, reply }).await;
    let answer = tokio::select! {
        answer = answer_of(answer) => answer,
        _ = send.stopped() => return Ok(()), // nobody waits any more
    };
    let bytes = encode_answer(answer, topic, id, limit)?;
    write_frame(&mut send, &bytes).await.map_err(ReadError::Broken)?;
    let _ = send.finish();
    Ok(())
}

fn encode_answer(answer: Answer, topic: u16, id: u32, limit: usize) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    match answer {
        Ok(payload) => match Frame::encode(Kind::Response, topic, id, &payload, limit) {
            Err(WireError::TooLong { len, limit, .. }) => {
                let message = format!("the answer has {len} bytes, the limit is {limit}");
                encode_failure(FAILURE_TOO_LONG, message, topic, id, limit as usize)
            }
            other => other,
        },
        Err((code, message)) => encode_failure(code, message, topic, id, limit),
    }
}

fn encode_failure(
    code: u16,
    mut message: String,
    topic: u16,
    id: u32,
    limit: usize,
) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let most = (limit / 2).min(4096);
    let cut = (0..=most.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    message.truncate(cut.unwrap_or(0));
    Frame::encode(Kind::Failure, topic, id, &to_payload("a failure", &Failure { code, message })?, limit)
}

async fn serve_body(inner: &Inner, link: &Link, mut stream: quinn::RecvStream) -> Result<(), ReadError> {
    let limits = inner.config.limits;
    let head = read_frame(&mut stream, &[Kind::Body], limits.payload);
    let Ok(head) = timeout(inner.config.request_timeout(), head).await else { return Ok(()) };
    let Frame { topic, id, payload, .. } = head?;
    link.accept_id(id)?;
    let BodyHead { len, meta } = from_payload("the head of a body", &payload)?;
    check_len("a body", len, limits.body)?;
    let body = link.reader(stream, len);
    inner.inbox.push(Event::Body { from: link.peer, topic, meta: meta.to_vec(), body }).await;
    Ok(())
}

fn serve_datagram(inner: &Inner, link: &Link, bytes: &[u8]) -> Result<()> {
    let Frame { kind, topic, id, payload } = Frame::decode(bytes, inner.config.limits.payload)?;
    if kind != Kind::Datagram {
        return Err(WireError::WrongKind { want: Kind::Datagram.name(), got: kind as u8 });
    }
    // Overtaken by far: old news, not an attack.
    if link.accept_id(id).is_ok() {
        inner.inbox.offer(Event::Datagram { from: link.peer, topic, payload });
    }
    Ok(())
}
