//! The state as records: what holds for all with three counts, then users, roles and tokens, each kind in its order.

use super::tables::{Look, ROLES, State, TOKENS, Token, USERS, decode, keep_role, keep_token, keep_user};
use crate::module::{Emit, Fault, Next};
use prost::Message;
use redb::{ReadTransaction, WriteTransaction};

/// Bytes of a token's record before its user: index, digest, tick.
const TOKEN_HEAD: usize = 8 + 32 + 8;

pub(super) fn emit(transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
    let State { enabled, revision, tick } = transaction.state()?;
    let (users, roles, tokens) = (transaction.users()?, transaction.roles()?, transaction.tokens()?);
    let counts = [users.len(), roles.len(), tokens.len()].map(|count| count as u64);
    let first = [u64::from(enabled), revision, tick].into_iter().chain(counts);
    emit(&first.flat_map(u64::to_be_bytes).collect::<Vec<u8>>())?;
    users.iter().try_for_each(|user| emit(&user.encode_to_vec()))?;
    roles.iter().try_for_each(|role| emit(&role.encode_to_vec()))?;
    tokens.iter().try_for_each(|(index, token)| emit(&token_record(*index, token)))
}

fn token_record(index: u64, token: &Token) -> Vec<u8> {
    let mut record = Vec::with_capacity(TOKEN_HEAD + token.user.len());
    record.extend(index.to_be_bytes());
    record.extend(token.digest);
    record.extend(token.used.to_be_bytes());
    record.extend(token.user.as_bytes());
    record
}

fn token_from(record: &[u8]) -> Option<(u64, Token)> {
    let (index, rest) = record.split_first_chunk()?;
    let (digest, rest) = rest.split_first_chunk()?;
    let (used, user) = rest.split_first_chunk()?;
    let user = std::str::from_utf8(user).ok()?.to_owned();
    Some((u64::from_be_bytes(*index), Token { digest: *digest, user, used: u64::from_be_bytes(*used) }))
}

fn damaged() -> Fault {
    Fault::Damaged("a record of auth is not one".into())
}

/// What the first record says: what holds for all, and how many users, roles and tokens follow.
fn head(next: Next<'_>) -> Result<(State, [u64; 3]), Fault> {
    let first = next()?.ok_or_else(damaged)?;
    let (numbers, []) = first.as_chunks::<8>() else { return Err(damaged()) };
    let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
    let &[enabled @ (0 | 1), revision, tick, users, roles, tokens] = &numbers[..] else { return Err(damaged()) };
    Ok((State { enabled: enabled == 1, revision, tick }, [users, roles, tokens]))
}

pub(super) fn restore(transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
    transaction.delete_table(USERS)?;
    transaction.delete_table(ROLES)?;
    transaction.delete_table(TOKENS)?;
    super::found(transaction)?;
    let (state, [users, roles, tokens]) = head(next)?;
    state.keep(transaction)?;
    let mut record = || next()?.ok_or_else(damaged);
    for _ in 0..users {
        keep_user(transaction, &decode(&record()?)?)?;
    }
    for _ in 0..roles {
        keep_role(transaction, &decode(&record()?)?)?;
    }
    for _ in 0..tokens {
        let (index, token) = token_from(&record()?).ok_or_else(damaged)?;
        keep_token(transaction, index, &token)?;
    }
    match next()? {
        None => Ok(()),
        Some(_) => Err(damaged()),
    }
}

/// What there is of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthSummary {
    pub(crate) enabled: bool,
    pub(crate) users: u64,
    pub(crate) roles: u64,
}

/// Reads all records, each as one that is restored would be read.
pub(crate) fn summarise(next: Next<'_>) -> Result<AuthSummary, Fault> {
    let (State { enabled, .. }, [users, roles, tokens]) = head(next)?;
    let mut record = || next()?.ok_or_else(damaged);
    for _ in 0..users {
        decode::<crate::proto::authpb::User>(&record()?)?;
    }
    for _ in 0..roles {
        decode::<crate::proto::authpb::Role>(&record()?)?;
    }
    for _ in 0..tokens {
        token_from(&record()?).ok_or_else(damaged)?;
    }
    match next()? {
        None => Ok(AuthSummary { enabled, users, roles }),
        Some(_) => Err(damaged()),
    }
}
