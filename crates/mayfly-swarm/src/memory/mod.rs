//! The distributed memory: byte values by key, the last write wins, every member has all.

mod gossip;
mod message;
mod news;
mod record;
mod replica;
mod tombstones;
mod tree;

pub use gossip::{Gossip, GossipConfig, Outgoing, Ticket};
pub use message::Message;
pub use record::{Change, Record, RecordId};
pub use replica::{MemoryLimits, Replica};
pub use tree::Tree;
