//! Several changes as one.

use crate::error::{ConfigError, Result, words};
use crate::expect::Expect;
use crate::version::{Content, Version};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to happen to a key.
#[derive(Clone, Default, PartialEq)]
pub enum Effect {
    /// Nothing: it is there for what it expects.
    #[default]
    Nothing,
    /// It is set.
    Put(Value),
    /// It is deleted.
    Delete,
}

/// A change of one key, and what it expects.
#[derive(Clone, PartialEq)]
pub struct Change<'a> {
    /// The key.
    pub key: &'a str,
    /// What it is to be before.
    pub expect: Expect,
    /// What happens to it.
    pub effect: Effect,
}

/// A change as the store takes it.
pub(crate) struct Prepared<'a> {
    pub(crate) key: &'a str,
    pub(crate) expect: Expect,
    /// None for what is there for its expectation alone.
    pub(crate) version: Option<Arc<Version>>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(key: &'a str, expect: Expect, effect: Effect) -> Self {
        let content = match effect {
            Effect::Nothing => None,
            Effect::Put(value) => Some(value.into()),
            Effect::Delete => Some(Content::Deleted),
        };
        Self { key, expect, version: content.map(|content| Arc::new(Version::new(key, content))) }
    }
}

/// Changes of several keys that happen at one revision, or not at all. What is said of a key later takes the place of what was said before; changes are told to
/// watchers in the order of keys.
#[derive(Clone, Default)]
pub struct Batch {
    changes: BTreeMap<String, (Expect, Effect)>,
}

/// Writes a value as JSON.
pub(crate) fn json<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| ConfigError::NotJson { key: key.into(), reason: words(&e) })
}

impl Batch {
    /// One without changes.
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&mut self, key: &str) -> &mut (Expect, Effect) {
        self.changes.entry(key.into()).or_default()
    }

    /// Sets a key.
    ///
    /// # Errors
    /// [`ConfigError::NotJson`].
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<&mut Self> {
        self.of(key).1 = Effect::Put(json(key, value)?);
        Ok(self)
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &str) -> &mut Self {
        self.of(key).1 = Effect::Delete;
        self
    }

    /// Expects something of a key, whether or not the batch changes it.
    pub fn expect(&mut self, key: &str, expect: Expect) -> &mut Self {
        self.of(key).0 = expect;
        self
    }

    /// The same as versions that have no revision yet.
    pub(crate) fn prepared(&self) -> Vec<Prepared<'_>> {
        self.changes.iter().map(|(key, (expect, effect))| Prepared::new(key, *expect, effect.clone())).collect()
    }

    /// What it says of each key, in their order: for those who bring it to another store.
    pub fn changes(&self) -> Vec<Change<'_>> {
        let changes = self.changes.iter();
        changes.map(|(key, (expect, effect))| Change { key, expect: *expect, effect: effect.clone() }).collect()
    }
}
