//! The tables of the module, and reading them: the same for a reader and within a write.

use super::span::Span;
use crate::module::Fault;
use crate::proto::mvccpb::KeyValue;
use prost::Message;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition};
use std::ops::Bound;

/// Where a version of a key is: revision, place in its transaction, then what a version says without its value: create revision, version, lease.
type At = (i64, u32, i64, i64, i64);
/// Create revision, version (0 for a deletion), lease.
type Version = (i64, i64, i64);

pub(super) const STATE: TableDefinition<&str, i64> = TableDefinition::new("kv.state");
pub(super) const CURRENT: TableDefinition<&[u8], At> = TableDefinition::new("kv.current");
pub(super) const VERSIONS: TableDefinition<(&[u8], i64, u32), Version> = TableDefinition::new("kv.versions");
pub(super) const HISTORY: TableDefinition<(i64, u32), &[u8]> = TableDefinition::new("kv.history");

/// Kind and member. An alarm of member 0 is about all of them.
pub(super) const ALARMS: TableDefinition<(i32, u64), ()> = TableDefinition::new("kv.alarms");

/// Of `kv.state`: which alarms are up, so that an entry need not look at them all.
pub(super) const ALARM_MASK: &str = "alarms";

/// A place in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) main: i64,
    pub(super) sub: u32,
}

/// A version of a key without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) create: i64,
    pub(super) version: i64,
    pub(super) lease: i64,
}

impl Found {
    pub(super) fn to_row(self) -> At {
        (self.place.main, self.place.sub, self.create, self.version, self.lease)
    }

    pub(super) fn from_row((main, sub, create, version, lease): At) -> Self {
        Self { place: Place { main, sub }, create, version, lease }
    }

    /// What a client sees of it, but for the value.
    pub(super) fn describe(&self, key: &[u8]) -> KeyValue {
        KeyValue {
            key: key.to_vec(),
            create_revision: self.create,
            mod_revision: self.place.main,
            version: self.version,
            value: Vec::new(),
            lease: self.lease,
        }
    }
}

/// The revisions of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Of the newest write.
    pub(crate) revision: i64,
    /// Up to where history was compacted; -1 before the first compaction, as in etcd, where that can be seen.
    pub(crate) compacted: i64,
}

impl Clock {
    pub(super) fn read(table: &impl ReadableTable<&'static str, i64>) -> Result<Self, Fault> {
        let value = |name: &str| -> Result<i64, Fault> {
            let value = table.get(name)?.map(|guard| guard.value());
            value.ok_or_else(|| Fault::Damaged(format!("the state of kv lacks {name}")))
        };
        Ok(Self { revision: value("revision")?, compacted: value("compacted")? })
    }
}

/// What the state says of itself besides its revisions; 0 where nothing was said yet.
pub(super) fn state_in(table: &impl ReadableTable<&'static str, i64>, name: &str) -> Result<i64, Fault> {
    Ok(table.get(name)?.map_or(0, |guard| guard.value()))
}

/// Sees a key and what is there; false ends the visit.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], Found) -> bool;

/// A state that can be read.
pub(super) trait Reader {
    fn clock(&self) -> Clock;

    /// Visits the keys that exist at a revision, in their order.
    fn visit(&self, span: &Span<'_>, at: i64, each: Visit<'_>) -> Result<(), Fault>;

    /// A version with its value.
    fn load(&self, place: Place) -> Result<KeyValue, Fault>;

    /// One key as it is now.
    fn get(&self, key: &[u8]) -> Result<Option<Found>, Fault> {
        let mut found = None;
        self.visit(&Span::Key(key), self.clock().revision, &mut |_, here| {
            found = Some(here);
            true
        })?;
        Ok(found)
    }
}

