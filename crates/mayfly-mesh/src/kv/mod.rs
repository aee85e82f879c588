//! Keys and values with their history, exactly as etcd's v3 API has them.

mod alarm;
mod changes;
mod check;
mod gone;
mod history;
mod lease;
mod lease_table;
mod measure;
mod permit;
mod permit_read;
mod put_delete;
mod range;
mod refound;
mod size;
mod snapshot;
mod span;
mod summary;
mod tables;
mod txn;
mod write;

pub use crate::refusal::Answer;
pub use alarm::alarms;
pub(crate) use alarm::cost;
pub(crate) use changes::{before, changes, clock};
pub use check::{MAX_OPS, check, check_delete, check_put, check_range, check_txn};
pub(crate) use gone::Most;
pub use history::{KvHash, hash};
pub(crate) use history::{Removal, is_removed, remove};
pub(crate) use lease_table::{Lease, attached, count, granted_after, lease, leases};
pub use measure::measure;
pub(crate) use permit_read::{may_keep, may_look, read_txn as permit_read_txn};
pub(crate) use size::used;
pub(crate) use span::Span;
pub(crate) use summary::{KvSummary, summarise};
pub(crate) use tables::Clock;

use crate::auth::is_enabled;
use crate::entry::{Entry, Tag};
use crate::etcd_error::EtcdError;
use crate::logged::Applied;
use crate::module::{Emit, Fault, Module, Next, Refounding};
use crate::proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use crate::proto::meshpb::command::Request;
use crate::proto::meshpb::outcome::Response;
use crate::proto::meshpb::{Caller, Command, Outcome};
use crate::refusal::{Stop, settle};
use lease_table::Leases;
use prost::Message;
use redb::{ReadTransaction, WriteTransaction};
use tables::{ALARMS, CURRENT, HISTORY, Reader, STATE, VERSIONS, View};
use write::Writer;

/// The module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kv;

impl Module for Kv {
    fn tag(&self) -> Tag {
        Tag::KV
    }

    fn found(&self, transaction: &WriteTransaction) -> Result<(), Fault> {
        transaction.open_table(CURRENT)?;
        transaction.open_table(VERSIONS)?;
        transaction.open_table(HISTORY)?;
        Leases::open(transaction)?;
        transaction.open_table(ALARMS)?;
        let mut state = transaction.open_table(STATE)?;
        state.insert("revision", 1)?;
        state.insert("compacted", -1)?;
        Ok(())
    }

