//! Which tokens were used.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tokens that were used here since that was last said.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<BTreeSet<u64>>);

impl Used {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, index: u64) {
        self.lock().insert(index);
    }

    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }
}
