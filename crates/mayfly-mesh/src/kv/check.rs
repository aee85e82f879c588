//! What is wrong with a request whatever the state is: asked before it becomes an entry.

use super::span::Span;
use crate::etcd_error::EtcdError;
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use crate::proto::meshpb::command::Request as Command;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Operations in a transaction, on each of its sides and down to the innermost one.
pub const MAX_OPS: usize = 128;

/// What is wrong with a request of any kind.
///
/// # Errors
/// Those of its kind.
pub fn check(request: &Command) -> Result<(), EtcdError> {
    match request {
        Command::Put(put) => check_put(put),
        Command::DeleteRange(delete) => check_delete(delete),
        Command::Txn(txn) => check_txn(txn),
        _ => Ok(()),
    }
}

/// # Errors
/// [`EtcdError::EmptyKey`], [`EtcdError::InvalidSortOption`].
pub fn check_range(request: &RangeRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() {
        return Err(EtcdError::EmptyKey);
    }
    let is_known = SortOrder::try_from(request.sort_order).is_ok() && SortTarget::try_from(request.sort_target).is_ok();
    if is_known { Ok(()) } else { Err(EtcdError::InvalidSortOption) }
}

/// # Errors
/// [`EtcdError::EmptyKey`], [`EtcdError::ValueProvided`], [`EtcdError::LeaseProvided`].
pub fn check_put(request: &PutRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() {
        Err(EtcdError::EmptyKey)
    } else if request.ignore_value && !request.value.is_empty() {
        Err(EtcdError::ValueProvided)
    } else if request.ignore_lease && request.lease != 0 {
        Err(EtcdError::LeaseProvided)
    } else {
        Ok(())
    }
}

/// # Errors
/// [`EtcdError::EmptyKey`].
pub fn check_delete(request: &DeleteRangeRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() { Err(EtcdError::EmptyKey) } else { Ok(()) }
}

/// # Errors
/// [`EtcdError::TooManyOps`], [`EtcdError::DuplicateKey`], [`EtcdError::KeyNotFound`] for an operation that is none, and those of the operations.
pub fn check_txn(request: &TxnRequest) -> Result<(), EtcdError> {
    check_ops(request, MAX_OPS)?;
    writes(&request.success)?;
    writes(&request.failure)?;
    Ok(())
}

/// `left` shrinks with every level, and so bounds their number.
fn check_ops(request: &TxnRequest, left: usize) -> Result<(), EtcdError> {
    let ops = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = left.checked_sub(ops).ok_or(EtcdError::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(EtcdError::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) => check_range(range)?,
            Some(Request::RequestPut(put)) => check_put(put)?,
            Some(Request::RequestDeleteRange(delete)) => check_delete(delete)?,
            Some(Request::RequestTxn(txn)) => check_ops(txn, left)?,
            None => return Err(EtcdError::KeyNotFound),
        }
    }
    Ok(())
}

/// Keys that are put, and spans that are deleted.
type Writes<'a> = (BTreeSet<&'a [u8]>, Deleted);

/// What is deleted, as spans that neither overlap nor touch: start → end. A request may have tens of thousands of them, so that asking must be a search.
#[derive(Default)]
struct Deleted {
    spans: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Deleted {
    /// An end of `\0` means "all after" when it is deleted, and a span without keys here: so it is in etcd, and clients may count on it.
    fn add(&mut self, mut start: Vec<u8>, mut end: Vec<u8>) {
        if start >= end {
            return;
        }
        let touching = self.spans.range(..=end.clone()).rev().take_while(|(_, other)| **other >= start);
        let touching: Vec<Vec<u8>> = touching.map(|(other, _)| other.clone()).collect();
        for other in touching {
            end = self.spans.remove(&other).map_or(end.clone(), |other| other.max(end));
            start = start.min(other);
        }
        self.spans.insert(start, end);
    }

    fn covers(&self, key: &[u8]) -> bool {
        let before = self.spans.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        before.is_some_and(|(_, end)| key < &end[..])
    }

    fn extend(&mut self, other: Self) {
        other.spans.into_iter().for_each(|(start, end)| self.add(start, end));
    }
}

/// No key is put twice, nor put and deleted, in what may run together; in etcd's order of looking.
fn writes(ops: &[RequestOp]) -> Result<Writes<'_>, EtcdError> {
    let (mut puts, mut deleted) = (BTreeSet::new(), Deleted::default());
    for op in ops {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            let end =
                if delete.range_end.is_empty() { [&delete.key[..], &[0]].concat() } else { delete.range_end.clone() };
            deleted.add(delete.key.clone(), end);
        }
    }
    for op in ops {
        let Some(Request::RequestTxn(txn)) = &op.request else { continue };
        let (success, success_deleted) = writes(&txn.success)?;
        let (failure, failure_deleted) = writes(&txn.failure)?;
        // One of the two sides runs, so they may put the same key.
        if success.union(&failure).any(|key| puts.contains(key) || deleted.covers(key)) {
            return Err(EtcdError::DuplicateKey);
        }
        puts.extend(success);
        puts.extend(failure);
        deleted.extend(success_deleted);
        deleted.extend(failure_deleted);
    }
    for op in ops {
        let Some(Request::RequestPut(put)) = &op.request else { continue };
        if deleted.covers(&put.key) || !puts.insert(&put.key[..]) {
            return Err(EtcdError::DuplicateKey);
        }
    }
    Ok((puts, deleted))
}

/// Is the key in one of the spans, as they are deleted and not as they are compared above?
pub(super) fn is_deleted(spans: &[Span<'_>], key: &[u8]) -> bool {
    spans.iter().any(|span| span.contains(key))
}
