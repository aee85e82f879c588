//! The state as records: the revisions, leases and alarms, then history, from which the other tables follow.

use super::alarm;
use super::history::{self, REMOVED};
use super::lease_table::{ATTACHED, GRANTED, LEASES, Lease, Leases, leases};
use super::size;
use super::tables::{ALARM_MASK, ALARMS, CURRENT, Clock, Found, HISTORY, Place, STATE, VERSIONS, unseal};
use crate::module::{Emit, Fault, Next};
use crate::proto::etcdserverpb::AlarmType;
use crate::proto::mvccpb::KeyValue;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

/// The same wherever the same entries were applied, however far the removal of history has come.
pub(super) fn emit(transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
    let Clock { revision, compacted } = Clock::read(&transaction.open_table(STATE)?)?;
    let mut record = Vec::from(revision.to_be_bytes());
    record.extend(compacted.to_be_bytes());
    let (leases, alarms) = (leases(transaction)?, alarm::alarms(transaction)?);
    record.extend((leases.len() as u64).to_be_bytes());
    record.extend((alarms.len() as u64).to_be_bytes());
    emit(&record)?;
    leases.iter().try_for_each(|lease| emit(&lease.to_record()))?;
    for one in alarms {
        record.clear();
        record.extend(one.alarm.to_be_bytes());
        record.extend(one.member_id.to_be_bytes());
        emit(&record)?;
    }
    history::visit(transaction, i64::MAX, &mut |Place { main, sub }, bytes| {
        record.clear();
        record.extend(main.to_be_bytes());
        record.extend(sub.to_be_bytes());
        record.extend(bytes);
        emit(&record)
    })
}

pub(super) fn damaged() -> Fault {
    Fault::Damaged("a record of kv is not one".into())
}

/// What the first record says.
pub(super) struct Head {
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) leases: u64,
    pub(super) alarms: u64,
}

impl Head {
    pub(super) fn read(next: Next<'_>) -> Result<Self, Fault> {
        let first = next()?.ok_or_else(damaged)?;
        let (&[revision, compacted, leases, alarms], []) = first.as_chunks::<8>() else { return Err(damaged()) };
        let [revision, compacted] = [revision, compacted].map(i64::from_be_bytes);
        let [leases, alarms] = [leases, alarms].map(u64::from_be_bytes);
        // A revision is counted on from there.
        if !(1..i64::MAX / 2).contains(&revision) || !(-1..=revision).contains(&compacted) {
            return Err(damaged());
        }
        Ok(Self { revision, compacted, leases, alarms })
    }
}

pub(super) fn lease_of(next: Next<'_>) -> Result<Lease, Fault> {
    Lease::from_record(&next()?.ok_or_else(damaged)?).ok_or_else(damaged)
}

pub(super) fn alarm_of(next: Next<'_>) -> Result<(AlarmType, u64), Fault> {
    let record = next()?.ok_or_else(damaged)?;
    let (kind, member) = record.split_first_chunk().ok_or_else(damaged)?;
    let kind = AlarmType::try_from(i32::from_be_bytes(*kind)).map_err(|_| damaged())?;
    Ok((kind, u64::from_be_bytes(member.try_into().map_err(|_| damaged())?)))
}

/// A record of history: its place, its sealed bytes and what they say.
pub(super) fn version_of(record: &[u8], revision: i64) -> Result<(Place, &[u8], KeyValue), Fault> {
    let (main, rest) = record.split_first_chunk().ok_or_else(damaged)?;
    let (sub, sealed) = rest.split_first_chunk().ok_or_else(damaged)?;
    let place = Place { main: i64::from_be_bytes(*main), sub: u32::from_be_bytes(*sub) };
    let kv = unseal(place, sealed)?;
    if place.main > revision { Err(damaged()) } else { Ok((place, sealed, kv)) }
}

pub(super) fn restore(transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
    transaction.delete_table(LEASES)?;
    transaction.delete_table(GRANTED)?;
    transaction.delete_table(ATTACHED)?;
    transaction.delete_table(ALARMS)?;
    let Head { revision, compacted, leases, alarms } = Head::read(next)?;
    let mut table = Leases::open(transaction)?;
    for _ in 0..leases {
        table.keep(lease_of(next)?)?;
    }
    let mask = restore_alarms(transaction, alarms, next)?;
    let bytes = restore_history(transaction, revision, &mut table, next)?;
    let mut state = transaction.open_table(STATE)?;
    state.retain(|_, _| false)?;
    state.insert("revision", revision)?;
    state.insert("compacted", compacted)?;
    state.insert(REMOVED, compacted)?;
    state.insert(ALARM_MASK, mask)?;
    state.insert(size::BYTES, bytes + table.grown)?;
    Ok(())
}

fn restore_alarms(transaction: &WriteTransaction, count: u64, next: Next<'_>) -> Result<i64, Fault> {
    let mut table = transaction.open_table(ALARMS)?;
    for _ in 0..count {
        let (kind, member) = alarm_of(next)?;
        table.insert((kind.into(), member), ())?;
    }
    alarm::mask(&table)
}

/// Gives the bytes of the rows.
fn restore_history(
    transaction: &WriteTransaction,
    revision: i64,
    leases: &mut Leases<'_>,
    next: Next<'_>,
) -> Result<i64, Fault> {
    transaction.delete_table(CURRENT)?;
    transaction.delete_table(VERSIONS)?;
    transaction.delete_table(HISTORY)?;
    let (mut current, mut versions) = (transaction.open_table(CURRENT)?, transaction.open_table(VERSIONS)?);
    let (mut history, mut bytes) = (transaction.open_table(HISTORY)?, 0);
    while let Some(record) = next()? {
        let (place, sealed, kv) = version_of(&record, revision)?;
        bytes += size::version(&kv.key, sealed.len());
        history.insert((place.main, place.sub), sealed)?;
        versions.insert((&kv.key[..], place.main, place.sub), (kv.create_revision, kv.version, kv.lease))?;
        if kv.version > 0 {
            let found = Found { place, create: kv.create_revision, version: kv.version, lease: kv.lease };
            current.insert(&kv.key[..], found.to_row())?;
        } else {
            current.remove(&kv.key[..])?;
        }
    }
    for row in current.iter()? {
        let (key, found) = row?;
        bytes += size::current(key.value());
        let lease = Found::from_row(found.value()).lease;
        if lease != 0 {
            leases.get(lease)?.ok_or_else(damaged)?;
            leases.attach(key.value(), 0, lease)?;
        }
    }
    Ok(bytes)
}
