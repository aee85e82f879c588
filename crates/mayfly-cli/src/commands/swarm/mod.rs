//! `mayfly node` and `mayfly swarm`.

pub mod args;
mod client;
mod control;
mod demo;
mod folder;
mod key;
pub mod learn;
mod mesh;
mod metrics;
pub mod node;
mod picture;
pub mod relay;
mod simulate;
pub mod target;
mod upkeep;

pub use folder::KEY;
pub use key::passphrase;
pub use mesh::FOLDER as MESH;

use crate::support::ui::Ui;
use anyhow::Result;
use args::SwarmCommand;

/// A node, without what it does in the mesh.
type Node = mayfly_swarm::Runtime<mayfly_wire::Lane<mayfly_wire::Endpoint>>;

pub fn run(command: SwarmCommand, ui: Ui) -> Result<()> {
    match command {
        SwarmCommand::Simulate(args) => simulate::run(&args, ui),
        SwarmCommand::Demo(args) => demo::run(&args, ui),
        SwarmCommand::Key(command) => key::run(command, ui),
        SwarmCommand::Learn(args) => learn::run(args, ui),
        command => client::run(command, ui),
    }
}

/// Of sorted numbers; 0 of none.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
