//! A naive store: every state that ever was, as a map. Slow, and easy to see through.

use super::ops::{Op, Reply};
use mayfly_mesh::EtcdError;
use mayfly_mesh::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use mayfly_mesh::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::response_op::Response;
use mayfly_mesh::proto::etcdserverpb::{
    CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantResponse, LeaseRevokeResponse,
    PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest,
    TxnResponse,
};
use mayfly_mesh::proto::mvccpb::KeyValue;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub type Keys = BTreeMap<Vec<u8>, KeyValue>;

pub struct Model {
    /// By revision; revision 0 is never read.
    states: Vec<Keys>,
    compacted: i64,
    leases: BTreeSet<i64>,
}

/// A state that a transaction is changing.
struct Work {
    keys: Keys,
    is_changed: bool,
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

pub fn is_meant(key: &[u8], start: &[u8], end: &[u8]) -> bool {
    match end {
        [] => key == start,
        [0] => key >= start,
        _ => key >= start && key < end,
    }
}

impl Model {
    pub fn new() -> Self {
        Self { states: vec![Keys::new(), Keys::new()], compacted: -1, leases: BTreeSet::new() }
    }

    pub fn revision(&self) -> i64 {
        self.states.len() as i64 - 1
    }

    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// The state at a revision; what is to come is not told apart from now.
    pub fn at(&self, revision: i64) -> &Keys {
        let last = self.states.len() - 1;
        &self.states[usize::try_from(revision).unwrap_or(0).min(last)]
    }

    fn now(&self) -> &Keys {
        self.states.last().expect("never empty")
    }

    pub fn apply(&mut self, op: &Op) -> Result<Reply, EtcdError> {
        op.check()?;
        let mut work = Work { keys: self.now().clone(), is_changed: false };
        let reply = match op {
            Op::Range(request) => Reply::Range(self.range(&work, request)?),
            Op::Put(request) if !self.has_lease(request.lease) => return Err(EtcdError::LeaseNotFound),
            Op::Put(request) => {
                self.check_put(request, &[])?;
                Reply::Put(self.put(&mut work, request))
            }
            Op::Delete(request) => Reply::Delete(self.delete(&mut work, request)),
            Op::Txn(request) => {
                self.check_puts(request, &mut Vec::new())?;
                self.check_ranges(request)?;
                let mut response = self.txn(&mut work, request)?;
                response.header = header(self.revision_of(&work));
                Reply::Txn(response)
            }
            Op::Grant(request) if request.ttl > 9_000_000_000 => return Err(EtcdError::LeaseTtlTooLarge),
            Op::Grant(request) if !self.leases.insert(request.id) => return Err(EtcdError::LeaseExists),
            Op::Grant(request) => Reply::Grant(LeaseGrantResponse {
                header: header(self.revision()),
                id: request.id,
                ttl: request.ttl.max(2),
                error: String::new(),
            }),
            Op::Revoke(request) if !self.leases.remove(&request.id) => return Err(EtcdError::LeaseNotFound),
            Op::Revoke(request) => {
                let all = work.keys.len();
                work.keys.retain(|_, kv| kv.lease != request.id);
                work.is_changed = work.keys.len() < all;
                Reply::Revoke(LeaseRevokeResponse { header: header(self.revision_of(&work)) })
            }
            Op::Compact(request) if request.revision <= self.compacted => return Err(EtcdError::Compacted),
            Op::Compact(request) if request.revision > self.revision() => return Err(EtcdError::FutureRev),
            Op::Compact(request) => {
                self.compacted = request.revision;
                Reply::Compact(CompactionResponse { header: header(self.revision()) })
            }
        };
        if work.is_changed {
            self.states.push(work.keys);
        }
        Ok(reply)
    }

    fn has_lease(&self, id: i64) -> bool {
        id == 0 || self.leases.contains(&id)
    }

    fn revision_of(&self, work: &Work) -> i64 {
        self.revision() + i64::from(work.is_changed)
    }

    fn range(&self, work: &Work, request: &RangeRequest) -> Result<RangeResponse, EtcdError> {
        let now = self.revision_of(work);
        if request.revision > now {
            return Err(EtcdError::FutureRev);
        }
        if request.revision > 0 && request.revision < self.compacted {
            return Err(EtcdError::Compacted);
        }
        let keys = match request.revision {
            1.. if request.revision <= self.revision() => &self.states[request.revision as usize],
            _ => &work.keys,
        };
        let all = keys.iter().filter(|(key, _)| is_meant(key, &request.key, &request.range_end));
        let mut kvs: Vec<KeyValue> = all.map(|(_, kv)| kv.clone()).collect();
        let count = kvs.len() as i64;
        if request.count_only {
            return Ok(RangeResponse { header: header(now), kvs: Vec::new(), more: false, count });
        }
        let limit = request.limit.max(0) as usize;
        let (order, target) = (request.sort_order(), request.sort_target());
        let bounds = [
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        ];
        if limit > 0 && order == SortOrder::None && bounds == [0; 4] {
            kvs.truncate(limit + 1);
        }
        kvs.retain(|kv| bounds[0] == 0 || kv.mod_revision >= bounds[0]);
        kvs.retain(|kv| bounds[1] == 0 || kv.mod_revision <= bounds[1]);
        kvs.retain(|kv| bounds[2] == 0 || kv.create_revision >= bounds[2]);
        kvs.retain(|kv| bounds[3] == 0 || kv.create_revision <= bounds[3]);
        let compare = |a: &KeyValue, b: &KeyValue| match target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        match order {
            SortOrder::Descend => kvs.sort_by(|a, b| compare(b, a)),
            _ => kvs.sort_by(compare),
        }
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        Ok(RangeResponse { header: header(now), kvs, more, count })
    }

