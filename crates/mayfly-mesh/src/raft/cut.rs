//! The log is cut when its entries have many bytes: openraft counts entries only. And a member with nothing to do notes what is committed.

use super::consensus::Shared;
use super::log_writer::LogOrder;
use crate::logged::Applied;
use mayfly_wire::Transport;
use openraft::AsyncRuntime;
use std::time::Duration;

/// Between two looks at how long the log is.
const PAUSE: Duration = Duration::from_secs(1);

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Until the member ends.
    pub(super) async fn cut_log(self: std::sync::Arc<Self>) {
        let shelf = self.orders.shelf.clone();
        let mut rest = Rest::default();
        while R::timeout(PAUSE, self.ends()).await.is_err() {
            if self.orders.store.applied().is_ok_and(|applied| rest.is_due(applied)) {
                self.orders.log(LogOrder::Note);
            }
            if shelf.bytes() < self.config.log_bytes {
                continue;
            }
            let upto = shelf.first_of_last(self.config.log_keep_bytes).saturating_sub(1);
            let trigger = self.raft.trigger();
            // The snapshot may not be there yet when the log is to be cut; a second later it is.
            if trigger.snapshot().await.is_err() || trigger.purge_log(upto).await.is_err() {
                return;
            }
        }
    }
}

/// What is committed is written with the entries that come after. When nothing was applied since the last look, it is time to write it without any: so
/// a member that is killed then, and recovered alone, knows all that was acknowledged.
#[derive(Default)]
struct Rest {
    seen: Applied,
    noted: Applied,
}

impl Rest {
    fn is_due(&mut self, applied: Applied) -> bool {
        let is_still = std::mem::replace(&mut self.seen, applied) == applied;
        is_still && std::mem::replace(&mut self.noted, applied) != applied
    }
}

#[cfg(test)]
mod tests {
    use super::{Applied, Rest};

    #[test]
    fn a_rest_is_noted_once() {
        let mut rest = Rest::default();
        let looks = [1, 2, 2, 2, 3, 4, 4, 4].map(|index| rest.is_due(Applied { index, term: 1 }));
        assert_eq!(looks, [false, false, true, false, false, false, true, false]);
    }
}
