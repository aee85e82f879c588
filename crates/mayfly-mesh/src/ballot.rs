//! What a member has voted.

/// What a member has voted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) term: u64,
    pub(crate) member: u64,
    /// A majority did the same.
    pub(crate) is_elected: bool,
}