/// One committed state.
pub(super) struct View {
    clock: Clock,
    current: ReadOnlyTable<&'static [u8], At>,
    versions: ReadOnlyTable<(&'static [u8], i64, u32), Version>,
    history: ReadOnlyTable<(i64, u32), &'static [u8]>,
}

impl View {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Fault> {
        Ok(Self {
            clock: Clock::read(&transaction.open_table(STATE)?)?,
            current: transaction.open_table(CURRENT)?,
            versions: transaction.open_table(VERSIONS)?,
            history: transaction.open_table(HISTORY)?,
        })
    }
}

impl Reader for View {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn visit(&self, span: &Span<'_>, at: i64, each: Visit<'_>) -> Result<(), Fault> {
        if at == self.clock.revision {
            visit_current(&self.current, span, each)
        } else {
            visit_versions(&self.versions, span, at, each)
        }
    }

    fn load(&self, place: Place) -> Result<KeyValue, Fault> {
        load(&self.history, place)
    }
}

pub(super) fn visit_current(
    table: &impl ReadableTable<&'static [u8], At>,
    span: &Span<'_>,
    each: Visit<'_>,
) -> Result<(), Fault> {
    if let Span::Key(key) = span {
        if let Some(row) = table.get(*key)? {
            each(key, Found::from_row(row.value()));
        }
        return Ok(());
    }
    let Some((start, end)) = span.bounds() else { return Ok(()) };
    for row in table.range::<&[u8]>((Bound::Included(start), end))? {
        let (key, found) = row?;
        if !each(key.value(), Found::from_row(found.value())) {
            break;
        }
    }
    Ok(())
}

/// Each key's last version up to a revision, unless that is a deletion.
pub(super) fn visit_versions(
    table: &impl ReadableTable<(&'static [u8], i64, u32), Version>,
    span: &Span<'_>,
    at: i64,
    each: Visit<'_>,
) -> Result<(), Fault> {
    let Some((start, end)) = span.bounds() else { return Ok(()) };
    let end = match end {
        Bound::Included(key) => Bound::Included((key, i64::MAX, u32::MAX)),
        Bound::Excluded(key) => Bound::Excluded((key, i64::MIN, 0)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let mut last: Option<(Vec<u8>, Found)> = None;
    for row in table.range::<(&[u8], i64, u32)>((Bound::Included((start, i64::MIN, 0)), end))? {
        let (place, version) = row?;
        let ((key, main, sub), (create, version, lease)) = (place.value(), version.value());
        if main > at {
            continue;
        }
        let here = Found { place: Place { main, sub }, create, version, lease };
        let is_same = last.as_ref().is_some_and(|(same, _)| same[..] == *key);
        match &mut last {
            Some((_, found)) if is_same => *found = here,
            _ => {
                if !finish(last.replace((key.to_vec(), here)), each) {
                    return Ok(());
                }
            }
        }
    }
    finish(last, each);
    Ok(())
}

fn finish(last: Option<(Vec<u8>, Found)>, each: Visit<'_>) -> bool {
    match last {
        Some((key, found)) if found.version > 0 => each(&key, found),
        _ => true,
    }
}

pub(super) fn load(table: &impl ReadableTable<(i64, u32), &'static [u8]>, place: Place) -> Result<KeyValue, Fault> {
    let Place { main, sub } = place;
    match table.get((main, sub))? {
        Some(bytes) => unseal(place, bytes.value()),
        None => Err(Fault::Damaged(format!("history lacks change {sub} of revision {main}"))),
    }
}

/// A record for history.
pub(super) fn seal(place: Place, record: &KeyValue) -> Vec<u8> {
    let body = record.encode_to_vec();
    let mut bytes = Vec::with_capacity(8 + body.len());
    bytes.extend(digest(place, &body));
    bytes.extend(body);
    bytes
}

pub(super) fn unseal(place: Place, bytes: &[u8]) -> Result<KeyValue, Fault> {
    let Place { main, sub } = place;
    let damaged = || Fault::Damaged(format!("change {sub} of revision {main} is not what was written"));
    let (sum, body) = bytes.split_at_checked(8).ok_or_else(damaged)?;
    if sum != digest(place, body) {
        return Err(damaged());
    }
    KeyValue::decode(body).map_err(|_| damaged())
}

fn digest(place: Place, body: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&place.main.to_be_bytes()).update(&place.sub.to_be_bytes()).update(body);
    let hash = hasher.finalize();
    core::array::from_fn(|i| hash.as_bytes()[i])
}
