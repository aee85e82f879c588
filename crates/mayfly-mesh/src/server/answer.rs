//! What all services share: headers, errors, and the way of a request to the engine.

use super::who::Who;
use crate::auth::{self, Rights};
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
use crate::proto::meshpb::{Caller, auth_command};
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
pub(super) async fn propose<E: Engine>(engine: &E, who: &Who, request: Command) -> Result<Response, Status> {
    let entry = kv::entry_by(caller(engine, who).await?, request);
    told(&bring(engine, entry).await?)
}

/// The same for what this member asks by itself.
pub(super) async fn propose_own<E: Engine>(engine: &E, request: Command) -> Result<Response, Status> {
    told(&bring(engine, kv::entry_of_member(request)).await?)
}

/// What an entry of keys was answered.
fn told(outcome: &[u8]) -> Result<Response, Status> {
    match kv::outcome(outcome) {
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
        let alarm = Command::Alarm(AlarmRequest { action, member_id, alarm });
        propose_own(engine, alarm).await?;
    }
    Err(EtcdError::NoSpace.into())
}

/// Brings a request of a client into the order: within the quota, which etcd looks at before all else, and after a look at whether it makes sense.
pub(super) async fn propose_within<E: Engine>(
    engine: &E,
    condition: &Arc<Condition>,
    who: &Who,
    request: Command,
) -> Result<Response, Status> {
    let room = room(engine, condition, &request).await?;
    kv::check(&request)?;
    let begun = Instant::now();
    let answer = propose(engine, who, request).await;
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

/// The same for users, roles and tokens. Gives the index of the entry.
pub(super) async fn propose_auth<E: Engine>(
    engine: &E,
    request: auth_command::Request,
    caller: Option<Caller>,
) -> Result<Answer<u64>, Status> {
    let outcome = bring(engine, auth::entry(request, caller)).await?;
    auth::outcome(&outcome).map_err(|_| EtcdError::Corrupt.into())
}

async fn bring<E: Engine>(engine: &E, entry: Entry) -> Result<Vec<u8>, Status> {
    if entry.payload.len() + ADDED_BYTES > MAX_REQUEST_BYTES {
        return Err(EtcdError::RequestTooLarge.into());
    }
    engine.propose(entry).await.map_err(|e| status(&e))
}

/// Who stands in an entry. Who shows nothing needs no look at the state.
pub(super) async fn caller<E: Engine>(engine: &E, who: &Who) -> Result<Option<Caller>, Status> {
    match who {
        Who::Nobody => Ok(None),
        who => {
            let who = who.clone();
            Ok(in_state(engine, move |transaction| who.caller(transaction)).await??)
        }
    }
}

/// Reads from one state, on a thread that may wait for the disk.
pub(super) async fn in_state<E: Engine, T: Send + 'static>(
    engine: &E,
    act: impl FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Status> {
    let engine = engine.clone();
    let done = tokio::task::spawn_blocking(move || engine.store().read(act)).await;
    done.map_err(|_| Status::from(EtcdError::Stopped))?.map_err(|e| status(&e))
}

/// Reads from one state what may be refused.
pub(super) async fn read<E: Engine, T: Send + 'static>(
    engine: &E,
    act: impl FnOnce(&ReadTransaction) -> Result<Answer<T>, Fault> + Send + 'static,
) -> Result<T, Status> {
    Ok(in_state(engine, act).await??)
}

/// Reads from one state what a caller may read there.
pub(super) async fn read_as<E: Engine, T: Send + 'static>(
    engine: &E,
    who: Who,
    act: impl FnOnce(&ReadTransaction, &Rights) -> Result<Answer<T>, Fault> + Send + 'static,
) -> Result<T, Status> {
    read(engine, move |transaction| match who.rights(transaction)? {
        Ok(rights) => act(transaction, &rights),
        Err(error) => Ok(Err(error)),
    })
    .await
}
