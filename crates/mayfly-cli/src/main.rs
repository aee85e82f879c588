//! The `mayfly` command: small neural networks from a data file to a deployable model.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // it is a command line

mod args;
mod bench;
mod convert;
mod convert_onnx;
mod data;
mod dot;
mod eval;
mod info;
mod metrics;
mod model;
#[cfg(feature = "packs")]
mod pack;
mod plot;
mod quantize;
mod scaling;
#[cfg(feature = "swarm")]
mod swarm;
mod train;
mod ui;

use anyhow::Result;
use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use std::process::ExitCode;
use ui::Ui;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {}", message(&e));
            ExitCode::FAILURE
        }
    }
}

/// The chain of causes, without those whose words the error above them repeats already.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        _ if text.ends_with(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

fn run(cli: Cli) -> Result<()> {
    let ui = Ui { json: cli.json };
    match cli.command {
        Command::Train(args) => train::train(*args, ui),
        Command::Eval(args) => eval::eval(&args, ui),
        Command::Predict(args) => eval::predict(&args, ui),
        Command::Info(args) => info::info(&args.model, ui),
        Command::Convert(args) => convert::convert(&args.from, &args.to, ui),
        Command::Quantize(args) => quantize::quantize(&args, ui),
        Command::Bench => bench::bench(ui),
        #[cfg(feature = "swarm")]
        Command::Node(args) => swarm::node::run(*args, ui),
        #[cfg(feature = "swarm")]
        Command::Swarm(command) => swarm::run(command, ui),
        #[cfg(feature = "packs")]
        Command::Pack { command } => pack::run(command, ui),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "mayfly", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(&dir)?;
            clap_mangen::generate_to(Cli::command(), &dir)?;
            ui.note(format!("man pages written to {}", dir.display()));
            Ok(())
        }
    }
}
