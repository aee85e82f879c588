//! Large bodies: streamed, never held, as long as they said or an error.

use crate::{Result, WireError};
use bytes::BufMut;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

/// The payload of a [`crate::Kind::Body`] frame.
#[derive(Serialize, Deserialize)]
pub(crate) struct BodyHead<'a> {
    pub(crate) len: u64,
    pub(crate) meta: &'a [u8],
}

/// Most bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Where the bytes of a body go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// The stream, and what keeps its link from being retired.
    Quic(quinn::SendStream, Arc<()>),
    /// The pipe, and whether the link is still up.
    Memory(DuplexStream, watch::Receiver<bool>),
}

/// Where the bytes of a body come from.
#[derive(Debug)]
pub(crate) enum Source {
    Quic(quinn::RecvStream),
    /// The pipe, and whether the link is still up.
    Memory(DuplexStream, watch::Receiver<bool>),
}

/// The writing end of a body. Dropped before [`BodyWriter::finish`], the reader gets an error.
#[derive(Debug)]
pub struct BodyWriter {
    sink: Sink,
    to: NodeId,
    declared: u64,
    written: u64,
}

impl BodyWriter {
    pub(crate) fn new(sink: Sink, to: NodeId, declared: u64) -> Self {
        Self { sink, to, declared, written: 0 }
    }

    /// Writes all of `bytes`, waiting while the reader is behind.
    ///
    /// # Errors
    /// [`WireError::BodyLength`] when this would pass the declared length, [`WireError::Lost`] when the link or the reader is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let got = self.written + bytes.len() as u64;
        if got > self.declared {
            return Err(WireError::BodyLength { declared: self.declared, got });
        }
        let sent = match &mut self.sink {
            Sink::Quic(stream, _) => stream.write_all(bytes).await.map_err(|e| e.to_string()),
            Sink::Memory(pipe, up) => unless_cut(pipe.write_all(bytes), up).await.map_err(|e| e.to_string()),
        };
        sent.map_err(|reason| WireError::Lost { peer: self.to, reason })?;
        self.written = got;
        Ok(())
    }

    /// Ends the body and waits until all of it has arrived over there (in its buffers; that it was read is for the application to say).
    ///
    /// # Errors
    /// [`WireError::BodyLength`] when less than declared was written, [`WireError::Lost`] when the link or the reader is gone.
    pub async fn finish(self) -> Result<()> {
        if self.written < self.declared {
            return Err(WireError::BodyLength { declared: self.declared, got: self.written });
        }
        let ended = match self.sink {
            Sink::Quic(stream, _in_use) => finish_quic(stream).await,
            Sink::Memory(mut pipe, mut up) => unless_cut(pipe.shutdown(), &mut up).await.map_err(|e| e.to_string()),
        };
        ended.map_err(|reason| WireError::Lost { peer: self.to, reason })
    }
}

async fn finish_quic(mut stream: quinn::SendStream) -> Result<(), String> {
    stream.finish().map_err(|e| e.to_string())?;
    match stream.stopped().await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err("the reader gave the body up".into()),
        Err(e) => Err(e.to_string()),
    }
}

/// The reading end of a body.
#[derive(Debug)]
pub struct BodyReader {
    source: Source,
    from: NodeId,
    declared: u64,
    read: u64,
    /// Keeps the link from being retired.
    _in_use: Arc<()>,
}

impl BodyReader {
    pub(crate) fn new(source: Source, from: NodeId, declared: u64, in_use: Arc<()>) -> Self {
        Self { source, from, declared, read: 0, _in_use: in_use }
    }

    /// The length that the sender declared, in bytes.
    pub fn declared_len(&self) -> u64 {
        self.declared
    }

    /// Reads some bytes, 0 only at the end of a whole body (or into an empty buffer).
    ///
    /// # Errors
    /// [`WireError::BodyLength`] when the body ends early or goes on after its declared length, [`WireError::Lost`] when the link breaks.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let len = match &mut self.source {
            Source::Quic(stream) => read_some(stream, buffer).await,
            Source::Memory(pipe, up) => unless_cut(read_some(pipe, buffer), up).await,
        };
        self.took(len)
    }

    /// Counts what came.
    fn took(&mut self, len: io::Result<usize>) -> Result<usize> {
        let len = len.map_err(|e| WireError::Lost { peer: self.from, reason: e.to_string() })?;
        self.read += len as u64;
        let early = len == 0 && self.read < self.declared;
        if early || self.read > self.declared {
            return Err(WireError::BodyLength { declared: self.declared, got: self.read });
        }
        Ok(len)
    }

    /// Reads all of it, at most `limit` bytes. Memory is taken as the bytes come.
    ///
    /// # Errors
    /// [`WireError::TooLong`] when more than `limit` is declared, and those of [`BodyReader::read`].
    pub async fn read_to_end(mut self, limit: u64) -> Result<Vec<u8>> {
        crate::frame::check_len("a body", self.declared, limit)?;
        let mut out = Vec::new();
        loop {
            let len = match &mut self.source {
                Source::Quic(stream) => append_chunk(stream, &mut out).await,
                Source::Memory(pipe, up) => unless_cut(append_some(pipe, &mut out), up).await,
            };
            if self.took(len)? == 0 {
                return Ok(out);
            }
        }
    }
}

async fn read_some(source: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<usize> {
    AsyncReadExt::read(source, buffer).await
}

/// A packet's worth, copied once.
async fn append_chunk(stream: &mut quinn::RecvStream, out: &mut Vec<u8>) -> io::Result<usize> {
    let chunk = stream.read_chunk(CHUNK, true).await?;
    let bytes = chunk.map(|chunk| chunk.bytes).unwrap_or_default();
    out.extend_from_slice(&bytes);
    Ok(bytes.len())
}

async fn append_some(pipe: &mut DuplexStream, out: &mut Vec<u8>) -> io::Result<usize> {
    out.reserve(CHUNK);
    let mut part = BufMut::limit(out, CHUNK);
    AsyncReadExt::read_buf(pipe, &mut part).await
}

/// What is done on a pipe in memory, given up when the link is cut.
async fn unless_cut<T>(work: impl Future<Output = io::Result<T>>, up: &mut watch::Receiver<bool>) -> io::Result<T> {
    tokio::select! {
        biased;
        _ = up.wait_for(|up| !up) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the link was cut")),
        done = work => done,
    }
}
