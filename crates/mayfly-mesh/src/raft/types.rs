//! openraft's types filled in, over any runtime: a simulator drives the same code as a node.

use mayfly_wire::Peer;
use openraft::impls::leader_id_std::LeaderId;
use openraft::impls::{BoxedErrorSource, InlineBatch, ProgressResponder};
use openraft::vote::RaftLeaderId;
use openraft::{AsyncRuntime, OptionalSend, RaftTypeConfig};
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

/// The types of consensus on a runtime.
pub(crate) struct Types<R>(PhantomData<fn() -> R>);

pub(crate) type Id = openraft::LogId<<LeaderId<u64, u64> as RaftLeaderId>::Committed>;
pub(crate) type Vote = openraft::Vote<LeaderId<u64, u64>>;
pub(crate) type Payload = openraft::EntryPayload<Command, u64, Seat>;
pub(crate) type LogEntry = openraft::Entry<<LeaderId<u64, u64> as RaftLeaderId>::Committed, Payload>;
pub(crate) type Members = openraft::Membership<u64, Seat>;
pub(crate) type StoredMembers = openraft::StoredMembership<<LeaderId<u64, u64> as RaftLeaderId>::Committed, u64, Seat>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<<LeaderId<u64, u64> as RaftLeaderId>::Committed, u64, Seat>;

/// An entry's bytes: [`crate::Entry::encode`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) Vec<u8>);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes for tag {}", self.0.len(), self.0.get(1).copied().unwrap_or_default())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

const SCHEME: &str = "mayfly://";

/// Where a member is found, and who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// The identity of its links and their address. None for a founder that never had links.
    pub peer: Option<Peer>,
    /// Its name in lists. A member without one was never started.
    pub name: String,
    /// URLs where it serves clients.
    pub clients: Vec<String>,
    /// It becomes a voter once it has what the others have.
    pub wants_vote: bool,
}

impl Seat {
    /// Its identity and address as etcd's lists have them: `mayfly://IDENTITY@ADDRESS`.
    pub fn url(&self) -> Option<String> {
        self.peer.map(|Peer { id, addr }| format!("{SCHEME}{id}@{addr}"))
    }
}

/// What [`Seat::url`] says.
pub(crate) fn peer_of_url(url: &str) -> Option<Peer> {
    let (id, addr) = url.trim().strip_prefix(SCHEME)?.split_once('@')?;
    Some(Peer { id: id.parse().ok()?, addr: addr.trim_end_matches('/').parse().ok()? })
}

impl<R: AsyncRuntime> RaftTypeConfig for Types<R> {
    type D = Command;
    type R = Vec<u8>;
    type NodeId = u64;
    type Node = Seat;
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = LogEntry;
    type AsyncRuntime = R;
    type Responder<T>
        = ProgressResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

// Derived, these would ask the same of the runtime.
impl<R> Clone for Types<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Types<R> {}

impl<R> Default for Types<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R> fmt::Debug for Types<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}

impl<R> PartialEq for Types<R> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<R> Eq for Types<R> {}

impl<R> PartialOrd for Types<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Types<R> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
