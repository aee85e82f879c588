//! What locks and elections share: keys under a name, each held by a lease; whose was made first has what is contended for.

use super::answer::propose;
use super::follow::{Follow, News};
use super::kv::KvService;
use super::lease::LeaseService;
use super::who::Who;
use crate::engine::Engine;
use crate::lease::LeaseAsk;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::kv_server::Kv;
use crate::proto::etcdserverpb::lease_server::Lease;
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::response_op::Response as Done;
use crate::proto::etcdserverpb::watch_create_request::FilterType;
use crate::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseHeader,
    TxnRequest, TxnResponse, WatchCreateRequest,
};
use crate::proto::meshpb::command::Request as Command;
use crate::proto::mvccpb::KeyValue;
use crate::watch::Hub;
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

/// Of a lease that is made for a caller without one, in seconds. The node does not renew it: etcd's.
const SESSION_S: i64 = 60;

/// Who asks: what is done for a caller is asked in its name.
pub(super) struct Caller {
    metadata: MetadataMap,
    extensions: Extensions,
}

impl Caller {
    pub(super) fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, extensions, message) = request.into_parts();
        (Self { metadata, extensions }, message)
    }

    fn who(&self) -> Who {
        self.extensions.get().cloned().unwrap_or(Who::Nobody)
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        Request::from_parts(self.metadata.clone(), self.extensions.clone(), message)
    }
}

/// What went wrong within, as etcd tells it from these services: its words with the code "unknown".
pub(super) fn raw(status: Status) -> Status {
    Status::unknown(status.message())
}

/// The services that are asked within.
#[derive(Clone)]
pub(super) struct Contend<E> {
    pub(super) kv: KvService<E>,
    pub(super) lease: LeaseService<E>,
    pub(super) engine: E,
    pub(super) hub: Arc<Hub>,
}

/// A key that contends.
pub(super) struct Contender {
    pub(super) key: Vec<u8>,
    /// When it was made: the first one has it. Also what guards writes against whoever held it before.
    pub(super) made: i64,
    pub(super) lease: i64,
    pub(super) header: Option<ResponseHeader>,
    /// It was there before, as it was.
    pub(super) before: Option<KeyValue>,
    /// Is it the first?
    pub(super) is_first: bool,
}

/// All contenders of a name lie below it.
pub(super) fn prefix(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The key of a lease's contender, as Go prints its id.
pub(super) fn key(name: &[u8], lease: i64) -> Vec<u8> {
    let sign = if lease < 0 { "-" } else { "" };
    [&prefix(name)[..], format!("{sign}{:x}", lease.unsigned_abs()).as_bytes()].concat()
}

/// The one that was made first, of those below a name.
pub(super) fn first(name: &[u8]) -> RangeRequest {
    let key = prefix(name);
    let mut range_end = key.clone();
    range_end.pop();
    range_end.push(b'/' + 1);
    let (sort_order, sort_target) = (SortOrder::Ascend.into(), SortTarget::Create.into());
    RangeRequest { key, range_end, limit: 1, sort_order, sort_target, ..RangeRequest::default() }
}

pub(super) fn get(key: &[u8]) -> RangeRequest {
    RangeRequest { key: key.to_vec(), ..RangeRequest::default() }
}

/// Does one thing if the key was made then, or another if not; 0 is "there is no such key".
pub(super) fn if_made(key: &[u8], made: i64, then: Vec<Op>, otherwise: Vec<Op>) -> TxnRequest {
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.to_vec(),
        target_union: Some(TargetUnion::CreateRevision(made)),
        ..Compare::default()
    };
    let ops = |ops: Vec<Op>| ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect();
    TxnRequest { compare: vec![compare], success: ops(then), failure: ops(otherwise) }
}

/// The ranges that a transaction has read, in their order.
fn ranges(response: TxnResponse) -> impl Iterator<Item = RangeResponse> {
    response.responses.into_iter().filter_map(|done| match done.response {
        Some(Done::ResponseRange(range)) => Some(range),
        _ => None,
    })
}

impl<E: Engine> Contend<E> {
    pub(super) async fn range(&self, caller: &Caller, request: RangeRequest) -> Result<RangeResponse, Status> {
        Ok(self.kv.range(caller.request(request)).await.map_err(raw)?.into_inner())
    }

    pub(super) async fn txn(&self, caller: &Caller, request: TxnRequest) -> Result<TxnResponse, Status> {
        Ok(self.kv.txn(caller.request(request)).await.map_err(raw)?.into_inner())
    }

