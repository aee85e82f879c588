//! What can go wrong, with the numbers that prove it.

use mayfly_swarm::learn::Digest;
use std::path::PathBuf;

/// Short for a result with a [`LearnError`].
pub type Result<T> = core::result::Result<T, LearnError>;

/// Everything that this crate refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// A setting out of its range.
    #[error("{option} is {got}: {want}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        got: String,
        /// What is wanted.
        want: String,
    },
    /// A record of a run that is none, or is of another version.
    #[error("this is no record of a run: {reason}")]
    Record {
        /// Why.
        reason: String,
    },
    /// A state that no run comes to.
    #[error("this is no state of the run: {reason}")]
    State {
        /// Why.
        reason: String,
    },
    /// An update or a state that does not fit the network.
    #[error("{what} has {got} bytes where {want} are expected")]
    Length {
        /// What it is.
        what: &'static str,
        /// Bytes expected.
        want: usize,
        /// Bytes there.
        got: usize,
    },
    /// An update in a code that nobody here knows, or that does not go with the others.
    #[error("an update of code {code} cannot be used here")]
    Codec {
        /// The code.
        code: u8,
    },
    /// An update with a value that is no number.
    #[error("an update has a value that is not finite")]
    NotFinite,
    /// A contribution that cannot be used.
    #[error("contribution {place} cannot be used: {source}")]
    Contribution {
        /// Its place among those of the round, from 0.
        place: usize,
        /// Why.
        source: Box<Self>,
    },
    /// Bytes that are called by another digest.
    #[error("{what} should be {want} and is {got}")]
    Digest {
        /// What it is.
        what: &'static str,
        /// Its name.
        want: Digest,
        /// What was found.
        got: Digest,
    },
    /// A node without a row.
    #[error("{what} has no rows to train on")]
    NoRows {
        /// Which.
        what: String,
    },
    /// A state that was sent although nobody had asked for it.
    #[error("nobody here asked for state {digest}")]
    Unasked {
        /// Its name.
        digest: Digest,
    },
    /// A body or a state that is not here any more, or not yet.
    #[error("{digest} is not here")]
    NotHere {
        /// Its name.
        digest: Digest,
    },
    /// The run is not known here.
    #[error("nothing is known here of run {id}")]
    UnknownRun {
        /// Its id, or what was given for it.
        id: String,
    },
    /// This node takes part already.
    #[error("this node takes part in run {id} already")]
    TakesPart {
        /// Its id.
        id: Digest,
    },
    /// Whoever called for the run does not take this node's rows.
    #[error("this node's rows do not go with those of others: {reason}")]
    Refused {
        /// Why, in its words.
        reason: String,
    },
    /// A run without members yet.
    #[error("run {id} has not begun, so there is nothing to leave yet")]
    NotBegun {
        /// Its id.
        id: Digest,
    },
    /// The node was told to leave the run before it had begun.
    #[error("this node has left the run before it began")]
    Left,
    /// The node is ending.
    #[error("the node is ending")]
    Stopped,
    /// A file could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The trainer refuses.
    #[error(transparent)]
    Nn(#[from] mayfly_nn::NnError),
    /// The data file is refused.
    #[error(transparent)]
    Format(#[from] mayfly_format::FormatError),
    /// The swarm's core refuses.
    #[error(transparent)]
    Swarm(#[from] mayfly_swarm::SwarmError),
    /// The links refuse.
    #[error(transparent)]
    Wire(#[from] mayfly_wire::WireError),
}

impl LearnError {
    /// A setting out of its range.
    pub(crate) fn option(option: &'static str, got: impl ToString, want: impl Into<String>) -> Self {
        Self::Option { option, got: got.to_string(), want: want.into() }
    }

    /// That it is a contribution's fault.
    pub(crate) fn of_contribution(place: usize, error: impl Into<Self>) -> Self {
        Self::Contribution { place, source: Box::new(error.into()) }
    }
}
