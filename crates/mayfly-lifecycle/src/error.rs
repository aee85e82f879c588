//! What can go wrong in a life, and how it is said.
use crate::limits::{Candidate, Missed};
use crate::state::Reason;
use mayfly_vault::{Protection, VaultError};
use std::path::PathBuf;
use std::time::Duration;

/// A result with this crate's error.
pub type Result<T, E = LifeError> = std::result::Result<T, E>;

/// A bound of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Instances that live at a time.
    Instances(usize),
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Instances(most) => write!(f, "at most {most} instances live at a time"),
        }
    }
}

/// Why a network was not built, did not live, or did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifeError {
    /// Its owner, its host or a panic ended it.
    #[error("the instance is dissolved ({why}, {ago:?} ago)")]
    Dissolved {
        /// How long ago.
        ago: Duration,
        /// Why.
        why: Reason,
    },
    /// Its lease ran out of time.
    #[error("the lease has expired ({why}, {ago:?} ago); a life is not revived: lease anew")]
    Expired {
        /// How long ago.
        ago: Duration,
        /// [`Reason::Ttl`] or [`Reason::Idle`].
        why: Reason,
    },
    /// It answered as often as its lease allows.
    #[error("all {calls} calls of the lease are used; a life is not revived: lease anew")]
    Exhausted {
        /// Calls that it answered.
        calls: u64,
    },
    /// It is sealed.
    #[error("the instance is sealed; unseal it first")]
    Sealed,
    /// It is not sealed.
    #[error("the instance is not sealed")]
    NotSealed,
    /// The host was started without a folder for sealed instances.
    #[error("the host has no folder for sealed instances; start it with one")]
    NoSealFolder,
    /// Another host uses the folder.
    #[error("{path:?} is used by another host")]
    SealFolderTaken {
        /// The folder.
        path: PathBuf,
    },
    /// The system refuses a sealed file or its folder. A live instance stays live.
    #[error("{path:?}: {source}")]
    SealFile {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A sealed file is not what was written.
    #[error("the sealed file {path:?} is refused: {what}")]
    SealBroken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No memory is free for one more instance.
    #[error("no slot of {wanted} bytes is free: {used} of {limit} bytes are in use{}", wait(*.wait_for))]
    Busy {
        /// Bytes that are needed.
        wanted: usize,
        /// Bytes of slots in use.
        used: usize,
        /// The vault's limit.
        limit: usize,
        /// When the next lease ends at the latest; nothing where no lease has an end.
        wait_for: Option<Duration>,
    },
    /// The host's limits allow no more.
    #[error("refused: {limit}")]
    Refused {
        /// The limit.
        limit: Limit,
    },
    /// The host is shutting down.
    #[error("the host is shut down and takes no more instances")]
    Closed,
    /// A lease that no instance could keep.
    #[error("a lease needs {what}")]
    BadLease {
        /// What is wrong.
        what: &'static str,
    },
    /// No candidate keeps all limits.
    #[error("infeasible: {missed}")]
    Infeasible {
        /// The limit that was missed, and what came nearest.
        missed: Missed,
        /// All that were looked at.
        candidates: Vec<Candidate>,
    },
    /// An algorithm that makes its own network, whose cost is not known before.
    #[error("a network is built for a purpose by algorithms with layers of a given size; cascade has none")]
    NoFixedSize,
    /// A score that the target does not have.
    #[error("the target has no {score}: classes have an accuracy, numbers an R²")]
    NoSuchScore {
        /// What was to be reached.
        score: &'static str,
    },
    /// A row of another length than the network takes.
    #[error("a call takes {want} numbers, not {got}")]
    RowLength {
        /// Numbers that are needed.
        want: usize,
        /// Numbers that were given.
        got: usize,
    },
    /// Room for an answer that has another length.
    #[error("an answer has {want} numbers; there is room for {got}")]
    AnswerLength {
        /// Numbers of an answer.
        want: usize,
        /// Room that was given.
        got: usize,
    },
    /// A network with further inputs, which a call of one row cannot fill.
    #[error("the network has a further input {name:?}; a call fills one input only")]
    FurtherInputs {
        /// Its first further input.
        name: String,
    },
    /// The network's memory is larger than its slot. (A bug: the size was computed for it.)
    #[error("the network needs {bytes} bytes more than its slot has")]
    Shortfall {
        /// Bytes that found no room.
        bytes: usize,
    },
    /// Memory is not protected as the level demands.
    #[error(transparent)]
    Vault(VaultError),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {reason}")]
    Randomness {
        /// What it said.
        reason: String,
    },
    /// The thread that wipes in time could not be started.
    #[error("cannot start the thread that ends leases: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
    /// The network cannot be planned or run.
    #[error(transparent)]
    Network(#[from] mayfly_nn::NnError),
    /// The plan cannot be made or run.
    #[error(transparent)]
    Graph(#[from] mayfly_graph::GraphError),
}

fn wait(wait: Option<Duration>) -> String {
    match wait {
        Some(time) => format!("; a lease ends within {time:?}"),
        None => "; no lease has an end, so dissolve an instance or raise the limit".to_owned(),
    }
}

impl LifeError {
    /// What held where a strict vault refused.
    pub fn protection(&self) -> Option<Protection> {
        match self {
            LifeError::Vault(VaultError::Unprotected { held, .. }) => Some(*held),
            _ => None,
        }
    }
}
