//! The times and sizes of consensus.

use crate::error::{MeshError, Result};
use openraft::{Config, SnapshotPolicy};
use std::sync::Arc;
use std::time::Duration;

/// How far members are from each other: how soon a leader that is gone is missed, and one that is only slow is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// On one switch, on machines that have time: another leader is sought after 65 to 80 ms.
    Lan,
    /// Within a region: after 225 to 300 ms.
    #[default]
    Region,
    /// Around the world: after 1.6 to 2 s.
    Wan,
}

/// Times and sizes. The defaults are for links within a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusConfig {
    /// Between two signs of life of a leader, in milliseconds.
    pub heartbeat_ms: u64,
    /// Without a sign of life for `election_max_ms` and then between so long ...
    pub election_min_ms: u64,
    /// ... and so long, a member asks to be the leader; each draws its own time.
    pub election_max_ms: u64,
    /// Entries until the log is cut again.
    pub log_cut_every: u64,
    /// Entries that are kept behind a cut, for members that are a little behind.
    pub log_keep: u64,
    /// Bytes of entries at which the log is cut before that ...
    pub log_bytes: u64,
    /// ... and bytes of them that are kept then.
    pub log_keep_bytes: u64,
    /// How long a proposal waits for an answer, in milliseconds, beyond two elections.
    pub request_ms: u64,
    /// How often what remains of leases is written down, in milliseconds: a new leader takes it from there.
    pub lease_checkpoint_ms: u64,
    /// Proposals and reads that may wait here at once.
    pub max_waiting: usize,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self {
            heartbeat_ms: 40,
            election_min_ms: 75,
            election_max_ms: 150,
            log_cut_every: 5_000,
            log_keep: 1_000,
            log_bytes: 64 << 20,
            log_keep_bytes: 16 << 20,
            request_ms: 5_000,
            lease_checkpoint_ms: crate::lease::CHECKPOINT.as_millis() as u64,
            max_waiting: 5_000,
        }
    }
}

impl ConsensusConfig {
    /// The times for a distance; sizes as by default.
    pub fn of(profile: Profile) -> Self {
        let (heartbeat_ms, election_min_ms, election_max_ms) = match profile {
            Profile::Lan => (12, 25, 40),
            Profile::Region => (40, 75, 150),
            Profile::Wan => (200, 600, 1_000),
        };
        Self { heartbeat_ms, election_min_ms, election_max_ms, ..Self::default() }
    }

    /// How long a leader is looked for: a minority says within this that it is one. An election begins when the leader's lease, which is as long as
    /// the longest wait, and a wait are over.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.election_max_ms.saturating_mul(4))
    }

    /// How long an answer is waited for.
    pub(super) fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms).saturating_add(self.patience())
    }

    /// A wait between two looks at whether something changed.
    pub(super) fn moment(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.max(2) / 2)
    }

    pub(super) fn openraft(&self, cluster: u64) -> Result<Arc<Config>> {
        let config = Config {
            cluster_name: format!("{cluster:016x}"),
            heartbeat_interval: self.heartbeat_ms,
            election_timeout_min: self.election_min_ms,
            election_timeout_max: self.election_max_ms,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.log_cut_every),
            max_in_snapshot_log_to_keep: self.log_keep,
            purge_batch_size: self.log_cut_every.clamp(1, 256),
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            ..Config::default()
        };
        let config = config.validate().map_err(|e| MeshError::Membership { reason: e.to_string() })?;
        Ok(Arc::new(config))
    }
}
