//! What the records of a snapshot hold, without a database.

use super::snapshot::{Head, alarm_of, damaged, lease_of, version_of};
use crate::module::{Fault, Next};
use crate::proto::etcdserverpb::AlarmMember;
use std::collections::{HashMap, HashSet};

/// What there is of keys and leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KvSummary {
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) keys: u64,
    /// Of keys that exist and of those that were, each with its history.
    pub(crate) versions: u64,
    pub(crate) leases: u64,
    pub(crate) alarms: Vec<AlarmMember>,
}

/// Reads all records, each as one that is restored would be read.
pub(crate) fn summarise(next: Next<'_>) -> Result<KvSummary, Fault> {
    let head = Head::read(next)?;
    let leases = (0..head.leases).map(|_| Ok(lease_of(next)?.id)).collect::<Result<HashSet<i64>, Fault>>()?;
    let mut alarms = Vec::new();
    for _ in 0..head.alarms {
        let (kind, member_id) = alarm_of(next)?;
        alarms.push(AlarmMember { member_id, alarm: kind.into() });
    }
    let (mut keys, mut versions) = (HashMap::<Vec<u8>, i64>::new(), 0);
    while let Some(record) = next()? {
        let (_, _, kv) = version_of(&record, head.revision)?;
        versions += 1;
        match kv.version {
            0 => drop(keys.remove(&kv.key)),
            _ => drop(keys.insert(kv.key, kv.lease)),
        }
    }
    if keys.values().any(|lease| *lease != 0 && !leases.contains(lease)) {
        return Err(damaged());
    }
    let Head { revision, compacted, .. } = head;
    Ok(KvSummary { revision, compacted, keys: keys.len() as u64, versions, leases: leases.len() as u64, alarms })
}
