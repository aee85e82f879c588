//! Keeps a member's [`Situation`], and waits for it.

use super::consensus::Shared;
use super::situation::Situation;
use mayfly_wire::Transport;
use openraft::AsyncRuntime;
use openraft::async_runtime::watch::WatchReceiver;
use std::sync::Arc;

impl<T: Transport, R: AsyncRuntime> Shared<T, R> {
    /// Keeps the situation, until the member has ended.
    pub(super) async fn follow_metrics(self: Arc<Self>) {
        let mut metrics = self.raft.metrics();
        let mut is_ended = false;
        while !is_ended {
            let situation = {
                let metrics = metrics.borrow_watched();
                Situation {
                    leader: metrics.current_leader,
                    term: metrics.current_term,
                    members_of: *metrics.membership_config.log_id(),
                    is_ended: metrics.running_state.is_err(),
                }
            };
            is_ended = situation.is_ended;
            let us = Some(self.links.member);
            if self.situation.get().leader == us && situation.leader != us {
                self.hear(); // until now it was led, by itself
            }
            self.situation.set(|known| *known = situation);
            is_ended |= metrics.changed().await.is_err();
        }
        self.situation.set(|known| known.is_ended = true);
    }

    /// Until the member has ended.
    pub(super) async fn ends(&self) {
        self.situation.wait_for(|situation| situation.is_ended).await;
    }

    /// Until somebody else leads.
    pub(super) async fn deposed(&self, leader: u64) {
        let is_over = |situation: &Situation| situation.leader != Some(leader) || situation.is_ended;
        self.situation.wait_for(is_over).await;
    }
}
