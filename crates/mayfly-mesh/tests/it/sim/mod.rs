//! Whole clusters in one thread, on virtual time, from one seed.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod client;
pub mod lessee;
#[cfg(feature = "mutants")]
mod mutants;
pub mod net;
pub mod node;
pub mod runtime;
pub mod watcher;
pub mod world;
