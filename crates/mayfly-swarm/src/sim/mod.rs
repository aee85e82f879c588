//! Whole swarms from one seed: the state machines of [`crate::Node`] over a network of events, with every fault that a network has.
//! The same configuration gives the same run, down to the byte.

mod measure;
mod ordeal;
mod queue;
mod world;

pub use measure::{SimReport, measure, rounds_to_reach};
pub use ordeal::{OrdealConfig, OrdealReport, ordeal};
pub(crate) use queue::Queue;
pub use world::{Sim, SimConfig};
