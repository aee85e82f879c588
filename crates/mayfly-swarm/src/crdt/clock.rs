//! Hybrid logical clocks: close to wall time, never backwards, and above everything seen.

use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// No stamp lies beyond this (the year 287,396): room to count on, and a mark for damaged ones.
pub const MAX_STAMP_MS: u64 = 1 << 53;

/// A point in the order of all updates of a swarm. Ordered by time, then count, then node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970, or what the clock had to say instead.
    pub ms: u64,
    /// Tells apart what happened in one millisecond.
    pub count: u32,
    /// Whose update it is.
    pub node: NodeId,
}

/// The hybrid logical clock of one node (Kulkarni et al. 2014).
///
/// ```
/// use mayfly_swarm::crdt::Clock;
/// let mut clock = Clock::new(mayfly_base::NodeId([1; 32]));
/// let first = clock.tick(1_000);
/// assert!(clock.tick(400) > first, "set back by 600 ms, and still forwards");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    last: Stamp,
}

impl Clock {
    /// A clock that has seen nothing.
    pub fn new(node: NodeId) -> Self {
        Self { last: Stamp { node, ..Stamp::default() } }
    }

    /// Goes on after a restart: `last` is the highest stamp that was kept.
    pub fn resume(node: NodeId, last: Stamp) -> Self {
        let mut clock = Self::new(node);
        clock.observe(last);
        clock
    }

    /// The stamp of an update made now, above every stamp made or seen before, whatever `now_ms` says; the same again when there is none above.
    pub fn tick(&mut self, now_ms: u64) -> Stamp {
        if now_ms.min(MAX_STAMP_MS) > self.last.ms {
            (self.last.ms, self.last.count) = (now_ms.min(MAX_STAMP_MS), 0);
        } else if let Some(count) = self.last.count.checked_add(1) {
            self.last.count = count;
        } else if self.last.ms < MAX_STAMP_MS {
            (self.last.ms, self.last.count) = (self.last.ms + 1, 0);
        }
        self.last
    }

    /// Takes note of a stamp of another node, or of an own one read from disk. One beyond [`MAX_STAMP_MS`] is not followed.
    pub fn observe(&mut self, seen: Stamp) {
        if seen.ms <= MAX_STAMP_MS && (seen.ms, seen.count) > (self.last.ms, self.last.count) {
            (self.last.ms, self.last.count) = (seen.ms, seen.count);
        }
    }

    /// The highest stamp made or seen, under this node's name: what [`Clock::resume`] wants back.
    pub fn last(&self) -> Stamp {
        self.last
    }
}
