//! Answers to what other members ask.

use super::codec::{Faulty, id_from, id_to, place_of, seat_from, unlogged, vote_from, vote_to};
use super::consensus::Shared;
use super::incoming::checked;
use super::link::{FORMAT, GIVEN_UP, MESH_TOPIC, REMOVED, framed};
use super::machine::{SnapshotOf, State};
use super::members::wish_from;
use super::types::{Types, Vote};
use crate::cluster;
use crate::error::MeshError;
use crate::lease::LeaseAsk;
use crate::logged::{Applied, Logged};
use crate::proto::linkpb::appended::Outcome;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::refused::Kind;
use crate::proto::linkpb::told::Answer;
use crate::proto::linkpb::{
    Append, Appended, Ask, Candidacy, Chunk, Refused, Taken, Told, Transfer, Transferred, UpTo, Voted,
};
use crate::proto::meshpb;
use crate::refused::Why;
use mayfly_wire::{Event, Peer, Reply, Transport};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest};
use openraft::{AsyncRuntime, SnapshotMeta, TokioRuntime};
use prost::Message;
use std::sync::Arc;

/// Codes of refusals.
const UNREADABLE: u16 = Why::Unreadable as u16;
pub(super) const NOT_FOR_US: u16 = Why::NotForUs as u16;
const ENDED: u16 = Why::Ended as u16;
const BUSY: u16 = Why::Busy as u16;
pub(super) const NOT_KEPT: u16 = Why::NotKept as u16;

