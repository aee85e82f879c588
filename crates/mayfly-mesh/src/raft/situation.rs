//! What changes seldom about a member. openraft's metrics change with every entry: whoever only waits for another leader would be woken by each.

use super::types::Id;

/// As far as this member knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Situation {
    pub(super) leader: Option<u64>,
    pub(super) term: u64,
    /// The entry that says who is a member.
    pub(super) members_of: Option<Id>,
    pub(super) is_ended: bool,
}
