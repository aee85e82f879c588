//! A value, and those who wait until it is as they want it. As tokio's `watch`, but whoever waits is woken in the order of coming: simulations need one order.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Bell<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Clone + PartialEq> Bell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> T {
        self.lock().clone()
    }

    /// Changes the value, and wakes those who wait if it is another one then.
    pub(crate) fn set(&self, set: impl FnOnce(&mut T)) {
        let is_new = {
            let mut value = self.lock();
            let before = value.clone();
            set(&mut value);
            *value != before
        };
        if is_new {
            self.changed.notify_waiters();
        }
    }

    /// Waits until the value is as wanted, and gives it.
    pub(crate) async fn wait_for(&self, mut is_wanted: impl FnMut(&T) -> bool) -> T {
        loop {
            let changed = self.changed.notified(); // before the look, so that no change is missed
            let value = self.get();
            if is_wanted(&value) {
                return value;
            }
            changed.await;
        }
    }

    /// Waits until it is another one than that.
    pub(crate) async fn changed_from(&self, known: &T) -> T {
        self.wait_for(|value| value != known).await
    }
}

#[cfg(test)]
mod tests {
    use super::Bell;
    use std::sync::Arc;

    /// Each waits for the very change that the other makes: one that is missed is missed for good.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_change_is_missed() {
        let bell = Arc::new(Bell::new(0u64));
        let play = |bell: Arc<Bell<u64>>, first: u64| async move {
            for turn in (first..20_000).step_by(2) {
                bell.wait_for(|value| *value == turn).await;
                bell.set(|value| *value += 1);
            }
        };
        let (one, other) = (tokio::spawn(play(bell.clone(), 0)), tokio::spawn(play(bell.clone(), 1)));
        one.await.expect("no panic");
        other.await.expect("no panic");
        assert_eq!(bell.changed_from(&7).await, 20_000);
    }
}
