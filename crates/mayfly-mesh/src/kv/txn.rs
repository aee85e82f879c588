//! Transactions: all compares are decided on the state before, then everything is checked, then it happens.

use super::check::is_deleted;
use super::put_delete::{check_lease, delete, existing, put};
use super::range::range;
use super::span::Span;
use super::tables::Reader;
use super::write::Writer;
use crate::etcd_error::EtcdError;
use crate::module::Fault;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::response_op::Response;
use crate::proto::etcdserverpb::{
    Compare, RangeRequest, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use crate::proto::mvccpb::KeyValue;
use crate::refusal::Stop;
use std::cmp::Ordering;

/// Which side of a transaction runs, and of those within it.
struct Branch<'a> {
    succeeded: bool,
    ops: &'a [RequestOp],
    /// One for each transaction among the operations, in their order.
    within: Vec<Branch<'a>>,
}

/// Does it only read? Then it is no entry.
pub(super) fn is_read_only(request: &TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure);
    ops.all(|op| matches!(op.request, Some(Request::RequestRange(_))))
}

/// A transaction that only reads.
pub(super) fn read(reader: &dyn Reader, request: &TxnRequest) -> Result<TxnResponse, Stop> {
    let branch = decide(reader, request)?;
    check_ranges(reader, &branch)?;
    let mut responses = Vec::with_capacity(branch.ops.len());
    for op in branch.ops {
        if let Some(Request::RequestRange(request)) = &op.request {
            let response = range(reader, request)?;
            responses.push(ResponseOp { response: Some(Response::ResponseRange(response)) });
        }
    }
    let header = Some(ResponseHeader { revision: reader.clock().revision, ..ResponseHeader::default() });
    Ok(TxnResponse { header, succeeded: branch.succeeded, responses })
}

/// A transaction that may write.
pub(super) fn write(writer: &mut Writer<'_>, request: &TxnRequest) -> Result<TxnResponse, Stop> {
    let branch = decide(writer, request)?;
    check_puts(writer, &branch, &mut Vec::new())?;
    check_ranges(writer, &branch)?;
    let mut response = run(writer, &branch)?;
    response.header = Some(ResponseHeader { revision: writer.clock().revision, ..ResponseHeader::default() });
    Ok(response)
}

fn decide<'a>(reader: &dyn Reader, request: &'a TxnRequest) -> Result<Branch<'a>, Fault> {
    let mut succeeded = true;
    for compare in &request.compare {
        if !holds(reader, compare)? {
            succeeded = false;
            break;
        }
    }
    let ops = if succeeded { &request.success[..] } else { &request.failure[..] };
    let mut within = Vec::new();
    for op in ops {
        if let Some(Request::RequestTxn(txn)) = &op.request {
            within.push(decide(reader, txn)?);
        }
    }
    Ok(Branch { succeeded, ops, within })
}

/// Holds for every key of the span. Where there is none, a key that was never written stands for it; but a value is never equal to none.
fn holds(reader: &dyn Reader, compare: &Compare) -> Result<bool, Fault> {
    let is_value = compare.target() == CompareTarget::Value; // one that is not known is no value
    let span = Span::new(&compare.key, &compare.range_end);
    let (mut any, mut all, mut places) = (false, true, Vec::new());
    reader.visit(&span, reader.clock().revision, &mut |key, found| {
        any = true;
        match is_value {
            true => places.push(found.place),
            false => all = is_so(compare, &found.describe(key)),
        }
        all
    })?;
    for place in places {
        if !is_so(compare, &reader.load(place)?) {
            return Ok(false);
        }
    }
    match any {
        true => Ok(all),
        false => Ok(!is_value && is_so(compare, &KeyValue::default())),
    }
}

fn is_so(compare: &Compare, kv: &KeyValue) -> bool {
    let union = compare.target_union.as_ref();
    let number = |own: i64, asked: Option<i64>| own.cmp(&asked.unwrap_or(0));
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => match union {
            Some(TargetUnion::Value(value)) => kv.value.cmp(value),
            _ => kv.value[..].cmp(&[]),
        },
        Ok(CompareTarget::Version) => number(
            kv.version,
            match union {
                Some(TargetUnion::Version(version)) => Some(*version),
                _ => None,
            },
        ),
        Ok(CompareTarget::Create) => number(
            kv.create_revision,
            match union {
                Some(TargetUnion::CreateRevision(revision)) => Some(*revision),
                _ => None,
            },
        ),
        Ok(CompareTarget::Mod) => number(
            kv.mod_revision,
            match union {
                Some(TargetUnion::ModRevision(revision)) => Some(*revision),
                _ => None,
            },
        ),
        Ok(CompareTarget::Lease) => number(
            kv.lease,
            match union {
                Some(TargetUnion::Lease(lease)) => Some(*lease),
                _ => None,
            },
        ),
        Err(_) => Ordering::Equal, // as etcd takes a target that it does not know
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    }
}

/// Every put that would be refused on the state before; and those that keep the value of a key which the transaction itself has deleted by then.
fn check_puts<'a>(writer: &mut Writer<'_>, branch: &Branch<'a>, deleted: &mut Vec<Span<'a>>) -> Result<(), Stop> {
    let mut within = branch.within.iter();
    for op in branch.ops {
        match &op.request {
            Some(Request::RequestPut(request)) => {
                let keeps = request.ignore_value || request.ignore_lease;
                if keeps && is_deleted(deleted, &request.key) {
                    return Err(EtcdError::KeyNotFound.into());
                }
                existing(writer, request)?;
                check_lease(writer, request)?;
            }
            Some(Request::RequestDeleteRange(request)) => deleted.push(Span::new(&request.key, &request.range_end)),
            Some(Request::RequestTxn(_)) => {
                within.next().map_or(Ok(()), |branch| check_puts(writer, branch, deleted))?
            }
            Some(Request::RequestRange(_)) | None => {}
        }
    }
    Ok(())
}

fn check_ranges(reader: &dyn Reader, branch: &Branch<'_>) -> Result<(), Stop> {
    let mut within = branch.within.iter();
    for op in branch.ops {
        match &op.request {
            Some(Request::RequestRange(RangeRequest { revision, .. })) => {
                let clock = reader.clock();
                if *revision > clock.revision {
                    return Err(EtcdError::FutureRev.into());
                }
                if *revision != 0 && *revision < clock.compacted {
                    return Err(EtcdError::Compacted.into());
                }
            }
            Some(Request::RequestTxn(_)) => within.next().map_or(Ok(()), |branch| check_ranges(reader, branch))?,
            _ => {}
        }
    }
    Ok(())
}

fn run(writer: &mut Writer<'_>, branch: &Branch<'_>) -> Result<TxnResponse, Stop> {
    let mut within = branch.within.iter();
    let mut responses = Vec::with_capacity(branch.ops.len());
    for op in branch.ops {
        let response = match &op.request {
            Some(Request::RequestRange(request)) => Some(Response::ResponseRange(range(writer, request)?)),
            Some(Request::RequestPut(request)) => Some(Response::ResponsePut(put(writer, request)?)),
            Some(Request::RequestDeleteRange(request)) => Some(Response::ResponseDeleteRange(delete(writer, request)?)),
            Some(Request::RequestTxn(_)) => match within.next() {
                Some(branch) => Some(Response::ResponseTxn(run(writer, branch)?)),
                None => None,
            },
            None => None,
        };
        responses.push(ResponseOp { response });
    }
    // The header of an inner transaction is there and empty, as in etcd.
    Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded: branch.succeeded, responses })
}
