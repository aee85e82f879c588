//! A key at a revision.

use crate::error::{ConfigError, Result, words};
use crate::expect::Revision;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A type that values can be read as: any that is read with serde and may be shared between threads.
pub trait Setting: DeserializeOwned + Send + Sync + 'static {}

impl<T: DeserializeOwned + Send + Sync + 'static> Setting for T {}

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A text, decoded as such: who reads it waits for nothing.
    Text(Arc<String>),
    /// Any other value.
    Value(Value),
    Deleted,
    /// Something that is no JSON, and what is wrong with it.
    Unreadable(String),
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Arc::new(text)),
            value => Self::Value(value),
        }
    }
}

/// A key at a revision: what it was set to then, or that it was deleted. Shared by readers, history, snapshots and watchers.
pub struct Version {
    key: Box<str>,
    /// Set once, before anybody sees it.
    revision: AtomicU64,
    content: Content,
    /// The value as the first type that it was read as, unless it is a text and was read as one.
    decoded: OnceLock<Decoded>,
}

/// A value as some type.
type Decoded = Arc<dyn Any + Send + Sync>;

impl Version {
    /// One that has no revision yet.
    pub(crate) fn new(key: &str, content: Content) -> Self {
        Self { key: key.into(), revision: AtomicU64::new(0), content, decoded: OnceLock::new() }
    }

    /// Says when it was set; before anybody sees it.
    pub(crate) fn stamp(&self, revision: Revision) {
        self.revision.store(revision, Ordering::Relaxed);
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// When it was set or deleted.
    pub fn revision(&self) -> Revision {
        self.revision.load(Ordering::Relaxed) // a lock lies between the store and whoever sees it
    }

    /// Was it deleted?
    pub fn is_deleted(&self) -> bool {
        matches!(self.content, Content::Deleted)
    }

    /// The revision, of a key that exists.
    pub(crate) fn existing(&self) -> Option<Revision> {
        (!self.is_deleted()).then(|| self.revision())
    }

    /// The value as JSON; none if the key was deleted.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`].
    pub fn json(&self) -> Result<Option<Cow<'_, Value>>> {
        match &self.content {
            Content::Text(text) => Ok(Some(Cow::Owned(Value::String(text.to_string())))),
            Content::Value(value) => Ok(Some(Cow::Borrowed(value))),
            Content::Deleted => Ok(None),
            Content::Unreadable(reason) => {
                let (key, revision, reason) = (self.key.to_string(), self.revision(), reason.clone());
                Err(ConfigError::Unreadable { key, revision, reason })
            }
        }
    }

    /// The value; none if the key was deleted. Texts, and the first other type that it is read as, are decoded once; further types each time.
    ///
    /// # Errors
    /// [`ConfigError::Type`], [`ConfigError::Unreadable`].
    pub fn get<T: Setting>(&self) -> Result<Option<Arc<T>>> {
        match self.cached() {
            Some(value) => Ok(Some(value)),
            None => self.decode(),
        }
    }

    /// The value, if it was decoded as this type before. Runs nobody's code.
    pub(crate) fn cached<T: Setting>(&self) -> Option<Arc<T>> {
        match &self.content {
            Content::Text(text) if TypeId::of::<T>() == TypeId::of::<String>() => {
                (text.clone() as Decoded).downcast().ok()
            }
            _ => self.decoded.get().filter(|decoded| (***decoded).is::<T>())?.clone().downcast().ok(),
        }
    }

    fn decode<T: Setting>(&self) -> Result<Option<Arc<T>>> {
        let Some(json) = self.json()? else { return Ok(None) };
        let value = Arc::new(T::deserialize(&*json).or_else(|_| self.decode_slowly(&json))?);
        // Another thread may have been faster: its value is as good.
        let _ = self.decoded.set(value.clone());
        Ok(Some(value))
    }

    /// The same, and says where it goes wrong.
    #[cold]
    fn decode_slowly<T: Setting>(&self, json: &Value) -> Result<T> {
        serde_path_to_error::deserialize(json).map_err(|e| ConfigError::Type {
            key: self.key.to_string(),
            revision: self.revision(),
            wanted: type_name::<T>(),
            path: e.path().to_string(),
            reason: words(e.inner()),
        })
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = match self.content {
            Content::Text(_) | Content::Value(_) => "set",
            Content::Deleted => "deleted",
            Content::Unreadable(_) => "unreadable",
        };
        write!(f, "Version({:?} {is} at {})", self.key, self.revision())
    }
}

/// A value with the revision at which it was set; behaves as the value.
#[derive(Debug)]
pub struct Versioned<T> {
    value: Arc<T>,
    revision: Revision,
}

impl<T> Versioned<T> {
    pub(crate) fn new(value: Arc<T>, revision: Revision) -> Self {
        Self { value, revision }
    }

    /// When it was set: what [`crate::Expect::At`] takes.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The value, shared.
    pub fn into_value(self) -> Arc<T> {
        self.value
    }
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), revision: self.revision }
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
