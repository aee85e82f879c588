//! The cluster itself, as the module of tag 0: who is a member, and member ids, which are the indexes of the entries that gave them.

use crate::entry::{Entry, Tag};
use crate::logged::Applied;
use crate::module::{Emit, Fault, Module, Next, Refounding};
use crate::proto::meshpb::cluster_command::Change;
use crate::proto::meshpb::{ClusterCommand, EntryId, Member, Membership, Seat, StoredMembership, Voters};
use prost::Message;
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

/// `membership`.
const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("cluster.state");
/// Every member id that was ever given, and to whom.
const MEMBERS: TableDefinition<u64, &[u8]> = TableDefinition::new("cluster.members");
/// Members that were taken out.
const REMOVED: TableDefinition<u64, ()> = TableDefinition::new("cluster.removed");
/// Clusters whose place this one took: nothing of them is acted on any more.
const BEFORE: TableDefinition<u64, ()> = TableDefinition::new("cluster.before");
const MEMBERSHIP: &str = "membership";
/// No member has this id: a record that begins with it is of [`BEFORE`].
const NOBODY: u64 = 0;

pub(crate) struct Cluster;

impl Module for Cluster {
    fn tag(&self) -> Tag {
        Tag::CLUSTER
    }

    /// Member 1, alone: the entry that founds a cluster adds its founder.
    fn found(&self, transaction: &WriteTransaction) -> Result<(), Fault> {
        transaction.open_table(REMOVED)?;
        transaction.open_table(BEFORE)?;
        seat_alone(transaction, Applied { index: 1, term: 1 })
    }

    fn apply(&self, transaction: &WriteTransaction, at: Applied, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        match command(payload)?.change {
            None if payload.is_empty() => Ok(Vec::new()),
            None => Err(Fault::Unreadable("its change of the cluster is of a kind not known".into())),
            Some(Change::Membership(membership)) => {
                note_removed(transaction, &membership)?;
                keep(transaction, at, membership)?;
                Ok(Vec::new())
            }
            Some(Change::Newcomer(seat)) => {
                transaction.open_table(MEMBERS)?.insert(at.index, &seat.encode_to_vec()[..])?;
                Ok(at.index.to_be_bytes().into())
            }
        }
    }

    fn snapshot(&self, transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
        emit(&membership(transaction)?.encode_to_vec())?;
        for row in transaction.open_table(MEMBERS)?.iter()? {
            let (id, seat) = row?;
            let mut record = Vec::from(id.value().to_be_bytes());
            record.extend(seat.value());
            emit(&record)?;
        }
        for row in transaction.open_table(REMOVED)?.iter()? {
            emit(&row?.0.value().to_be_bytes())?;
        }
        for cluster in before(transaction)? {
            emit(&[NOBODY.to_be_bytes(), cluster.to_be_bytes()].concat())?;
        }
        Ok(())
    }

    fn restore(&self, transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
        let damaged = || Fault::Damaged("a record of the cluster is not one".into());
        let first = next()?.ok_or_else(damaged)?;
        StoredMembership::decode(&first[..]).map_err(|_| damaged())?;
        transaction.open_table(STATE)?.insert(MEMBERSHIP, &first[..])?;
        transaction.delete_table(MEMBERS)?;
        transaction.delete_table(REMOVED)?;
        transaction.delete_table(BEFORE)?;
        let (mut members, mut removed) = (transaction.open_table(MEMBERS)?, transaction.open_table(REMOVED)?);
        let mut before = transaction.open_table(BEFORE)?;
        while let Some(record) = next()? {
            let (id, seat) = record.split_first_chunk().ok_or_else(damaged)?;
            let id = u64::from_be_bytes(*id);
            if id == NOBODY {
                before.insert(u64::from_be_bytes(seat.try_into().map_err(|_| damaged())?), ())?;
                continue;
            }
            if members.get(id)?.is_some() {
                removed.insert(id, ())?; // its second record
                continue;
            }
            Seat::decode(seat).map_err(|_| damaged())?;
            members.insert(id, seat)?;
        }
        Ok(())
    }

