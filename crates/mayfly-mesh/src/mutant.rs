//! Guards that tests leave out, one at a time, to see that the checker of histories notices. Without the feature `mutants` none can be left out.

/// What keeps a history linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutants"), allow(dead_code, reason = "each place asks for its own"))]
#[non_exhaustive]
pub enum Guard {
    /// Entries are flushed before they count as kept.
    FlushBeforeAck,
    /// A vote is on disk before it is given.
    KeptVote,
    /// A reader waits for what was acknowledged before it asked.
    ReadIndex,
    /// A lease is renewed only after a majority has said who leads.
    RenewalByMajority,
    /// What was said to remain of a lease is taken back when that is renewed.
    CheckpointTakenBack,
    /// The applied index is in the transaction of its effect.
    IndexWithEffect,
    /// A leader answers readers after a majority has said that it leads.
    ReadByMajority,
    /// A proposal is not sent again when it may have been taken.
    ProposedOnce,
    /// The log forgets what the state on the disk has, and nothing else.
    FlushBeforePurge,
}

/// The guard that is left out, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    #[cfg(feature = "mutants")]
    pub(crate) guard: Option<Guard>,
}

impl LeftOut {
    #[cfg(feature = "mutants")]
    pub(crate) fn is(self, guard: Guard) -> bool {
        self.guard == Some(guard)
    }

    #[cfg(not(feature = "mutants"))]
    pub(crate) fn is(self, _: Guard) -> bool {
        false
    }
}
