//! What members say to each other.

use super::{Digest, Roster};
use alloc::vec::Vec;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};

/// Whose proposals count: the higher term's. Two nodes never have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term {
    /// Higher than any that its node had heard of.
    pub count: u64,
    /// Who asked for it.
    pub node: NodeId,
}

/// Who gets bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exchange {
    /// Everybody: each computes the result itself, and accepts only the one that it computed.
    All,
    /// The leader: the others fetch the result.
    Leader,
}

/// What a member contributes to a round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The round whose state it started from.
    pub round: u64,
    /// That state.
    pub parent: Digest,
    /// Who made it.
    pub node: NodeId,
    /// Rows that it was made from.
    pub rows: u64,
    /// Its body.
    pub body: Digest,
}

/// A contribution that counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Who made it.
    pub node: NodeId,
    /// Its body.
    pub body: Digest,
    /// Rows that it was made from.
    pub rows: u64,
    /// From a state of so many rounds before.
    pub staleness: u8,
}

/// How a round is to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Which round.
    pub round: u64,
    /// The state that it started from.
    pub parent: Digest,
    /// Whose proposal it is.
    pub term: Term,
    /// In the order of nodes.
    pub contributions: Vec<Contribution>,
    /// Who takes part from then on.
    pub roster: Roster,
    /// The state that comes of it.
    pub result: Digest,
}

/// Between members of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Where the sender stands: rounds that were decided, and the state after them. A leader says it every second.
    Here {
        /// Rounds that were decided.
        round: u64,
        /// The state after them.
        state: Digest,
        /// The highest term that the sender has promised itself to.
        term: Term,
        /// Does the sender lead in this term?
        leads: bool,
        /// Has the sender this state?
        has_state: bool,
    },
    /// A contribution.
    Report(Report),
    /// A node wants to lead this round and those after it.
    Prepare {
        /// The first.
        round: u64,
        /// In this term.
        term: Term,
    },
    /// Nothing of a lower term is accepted any more.
    Promise {
        /// Than this.
        term: Term,
        /// In this round.
        round: u64,
        /// What was accepted in the round so far.
        accepted: Option<Proposal>,
    },
    /// How a round is to end.
    Propose(Proposal),
    /// A proposal is on disk.
    Accept {
        /// Of this round.
        round: u64,
        /// Of this term.
        term: Term,
    },
    /// There is a higher term.
    Refuse {
        /// This one.
        term: Term,
    },
    /// How a round has ended.
    Decided(Proposal),
    /// A node wants to take part, with so many rows.
    Join {
        /// How many.
        rows: u64,
        /// Rounds that were decided, as far as it knows.
        round: u64,
    },
    /// A member goes for good.
    Leave,
}
