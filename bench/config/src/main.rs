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
    /// Only rows whose name has this.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let plan = Plan { batches: args.batches, calls: args.calls };
    let is_wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    report::head(args.json);
    let mut tell = |row: report::Row| report::row(&row, args.json);
    alone::run(plan, &is_wanted, &mut tell)?;
    beside::run(plan, &is_wanted, &mut tell)
}