    /// The lease of a caller: its own, renewed once; or a new one.
    async fn session(&self, caller: &Caller, lease: i64) -> Result<i64, Status> {
        if lease != 0 {
            // Whether there is one, the put will tell.
            self.engine.lease(LeaseAsk::Renew(lease)).await.map_err(|e| raw(super::answer::status(&e)))?;
            return Ok(lease);
        }
        let granted = self.lease.lease_grant(caller.request(LeaseGrantRequest { ttl: SESSION_S, id: 0 })).await;
        Ok(granted.map_err(raw)?.into_inner().id)
    }

    /// Enters a contest, unless the lease has done so before.
    pub(super) async fn enter(
        &self,
        caller: &Caller,
        name: &[u8],
        lease: i64,
        value: &[u8],
    ) -> Result<Contender, Status> {
        let lease = self.session(caller, lease).await?;
        let key = key(name, lease);
        let put = PutRequest { key: key.clone(), value: value.to_vec(), lease, ..PutRequest::default() };
        let then = vec![Op::RequestPut(put), Op::RequestRange(first(name))];
        let otherwise = vec![Op::RequestRange(get(&key)), Op::RequestRange(first(name))];
        let response = self.txn(caller, if_made(&key, 0, then, otherwise)).await?;
        let (header, is_new) = (response.header, response.succeeded);
        let mut ranges = ranges(response);
        let before = if is_new { None } else { ranges.next().and_then(|mut own| own.kvs.pop()) };
        let revision = header.as_ref().map_or(0, |header| header.revision);
        let made = before.as_ref().map_or(revision, |before| before.create_revision);
        let owner = ranges.next().and_then(|mut first| first.kvs.pop());
        let is_first = owner.is_none_or(|owner| owner.create_revision == made);
        Ok(Contender { key, made, lease, header, before, is_first })
    }

    /// Waits until everyone who came before is gone; each waits for the one before it alone. Then looks again whether the contender is still there, since its
    /// lease may have ended meanwhile: gives the header of that look. Whoever gives up waiting is taken out.
    pub(super) async fn wait(
        &self,
        caller: &Caller,
        name: &[u8],
        contender: &Contender,
        gone: &'static str,
    ) -> Result<Option<ResponseHeader>, Status> {
        let contending = Some((contender.key.clone(), contender.made));
        let mut leaving = Leaving { engine: self.engine.clone(), who: caller.who(), contender: contending };
        loop {
            let before = RangeRequest {
                max_create_revision: contender.made - 1,
                sort_order: SortOrder::Descend.into(),
                ..first(name)
            };
            let found = self.range(caller, before).await?;
            let Some(other) = found.kvs.into_iter().next() else { break };
            self.until_deleted(other.key, found.header.map_or(0, |header| header.revision) + 1).await?;
        }
        let own = self.range(caller, get(&contender.key)).await?;
        if own.kvs.first().is_none_or(|own| own.create_revision != contender.made) {
            return Err(Status::unknown(gone));
        }
        leaving.contender = None;
        Ok(own.header)
    }

    async fn until_deleted(&self, key: Vec<u8>, from: i64) -> Result<(), Status> {
        let filters = vec![FilterType::Noput.into()];
        let request = WatchCreateRequest { key, start_revision: from, filters, ..WatchCreateRequest::default() };
        let mut follow = Follow::new(&self.engine, &self.hub, request).await.map_err(raw)?;
        match follow.next().await.map_err(raw)? {
            News::Events(..) | News::Compacted => Ok(()), // whether it is gone is looked at again
        }
    }
}

/// Takes a contender out that nobody waits for any more, as when its client is gone.
struct Leaving<E: Engine> {
    engine: E,
    who: Who,
    contender: Option<(Vec<u8>, i64)>,
}

impl<E: Engine> Drop for Leaving<E> {
    fn drop(&mut self) {
        let Some((key, made)) = self.contender.take() else { return };
        let delete = DeleteRangeRequest { key: key.clone(), ..DeleteRangeRequest::default() };
        let leave = if_made(&key, made, vec![Op::RequestDeleteRange(delete)], Vec::new());
        let (engine, who) = (self.engine.clone(), self.who.clone());
        tokio::spawn(async move {
            if let Err(status) = propose(&engine, &who, Command::Txn(leave)).await {
                tracing::debug!(%status, "a contender that gave up stays until its lease ends");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{first, key};

    #[test]
    fn keys_are_those_of_go_clients() {
        assert_eq!(key(b"L", 10), b"L/a");
        assert_eq!(key(b"", 0x4ee7), b"/4ee7");
        assert_eq!(key(b"L", -5), b"L/-5");
        assert_eq!(first(b"L").range_end, b"L0");
    }
}
