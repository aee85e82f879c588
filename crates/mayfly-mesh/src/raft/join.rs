//! Newcomers, and members that return: whoever leads gives the ones an id, and tells all where the others are found.

use super::codec::{seat_from, seat_to};
use super::config::ConsensusConfig;
use super::consensus::{Consensus, Shared};
use super::inbox::NOT_FOR_US;
use super::link::{Gone, Links, NoAnswer, ask_over};
use super::members::Wish;
use super::situation::Situation;
use super::types::Seat;
use crate::cluster;
use crate::error::{MeshError, Result};
use crate::ids::Owner;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::told::Answer;
use crate::proto::linkpb::{Join, Joined, Refused};
use mayfly_wire::{Event, Peer, Transport};
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{AsyncRuntime, Instant};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two tries to say where this member is found.
const AGAIN: Duration = Duration::from_secs(1);

/// A member that nobody has led for so long ends when it is told that its cluster was given up; one that nobody has led since it was started, sooner.
const RETURNING: Duration = Duration::from_secs(10);
/// Between two looks at the members where nothing seems to change.
const CALM: Duration = Duration::from_secs(60);

/// What the mesh says to a newcomer.
type Admission = std::result::Result<Owner, String>;

/// Is this node a newcomer, or does it join again because its state is lost?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It never was a member, or never got to start.
    First,
    /// It was a member, and is one no more: its state is lost.
    Anew,
}

impl<T: Transport, R: AsyncRuntime> Consensus<T, R> {
    /// Asks members of a mesh, one after the other, to let this node in. It is then started on [`crate::Store::join`].
    /// None where nobody could be asked, or none of them is of a mesh with a leader: the same may be asked again.
    ///
    /// # Errors
    /// [`MeshError::NotAdmitted`]; [`MeshError::Stopped`] for a transport that is closed.
    pub async fn join(transport: &T, members: &[Peer], seat: &Seat, arrival: Arrival) -> Result<Option<Owner>> {
        match R::select2(refuse_all(transport), Self::ask_all(transport, members, seat, arrival)).await {
            Select2::First(()) => Err(MeshError::Stopped { reason: "the transport was closed".into() }),
            Select2::Second(admitted) => admitted,
        }
    }

    async fn ask_all(transport: &T, members: &[Peer], seat: &Seat, arrival: Arrival) -> Result<Option<Owner>> {
        let (nobody, gone) = (Owner { cluster: 0, member: 0 }, watch::Sender::new(None));
        for peer in members {
            let join = Join { seat: Some(seat_to(seat)), cluster: 0, member: 0, anew: arrival == Arrival::Anew };
            let time = ConsensusConfig::default().request();
            match ask_over::<T, R>(transport, nobody, (0, *peer), Question::Join(join), time, &gone).await {
                Ok(Answer::Joined(Joined { cluster, member, refused })) if refused.is_empty() => {
                    return Ok(Some(Owner { cluster, member }));
                }
                Ok(Answer::Joined(Joined { refused, .. })) => return Err(MeshError::NotAdmitted { reason: refused }),
                Ok(Answer::Refused(Refused { reason, .. }))
                | Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => {
                    tracing::debug!(peer = %peer.id.short(), reason, "does not let this node in yet");
                }
                Ok(_) => tracing::debug!(peer = %peer.id.short(), "answered another question"),
            }
        }
        Ok(None)
    }
}

