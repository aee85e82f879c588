//! The mesh beside etcd: `cargo xtask bench mesh`. Three processes of each in turns, on loopback and one disk, with fsync; the same generator over the same API.
#![forbid(unsafe_code)]

mod cluster;
mod failover;
mod load;
mod report;

use anyhow::{Result, bail};
use clap::Parser;
use cluster::{Cluster, Kind};
use load::What;
use report::Row;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(
    name = "cargo xtask bench mesh",
    about = "Writes, reads, watches and failovers of three processes, beside etcd's"
)]
struct Args {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds of each load; 0 leaves the loads out.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Rounds: ours and etcd's in turns; the medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Leaders that are killed, in all rounds together.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// The binary that is measured: `cargo build --release -p mayfly-cli --features full` makes it.
    #[arg(long, default_value = "target/release/mayfly")]
    mayfly: PathBuf,
    /// Only these: mayfly, etcd.
    #[arg(long, value_delimiter = ',', default_values = ["mayfly", "etcd"])]
    of: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let kinds = args.of.iter().map(|name| match name.as_str() {
        "mayfly" => Ok(Kind::Mayfly(std::path::absolute(&args.mayfly)?)),
        "etcd" => Ok(Kind::Etcd),
        other => bail!("{other} is neither mayfly nor etcd"),
    });
    let kinds: Vec<Kind> = kinds.collect::<Result<_>>()?;
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..args.rounds {
        for kind in &kinds {
            eprintln!("round {} of {}: {}", round + 1, args.rounds, kind.name());
            for (name, value) in measure(kind, &args).await? {
                report::add(&mut rows, &name, kind.name(), value);
            }
        }
    }
    report::print(&rows, args.json);
    Ok(())
}

/// One round of one kind: its rows, by name.
async fn measure(kind: &Kind, args: &Args) -> Result<Vec<(String, Vec<f64>)>> {
    let time = Duration::from_secs(args.seconds);
    let mut rows = Vec::new();
    if args.seconds > 0 {
        let cluster = Cluster::start(kind).await?;
        for clients in [1, 64, 256] {
            add(&mut rows, &format!("writes, {clients} clients"), load::run(&cluster, What::Put, clients, time).await?);
        }
        let reads = [("linearizable", What::Get), ("serializable", What::GetHere)];
        for (name, what) in reads {
            add(&mut rows, &format!("reads, {name}, 64 clients"), load::run(&cluster, what, 64, time).await?);
        }
        rows.push(("write acknowledged to event elsewhere, ms".into(), load::watch(&cluster, time).await?));
    }
    let kills = args.kills.div_ceil(args.rounds);
    if kills > 0 {
        rows.push(("leader killed to next commit, ms".into(), failover::run(kind, kills).await?));
    }
    Ok(rows)
}

fn add(rows: &mut Vec<(String, Vec<f64>)>, name: &str, loaded: load::Loaded) {
    rows.push((format!("{name}, 1/s"), vec![loaded.per_second]));
    rows.push((format!("{name}, ms"), loaded.ms));
    rows.push((format!("{name}, processor us of all members"), vec![loaded.cpu_us]));
}
