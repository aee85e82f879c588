//! openraft's types as bytes and messages, both ways. Whatever comes from outside is checked here.

use super::types::{Command, Id, LogEntry, Members, Payload, Seat, StoredMembers, Vote};
use crate::ballot::Ballot;
use crate::cluster;
use crate::entry::{Entry, Tag};
use crate::logged::{Applied, Logged};
use crate::proto::meshpb::cluster_command::Change;
use crate::proto::{linkpb, meshpb};
use mayfly_base::NodeId;
use mayfly_wire::Peer;
use openraft::vote::RaftLeaderId;
use std::collections::{BTreeMap, BTreeSet};

/// All seats have to fit into an entry.
const MAX_NAME: usize = 256;
const MAX_CLIENTS: usize = 16;
const MAX_URL: usize = 512;

/// What was found instead of what can be used.
pub(crate) type Faulty<T> = Result<T, String>;

pub(crate) fn id_of(at: Applied) -> Option<Id> {
    (at != Applied::NONE).then(|| Id::new_term_index(at.term, at.index))
}

pub(crate) fn place_of(id: Id) -> Applied {
    Applied { index: id.index, term: **id.committed_leader_id() }
}

pub(crate) fn place_or_none(id: Option<Id>) -> Applied {
    id.map_or(Applied::NONE, place_of)
}

pub(crate) fn id_to(id: Id) -> meshpb::EntryId {
    let Applied { index, term } = place_of(id);
    meshpb::EntryId { term, index }
}

pub(crate) fn id_from(id: meshpb::EntryId) -> Id {
    Id::new_term_index(id.term, id.index)
}

pub(crate) fn vote_of(ballot: Ballot) -> Vote {
    Vote { leader_id: RaftLeaderId::new(ballot.term, ballot.member), committed: ballot.is_elected }
}

pub(crate) fn ballot_of(vote: &Vote) -> Ballot {
    Ballot { term: vote.leader_id.term, member: vote.leader_id.voted_for, is_elected: vote.committed }
}

pub(crate) fn vote_to(vote: &Vote) -> linkpb::Vote {
    let Ballot { term, member, is_elected } = ballot_of(vote);
    linkpb::Vote { term, member, elected: is_elected }
}

pub(crate) fn vote_from(vote: Option<linkpb::Vote>) -> Faulty<Vote> {
    let vote = vote.ok_or("it has no vote")?;
    Ok(vote_of(Ballot { term: vote.term, member: vote.member, is_elected: vote.elected }))
}

/// An entry for the log and for links.
pub(crate) fn logged(entry: LogEntry) -> Logged {
    let bytes = match entry.payload {
        Payload::Blank => cluster::entry(None).encode(),
        Payload::Normal(command) => command.0,
        Payload::Membership(members) => cluster::entry(Some(Change::Membership(members_to(&members)))).encode(),
    };
    Logged { at: place_of(entry.log_id), entry: bytes }
}

/// An entry from the log or from a link.
pub(crate) fn unlogged(logged: Logged) -> Faulty<LogEntry> {
    let Logged { at, entry } = logged;
    let log_id = id_of(at).ok_or("an entry has no place")?;
    let payload = match Entry::decode(&entry)? {
        (Tag::CLUSTER, []) => Payload::Blank,
        (Tag::CLUSTER, payload) => match cluster::command(payload).map_err(|e| format!("{e:?}"))?.change {
            Some(Change::Membership(members)) => Payload::Membership(members_from(members)?),
            _ => Payload::Normal(Command(entry)),
        },
        _ => Payload::Normal(Command(entry)),
    };
    Ok(LogEntry { log_id, payload })
}

pub(crate) fn seat_to(seat: &Seat) -> meshpb::Seat {
    meshpb::Seat {
        identity: seat.peer.map_or(Vec::new(), |peer| peer.id.0.to_vec()),
        address: seat.peer.map_or(String::new(), |peer| peer.addr.to_string()),
        name: seat.name.clone(),
        clients: seat.clients.clone(),
        wants_vote: seat.wants_vote,
    }
}

pub(crate) fn seat_from(seat: meshpb::Seat) -> Faulty<Seat> {
    let meshpb::Seat { identity, address, name, clients, wants_vote } = seat;
    if name.len() > MAX_NAME || clients.len() > MAX_CLIENTS || clients.iter().any(|url| url.len() > MAX_URL) {
        return Err(format!("a seat has at most {MAX_NAME} bytes of name and {MAX_CLIENTS} URLs of {MAX_URL} bytes"));
    }
    let peer = if identity.is_empty() && address.is_empty() {
        None
    } else {
        let id = identity.try_into().map_err(|_| "an identity has not 32 bytes")?;
        let addr = address.parse().map_err(|_| format!("{address:?} is no address"))?;
        Some(Peer { id: NodeId(id), addr })
    };
    Ok(Seat { peer, name, clients, wants_vote })
}

pub(crate) fn members_to(members: &Members) -> meshpb::Membership {
    let voters = |set: &BTreeSet<u64>| meshpb::Voters { member: set.iter().copied().collect() };
    meshpb::Membership {
        voters: members.get_joint_config().iter().map(voters).collect(),
        members: members.nodes().map(|(id, seat)| meshpb::Member { id: *id, seat: Some(seat_to(seat)) }).collect(),
    }
}

pub(crate) fn members_from(membership: meshpb::Membership) -> Faulty<Members> {
    let voters = membership.voters.into_iter().map(|set| set.member.into_iter().collect()).collect();
    let seat = |member: meshpb::Member| Ok((member.id, seat_from(member.seat.unwrap_or_default())?));
    let seats: BTreeMap<u64, Seat> = membership.members.into_iter().map(seat).collect::<Faulty<_>>()?;
    Members::new(voters, seats).map_err(|e| e.to_string())
}

pub(crate) fn stored_to(stored: &StoredMembers) -> meshpb::StoredMembership {
    meshpb::StoredMembership { at: stored.log_id().map(id_to), membership: Some(members_to(stored.membership())) }
}

/// Nobody, where a member joins and has not been told.
pub(crate) fn stored_from(stored: meshpb::StoredMembership) -> Faulty<StoredMembers> {
    match stored.membership {
        None => Ok(StoredMembers::default()),
        Some(membership) => Ok(StoredMembers::new(stored.at.map(id_from), members_from(membership)?)),
    }
}

pub(crate) fn place_to(at: Applied) -> meshpb::EntryId {
    meshpb::EntryId { term: at.term, index: at.index }
}
