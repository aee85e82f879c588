//! Changes of members. They are made where the leader is, who is asked by all others.

use super::codec::{place_or_none, seat_from, seat_to};
use super::consensus::Shared;
use super::link::NoAnswer;
use super::types::{Seat, Types, peer_of_url};
use crate::cluster;
use crate::engine::{Member, MemberChange};
use crate::error::{MeshError, Result};
use crate::etcd_error::EtcdError;
use crate::kv::Answer;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::member_change::Change as LinkChange;
use crate::proto::linkpb::refused::Kind;
use crate::proto::linkpb::told::Answer as Told;
use crate::proto::linkpb::{self, MemberChanged, Refused};
use crate::proto::meshpb;
use crate::proto::meshpb::cluster_command::Change;
use mayfly_wire::{Peer, Transport};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{AsyncRuntime, ChangeMembers, Instant, RaftMetrics};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, PoisonError};

/// A cluster has at most so many voters: more would only be slower.
const MAX_VOTERS: usize = 7;
/// And so many members.
const MAX_MEMBERS: usize = 64;

/// A change that was looked at.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Add(Seat),
    Promote(u64),
    Remove(u64),
    Update(u64, Peer),
}

/// The right to change who is a member, as long as it is held.
pub(super) struct Turn(#[expect(dead_code, reason = "it is held")] tokio::sync::OwnedMutexGuard<()>);

/// What the leader knows of members.
pub(super) struct Known {
    seats: BTreeMap<u64, Seat>,
    voters: BTreeSet<u64>,
    /// Members that were heard from of late, this one too.
    active: BTreeSet<u64>,
    /// How far members' logs are known to be equal to the leader's.
    matched: BTreeMap<u64, u64>,
    /// The last entry of the leader's own log.
    last: u64,
    /// Members that this leader has not heard from yet, where it has just begun to lead.
    unheard: BTreeSet<u64>,
}

impl Known {
    /// Are so many of these voters heard from that they can decide?
    /// A leader that has just begun is to be asked again.
    fn can_decide(&self, voters: &BTreeSet<u64>) -> Result<bool> {
        match voters.intersection(&self.active).count() > voters.len() / 2 {
            false if !self.unheard.is_disjoint(voters) => {
                Err(MeshError::NoLeader { reason: "this leader has not heard from all yet".into() })
            }
            can => Ok(can),
        }
    }

    fn is_taken(&self, peer: Peer, but: u64) -> bool {
        let is_it = |other: Peer| other.id == peer.id || other.addr == peer.addr;
        self.seats.iter().any(|(id, seat)| *id != but && seat.peer.is_some_and(is_it))
    }

    /// Voters that are heard from, and where they are found.
    pub(super) fn heard_voters(&self) -> impl Iterator<Item = (u64, Peer)> + '_ {
        let heard = self.voters.intersection(&self.active);
        heard.filter_map(|id| Some((*id, self.seats.get(id)?.peer?)))
    }

    /// Of these, the one that is heard from and has most of the log.
    fn next_leader(&self, of: &BTreeSet<u64>) -> Option<u64> {
        let matched = |id: &u64| self.matched.get(id).copied().unwrap_or_default();
        of.intersection(&self.active).copied().max_by_key(matched)
    }

    /// Has it nearly all that the leader has? Then giving it a vote holds nobody up. etcd's rule.
    fn is_in_step(&self, id: u64) -> bool {
        self.matched.get(&id).is_some_and(|matched| matched.saturating_mul(10) >= self.last.saturating_mul(9))
    }
}

/// The change that a client asks for.
fn wish(change: &MemberChange) -> Answer<Wish> {
    let peer = |urls: &[String]| match urls {
        [url] => peer_of_url(url).ok_or(EtcdError::MemberBadUrls),
        _ => Err(EtcdError::MemberBadUrls),
    };
    Ok(match change {
        MemberChange::Add { peers, wants_vote } => {
            Wish::Add(Seat { peer: Some(peer(peers)?), wants_vote: *wants_vote, ..Seat::default() })
        }
        MemberChange::Promote(id) => Wish::Promote(*id),
        MemberChange::Remove(id) => Wish::Remove(*id),
        MemberChange::Update(id, peers) => Wish::Update(*id, peer(peers)?),
    })
}

