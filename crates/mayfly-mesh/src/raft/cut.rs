//! The log is cut when its entries have many bytes: openraft counts entries only.

use super::consensus::Shared;
use mayfly_wire::Transport;
use openraft::AsyncRuntime;
use std::time::Duration;

/// Between two looks at how long the log is.
const PAUSE: Duration = Duration::from_secs(1);

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Until the member ends.
    pub(super) async fn cut_log(self: std::sync::Arc<Self>) {
        let shelf = self.orders.shelf.clone();
        while R::timeout(PAUSE, self.ends()).await.is_err() {
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
