//! Revisions, and what a change expects to find.

use std::fmt;

/// The number of a change, from 1 on. A store that has had none is at 0.
pub type Revision = u64;

/// What a change expects of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[default]
    Anything,
    /// It must not exist.
    Absent,
    /// It exists, and was last changed at this revision.
    At(Revision),
}

impl Expect {
    /// Whether it is so: `found` is the revision of the key if it exists.
    pub fn holds(self, found: Option<Revision>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => found.is_none(),
            Self::At(revision) => found == Some(revision),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("anything"),
            Self::Absent => f.write_str("no such key"),
            Self::At(revision) => write!(f, "revision {revision}"),
        }
    }
}
