//! One value, the last one written.

use super::{Crdt, Stamp};
use serde::{Deserialize, Serialize};

/// A value with the stamp of its writing; the higher `(stamp, value)` wins, so that even equal stamps end the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LwwRegister<T> {
    stamp: Stamp,
    value: T,
}

impl<T: Ord + Clone> LwwRegister<T> {
    /// A register with its first value.
    pub fn new(value: T, stamp: Stamp) -> Self {
        Self { stamp, value }
    }

    /// Writes, unless a higher stamp was here before. Returns the delta: the whole register.
    pub fn set(&mut self, value: T, stamp: Stamp) -> Self {
        self.merge(&Self { stamp, value });
        self.clone()
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// When, and by whom, it was written.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }
}

impl<T: Ord + Clone> Crdt for LwwRegister<T> {
    fn merge(&mut self, other: &Self) -> bool {
        let is_newer = (other.stamp, &other.value) > (self.stamp, &self.value);
        if is_newer {
            self.clone_from(other);
        }
        is_newer
    }
}
