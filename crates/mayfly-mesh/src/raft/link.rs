//! Questions to other members, over any transport.

use super::codec::{Faulty, id_from, id_to, stored_to, vote_from, vote_to};
use super::machine::{SnapshotOf, State};
use super::orders::Orders;
use super::spool::Spool;
use super::types::{Seat, Types, Vote};
use crate::ids::Owner;
use crate::proto::linkpb::appended::Outcome;
use crate::proto::linkpb::ask::Question;
use crate::proto::linkpb::told::Answer;
use crate::proto::linkpb::{Append, Appended, Ask, Candidacy, Chunk, LogEntry, Told, Transfer, Voted};
use crate::refused::Why;
use mayfly_wire::{FAILURE_WIRE, Peer, Transport, WireError};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, RaftNetworkFactory};
use prost::Message;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufWriter, Write};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// The topic of members' questions on their links.
pub const MESH_TOPIC: u16 = 16;
/// The first byte of every question and answer.
pub(super) const FORMAT: u8 = 1;
/// The refusal of a question of a member that was taken out.
pub(super) const REMOVED: u16 = Why::Removed as u16;
/// The refusal of a question of a cluster that was given up.
pub(super) const GIVEN_UP: u16 = Why::GivenUp as u16;
/// How often a snapshot is tried to be sent on from where it broke off.
const SNAPSHOT_TRIES: u32 = 10;
/// Between two such tries.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(200);
/// How long the answer to one chunk may take: the last one is answered when the snapshot is installed.
const CHUNK_TIME: Duration = Duration::from_secs(20);

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It has not been asked.
    NotAsked(String),
    /// It may have been acted on.
    Unsure(String),
}

/// What every link of a member shares.
pub(super) struct Links<T> {
    pub(super) transport: T,
    pub(super) cluster: u64,
    pub(super) member: u64,
    /// Where members are found now: openraft keeps what it knew when it made its links.
    book: RwLock<BTreeMap<u64, Peer>>,
    /// Whether another member has said that this one has no place any more.
    pub(super) gone: watch::Sender<Option<Gone>>,
}

impl<T: Transport> Links<T> {
    pub(super) fn new(transport: T, owner: Owner) -> Self {
        let (book, gone) = (RwLock::default(), watch::Sender::new(None));
        Self { transport, cluster: owner.cluster, member: owner.member, book, gone }
    }

    /// Notes where members are found.
    pub(super) fn note<'s>(&self, seats: impl Iterator<Item = (&'s u64, &'s Seat)>) {
        let book = seats.filter_map(|(id, seat)| Some((*id, seat.peer?))).collect();
        *self.book.write().unwrap_or_else(PoisonError::into_inner) = book;
    }

    pub(super) fn found(&self, member: u64) -> Option<Peer> {
        self.book.read().unwrap_or_else(PoisonError::into_inner).get(&member).copied()
    }

    /// What was said of this one counts no more, unless it is said again.
    pub(super) fn forget_gone(&self) {
        self.gone.send_if_modified(|gone| {
            *gone = None;
            false
        });
    }

    /// Asks another member.
    pub(super) async fn ask<R: AsyncRuntime>(
        &self,
        whom: (u64, Peer),
        question: Question,
        time: Duration,
    ) -> Result<Answer, NoAnswer> {
        let by = Owner { cluster: self.cluster, member: self.member };
        ask_over::<T, R>(&self.transport, by, whom, question, time, &self.gone).await
    }
}

/// Why a member has no place any more, as another one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// It was taken out.
    Removed,
    /// Its cluster was given up.
    GivenUp,
}

/// Asks a member; `by` is nobody for a newcomer. `gone` is told when that one has no place any more.
pub(super) async fn ask_over<T: Transport, R: AsyncRuntime>(
    transport: &T,
    by: Owner,
    (to, peer): (u64, Peer),
    question: Question,
    time: Duration,
    gone: &watch::Sender<Option<Gone>>,
) -> Result<Answer, NoAnswer> {
    let bytes = framed(&Ask { cluster: by.cluster, from: by.member, to, question: Some(question) });
    let asked = R::timeout(time, transport.request(peer, MESH_TOPIC, &bytes)).await;
    match asked {
        Err(_) => Err(NoAnswer::Unsure(format!("member {to:x} did not answer within {} ms", time.as_millis()))),
        Ok(Err(WireError::Failed { code: code @ (REMOVED | GIVEN_UP), message })) => {
            gone.send_replace(Some(if code == REMOVED { Gone::Removed } else { Gone::GivenUp }));
            Err(NoAnswer::NotAsked(message))
        }
        Ok(Err(error)) if was_not_asked(&error) => Err(NoAnswer::NotAsked(error.to_string())),
        Ok(Err(error)) => Err(NoAnswer::Unsure(error.to_string())),
        Ok(Ok(bytes)) => unframed(&bytes).map_err(NoAnswer::Unsure),
    }
}

