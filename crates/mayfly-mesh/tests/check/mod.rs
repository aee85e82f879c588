//! Histories of what clients asked and were answered, and two checkers of whether they could have happened one after another.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod revision;
pub mod search;

/// Keys are few, so that clients meet; values are never used twice.
pub type Key = u8;
pub type Value = u64;

/// A value and the revision that wrote it.
pub type Found = Option<(Value, i64)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Put(Key, Value),
    Delete(Key),
    /// Put if the key has this value, or none.
    Swap(Key, Option<Value>, Value),
    Get(Key),
}

impl What {
    pub fn key(self) -> Key {
        match self {
            Self::Put(key, _) | Self::Delete(key) | Self::Swap(key, ..) | Self::Get(key) => key,
        }
    }
}

/// An answer carries the revision of the state that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    pub revision: i64,
    /// It made this revision.
    pub wrote: bool,
    /// What was there before.
    pub found: Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub what: What,
    pub asked: u64,
    /// When, and what; or nobody knows.
    pub answered: Option<(u64, Answer)>,
}

/// What a revision changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    pub key: Key,
    pub value: Option<Value>,
}

/// What clients saw, and what the state says in the end: change `i` made revision `i + 2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub calls: Vec<Call>,
    pub changes: Vec<Change>,
}
