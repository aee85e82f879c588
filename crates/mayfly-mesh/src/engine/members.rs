//! Who is a member, as clients see it.

/// A member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Given once, and never again.
    pub id: u64,
    /// Empty for one that was never started.
    pub name: String,
    /// Where other members find it, and who it is.
    pub peers: Vec<String>,
    /// Where it serves clients.
    pub clients: Vec<String>,
    /// It has a vote; the others are learners.
    pub is_voter: bool,
}

/// A change of members. Where others find one is a URL: `mayfly://IDENTITY@ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A new one, as a learner.
    Add {
        /// Where it will be found, and who it is.
        peers: Vec<String>,
        /// It becomes a voter as soon as it has what the others have.
        wants_vote: bool,
    },
    /// A learner gets a vote.
    Promote(u64),
    /// It is found elsewhere.
    Update(u64, Vec<String>),
    /// It is taken out, for ever.
    Remove(u64),
}
