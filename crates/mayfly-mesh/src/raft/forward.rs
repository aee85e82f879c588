//! How what is asked here gets to the leader, and when it is certain that nothing happened.

use super::consensus::Shared;
use super::link::NoAnswer;
use super::types::{Command, Types};
use crate::error::{MeshError, Result};
use crate::mutant::Guard;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::refused::Kind;
use crate::proto::linkpb::told::Answer;
use crate::proto::linkpb::{Outcome, ReadIndex, Refused};
use mayfly_wire::{Peer, Transport};
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::{AsyncRuntime, Instant, ReadPolicy};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// So many looks in a row that find no majority are not an election.
const MISSES: u32 = 3;

/// Nobody has taken it. Where to go, as far as that is known.
struct Elsewhere {
    leader: Option<(u64, Peer)>,
    reason: String,
}

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Brings an entry into the order, through whoever leads, and waits until it is applied here.
    pub(super) async fn propose_anywhere(&self, entry: Vec<u8>) -> Result<Vec<u8>> {
        self.check_led()?;
        let until = R::Instant::now() + self.config.patience();
        loop {
            let elsewhere = match self.try_propose(&entry).await? {
                Ok((_, answer)) => return Ok(answer),
                Err(elsewhere) => elsewhere,
            };
            let reason = match elsewhere.leader {
                Some(leader) if leader.0 != self.links.member => match self.propose_over_there(leader, &entry).await? {
                    Ok((index, answer)) => {
                        self.wait_applied(index).await?;
                        return Ok(answer);
                    }
                    Err(reason) => reason,
                },
                _ => elsewhere.reason,
            };
            if R::Instant::now() >= until {
                return Err(MeshError::NoLeader { reason });
            }
            R::sleep(self.config.moment()).await;
        }
    }

    /// Brings an entry into the order if this member leads.
    pub(super) async fn propose_here(&self, entry: Vec<u8>) -> Result<(u64, Vec<u8>)> {
        self.check_len(&entry)?;
        let _place = self.place()?;
        self.try_propose(&entry).await?.map_err(|elsewhere| MeshError::NoLeader { reason: elsewhere.reason })
    }

    async fn try_propose(&self, entry: &[u8]) -> Result<std::result::Result<(u64, Vec<u8>), Elsewhere>> {
        let written = pin!(self.raft.client_write(Command(entry.to_vec())));
        match self.while_hopeful(written).await? {
            Ok(done) => Ok(Ok((done.log_id.index, done.data))),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => Ok(Err(self.elsewhere(forward))),
            Err(RaftError::APIError(error)) => Err(MeshError::Unsure { reason: error.to_string() }),
            Err(RaftError::Fatal(fatal)) => Err(self.fatal(&fatal)),
        }
    }

    fn elsewhere(&self, forward: ForwardToLeader<Types<R>>) -> Elsewhere {
        let leader = forward.leader_id.zip(forward.leader_node.and_then(|seat| seat.peer)).or_else(|| self.leader());
        let reason = match (forward.reason, &leader) {
            (ForwardReason::LeaseExpired, _) => "this leader has not heard from a majority of late".into(),
            (ForwardReason::LeadershipTransfer, _) => "leadership is being handed over".into(),
            (_, Some((id, _))) => format!("member {id:x} leads"),
            (_, None) => "nobody is elected as far as this member knows".into(),
        };
        Elsewhere { leader, reason }
    }

    /// Waits for an answer, but not when there is no hope for one: nobody is elected, or this leader hears from no majority, for two elections.
    pub(super) async fn while_hopeful<X: Send>(
        &self,
        mut answer: Pin<&mut (impl Future<Output = X> + Send)>,
    ) -> Result<X> {
        let start = R::Instant::now();
        let mut hopeful_at = start;
        let patience = self.config.patience();
        loop {
            if let Ok(answer) = R::timeout(self.config.moment() * 4, answer.as_mut()).await {
                return Ok(answer);
            }
            let now = R::Instant::now();
            if self.has_majority(patience) {
                hopeful_at = now;
            }
            let reason = if now - start >= self.config.request() {
                "it took too long"
            } else if now - hopeful_at >= patience {
                "no majority is within reach"
            } else {
                continue;
            };
            return Err(MeshError::Unsure { reason: reason.into() });
        }
    }

    /// Does this member lead with a majority behind it, or know somebody who leads?
    pub(super) fn has_majority(&self, patience: Duration) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let is_alone = metrics.membership_config.voter_ids().all(|voter| voter == self.links.member);
        match metrics.current_leader {
            Some(leader) if leader == self.links.member => {
                is_alone
                    || metrics.last_quorum_acked.is_some_and(|acked| R::Instant::now() - acked.into_inner() < patience)
            }
            leader => leader.is_some() && self.heard_within(patience),
        }
    }

    /// Did this member lead a majority, or hear from whoever does, so short a time ago?
    pub(super) fn was_led_within(&self, time: Duration) -> bool {
        if self.situation.get().leader != Some(self.links.member) {
            return self.heard_within(time);
        }
        // Nothing is known of one that was just elected, or just deposed.
        let acked = self.raft.metrics().borrow_watched().last_quorum_acked;
        acked.is_none_or(|acked| R::Instant::now() - acked.into_inner() < time)
    }

    fn heard_within(&self, time: Duration) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|heard| R::Instant::now() - heard < time)
    }

    /// Who asks a member that has been without a majority for two elections is told so at once, and can ask another one. One that was just started
    /// has heard from nobody yet.
    fn check_led(&self) -> Result<()> {
        let long = self.config.patience() * 2;
        if R::Instant::now() - self.begun < long || self.has_majority(long) || self.was_led_within(long) {
            return Ok(());
        }
        Err(MeshError::NoLeader { reason: "no majority is within reach".into() })
    }

    /// A leader was heard from.
    pub(super) fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(R::Instant::now());
    }

    /// Says when there is no majority within reach, and when there is one again.
    pub(super) async fn watch_majority(self: Arc<Self>) {
        let patience = self.config.patience();
        let (mut had, mut missing) = (false, 0);
        while R::timeout(patience, self.ends()).await.is_err() {
            missing = if self.has_majority(patience) { 0 } else { missing + 1 };
            if missing == 0 && !had {
                tracing::info!("a majority of the mesh is within reach");
                had = true;
            } else if missing == MISSES && had {
                tracing::warn!(
                    "no majority of the mesh is within reach: no writes and no linearizable reads until one is"
                );
                had = false;
            }
        }
    }

    async fn propose_over_there(
        &self,
        leader: (u64, Peer),
        entry: &[u8],
    ) -> Result<std::result::Result<(u64, Vec<u8>), String>> {
        let question = Question::Propose(entry.to_vec());
        let asked = pin!(self.ask_leader(leader, question, self.config.request()));
        match self.while_hopeful(asked).await? {
            Ok(Answer::Outcome(Outcome { index, answer })) => Ok(Ok((index, answer))),
            Ok(Answer::Refused(refused)) if refused.kind() == Kind::NothingHappened => Ok(Err(refused.reason)),
            Ok(Answer::Refused(Refused { reason, .. })) | Err(NoAnswer::Unsure(reason)) => {
                let is_sent_again = self.orders.store.left_out().is(Guard::ProposedOnce);
                if is_sent_again { Ok(Err(reason)) } else { Err(MeshError::Unsure { reason }) }
            }
            Ok(_) => Err(MeshError::Unsure { reason: "the leader answered another question".into() }),
            Err(NoAnswer::NotAsked(reason)) => Ok(Err(reason)),
        }
    }

    /// Waits until everything that was acknowledged before is applied here.
    pub(super) async fn barrier_anywhere(self: &Arc<Self>) -> Result<()> {
        if self.orders.store.left_out().is(Guard::ReadIndex) {
            return Ok(());
        }
        let shared = self.clone();
        let index = self.reads.ask::<R, _>(|| async move { shared.read_index_anywhere().await }).await?;
        self.wait_applied(index).await
    }

    /// The entry that a reader must wait for, from whoever leads.
    async fn read_index_anywhere(&self) -> Result<u64> {
        self.check_led()?;
        let until = R::Instant::now() + self.config.patience();
        loop {
            let reason = match self.read_index().await {
                Err(MeshError::NoLeader { reason }) => match self.leader() {
                    Some(leader) if leader.0 != self.links.member => match self.read_index_over_there(leader).await {
                        Ok(index) => return Ok(index),
                        Err(reason) => reason,
                    },
                    _ => reason,
                },
                other => return other,
            };
            if R::Instant::now() >= until {
                return Err(MeshError::NoLeader { reason });
            }
            R::sleep(self.config.moment()).await;
        }
    }

    /// The same, if this member leads and a majority says so; those who ask at once share the question.
    pub(super) async fn confirmed(self: &Arc<Self>) -> Result<u64> {
        let shared = self.clone();
        self.confirms.ask::<R, _>(|| async move { shared.read_index().await }).await
    }

    /// The entry that a reader must wait for, if this member leads and a majority says so.
    async fn read_index(&self) -> Result<u64> {
        let no_leader = |reason: String| MeshError::NoLeader { reason };
        if self.orders.store.left_out().is(Guard::ReadByMajority)
            && self.situation.get().leader == Some(self.links.member)
        {
            return Ok(self.orders.store.applied()?.index);
        }
        let asked = R::timeout(self.config.patience(), self.raft.get_read_linearizer(ReadPolicy::ReadIndex)).await;
        match asked.map_err(|_| no_leader("this leader hears from no majority".into()))? {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(no_leader(self.elsewhere(forward).reason))
            }
            Err(RaftError::APIError(error)) => Err(no_leader(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(self.fatal(&fatal)),
        }
    }

    async fn read_index_over_there(&self, leader: (u64, Peer)) -> std::result::Result<u64, String> {
        let question = Question::ReadIndex(ReadIndex {});
        match self.ask_leader(leader, question, self.config.patience()).await {
            Ok(Answer::Index(index)) => Ok(index),
            Ok(Answer::Refused(Refused { reason, .. })) => Err(reason),
            Ok(_) => Err("the leader answered another question".into()),
            Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => Err(reason),
        }
    }

    /// Asks a member as long as it leads: whoever waits for one that is gone learns it when another one is elected.
    pub(super) async fn ask_leader(
        &self,
        leader: (u64, Peer),
        question: Question,
        time: Duration,
    ) -> std::result::Result<Answer, NoAnswer> {
        match R::select2(self.links.ask::<R>(leader, question, time), self.deposed(leader.0)).await {
            Select2::First(answer) => answer,
            Select2::Second(()) => Err(NoAnswer::Unsure(format!("member {:x} leads no more", leader.0))),
        }
    }

    /// Waits until an entry is applied here.
    pub(super) async fn wait_applied(&self, index: u64) -> Result<()> {
        let applied = async {
            match R::select2(self.orders.applied.wait_for(|applied| *applied >= index), self.ends()).await {
                Select2::First(_) => Ok(()),
                Select2::Second(()) => Err(self.stopped()),
            }
        };
        let behind = || MeshError::Unsure { reason: format!("this member has not come to entry {index}") };
        R::timeout(self.config.request(), applied).await.map_err(|_| behind())?
    }

    /// Who leads, as far as this member knows.
    pub(super) fn leader(&self) -> Option<(u64, Peer)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let id = metrics.current_leader?;
        Some((id, metrics.membership_config.get_node(&id)?.peer?))
    }
}
