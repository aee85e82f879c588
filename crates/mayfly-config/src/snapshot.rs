//! All keys at one revision.

use crate::error::Result;
use crate::expect::Revision;
use crate::version::{Setting, Version, Versioned};
use rpds::RedBlackTreeMapSync;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// Keys that exist. Persistent: a copy shares all with the original until either changes.
pub(crate) type Live = RedBlackTreeMapSync<Arc<str>, Arc<Version>>;

/// The keys of a prefix, or one key, as they were at one revision. Shares all with the store until that changes, and keeps the values of its revision.
#[derive(Clone)]
pub struct Snapshot {
    revision: Revision,
    prefix: Arc<str>,
    /// Also keys outside of the prefix.
    live: Live,
}

impl Snapshot {
    pub(crate) fn new(revision: Revision, prefix: Arc<str>, live: Live) -> Self {
        Self { revision, prefix, live }
    }

    /// When it was so.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Version>> {
        let from = self.live.range::<str, _>((Bound::Included(&*self.prefix), Bound::Unbounded));
        from.map(|(_, version)| version).take_while(|version| version.key().starts_with(&*self.prefix))
    }

    /// What a key was set to; none if it did not exist, or lies outside.
    pub fn version(&self, key: &str) -> Option<&Arc<Version>> {
        if key.starts_with(&*self.prefix) { self.live.get(key) } else { None }
    }

    /// The value of a key; none if it did not exist, or lies outside.
    ///
    /// # Errors
    /// Those of [`Version::get`].
    pub fn get<T: Setting>(&self, key: &str) -> Result<Option<Versioned<T>>> {
        let Some(version) = self.version(key) else { return Ok(None) };
        Ok(version.get()?.map(|value| Versioned::new(value, version.revision())))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(at {}, ", self.revision)?;
        f.debug_list().entries(self.iter()).finish()?;
        f.write_str(")")
    }
}
