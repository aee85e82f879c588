//! `cargo xtask bench …`: builds and runs the benchmark workspace, which nothing else depends on.

use crate::process::{cargo, run};
use anyhow::Result;

/// The rows of the swarm, the mesh, settings, learning together and lifecycles are packages of their own, so that they do not build the neural peers.
pub(crate) fn run_bench(args: &[String]) -> Result<()> {
    let (manifest, args) = match args.split_first() {
        Some((first, rest)) if first == "forecast" => return crate::bench_forecast::run_bench(rest),
        Some((first, rest)) if first == "config" => ("bench/config/Cargo.toml", rest),
        Some((first, rest)) if first == "swarm" => ("bench/swarm/Cargo.toml", rest),
        Some((first, rest)) if first == "mesh" => ("bench/mesh/Cargo.toml", rest),
        Some((first, rest)) if first == "learn" => ("bench/learn/Cargo.toml", rest),
        Some((first, rest)) if first == "lifecycle" => ("bench/lifecycle/Cargo.toml", rest),
        _ => ("bench/Cargo.toml", args),
    };
    let mut command = cargo(&["run", "--quiet", "--release", "--manifest-path", manifest, "--"]);
    run(command.args(args))
}
