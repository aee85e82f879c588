//! Random requests over few keys, so that they meet.

use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use mayfly_mesh::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest,
    LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    RequestOp, TxnRequest, TxnResponse,
};
use mayfly_mesh::{EtcdError, kv};

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    Grant(LeaseGrantRequest),
    Revoke(LeaseRevokeRequest),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Range(RangeResponse),
    Put(PutResponse),
    Delete(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    Grant(LeaseGrantResponse),
    Revoke(LeaseRevokeResponse),
}

/// Leases are few, too.
pub const LEASES: [i64; 4] = [-5, 7, 8, i64::MAX];

/// At most 12: Go sorts as many by insertion, so that the order of equal ones is the same everywhere.
const KEYS: [&[u8]; 11] = [b"a", b"a\0", b"aa", b"ab", b"b", b"b/1", b"b/2", b"\0", b"\xff", b"\xff\xff", b"z"];

impl Op {
    /// `revision`: about where the store stands.
    pub fn random(rng: &mut Rng, revision: i64) -> Self {
        match rng.below(100) {
            0..35 => Self::Put(put(rng)),
            35..50 => Self::Delete(delete(rng)),
            50..73 => Self::Range(range(rng, revision)),
            73..91 => Self::Txn(txn(rng, revision, 3)),
            91..94 => Self::Grant(grant(rng)),
            94..97 => Self::Revoke(LeaseRevokeRequest { id: if one_in(rng, 20) { 0 } else { pick(rng, &LEASES) } }),
            _ => Self::Compact(CompactionRequest { revision: near(rng, revision), physical: rng.below(2) == 0 }),
        }
    }

    /// What a server refuses before it looks at the state.
    pub fn check(&self) -> Result<(), EtcdError> {
        match self {
            Self::Range(request) => kv::check_range(request),
            Self::Put(request) => kv::check_put(request),
            Self::Delete(request) => kv::check_delete(request),
            Self::Txn(request) => kv::check_txn(request),
            Self::Compact(_) | Self::Grant(_) | Self::Revoke(_) => Ok(()),
        }
    }
}

fn one_in(rng: &mut Rng, n: u64) -> bool {
    rng.below(n) == 0
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize]
}

fn key(rng: &mut Rng) -> Vec<u8> {
    if one_in(rng, 60) { Vec::new() } else { pick(rng, &KEYS).to_vec() }
}

fn range_end(rng: &mut Rng, key: &[u8]) -> Vec<u8> {
    match rng.below(10) {
        0..5 => Vec::new(),
        5 => vec![0],
        6 | 7 => pick(rng, &KEYS).to_vec(),
        _ => {
            let mut end = key.to_vec();
            while end.last() == Some(&0xff) {
                end.pop();
            }
            match end.last_mut() {
                Some(last) => *last += 1,
                None => end.push(0),
            }
            end
        }
    }
}

fn near(rng: &mut Rng, revision: i64) -> i64 {
    match rng.below(12) {
        0 => -(rng.below(3) as i64),
        1 => revision + 1 + rng.below(2) as i64,
        _ => (revision - rng.below(20) as i64).max(0),
    }
}

fn bound(rng: &mut Rng, revision: i64) -> i64 {
    if one_in(rng, 8) { near(rng, revision) } else { 0 }
}

fn put(rng: &mut Rng) -> PutRequest {
    let ignore_value = one_in(rng, 12);
    let has_value = !ignore_value || one_in(rng, 5);
    let value = if has_value { vec![b'v'; rng.below(4) as usize] } else { Vec::new() };
    let lease = if one_in(rng, 3) { pick(rng, &LEASES) } else { 0 };
    PutRequest { key: key(rng), value, lease, prev_kv: one_in(rng, 3), ignore_value, ignore_lease: one_in(rng, 14) }
}

/// For so long that it does not end while a test goes on.
fn grant(rng: &mut Rng) -> LeaseGrantRequest {
    let ttl = [1_000 + rng.below(1_000) as i64, 9_000_000_000, 9_000_000_001, i64::MAX][rng.below(4) as usize];
    LeaseGrantRequest { id: pick(rng, &LEASES), ttl }
}

