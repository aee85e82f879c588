//! Entries with their places in the order.

/// A place in the order of entries. [`Applied::NONE`] stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The index, counted from 1.
    pub index: u64,
    /// The term in which the entry was proposed.
    pub term: u64,
}

impl Applied {
    /// Before the first entry.
    pub const NONE: Self = Self { index: 0, term: 0 };
}

/// An entry at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place.
    pub at: Applied,
    /// Its bytes: [`crate::Entry::encode`].
    pub entry: Vec<u8>,
}
