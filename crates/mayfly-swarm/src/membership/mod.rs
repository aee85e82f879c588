//! Who is there: SWIM with suspicion, by `foca`, behind plain types.

mod meta;
mod swim;

pub use meta::{Metadata, Role};
pub use swim::{Member, MemberState, Membership, MembershipConfig, MembershipOutput};