fn delete(rng: &mut Rng) -> DeleteRangeRequest {
    let key = key(rng);
    DeleteRangeRequest { range_end: range_end(rng, &key), key, prev_kv: one_in(rng, 2) }
}

fn range(rng: &mut Rng, revision: i64) -> RangeRequest {
    let key = key(rng);
    let is_sorted = one_in(rng, 2);
    let order = [SortOrder::None, SortOrder::Ascend, SortOrder::Descend];
    let target = [SortTarget::Key, SortTarget::Version, SortTarget::Create, SortTarget::Mod, SortTarget::Value];
    let wide = if one_in(rng, 3) { (vec![0], vec![0]) } else { (key.clone(), range_end(rng, &key)) };
    RangeRequest {
        key: wide.0,
        range_end: wide.1,
        limit: if one_in(rng, 2) { rng.below(6) as i64 - 1 } else { 0 },
        revision: if one_in(rng, 3) { near(rng, revision) } else { 0 },
        sort_order: if is_sorted { pick(rng, &order) as i32 } else { 0 },
        sort_target: if is_sorted { pick(rng, &target) as i32 } else { 0 },
        serializable: one_in(rng, 2),
        keys_only: one_in(rng, 5),
        count_only: one_in(rng, 8),
        min_mod_revision: bound(rng, revision),
        max_mod_revision: bound(rng, revision),
        min_create_revision: bound(rng, revision),
        max_create_revision: bound(rng, revision),
    }
}

fn compare(rng: &mut Rng, revision: i64) -> Compare {
    let key = key(rng);
    let results = [CompareResult::Equal, CompareResult::Greater, CompareResult::Less, CompareResult::NotEqual];
    let targets =
        [CompareTarget::Version, CompareTarget::Create, CompareTarget::Mod, CompareTarget::Value, CompareTarget::Lease];
    let target = pick(rng, &targets);
    let number = if one_in(rng, 2) { rng.below(3) as i64 } else { near(rng, revision) };
    let mut union = match target {
        CompareTarget::Version => TargetUnion::Version(number),
        CompareTarget::Create => TargetUnion::CreateRevision(number),
        CompareTarget::Mod => TargetUnion::ModRevision(number),
        CompareTarget::Value => TargetUnion::Value(vec![b'v'; rng.below(4) as usize]),
        CompareTarget::Lease => TargetUnion::Lease(number),
    };
    if one_in(rng, 20) {
        union = TargetUnion::Version(number);
    }
    Compare {
        result: pick(rng, &results) as i32,
        target: target as i32,
        range_end: if one_in(rng, 3) { range_end(rng, &key) } else { Vec::new() },
        key,
        target_union: if one_in(rng, 20) { None } else { Some(union) },
    }
}

fn txn(rng: &mut Rng, revision: i64, depth: u32) -> TxnRequest {
    let compare = (0..rng.below(3)).map(|_| compare(rng, revision)).collect();
    TxnRequest { compare, success: ops(rng, revision, depth), failure: ops(rng, revision, depth) }
}

fn ops(rng: &mut Rng, revision: i64, depth: u32) -> Vec<RequestOp> {
    let count = if one_in(rng, 150) { 127 + rng.below(4) } else { rng.below(4) };
    (0..count)
        .map(|_| {
            let request = match rng.below(10) {
                0..4 => Some(Request::RequestPut(put(rng))),
                4 | 5 => Some(Request::RequestDeleteRange(delete(rng))),
                6 | 7 => Some(Request::RequestRange(range(rng, revision))),
                8 if depth > 0 => Some(Request::RequestTxn(txn(rng, revision, depth - 1))),
                _ if one_in(rng, 30) => None,
                _ => Some(Request::RequestRange(RangeRequest { key: key(rng), ..RangeRequest::default() })),
            };
            RequestOp { request }
        })
        .collect()
}
