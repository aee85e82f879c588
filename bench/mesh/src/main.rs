//! The mesh beside etcd: `cargo xtask bench mesh`. Three processes of each in turns, on loopback and one disk, with fsync; the same generator over the same API.
#![forbid(unsafe_code)]

mod cluster;
mod failover;
mod growth;
mod load;
mod models;
mod report;

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Kind, MEMBERS};
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
    /// Minutes of full load by 64 clients in which elections are counted, in the first round.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Keys that are written to see what they cost, in the first round.
    #[arg(long, default_value_t = 0)]
    keys: usize,
    /// Watchers beside those keys.
    #[arg(long, default_value_t = 10_000)]
    watchers: usize,
    /// Models that take each other's place on five of our nodes, in the first round.
    #[arg(long, default_value_t = 0)]
    models: usize,
    /// Only these: mayfly, mayfly-lan, etcd, etcd-tls.
    #[arg(long, value_delimiter = ',', default_values = ["mayfly", "etcd"])]
    of: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let kinds: Vec<Kind> = args.of.iter().map(|name| Kind::of(name, &args.mayfly)).collect::<Result<_>>()?;
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..args.rounds {
        for kind in &kinds {
            eprintln!("round {} of {}: {}", round + 1, args.rounds, kind.name());
            let mut measured = measure(kind, &args).await?;
            if round == 0 {
                measured.extend(measure_once(kind, &args).await?);
            }
            for (name, value) in measured {
                report::add(&mut rows, &name, kind.name(), value);
            }
        }
    }
    let columns: Vec<&str> = kinds.iter().map(Kind::name).collect();
    report::print(&rows, &columns, args.json);
    Ok(())
}

/// One round of one kind: its rows, by name.
async fn measure(kind: &Kind, args: &Args) -> Result<Vec<(String, Vec<f64>)>> {
    let time = Duration::from_secs(args.seconds);
    let mut rows = Vec::new();
    if args.seconds > 0 {
        let cluster = Cluster::start(kind, MEMBERS).await?;
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

/// What takes long.
async fn measure_once(kind: &Kind, args: &Args) -> Result<Vec<(String, Vec<f64>)>> {
    let mut rows = Vec::new();
    if args.minutes > 0 {
        let cluster = Cluster::start(kind, MEMBERS).await?;
        let before = cluster.term().await?;
        load::run(&cluster, What::Put, 64, Duration::from_secs(args.minutes * 60)).await?;
        let elections = cluster.term().await? - before;
        rows.push((format!("elections in {} min of full load", args.minutes), vec![elections as f64]));
    }
    if args.keys > 0 {
        rows.extend(growth::run(kind, args.keys, args.watchers).await?);
    }
    if let (Kind::Mayfly { binary, .. }, 1..) = (kind, args.models) {
        rows.extend(models::run(kind, binary, args.models).await?);
    }
    Ok(rows)
}

fn add(rows: &mut Vec<(String, Vec<f64>)>, name: &str, loaded: load::Loaded) {
    rows.push((format!("{name}, 1/s"), vec![loaded.per_second]));
    rows.push((format!("{name}, ms"), loaded.ms));
    rows.push((format!("{name}, processor us of all members"), vec![loaded.cpu_us]));
}
