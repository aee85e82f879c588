//! A cluster of several: openraft behind the crate's `Engine`, over one database and one transport. `docs/design/mesh.md` says what holds.

mod codec;
mod config;
mod consensus;
mod cut;
mod desk;
mod follow;
mod forward;
mod hash;
mod inbox;
mod incoming;
mod join;
mod lease;
mod link;
mod log;
mod log_writer;
mod machine;
mod members;
mod orders;
mod pieces;
mod reach;
mod rounds;
mod situation;
mod spool;
mod state_writer;
mod types;

pub use config::{ConsensusConfig, Profile};
pub use consensus::Consensus;
pub use desk::DiskWork;
pub(crate) use inbox::is_readable;
pub use join::Arrival;
pub use link::MESH_TOPIC;
pub use orders::Surroundings;
pub use types::Seat;
