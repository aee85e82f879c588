//! The one writer of a store that follows another one.

use crate::error::Result;
use crate::expect::Revision;
use crate::fed::Fed;
use crate::store::{Store, Writer};
use std::fmt;
use std::sync::Arc;

/// Brings a store the changes of the one that it follows. When it is dropped, watchers are told that nothing more will come.
pub struct Feed {
    store: Arc<Store>,
}

impl Feed {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Up to where the store has followed.
    pub fn revision(&self) -> Revision {
        self.store.revision()
    }

    /// Makes the changes of one revision.
    ///
    /// # Errors
    /// [`crate::ConfigError::Backwards`] unless it comes after all that is here, [`crate::ConfigError::Key`]. Then nothing has changed.
    pub fn apply(&mut self, revision: Revision, changes: Vec<Fed>) -> Result<()> {
        self.store.feed(revision, changes)
    }

    /// Replaces the state by that at a revision: every key that exists, with the revision of its last change. All watchers lag.
    ///
    /// # Errors
    /// [`crate::ConfigError::Backwards`] if the state or a key in it is older than what is here, or a key newer than the state; [`crate::ConfigError::Key`].
    /// Then nothing has changed.
    pub fn load(&mut self, revision: Revision, state: Vec<(Revision, Fed)>) -> Result<()> {
        self.store.load(revision, state)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.store.close(Writer::Feed);
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed(at {})", self.revision())
    }
}
