//! What a node does beside answering: it removes what was compacted, keeps to its quota, compacts by itself, and compares itself with the others.

mod compare;
mod condition;
mod pace;
mod retention;

pub(crate) use condition::Condition;
pub(crate) use condition::Reserved;
pub use pace::Pace;
pub(crate) use pace::Threads;
pub use retention::Keep;

use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::etcd_error::EtcdError;
use crate::kv::{self, Answer};
use crate::module::Fault;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::{AlarmRequest, AlarmType, CompactionRequest};
use crate::proto::meshpb::command::Request;
use crate::proto::meshpb::outcome::Response;
use redb::ReadTransaction;
use retention::Retention;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at what is to be done.
const LOOK: Duration = Duration::from_millis(100);
/// Between two turns at removing history, so that others get theirs.
const BREATH: Duration = Duration::from_millis(2);
/// Between two tries of what did not succeed.
const AGAIN: Duration = Duration::from_secs(1);

/// What a node is to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpkeepConfig {
    /// Bytes of rows from which on nothing that makes them more is taken. [`u64::MAX`]: no bound.
    pub quota_bytes: u64,
    /// How much history the leader keeps; none: all, until somebody compacts it.
    pub keep: Option<Keep>,
    /// How often the leader compares all members' histories.
    pub compare_every: Duration,
    /// Bytes that stay free on the disk for the log, deletions and compactions: when less is free, nothing that makes rows more is taken.
    pub free_bytes: u64,
}

impl Default for UpkeepConfig {
    /// 2 GiB, all history, ten minutes, 64 MiB.
    fn default() -> Self {
        Self { quota_bytes: 2 << 30, keep: None, compare_every: Duration::from_secs(10 * 60), free_bytes: 64 << 20 }
    }
}

/// The one who does it.
pub struct Upkeep<E, P> {
    engine: E,
    pace: P,
    config: UpkeepConfig,
    condition: Arc<Condition>,
}

/// Room that there must be before the alarm of a full disk is taken back, for 2 of room below which it is raised: it does not come and go with every file.
const ROOM_AGAIN: u64 = 3;

impl<E: Clone, P: Clone> Clone for Upkeep<E, P> {
    fn clone(&self) -> Self {
        let Self { engine, pace, config, condition } = self;
        Self { engine: engine.clone(), pace: pace.clone(), config: *config, condition: condition.clone() }
    }
}

impl<E: Engine, P: Pace> Upkeep<E, P> {
    /// For a node, at a pace.
    pub fn new(engine: E, pace: P, config: UpkeepConfig) -> Self {
        Self { engine, pace, config, condition: Arc::new(Condition::new(config.quota_bytes)) }
    }

    pub(crate) fn condition(&self) -> Arc<Condition> {
        self.condition.clone()
    }

    /// Until the node ends, or cannot go on for a reason that is returned.
    pub async fn run(&self) -> Option<MeshError> {
        let (removal, state, compaction, comparison) = (self.remove(), self.watch(), self.compact(), self.compare());
        let all = futures_util::future::try_join4(removal, state, compaction, comparison);
        all.await.err()
    }

