//! Training together: every node keeps its rows, trains, exchanges updates, and all end with the same network.
//!
//! - [`Run`] is the record of a training, with its [`Mode`]; its BLAKE3 is the run's id.
//! - [`Local`] is a node's own work on its own rows; [`Combine`] makes the next state of what the nodes sent. Both are `mayfly_nn`'s trainer underneath.
//! - [`Simulated`] runs any number of nodes in one process, from one seed; [`Hub`] is a real node, over a transport, with a folder.
//!
//! Who decides what a round came to is `mayfly_swarm::learn`. `docs/design/learning.md` has the whole.
#![forbid(unsafe_code)]

mod body;
mod call;
mod calls;
mod combine;
mod error;
mod how;
mod hub;
mod links;
mod local;
mod message;
mod mode;
mod pace;
mod participant;
mod progress;
mod run;
mod shard;
mod sim;
mod split;
mod state;
mod store;
mod worker;

pub use body::Body;
pub use call::{Call, CallId};
pub use combine::{Combine, Combined};
pub use error::{LearnError, Result};
pub use how::How;
pub use hub::{Hub, HubConfig};
pub use links::{Directory, TOPIC};
pub use local::Local;
pub use mode::Mode;
pub use pace::{Bounds, Pace};
pub use progress::Progress;
pub use run::{MEMBERS, Run, RunId};
pub use shard::{Cursor, Shard, read_shard};
pub use sim::Simulated;
pub use split::Split;
pub use state::{ModelState, Mover};