/// Why a question is not answered.
pub(super) type Refusal = (u16, String);

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Takes what comes over the transport until that is closed.
    pub(super) async fn take_events(self: Arc<Self>) {
        while let Some(event) = self.links.transport.next().await {
            match event {
                Event::Request { from, topic: MESH_TOPIC, payload, reply } => {
                    let shared = self.clone();
                    drop(R::spawn(async move { shared.take(from, &payload, reply).await }));
                }
                Event::Request { reply, .. } => reply.refuse(UNREADABLE, "nothing here answers to this topic"),
                _ => {}
            }
        }
    }

    pub(super) async fn take(self: &Arc<Self>, from: Peer, payload: &[u8], reply: Reply) {
        match self.answer(from, payload).await {
            Ok(answer) => reply.answer(framed(&Told { answer: Some(answer) })),
            Err((code, reason)) => {
                self.orders.store.refused().note(code);
                tracing::debug!(peer = %from.id.short(), code, reason, "a member's question is refused");
                reply.refuse(code, reason);
            }
        }
    }

    async fn answer(self: &Arc<Self>, from: Peer, payload: &[u8]) -> Result<Answer, Refusal> {
        let _place = self.place_of_question().ok_or((BUSY, "too many questions wait".into()))?;
        let unreadable = |reason: String| (UNREADABLE, reason);
        let (by, question) = match payload {
            [FORMAT, rest @ ..] => {
                let ask = Ask::decode(rest).map_err(|e| unreadable(format!("it cannot be read: {e}")))?;
                let is_newcomer = ask.from == 0 && matches!(ask.question, Some(Question::Join(_)));
                if !is_newcomer {
                    self.check_cluster(ask.cluster)?;
                    self.meant_for_us(from, &ask).map_err(|reason| (NOT_FOR_US, reason))?;
                    self.check_removed(ask.from)?;
                }
                (ask.from, ask.question.ok_or_else(|| unreadable("it asks nothing that is known".into()))?)
            }
            [format, ..] => return Err(unreadable(format!("it has format {format}, this program reads {FORMAT}"))),
            [] => return Err(unreadable("it is empty".into())),
        };
        match question {
            Question::Append(append) => self.append(append).await,
            Question::Vote(candidacy) => self.vote(candidacy, Round::Real).await,
            Question::PreVote(candidacy) => self.vote(candidacy, Round::Pre).await,
            // What is rare is put aside: every question would be as long as the longest.
            Question::Chunk(chunk) => Box::pin(self.chunk(chunk)).await,
            Question::Transfer(transfer) => self.transfer(transfer).await,
            Question::Propose(entry) => Ok(self.proposed(entry).await),
            Question::Join(join) => Ok(Box::pin(self.join_told(from, by, join)).await),
            Question::Change(change) => match wish_from(change) {
                Ok(wish) => Ok(Box::pin(self.change_told(&wish)).await),
                Err(reason) => Err(unreadable(reason)),
            },
            Question::Renew(id) => Ok(Box::pin(self.lease_told(LeaseAsk::Renew(id))).await),
            Question::TimeToLive(id) => Ok(Box::pin(self.lease_told(LeaseAsk::TimeToLive(id))).await),
            Question::HashKv(revision) => Ok(self.hash_told(revision).await),
            Question::Piece(piece) => self.piece_told(piece).await,
            Question::Give(piece) => self.piece_given(piece).await,
            Question::Reach(member) => Ok(Answer::Reached(self.reaches(member).await)),
            Question::ReadIndex(_) => Ok(match self.confirmed().await {
                Ok(index) => Answer::Index(index),
                Err(error) => self.refusal(&error),
            }),
        }
    }

    /// Whoever is of a cluster whose place this one took is told so, and acted for no more.
    fn check_cluster(&self, cluster: u64) -> Result<(), Refusal> {
        let own = self.links.cluster;
        if cluster == own {
            return Ok(());
        }
        let before = self.orders.store.read(cluster::before).map_err(|error| (ENDED, error.to_string()))?;
        match before.contains(&cluster) {
            true => Err((GIVEN_UP, format!("cluster {cluster:016x} was given up: {own:016x} has taken its place"))),
            false => Ok(()), // what else is wrong is said below
        }
    }

    /// Of this cluster, to this member, from the identity that the member named has here. Who is not a member as far as is known here is believed:
    /// whoever was away may not know the newest ones, and links are the trust list's.
    fn meant_for_us(&self, from: Peer, ask: &Ask) -> Faulty<()> {
        let Ask { cluster, from: member, to, .. } = ask;
        if *cluster != self.links.cluster {
            return Err(format!("it is for cluster {cluster:016x}, this is {:016x}", self.links.cluster));
        }
        if *to != self.links.member {
            return Err(format!("it is for member {to:x}, this is {:x}", self.links.member));
        }
        let known = self.raft.metrics().borrow_watched().membership_config.clone();
        let identity = known.get_node(member).and_then(|seat| seat.peer).map(|peer| peer.id);
        match identity {
            Some(identity) if identity != from.id => {
                Err(format!("it is from {}, and member {member:x} is {}", from.id.short(), identity.short()))
            }
            _ => Ok(()),
        }
    }

    /// Whoever was taken out is told so, and acted for no more.
    fn check_removed(&self, member: u64) -> Result<(), Refusal> {
        if self.raft.metrics().borrow_watched().membership_config.get_node(&member).is_some() {
            return Ok(());
        }
        match self.orders.store.read(|transaction| cluster::is_removed(transaction, member)) {
            Ok(true) => Err((REMOVED, format!("{member:x} is no member any more"))),
            Ok(false) => Ok(()),
            Err(error) => Err((ENDED, error.to_string())),
        }
    }

    async fn append(&self, append: Append) -> Result<Answer, Refusal> {
        let request = appended::<R>(append).map_err(|reason| (UNREADABLE, reason))?;
        let appended = self.raft.append_entries(request).await.map_err(|e| (ENDED, e.to_string()))?;
        if !matches!(appended, AppendEntriesResponse::HigherVote(_)) {
            self.hear();
        }
        let outcome = match appended {
            AppendEntriesResponse::Success => Outcome::All(true),
            AppendEntriesResponse::PartialSuccess(id) => Outcome::UpTo(UpTo { id: id.map(id_to) }),
            AppendEntriesResponse::Conflict => Outcome::Conflict(true),
            AppendEntriesResponse::HigherVote(vote) => Outcome::HigherVote(vote_to(&vote)),
        };
        Ok(Answer::Appended(Appended { outcome: Some(outcome) }))
    }

    async fn vote(&self, candidacy: Candidacy, round: Round) -> Result<Answer, Refusal> {
        let vote = vote_from(candidacy.vote).map_err(|reason| (UNREADABLE, reason))?;
        let mut request = VoteRequest::<Types<R>>::new(vote, candidacy.last.map(id_from));
        request.leadership_transfer = candidacy.by_transfer;
        let answer = match round {
            Round::Real => self.raft.vote(request).await,
            Round::Pre => self.raft.pre_vote(request).await,
        };
        let answer = answer.map_err(|e| (ENDED, e.to_string()))?;
        let last = answer.last_log_id.map(id_to);
        Ok(Answer::Voted(Voted { vote: Some(vote_to(&answer.vote)), last, granted: answer.vote_granted }))
    }

    async fn transfer(&self, transfer: Transfer) -> Result<Answer, Refusal> {
        let vote = vote_from(transfer.from_leader).map_err(|reason| (UNREADABLE, reason))?;
        let request = TransferLeaderRequest::new(vote, transfer.to, transfer.last.map(id_from));
        let answer = self.raft.handle_transfer_leader(request).await.map_err(|e| (ENDED, e.to_string()))?;
        let refused = answer.err().map_or(String::new(), |e| e.to_string());
        Ok(Answer::Transferred(Transferred { refused }))
    }

    async fn proposed(&self, entry: Vec<u8>) -> Answer {
        match self.propose_here(entry).await {
            Ok((index, answer)) => Answer::Outcome(crate::proto::linkpb::Outcome { index, answer }),
            Err(error) => self.refusal(&error),
        }
    }

    pub(super) fn refusal(&self, error: &MeshError) -> Answer {
        let nothing = matches!(error, MeshError::NoLeader { .. } | MeshError::Busy | MeshError::TooLong { .. });
        let (kind, reason) = match error {
            MeshError::Membership { reason } => (Kind::Never, reason.clone()),
            error if nothing => (Kind::NothingHappened, error.to_string()),
            error => (Kind::Unsure, error.to_string()),
        };
        let leader = self.leader().map_or(0, |(id, _)| id);
        Answer::Refused(Refused { kind: kind.into(), reason, leader })
    }

    /// Takes a chunk of a snapshot; installs the snapshot with the last one.
    async fn chunk(&self, chunk: Chunk) -> Result<Answer, Refusal> {
        let chunk = checked(chunk).map_err(|reason| (UNREADABLE, reason))?;
        let (ours, committed) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            (metrics.vote, metrics.local_committed)
        };
        let taken = |vote: &Vote, length| Ok(Answer::Taken(Taken { vote: Some(vote_to(vote)), length }));
        if ours > chunk.vote {
            return taken(&ours, 0);
        }
        self.hear();
        if committed.is_some_and(|known| chunk.at > known && chunk.at.index <= known.index) {
            return Err((UNREADABLE, format!("entry {} is another one here", chunk.at.index)));
        }
        let (vote, length, membership) = (chunk.vote, chunk.length, chunk.membership.clone());
        // What this leader's entries have brought already is not taken again. openraft, too, lets a snapshot come that is newer than what is known to be
        // committed and older than the end of the log, and then loses track of what was submitted.
        if ours == vote && self.orders.shelf.has(place_of(chunk.at)) {
            let is_flushed = self.orders.shelf.flushed() >= chunk.at.index;
            return taken(&vote, if is_flushed { length } else { 0 }); // it is offered again
        }
        let mut incoming = self.incoming.lock().await;
        let mut part = std::mem::take(&mut *incoming);
        let store = self.orders.store.clone();
        let received = self.orders.aside(move || {
            let received = part.add(chunk, store.folder());
            (part, received)
        });
        let (part, received) = received.await.map_err(|e| (ENDED, e.to_string()))?;
        *incoming = part;
        let have = received.map_err(|reason| (ENDED, reason))?;
        let Some(whole) = incoming.0.take_if(|part| have == length && part.spool.len() == length) else {
            return taken(&vote, have);
        };
        if whole.spool.hash() != whole.hash {
            return taken(&vote, 0); // it is sent again
        }
        let meta = SnapshotMeta { last_log_id: Some(whole.at), last_membership: membership };
        let snapshot = SnapshotOf { meta, snapshot: State::Received(Box::new(whole.spool)) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await.map_err(|e| (ENDED, e.to_string()))?;
        taken(&installed.vote, length)
    }
}

