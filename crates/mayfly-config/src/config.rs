//! The calls.

use crate::batch::{Batch, Effect, Prepared, json};
use crate::error::Result;
use crate::expect::{Expect, Revision};
use crate::feed::Feed;
use crate::limits::Limits;
use crate::snapshot::Snapshot;
use crate::store::{Store, Writer, check_key};
use crate::version::{Setting, Version, Versioned};
use crate::watch::Watch;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A store of settings. Clones are handles on the same store.
#[derive(Clone)]
pub struct Config {
    handles: Arc<Handles>,
}

/// Shared by all handles: when the last of them goes, watchers are told that nothing more will come, unless there is a feed.
struct Handles(Arc<Store>);

impl Drop for Handles {
    fn drop(&mut self) {
        self.0.close(Writer::Anyone);
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// The same, and says how much it remembers.
    pub fn with_limits(limits: Limits) -> Self {
        Self::of(Store::new(limits, Writer::Anyone))
    }

    /// An empty store that follows another one, and what brings it the changes: nobody else can write.
    pub fn following(limits: Limits) -> (Self, Feed) {
        let store = Store::new(limits, Writer::Feed);
        (Self::of(store.clone()), Feed::new(store))
    }

    fn of(store: Arc<Store>) -> Self {
        Self { handles: Arc::new(Handles(store)) }
    }

    fn store(&self) -> &Arc<Store> {
        &self.handles.0
    }

    /// The value of a key; none if it does not exist. Texts, and the first other type that a version is read as, are decoded once; further types each time.
    ///
    /// # Errors
    /// [`crate::ConfigError::Type`] with the path to what is no `T`, [`crate::ConfigError::Unreadable`].
    pub fn get<T: Setting>(&self, key: &str) -> Result<Option<Versioned<T>>> {
        self.store().shards.get(key)
    }

    /// What a key was set to last, with its revision; none if it does not exist.
    pub fn version(&self, key: &str) -> Option<Arc<Version>> {
        self.store().shards.current(key).filter(|version| !version.is_deleted())
    }

    /// What is remembered of a key: versions and deletions, the oldest first.
    pub fn history(&self, key: &str) -> Vec<Arc<Version>> {
        self.store().shards.history(key)
    }

    /// The newest change that every later call sees.
    pub fn revision(&self) -> Revision {
        self.store().revision()
    }

    /// Sets a key.
    ///
    /// # Errors
    /// [`crate::ConfigError::Key`], [`crate::ConfigError::NotJson`], [`crate::ConfigError::Violates`], [`crate::ConfigError::Following`].
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<Revision> {
        self.compare_and_set(key, Expect::Anything, value)
    }

    /// Sets a key if it is as expected.
    ///
    /// # Errors
    /// [`crate::ConfigError::Conflict`], and those of [`Self::set`].
    pub fn compare_and_set<T: Serialize + ?Sized>(&self, key: &str, expect: Expect, value: &T) -> Result<Revision> {
        let effect = Effect::Put(json(key, value)?);
        let revision = self.store().commit(&[Prepared::new(key, expect, effect)])?;
        Ok(revision.unwrap_or_default()) // a put always makes a revision
    }

    /// Deletes a key; none if it did not exist.
    ///
    /// # Errors
    /// [`crate::ConfigError::Key`], [`crate::ConfigError::Following`].
    pub fn delete(&self, key: &str) -> Result<Option<Revision>> {
        self.compare_and_delete(key, Expect::Anything)
    }

    /// Deletes a key if it is as expected; none if it did not exist.
    ///
    /// # Errors
    /// [`crate::ConfigError::Conflict`], and those of [`Self::delete`].
    pub fn compare_and_delete(&self, key: &str, expect: Expect) -> Result<Option<Revision>> {
        self.store().commit(&[Prepared::new(key, expect, Effect::Delete)])
    }

    /// Makes several changes as one; none if there was nothing to change.
    ///
    /// # Errors
    /// Those of [`Self::compare_and_set`]; then nothing of it has happened.
    pub fn commit(&self, batch: &Batch) -> Result<Option<Revision>> {
        self.store().commit(&batch.prepared())
    }

    /// Watches a key, whether or not it exists, from now on.
    ///
    /// # Errors
    /// [`crate::ConfigError::Key`].
    pub fn watch(&self, key: &str) -> Result<Watch> {
        check_key(key)?;
        Ok(Watch::new(self.store().clone(), self.store().watch_key(key)))
    }

    /// Watches all keys that begin with a prefix, from now on.
    pub fn watch_prefix(&self, prefix: &str) -> Watch {
        Watch::new(self.store().clone(), self.store().watch_prefix(prefix))
    }

    /// All keys that begin with a prefix, at one revision. Copies no keys, however many there are: it brings the order of at most 1,023 changed ones up to date,
    /// for which writers wait; while it is read they go on.
    pub fn snapshot(&self, prefix: &str) -> Snapshot {
        self.store().snapshot(prefix)
    }

    /// Holds the value of each key that begins with a prefix to a JSON Schema from now on, in place of the one that the prefix had; those of shorter and longer
    /// prefixes apply as well. `$ref` reaches within the document only.
    ///
    /// # Errors
    /// [`crate::ConfigError::Schema`]; [`crate::ConfigError::Violates`] if values are there that it does not allow: then nothing changes.
    #[cfg(feature = "schema")]
    pub fn schema(&self, prefix: &str, schema: &serde_json::Value) -> Result<()> {
        self.store().constrain(prefix, crate::schemas::Schema::new(prefix, schema)?)
    }

    /// Takes the schema of a prefix away; says whether there was one.
    #[cfg(feature = "schema")]
    pub fn remove_schema(&self, prefix: &str) -> bool {
        self.store().release(prefix)
    }

    /// The schemas, by prefix.
    #[cfg(feature = "schema")]
    pub fn schemas(&self) -> std::collections::BTreeMap<String, serde_json::Value> {
        let schemas = self.store().schemas();
        schemas.by_prefix.iter().map(|(prefix, schema)| (prefix.into(), schema.source.clone())).collect()
    }

    /// Whether it is a key.
    ///
    /// # Errors
    /// [`crate::ConfigError::Key`].
    pub fn check_key(&self, key: &str) -> Result<()> {
        check_key(key)
    }

    /// Whether a value could be set under a key, as far as keys and schemas are concerned: for those who write to the store that this one follows.
    ///
    /// # Errors
    /// [`crate::ConfigError::Key`], [`crate::ConfigError::Violates`].
    pub fn check(&self, key: &str, value: &serde_json::Value) -> Result<()> {
        check_key(key)?;
        let mut findings = crate::schemas::Findings::default();
        self.store().schemas().look(key, || Some(Cow::Borrowed(value)), &mut findings);
        findings.into_result()
    }
}

/// Without values, which may be secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config(at {})", self.revision())
    }
}
