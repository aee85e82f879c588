//! What settings take: `cargo xtask bench config`. Keys rotate and are formatted in the measured loop, as in the benches of configmesh, whose figures are the bars.
#![forbid(unsafe_code)]

mod alone;
mod beside;
mod report;
mod time;

use clap::Parser;
use time::Plan;

#[derive(Parser)]
#[command(
    name = "cargo xtask bench config",
    about = "get, set and watch of settings in process, alone and beside others"
)]
struct Args {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    json: bool,
    /// Batches of each row.
    #[arg(long, default_value_t = 1_000)]
    batches: usize,
    /// Calls of each batch: a batch is timed as a whole.
    #[arg(long, default_value_t = 1_000)]
    calls: usize,
    /// Only rows whose printed name has this.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let plan = Plan { batches: args.batches, calls: args.calls };
    let mut report = report::Report::new(args.only, args.json);
    alone::run(plan, &mut report)?;
    beside::run(plan, &mut report)?;
    report.end()
}
