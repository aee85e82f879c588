//! The store: one order of changes, and what each of them does.

use crate::batch::{Change, Effect};
use crate::error::{ConfigError, Result};
use crate::expect::{Expect, Revision};
use crate::fed::Fed;
use crate::limits::{Limits, MAX_KEY_BYTES};
use crate::locks::lock;
use crate::mailbox::{Deferred, Mailbox};
use crate::registry::Registry;
use crate::schemas::{Findings, Schemas};
use crate::scope::Scope;
use crate::shards::Shards;
use crate::snapshot::{Live, Snapshot};
use crate::version::{Content, Version};
use arc_swap::ArcSwap;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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
    pub(crate) shards: Shards,
    /// What every reader sees at least: moved once a change is in its shard.
    revision: AtomicU64,
    /// Exchanged under the lock of `state` alone.
    schemas: ArcSwap<Schemas>,
    state: Mutex<State>,
}

/// What is changed by one at a time.
#[derive(Default)]
struct State {
    revision: Revision,
    live: Live,
    /// Deleted keys that are remembered, by when.
    deleted: BTreeSet<(Revision, Arc<str>)>,
    registry: Registry,
}

/// Refuses what is no key.
pub(crate) fn check_key(key: &str) -> Result<()> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(ConfigError::Key { start: key.chars().take(40).collect(), bytes: key.len(), max: MAX_KEY_BYTES })
}

impl Store {
    pub(crate) fn new(limits: Limits, writer: Writer) -> Arc<Self> {
        Arc::new(Self {
            limits,
            writer,
            shards: Shards::default(),
            revision: AtomicU64::new(0),
            schemas: ArcSwap::default(),
            state: Mutex::default(),
        })
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision.load(Ordering::Acquire)
    }

