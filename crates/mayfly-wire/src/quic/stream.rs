//! Frames on QUIC streams. Memory is taken as bytes arrive.

use crate::frame::{Frame, HEADER_LEN, Header, Kind};
use crate::{Result, WireError};
use quinn::{ReadExactError, RecvStream, SendStream};

/// Bytes that are made room for before any of them has come.
const STEP: usize = 64 << 10;

pub(super) async fn write_frame(stream: &mut SendStream, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).await.map_err(|e| e.to_string())
}

/// What came of reading a frame: the frame, a refusal of what was read, or a stream that broke.
pub(super) enum ReadError {
    Refused(WireError),
    Broken(String),
}

impl From<WireError> for ReadError {
    fn from(error: WireError) -> Self {
        Self::Refused(error)
    }
}

/// Reads one frame of one of the kinds, and nothing after it.
pub(super) async fn read_frame(stream: &mut RecvStream, due: &[Kind], limit: usize) -> Result<Frame, ReadError> {
    let mut head = [0; HEADER_LEN];
    read_exact(stream, &mut head, "a frame").await?;
    let header = Header::read(&head, limit)?;
    if !due.contains(&header.kind) {
        let want = due.first().map_or("nothing", |kind| kind.name());
        return Err(WireError::WrongKind { want, got: header.kind as u8 }.into());
    }
    let mut payload = Vec::new();
    while payload.len() < header.len as usize {
        let at = payload.len();
        payload.resize((at * 2).max(STEP).min(header.len as usize), 0);
        read_exact(stream, &mut payload[at..], "a frame").await?;
    }
    Ok(header.open(payload, limit)?)
}

/// Is this really the end?
pub(super) async fn expect_end(stream: &mut RecvStream) -> Result<(), ReadError> {
    match stream.read(&mut [0]).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(WireError::Trailing { what: "a frame" }.into()),
        Err(e) => Err(ReadError::Broken(e.to_string())),
    }
}

async fn read_exact(stream: &mut RecvStream, out: &mut [u8], what: &'static str) -> Result<(), ReadError> {
    let need = out.len() as u64;
    stream.read_exact(out).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(have) => {
            ReadError::Refused(WireError::Truncated { what, need, have: have as u64 })
        }
        ReadExactError::ReadError(e) => ReadError::Broken(e.to_string()),
    })
}
