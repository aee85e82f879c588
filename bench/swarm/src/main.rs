//! The swarm column measured: `cargo xtask bench swarm`.
#![forbid(unsafe_code)]

mod report;
mod wire;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask bench swarm", about = "Links, bytes, and what they are compared with")]
struct Args {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    json: bool,
    /// Rounds of each measurement; medians are reported.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let rows = wire::rows(args.rounds)?;
    report::print(&rows, args.json);
    Ok(())
}
