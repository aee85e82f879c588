//! What the commands do: one folder a group, each with its arguments, its work and its words.
pub mod bench;
#[cfg(feature = "forecast")]
pub mod forecast;
#[cfg(feature = "swarm")]
pub mod mesh;
pub mod model;
#[cfg(feature = "packs")]
pub mod pack;
#[cfg(feature = "swarm")]
pub mod registry;
#[cfg(feature = "run")]
pub mod run;
#[cfg(feature = "swarm")]
pub mod swarm;
pub mod train;