/// A code below the wire's is the other member's refusal to act.
fn was_not_asked(error: &WireError) -> bool {
    match error {
        WireError::Connect { .. } | WireError::WrongPeer { .. } | WireError::TooLong { .. } => true,
        WireError::Failed { code, .. } => *code < FAILURE_WIRE,
        _ => false,
    }
}

pub(super) fn framed(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(FORMAT);
    message.encode_raw(&mut bytes);
    bytes
}

fn unframed(bytes: &[u8]) -> Faulty<Answer> {
    match bytes {
        [FORMAT, rest @ ..] => {
            let told = Told::decode(rest).map_err(|e| format!("the answer cannot be read: {e}"))?;
            told.answer.ok_or_else(|| "the answer is of a kind not known".into())
        }
        [format, ..] => Err(format!("the answer has format {format}, this program reads {FORMAT}")),
        [] => Err("the answer is empty".into()),
    }
}

/// Makes links.
pub(super) struct Dialer<T, R: AsyncRuntime> {
    pub(super) links: Arc<Links<T>>,
    pub(super) orders: Orders<R>,
}

/// A link to one member.
pub(super) struct Link<T, R: AsyncRuntime> {
    links: Arc<Links<T>>,
    orders: Orders<R>,
    to: u64,
    peer: Option<Peer>,
}

impl<T: Transport, R: AsyncRuntime> RaftNetworkFactory<Types<R>> for Dialer<T, R> {
    type Network = Link<T, R>;

    async fn new_client(&mut self, target: u64, seat: &Seat) -> Link<T, R> {
        Link { links: self.links.clone(), orders: self.orders.clone(), to: target, peer: seat.peer }
    }
}

impl<T: Transport, R: AsyncRuntime> Link<T, R> {
    async fn ask(&self, question: Question, time: Duration) -> Result<Answer, RPCError<Types<R>>> {
        let unreachable = |reason: String| RPCError::Unreachable(Unreachable::from_string(reason));
        let peer = self
            .links
            .found(self.to)
            .or(self.peer)
            .ok_or_else(|| unreachable(format!("member {:x} has no address", self.to)))?;
        self.links.ask::<R>((self.to, peer), question, time).await.map_err(|e| match e {
            NoAnswer::NotAsked(reason) => unreachable(reason),
            NoAnswer::Unsure(reason) => RPCError::Network(NetworkError::from_string(reason)),
        })
    }

    fn other<X>(&self) -> Result<X, RPCError<Types<R>>> {
        let reason = format!("member {:x} answered another question", self.to);
        Err(RPCError::Network(NetworkError::from_string(reason)))
    }

    fn faulty(reason: String) -> RPCError<Types<R>> {
        RPCError::Network(NetworkError::from_string(reason))
    }

    async fn candidacy(
        &self,
        question: fn(Candidacy) -> Question,
        rpc: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        let VoteRequest { vote, last_log_id, leadership_transfer } = rpc;
        let candidacy =
            Candidacy { vote: Some(vote_to(&vote)), last: last_log_id.map(id_to), by_transfer: leadership_transfer };
        match self.ask(question(candidacy), option.soft_ttl()).await? {
            Answer::Voted(Voted { vote, last, granted }) => {
                let vote = vote_from(vote).map_err(Self::faulty)?;
                Ok(VoteResponse::new(vote, last.map(id_from), granted))
            }
            _ => self.other(),
        }
    }

