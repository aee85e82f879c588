//! Who a member is.

use std::fmt;

/// Whose a file is. A member is named by the index of the entry that added it, so a number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster: drawn when it is founded.
    pub cluster: u64,
    /// The member.
    pub member: u64,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {:x} of cluster {:016x}", self.member, self.cluster)
    }
}
