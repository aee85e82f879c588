//! One transaction's changes: they share a revision, and readers within it see them.

use super::gone::{Gone, Most};
use super::lease_table::Leases;
use super::size;
use super::span::Span;
use super::tables::{
    ALARM_MASK, ALARMS, CURRENT, Clock, Found, HISTORY, Place, Reader, STATE, VERSIONS, Visit, load, seal, state_in,
    unseal, visit_current, visit_versions,
};
use crate::module::Fault;
use crate::proto::mvccpb::KeyValue;
use redb::{ReadableTable, Table, WriteTransaction};

pub(super) struct Writer<'t> {
    /// Before the first change.
    begin: Clock,
    changes: u32,
    /// Revision and alarms as the table has them, and as they are.
    was: (i64, i64),
    alarms: i64,
    transaction: &'t WriteTransaction,
    /// Opened by the first that needs it.
    leases: Option<Leases<'t>>,
    /// By how much the rows have grown.
    grown: i64,
    state: Table<'t, &'static str, i64>,
    current: Table<'t, &'static [u8], (i64, u32, i64, i64, i64)>,
    versions: Table<'t, (&'static [u8], i64, u32), (i64, i64, i64)>,
    history: Table<'t, (i64, u32), &'static [u8]>,
}

impl<'t> Writer<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        let state = transaction.open_table(STATE)?;
        let begin = Clock::read(&state)?;
        let alarms = state_in(&state, ALARM_MASK)?;
        Ok(Self {
            begin,
            changes: 0,
            was: (begin.revision, alarms),
            alarms,
            transaction,
            leases: None,
            grown: 0,
            state,
            current: transaction.open_table(CURRENT)?,
            versions: transaction.open_table(VERSIONS)?,
            history: transaction.open_table(HISTORY)?,
        })
    }

    /// Which alarms are up.
    pub(super) fn alarm_mask(&self) -> i64 {
        self.alarms
    }

    pub(super) fn set_alarm_mask(&mut self, mask: i64) {
        self.alarms = mask;
    }

    pub(super) fn alarms(&self) -> Result<Table<'t, (i32, u64), ()>, Fault> {
        Ok(self.transaction.open_table(ALARMS)?)
    }

    /// What the state says of itself besides its revisions.
    pub(super) fn state(&self, name: &str) -> Result<i64, Fault> {
        state_in(&self.state, name)
    }

    pub(super) fn set(&mut self, name: &'static str, value: i64) -> Result<(), Fault> {
        self.state.insert(name, value)?;
        Ok(())
    }

    pub(super) fn leases(&mut self) -> Result<&mut Leases<'t>, Fault> {
        match &mut self.leases {
            Some(leases) => Ok(leases),
            none => Ok(none.insert(Leases::open(self.transaction)?)),
        }
    }

    /// The next place in history, taken.
    fn place(&mut self) -> Place {
        let place = Place { main: self.begin.revision + 1, sub: self.changes };
        self.changes += 1;
        place
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> Result<(), Fault> {
        let before = self.get(key)?;
        let old_lease = before.map_or(0, |found| found.lease);
        if old_lease != lease {
            self.leases()?.attach(key, old_lease, lease)?;
        }
        let place = self.place();
        let (create, version) = before.map_or((place.main, 1), |found| (found.create, found.version + 1));
        let found = Found { place, create, version, lease };
        self.current.insert(key, found.to_row())?;
        self.versions.insert((key, place.main, place.sub), (create, version, lease))?;
        let record = KeyValue { value: value.to_vec(), ..found.describe(key) };
        let is_new = before.is_none();
        self.keep(place, &record)?;
        self.grown += if is_new { size::current(key) } else { 0 };
        Ok(())
    }

    /// A change becomes history.
    fn keep(&mut self, place: Place, record: &KeyValue) -> Result<(), Fault> {
        let sealed = seal(place, record);
        self.history.insert((place.main, place.sub), &sealed[..])?;
        self.grown += size::version(&record.key, sealed.len());
        Ok(())
    }

    /// How many keys there were.
    pub(super) fn delete(&mut self, span: &Span<'_>) -> Result<i64, Fault> {
        let mut keys = Vec::new();
        visit_current(&self.current, span, &mut |key, found| {
            keys.push((key.to_vec(), found.lease));
            true
        })?;
        for (key, lease) in &keys {
            self.delete_key(key, *lease)?;
        }
        Ok(keys.len() as i64)
    }

    /// Deletes a key that is there, with the lease that it hangs on.
    pub(super) fn delete_key(&mut self, key: &[u8], lease: i64) -> Result<(), Fault> {
        if lease != 0 {
            self.leases()?.attach(key, lease, 0)?;
        }
        let place = self.place();
        self.current.remove(key)?;
        self.versions.insert((key, place.main, place.sub), (0, 0, 0))?;
        self.grown -= size::current(key);
        self.keep(place, &KeyValue { key: key.to_vec(), mod_revision: place.main, ..KeyValue::default() })
    }

    /// From now on nobody may ask for what was before a revision. It is removed by and by: [`super::history`].
    pub(super) fn compact(&mut self, revision: i64) -> Result<(), Fault> {
        self.begin.compacted = revision;
        self.set("compacted", revision)
    }

    /// Removes what is gone from a place on, so much of it; gives the place that is to be looked at next, if there is one.
    pub(super) fn remove(&mut self, from: (i64, u32), upto: i64, most: Most) -> Result<Option<(i64, u32)>, Fault> {
        let (mut gone, mut looked, mut bytes, mut next) = (Vec::new(), 0, 0, None);
        let is_gone = Gone::new(&self.versions, upto, i64::MIN);
        for row in self.history.range(from..=(upto, u32::MAX))? {
            let (place, sealed) = row?;
            let (main, sub) = place.value();
            if looked >= most.versions || bytes >= most.bytes {
                next = Some((main, sub));
                break;
            }
            (looked, bytes) = (looked + 1, bytes + sealed.value().len());
            let place = Place { main, sub };
            let record = unseal(place, sealed.value())?;
            if is_gone.is(&record, place)? {
                gone.push((place, record.key, sealed.value().len()));
            }
        }
        for (Place { main, sub }, key, len) in gone {
            self.history.remove((main, sub))?;
            self.versions.remove((&key[..], main, sub))?;
            self.grown -= size::version(&key, len);
        }
        Ok(next)
    }

    /// What comes now is another entry: it has the next revision, if this one changed anything.
    pub(super) fn next_entry(&mut self) {
        self.begin = self.clock();
        self.changes = 0;
    }

    /// Writes down what all entries have come to.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        self.next_entry();
        let (revision, alarms) = (self.begin.revision, self.alarms);
        if revision != self.was.0 {
            self.set("revision", revision)?;
        }
        if alarms != self.was.1 {
            self.set(ALARM_MASK, alarms)?;
        }
        let grown = self.grown + self.leases.as_ref().map_or(0, |leases| leases.grown);
        if grown != 0 {
            let bytes = self.state(size::BYTES)? + grown;
            self.set(size::BYTES, bytes)?;
        }
        Ok(())
    }
}

impl Reader for Writer<'_> {
    fn clock(&self) -> Clock {
        Clock { revision: self.begin.revision + i64::from(self.changes > 0), ..self.begin }
    }

    fn visit(&self, span: &Span<'_>, at: i64, each: Visit<'_>) -> Result<(), Fault> {
        if at == self.clock().revision {
            visit_current(&self.current, span, each)
        } else {
            visit_versions(&self.versions, span, at, each)
        }
    }

    fn load(&self, place: Place) -> Result<KeyValue, Fault> {
        load(&self.history, place)
    }
}
