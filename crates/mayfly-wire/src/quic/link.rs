//! One link: what goes out.

use super::stream::{ReadError, expect_end, read_frame, write_frame};
use super::{EndpointConfig, reason};
use crate::body::{BodyHead, Sink, Source};
use crate::frame::{HEADER_LEN, check_len};
use crate::{BodyReader, BodyWriter, CloseReason, Frame, Kind, LinkStats, Peer, ReplayWindow, Result, WireError};
use crate::{from_payload, to_payload};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A connection to a member that both sides have said Hello on.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Peer,
    /// Which of the processes that the node has ever been.
    pub(super) process: u64,
    pub(super) connection: quinn::Connection,
    pub(super) started_here: bool,
    ids: AtomicU32,
    window: Mutex<ReplayWindow>,
    why: OnceLock<CloseReason>,
    /// Held by every body on its way.
    in_use: Arc<()>,
}

/// The payload of a [`Kind::Failure`] frame.
#[derive(Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Link {
    /// `seen` holds the ids of the frames that came before the link was one.
    pub(super) fn new(
        peer: Peer,
        process: u64,
        connection: quinn::Connection,
        started_here: bool,
        seen: ReplayWindow,
    ) -> Self {
        let ids = AtomicU32::new(1); // Hello was 1
        Self {
            peer,
            process,
            connection,
            started_here,
            ids,
            window: Mutex::new(seen),
            why: OnceLock::new(),
            in_use: Arc::default(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    pub(super) fn close(&self, why: CloseReason) {
        let _ = self.why.set(why);
        self.connection.close(why.code().into(), b"");
    }

    /// Why the link ended, from whoever ended it.
    pub(super) fn why(&self) -> CloseReason {
        let said = || self.connection.close_reason().as_ref().and_then(reason::said);
        self.why.get().copied().or_else(said).unwrap_or(CloseReason::Lost)
    }

    pub(super) fn accept_id(&self, id: u32) -> Result<()> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).accept(id)
    }

    pub(super) fn stats(&self) -> LinkStats {
        let stats = self.connection.stats();
        LinkStats {
            peer: self.peer,
            rtt_ms: stats.path.rtt.as_secs_f64() * 1e3,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            lost_packets: stats.path.lost_packets,
        }
    }

    /// Ids do not come again: a link that has used them all up ends.
    fn next_id(&self) -> Result<u32> {
        let step = |id: u32| id.checked_add(1);
        match self.ids.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) {
            Ok(id) => Ok(id + 1),
            Err(_) => {
                self.close(CloseReason::Replaced);
                Err(self.lost("every frame id is used".into()))
            }
        }
    }

    fn lost(&self, reason: String) -> WireError {
        reason::of_link(&self.connection, self.peer.id, reason)
    }

    fn refused(&self, error: ReadError) -> WireError {
        match error {
            ReadError::Refused(error) => error,
            ReadError::Broken(reason) => self.lost(reason),
        }
    }

    pub(super) async fn request(&self, topic: u16, payload: &[u8], config: &EndpointConfig) -> Result<Vec<u8>> {
        let asked = tokio::time::timeout(config.request_timeout(), self.ask(topic, payload, config.limits.payload));
        let timed_out = |_| WireError::TimedOut { what: "the request", after_ms: config.request_timeout_ms };
        asked.await.map_err(timed_out)?
    }

    async fn ask(&self, topic: u16, payload: &[u8], limit: usize) -> Result<Vec<u8>> {
        let id = self.next_id()?;
        let question = Frame::encode(Kind::Request, topic, id, payload, limit)?;
        let (mut send, mut receive) = self.connection.open_bi().await.map_err(|e| self.lost(e.to_string()))?;
        write_frame(&mut send, &question).await.map_err(|e| self.lost(e))?;
        let _ = send.finish();
        let answer = self.read_answer(&mut receive, id, limit).await.map_err(|e| self.refused(e))?;
        match answer.kind {
            Kind::Failure => {
                let Failure { code, message } = from_payload("a failure", &answer.payload)?;
                Err(WireError::Failed { code, message })
            }
            _ => Ok(answer.payload),
        }
    }

    async fn read_answer(&self, receive: &mut quinn::RecvStream, id: u32, limit: usize) -> Result<Frame, ReadError> {
        let answer = read_frame(receive, &[Kind::Response, Kind::Failure], limit).await?;
        if answer.id != id {
            return Err(WireError::WrongId { want: id, got: answer.id }.into());
        }
        expect_end(receive).await?;
        Ok(answer)
    }

    pub(super) fn datagram(&self, topic: u16, payload: &[u8], config: &EndpointConfig) -> Result<()> {
        let bytes = Frame::encode(Kind::Datagram, topic, self.next_id()?, payload, config.limits.payload)?;
        let room = self.connection.max_datagram_size().unwrap_or(0);
        let limit = room.saturating_sub(HEADER_LEN) as u64;
        check_len("a datagram", (bytes.len() - HEADER_LEN) as u64, limit)?;
        self.connection.send_datagram(Bytes::copy_from_slice(&bytes)).map_err(|e| self.lost(e.to_string()))
    }

    pub(super) async fn body(&self, topic: u16, meta: &[u8], len: u64, config: &EndpointConfig) -> Result<BodyWriter> {
        check_len("a body", len, config.limits.body)?;
        let head = to_payload("the head of a body", &BodyHead { len, meta })?;
        let head = Frame::encode(Kind::Body, topic, self.next_id()?, &head, config.limits.payload)?;
        let mut stream = self.connection.open_uni().await.map_err(|e| self.lost(e.to_string()))?;
        write_frame(&mut stream, &head).await.map_err(|e| self.lost(e))?;
        Ok(BodyWriter::new(Sink::Quic(stream, self.in_use.clone()), self.peer.id, len))
    }

    /// A body of `len` bytes that comes in on this link.
    pub(super) fn reader(&self, stream: quinn::RecvStream, len: u64) -> BodyReader {
        BodyReader::new(Source::Quic(stream), self.peer.id, len, self.in_use.clone())
    }

    /// Closes the link when its requests have been answered or timed out and its bodies are through. For the one that lost when two nodes called each other at once.
    pub(super) async fn retire(&self, grace: Duration) {
        loop {
            tokio::time::sleep(grace).await;
            if Arc::strong_count(&self.in_use) == 1 {
                return self.close(CloseReason::Replaced);
            }
        }
    }
}
