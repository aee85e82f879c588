//! Frames: a fixed header of 16 bytes and a payload. The layout is in `docs/formats/wire.md`.

mod compress;
mod replay;

pub use replay::ReplayWindow;

use crate::{Result, WireError};
use zeroize::Zeroizing;

/// Length of a header in bytes.
pub const HEADER_LEN: usize = 16;
/// The version of the frame format.
pub const VERSION: u8 = 1;
/// Payloads up to this many bytes are never compressed.
pub const COMPRESS_OVER: usize = 1024;

const MAGIC: [u8; 2] = *b"MF";
const COMPRESSED: u16 = 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// The first frame of a link, both ways.
    Hello = 1,
    /// The first frame of a node that is not a member yet.
    Join = 2,
    /// The answer to [`Kind::Join`].
    Joined = 3,
    /// A question.
    Request = 4,
    /// Its answer.
    Response = 5,
    /// The answer that there is none.
    Failure = 6,
    /// A message that may be lost.
    Datagram = 7,
    /// The head of a large body.
    Body = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Hello,
        Self::Join,
        Self::Joined,
        Self::Request,
        Self::Response,
        Self::Failure,
        Self::Datagram,
        Self::Body,
    ];

    fn from_byte(found: u8) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == found).ok_or(WireError::Kind { found })
    }

    /// The name, as the format page has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "Hello",
            Self::Join => "Join",
            Self::Joined => "Joined",
            Self::Request => "Request",
            Self::Response => "Response",
            Self::Failure => "Failure",
            Self::Datagram => "Datagram",
            Self::Body => "Body",
        }
    }
}

/// Hard limits in bytes, checked before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload, as declared and after decompression.
    pub payload: usize,
    /// The longest body.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { payload: 4 << 20, body: 1 << 30 }
    }
}

/// A frame's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Is the payload compressed?
    pub compressed: bool,
    /// What the message is about, in the application's numbering.
    pub topic: u16,
    /// The frame's number on its link.
    pub id: u32,
    /// Bytes of payload that follow.
    pub len: u32,
}

impl Header {
    /// Reads and checks a header. `limit` is the longest payload allowed, in bytes.
    ///
    /// # Errors
    /// [`WireError::Magic`], [`WireError::Version`], [`WireError::Kind`], [`WireError::Flags`], [`WireError::TooLong`].
    pub fn read(bytes: &[u8; HEADER_LEN], limit: usize) -> Result<Self> {
        let [m0, m1, version, kind, f0, f1, t0, t1, i0, i1, i2, i3, l0, l1, l2, l3] = *bytes;
        if [m0, m1] != MAGIC {
            return Err(WireError::Magic { found: [m0, m1] });
        }
        if version != VERSION {
            return Err(WireError::Version { what: "the frame", found: version.into(), known: VERSION.into() });
        }
        let kind = Kind::from_byte(kind)?;
        let flags = u16::from_le_bytes([f0, f1]);
        if flags & !COMPRESSED != 0 {
            return Err(WireError::Flags { found: flags });
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        check_len("a payload", len.into(), limit as u64)?;
        let (topic, id) = (u16::from_le_bytes([t0, t1]), u32::from_le_bytes([i0, i1, i2, i3]));
        Ok(Self { kind, compressed: flags & COMPRESSED != 0, topic, id, len })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        out.extend([VERSION, self.kind as u8]);
        out.extend(if self.compressed { COMPRESSED } else { 0 }.to_le_bytes());
        out.extend(self.topic.to_le_bytes());
        out.extend(self.id.to_le_bytes());
        out.extend(self.len.to_le_bytes());
    }

    /// The frame of this header and its payload as it was sent, decompressed if need be to at most `limit` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::TooLong`], [`WireError::Bomb`], [`WireError::Decompress`].
    pub fn open(&self, payload: Vec<u8>, limit: usize) -> Result<Frame> {
        let payload = match self.compressed {
            true => compress::unpack(&Zeroizing::new(payload), limit)?,
            false => payload,
        };
        Ok(Frame { kind: self.kind, topic: self.topic, id: self.id, payload })
    }
}

pub(crate) fn check_len(what: &'static str, len: u64, limit: u64) -> Result<()> {
    if len > limit { Err(WireError::TooLong { what, len, limit }) } else { Ok(()) }
}

/// A message as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the frame is.
    pub kind: Kind,
    /// What the message is about, in the application's numbering.
    pub topic: u16,
    /// The frame's number on its link; an answer has its question's.
    pub id: u32,
    /// The payload, decompressed.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads one whole frame; `limit` is the longest payload allowed in bytes, declared and decompressed.
    ///
    /// # Errors
    /// Those of [`Header::read`] and [`Header::open`], and [`WireError::Trailing`] when something follows.
    ///
    /// ```
    /// use mayfly_wire::{Frame, Kind};
    /// let bytes = Frame::encode(Kind::Request, 7, 1, b"hello", 1 << 20).unwrap();
    /// let frame = Frame::decode(&bytes, 1 << 20).unwrap();
    /// assert_eq!((frame.topic, frame.payload.as_slice()), (7, b"hello".as_slice()));
    /// ```
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self> {
        let short = |need: usize| WireError::Truncated { what: "a frame", need: need as u64, have: bytes.len() as u64 };
        let Some((head, rest)) = bytes.split_first_chunk() else { return Err(short(HEADER_LEN)) };
        let header = Header::read(head, limit)?;
        let len = header.len as usize;
        match rest.len() {
            have if have < len => Err(short(HEADER_LEN + len)),
            have if have > len => Err(WireError::Trailing { what: "a frame" }),
            _ => header.open(rest.to_vec(), limit),
        }
    }

    /// The bytes of a frame. The payload is compressed when that is worth it.
    ///
    /// # Errors
    /// [`WireError::TooLong`] when the payload is over `limit` bytes.
    pub fn encode(kind: Kind, topic: u16, id: u32, payload: &[u8], limit: usize) -> Result<Zeroizing<Vec<u8>>> {
        check_len("a payload", payload.len() as u64, limit.min(u32::MAX as usize) as u64)?;
        let packed = (payload.len() > COMPRESS_OVER).then(|| compress::pack(payload)).flatten();
        let sent = packed.as_ref().map_or(payload, |packed| packed);
        let mut out = Zeroizing::new(Vec::with_capacity(HEADER_LEN + sent.len()));
        Header { kind, compressed: packed.is_some(), topic, id, len: sent.len() as u32 }.write(&mut out);
        out.extend_from_slice(sent);
        Ok(out)
    }
}
