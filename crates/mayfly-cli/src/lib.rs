//! The `mayfly` command: small neural networks from a data file to a deployable model.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // it is a command line
#![allow(missing_docs)] // its interface is the command line

mod cli;
mod commands;
mod support;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use commands::{bench, model, train};
use std::process::ExitCode;
use support::ui::Ui;

/// Parses the arguments of this process and does what they ask for.
pub fn main() -> ExitCode {
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
        Command::Eval(args) => model::eval::eval(&args, ui),
        Command::Predict(args) => model::eval::predict(&args, ui),
        Command::Info(args) => model::info::info(&args.model, ui),
        Command::Convert(args) => model::convert::convert(&args.from, &args.to, ui),
        Command::Quantize(args) => model::quantize::quantize(&args, ui),
        Command::Bench => bench::bench(ui),
        #[cfg(feature = "swarm")]
        Command::Node(args) => commands::swarm::node::run(*args, ui),
        #[cfg(feature = "swarm")]
        Command::Swarm(command) => commands::swarm::run(command, ui),
        #[cfg(feature = "packs")]
        Command::Pack { command } => commands::pack::run(command, ui),
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