    /// Sends a snapshot in chunks, on from where it broke off.
    async fn send(&self, vote: Vote, snapshot: SnapshotOf) -> Result<SnapshotResponse<Types<R>>, RPCError<Types<R>>> {
        let State::Here(store, view) = snapshot.snapshot else {
            return Err(Self::faulty("only a member's own state is sent".into()));
        };
        let spooled = self.orders.aside(move || {
            let mut spool = Spool::new(store.folder()).map_err(|e| e.to_string())?;
            let mut out = BufWriter::with_capacity(1 << 20, &mut spool);
            store.snapshot_of(&view, &mut out).map_err(|e| e.to_string())?;
            out.flush().map_err(|e| e.to_string())?;
            drop(out);
            Ok::<_, String>(spool)
        });
        let mut spool = spooled.await.map_err(|e| Self::faulty(e.to_string()))?.map_err(Self::faulty)?;
        let (hash, length) = (spool.hash(), spool.len());
        let membership = Some(stored_to(&snapshot.meta.last_membership));
        let (mut offset, mut failures) = (0, 0);
        loop {
            let read = self.orders.aside(move || spool.chunk(offset).map(|bytes| (spool, bytes)));
            let bytes;
            (spool, bytes) =
                read.await.map_err(|e| Self::faulty(e.to_string()))?.map_err(|e| Self::faulty(e.to_string()))?;
            let question = Question::Chunk(Chunk {
                vote: Some(vote_to(&vote)),
                at: snapshot.meta.last_log_id.map(id_to),
                hash: hash.to_vec(),
                length,
                offset,
                bytes,
                membership: membership.clone(),
            });
            match self.ask(question, CHUNK_TIME).await {
                Ok(Answer::Taken(taken)) => {
                    let theirs = vote_from(taken.vote).map_err(Self::faulty)?;
                    if taken.length == length || theirs > vote {
                        return Ok(SnapshotResponse::new(theirs));
                    }
                    failures = if taken.length > offset { 0 } else { failures + 1 };
                    offset = taken.length.min(length);
                }
                Ok(_) => return self.other(),
                Err(e) if failures >= SNAPSHOT_TRIES => return Err(e),
                Err(_) => failures += 1,
            }
            if failures > SNAPSHOT_TRIES {
                return Err(Self::faulty(format!("member {:x} does not take the snapshot", self.to)));
            }
            if failures > 0 {
                R::sleep(SNAPSHOT_PAUSE).await;
            }
        }
    }
}

impl<T: Transport, R: AsyncRuntime> RaftNetworkV2<Types<R>> for Link<T, R> {
    type SnapshotData = State;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<R>>, RPCError<Types<R>>> {
        let AppendEntriesRequest { vote, prev_log_id, entries, leader_commit } = rpc;
        let entry = |entry| {
            let logged = super::codec::logged(entry);
            LogEntry { id: Some(super::codec::place_to(logged.at)), entry: logged.entry }
        };
        let question = Question::Append(Append {
            vote: Some(vote_to(&vote)),
            before: prev_log_id.map(id_to),
            entries: entries.into_iter().map(entry).collect(),
            committed: leader_commit.map(id_to),
        });
        match self.ask(question, option.soft_ttl()).await? {
            Answer::Appended(Appended { outcome: Some(outcome) }) => Ok(match outcome {
                Outcome::All(_) => AppendEntriesResponse::Success,
                Outcome::UpTo(upto) => AppendEntriesResponse::PartialSuccess(upto.id.map(id_from)),
                Outcome::Conflict(_) if prev_log_id.is_none() => {
                    return Err(Self::faulty(format!("member {:x} has another beginning", self.to)));
                }
                Outcome::Conflict(_) => AppendEntriesResponse::Conflict,
                Outcome::HigherVote(vote) => {
                    AppendEntriesResponse::HigherVote(vote_from(Some(vote)).map_err(Self::faulty)?)
                }
            }),
            _ => self.other(),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        self.candidacy(Question::Vote, rpc, option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        self.candidacy(Question::PreVote, rpc, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types<R>>, StreamingError<Types<R>>> {
        match R::select2(cancel, self.send(vote, snapshot)).await {
            openraft::async_runtime::Select2::First(closed) => Err(closed.into()),
            openraft::async_runtime::Select2::Second(sent) => Ok(sent?),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<R>>, RPCError<Types<R>>> {
        let question = Question::Transfer(Transfer {
            from_leader: Some(vote_to(req.from_leader())),
            to: *req.to_node_id(),
            last: req.last_log_id().copied().map(id_to),
        });
        match self.ask(question, option.soft_ttl()).await? {
            Answer::Transferred(transferred) if transferred.refused.is_empty() => Ok(Ok(())),
            // Why, is for people: either way another leader is elected when this one's lease is over.
            Answer::Transferred(_) => {
                Ok(Err(TransferLeaderError::LogNotFlushed { expected: req.last_log_id().copied(), actual: None }))
            }
            _ => self.other(),
        }
    }
}
