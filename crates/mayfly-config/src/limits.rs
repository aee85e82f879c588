//! How much a store remembers.

/// Bytes of the longest key.
pub const MAX_KEY_BYTES: usize = 4_096;

/// How much a store remembers. A later version may know more of them: begin with [`Limits::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Versions of a key, the current one among them; 0 counts as 1.
    pub history: usize,
    /// Deleted keys whose history is kept; those deleted first go first.
    pub deleted_keys: usize,
    /// Changes that wait for one watcher; 0 counts as 1.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { history: 16, deleted_keys: 1_024, waiting: 1_024 }
    }
}