    /// Reads from one state.
    async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&ReadTransaction) -> std::result::Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let engine = self.engine.clone();
        self.pace.aside(move || engine.store().read(act)).await
    }

    /// Brings a request into the order.
    async fn propose(&self, request: Request) -> Result<Answer<Response>> {
        let outcome = self.engine.propose(kv::entry_of_member(request)).await?;
        kv::outcome(&outcome).map_err(|_| MeshError::Stopped { reason: "an outcome cannot be read".into() })
    }

    fn own(&self) -> u64 {
        self.engine.store().owner().member
    }

    fn leads(&self) -> bool {
        self.engine.standing().is_ok_and(|standing| standing.leader == Some(self.own()))
    }

    /// Removes history that was compacted, a turn at a time.
    async fn remove(&self) -> Result<()> {
        loop {
            let engine = self.engine.clone();
            let is_more = self.pace.aside(move || engine.store().remove_history()).await?;
            if !self.pace.pause(if is_more { BREATH } else { LOOK }).await {
                return Ok(());
            }
        }
    }

    /// Keeps what is known of the state up to date, and raises the alarm when too much is in use.
    async fn watch(&self) -> Result<()> {
        let mut commits = self.engine.store().commits();
        let mut is_new = true;
        if self.engine.store().is_full_noted() {
            self.condition.note_raised_before();
        }
        loop {
            if is_new {
                commits.mark_unchanged();
                let (used, alarms) = self.read(|state| Ok((kv::used(state)?, kv::alarms(state)?))).await?;
                self.condition.note(self.own(), used, &alarms);
            }
            self.condition.note_leader(self.engine.standing().ok().and_then(|standing| standing.leader));
            self.look_at_disk().await?;
            let wait = if self.act().await { LOOK } else { AGAIN };
            if !self.pace.pause(wait).await {
                return Ok(());
            }
            is_new = commits.has_changed().unwrap_or(true);
            let is_for_disk = self.condition.is_for_disk();
            if is_for_disk != self.engine.store().is_full_noted() {
                self.engine.store().note_full(is_for_disk);
            }
        }
    }

    /// Does what the state asks for. False when that failed.
    async fn act(&self) -> bool {
        if self.condition.must_alarm() {
            return self.raise(self.own(), AlarmType::Nospace).await;
        }
        if self.condition.may_end_alarm() {
            tracing::info!("the disk has room again: takes the alarm back");
            let is_done = self.tell_alarm(AlarmAction::Deactivate, self.own(), AlarmType::Nospace).await;
            if is_done {
                self.condition.alarm_ended();
            }
            return is_done;
        }
        if self.condition.differs() && self.leads() {
            let voters = self.engine.members().into_iter().filter(|member| member.is_voter);
            let mut heirs = voters.map(|member| member.id).filter(|id| *id != self.own());
            return match heirs.next() {
                Some(heir) => matches!(self.engine.hand_over(heir).await, Ok(Ok(()))),
                None => true,
            };
        }
        true
    }

    async fn raise(&self, member_id: u64, alarm: AlarmType) -> bool {
        tracing::warn!(member = format!("{member_id:x}"), alarm = alarm.as_str_name(), "raises an alarm");
        self.tell_alarm(AlarmAction::Activate, member_id, alarm).await
    }

    async fn tell_alarm(&self, action: AlarmAction, member_id: u64, alarm: AlarmType) -> bool {
        let request = AlarmRequest { action: action.into(), member_id, alarm: alarm.into() };
        matches!(self.propose(Request::Alarm(request)).await, Ok(Ok(_)))
    }

    /// Is there room on the disk?
    async fn look_at_disk(&self) -> Result<()> {
        let engine = self.engine.clone();
        let Some(free) = self.pace.aside(move || Ok(engine.store().free_bytes())).await? else { return Ok(()) };
        let least = self.config.free_bytes;
        let was_full = self.condition.is_disk_full();
        let is_full = if was_full { free < least / 2 * ROOM_AGAIN } else { free < least };
        if is_full && !was_full {
            tracing::warn!(free, least, "hardly any room is left on the disk: nothing that grows is taken");
        }
        self.condition.note_disk(is_full);
        Ok(())
    }

    /// Compacts what is older than what is to be kept, while this member leads.
    async fn compact(&self) -> Result<()> {
        let Some(keep) = self.config.keep else { return Ok(()) };
        let mut retention = Retention::new(keep);
        while self.pace.pause(retention.every()).await {
            let kv::Clock { revision, compacted } = self.read(kv::clock).await?;
            let Some(upto) = retention.look(self.pace.now(), revision).filter(|upto| *upto > compacted) else {
                continue;
            };
            if !self.leads() {
                continue;
            }
            match self.propose(Request::Compaction(CompactionRequest { revision: upto, physical: false })).await {
                Ok(Ok(_)) => tracing::debug!(revision = upto, "compacted by itself"),
                Ok(Err(EtcdError::Compacted)) => {} // somebody else did
                Ok(Err(error)) => tracing::warn!(%error, "history is not compacted"),
                Err(error) => tracing::warn!(%error, "history is not compacted"),
            }
        }
        Ok(())
    }

    /// Compares the histories of all members, while this one leads.
    async fn compare(&self) -> Result<()> {
        while self.pace.pause(self.config.compare_every).await {
            if !self.leads() {
                continue;
            }
            for member in self.compare_now().await {
                tracing::error!(member = format!("{member:x}"), "its history differs from that of the others");
                self.raise(member, AlarmType::Corrupt).await;
            }
        }
        Ok(())
    }
}
