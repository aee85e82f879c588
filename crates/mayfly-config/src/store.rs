//! The store: one order of changes, and what each of them does.

use crate::batch::Prepared;
use crate::error::{ConfigError, Result};
use crate::expect::{Expect, Revision};
use crate::fed::Fed;
use crate::limits::{Limits, MAX_KEY_BYTES};
use crate::locks::{Apart, lock};
use crate::mailbox::{Deferred, Mailbox};
use crate::registry::Registry;
use crate::schemas::{Findings, Schemas};
use crate::scope::Scope;
use crate::shards::{Keep, Shards};
use crate::snapshot::{Live, Snapshot};
use crate::version::{Content, Version};
use arc_swap::ArcSwap;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Who may change a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Anyone,
    /// The feed alone.
    Feed,
}

pub(crate) struct Store {
    pub(crate) limits: Limits,
    writer: Writer,
    /// What readers read, and who watches a key.
    pub(crate) shards: Shards,
    /// Exchanged under the lock of the state alone.
    schemas: ArcSwap<Schemas>,
    is_closed: AtomicBool,
    core: Apart<Core>,
}

/// What every change writes.
#[derive(Default)]
struct Core {
    state: Mutex<State>,
    /// What every reader sees at least: moved once a change is in its shard, and told.
    revision: AtomicU64,
}

/// What is changed by one at a time.
#[derive(Default)]
struct State {
    revision: Revision,
    registry: Registry,
    /// Keys that have changed since `live` was brought up to date, each once.
    noted: Vec<Arc<str>>,
    /// The keys in their order, but for what noted ones have become.
    live: Live,
    /// Deleted keys that are remembered, by when.
    deleted: BTreeSet<(Revision, Arc<str>)>,
}

/// Changed keys that may wait for a snapshot before the order of keys is brought up to date: what bringing it up takes.
const MAX_NOTED: usize = 1_024;

/// Refuses what is no key.
pub(crate) fn check_key(key: &str) -> Result<()> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(ConfigError::Key { start: key.chars().take(40).collect(), bytes: key.len(), max: MAX_KEY_BYTES })
}

