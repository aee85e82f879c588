//! The `mayfly` command: small neural networks from a data file to a deployable model.
#![forbid(unsafe_code)]
#![allow(missing_docs)] // its interface is the command line

mod cli;
mod commands;
mod support;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use commands::{bench, model, train};
use std::path::Path;
use std::process::ExitCode;
use support::exit::{Usage, end, end_parsing};
use support::input::is_dash;
use support::ui::Ui;

/// Parses the arguments of this process and does what they ask for.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => {
            let json = cli.json;
            end(run(cli), json)
        }
        // What was not understood may still say how it is to be answered.
        Err(error) => end_parsing(&error, std::env::args_os().any(|argument| argument == "--json")),
    }
}

fn run(cli: Cli) -> Result<()> {
    let ui = Ui { json: cli.json };
    match cli.command {
        Command::Train(args) => train::train(*args, ui),
        #[cfg(feature = "forecast")]
        Command::Forecast { command } => commands::forecast::run(command, ui),
        #[cfg(feature = "run")]
        Command::Run(args) => commands::run::run(*args, ui),
        Command::Eval(args) => model::eval::eval(&args, ui),
        Command::Predict(args) => model::eval::predict(&args, ui),
        Command::Info(args) => model::info::info(&args, ui),
        Command::Convert(args) => model::convert::convert(&args, ui),
        Command::Quantize(args) => model::quantize::quantize(&args, ui),
        Command::Bench => bench::bench(ui),
        #[cfg(feature = "swarm")]
        Command::Node(args) => commands::swarm::node::run(*args, ui),
        #[cfg(feature = "swarm")]
        Command::Swarm(command) => commands::swarm::run(command, ui),
        #[cfg(feature = "swarm")]
        Command::Mesh(command) => commands::mesh::run(command, ui),
        #[cfg(feature = "swarm")]
        Command::Model(command) => commands::registry::run(*command, ui),
        #[cfg(feature = "packs")]
        Command::Pack { command } => commands::pack::run(command, ui),
        #[cfg(not(feature = "forecast"))]
        Command::Forecast(_) => absent("forecast", "forecast"),
        #[cfg(not(feature = "run"))]
        Command::Run(_) => absent("run", "run"),
        #[cfg(not(feature = "swarm"))]
        Command::Node(_) => absent("node", "swarm"),
        #[cfg(not(feature = "swarm"))]
        Command::Swarm(_) => absent("swarm", "swarm"),
        #[cfg(not(feature = "swarm"))]
        Command::Mesh(_) => absent("mesh", "swarm"),
        #[cfg(not(feature = "swarm"))]
        Command::Model(_) => absent("model", "swarm"),
        #[cfg(not(feature = "packs"))]
        Command::Pack(_) => absent("pack", "packs"),
        Command::Completions { shell } => completions(shell),
        Command::Man { dir } => man(&dir, ui),
    }
}

/// A command that was left out of this build.
#[cfg(not(all(feature = "forecast", feature = "run", feature = "swarm", feature = "packs")))]
fn absent(command: &str, feature: &str) -> Result<()> {
    Err(Usage(format!(
        "this mayfly was built without `mayfly {command}`, which is in the feature {feature}: build it with \
         `cargo build --release --features {feature}`, or install all of it with `cargo install --path crates/mayfly-cli --features full`"
    ))
    .into())
}

/// Made in memory first: `clap_complete` panics when it cannot write.
fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mayfly", &mut script);
    support::ui::write_line(String::from_utf8_lossy(&script).trim_end())
}

fn man(dir: &Path, ui: Ui) -> Result<()> {
    if is_dash(dir) {
        return Err(Usage("the man pages are several files; name a folder instead of -".into()).into());
    }
    let write = || std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    write().with_context(|| format!("cannot write the man pages into {}", dir.display()))?;
    ui.note(format!("man pages written to {}", dir.display()));
    Ok(())
}
