//! Histories of what clients asked and were answered, and two checkers of whether they could have happened one after another.
#![allow(dead_code, reason = "each test uses a part of it")]

use mayfly_base::Rng;

pub mod kv;
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

const KEYS: u64 = 3;
/// Keys from here on hang on leases: they may go without a call.
pub const HELD: Key = 200;

impl What {
    /// Something to ask, with a value that nobody used; a swap expects what the newest answered call on its key found.
    pub fn random<'c>(rng: &mut Rng, value: Value, newest_first: impl Iterator<Item = &'c Call>) -> Self {
        let key = rng.below(KEYS) as u8;
        match rng.below(20) {
            0..7 => Self::Put(key, value),
            7 => Self::Delete(key),
            8..12 => {
                let mut on_key = newest_first.filter(|call| call.what.key() == key).filter_map(|call| call.answered);
                let found = on_key.next().and_then(|(_, answer)| answer.found);
                Self::Swap(key, found.map(|(value, _)| value), value)
            }
            _ => Self::Get(key),
        }
    }

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