/// Whoever takes this node for the member that it was must not wait for it.
async fn refuse_all(transport: &impl Transport) {
    while let Some(event) = transport.next().await {
        if let Event::Request { reply, .. } = event {
            reply.refuse(NOT_FOR_US, "this node is no member yet");
        }
    }
}

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Answers a newcomer, or a member for one: `by` is 0 for a newcomer.
    pub(super) async fn join_told(self: &Arc<Self>, from: Peer, by: u64, join: Join) -> Answer {
        let refused = |refused: String| Answer::Joined(Joined { cluster: 0, member: 0, refused });
        let seat = match seat_from(join.seat.clone().unwrap_or_default()) {
            Ok(seat) => seat,
            Err(reason) => return refused(reason),
        };
        if by == 0 && seat.peer.is_none_or(|peer| peer.id != from.id) {
            return refused(format!("it asks for another one than {}", from.id.short()));
        }
        match self.join_here(&join, seat).await {
            Err(MeshError::NoLeader { reason }) => match self.leader() {
                Some(leader) if by == 0 && leader.0 != self.links.member => {
                    match self.links.ask::<R>(leader, Question::Join(join), self.config.request()).await {
                        Ok(answer) => answer,
                        Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => {
                            self.refusal(&MeshError::NoLeader { reason })
                        }
                    }
                }
                _ => self.refusal(&MeshError::NoLeader { reason }),
            },
            Ok(Ok(Owner { cluster, member })) => Answer::Joined(Joined { cluster, member, refused: String::new() }),
            Ok(Err(reason)) => refused(reason),
            Err(error) => self.refusal(&error),
        }
    }

    /// Lets a newcomer in, or seats a member, if this member leads.
    async fn join_here(self: &Arc<Self>, join: &Join, seat: Seat) -> Result<Admission> {
        self.confirmed().await?; // an old leader lets nobody in
        let turn = self.turn().await?;
        let known = self.raft.metrics().borrow_watched().membership_config.clone();
        let cluster = self.links.cluster;
        let identity = seat.peer.map(|peer| peer.id);
        if join.member != 0 {
            return match known.get_node(&join.member) {
                _ if join.cluster != cluster => Ok(Err(format!("this is cluster {cluster:016x}"))),
                Some(known) if known.peer.is_none_or(|peer| Some(peer.id) == identity) => {
                    // Whether it gets a vote was settled when it was let in.
                    let seat = Seat { wants_vote: known.wants_vote, ..seat };
                    if *known != seat {
                        self.seat(&turn, join.member, seat).await?;
                    }
                    Ok(Ok(Owner { cluster, member: join.member }))
                }
                Some(_) => Ok(Err(format!("member {:x} has another identity", join.member))),
                None => Ok(Err(format!("{:x} is no member", join.member))),
            };
        }
        let before = known.nodes().find(|(_, seat)| seat.peer.map(|peer| peer.id) == identity);
        match before {
            Some((member, known)) if known.name.is_empty() => {
                if known.peer != seat.peer {
                    let seat = Seat { peer: seat.peer, ..known.clone() };
                    self.seat(&turn, *member, seat).await?;
                }
                return Ok(Ok(Owner { cluster, member: *member }));
            }
            Some((member, _)) if join.anew => match self.change_in_turn(&turn, &Wish::Remove(*member)).await? {
                Ok(_) => {}
                Err(error) => return Ok(Err(format!("member {member:x} cannot be taken out: {error}"))),
            },
            Some((member, _)) => {
                return Ok(Err(format!(
                    "its identity is that of member {member:x}, which was started before: bring its state back, or say that it is lost and join anew"
                )));
            }
            None => {}
        }
        // Its name is noted when it starts: until then it may ask again.
        let unstarted = Seat { name: String::new(), ..seat };
        let member = self.add(&turn, &unstarted).await?;
        Ok(Ok(Owner { cluster, member }))
    }

    /// Tells the others where this member is found, and what it is called, whenever they know something else.
    pub(super) async fn keep_seat(self: Arc<Self>) {
        let mut was_told = false; // once at every start, so that one that was taken out learns it
        loop {
            let situation = self.situation.get();
            let Situation { leader, is_ended, .. } = situation;
            let known = {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow_watched();
                metrics.membership_config.get_node(&self.links.member).cloned()
            };
            if is_ended {
                return;
            }
            let is_own = |known: &Seat| Seat { wants_vote: self.seat.wants_vote, ..known.clone() } == self.seat;
            let is_told = known.as_ref().is_none_or(is_own) && (was_told || known.is_none());
            if is_told || leader.is_none() {
                self.situation.changed_from(&situation).await;
                continue;
            }
            let told = match leader == Some(self.links.member) {
                true => self.note_own_seat(known).await,
                false => self.tell_seat().await,
            };
            match told {
                Ok(()) => was_told = true,
                Err(error) => tracing::debug!(%error, "the others do not know yet where this member is found"),
            }
            if R::timeout(AGAIN, self.ends()).await.is_ok() {
                return;
            }
        }
    }

    async fn note_own_seat(&self, known: Option<Seat>) -> Result<()> {
        let wants_vote = known.as_ref().is_some_and(|known| known.wants_vote);
        let seat = Seat { wants_vote, ..self.seat.clone() };
        if known.as_ref() == Some(&seat) {
            return Ok(());
        }
        let turn = self.turn().await?;
        self.seat(&turn, self.links.member, seat).await
    }

    async fn tell_seat(&self) -> Result<()> {
        let leader = self.leader().ok_or_else(|| MeshError::NoLeader { reason: "its address is not known".into() })?;
        let Links { cluster, member, .. } = *self.links;
        let join = Join { seat: Some(seat_to(&self.seat)), cluster, member, anew: false };
        match self.links.ask::<R>(leader, Question::Join(join), self.config.request()).await {
            Ok(Answer::Joined(Joined { refused, .. })) if refused.is_empty() => Ok(()),
            Ok(Answer::Joined(Joined { refused, .. })) => Err(MeshError::NotAdmitted { reason: refused }),
            Ok(Answer::Refused(Refused { reason, .. }))
            | Err(NoAnswer::NotAsked(reason) | NoAnswer::Unsure(reason)) => Err(MeshError::NoLeader { reason }),
            Ok(_) => Err(MeshError::NoLeader { reason: "the leader answered another question".into() }),
        }
    }

    /// While this member leads, learners that want a vote get one as soon as they have what it has.
    pub(super) async fn promote_learners(self: Arc<Self>) {
        let mut said = String::new(); // once for each reason
        loop {
            let situation = self.situation.get();
            if situation.is_ended {
                return;
            }
            let (learners, is_half_way): (Vec<u64>, bool) = {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow_watched();
                let voters: Vec<u64> = metrics.membership_config.voter_ids().collect();
                let leads = metrics.current_leader == Some(self.links.member);
                let waits =
                    |(id, seat): &(&u64, &Seat)| seat.wants_vote && !seat.name.is_empty() && !voters.contains(id);
                let waiting = metrics.membership_config.nodes().filter(waits).map(|(id, _)| *id);
                let is_joint = metrics.membership_config.membership().get_joint_config().len() > 1;
                (waiting.filter(|_| leads).collect(), leads && is_joint)
            };
            if is_half_way {
                drop(self.turn().await); // which brings it to its end, unless whoever began it does
            }
            for id in &learners {
                match self.change_here(&Wish::Promote(*id)).await {
                    Ok(Ok(_)) => tracing::info!(member = format!("{id:x}"), "has a vote now"),
                    Ok(Err(error)) => tracing::debug!(%error, "a learner waits for its vote"),
                    Err(MeshError::Membership { reason }) if reason != said => {
                        tracing::warn!(reason, "a learner waits for its vote");
                        said = reason;
                    }
                    Err(error) => tracing::debug!(%error, "a learner waits for its vote"),
                }
            }
            if R::timeout(self.config.moment() * 8, self.ends()).await.is_ok() {
                return;
            }
            // What is half-way is committed by and by, which is no change of the situation.
            if learners.is_empty() && !is_half_way {
                self.situation.changed_from(&situation).await;
            }
        }
    }

    /// Notes where the others are found, and ends when this member has no place any more.
    pub(super) async fn watch_members(self: Arc<Self>) {
        let mut told = self.links.gone.subscribe();
        let (mut led, mut was_warned) = (None, false);
        loop {
            let situation = self.situation.get();
            let Situation { leader, term, is_ended, .. } = situation;
            if led != leader {
                led = leader;
                match led {
                    Some(id) => tracing::info!(leader = format!("{id:x}"), term, "the mesh is led"),
                    None => tracing::debug!(term, "the mesh elects a leader"),
                }
            }
            let is_member = {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow_watched();
                self.links.note(metrics.membership_config.nodes());
                metrics.membership_config.get_node(&self.links.member).is_some()
            };
            if is_ended {
                return;
            }
            let is_removed =
                || self.orders.store.read(|transaction| cluster::is_removed(transaction, self.links.member));
            let gone = *told.borrow_and_update();
            if gone == Some(Gone::Removed) || (!is_member && is_removed().unwrap_or(false)) {
                return self.leave(MeshError::Removed { member: self.links.member }).await;
            }
            if gone == Some(Gone::GivenUp) {
                // A majority that works is not ended by what one member did without it, nor is one of its members that was just started. But
                // one that leads as soon as it is back leads others that came back with it, and they are ended with it.
                let age = R::Instant::now() - self.begun;
                let leads_at_once = leader == Some(self.links.member) && age < RETURNING;
                let is_led = age < self.config.patience() * 3 || self.was_led_within(RETURNING);
                if leads_at_once || !is_led {
                    return self.leave(MeshError::GivenUp { cluster: self.links.cluster }).await;
                }
                self.links.forget_gone();
                if !std::mem::replace(&mut was_warned, true) {
                    tracing::warn!(
                        "a member of this cluster was recovered into another one, without the rest: take it out with `mayfly mesh member remove`; if the other cluster is the one to go on, stop this one"
                    );
                }
            }
            let changes = R::select2(self.situation.changed_from(&situation), told.changed());
            // Who is none any more as far as its log goes looks again whether that holds.
            let within = if is_member { CALM } else { self.config.patience() };
            let _ = R::timeout(within, changes).await; // either way it looks again
        }
    }
}
