//! What must never fork: configuration, who may join, which model is live. A durable key-value store that speaks etcd's v3 gRPC API, so that `etcdctl` and
//! etcd's client libraries work unchanged; alone or as a cluster of several ([`docs/design/mesh.md`](https://github.com/mayfly-nn/mayfly/blob/main/docs/design/mesh.md)).
//!
//! ```no_run
//! use mayfly_mesh::{Clients, Single, Store, modules, serve};
//!
//! # async fn node() -> mayfly_mesh::Result<()> {
//! let engine = Single::start(Store::open("/var/lib/mesh".as_ref(), modules())?)?;
//! let clients = Clients::loopback(2379).bind().await?;
//! serve(engine, clients, std::future::pending()).await
//! # }
//! ```
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as mayfly_mesh;

pub mod auth;
pub mod backup;
mod ballot;
mod bell;
mod cluster;
#[cfg(feature = "config")]
mod config;
mod engine;
mod entry;
mod error;
mod etcd_error;
#[doc(hidden)]
pub mod fuzz;
mod ids;
pub mod kv;
mod lease;
mod log;
mod logged;
mod member_file;
pub mod models;
mod module;
mod mutant;
pub mod proto;
mod raft;
pub mod recover;
mod refusal;
mod refused;
mod server;
mod store;
mod timing;
mod upkeep;
mod watch;

#[cfg(feature = "config")]
pub use config::{MeshConfig, MeshConfigError, MeshConfigResult};
pub use engine::{Engine, Member, MemberChange, Piece, PieceAsk, Single, Standing};
pub use entry::{Entry, FORMAT, Tag};
pub use error::{MeshError, Result};
pub use etcd_error::EtcdError;
pub use ids::Owner;
pub use lease::{Clock, LeaseAsk, LeaseTime};
pub use log::{LogDisk, SlotFile};
pub use logged::{Applied, Logged};
pub use module::{Emit, Fault, Module, Next, Refounding};
#[cfg(feature = "mutants")]
pub use mutant::Guard;
pub use raft::{Arrival, Consensus, ConsensusConfig, DiskWork, MESH_TOPIC, Profile, Seat, Surroundings};
pub use refused::{Refused, Why};
pub use server::{Bound, Clients, ETCD_LEVEL, InClear, MAX_REQUEST_BYTES, Tls, serve, serve_with};
pub use store::{Refound, Store};
pub use upkeep::{Keep, Pace, Upkeep, UpkeepConfig};
pub use watch::{Hub, Watching};

/// The state machines of a node: keys and values; models; users and roles.
pub fn modules() -> Vec<Box<dyn Module>> {
    vec![Box::new(kv::Kv), Box::new(models::Models), Box::new(auth::Auth)]
}
