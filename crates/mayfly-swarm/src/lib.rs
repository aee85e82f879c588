//! Nodes that find each other and keep shared state without a coordinator.
//!
//! - [`crdt`]: replicated data types, for `no_std` with `alloc`; all that is there without the feature `std`.
//! - [`Membership`]: who is there. [`Topology`]: who talks to whom. [`Replica`]: the distributed memory. [`Node`]: the three as one state machine
//!   without sockets and clocks.
//! - [`sim`]: whole swarms from one seed. [`Runtime`]: the state machine over a transport, with a [`Disk`].
//!
//! Data flow and messages are described in `docs/design/swarm.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod crdt;
#[cfg(feature = "std")]
mod disk;
mod error;
#[cfg(feature = "std")]
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "std")]
pub mod learn;
#[cfg(feature = "std")]
pub mod membership;
#[cfg(feature = "std")]
pub mod memory;
#[cfg(feature = "std")]
mod node;
#[cfg(feature = "std")]
pub mod pages;
#[cfg(feature = "std")]
mod runtime;
#[cfg(feature = "std")]
pub mod sim;
#[cfg(feature = "std")]
pub mod topology;

#[cfg(feature = "std")]
pub use disk::{Batch, Disk, Loaded};
pub use error::{Result, SwarmError};
#[cfg(feature = "std")]
pub use membership::Membership;
#[cfg(feature = "std")]
pub use memory::Replica;
#[cfg(feature = "std")]
pub use node::{Node, NodeConfig, Now, Output, Traffic};
#[cfg(feature = "std")]
pub use runtime::{Changed, Runtime, RuntimeConfig, Status, Stop, Watched, Watcher};
#[cfg(feature = "std")]
pub use topology::Topology;
