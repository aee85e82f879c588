//! The times and sizes of consensus.

use crate::error::{MeshError, Result};
use openraft::{Config, SnapshotPolicy};
use std::sync::Arc;
use std::time::Duration;

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
            heartbeat_ms: 50,
            election_min_ms: 100,
            election_max_ms: 200,
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