    /// Makes changes as one; none if there was nothing to change.
    pub(crate) fn commit(&self, changes: &mut [Change<'_>]) -> Result<Option<Revision>> {
        if self.writer == Writer::Feed {
            return Err(ConfigError::Following);
        }
        changes.iter().try_for_each(|change| check_key(change.key))?;
        let mut deferred = Deferred::default();
        let mut state = loop {
            let schemas = self.schemas.load();
            check_values(&schemas, changes)?;
            let state = lock(&self.state);
            // Others may have been set while these were asked.
            if Arc::as_ptr(&schemas) == Arc::as_ptr(&self.schemas.load()) {
                break state;
            }
        };
        self.check_expectations(changes)?;
        let revision = state.revision + 1;
        let mut is_change = false;
        for change in changes {
            let content = match std::mem::take(&mut change.effect) {
                Effect::Nothing => continue,
                Effect::Put(value) => Content::Value(value),
                Effect::Delete => Content::Deleted,
            };
            is_change |= self.change(&mut state, change.key, revision, content, &mut deferred);
        }
        if is_change {
            self.advance(&mut state, revision);
        }
        drop(state);
        deferred.finish();
        Ok(is_change.then_some(revision))
    }

    fn check_expectations(&self, changes: &[Change<'_>]) -> Result<()> {
        for change in changes.iter().filter(|change| change.expect != Expect::Anything) {
            let found = self.shards.current(change.key).and_then(|version| version.existing());
            if !change.expect.holds(found) {
                return Err(ConfigError::Conflict { key: change.key.into(), expected: change.expect, found });
            }
        }
        Ok(())
    }

    fn advance(&self, state: &mut State, revision: Revision) {
        state.revision = revision;
        self.revision.store(revision, Ordering::Release);
    }

    /// Gives a key new content and tells its watchers. Nothing happens to a key that is to be deleted and does not exist.
    fn change(
        &self,
        state: &mut State,
        key: &str,
        revision: Revision,
        content: Content,
        deferred: &mut Deferred,
    ) -> bool {
        let Some(version) = self.place(state, key, revision, content, deferred) else { return false };
        state.registry.tell(&version, self.limits.waiting, deferred);
        true
    }

    fn place(
        &self,
        state: &mut State,
        key: &str,
        revision: Revision,
        content: Content,
        deferred: &mut Deferred,
    ) -> Option<Arc<Version>> {
        let current = self.shards.current(key);
        let is_there = current.as_ref().is_some_and(|current| !current.is_deleted());
        if content == Content::Deleted && !is_there {
            return None;
        }
        // This count on the version is not the last one: the shard has it, and lets it go with what is deferred.
        let shared = current.as_ref().map_or_else(|| key.into(), |current| current.shared_key().clone());
        let version = Arc::new(Version::new(shared, revision, content));
        if let Some(current) = current.filter(|current| current.is_deleted()) {
            state.deleted.remove(&(current.revision(), current.shared_key().clone()));
        }
        self.shards.put(version.clone(), self.limits.history, deferred);
        if version.is_deleted() {
            state.live.remove_mut(key);
            self.remember_deleted(state, &version, deferred);
        } else {
            state.live.insert_mut(version.shared_key().clone(), version.clone());
        }
        Some(version)
    }

    /// Forgets those that were deleted first, where it are too many.
    fn remember_deleted(&self, state: &mut State, version: &Version, deferred: &mut Deferred) {
        state.deleted.insert((version.revision(), version.shared_key().clone()));
        if state.deleted.len() > self.limits.deleted_keys
            && let Some((revision, key)) = state.deleted.pop_first()
        {
            self.shards.forget(&key, revision, deferred);
        }
    }

    /// Makes changes of another store, at its revision.
    pub(crate) fn feed(&self, revision: Revision, changes: Vec<Fed>) -> Result<()> {
        changes.iter().try_for_each(|fed| check_key(&fed.key))?;
        let mut deferred = Deferred::default();
        let mut state = lock(&self.state);
        if revision <= state.revision {
            return Err(ConfigError::Backwards { key: None, revision, have: state.revision });
        }
        for fed in changes {
            self.change(&mut state, &fed.key, revision, fed.content, &mut deferred);
        }
        self.advance(&mut state, revision);
        drop(state);
        deferred.finish();
        Ok(())
    }

    /// Replaces the state by that of another store at a revision. All watchers lag: what came between is not known.
    pub(crate) fn load(&self, revision: Revision, entries: Vec<(Revision, Fed)>) -> Result<()> {
        entries.iter().try_for_each(|(_, fed)| check_key(&fed.key))?;
        let mut deferred = Deferred::default();
        let mut state = lock(&self.state);
        self.check_load(&state, revision, &entries)?;
        let kept: HashSet<&str> = entries.iter().map(|(_, fed)| &*fed.key).collect();
        let gone: Vec<Arc<str>> = state.live.keys().filter(|key| !kept.contains(&***key)).cloned().collect();
        for key in gone {
            self.place(&mut state, &key, revision, Content::Deleted, &mut deferred);
        }
        for (at, fed) in entries {
            let current = self.shards.current(&fed.key).and_then(|version| version.existing());
            if current != Some(at) {
                self.place(&mut state, &fed.key, at, fed.content, &mut deferred);
            }
        }
        self.advance(&mut state, revision);
        state.registry.lag(revision, &mut deferred);
        drop(state);
        deferred.finish();
        Ok(())
    }

    /// No key may go back, and none be newer than the state.
    fn check_load(&self, state: &State, revision: Revision, entries: &[(Revision, Fed)]) -> Result<()> {
        if revision < state.revision {
            return Err(ConfigError::Backwards { key: None, revision, have: state.revision });
        }
        for (at, fed) in entries {
            let have = self.shards.current(&fed.key).map_or(0, |version| version.revision());
            if *at < have || *at > revision {
                let (key, have) = (Some(fed.key.to_string()), if *at < have { have } else { revision });
                return Err(ConfigError::Backwards { key, revision: *at, have });
            }
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self, scope: Scope) -> Snapshot {
        let state = lock(&self.state);
        Snapshot::new(state.revision, scope, state.live.clone())
    }

    /// A new watcher, and the revision after which it is told everything.
    pub(crate) fn watch(&self, scope: Scope) -> (Arc<Mailbox>, Revision) {
        let mut state = lock(&self.state);
        (state.registry.add(scope), state.revision)
    }

    pub(crate) fn unwatch(&self, mailbox: &Mailbox) {
        lock(&self.state).registry.remove(mailbox);
    }

    /// The state of what is watched; from there on the watcher is told everything.
    pub(crate) fn resync(&self, mailbox: &Mailbox) -> Snapshot {
        let mut deferred = Deferred::default();
        let state = lock(&self.state);
        mailbox.catch_up(state.revision, &mut deferred);
        let snapshot = Snapshot::new(state.revision, mailbox.scope.clone(), state.live.clone());
        drop(state);
        deferred.finish();
        snapshot
    }

    /// Tells all watchers that nothing more will come.
    pub(crate) fn close(&self) {
        let mut deferred = Deferred::default();
        lock(&self.state).registry.close(&mut deferred);
        deferred.finish();
    }

    pub(crate) fn schemas(&self) -> Arc<Schemas> {
        self.schemas.load_full()
    }
}

fn check_values(schemas: &Schemas, changes: &[Change<'_>]) -> Result<()> {
    let mut findings = Findings::default();
    for change in changes {
        if let Effect::Put(value) = &change.effect {
            schemas.look(change.key, value, &mut findings);
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
            let seen = self.snapshot(Scope::Prefix(prefix.into()));
            look(&seen, prefix, &schema, 0)?;
            let state = lock(&self.state);
            let now = Snapshot::new(state.revision, Scope::Prefix(prefix.into()), state.live.clone());
            look(&now, prefix, &schema, seen.revision())?;
            let mut schemas = Schemas::clone(&self.schemas.load());
            schemas.by_prefix.insert(prefix, Arc::new(schema));
            self.schemas.store(Arc::new(schemas));
            Ok(())
        }

        /// Takes the schema of a prefix away; says whether there was one.
        pub(crate) fn release(&self, prefix: &str) -> bool {
            let _state = lock(&self.state);
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
                findings.look(prefix, schema, version.key(), value);
            }
        }
        findings.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchers_that_are_gone_leave_nothing_behind() {
        let store = Store::new(Limits::default(), Writer::Anyone);
        let scopes =
            [Scope::Key("a".into()), Scope::Key("a".into()), Scope::Prefix("".into()), Scope::Prefix("b".into())];
        let mailboxes = scopes.map(|scope| store.watch(scope).0);
        for at in [1, 0, 3, 2] {
            assert!(!lock(&store.state).registry.is_empty());
            store.unwatch(&mailboxes[at]);
        }
        assert!(lock(&store.state).registry.is_empty());
    }
}