    /// Who was a member is none any more, and what they say is of a cluster that was given up.
    fn refound(&self, transaction: &WriteTransaction, how: &Refounding) -> Result<(), Fault> {
        let mut removed = transaction.open_table(REMOVED)?;
        for row in transaction.open_table(MEMBERS)?.iter()? {
            removed.insert(row?.0.value(), ())?;
        }
        transaction.open_table(BEFORE)?.insert(how.before.cluster, ())?;
        seat_alone(transaction, how.at)
    }
}

/// One member, whose id is the index of the entry that founds the cluster.
fn seat_alone(transaction: &WriteTransaction, at: Applied) -> Result<(), Fault> {
    let id = at.index;
    let members = vec![Member { id, seat: Some(Seat::default()) }];
    keep(transaction, at, Membership { voters: vec![Voters { member: vec![id] }], members })?;
    transaction.open_table(MEMBERS)?.insert(id, &Seat::default().encode_to_vec()[..])?;
    Ok(())
}

/// The clusters whose place this one took.
pub(crate) fn before(transaction: &ReadTransaction) -> Result<Vec<u64>, Fault> {
    match transaction.open_table(BEFORE) {
        Ok(table) => table.iter()?.map(|row| Ok(row?.0.value())).collect(),
        Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()), // a file from before there were any
        Err(e) => Err(e.into()),
    }
}

/// The members that the records of a snapshot hold.
pub(crate) fn summarise(next: Next<'_>) -> Result<Membership, Fault> {
    let damaged = || Fault::Damaged("a record of the cluster is not one".into());
    let first = next()?.ok_or_else(damaged)?;
    let stored = StoredMembership::decode(&first[..]).map_err(|_| damaged())?;
    while next()?.is_some() {} // ids that were given: the sum of the stream holds them
    Ok(stored.membership.unwrap_or_default())
}

/// The tables of a member that joins: it knows nobody until it is told.
pub(crate) fn prepare(transaction: &WriteTransaction) -> Result<(), Fault> {
    let nobody = StoredMembership::default().encode_to_vec();
    transaction.open_table(STATE)?.insert(MEMBERSHIP, &nobody[..])?;
    transaction.open_table(MEMBERS)?;
    transaction.open_table(REMOVED)?;
    transaction.open_table(BEFORE)?;
    Ok(())
}

/// Who was a member before, and is none now.
fn note_removed(transaction: &WriteTransaction, now: &Membership) -> Result<(), Fault> {
    let before = membership_in(&transaction.open_table(STATE)?)?.membership.unwrap_or_default();
    let mut removed = transaction.open_table(REMOVED)?;
    for Member { id, .. } in before.members {
        if now.members.iter().all(|member| member.id != id) {
            removed.insert(id, ())?;
        }
    }
    Ok(())
}

/// Was it taken out, as far as this state knows?
pub(crate) fn is_removed(transaction: &ReadTransaction, id: u64) -> Result<bool, Fault> {
    Ok(transaction.open_table(REMOVED)?.get(id)?.is_some())
}

fn keep(transaction: &WriteTransaction, at: Applied, membership: Membership) -> Result<(), Fault> {
    let at = Some(EntryId { term: at.term, index: at.index });
    let stored = StoredMembership { at, membership: Some(membership) };
    transaction.open_table(STATE)?.insert(MEMBERSHIP, &stored.encode_to_vec()[..])?;
    Ok(())
}

/// The last membership that was applied.
pub(crate) fn membership(transaction: &ReadTransaction) -> Result<StoredMembership, Fault> {
    membership_in(&transaction.open_table(STATE)?)
}

fn membership_in(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<StoredMembership, Fault> {
    let damaged = || Fault::Damaged("it does not say who its members are".into());
    let bytes = table.get(MEMBERSHIP)?.ok_or_else(damaged)?;
    StoredMembership::decode(bytes.value()).map_err(|_| damaged())
}

/// What an entry of the cluster says.
pub(crate) fn command(payload: &[u8]) -> Result<ClusterCommand, Fault> {
    ClusterCommand::decode(payload).map_err(|e| Fault::Unreadable(e.to_string()))
}

/// The entry of a change.
pub(crate) fn entry(change: Option<Change>) -> Entry {
    Entry { tag: Tag::CLUSTER, payload: ClusterCommand { change }.encode_to_vec() }
}
