//! What changes seldom about a member. openraft's metrics change with every entry: whoever only waits for another leader would be woken by each.

use super::consensus::Shared;
use super::types::Id;
use mayfly_wire::Transport;
use openraft::AsyncRuntime;
use openraft::async_runtime::watch::WatchReceiver;
use std::sync::Arc;

/// As far as this member knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Situation {
    pub(super) leader: Option<u64>,
    pub(super) term: u64,
    /// The entry that says who is a member.
    pub(super) members_of: Option<Id>,
    pub(super) is_ended: bool,
}

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
