//! Alarms: what keeps the cluster from taking more, as state that is the same everywhere.

use super::tables::{ALARMS, Reader};
use super::write::Writer;
use crate::etcd_error::EtcdError;
use crate::module::Fault;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, PutRequest, RequestOp, ResponseHeader, TxnRequest,
};
use crate::proto::meshpb::command::Request;
use crate::refusal::Answer;
use redb::{ReadTransaction, ReadableTable};

const NO_SPACE: i64 = 1;
const CORRUPT: i64 = 2;

/// The alarms that are up, by kind and member.
///
/// # Errors
/// The database.
pub fn alarms(transaction: &ReadTransaction) -> Result<Vec<AlarmMember>, Fault> {
    list(&transaction.open_table(ALARMS)?, AlarmType::None)
}

/// Those of a kind; with none, all.
pub(super) fn list(table: &impl ReadableTable<(i32, u64), ()>, kind: AlarmType) -> Result<Vec<AlarmMember>, Fault> {
    let mut found = Vec::new();
    for row in table.iter()? {
        let (alarm, member_id) = row?.0.value();
        if kind == AlarmType::None || alarm == i32::from(kind) {
            found.push(AlarmMember { member_id, alarm });
        }
    }
    Ok(found)
}

/// What is answered has the alarms that were asked for, made or taken back. Kinds and actions that are not known change nothing.
pub(super) fn apply(writer: &mut Writer<'_>, request: &AlarmRequest) -> Result<AlarmResponse, Fault> {
    let kind = AlarmType::try_from(request.alarm).unwrap_or_default();
    let one = AlarmMember { member_id: request.member_id, alarm: kind.into() };
    let mut table = writer.alarms()?;
    let alarms = match AlarmAction::try_from(request.action) {
        Ok(AlarmAction::Get) => list(&table, kind)?,
        Ok(AlarmAction::Activate) if kind != AlarmType::None => {
            table.insert((one.alarm, one.member_id), ())?;
            vec![one]
        }
        Ok(AlarmAction::Deactivate) if table.remove((one.alarm, one.member_id))?.is_some() => vec![one],
        _ => Vec::new(),
    };
    let mask = mask(&table)?;
    drop(table);
    writer.set_alarm_mask(mask);
    Ok(AlarmResponse { header: header(writer), alarms })
}

pub(super) fn mask(table: &impl ReadableTable<(i32, u64), ()>) -> Result<i64, Fault> {
    let mut mask = 0;
    for AlarmMember { member_id, alarm } in list(table, AlarmType::None)? {
        mask |= match AlarmType::try_from(alarm) {
            Ok(AlarmType::Nospace) => NO_SPACE,
            // A member that differs stops by itself; which one does, nobody could tell where it is about all.
            Ok(AlarmType::Corrupt) if member_id == 0 => CORRUPT,
            _ => 0,
        };
    }
    Ok(mask)
}

/// Refuses what the alarms that are up do not let through.
pub(super) fn check(writer: &Writer<'_>, request: &Request) -> Answer<()> {
    let (grows, writes) = match request {
        Request::Put(_) | Request::Grant(_) => (true, true),
        Request::Txn(txn) => (cost_of_txn(txn) > 0, true),
        Request::DeleteRange(_) | Request::Compaction(_) | Request::Revoke(_) => (false, true),
        Request::Expire(_) | Request::Checkpoint(_) | Request::Alarm(_) => (false, false),
    };
    let mask = if writes { writer.alarm_mask() } else { 0 };
    if mask & CORRUPT != 0 {
        Err(EtcdError::Corrupt)
    } else if grows && mask & NO_SPACE != 0 {
        Err(EtcdError::NoSpace)
    } else {
        Ok(())
    }
}

/// What a lease counts as, and what a put does beyond its key and value: etcd's figures.
const LEASE_BYTES: u64 = 64;
const PUT_BYTES: u64 = 256;

/// By how much the state may grow by a request, in bytes.
pub(crate) fn cost(request: &Request) -> u64 {
    match request {
        Request::Put(put) => cost_of_put(put),
        Request::Txn(txn) => cost_of_txn(txn),
        Request::Grant(_) => LEASE_BYTES,
        _ => 0,
    }
}

fn cost_of_put(put: &PutRequest) -> u64 {
    PUT_BYTES + (put.key.len() + put.value.len()) as u64
}

/// That of the more costly side.
fn cost_of_txn(txn: &TxnRequest) -> u64 {
    let of = |ops: &[RequestOp]| -> u64 {
        let costs = ops.iter().map(|op| match &op.request {
            Some(Op::RequestPut(put)) => cost_of_put(put),
            Some(Op::RequestTxn(txn)) => cost_of_txn(txn),
            _ => 0,
        });
        costs.sum()
    };
    of(&txn.success).max(of(&txn.failure))
}

fn header(writer: &Writer<'_>) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision: writer.clock().revision, ..ResponseHeader::default() })
}
