//! A snapshot for a client, as `etcdctl snapshot save` takes one: the state, zeros up to a multiple of 512 bytes, and SHA-256 over both.

use super::answer::status;
use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::proto::etcdserverpb::SnapshotResponse;
use futures_util::stream::{self, Stream};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

/// Bytes of a message: etcd's.
const CHUNK: usize = 32 << 10;
/// By this, `etcdctl` knows that the sum is there.
const BLOCK: u64 = 512;

type Tell = mpsc::Sender<std::result::Result<SnapshotResponse, Status>>;

/// The messages, from one state. Whoever takes none any more ends it.
pub(super) fn stream<E: Engine>(
    engine: E,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = std::result::Result<SnapshotResponse, Status>> {
    let (tell, told) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(&engine, &tell) {
            let _ = tell.blocking_send(Err(status(&error))); // the client may be gone
        }
        drop(place);
    });
    stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) })
}

/// Twice over the same state: first to know its length, which is told with every message.
fn send(engine: &impl Engine, tell: &Tell) -> Result<()> {
    let store = engine.store();
    let view = store.view()?;
    let mut length = Length(0);
    store.snapshot_of(&view, &mut length)?;
    let padding = length.0.next_multiple_of(BLOCK) - length.0;
    let (buffer, hasher) = (Vec::with_capacity(CHUNK), Sha256::new());
    let mut chunks = Chunks { tell, buffer, hasher, remaining: length.0 + padding };
    store.snapshot_of(&view, &mut chunks)?;
    drop(view);
    let gone = |e: io::Error| MeshError::Snapshot { what: e.to_string() };
    chunks.write_all(&[0; BLOCK as usize][..padding as usize]).map_err(gone)?;
    chunks.end().map_err(gone)
}

struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Chunks<'t> {
    tell: &'t Tell,
    buffer: Vec<u8>,
    hasher: Sha256,
    remaining: u64,
}

impl Chunks<'_> {
    fn tell(&mut self) -> io::Result<()> {
        let blob = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.hasher.update(&blob);
        self.remaining = self.remaining.saturating_sub(blob.len() as u64);
        self.say(blob)
    }

    fn say(&self, blob: Vec<u8>) -> io::Result<()> {
        let response = SnapshotResponse { header: None, remaining_bytes: self.remaining, blob };
        self.tell.blocking_send(Ok(response)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// The sum.
    fn end(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.tell()?;
        }
        let sum = self.hasher.finalize_reset().to_vec();
        self.say(sum)
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.tell()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
