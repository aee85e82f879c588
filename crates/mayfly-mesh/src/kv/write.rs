//! One transaction's changes: they share a revision, and readers within it see them.

use super::lease_table::Leases;
use super::span::Span;
use super::tables::{
    CURRENT, Clock, Found, HISTORY, Place, Reader, STATE, VERSIONS, Visit, load, seal, visit_current, visit_versions,
};
use crate::module::Fault;
use crate::proto::mvccpb::KeyValue;
use redb::{ReadableTable, Table, WriteTransaction};

pub(super) struct Writer<'t> {
    /// Before the first change.
    begin: Clock,
    changes: u32,
    transaction: &'t WriteTransaction,
    /// Opened by the first that needs it.
    leases: Option<Leases<'t>>,
    state: Table<'t, &'static str, i64>,
    current: Table<'t, &'static [u8], (i64, u32, i64, i64, i64)>,
    versions: Table<'t, (&'static [u8], i64, u32), (i64, i64, i64)>,
    history: Table<'t, (i64, u32), &'static [u8]>,
}

impl<'t> Writer<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        let state = transaction.open_table(STATE)?;
        Ok(Self {
            begin: Clock::read(&state)?,
            changes: 0,
            transaction,
            leases: None,
            state,
            current: transaction.open_table(CURRENT)?,
            versions: transaction.open_table(VERSIONS)?,
            history: transaction.open_table(HISTORY)?,
        })
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
        self.history.insert((place.main, place.sub), &seal(place, &record)[..])?;
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
        let record = KeyValue { key: key.to_vec(), mod_revision: place.main, ..KeyValue::default() };
        self.history.insert((place.main, place.sub), &seal(place, &record)[..])?;
        Ok(())
    }

    /// Forgets the versions that nobody may ask for any more, now that nothing before `revision` can be read.
    pub(super) fn compact(&mut self, revision: i64) -> Result<(), Fault> {
        self.begin.compacted = revision;
        self.state.insert("compacted", revision)?;
        let mut gone = Vec::new();
        for row in self.history.range((i64::MIN, 0)..=(revision, u32::MAX))? {
            let (place, bytes) = row?;
            let (main, sub) = place.value();
            let place = Place { main, sub };
            let record = super::tables::unseal(place, bytes.value())?;
            if self.is_gone(&record, place, revision)? {
                gone.push((place, record.key));
            }
        }
        for (Place { main, sub }, key) in gone {
            self.history.remove((main, sub))?;
            self.versions.remove((&key[..], main, sub))?;
        }
        Ok(())
    }

    /// Is there a later version up to `revision`, or was the key deleted before? A deletion at `revision` itself is kept for watchers that start there.
    fn is_gone(&self, record: &KeyValue, place: Place, revision: i64) -> Result<bool, Fault> {
        let key = &record.key[..];
        let later = match place.sub.checked_add(1) {
            Some(sub) => (key, place.main, sub),
            None => (key, place.main + 1, 0),
        };
        let is_replaced =
            later.1 <= revision && self.versions.range(later..=(key, revision, u32::MAX))?.next().is_some();
        Ok(is_replaced || (record.version == 0 && place.main < revision))
    }

    /// Moves the revision, if anything was changed. Gives the revision after it.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        if self.changes > 0 {
            let revision = self.clock().revision;
            self.state.insert("revision", revision)?;
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
