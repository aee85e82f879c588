//! Who brings entries into an order and to disk: cluster of one does so alone; consensus will take its place behind the same trait.

mod members;
mod pieces;
mod single;

pub use members::{Member, MemberChange};
pub use pieces::{Piece, PieceAsk};
pub use single::Single;

use crate::entry::Entry;
use crate::error::{MeshError, Result};
use crate::kv::{Answer, KvHash};
use crate::lease::{LeaseAsk, LeaseTime};
use crate::logged::Applied;
use crate::models::Blobs;
use crate::store::Store;
use std::future::Future;

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last entry that is on disk at a majority.
    pub committed: u64,
    /// The last entry applied here.
    pub applied: Applied,
    /// The leader, if there is one.
    pub leader: Option<u64>,
}

/// An order of entries that all members agree on.
pub trait Engine: Clone + Send + Sync + 'static {
    /// Brings an entry into the order. When this returns, it is on the disks of a majority and applied here; the answer is its module's.
    ///
    /// # Errors
    /// [`MeshError::Busy`] when too many wait and [`MeshError::NoLeader`] when nobody may take it: nothing happened.
    /// [`MeshError::Unsure`], [`MeshError::Stopped`] and others: whether it happened is not known.
    fn propose(&self, entry: Entry) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Returns once everything that was acknowledged before this call, by any member, is applied here.
    ///
    /// # Errors
    /// [`MeshError::NoLeader`], [`MeshError::Stopped`].
    fn read_barrier(&self) -> impl Future<Output = Result<()>> + Send;

    /// Who is a member, as far as this one knows.
    fn members(&self) -> Vec<Member>;

    /// Changes who is a member, through whoever leads, and waits until that is known here. Gives the id of the member in question.
    ///
    /// # Errors
    /// Those of a proposal; [`MeshError::Membership`] for what this cluster does not do.
    fn change_members(&self, change: MemberChange) -> impl Future<Output = Result<Answer<u64>>> + Send;

    /// Lets another member lead in place of this one.
    ///
    /// # Errors
    /// Those of a member that has ended.
    fn hand_over(&self, to: u64) -> impl Future<Output = Result<Answer<()>>> + Send;

    /// Asks whoever leads about a lease; none where there is no such lease. What is answered is so in a state that is applied here.
    ///
    /// # Errors
    /// Those of a proposal; a renewal may be asked for again in any case.
    fn lease(&self, ask: LeaseAsk) -> impl Future<Output = Result<Option<LeaseTime>>> + Send;

    /// Asks another member what its history up to a revision comes to: [`crate::kv::hash`].
    ///
    /// # Errors
    /// [`MeshError::Unsure`] when it does not answer.
    fn hash_of(&self, member: u64, revision: i64) -> impl Future<Output = Result<Answer<KvHash>>> + Send;

    /// Where this member keeps artefacts, so that others get them.
    fn keep_artefacts(&self, blobs: Blobs);

    /// Asks another member about an artefact.
    ///
    /// # Errors
    /// [`MeshError::Unsure`] when it does not answer, or does not do it.
    fn piece(&self, member: u64, ask: PieceAsk) -> impl Future<Output = Result<Piece>> + Send;

    /// Returns when the node can no longer go on, with the reason.
    fn ended(&self) -> impl Future<Output = MeshError> + Send;

    /// The state, for reading.
    fn store(&self) -> &Store;

    /// The current term.
    fn term(&self) -> u64;

    /// Where the node stands.
    ///
    /// # Errors
    /// Those of reading.
    fn standing(&self) -> Result<Standing>;
}