impl Store {
    pub(crate) fn new(limits: Limits, writer: Writer) -> Arc<Self> {
        let (shards, schemas, is_closed) = (Shards::default(), ArcSwap::default(), AtomicBool::new(false));
        Arc::new(Self { limits, writer, shards, schemas, is_closed, core: Apart::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.core.0.state)
    }

    pub(crate) fn revision(&self) -> Revision {
        self.core.0.revision.load(Ordering::Acquire)
    }

    /// Makes changes as one; none if there was nothing to change.
    pub(crate) fn commit(&self, changes: &[Prepared<'_>]) -> Result<Option<Revision>> {
        if self.writer == Writer::Feed {
            return Err(ConfigError::Following);
        }
        changes.iter().try_for_each(|change| check_key(change.key))?;
        let mut deferred = Deferred::default();
        let mut state = loop {
            let schemas = self.schemas.load();
            check_values(&schemas, changes)?;
            let state = self.state();
            // Others may have been set while these were asked.
            if Arc::as_ptr(&schemas) == Arc::as_ptr(&self.schemas.load()) {
                break state;
            }
        };
        self.check_expectations(changes)?;
        let revision = state.revision + 1;
        let mut is_change = false;
        for version in changes.iter().filter_map(|change| change.version.as_ref()) {
            is_change |= self.place(&mut state, version, revision, Some(self.limits.waiting), &mut deferred);
        }
        if is_change {
            self.advance(&mut state, revision, &mut deferred);
        }
        drop(state);
        deferred.finish();
        Ok(is_change.then_some(revision))
    }

    fn check_expectations(&self, changes: &[Prepared<'_>]) -> Result<()> {
        for change in changes.iter().filter(|change| change.expect != Expect::Anything) {
            let found = self.shards.current(change.key).and_then(|version| version.existing());
            if !change.expect.holds(found) {
                return Err(ConfigError::Conflict { key: change.key.into(), expected: change.expect, found });
            }
        }
        Ok(())
    }

    /// Makes a version the newest of its key and tells watchers, unless `waiting` is none. Nothing happens to a key that is to be deleted and does not exist.
    fn place(
        &self,
        state: &mut State,
        version: &Arc<Version>,
        revision: Revision,
        waiting: Option<usize>,
        deferred: &mut Deferred,
    ) -> bool {
        version.stamp(revision);
        let Some(placed) = self.shards.put(version, Keep { history: self.limits.history, waiting }, deferred) else {
            return false;
        };
        if let Some(limit) = waiting {
            state.registry.tell(version, limit, deferred);
        }
        state.noted.extend(placed.noted);
        if let Some(at) = placed.was_deleted {
            state.deleted.remove(&(at, version.key().into()));
        }
        if version.is_deleted() {
            state.deleted.insert((revision, version.key().into()));
        }
        true
    }

    /// Forgets the keys that were deleted first, where there are too many. Not before the revision has moved: whoever begins to watch a key that is forgotten has
    /// only the revision to know what came before.
    fn forget_oldest(&self, state: &mut State, deferred: &mut Deferred) {
        while state.deleted.len() > self.limits.deleted_keys
            && let Some((revision, key)) = state.deleted.pop_first()
        {
            self.shards.forget(&key, revision, deferred);
        }
    }

    /// What was placed is known from now on.
    fn advance(&self, state: &mut State, revision: Revision, deferred: &mut Deferred) {
        state.revision = revision;
        self.core.0.revision.store(revision, Ordering::Release);
        self.forget_oldest(state, deferred);
        if state.noted.len() >= MAX_NOTED {
            self.order(state, deferred);
        }
    }

    /// Brings the order of keys up to date.
    fn order(&self, state: &mut State, deferred: &mut Deferred) {
        let State { live, noted, .. } = state;
        for key in noted.drain(..) {
            // What is replaced may be the last that kept a version.
            deferred.let_go(live.get(&key).cloned());
            match self.shards.read_noted(&key).filter(|version| !version.is_deleted()) {
                Some(version) => live.insert_mut(key, version),
                None => drop(live.remove_mut(&key)),
            }
        }
    }

    /// Makes changes of another store, at its revision.
    pub(crate) fn feed(&self, revision: Revision, changes: Vec<Fed>) -> Result<()> {
        let versions = changes.into_iter().map(prepare).collect::<Result<Vec<_>>>()?;
        let mut deferred = Deferred::default();
        let mut state = self.state();
        if revision <= state.revision {
            return Err(ConfigError::Backwards { key: None, revision, have: state.revision });
        }
        for version in versions {
            self.place(&mut state, &version, revision, Some(self.limits.waiting), &mut deferred);
        }
        self.advance(&mut state, revision, &mut deferred);
        drop(state);
        deferred.finish();
        Ok(())
    }

    /// Replaces the state by that of another store at a revision. All watchers lag: what came between is not known.
    pub(crate) fn load(&self, revision: Revision, entries: Vec<(Revision, Fed)>) -> Result<()> {
        let prepare = |(at, fed)| Ok((at, prepare(fed)?));
        let entries = entries.into_iter().map(prepare).collect::<Result<Vec<_>>>()?;
        let mut deferred = Deferred::default();
        let mut state = self.state();
        self.check_load(&state, revision, &entries)?;
        self.order(&mut state, &mut deferred);
        let kept: HashSet<&str> = entries.iter().map(|(_, version)| version.key()).collect();
        let gone: Vec<Arc<str>> = state.live.keys().filter(|key| !kept.contains(&***key)).cloned().collect();
        for key in gone {
            let version = Arc::new(Version::new(&key, Content::Deleted));
            self.place(&mut state, &version, revision, None, &mut deferred);
        }
        for (at, version) in &entries {
            let current = self.shards.current(version.key()).and_then(|current| current.existing());
            if current != Some(*at) {
                self.place(&mut state, version, *at, None, &mut deferred);
            }
        }
        self.advance(&mut state, revision, &mut deferred);
        self.each_watcher(&state, &mut |mailbox| mailbox.lag(revision, &mut deferred));
        drop(state);
        deferred.finish();
        Ok(())
    }

    /// No key may go back, and none be newer than the state.
    fn check_load(&self, state: &State, revision: Revision, entries: &[(Revision, Arc<Version>)]) -> Result<()> {
        if revision < state.revision {
            return Err(ConfigError::Backwards { key: None, revision, have: state.revision });
        }
        for (at, version) in entries {
            let have = self.shards.current(version.key()).map_or(0, |current| current.revision());
            if *at < have || *at > revision {
                let (key, have) = (Some(version.key().into()), if *at < have { have } else { revision });
                return Err(ConfigError::Backwards { key, revision: *at, have });
            }
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self, prefix: &str) -> Snapshot {
        let mut deferred = Deferred::default();
        let snapshot = self.snapshot_in(&mut self.state(), prefix, &mut deferred);
        deferred.finish();
        snapshot
    }

    fn snapshot_in(&self, state: &mut State, prefix: &str, deferred: &mut Deferred) -> Snapshot {
        self.order(state, deferred);
        Snapshot::new(state.revision, prefix.into(), state.live.clone())
    }

    /// A new watcher of a key, and the revision after which it is told everything.
    pub(crate) fn watch_key(&self, key: &str) -> (Arc<Mailbox>, Revision) {
        let key: Arc<str> = key.into();
        let mailbox = Arc::new(Mailbox::new(Scope::Key(key.clone())));
        let since = self.shards.watch(&key, &mailbox, || self.revision());
        self.close_late(&mailbox);
        (mailbox, since)
    }

    /// A new watcher of a prefix, and the revision after which it is told everything.
    pub(crate) fn watch_prefix(&self, prefix: &str) -> (Arc<Mailbox>, Revision) {
        let mailbox = Arc::new(Mailbox::new(Scope::Prefix(prefix.into())));
        let mut state = self.state();
        state.registry.add(prefix, mailbox.clone());
        let since = state.revision;
        drop(state);
        self.close_late(&mailbox);
        (mailbox, since)
    }

    pub(crate) fn unwatch(&self, mailbox: &Mailbox) {
        match &mailbox.scope {
            Scope::Key(key) => self.shards.unwatch(key, mailbox),
            Scope::Prefix(prefix) => self.state().registry.remove(prefix, mailbox),
        }
    }

    fn each_watcher(&self, state: &State, act: &mut dyn FnMut(&Arc<Mailbox>)) {
        self.shards.each_watcher(act);
        state.registry.each(act);
    }

    /// The state of what is watched; from there on the watcher is told everything.
    pub(crate) fn resync(&self, mailbox: &Mailbox) -> Snapshot {
        let mut deferred = Deferred::default();
        let mut state = self.state();
        mailbox.catch_up(state.revision, &mut deferred);
        let snapshot = match &mailbox.scope {
            Scope::Prefix(prefix) => self.snapshot_in(&mut state, prefix, &mut deferred),
            Scope::Key(key) => {
                let current = self.shards.current(key).filter(|version| !version.is_deleted());
                let live = current.into_iter().map(|version| (key.clone(), version)).collect();
                Snapshot::new(state.revision, "".into(), live)
            }
        };
        drop(state);
        deferred.finish();
        snapshot
    }

    /// The last of these writers is gone. If they were the store's, tells all watchers, also those that are yet to come, that nothing more will come.
    pub(crate) fn close(&self, writer: Writer) {
        if self.writer != writer {
            return;
        }
        let mut deferred = Deferred::default();
        self.is_closed.store(true, Ordering::SeqCst);
        self.each_watcher(&self.state(), &mut |mailbox| mailbox.close(&mut deferred));
        deferred.finish();
    }

    /// Who was added after [`Self::close`] looked, sees that it was closed before.
    fn close_late(&self, mailbox: &Arc<Mailbox>) {
        if self.is_closed.load(Ordering::SeqCst) {
            mailbox.close(&mut Deferred::default()); // nobody waits there yet
        }
    }

    pub(crate) fn schemas(&self) -> Arc<Schemas> {
        self.schemas.load_full()
    }
}

fn prepare(fed: Fed) -> Result<Arc<Version>> {
    check_key(&fed.key)?;
    Ok(Arc::new(Version::new(&fed.key, fed.content)))
}

fn check_values(schemas: &Schemas, changes: &[Prepared<'_>]) -> Result<()> {
    let mut findings = Findings::default();
    for change in changes {
        if let Some(version) = &change.version {
            schemas.look(change.key, || version.json().ok().flatten(), &mut findings);
        }
    }
    findings.into_result()
}

#[cfg(feature = "schema")]
mod constrain {
    use super::*;
    use crate::schemas::Schema;

    impl Store {
        /// Sets the schema of a prefix, if what is there is as it asks. The long look holds no lock; what came meanwhile is looked at under it.
        pub(crate) fn constrain(&self, prefix: &str, schema: Schema) -> Result<()> {
            let seen = self.snapshot(prefix);
            look(&seen, prefix, &schema, 0)?;
            let mut deferred = Deferred::default();
            let mut state = self.state();
            let now = self.snapshot_in(&mut state, prefix, &mut deferred);
            look(&now, prefix, &schema, seen.revision())?;
            let mut schemas = Schemas::clone(&self.schemas.load());
            schemas.by_prefix.insert(prefix, Arc::new(schema));
            self.schemas.store(Arc::new(schemas));
            Ok(())
        }

        /// Takes the schema of a prefix away; says whether there was one.
        pub(crate) fn release(&self, prefix: &str) -> bool {
            let _state = self.state();
            let mut schemas = Schemas::clone(&self.schemas.load());
            let was_there = schemas.by_prefix.remove(prefix).is_some();
            self.schemas.store(Arc::new(schemas));
            was_there
        }
    }

    /// Holds what was changed after a revision against a schema. What cannot be read is no value.
    fn look(snapshot: &Snapshot, prefix: &str, schema: &Schema, after: Revision) -> Result<()> {
        let mut findings = Findings::default();
        for version in snapshot.iter().filter(|version| version.revision() > after) {
            if let Ok(Some(value)) = version.json() {
                findings.look(prefix, schema, version.key(), &value);
            }
        }
        findings.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Effect;

    fn set(store: &Store, key: &str, n: usize) {
        store.commit(&[Prepared::new(key, Expect::Anything, Effect::Put(n.into()))]).unwrap();
    }

    #[test]
    fn watchers_that_are_gone_leave_nothing_behind() {
        let store = Store::new(Limits::default(), Writer::Anyone);
        let [a, b] = [(); 2].map(|()| store.watch_key("a").0);
        let [all, some] = ["", "b"].map(|prefix| store.watch_prefix(prefix).0);
        let count = || {
            let mut count = 0;
            store.each_watcher(&store.state(), &mut |_| count += 1);
            count
        };
        for (left, mailbox) in [(4, b), (3, a), (2, some), (1, all)] {
            assert_eq!(count(), left);
            store.unwatch(&mailbox);
            store.unwatch(&mailbox);
        }
        assert!(count() == 0 && !store.shards.has_watchers() && store.state().registry.is_empty());
    }

    /// A watcher that comes between the changes of a batch is told the rest, and by its revision of those that were made.
    #[test]
    fn who_begins_to_watch_a_deleted_key_within_a_batch_knows_of_the_deletion() {
        let mut limits = Limits::default();
        limits.deleted_keys = 1;
        let store = Store::new(limits, Writer::Anyone);
        ["a", "b", "c"].iter().for_each(|key| set(&store, key, 0));
        let (mut state, mut deferred) = (store.state(), Deferred::default());
        let delete = |key: &str| Arc::new(Version::new(key, Content::Deleted));
        for key in ["a", "b", "c"] {
            assert!(store.place(&mut state, &delete(key), 4, Some(8), &mut deferred));
        }
        for key in ["a", "b", "c"] {
            assert_eq!(store.watch_key(key).1, 4, "{key}");
        }
        store.advance(&mut state, 4, &mut deferred);
        assert_eq!(["a", "b", "c"].map(|key| store.shards.history(key).len()), [0, 0, 2]);
        assert!(["a", "b", "c"].iter().all(|key| store.watch_key(key).1 == 4));
    }

    #[test]
    fn the_order_of_keys_is_brought_up_to_date_before_it_takes_long() {
        let store = Store::new(Limits::default(), Writer::Anyone);
        for n in 0..10 * MAX_NOTED {
            set(&store, &n.to_string(), n);
            assert!(store.state().noted.len() < MAX_NOTED);
        }
        assert_eq!(store.snapshot("").iter().count(), 10 * MAX_NOTED);
        // A key that changes again and again is noted once.
        (0..10).for_each(|n| set(&store, "1", n));
        assert_eq!(store.state().noted.len(), 1);
    }
}
