//! What becomes of keys, leases and alarms where a new cluster goes on from them.

use super::alarm;
use super::lease_table::{Lease, Leases, leases_in};
use super::tables::{ALARM_MASK, ALARMS, Clock, STATE};
use crate::module::{Fault, Refounding};
use crate::proto::etcdserverpb::{AlarmMember, AlarmType};
use redb::WriteTransaction;

pub(super) fn refound(transaction: &WriteTransaction, how: &Refounding) -> Result<(), Fault> {
    renew_leases(transaction)?;
    let mask = move_alarms(transaction, how)?;
    let mut state = transaction.open_table(STATE)?;
    state.insert(ALARM_MASK, mask)?;
    if how.bump_revision > 0 {
        let Clock { revision, .. } = Clock::read(&state)?;
        let moved = revision.checked_add(how.bump_revision.into());
        let moved = moved.ok_or_else(|| Fault::Unreadable(format!("revision {revision} cannot be moved on so far")))?;
        state.insert("revision", moved)?;
        state.insert("compacted", moved)?;
    }
    Ok(())
}

/// How long it was since the last checkpoint, nobody knows: each lease has its whole time again.
fn renew_leases(transaction: &WriteTransaction) -> Result<(), Fault> {
    let leases = leases_in(transaction)?;
    let mut table = Leases::open(transaction)?;
    for lease in leases {
        table.keep(Lease { remaining_s: 0, checkpoint: (0, 0), ..lease })?;
    }
    Ok(())
}

/// Alarms about members that are no more are gone; what is about the state holds for whoever has it now.
fn move_alarms(transaction: &WriteTransaction, how: &Refounding) -> Result<i64, Fault> {
    let mut table = transaction.open_table(ALARMS)?;
    let before = alarm::list(&table, AlarmType::None)?;
    table.retain(|_, ()| false)?;
    for AlarmMember { alarm, member_id } in before {
        let member = match AlarmType::try_from(alarm) {
            Ok(AlarmType::Corrupt) if member_id == 0 => 0,
            Ok(AlarmType::Corrupt) if member_id != how.before.member => continue,
            _ => how.at.index,
        };
        table.insert((alarm, member), ())?;
    }
    alarm::mask(&table)
}
