//! When leases are over. Which there are is state, and the same everywhere ([`crate::kv`]); how long each has left, only the leader knows.

mod clock;
mod deadlines;
mod drive;
mod lessor;

pub use clock::Clock;
pub(crate) use drive::{Host, ask, drive};
pub(crate) use lessor::Lessor;

use std::time::Duration;

/// How often what remains of leases is written down: etcd's time.
pub(crate) const CHECKPOINT: Duration = Duration::from_secs(5 * 60);

/// What a client asks about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseAsk {
    /// Its time begins anew.
    Renew(i64),
    /// How much is left?
    TimeToLive(i64),
}

/// The time of a lease, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTime {
    /// For how long it was granted.
    pub granted_s: i64,
    /// How much is left.
    pub remaining_s: i64,
}
