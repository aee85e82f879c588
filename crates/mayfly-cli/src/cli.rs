//! The command line's definition: the parser, the help, the shell completions and the man pages all come from here.
use crate::commands::model::args::{ConvertArgs, EvalArgs, InfoArgs, PredictArgs, QuantizeArgs};
use crate::commands::train::args::{TRAIN_EXAMPLES, TrainArgs};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Small neural networks from the command line: train on a data file, evaluate, predict, convert, quantise.
#[derive(Parser, Debug)]
#[command(name = "mayfly", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Print exactly one JSON object on standard output; everything else goes to standard error
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train a network on a data file
    #[command(after_help = TRAIN_EXAMPLES)]
    Train(Box<TrainArgs>),
    /// Forecast series: train, predict, backtest, draw
    #[cfg(feature = "forecast")]
    Forecast {
        #[command(subcommand)]
        command: crate::commands::forecast::args::ForecastCommand,
    },
    /// Forecast series (in builds with the feature forecast)
    #[cfg(not(feature = "forecast"))]
    Forecast(Absent),
    /// Build a network for a task, let it answer, and dissolve it: nothing of it stays
    #[cfg(feature = "run")]
    #[command(after_help = crate::commands::run::args::RUN_EXAMPLES)]
    Run(Box<crate::commands::run::args::RunArgs>),
    /// Build a network for a task, let it answer, and dissolve it (in builds with the feature run)
    #[cfg(not(feature = "run"))]
    Run(Absent),
    /// Measure a trained network on a data file
    Eval(EvalArgs),
    /// Run a trained network over the rows of a data file
    Predict(PredictArgs),
    /// Say what a model file holds
    Info(InfoArgs),
    /// Convert between .mayfly/.safetensors, FANN .net, .onnx and .dot (by extension)
    Convert(ConvertArgs),
    /// Keep the weights in fewer bits, and report size, speed and accuracy before and after
    Quantize(QuantizeArgs),
    /// Measure this machine's kernels: nanoseconds, GFLOP/s and the share of the measured peak
    Bench,
    /// Run a node of a swarm: the first one founds it, others join with a token
    #[cfg(feature = "swarm")]
    Node(Box<crate::commands::swarm::args::NodeArgs>),
    /// Run a node of a swarm (in builds with the feature swarm)
    #[cfg(not(feature = "swarm"))]
    Node(Absent),
    /// Talk to a running node, watch a swarm of real processes, or simulate one
    #[cfg(feature = "swarm")]
    #[command(subcommand)]
    Swarm(crate::commands::swarm::args::SwarmCommand),
    /// Talk to a running node, or simulate a swarm (in builds with the feature swarm)
    #[cfg(not(feature = "swarm"))]
    Swarm(Absent),
    /// Talk to a running mesh: keys, watches, leases, members (any server of etcd's v3 API will do)
    #[cfg(feature = "swarm")]
    #[command(subcommand)]
    Mesh(crate::commands::mesh::args::MeshCommand),
    /// Talk to a running mesh (in builds with the feature swarm)
    #[cfg(not(feature = "swarm"))]
    Mesh(Absent),
    /// The registry of models that a mesh keeps: push, promote, try, roll back
    #[cfg(feature = "swarm")]
    #[command(subcommand)]
    Model(Box<crate::commands::registry::args::ModelCommand>),
    /// The registry of models that a mesh keeps (in builds with the feature swarm)
    #[cfg(not(feature = "swarm"))]
    Model(Absent),
    /// Signed packs of WebAssembly kernels: make, check, run, install, upgrade
    #[cfg(feature = "packs")]
    Pack {
        #[command(subcommand)]
        command: crate::commands::pack::PackCommand,
    },
    /// Signed packs of WebAssembly kernels (in builds with the feature packs)
    #[cfg(not(feature = "packs"))]
    Pack(Absent),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder
        dir: PathBuf,
    },
}

/// Whatever follows a command that this build has not.
#[cfg(not(all(feature = "forecast", feature = "run", feature = "swarm", feature = "packs")))]
#[derive(clap::Args, Debug)]
pub struct Absent {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}
