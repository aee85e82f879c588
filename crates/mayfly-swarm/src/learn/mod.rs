//! Training together: one run at one node, without sockets, files and networks. `docs/design/learning.md` has the messages.
//!
//! - [`Learner`]: who closes rounds, with whom, and that a round has one result.
//! - [`shares`], [`Mean`], [`Outer`]: what the result is.
//! - [`sim`]: runs from one seed.

mod combine;
mod digest;
mod learner;
mod outer;
mod roster;
mod share;
pub mod sim;
mod types;

pub use combine::{Mean, shares_of};
pub use digest::Digest;
pub use learner::{Command, Kept, Learner, LearnerConfig};
pub use outer::{Outer, State};
pub use roster::{Roster, Seat};
pub use share::{shares, staleness};
pub use types::{Contribution, Exchange, Message, Proposal, Report, Term};
