//! What clients ask.

use super::node::Engine as Member;
use crate::check::{Answer, Found, Key, What};
use mayfly_mesh::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use mayfly_mesh::proto::etcdserverpb::request_op::Request as Op;
use mayfly_mesh::proto::etcdserverpb::response_op::Response as OpResponse;
use mayfly_mesh::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::outcome::Response;
use mayfly_mesh::proto::mvccpb::KeyValue;
use mayfly_mesh::{Engine, MeshError, kv};

pub fn key(key: Key) -> Vec<u8> {
    format!("key {key}").into_bytes()
}

fn found(kv: Option<&KeyValue>) -> Found {
    kv.map(|kv| (String::from_utf8_lossy(&kv.value).parse().expect("a number"), kv.mod_revision))
}

fn revision(header: Option<ResponseHeader>) -> i64 {
    header.expect("a header").revision
}

fn range(of: Key) -> RangeRequest {
    RangeRequest { key: key(of), ..RangeRequest::default() }
}

fn request(what: What) -> Option<Request> {
    let put = |of, value: u64| PutRequest {
        key: key(of),
        value: value.to_string().into(),
        prev_kv: true,
        ..PutRequest::default()
    };
    let op = |request| RequestOp { request: Some(request) };
    Some(match what {
        What::Put(of, value) => Request::Put(put(of, value)),
        What::Delete(of) => {
            Request::DeleteRange(DeleteRangeRequest { key: key(of), prev_kv: true, ..DeleteRangeRequest::default() })
        }
        What::Swap(of, expected, value) => {
            let (target, union) = match expected {
                Some(value) => (CompareTarget::Value, TargetUnion::Value(value.to_string().into())),
                None => (CompareTarget::Version, TargetUnion::Version(0)),
            };
            let compare = Compare {
                result: CompareResult::Equal.into(),
                target: target.into(),
                key: key(of),
                target_union: Some(union),
                ..Compare::default()
            };
            let read = op(Op::RequestRange(range(of)));
            let write = op(Op::RequestPut(put(of, value)));
            Request::Txn(TxnRequest { compare: vec![compare], success: vec![read.clone(), write], failure: vec![read] })
        }
        What::Get(_) => return None,
    })
}

/// Asks a member, as its server would.
pub async fn ask(member: &Member, what: What) -> Result<Answer, MeshError> {
    let Some(request) = request(what) else {
        member.read_barrier().await?;
        let read = member.store().read(|transaction| kv::range(transaction, &range(what.key())))?;
        let response = read.expect("no error of a client's");
        return Ok(Answer { revision: revision(response.header), wrote: false, found: found(response.kvs.first()) });
    };
    let outcome = member.propose(kv::entry(request)).await?;
    Ok(match kv::outcome(&outcome).expect("an outcome").expect("no error of a client's") {
        Response::Put(response) => {
            Answer { revision: revision(response.header), wrote: true, found: found(response.prev_kv.as_ref()) }
        }
        Response::DeleteRange(response) => Answer {
            revision: revision(response.header),
            wrote: response.deleted > 0,
            found: found(response.prev_kvs.first()),
        },
        Response::Txn(response) => {
            let read = match &response.responses[0].response {
                Some(OpResponse::ResponseRange(range)) => found(range.kvs.first()),
                other => panic!("{other:?} is no range"),
            };
            Answer { revision: revision(response.header), wrote: response.succeeded, found: read }
        }
        other => panic!("{other:?} was not asked for"),
    })
}
