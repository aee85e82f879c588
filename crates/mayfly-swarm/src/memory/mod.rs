//! The distributed memory: byte values by key, the last write wins, every member has all.

mod context;
mod gossip;
mod message;
mod record;
mod replica;
mod rumours;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

pub use context::Context;
pub use gossip::{Gossip, GossipConfig, Outgoing, Ticket};
pub use message::{MOST_BYTES, Message};
pub use record::{Change, Record, RecordId};
pub use replica::{MemoryLimits, Replica};
pub use tree::Tree;
