//! The log of a member that keeps one with others, and what it voted: two more tables of the same file.

use super::Store;
use crate::error::Result;
use crate::logged::{Applied, Logged};
use crate::module::Fault;
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use std::ops::Range;

pub(super) const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("raft.log");
pub(super) const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("raft.state");
const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";

type Faulty<T> = core::result::Result<T, Fault>;

/// What a member has voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) term: u64,
    pub(crate) member: u64,
    /// A majority did the same.
    pub(crate) is_elected: bool,
}

/// What of a log is here, apart from its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogStanding {
    pub(crate) vote: Option<Ballot>,
    /// The last entry that is no longer in the log.
    pub(crate) purged: Applied,
    /// The last entry known to be on a majority's disks.
    pub(crate) committed: Applied,
    /// The last entry, in the log or purged.
    pub(crate) last: Applied,
}

impl Store {
    /// Makes the tables of the log where there are none: the file of a cluster of one, or of a member that joins.
    pub(crate) fn prepare_log(&self) -> Result<()> {
        let applied = self.applied()?;
        self.transact(|transaction| {
            let mut state = transaction.open_table(STATE)?;
            transaction.open_table(LOG)?;
            if state.get(PURGED)?.is_none() {
                state.insert(PURGED, &place(applied)[..])?;
                state.insert(COMMITTED, &place(applied)[..])?;
                if applied != Applied::NONE {
                    let ballot = Ballot { term: applied.term, member: self.owner.member, is_elected: true };
                    state.insert(VOTE, &ballot_bytes(ballot)[..])?;
                }
            }
            Ok(())
        })
    }

    /// Does this member keep a log with others?
    pub(crate) fn has_log(&self) -> Result<bool> {
        self.read(|transaction| match transaction.open_table(LOG) {
            Ok(_) => Ok(true),
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            Err(e) => Err(e.into()),
        })
    }

    pub(crate) fn log_standing(&self) -> Result<LogStanding> {
        self.read(log_standing)
    }

    /// Entries of a range, as many as have `max_bytes`, but at least one where there is one.
    pub(crate) fn log(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Logged>> {
        self.read(|transaction| {
            let table = transaction.open_table(LOG)?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for (row, want) in table.range(range.clone())?.zip(range) {
                let (index, record) = row?;
                let index = index.value();
                if index != want {
                    return Err(Fault::Damaged(format!("its log lacks entry {want}")));
                }
                let logged = unseal(index, record.value())?;
                bytes += logged.entry.len();
                if bytes > max_bytes && !entries.is_empty() {
                    break;
                }
                entries.push(logged);
            }
            Ok(entries)
        })
    }
}

fn log_standing(transaction: &ReadTransaction) -> Faulty<LogStanding> {
    let state = transaction.open_table(STATE)?;
    let get = |name: &str| -> Faulty<Option<Vec<u8>>> { Ok(state.get(name)?.map(|bytes| bytes.value().to_vec())) };
    let damaged = |what: &str| Fault::Damaged(format!("its log does not say {what}"));
    let purged = get(PURGED)?.and_then(|bytes| place_from(&bytes)).ok_or_else(|| damaged("where it begins"))?;
    let committed = get(COMMITTED)?.and_then(|bytes| place_from(&bytes)).ok_or_else(|| damaged("what is committed"))?;
    let vote = match get(VOTE)? {
        Some(bytes) => Some(ballot_from(&bytes).ok_or_else(|| damaged("what it voted"))?),
        None => None,
    };
    let last = match transaction.open_table(LOG)?.last()? {
        Some((index, record)) => unseal(index.value(), record.value())?.at,
        None => purged,
    };
    Ok(LogStanding { vote, purged, committed, last })
}

/// What the one who writes does to the log, within a transaction.
pub(super) fn append(transaction: &WriteTransaction, entries: &[Logged]) -> Faulty<()> {
    let mut table = transaction.open_table(LOG)?;
    for Logged { at, entry } in entries {
        let mut record = Vec::with_capacity(16 + entry.len());
        record.extend(digest(at.index, at.term, entry));
        record.extend(at.term.to_be_bytes());
        record.extend(entry);
        table.insert(at.index, &record[..])?;
    }
    Ok(())
}

pub(super) fn vote(transaction: &WriteTransaction, ballot: Ballot) -> Faulty<()> {
    transaction.open_table(STATE)?.insert(VOTE, &ballot_bytes(ballot)[..])?;
    Ok(())
}

pub(super) fn committed(transaction: &WriteTransaction, at: Applied) -> Faulty<()> {
    transaction.open_table(STATE)?.insert(COMMITTED, &place(at)[..])?;
    Ok(())
}

/// Forgets the entries after one.
pub(super) fn truncate(transaction: &WriteTransaction, after: u64) -> Faulty<()> {
    transaction.open_table(LOG)?.retain_in(after.saturating_add(1).., |_, _| false)?;
    Ok(())
}

/// Forgets the entries up to one.
pub(super) fn purge(transaction: &WriteTransaction, upto: Applied) -> Faulty<()> {
    transaction.open_table(LOG)?.retain_in(..=upto.index, |_, _| false)?;
    transaction.open_table(STATE)?.insert(PURGED, &place(upto)[..])?;
    Ok(())
}

fn unseal(index: u64, record: &[u8]) -> Faulty<Logged> {
    let damaged = || Fault::Damaged(format!("entry {index} of its log is not what was written"));
    let (sum, rest) = record.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (term, entry) = rest.split_first_chunk().ok_or_else(damaged)?;
    let term = u64::from_be_bytes(*term);
    if *sum != digest(index, term, entry) {
        return Err(damaged());
    }
    Ok(Logged { at: Applied { index, term }, entry: entry.to_vec() })
}

fn digest(index: u64, term: u64, entry: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&index.to_be_bytes()).update(&term.to_be_bytes()).update(entry);
    let hash = hasher.finalize();
    core::array::from_fn(|i| hash.as_bytes()[i])
}

fn place(at: Applied) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.index.to_be_bytes());
    bytes[8..].copy_from_slice(&at.term.to_be_bytes());
    bytes
}

fn place_from(bytes: &[u8]) -> Option<Applied> {
    let (index, rest) = bytes.split_first_chunk()?;
    Some(Applied { index: u64::from_be_bytes(*index), term: u64::from_be_bytes(rest.try_into().ok()?) })
}

fn ballot_bytes(ballot: Ballot) -> Vec<u8> {
    let mut bytes = Vec::from(ballot.term.to_be_bytes());
    bytes.extend(ballot.member.to_be_bytes());
    bytes.push(ballot.is_elected.into());
    bytes
}

fn ballot_from(bytes: &[u8]) -> Option<Ballot> {
    let (term, rest) = bytes.split_first_chunk()?;
    let (member, rest) = rest.split_first_chunk()?;
    let is_elected = match rest {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    Some(Ballot { term: u64::from_be_bytes(*term), member: u64::from_be_bytes(*member), is_elected })
}
