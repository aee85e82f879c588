//! Who may do what with keys and leases: etcd's rules. Asked when an entry is applied, so that nothing passes that was forbidden meanwhile.

use super::write::Writer;
use crate::auth::{Rights, admin};
use crate::module::Fault;
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{DeleteRangeRequest, PutRequest, TxnRequest};
use crate::proto::meshpb::Caller;
use crate::proto::meshpb::command::Request;
use crate::refusal::Stop;
use redb::WriteTransaction;

/// Gives the keys that hang on a lease.
type Attached<'a> = &'a mut dyn FnMut(i64) -> Result<Vec<Vec<u8>>, Fault>;

/// What an entry asks for.
pub(super) fn command(
    transaction: &WriteTransaction,
    writer: &mut Writer<'_>,
    caller: Option<&Caller>,
    request: &Request,
) -> Result<(), Stop> {
    let is_member = caller.is_some_and(|caller| caller.is_member);
    if is_member || matches!(request, Request::Expire(_) | Request::Checkpoint(_)) {
        return Ok(()); // no client asks for it
    }
    let rights = Rights::of(transaction, caller)?;
    if rights.is_everything() {
        return Ok(());
    }
    let attached: Attached<'_> = &mut |lease| writer.leases()?.attached(lease);
    match request {
        Request::Put(request) => put(&rights, request, attached),
        Request::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv }) => {
            rights.may_write(key, range_end)?;
            if *prev_kv {
                rights.may_read(key, range_end)?;
            }
            Ok(())
        }
        Request::Txn(request) => txn(&rights, request, attached),
        Request::Compaction(_) | Request::Alarm(_) => Ok(admin(transaction, caller.map(|caller| &caller.user[..]))??),
        Request::Grant(_) => Ok(rights.is_user()?),
        Request::Revoke(request) => {
            rights.is_user()?;
            write_all(&rights, &attached(request.id)?)
        }
        Request::Expire(_) | Request::Checkpoint(_) => Ok(()),
    }
}

/// A put on a lease puts the keys that hang on it at its mercy.
fn put(rights: &Rights, request: &PutRequest, attached: Attached<'_>) -> Result<(), Stop> {
    rights.may_write(&request.key, &[])?;
    if request.lease != 0 {
        write_all(rights, &attached(request.lease)?)?;
    }
    if request.prev_kv {
        rights.may_read(&request.key, &[])?;
    }
    Ok(())
}

fn write_all(rights: &Rights, keys: &[Vec<u8>]) -> Result<(), Stop> {
    Ok(keys.iter().try_for_each(|key| rights.may_write(key, &[]))?)
}

/// Both branches, whichever will run, and all transactions within it.
fn txn(rights: &Rights, request: &TxnRequest, attached: Attached<'_>) -> Result<(), Stop> {
    for compare in &request.compare {
        rights.may_read(&compare.key, &compare.range_end)?;
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Op::RequestRange(request)) => rights.may_read(&request.key, &request.range_end)?,
            Some(Op::RequestPut(request)) => put(rights, request, attached)?,
            Some(Op::RequestDeleteRange(DeleteRangeRequest { key, range_end, prev_kv })) => {
                if *prev_kv {
                    rights.may_read(key, range_end)?;
                }
                rights.may_write(key, range_end)?;
            }
            Some(Op::RequestTxn(request)) => txn(rights, request, attached)?,
            None => {}
        }
    }
    Ok(())
}
