//! Changes of settings as entries of the mesh.

use super::error::{MeshConfigError, MeshConfigResult};
use super::news::number;
use crate::engine::Engine;
use crate::error::MeshError;
use crate::kv;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::response_op::Response as Done;
use crate::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
};
use crate::proto::meshpb::command::Request;
use crate::proto::meshpb::outcome::Response;
use mayfly_config::{Batch, Change, Config, ConfigError, Effect, Expect, Revision};

/// The longest request, as etcd has it.
const MAX_BYTES: usize = 3 << 19;

/// Proposes a batch as one transaction; none if it changed nothing.
pub(super) async fn commit<E: Engine>(
    engine: &E,
    prefix: &str,
    config: &Config,
    batch: &Batch,
) -> MeshConfigResult<Option<Revision>> {
    let changes: Vec<Change<'_>> = batch.changes();
    for change in &changes {
        config.check_key(change.key)?;
        if let Effect::Put(value) = &change.effect {
            config.check(change.key, value)?;
        }
    }
    let request = Request::Txn(transaction(prefix, &changes));
    kv::check(&request).map_err(MeshConfigError::Refused)?;
    let entry = kv::entry_of_member(request);
    if entry.payload.len() > MAX_BYTES {
        let (bytes, max) = (entry.payload.len(), MAX_BYTES);
        return Err(MeshError::TooLong { bytes, max }.into());
    }
    let outcome = engine.propose(entry).await?;
    match kv::outcome(&outcome) {
        Ok(Ok(Response::Txn(response))) => answer(&changes, response),
        Ok(Err(refused)) => Err(MeshConfigError::Refused(refused)),
        Ok(Ok(_)) | Err(_) => Err(unsure()),
    }
}

fn unsure() -> MeshConfigError {
    MeshError::Unsure { reason: "the answer is none of a transaction".into() }.into()
}

/// Compares what is expected, and does it all; or else looks at what was compared.
fn transaction(prefix: &str, changes: &[Change<'_>]) -> TxnRequest {
    let key = |change: &Change<'_>| format!("{prefix}{}", change.key).into_bytes();
    let expected = || changes.iter().filter(|change| change.expect != Expect::Anything);
    let compare = expected().map(|change| compare(key(change), change.expect)).collect();
    let success = changes.iter().filter_map(|change| {
        Some(match &change.effect {
            Effect::Put(value) => {
                let value = value.to_string().into_bytes();
                Op::RequestPut(PutRequest { key: key(change), value, ..PutRequest::default() })
            }
            Effect::Delete => {
                Op::RequestDeleteRange(DeleteRangeRequest { key: key(change), ..DeleteRangeRequest::default() })
            }
            Effect::Nothing => return None,
        })
    });
    let look = |change| Op::RequestRange(RangeRequest { key: key(change), keys_only: true, ..RangeRequest::default() });
    let op = |request| RequestOp { request: Some(request) };
    TxnRequest { compare, success: success.map(op).collect(), failure: expected().map(look).map(op).collect() }
}

fn compare(key: Vec<u8>, expect: Expect) -> Compare {
    let (target, union) = match expect {
        Expect::At(revision) => {
            // A revision that the mesh does not have is none that a key has.
            let revision = i64::try_from(revision).ok().filter(|revision| *revision > 0).unwrap_or(i64::MAX);
            (CompareTarget::Mod, TargetUnion::ModRevision(revision))
        }
        Expect::Absent | Expect::Anything => (CompareTarget::Create, TargetUnion::CreateRevision(0)),
    };
    let (result, target) = (CompareResult::Equal.into(), target.into());
    Compare { result, target, key, target_union: Some(union), ..Compare::default() }
}

fn answer(changes: &[Change<'_>], response: TxnResponse) -> MeshConfigResult<Option<Revision>> {
    if !response.succeeded {
        return Err(conflict(changes, response).unwrap_or_else(unsure));
    }
    let has_changed = response.responses.iter().any(|done| match &done.response {
        Some(Done::ResponsePut(_)) => true,
        Some(Done::ResponseDeleteRange(done)) => done.deleted > 0,
        _ => false,
    });
    let revision = response.header.map_or(0, |header| number(header.revision));
    Ok(has_changed.then_some(revision))
}

/// The first expectation that does not hold.
fn conflict(changes: &[Change<'_>], response: TxnResponse) -> Option<MeshConfigError> {
    let expected = changes.iter().filter(|change| change.expect != Expect::Anything);
    expected.zip(response.responses).find_map(|(change, look)| {
        let Some(Done::ResponseRange(look)) = look.response else { return None };
        let found = look.kvs.first().map(|kv| number(kv.mod_revision));
        let (key, expected) = (change.key.into(), change.expect);
        (!expected.holds(found)).then(|| ConfigError::Conflict { key, expected, found }.into())
    })
}
