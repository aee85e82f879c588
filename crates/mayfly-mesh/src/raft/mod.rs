//! A cluster of several: openraft behind the crate's `Engine`, over one database and one transport. `docs/design/mesh.md` says what holds.

mod codec;
mod config;
mod consensus;
mod forward;
mod hash;
mod inbox;
mod incoming;
mod join;
mod lease;
mod link;
mod log;
mod machine;
mod members;
mod rounds;
mod spool;
mod types;
mod writer;

pub use config::ConsensusConfig;
pub use consensus::Consensus;
pub use join::Arrival;
pub use link::MESH_TOPIC;
pub use types::Seat;
pub use writer::{DiskWork, Surroundings};