    fn apply(&self, transaction: &WriteTransaction, at: Applied, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        let answers = self.apply_all(transaction, &[(at, payload)]).map_err(|(_, fault)| fault)?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    fn apply_all(
        &self,
        transaction: &WriteTransaction,
        entries: &[(Applied, &[u8])],
    ) -> Result<Vec<Vec<u8>>, (usize, Fault)> {
        let all = |fault| (0, fault);
        let mut writer = Writer::open(transaction).map_err(all)?;
        let is_looked_at = is_enabled(transaction).map_err(all)?;
        let mut answers = Vec::with_capacity(entries.len());
        for (i, (at, payload)) in entries.iter().enumerate() {
            let permit = is_looked_at.then_some(transaction);
            answers.push(apply_one(&mut writer, permit, *at, payload).map_err(|fault| (i, fault))?);
            writer.next_entry();
        }
        writer.finish().map_err(all)?;
        Ok(answers)
    }

    fn snapshot(&self, transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
        snapshot::emit(transaction, emit)
    }

    fn restore(&self, transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
        snapshot::restore(transaction, next)
    }

    fn refound(&self, transaction: &WriteTransaction, how: &Refounding) -> Result<(), Fault> {
        refound::refound(transaction, how)
    }
}

/// With a transaction, its caller is looked up there.
fn apply_one(
    writer: &mut Writer<'_>,
    permit: Option<&WriteTransaction>,
    at: Applied,
    payload: &[u8],
) -> Result<Vec<u8>, Fault> {
    let command = Command::decode(payload).map_err(|e| Fault::Unreadable(e.to_string()))?;
    let request = command.request.ok_or_else(|| Fault::Unreadable("its command is of a kind not known".into()))?;
    let permitted = permit.map_or(Ok(()), |look| permit::command(look, writer, command.caller.as_ref(), &request));
    let response = match settle(permitted.and_then(|()| run(writer, at, &request)))? {
        Ok(response) => response,
        Err(error) => Response::Refused(error.number()),
    };
    Ok(Outcome { response: Some(response) }.encode_to_vec())
}

/// A refusal comes before the first change.
fn run(writer: &mut Writer<'_>, at: Applied, request: &Request) -> Result<Response, Stop> {
    alarm::check(writer, request)?;
    Ok(match request {
        Request::Put(request) => Response::Put(put_delete::put_alone(writer, request)?),
        Request::DeleteRange(request) => Response::DeleteRange(put_delete::delete(writer, request)?),
        Request::Txn(request) => Response::Txn(txn::write(writer, request)?),
        Request::Compaction(request) => Response::Compaction(compact(writer, request)?),
        Request::Grant(request) => Response::Grant(lease::grant(writer, at, request)?),
        Request::Revoke(request) => Response::Revoke(lease::revoke(writer, request)?),
        Request::Expire(request) => Response::Done(lease::expire(writer, at, request)?),
        Request::Checkpoint(request) => Response::Done(lease::checkpoint(writer, at, request)?),
        Request::Alarm(request) => Response::Alarm(alarm::apply(writer, request)?),
    })
}

fn compact(writer: &mut Writer<'_>, request: &CompactionRequest) -> Result<CompactionResponse, Stop> {
    let Clock { revision, compacted } = writer.clock();
    if request.revision <= compacted {
        return Err(EtcdError::Compacted.into());
    }
    if request.revision > revision {
        return Err(EtcdError::FutureRev.into());
    }
    writer.compact(request.revision)?;
    Ok(CompactionResponse { header: Some(ResponseHeader { revision, ..ResponseHeader::default() }) })
}

/// The entry of a request by nobody who has said who they are.
pub fn entry(request: Request) -> Entry {
    entry_by(None, request)
}

/// The entry of what a member asks for by itself: no user may forbid it.
pub(crate) fn entry_of_member(request: Request) -> Entry {
    entry_by(Some(Caller { is_member: true, ..Caller::default() }), request)
}

/// The entry of a request, by whoever asks.
pub fn entry_by(caller: Option<Caller>, request: Request) -> Entry {
    Entry { tag: Tag::KV, payload: Command { request: Some(request), caller }.encode_to_vec() }
}

/// The outcome of an entry of this module.
///
/// # Errors
/// [`Fault::Unreadable`] for bytes that [`Module::apply`] has not made.
pub fn outcome(bytes: &[u8]) -> Result<Answer<Response>, Fault> {
    let unreadable = || Fault::Unreadable("an outcome of kv cannot be read".into());
    match Outcome::decode(bytes).map_err(|_| unreadable())?.response {
        Some(Response::Refused(number)) => EtcdError::from_number(number).map(Err).ok_or_else(unreadable),
        Some(response) => Ok(Ok(response)),
        None => Err(unreadable()),
    }
}

/// Is it a transaction that can be answered without an entry?
pub fn is_read_only(request: &TxnRequest) -> bool {
    txn::is_read_only(request)
}

/// Answers Range from one state.
///
/// # Errors
/// The database.
pub fn range(transaction: &ReadTransaction, request: &RangeRequest) -> Result<Answer<RangeResponse>, Fault> {
    settle(range::range(&View::open(transaction)?, request))
}

/// Answers a transaction that only reads from one state.
///
/// # Errors
/// The database.
pub fn read_txn(transaction: &ReadTransaction, request: &TxnRequest) -> Result<Answer<TxnResponse>, Fault> {
    settle(txn::read(&View::open(transaction)?, request))
}

/// The revision of the newest write.
///
/// # Errors
/// The database.
pub fn revision(transaction: &ReadTransaction) -> Result<i64, Fault> {
    Ok(View::open(transaction)?.clock().revision)
}
