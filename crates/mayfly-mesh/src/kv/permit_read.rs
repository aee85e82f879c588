//! Who may see or keep what: asked in the state that is read.

use super::lease_table::{attached, leases};
use crate::auth::Rights;
use crate::module::Fault;
use crate::proto::etcdserverpb::TxnRequest;
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::refusal::Answer;
use redb::ReadTransaction;

/// May a transaction that only reads be answered?
///
/// # Errors
/// Why not.
pub(crate) fn read_txn(rights: &Rights, request: &TxnRequest) -> Answer<()> {
    request.compare.iter().try_for_each(|compare| rights.may_read(&compare.key, &compare.range_end))?;
    let mut ops = request.success.iter().chain(&request.failure);
    ops.try_for_each(|op| match &op.request {
        Some(Op::RequestRange(request)) => rights.may_read(&request.key, &request.range_end),
        _ => Ok(()),
    })
}

/// May a lease be renewed? It keeps its keys.
///
/// # Errors
/// The database.
pub(crate) fn may_keep(transaction: &ReadTransaction, rights: &Rights, lease: i64) -> Result<Answer<()>, Fault> {
    let keys = attached(transaction, lease)?;
    Ok(rights.is_user().and_then(|()| keys.iter().try_for_each(|key| rights.may_write(key, &[]))))
}

/// May the keys of leases be shown: of one, or of all?
///
/// # Errors
/// The database.
pub(crate) fn may_look(
    transaction: &ReadTransaction,
    rights: &Rights,
    lease: Option<i64>,
) -> Result<Answer<()>, Fault> {
    if rights.is_everything() {
        return Ok(Ok(()));
    }
    let asked = match lease {
        Some(lease) => vec![lease],
        None => leases(transaction)?.into_iter().map(|lease| lease.id).collect(),
    };
    let mut answer = rights.is_user();
    for lease in asked {
        let keys = attached(transaction, lease)?;
        answer = answer.and_then(|()| keys.iter().try_for_each(|key| rights.may_read(key, &[])));
    }
    Ok(answer)
}
