//! Calls as requests of etcd's API, and its responses as answers.

use super::{Answer, Change, Found, Key, What};
use mayfly_mesh::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use mayfly_mesh::proto::etcdserverpb::request_op::Request as Op;
use mayfly_mesh::proto::etcdserverpb::response_op::Response as OpResponse;
use mayfly_mesh::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseHeader, TxnRequest,
};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::outcome::Response;
use mayfly_mesh::proto::mvccpb::event::EventType;
use mayfly_mesh::proto::mvccpb::{Event, KeyValue};
use std::collections::BTreeMap;

pub fn key(key: Key) -> Vec<u8> {
    format!("key {key}").into_bytes()
}

fn found(kv: Option<&KeyValue>) -> Found {
    kv.map(|kv| (String::from_utf8_lossy(&kv.value).parse().expect("a number"), kv.mod_revision))
}

fn revision(header: Option<ResponseHeader>) -> i64 {
    header.expect("a header").revision
}

pub fn range(of: Key) -> RangeRequest {
    RangeRequest { key: key(of), ..RangeRequest::default() }
}

/// The write that a call is; none for a read.
pub fn request(what: What) -> Option<Request> {
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

/// What a read found.
pub fn got(response: &RangeResponse) -> Answer {
    Answer { revision: revision(response.header), wrote: false, found: found(response.kvs.first()) }
}

/// What a write was answered.
pub fn answer(response: Response) -> Answer {
    match response {
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
    }
}

/// What an event says.
pub fn change(event: &Event) -> (i64, Change) {
    let kv = event.kv.as_ref().expect("a key");
    let of = (0..=Key::MAX).find(|of| key(*of) == kv.key).expect("a known key");
    let value = found(Some(kv).filter(|_| event.r#type() == EventType::Put)).map(|(value, _)| value);
    (kv.mod_revision, Change { key: of, value })
}

/// All keys at a revision.
pub fn everything(revision: i64) -> RangeRequest {
    RangeRequest { key: vec![0], range_end: vec![0], revision, ..RangeRequest::default() }
}

/// Finds what each revision changed, from the states after them.
#[derive(Default)]
pub struct Changes {
    before: BTreeMap<Key, u64>,
    pub found: Vec<Change>,
}

impl Changes {
    pub fn add(&mut self, state: &RangeResponse) {
        let number = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<u64>().expect("a number");
        let now: BTreeMap<Key, u64> = (state.kvs.iter())
            .map(|kv| ((0..=Key::MAX).find(|of| key(*of) == kv.key).expect("a known key"), number(&kv.value)))
            .collect();
        let is_new = |(of, value): &(&Key, &u64)| self.before.get(*of) != Some(*value);
        let set = now.iter().find(is_new).map(|(of, value)| Change { key: *of, value: Some(*value) });
        let gone = self.before.keys().find(|of| !now.contains_key(of)).map(|of| Change { key: *of, value: None });
        self.found.push(set.or(gone).expect("a revision changes something"));
        self.before = now;
    }
}
