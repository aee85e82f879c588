//! What the database knows of the log beside it: the key of its frames, and where a snapshot took the place of entries.

use super::Store;
use crate::ballot::Ballot;
use crate::error::{MeshError, Result};
use crate::log::{Key, Known, Log};
use crate::logged::Applied;
use crate::module::Fault;
use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("raft.state");
const KEY: &str = "key";
const BASE: &str = "base";

type Faulty<T> = core::result::Result<T, Fault>;

impl Store {
    /// Does this member keep a log with others?
    pub(crate) fn has_log(&self) -> Result<bool> {
        Ok(self.read(log_state)?.is_some())
    }

    /// Has the log, if there is one, flushed an entry?
    pub(super) fn log_has(&self, at: Applied) -> bool {
        self.shelf.get().is_none_or(|shelf| shelf.flushed() >= at.index)
    }

    /// Opens the log, or begins one beside the file of a cluster of one, or of a member that joins.
    pub(crate) fn open_log(&self) -> Result<Log> {
        let log = self.find_log()?;
        let _ = self.shelf.set(log.shelf()); // it is opened once
        Ok(log)
    }

    fn find_log(&self) -> Result<Log> {
        let applied = self.applied()?;
        let Some((key, base)) = self.read(log_state)? else { return self.begin_log(applied) };
        let lost = || MeshError::Lost { path: self.log_disk.path(0) };
        let mut log = Log::open(self.log_disk.clone(), key, self.left_out)?.ok_or_else(lost)?;
        if !log.shelf().has(base) {
            log.restart(base); // the process ended between a snapshot and the end of what it replaced
        }
        let (_, last) = log.shelf().ends();
        if applied.index > last.index {
            let what = format!("it ends with entry {}, although entry {} was applied", last.index, applied.index);
            return Err(MeshError::Damaged { path: self.log_disk.path(0), what });
        }
        Ok(log)
    }

    /// The log is there before the database says so: a start that is killed in between begins another one.
    fn begin_log(&self, applied: Applied) -> Result<Log> {
        let mut key = Key::default();
        getrandom::fill(&mut key).map_err(|e| MeshError::Disk {
            action: "draw a key for the log of",
            path: self.path().into(),
            reason: e.to_string(),
        })?;
        let ballot = Ballot { term: applied.term, member: self.owner.member, is_elected: true };
        let vote = (applied != Applied::NONE).then_some(ballot);
        let known = Known { purged: applied, committed: applied, vote };
        let log = Log::begin(self.log_disk.clone(), key, known, self.left_out)?;
        self.transact(|transaction| {
            transaction.open_table(STATE)?.insert(KEY, &key[..])?;
            note_base(transaction, applied)
        })?;
        Ok(log)
    }
}

/// There is no log any more: its slots are free for another one.
pub(super) fn forget(transaction: &WriteTransaction) -> Faulty<()> {
    transaction.delete_table(STATE)?;
    Ok(())
}

/// The state up to an entry is a snapshot's, whatever the log says of it.
pub(super) fn note_base(transaction: &WriteTransaction, at: Applied) -> Faulty<()> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.index.to_be_bytes());
    bytes[8..].copy_from_slice(&at.term.to_be_bytes());
    transaction.open_table(STATE)?.insert(BASE, &bytes[..])?;
    Ok(())
}

fn log_state(transaction: &ReadTransaction) -> Faulty<Option<(Key, Applied)>> {
    let state = match transaction.open_table(STATE) {
        Ok(state) => state,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let key = state.get(KEY)?.and_then(|bytes| bytes.value().try_into().ok());
    let base = state.get(BASE)?.and_then(|bytes| place_from(bytes.value()));
    Ok(key.zip(base))
}

fn place_from(bytes: &[u8]) -> Option<Applied> {
    let (index, rest) = bytes.split_first_chunk()?;
    Some(Applied { index: u64::from_be_bytes(*index), term: u64::from_be_bytes(rest.try_into().ok()?) })
}
