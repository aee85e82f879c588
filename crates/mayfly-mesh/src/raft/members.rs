//! Who is a member, and changes of it. They are made where the leader is.

use super::codec::seat_to;
use super::consensus::{Consensus, Shared};
use super::types::{Seat, Types};
use crate::cluster;
use crate::error::{MeshError, Result};
use crate::proto::meshpb::cluster_command::Change;
use mayfly_wire::Transport;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{AsyncRuntime, ChangeMembers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A member, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The index of the entry that added it.
    pub id: u64,
    /// Where it is found, and who it is.
    pub seat: Seat,
    /// It has a vote; the others are learners.
    pub is_voter: bool,
}

impl<T: Transport, R: AsyncRuntime> Consensus<T, R> {
    /// Who is a member, as far as this one knows.
    pub fn members(&self) -> Vec<Member> {
        let known = self.0.raft.metrics().borrow_watched().membership_config.clone();
        let voters: BTreeSet<u64> = known.voter_ids().collect();
        let member = |(id, seat): (&u64, &Seat)| Member { id: *id, seat: seat.clone(), is_voter: voters.contains(id) };
        known.nodes().map(member).collect()
    }

    /// Gives a newcomer its member id, which nobody had before, and makes it a learner. It is then started on [`crate::Store::join`].
    ///
    /// # Errors
    /// Those of a proposal; [`MeshError::Membership`] when this member does not lead.
    pub async fn add(&self, seat: Seat) -> Result<u64> {
        if self.leader() != Some(self.0.links.member) {
            return Err(self.0.not_here());
        }
        let entry = cluster::entry(Some(Change::Newcomer(seat_to(&seat)))).encode();
        let answer = self.0.propose_anywhere(entry).await?;
        let id = answer.try_into().map(u64::from_be_bytes);
        let id = id.map_err(|_| MeshError::Unsure { reason: "the cluster gave no id".into() })?;
        let added = self.0.raft.add_learner(id, seat, false).await;
        self.0.changed(added.map(drop))?;
        Ok(id)
    }

    /// Gives learners a vote.
    ///
    /// # Errors
    /// [`MeshError::Membership`].
    pub async fn promote(&self, members: &[u64]) -> Result<()> {
        self.0.change(ChangeMembers::AddVoterIds(members.iter().copied().collect())).await
    }

    /// Takes members out, for ever.
    ///
    /// # Errors
    /// [`MeshError::Membership`].
    pub async fn remove(&self, members: &[u64]) -> Result<()> {
        let members: BTreeSet<u64> = members.iter().copied().collect();
        let changes = vec![ChangeMembers::RemoveVoters(members.clone()), ChangeMembers::RemoveNodes(members)];
        self.0.change(ChangeMembers::Batch(changes)).await
    }

    /// Hands leadership over. It is done when another one leads; when that fails, an election follows.
    ///
    /// # Errors
    /// [`MeshError::Stopped`] and others of a member that has ended.
    pub async fn hand_over(&self, to: u64) -> Result<()> {
        self.0.raft.trigger().transfer_leader(to).await.map_err(|fatal| self.0.fatal(&fatal))
    }
}

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    fn not_here(&self) -> MeshError {
        let reason = match self.leader() {
            Some((id, _)) => format!("this member does not lead: ask member {id:x}"),
            None => "nobody leads as far as this member knows".into(),
        };
        MeshError::Membership { reason }
    }

    async fn change(&self, change: ChangeMembers<u64, Seat>) -> Result<()> {
        self.changed(self.raft.change_membership(change, false).await.map(drop))
    }

    fn changed(&self, done: std::result::Result<(), RaftError<Types<R>, ClientWriteError<Types<R>>>>) -> Result<()> {
        match done {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Err(self.not_here()),
            Err(RaftError::APIError(error @ ClientWriteError::LogEntryDiscarded(_))) => {
                Err(MeshError::Unsure { reason: error.to_string() })
            }
            Err(RaftError::APIError(error)) => Err(MeshError::Membership { reason: error.to_string() }),
            Err(RaftError::Fatal(fatal)) => Err(self.fatal(&fatal)),
        }
    }

    /// While this member leads, the membership says where it is found: a founder had no links, and an address may have changed.
    pub(super) async fn keep_seat(self: Arc<Self>) {
        let mut metrics = self.raft.metrics();
        loop {
            let (leads, known, is_ended) = {
                let metrics = metrics.borrow_watched();
                let known = metrics.membership_config.get_node(&self.links.member).cloned();
                (metrics.current_leader == Some(self.links.member), known, metrics.running_state.is_err())
            };
            if is_ended {
                return;
            }
            if leads && known.is_some_and(|known| known != self.seat) {
                let own = BTreeMap::from([(self.links.member, self.seat.clone())]);
                if let Err(error) = self.change(ChangeMembers::SetNodes(own)).await {
                    tracing::warn!(%error, "cannot tell the others where this member is found");
                }
                R::sleep(self.config.moment()).await;
            } else if metrics.changed().await.is_err() {
                return;
            }
        }
    }
}
