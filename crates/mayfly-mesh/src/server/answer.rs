//! What all services share: headers, errors, and the way of a request to the engine.

use crate::engine::Engine;
use crate::entry::Entry;
use crate::error::MeshError;
use crate::etcd_error::EtcdError;
use crate::kv::{self, Answer};
use crate::module::Fault;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::{AlarmRequest, AlarmType, ResponseHeader};
use crate::proto::meshpb::command::Request as Command;
use crate::proto::meshpb::outcome::Response;
use crate::upkeep::{Condition, Reserved};
use redb::ReadTransaction;
use std::sync::Arc;
use std::time::Instant;
use tonic::{Code, Request, Status};

/// The longest request, counted as etcd counts: 1.5 MiB with what consensus adds.
pub const MAX_REQUEST_BYTES: usize = 3 << 19;
/// What etcd adds to a request in its log: a header with an id.
const ADDED_BYTES: usize = 13;

/// A node that cannot answer. Clients try another one for `Unavailable`.
pub(super) fn status(error: &MeshError) -> Status {
    match error {
        MeshError::Busy => EtcdError::TooManyRequests.into(),
        MeshError::TooLong { .. } => EtcdError::RequestTooLarge.into(),
        MeshError::NoLeader { .. } => EtcdError::NoLeader.into(),
        MeshError::Unsure { .. } => EtcdError::Timeout.into(),
        MeshError::Membership { .. } => Status::failed_precondition(error.to_string()),
        MeshError::Damaged { .. } => EtcdError::Corrupt.into(),
        _ => EtcdError::Stopped.into(),
    }
}

/// Ids and term; the revision is the module's.
pub(super) fn fill<E: Engine>(engine: &E, header: Option<ResponseHeader>) -> Option<ResponseHeader> {
    let owner = engine.store().owner();
    let revision = header.map_or(0, |header| header.revision);
    Some(ResponseHeader { cluster_id: owner.cluster, member_id: owner.member, revision, raft_term: engine.term() })
}

/// A header for a service that says nothing about keys.
pub(super) async fn header<E: Engine>(engine: &E) -> Result<Option<ResponseHeader>, Status> {
    let revision = read(engine, |transaction| kv::revision(transaction).map(Ok)).await?;
    Ok(fill(engine, Some(ResponseHeader { revision, ..ResponseHeader::default() })))
}

/// Does the client want no answer from a member that has no leader?
pub(super) fn needs_leader<T>(request: &Request<T>) -> bool {
    request.metadata().get("hasleader").is_some_and(|value| value == "true")
}

pub(super) fn has_leader<E: Engine>(engine: &E) -> bool {
    engine.standing().is_ok_and(|standing| standing.leader.is_some())
}

/// Brings a request into the order of entries and gives what it was answered.
pub(super) async fn propose<E: Engine>(engine: &E, request: Command) -> Result<Response, Status> {
    let entry: Entry = kv::entry(request);
    if entry.payload.len() + ADDED_BYTES > MAX_REQUEST_BYTES {
        return Err(EtcdError::RequestTooLarge.into());
    }
    let outcome = engine.propose(entry).await.map_err(|e| status(&e))?;
    match kv::outcome(&outcome) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(EtcdError::Corrupt.into()),
    }
}

/// Room for a request within the quota; where there is none, the alarm is raised first.
async fn room<E: Engine>(engine: &E, condition: &Arc<Condition>, request: &Command) -> Result<Reserved, Status> {
    if let Some(reserved) = condition.reserve(kv::cost(request)) {
        return Ok(reserved);
    }
    if condition.needs_alarm() {
        let member_id = engine.store().owner().member;
        let (action, alarm) = (AlarmAction::Activate.into(), AlarmType::Nospace.into());
        propose(engine, Command::Alarm(AlarmRequest { action, member_id, alarm })).await?;
    }
    Err(EtcdError::NoSpace.into())
}

/// Brings a request of a client into the order: within the quota, which etcd looks at before all else, and after a look at whether it makes sense.
pub(super) async fn propose_within<E: Engine>(
    engine: &E,
    condition: &Arc<Condition>,
    request: Command,
) -> Result<Response, Status> {
    let room = room(engine, condition, &request).await?;
    kv::check(&request)?;
    let begun = Instant::now();
    let answer = propose(engine, request).await;
    match &answer {
        Ok(_) => {
            room.written();
            condition.proposals.add(begun.elapsed());
        }
        Err(status) if status.code() == Code::Unavailable => condition.count_failed(),
        Err(_) => {}
    }
    answer
}

/// Reads from one state, on a thread that may wait for the disk.
pub(super) async fn read<E: Engine, T: Send + 'static>(
    engine: &E,
    act: impl FnOnce(&ReadTransaction) -> Result<Answer<T>, Fault> + Send + 'static,
) -> Result<T, Status> {
    let engine = engine.clone();
    let done = tokio::task::spawn_blocking(move || engine.store().read(act)).await;
    let answer = done.map_err(|_| Status::from(EtcdError::Stopped))?.map_err(|e| status(&e))?;
    Ok(answer?)
}
