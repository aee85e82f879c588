//! `cargo xtask bench …`: builds and runs the benchmark workspace, which nothing else depends on.

use crate::process::{cargo, run};
use anyhow::Result;

pub(crate) fn run_bench(args: &[String]) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--"]);
    run(command.args(args))
}
