//! What can go wrong, with the numbers that prove it.

use mayfly_base::NodeId;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A result, with a [`WireError`] unless told.
pub type Result<T, E = WireError> = std::result::Result<T, E>;

/// Everything that this crate refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first two bytes are not a frame's.
    #[error("no frame: it starts with {found:02x?} instead of \"MF\"")]
    Magic {
        /// The bytes found.
        found: [u8; 2],
    },
    /// A version that this program does not speak.
    #[error("{what} has version {found}, this program knows up to {known}: update it")]
    Version {
        /// What carried the version.
        what: &'static str,
        /// The version found.
        found: u16,
        /// The highest version known here.
        known: u16,
    },
    /// A frame of a kind that does not exist.
    #[error("frame kind {found} is unknown")]
    Kind {
        /// The number found.
        found: u8,
    },
    /// Flag bits that have no meaning yet.
    #[error("frame flags {found:#06x} are unknown")]
    Flags {
        /// The flags found.
        found: u16,
    },
    /// Longer than the limit.
    #[error("{what} of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// Its length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A compressed payload that claims to grow by more than LZ4 can.
    #[error("{compressed} compressed bytes cannot become {declared}")]
    Bomb {
        /// Compressed length in bytes.
        compressed: u64,
        /// Declared length in bytes after decompression.
        declared: u64,
    },
    /// A compressed payload that does not decompress to what it declares.
    #[error("the payload does not decompress to the {declared} bytes it declares")]
    Decompress {
        /// Declared length in bytes.
        declared: u64,
    },
    /// The bytes end too early.
    #[error("{what} ends after {have} of {need} bytes")]
    Truncated {
        /// What ended.
        what: &'static str,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// Bytes where none should be.
    #[error("{what} is followed by bytes that do not belong to it")]
    Trailing {
        /// What should have been the end.
        what: &'static str,
    },
    /// A frame of another kind than the one due.
    #[error("a frame of kind {got} came where {want} was due")]
    WrongKind {
        /// The name of the kind that was due.
        want: &'static str,
        /// The number of the kind that came.
        got: u8,
    },
    /// An answer to another question.
    #[error("the answer carries id {got} instead of {want}")]
    WrongId {
        /// The id of the question.
        want: u32,
        /// The id of the answer.
        got: u32,
    },
    /// A frame id that was used before, or too long ago to know.
    #[error("frame id {id} came again, or too late: the newest is {newest}")]
    Replayed {
        /// The id.
        id: u32,
        /// The highest id seen on the link.
        newest: u32,
    },
    /// A payload that is not what its kind demands.
    #[error("{what} cannot be read: {reason}")]
    Payload {
        /// What was being read.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A secret that others on this machine may read.
    #[error("{path} may be read by others (mode {mode:04o}): run `chmod 600 {path}`", path = path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that is damaged or no file of its kind.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file that would be overwritten.
    #[error("{path} exists already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A sealed identity without a passphrase.
    #[error("{path} is sealed: a passphrase is needed", path = path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase for an identity that is not sealed.
    #[error("{path} is not sealed, but a passphrase was given: seal it with `mayfly swarm key seal`, or give none", path = path.display())]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase that does not open the file.
    #[error("the passphrase does not open {path}", path = path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// A seal that costs more than a file may ask for, or parameters that Argon2 refuses.
    #[error("Argon2id with {memory_kib} KiB, {passes} passes and {lanes} lanes is outside the limits")]
    SealCost {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// Not the length of an ML-DSA-87 public key, or not one.
    #[error("{len} bytes are no ML-DSA-87 public key")]
    PublicKey {
        /// Length in bytes.
        len: usize,
    },
    /// A signature that its key did not make.
    #[error("the signature of {what} is not {signer}'s")]
    Signature {
        /// What was signed.
        what: &'static str,
        /// Who should have signed.
        signer: NodeId,
    },
    /// A key that is not on the trust list.
    #[error("{id} is not a member of this swarm")]
    NotMember {
        /// The node.
        id: NodeId,
    },
    /// A key that was revoked or rotated away.
    #[error("{id} was revoked")]
    Revoked {
        /// The node.
        id: NodeId,
    },
    /// Something signed for another swarm.
    #[error("{what} is for swarm {got}, this is {want}", want = want.short(), got = got.short())]
    OtherSwarm {
        /// What it was.
        what: &'static str,
        /// This swarm.
        want: NodeId,
        /// The swarm it is for.
        got: NodeId,
    },
    /// A trust list that does not start with one founding record, or has a second one.
    #[error("record {at} of the trust list is out of place: the founding record is the first and the only one")]
    Founding {
        /// Place in the log, from 0.
        at: usize,
    },
    /// The trust list cannot take more.
    #[error("the trust list is full: {limit} members")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// A new key that is a member's already.
    #[error("{id} is a member already: a key is rotated into a new one")]
    KeyInUse {
        /// The node.
        id: NodeId,
    },
    /// Text that is no join token.
    #[error("this is no join token: {reason}")]
    TokenText {
        /// Why not.
        reason: &'static str,
    },
    /// A token after its time.
    #[error("the join token expired {} s ago: ask for a new one", now_ms.saturating_sub(*expires_ms) / 1000)]
    TokenExpired {
        /// When it expired, milliseconds since 1970.
        expires_ms: u64,
        /// Now, milliseconds since 1970.
        now_ms: u64,
    },
    /// A token that was redeemed before.
    #[error("the join token was used before: ask for a new one")]
    TokenUsed,
    /// A token that this node did not issue, or forgot.
    #[error("the join token is not one of {here}'s: it was issued by {issuer}", here = here.short(), issuer = issuer.short())]
    TokenIssuer {
        /// The issuer that it names.
        issuer: NodeId,
        /// This node.
        here: NodeId,
    },
    /// A token of this node that its book does not hold.
    #[error(
        "the join token is in no book: it expired long ago, or the node that issued it lost its tokens.book; ask for a new one"
    )]
    TokenForgotten,
    /// Another node answered at the address.
    #[error("{got} answers where {want} was expected", want = want.short(), got = got.short())]
    WrongPeer {
        /// The node that was expected.
        want: NodeId,
        /// The node that answered.
        got: NodeId,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {addr}: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// No link to the address.
    #[error("no link to {addr}: {reason}")]
    Connect {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// The other side closed the link, and said why.
    #[error("{peer} closed the link: {why}{}{said}", if said.is_empty() { "" } else { ": " }, peer = peer.short())]
    ClosedBy {
        /// The other side.
        peer: NodeId,
        /// Its reason.
        why: crate::CloseReason,
        /// What it said besides, if anything; printable text.
        said: String,
    },
    /// The link broke.
    #[error("the link to {peer} broke: {reason}", peer = peer.short())]
    Lost {
        /// The other side.
        peer: NodeId,
        /// How it broke.
        reason: String,
    },
    /// Nothing came in time.
    #[error("{what} did not finish within {after_ms} ms")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// The limit in milliseconds.
        after_ms: u64,
    },
    /// A body that is not as long as it said.
    #[error("the body has {got} bytes instead of the {declared} it declares")]
    BodyLength {
        /// Declared length in bytes.
        declared: u64,
        /// Bytes written or read.
        got: u64,
    },
    /// The other side answered that it will not or cannot.
    #[error("the request failed over there ({code}): {message}")]
    Failed {
        /// The application's code; from [`crate::FAILURE_WIRE`] on they are the wire's.
        code: u16,
        /// For people.
        message: String,
    },
    /// This endpoint was closed.
    #[error("the endpoint is closed")]
    Closed,
    /// The TLS or crypto library refused.
    #[error("{what}: {reason}")]
    Tls {
        /// What was tried.
        what: &'static str,
        /// The library's reason.
        reason: String,
    },
}

impl WireError {
    /// An [`WireError::Io`] from the system's error, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }

    /// A [`WireError::Tls`] from a library's error, for `map_err`.
    pub(crate) fn tls<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Tls { what, reason: error.to_string() }
    }
}
