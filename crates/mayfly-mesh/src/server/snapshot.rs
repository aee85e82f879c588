//! A snapshot for a client, as `etcdctl snapshot save` takes one: the state, who says so, zeros up to a multiple of 512 bytes, and SHA-256 over all.

use super::answer::status;
use crate::backup::seal::{Sealed, seal};
use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::proto::etcdserverpb::SnapshotResponse;
use crate::store::View;
use futures_util::stream::{self, Stream};
use mayfly_wire::Identity;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};
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
    signer: Option<Identity>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = std::result::Result<SnapshotResponse, Status>> {
    let (tell, told) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(&engine, signer.as_ref(), &tell) {
            let _ = tell.blocking_send(Err(status(&error))); // the client may be gone
        }
        drop(place);
    });
    stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) })
}

/// Twice over the same state: first to know its length, which is told with every message, and its digest, which is signed.
fn send(engine: &impl Engine, signer: Option<&Identity>, tell: &Tell) -> Result<()> {
    let store = engine.store();
    let view = store.view()?;
    let mut measure = Measure::default();
    store.snapshot_of(&view, &mut measure)?;
    let seal = signer.map(|signer| sealed(engine, &view, &measure, signer)).transpose()?.unwrap_or_default();
    let length = measure.bytes + seal.len() as u64;
    let padding = length.next_multiple_of(BLOCK) - length;
    let (buffer, hasher) = (Vec::with_capacity(CHUNK), Sha256::new());
    let mut chunks = Chunks { tell, buffer, hasher, remaining: length + padding };
    store.snapshot_of(&view, &mut chunks)?;
    drop(view);
    let gone = |e: io::Error| MeshError::Snapshot { what: e.to_string() };
    chunks.write_all(&seal).map_err(gone)?;
    chunks.write_all(&[0; BLOCK as usize][..padding as usize]).map_err(gone)?;
    chunks.end().map_err(gone)
}

/// In the name of the node that sends it, also where a client of etcd's takes it.
fn sealed(engine: &impl Engine, view: &View, measure: &Measure, signer: &Identity) -> Result<Vec<u8>> {
    let unread = |_| MeshError::Snapshot { what: "its revision cannot be read".into() };
    let sealed = Sealed {
        owner: engine.store().owner(),
        at: view.applied,
        revision: view.revision().map_err(unread)?,
        bytes: measure.bytes,
        digest: measure.end,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    seal(&sealed, signer, i64::try_from(now).unwrap_or(i64::MAX))
}

/// How long a stream is, and its last bytes: its own sum.
#[derive(Default)]
struct Measure {
    bytes: u64,
    end: [u8; 32],
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        let new = bytes.len().min(self.end.len());
        self.end.copy_within(new.., 0);
        let kept = self.end.len() - new;
        self.end[kept..].copy_from_slice(&bytes[bytes.len() - new..]);
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
