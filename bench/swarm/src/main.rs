//! The swarm column measured: `cargo xtask bench swarm`.
#![forbid(unsafe_code)]

mod disk;
mod memory;
mod merge;
mod report;
mod rounds;
mod wire;

use anyhow::Result;
use cap::Cap;
use clap::Parser;
use report::Row;
use std::alloc::System;

/// Counts, so that bytes taken and allocations made are rows like any other.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

#[derive(Parser)]
#[command(name = "cargo xtask bench swarm", about = "Links, bytes, and what they are compared with")]
struct Args {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds of each measurement; medians are reported.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only these parts.
    #[arg(long, value_name = "PART,…", value_delimiter = ',', default_values = ["wire", "merge", "memory", "disk", "rounds"])]
    only: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    for part in &args.only {
        report::print(&rows_of(part, args.rounds)?, args.json);
    }
    Ok(())
}

fn rows_of(part: &str, rounds: usize) -> Result<Vec<Row>> {
    match part {
        "wire" => wire::rows(rounds),
        "merge" => merge::rows(rounds),
        "disk" => disk::rows(),
        "memory" => memory::rows(),
        "rounds" => rounds::rows(),
        _ => anyhow::bail!("there is no part {part}: wire, merge, memory, disk, rounds"),
    }
}
