//! The state as records: the revisions, leases, then history, from which the other tables follow.

use super::lease_table::{ATTACHED, GRANTED, LEASES, Lease, Leases, leases};
use super::tables::{CURRENT, Clock, Found, HISTORY, Place, STATE, VERSIONS, unseal};
use crate::module::{Emit, Fault, Next};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

pub(super) fn emit(transaction: &ReadTransaction, emit: Emit<'_>) -> Result<(), Fault> {
    let Clock { revision, compacted } = Clock::read(&transaction.open_table(STATE)?)?;
    let mut record = Vec::from(revision.to_be_bytes());
    record.extend(compacted.to_be_bytes());
    let leases = leases(transaction)?;
    record.extend((leases.len() as u64).to_be_bytes());
    emit(&record)?;
    leases.iter().try_for_each(|lease| emit(&lease.to_record()))?;
    for row in transaction.open_table(HISTORY)?.iter()? {
        let (place, bytes) = row?;
        let (main, sub) = place.value();
        unseal(Place { main, sub }, bytes.value())?;
        record.clear();
        record.extend(main.to_be_bytes());
        record.extend(sub.to_be_bytes());
        record.extend(bytes.value());
        emit(&record)?;
    }
    Ok(())
}

pub(super) fn restore(transaction: &WriteTransaction, next: Next<'_>) -> Result<(), Fault> {
    let damaged = || Fault::Damaged("a record of kv is not one".into());
    transaction.delete_table(CURRENT)?;
    transaction.delete_table(VERSIONS)?;
    transaction.delete_table(HISTORY)?;
    transaction.delete_table(LEASES)?;
    transaction.delete_table(GRANTED)?;
    transaction.delete_table(ATTACHED)?;
    let (mut current, mut versions) = (transaction.open_table(CURRENT)?, transaction.open_table(VERSIONS)?);
    let (mut history, mut state) = (transaction.open_table(HISTORY)?, transaction.open_table(STATE)?);

    let first = next()?.ok_or_else(damaged)?;
    let (&[revision, compacted, count], []) = first.as_chunks::<8>() else { return Err(damaged()) };
    let revision = i64::from_be_bytes(revision);
    state.insert("revision", revision)?;
    state.insert("compacted", i64::from_be_bytes(compacted))?;
    let mut leases = Leases::open(transaction)?;
    for _ in 0..u64::from_be_bytes(count) {
        let record = next()?.ok_or_else(damaged)?;
        leases.keep(Lease::from_record(&record).ok_or_else(damaged)?)?;
    }
    while let Some(record) = next()? {
        let (main, rest) = record.split_first_chunk().ok_or_else(damaged)?;
        let (sub, sealed) = rest.split_first_chunk().ok_or_else(damaged)?;
        let place = Place { main: i64::from_be_bytes(*main), sub: u32::from_be_bytes(*sub) };
        let kv = unseal(place, sealed)?;
        if place.main > revision {
            return Err(damaged());
        }
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
        let lease = Found::from_row(found.value()).lease;
        if lease != 0 {
            leases.get(lease)?.ok_or_else(damaged)?;
            leases.attach(key.value(), 0, lease)?;
        }
    }
    Ok(())
}
