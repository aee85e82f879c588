//! How long a life may be.
use crate::error::{LifeError, Result};
use mayfly_base::NodeId;
use std::time::Duration;

/// The bounds of a life. What is not said does not bound it; the default bounds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lease {
    /// From its birth to its end at the latest.
    pub ttl: Option<Duration>,
    /// The longest time without a call.
    pub idle: Option<Duration>,
    /// Calls that it answers.
    pub calls: Option<u64>,
    /// Whose it is. Stands in the certificate; whoever faces strangers checks callers against it.
    pub owner: Option<NodeId>,
}

impl Lease {
    /// Refuses bounds under which nothing could live.
    ///
    /// # Errors
    /// A time or a number of calls of zero.
    pub fn check(&self) -> Result<()> {
        let zero = |time: Option<Duration>| time == Some(Duration::ZERO);
        let what = match self {
            _ if zero(self.ttl) => "a ttl above zero",
            _ if zero(self.idle) => "an idle time above zero",
            Lease { calls: Some(0), .. } => "at least one call",
            _ => return Ok(()),
        };
        Err(LifeError::BadLease { what })
    }
}
