//! Users, roles and tokens, as etcd has them: who may read and write which keys.

mod command;
mod password;
mod ranges;
mod rights;
mod snapshot;
mod tables;
mod token;

pub(crate) use command::{TICKS, has_no_password};
pub(crate) use password::{hash, is_right};
pub(crate) use rights::{Rights, admin, is_enabled};
pub(crate) use snapshot::{AuthSummary, summarise};
pub(crate) use tables::Look;
pub(crate) use token::{Secret, Shown};

use crate::entry::{Entry, Tag};
use crate::etcd_error::EtcdError;
use crate::logged::Applied;
use crate::module::{Emit, Fault, Module, Next, Refounding};
use crate::proto::meshpb::auth_command::Request;
use crate::proto::meshpb::auth_outcome::Response;
use crate::proto::meshpb::{AuthCommand, AuthOutcome, Caller};
use crate::refusal::{Answer, settle};
use prost::Message;
use redb::{ReadTransaction, WriteTransaction};
use tables::State;

/// The module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Auth;

impl Module for Auth {
    fn tag(&self) -> Tag {
        Tag::AUTH
    }

    fn found(&self, transaction: &WriteTransaction) -> Result<(), Fault> {
        found(transaction)?;
        State::NEW.keep(transaction)
    }

    fn apply(&self, transaction: &WriteTransaction, at: Applied, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        let command = AuthCommand::decode(payload).map_err(|e| Fault::Unreadable(e.to_string()))?;
        let request = command.request.ok_or_else(|| Fault::Unreadable("its command is of a kind not known".into()))?;
        let response = match settle(command::run(transaction, at, command.caller.as_ref(), &request))? {
            Ok(()) => Response::Done(at.index),
            Err(error) => Response::Refused(error.number()),
        };
        Ok(AuthOutcome { response: Some(response) }.encode_to_vec())
    }

    fn snapshot(&self, transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
        snapshot::emit(transaction, emit)
    }

    fn restore(&self, transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
        snapshot::restore(transaction, next)
    }

    /// Whoever had a token logs in again.
    fn refound(&self, transaction: &WriteTransaction, _: &Refounding) -> Result<(), Fault> {
        transaction.delete_table(tables::TOKENS)?;
        found(transaction)
    }
}

/// Makes the tables where there are none.
fn found(transaction: &WriteTransaction) -> Result<(), Fault> {
    transaction.open_table(tables::USERS)?;
    transaction.open_table(tables::ROLES)?;
    transaction.open_table(tables::TOKENS)?;
    Ok(())
}

/// The entry of a request, by whoever asks.
pub fn entry(request: Request, caller: Option<Caller>) -> Entry {
    Entry { tag: Tag::AUTH, payload: AuthCommand { caller, request: Some(request) }.encode_to_vec() }
}

/// The outcome of an entry of this module: its index, by which a token is named.
///
/// # Errors
/// [`Fault::Unreadable`] for bytes that [`Module::apply`] has not made.
pub fn outcome(bytes: &[u8]) -> Result<Answer<u64>, Fault> {
    let unreadable = || Fault::Unreadable("an outcome of auth cannot be read".into());
    match AuthOutcome::decode(bytes).map_err(|_| unreadable())?.response {
        Some(Response::Refused(number)) => EtcdError::from_number(number).map(Err).ok_or_else(unreadable),
        Some(Response::Done(index)) => Ok(Ok(index)),
        None => Err(unreadable()),
    }
}

/// Are there tokens whose time is to be counted?
///
/// # Errors
/// The database.
pub(crate) fn has_tokens(transaction: &ReadTransaction) -> Result<bool, Fault> {
    use redb::ReadableTableMetadata;
    Ok(!transaction.open_table(tables::TOKENS)?.is_empty()?)
}