    fn check_put(&self, request: &PutRequest, deleted: &[&DeleteRangeRequest]) -> Result<(), EtcdError> {
        let keeps = request.ignore_value || request.ignore_lease;
        let is_gone = deleted.iter().any(|delete| is_meant(&request.key, &delete.key, &delete.range_end));
        if keeps && (is_gone || !self.now().contains_key(&request.key)) {
            return Err(EtcdError::KeyNotFound);
        }
        Ok(())
    }

    fn put(&self, work: &mut Work, request: &PutRequest) -> PutResponse {
        let old = work.keys.get(&request.key).cloned();
        let main = self.revision() + 1;
        let mut kv = KeyValue {
            key: request.key.clone(),
            create_revision: old.as_ref().map_or(main, |old| old.create_revision),
            mod_revision: main,
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            value: request.value.clone(),
            lease: request.lease,
        };
        if request.ignore_lease {
            kv.lease = old.as_ref().expect("checked").lease;
        }
        if request.ignore_value {
            kv.value = old.as_ref().expect("checked").value.clone();
        }
        work.keys.insert(request.key.clone(), kv);
        work.is_changed = true;
        PutResponse { header: header(main), prev_kv: old.filter(|_| request.prev_kv) }
    }

    fn delete(&self, work: &mut Work, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let keys = work.keys.keys().filter(|key| is_meant(key, &request.key, &request.range_end));
        let keys: Vec<Vec<u8>> = keys.cloned().collect();
        let old: Vec<KeyValue> = keys.iter().filter_map(|key| work.keys.remove(key)).collect();
        work.is_changed |= !old.is_empty();
        let deleted = old.len() as i64;
        let prev_kvs = if request.prev_kv { old } else { Vec::new() };
        DeleteRangeResponse { header: header(self.revision_of(work)), deleted, prev_kvs }
    }

    /// The side that runs: decided on the state before the whole transaction.
    fn side<'a>(&self, request: &'a TxnRequest) -> (bool, &'a [RequestOp]) {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        (succeeded, if succeeded { &request.success } else { &request.failure })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let keys: Vec<&KeyValue> =
            self.now().values().filter(|kv| is_meant(&kv.key, &compare.key, &compare.range_end)).collect();
        if keys.is_empty() {
            return compare.target() != CompareTarget::Value && is_so(compare, &KeyValue::default());
        }
        keys.iter().all(|kv| is_so(compare, kv))
    }

    fn check_puts<'a>(
        &self,
        request: &'a TxnRequest,
        deleted: &mut Vec<&'a DeleteRangeRequest>,
    ) -> Result<(), EtcdError> {
        for op in self.side(request).1 {
            match op.request.as_ref().expect("checked") {
                Request::RequestPut(put) => {
                    self.check_put(put, deleted)?;
                    if !self.has_lease(put.lease) {
                        return Err(EtcdError::LeaseNotFound);
                    }
                }
                Request::RequestDeleteRange(delete) => deleted.push(delete),
                Request::RequestTxn(txn) => self.check_puts(txn, deleted)?,
                Request::RequestRange(_) => {}
            }
        }
        Ok(())
    }

    fn check_ranges(&self, request: &TxnRequest) -> Result<(), EtcdError> {
        for op in self.side(request).1 {
            match op.request.as_ref().expect("checked") {
                Request::RequestRange(range) if range.revision > self.revision() => return Err(EtcdError::FutureRev),
                Request::RequestRange(range) if range.revision != 0 && range.revision < self.compacted => {
                    return Err(EtcdError::Compacted);
                }
                Request::RequestTxn(txn) => self.check_ranges(txn)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn txn(&self, work: &mut Work, request: &TxnRequest) -> Result<TxnResponse, EtcdError> {
        let (succeeded, ops) = self.side(request);
        let mut responses = Vec::new();
        for op in ops {
            let response = match op.request.as_ref().expect("checked") {
                Request::RequestRange(range) => Response::ResponseRange(self.range(work, range)?),
                Request::RequestPut(put) => Response::ResponsePut(self.put(work, put)),
                Request::RequestDeleteRange(delete) => Response::ResponseDeleteRange(self.delete(work, delete)),
                Request::RequestTxn(txn) => Response::ResponseTxn(self.txn(work, txn)?),
            };
            responses.push(ResponseOp { response: Some(response) });
        }
        Ok(TxnResponse { header: header(0), succeeded, responses })
    }
}

fn is_so(compare: &Compare, kv: &KeyValue) -> bool {
    let number = |own: i64, union: Option<i64>| own.cmp(&union.unwrap_or(0));
    let ordering: Ordering = match (compare.target(), compare.target_union.clone()) {
        (CompareTarget::Value, Some(TargetUnion::Value(value))) => kv.value.cmp(&value),
        (CompareTarget::Value, _) => kv.value.cmp(&Vec::new()),
        (CompareTarget::Version, Some(TargetUnion::Version(n))) => number(kv.version, Some(n)),
        (CompareTarget::Version, _) => number(kv.version, None),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(n))) => number(kv.create_revision, Some(n)),
        (CompareTarget::Create, _) => number(kv.create_revision, None),
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(n))) => number(kv.mod_revision, Some(n)),
        (CompareTarget::Mod, _) => number(kv.mod_revision, None),
        (CompareTarget::Lease, Some(TargetUnion::Lease(n))) => number(kv.lease, Some(n)),
        (CompareTarget::Lease, _) => number(kv.lease, None),
    };
    match compare.result() {
        CompareResult::Equal => ordering.is_eq(),
        CompareResult::NotEqual => ordering.is_ne(),
        CompareResult::Greater => ordering.is_gt(),
        CompareResult::Less => ordering.is_lt(),
    }
}
