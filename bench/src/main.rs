//! Mayfly and its peers, timed side by side: `cargo xtask bench peers`.

mod cases;
mod contest;
mod data;
mod fann;
mod net;
mod onnx;
mod onnxruntime;
mod ours;
mod pages;
mod peak;
mod peers;
mod python;
mod report;
mod tract;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask bench", about = "Benchmarks against other libraries")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ours and theirs interleaved in one run, every answer checked before it is timed.
    Peers(peers::Args),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Peers(args) => peers::run(&args),
    }
}
