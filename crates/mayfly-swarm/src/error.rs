//! What can go wrong, with the numbers that prove it.

#[cfg(feature = "std")]
use std::{path::PathBuf, string::String};

/// Short for a result with a [`SwarmError`].
pub type Result<T> = core::result::Result<T, SwarmError>;

/// Everything that this crate refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwarmError {
    /// Blocks of no weights.
    #[error("a block has at least one weight")]
    BlockSize,
    /// Parts of a tensor that do not fit together.
    #[error("the parts of the tensor do not fit together")]
    TensorParts,
    /// A write that does not cover whole blocks of a whole tensor.
    #[error("{count} weights from {at} on are not whole blocks of {block} in a whole tensor of {len}")]
    TensorRange {
        /// First weight.
        at: usize,
        /// Number of weights.
        count: usize,
        /// Weights of the tensor.
        len: usize,
        /// Weights of a block.
        block: usize,
    },
    /// Tensors that cannot be merged.
    #[error("a tensor of {} weights in blocks of {} cannot take in one of {} in blocks of {}", want.0, want.1, got.0, got.1)]
    TensorShape {
        /// Weights and block size here.
        want: (usize, usize),
        /// Weights and block size of the other.
        got: (usize, usize),
    },
    /// A contribution of another length.
    #[error("the contribution has {got} values, the tensor has {want}")]
    ContributionLen {
        /// Length of the tensor.
        want: usize,
        /// Length of the contribution.
        got: usize,
    },
    /// A contribution that would spoil the mean.
    #[error("a contribution has finite values and a weight above 0")]
    ContributionValue,
    /// A share to trim that leaves nothing.
    #[error("the share to trim is at least 0 and below 0.5, not {got}")]
    TrimShare {
        /// The share.
        got: f32,
    },
    /// A key that is empty or too long.
    #[cfg(feature = "std")]
    #[error("a key has 1 to {limit} bytes, not {len}")]
    KeyLen {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A value that is too long.
    #[cfg(feature = "std")]
    #[error("a value has at most {limit} bytes, not {len}: keep large things elsewhere and their hash here")]
    ValueLen {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A stamp as late as any can be is in the memory.
    #[cfg(feature = "std")]
    #[error(
        "no write can be later than what the memory has: a member's clock has said the year 287,396 (stamp {ms} ms). \
        Found a new swarm with the values of this one"
    )]
    NoLaterStamp {
        /// Milliseconds since 1970 that this write would have.
        ms: u64,
    },
    /// The memory is full.
    #[cfg(feature = "std")]
    #[error("the memory holds {held} bytes of at most {limit}: delete something or raise the limit")]
    Full {
        /// Bytes held.
        held: u64,
        /// The limit.
        limit: u64,
    },
    /// A message that is none.
    #[cfg(feature = "std")]
    #[error("a message cannot be read: {reason}")]
    Message {
        /// Why not.
        reason: String,
    },
    /// Options that make no sense.
    #[cfg(feature = "std")]
    #[error("{option} cannot be {got}: {want}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it was.
        got: String,
        /// What it may be.
        want: &'static str,
    },
    /// The file of the memory is damaged.
    #[cfg(feature = "std")]
    #[error(
        "{path} is damaged ({what}): move it away and start again, the other members give back what they have",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file of the memory is not there, or empty, though there has been one.
    #[cfg(feature = "std")]
    #[error(
        "{path} is {state}, though this node has had a memory: put the file back; or, if it is lost, move away what is there and start once \
        with --new-memory: the other members give back what they have",
        path = path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// "missing" or "empty".
        state: &'static str,
    },
    /// The file of the memory is of another node.
    #[cfg(feature = "std")]
    #[error("{path} belongs to node {owner}: start it with that identity, or in another folder", path = path.display())]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: mayfly_base::NodeId,
    },
    /// The file of the memory is open in another process.
    #[cfg(feature = "std")]
    #[error("{path} is in use: another node runs in this folder", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[cfg(feature = "std")]
    #[error("cannot {action} {path}: {reason}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Another process has the same identity and started later.
    #[cfg(feature = "std")]
    #[error("a node with the same identity started later at {addr}: give one of them an identity of its own")]
    Superseded {
        /// Where it is.
        addr: std::net::SocketAddr,
    },
    /// The node has stopped.
    #[cfg(feature = "std")]
    #[error("the node has stopped")]
    Stopped,
    /// The transport failed.
    #[cfg(feature = "std")]
    #[error(transparent)]
    Wire(#[from] mayfly_wire::WireError),
}