#[derive(Clone, Copy)]
enum Round {
    Pre,
    Real,
}

/// Entries that follow on each other, of no later term than their sender's.
fn appended<R: AsyncRuntime>(append: Append) -> Faulty<AppendEntriesRequest<Types<R>>> {
    let vote = vote_from(append.vote)?;
    let entries = append.entries.into_iter().map(|entry| {
        let meshpb::EntryId { index, term } = entry.id.ok_or("an entry has no place")?;
        unlogged(Logged { at: Applied { index, term }, entry: entry.entry })
    });
    let entries: Vec<_> = entries.collect::<Faulty<_>>()?;
    let before = append.before.map_or(Applied::NONE, |id| place_of(id_from(id)));
    let places = (1..).map(|i| before.index.checked_add(i));
    let follows = entries.iter().zip(places).all(|(entry, place)| Some(entry.log_id.index) == place);
    let is_ordered = entries.windows(2).all(|two| two[0].log_id < two[1].log_id);
    let ends = entries.last().map(|entry| place_of(entry.log_id));
    if !follows || !is_ordered || ends.is_some_and(|last| last.term < before.term || last.term > vote.leader_id.term) {
        return Err("its entries do not follow each other".into());
    }
    let (prev_log_id, leader_commit) = (append.before.map(id_from), append.committed.map(id_from));
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

/// See `fuzz`: what a question or an answer becomes before anybody acts on it.
pub(crate) fn is_readable(bytes: &[u8]) -> bool {
    let Ok(ask) = Ask::decode(bytes) else { return false };
    match ask.question {
        Some(Question::Append(append)) => appended::<TokioRuntime>(append).is_ok(),
        Some(Question::Vote(candidacy) | Question::PreVote(candidacy)) => vote_from(candidacy.vote).is_ok(),
        Some(Question::Chunk(chunk)) => checked(chunk).is_ok(),
        Some(Question::Transfer(transfer)) => vote_from(transfer.from_leader).is_ok(),
        Some(Question::Join(join)) => join.seat.is_some_and(|seat| seat_from(seat).is_ok()),
        Some(Question::Change(change)) => wish_from(change).is_ok(),
        Some(_) => true,
        None => false,
    }
}