fn wish_to(wish: &Wish) -> LinkChange {
    match wish {
        Wish::Add(seat) => LinkChange::Add(seat_to(seat)),
        Wish::Promote(id) => LinkChange::Promote(*id),
        Wish::Remove(id) => LinkChange::Remove(*id),
        Wish::Update(id, peer) => {
            let seat = seat_to(&Seat { peer: Some(*peer), ..Seat::default() });
            LinkChange::Update(meshpb::Member { id: *id, seat: Some(seat) })
        }
    }
}

/// What the leader answered.
fn answer_of(told: &MemberChanged) -> Result<Answer<u64>> {
    match (told.refused, EtcdError::from_number(told.refused)) {
        (0, _) => Ok(Ok(told.member)),
        (_, Some(error)) => Ok(Err(error)),
        (number, None) => Err(MeshError::Unsure { reason: format!("error {number} of the leader is not known here") }),
    }
}

/// The change that another member passes on.
pub(super) fn wish_from(change: linkpb::MemberChange) -> std::result::Result<Wish, String> {
    Ok(match change.change.ok_or("it changes nothing that is known")? {
        LinkChange::Add(seat) => Wish::Add(seat_from(seat)?),
        LinkChange::Promote(id) => Wish::Promote(id),
        LinkChange::Remove(id) => Wish::Remove(id),
        LinkChange::Update(meshpb::Member { id, seat }) => {
            let seat = seat_from(seat.unwrap_or_default())?;
            Wish::Update(id, seat.peer.ok_or("it has no address")?)
        }
    })
}

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Who is a member, as far as this one knows.
    pub(super) fn members(&self) -> Vec<Member> {
        let known = self.raft.metrics().borrow_watched().membership_config.clone();
        // On the way from one set of voters to another, only those of both can be counted on.
        let sets = known.membership().get_joint_config();
        let votes = |id: &u64| sets.iter().all(|set| set.contains(id));
        let member = |(id, seat): (&u64, &Seat)| Member {
            id: *id,
            name: seat.name.clone(),
            peers: seat.url().into_iter().collect(),
            clients: seat.clients.clone(),
            is_voter: votes(id),
        };
        known.nodes().map(member).collect()
    }

    /// Makes a change through whoever leads, and waits until it is known here. Gives the id of the member.
    pub(super) async fn change_members(self: &Arc<Self>, change: &MemberChange) -> Result<Answer<u64>> {
        let _place = self.place()?;
        match wish(change) {
            Ok(wish) => self.change_anywhere(&wish).await,
            Err(error) => Ok(Err(error)),
        }
    }

    async fn change_anywhere(self: &Arc<Self>, wish: &Wish) -> Result<Answer<u64>> {
        let until = R::Instant::now() + self.config.request();
        loop {
            let reason = match self.change_here(wish).await {
                Err(MeshError::NoLeader { reason }) => match self.leader() {
                    Some(leader) if leader.0 != self.links.member => {
                        match self.change_over_there(leader, wish).await? {
                            Ok(told) => {
                                if !matches!(wish, Wish::Remove(id) if *id == self.links.member) {
                                    self.wait_applied(told.index).await?; // who is taken out is told nothing more
                                }
                                return answer_of(&told);
                            }
                            Err(reason) => reason,
                        }
                    }
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

    async fn change_over_there(
        &self,
        leader: (u64, Peer),
        wish: &Wish,
    ) -> Result<std::result::Result<MemberChanged, String>> {
        let question = Question::Change(linkpb::MemberChange { change: Some(wish_to(wish)) });
        match self.ask_leader(leader, question, self.config.request()).await {
            Ok(Told::Changed(told)) => Ok(Ok(told)),
            Ok(Told::Refused(refused)) if refused.kind() == Kind::NothingHappened => Ok(Err(refused.reason)),
            Ok(Told::Refused(refused)) if refused.kind() == Kind::Never => {
                Err(MeshError::Membership { reason: refused.reason })
            }
            Ok(Told::Refused(Refused { reason, .. })) | Err(NoAnswer::Unsure(reason)) => {
                Err(MeshError::Unsure { reason })
            }
            Ok(_) => Err(MeshError::Unsure { reason: "the leader answered another question".into() }),
            Err(NoAnswer::NotAsked(reason)) => Ok(Err(reason)),
        }
    }

    /// Answers another member.
    pub(super) async fn change_told(self: &Arc<Self>, wish: &Wish) -> Told {
        let made = self.change_here(wish).await.and_then(|made| Ok((made, self.orders.store.applied()?.index)));
        match made {
            Ok((Ok(member), index)) => Told::Changed(MemberChanged { index, member, refused: 0 }),
            Ok((Err(error), index)) => Told::Changed(MemberChanged { index, member: 0, refused: error.number() }),
            Err(error) => self.refusal(&error),
        }
    }

    /// Makes a change if this member leads.
    pub(super) async fn change_here(self: &Arc<Self>, wish: &Wish) -> Result<Answer<u64>> {
        let turn = self.turn().await?;
        self.change_in_turn(&turn, wish).await
    }

    /// One change at a time, from looking at the members until it is made. One that was left half-way is brought to its end first.
    pub(super) async fn turn(&self) -> Result<Turn> {
        let lock = R::timeout(self.config.request(), self.changing.clone().lock_owned()).await;
        let lock = lock.map_err(|_| MeshError::NoLeader { reason: "another change of members is under way".into() })?;
        self.known()?; // only a leader changes anything
        let is_joint = self.raft.metrics().borrow_watched().membership_config.membership().get_joint_config().len() > 1;
        if is_joint {
            self.change(ChangeMembers::AddVoterIds(BTreeSet::new())).await?;
        }
        Ok(Turn(lock))
    }

    pub(super) async fn change_in_turn(self: &Arc<Self>, turn: &Turn, wish: &Wish) -> Result<Answer<u64>> {
        let known = self.known()?;
        match wish {
            Wish::Add(seat) => {
                if seat.peer.is_none_or(|peer| known.is_taken(peer, 0)) {
                    return Ok(Err(EtcdError::PeerUrlExists));
                }
                self.add(turn, seat).await.map(Ok)
            }
            Wish::Promote(id) => self.promote(&known, *id).await,
            Wish::Remove(id) => self.remove(&known, *id).await,
            Wish::Update(id, peer) => {
                let Some(seat) = known.seats.get(id) else { return Ok(Err(EtcdError::MemberNotFound)) };
                if known.is_taken(*peer, *id) {
                    return Ok(Err(EtcdError::PeerUrlExists));
                }
                // An id is bound to its identity once it was started.
                if !seat.name.is_empty() && seat.peer.is_some_and(|known| known.id != peer.id) {
                    return Ok(Err(EtcdError::MemberBadUrls));
                }
                self.seat(turn, *id, Seat { peer: Some(*peer), ..seat.clone() }).await.map(|()| Ok(*id))
            }
        }
    }

    /// What this member knows, if it leads.
    fn known(&self) -> Result<Known> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let (Some(heartbeat), Some(replication)) = (&metrics.heartbeat, &metrics.replication) else {
            return Err(MeshError::NoLeader { reason: "this member does not lead".into() });
        };
        let effective = metrics.membership_config.log_id().map(super::codec::place_of);
        let committed = place_or_none(metrics.cluster_committed.max(metrics.local_committed));
        if effective.is_some_and(|effective| effective.index > committed.index) {
            return Err(MeshError::NoLeader { reason: "a change of members is under way".into() });
        }
        let (now, patience) = (R::Instant::now(), self.config.patience());
        let is_new = now - self.leads_since(metrics.current_term, now) < patience;
        let unheard = heartbeat.iter().filter(|(id, heard)| is_new && heard.is_none() && **id != self.links.member);
        let unheard = unheard.map(|(id, _)| *id).collect();
        let is_heard = |heard: &Option<_>| {
            heard.as_ref().is_some_and(|at: &openraft::metrics::SerdeInstant<R::Instant>| now - **at < patience)
        };
        let mut active: BTreeSet<u64> =
            heartbeat.iter().filter(|(_, heard)| is_heard(heard)).map(|(id, _)| *id).collect();
        active.insert(self.links.member);
        Ok(Known {
            seats: metrics.membership_config.nodes().map(|(id, seat)| (*id, seat.clone())).collect(),
            voters: metrics.membership_config.voter_ids().collect(),
            active,
            matched: replication.iter().map(|(id, matched)| (*id, place_or_none(*matched).index)).collect(),
            last: metrics.last_log_index.unwrap_or_default(),
            unheard,
        })
    }

    /// Since when this member is known to lead in a term.
    fn leads_since(&self, term: u64, now: R::Instant) -> R::Instant {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match *since {
            Some((known, at)) if known == term => at,
            _ => since.insert((term, now)).1,
        }
    }

    /// Gives a newcomer its id, which nobody had before, and makes it a learner.
    pub(super) async fn add(&self, _: &Turn, seat: &Seat) -> Result<u64> {
        if self.raft.metrics().borrow_watched().membership_config.nodes().count() >= MAX_MEMBERS {
            return Err(MeshError::Membership { reason: format!("there are {MAX_MEMBERS} members already") });
        }
        let entry = cluster::entry(Some(Change::Newcomer(seat_to(seat)))).encode();
        let (_, answer) = self.propose_here(entry).await?;
        let id = answer.try_into().map(u64::from_be_bytes);
        let id = id.map_err(|_| MeshError::Unsure { reason: "the cluster gave no id".into() })?;
        self.change(ChangeMembers::AddNodes(BTreeMap::from([(id, seat.clone())]))).await?;
        Ok(id)
    }

    async fn promote(&self, known: &Known, id: u64) -> Result<Answer<u64>> {
        let Some(seat) = known.seats.get(&id) else { return Ok(Err(EtcdError::MemberNotFound)) };
        if known.voters.contains(&id) {
            return Ok(Err(EtcdError::MemberNotLearner));
        }
        if known.voters.len() >= MAX_VOTERS {
            let reason = format!("{MAX_VOTERS} members have votes already, and more would only be slower");
            return Err(MeshError::Membership { reason });
        }
        if seat.name.is_empty() || !known.is_in_step(id) {
            return Ok(Err(EtcdError::LearnerNotReady));
        }
        let voters = known.voters.iter().copied().chain([id]).collect();
        if !known.can_decide(&voters)? {
            return Ok(Err(EtcdError::UnhealthyCluster));
        }
        self.reached_by_voters(known, id).await?;
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id]))).await.map(|()| Ok(id))
    }

    async fn remove(&self, known: &Known, id: u64) -> Result<Answer<u64>> {
        if !known.seats.contains_key(&id) {
            return Ok(Err(EtcdError::MemberNotFound));
        }
        if known.voters.contains(&id) {
            let rest: BTreeSet<u64> = known.voters.iter().copied().filter(|voter| *voter != id).collect();
            if rest.is_empty() {
                return Ok(Err(EtcdError::NotEnoughStarted));
            }
            if !known.can_decide(&rest)? {
                return Ok(Err(EtcdError::UnhealthyCluster));
            }
            if id == self.links.member {
                return Err(self.step_aside(known, &rest).await);
            }
        }
        let ids = BTreeSet::from([id]);
        // A voter that loses its vote is taken out with it: it is not kept as a learner.
        let change = match known.voters.contains(&id) {
            true => ChangeMembers::RemoveVoters(ids),
            false => ChangeMembers::RemoveNodes(ids),
        };
        self.change(change).await.map(|()| Ok(id))
    }

    /// Who is to be taken out lets another one lead first; the next leader is asked again.
    async fn step_aside(&self, known: &Known, rest: &BTreeSet<u64>) -> MeshError {
        match known.next_leader(rest) {
            Some(next) => match self.hand_over(next).await {
                Ok(()) => MeshError::NoLeader { reason: "leadership is being handed over".into() },
                Err(error) => error,
            },
            None => MeshError::NoLeader { reason: "nobody is heard from who could lead".into() },
        }
    }

    /// Lets another one lead, if there is one.
    pub(super) async fn step_down(&self) {
        let Ok(known) = self.known() else { return };
        let rest: BTreeSet<u64> = known.voters.iter().copied().filter(|id| *id != self.links.member).collect();
        if let Some(next) = known.next_leader(&rest) {
            let _ = self.hand_over_to(next).await; // without it, an election follows
        }
    }

    /// Hands leadership over. It is done when another one leads; when that fails, an election follows.
    pub(super) async fn hand_over(&self, to: u64) -> Result<()> {
        self.raft.trigger().transfer_leader(to).await.map_err(|fatal| self.fatal(&fatal))
    }

    /// Hands leadership over, and waits until that is so.
    pub(super) async fn hand_over_to(&self, to: u64) -> Result<Answer<()>> {
        let leads = |id: u64| self.raft.metrics().borrow_watched().current_leader == Some(id);
        if !leads(self.links.member) {
            return Ok(Err(EtcdError::NotLeader));
        }
        if !self.known()?.voters.contains(&to) {
            return Ok(Err(EtcdError::BadLeaderTransferee));
        }
        let until = R::Instant::now() + self.config.request();
        if to != self.links.member {
            self.hand_over(to).await?;
        }
        while !leads(to) {
            if R::Instant::now() >= until {
                return Ok(Err(EtcdError::LeaderTransferTimeout));
            }
            R::sleep(self.config.moment()).await;
        }
        Ok(Ok(()))
    }

    /// Says where a member is found; not of one that is none any more.
    pub(super) async fn seat(&self, _: &Turn, id: u64, seat: Seat) -> Result<()> {
        if !self.known()?.seats.contains_key(&id) {
            return Err(MeshError::Membership { reason: format!("{id:x} is no member") });
        }
        self.change(ChangeMembers::SetNodes(BTreeMap::from([(id, seat)]))).await
    }

    async fn change(&self, change: ChangeMembers<u64, Seat>) -> Result<()> {
        let changed = pin!(self.raft.change_membership(change, false));
        let done = self.while_hopeful(changed).await?;
        if let Ok(written) = &done {
            // Who the members are is looked up in what openraft publishes, a moment after its answer.
            let is_published =
                |metrics: &RaftMetrics<Types<R>>| metrics.membership_config.log_id().as_ref() >= Some(&written.log_id);
            let _ = self.raft.wait(Some(self.config.patience())).metrics(is_published, "the members").await; // it is made
        }
        self.changed(done.map(drop))
    }

    fn changed(&self, done: std::result::Result<(), RaftError<Types<R>, ClientWriteError<Types<R>>>>) -> Result<()> {
        let no_leader = |reason: String| Err(MeshError::NoLeader { reason });
        match done {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                error @ ChangeMembershipError::InProgress(_),
            ))) => no_leader(error.to_string()),
            // A change of voters has two steps, and the first of them may have been made.
            Err(RaftError::APIError(error)) => Err(MeshError::Unsure { reason: error.to_string() }),
            Err(RaftError::Fatal(fatal)) => Err(self.fatal(&fatal)),
        }
    }
}
