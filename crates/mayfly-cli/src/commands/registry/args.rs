//! The definitions of `mayfly model`.

use crate::commands::mesh::Target;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum ModelCommand {
    /// Sign a model file and register it as the next version of NAME
    Push(PushArgs),
    /// Fetch a version into a file, after a look at its signature and its bytes
    Pull(PullArgs),
    /// Answer rows with the live version, and change over when another one goes live
    ///
    /// A canary answers its share, or is asked beside; one that breaks its guards is retired. A row is a line; answers come as the rows do, each with the
    /// version that made it.
    Predict(PredictArgs),
    /// Show models and their versions
    List {
        /// Only this model
        name: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Show what is known of a version
    Show(OneArgs),
    /// Show what happened to the versions of a model: what was live when
    Log {
        /// The model
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Make a version live: sessions change over to it, and what was live is kept for a rollback
    Promote(StageArgs),
    /// Try a version beside the live one, on some of the calls
    Canary(CanaryArgs),
    /// Make live again what was live before
    Rollback(RollbackArgs),
    /// Take a version out of use
    Retire(StageArgs),
    /// Give a version another name, as NAME@champion
    Alias {
        /// The model and version, as pumps@3
        which: Which,
        /// The other name
        alias: String,
        #[command(flatten)]
        target: Target,
    },
    /// Compare a file with what was signed
    Verify {
        /// The model and version, as pumps@3
        which: Which,
        /// The file
        file: PathBuf,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        target: Target,
    },
    /// Let go of the bytes of retired versions; those that a rollback may want are kept
    Gc {
        /// Only this model
        name: Option<String>,
        /// Keep so many of the latest versions of each
        #[arg(long, default_value_t = 3)]
        keep: u64,
        #[command(flatten)]
        target: Target,
    },
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    pub name: String,
    /// 0: by its alias.
    pub version: u64,
    /// "": the live one.
    pub alias: String,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        mayfly_mesh::models::check_name(name)?;
        Ok(match version.parse() {
            Ok(0) => return Err("versions begin with 1".into()),
            Ok(version) => Self { name: name.into(), version, alias: String::new() },
            Err(_) => Self { name: name.into(), version: 0, alias: version.into() },
        })
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, version, alias } = self;
        match (version, &alias[..]) {
            (0, "") => write!(f, "{name}@live"),
            (0, alias) => write!(f, "{name}@{alias}"),
            (version, _) => write!(f, "{name}@{version}"),
        }
    }
}

/// Whose signature counts.
#[derive(Args, Clone, Debug)]
pub struct Trust {
    /// The folder of a node of the swarm: its trust list says whose signature counts
    #[arg(long, value_name = "DIR", default_value = "mayfly-node")]
    pub data: PathBuf,
    /// Only this signer's signature counts (64 hexadecimal digits), whoever is on a trust list
    #[arg(long, value_name = "ID")]
    pub signer: Option<mayfly_base::NodeId>,
}

#[derive(Args, Debug)]
pub struct PushArgs {
    /// The model's name: lower-case letters, digits, dots, dashes and underscores
    pub name: String,
    /// The file; - is standard input
    pub file: PathBuf,
    /// Also a file that Mayfly cannot load: another program's model, a tokenizer, a table
    #[arg(long)]
    pub any_file: bool,
    /// The folder of a node of the swarm, whose key signs
    #[arg(long, value_name = "DIR", default_value = "mayfly-node")]
    pub data: PathBuf,
    /// File with the passphrase that seals the key (- is standard input) [default: the variable MAYFLY_PASSPHRASE]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// A figure that was measured; those in the model file are taken by themselves
    #[arg(long = "metric", value_name = "NAME=VALUE", value_parser = metric)]
    pub metrics: Vec<(String, f64)>,
    /// A version that it was trained on from, as pumps@2
    #[arg(long = "parent", value_name = "NAME@VERSION")]
    pub parents: Vec<String>,
    /// The run that made it
    #[arg(long, value_name = "TEXT")]
    pub run: Option<String>,
    /// The data that it was trained on: a name or a digest
    #[arg(long = "trained-on", value_name = "TEXT")]
    pub trained_on: Option<String>,
    /// The budget of differential privacy that was spent on it
    #[arg(long, value_name = "NUMBER")]
    pub epsilon: Option<f64>,
    /// The last day on which it may go live, as 2027-12-31
    #[arg(long, value_name = "DATE")]
    pub not_after: Option<String>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    #[command(flatten)]
    pub target: Target,
}

fn metric(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("a figure is NAME=VALUE")?;
    let value: f64 = value.parse().map_err(|_| format!("{value:?} is no number"))?;
    if value.is_finite() { Ok((name.into(), value)) } else { Err("a figure is finite".into()) }
}

#[derive(Args, Debug)]
pub struct PullArgs {
    /// The model and version, as pumps@3, pumps@champion; without one, the live one
    pub which: Which,
    /// Where it goes; - is standard output
    pub output: PathBuf,
    #[command(flatten)]
    pub trust: Trust,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub struct PredictArgs {
    /// The model
    pub name: String,
    /// Rows with a line of headings, as CSV; - is standard input, which is answered as it comes
    #[arg(default_value = "-")]
    pub rows: PathBuf,
    #[command(flatten)]
    pub trust: Trust,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub struct OneArgs {
    /// The model and version, as pumps@3; without one, the live one
    pub which: Which,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub struct StageArgs {
    /// The model and version, as pumps@3 or pumps@canary
    pub which: Which,
    /// Only if this version is live now; 0: none
    #[arg(long, value_name = "VERSION")]
    pub expect_live: Option<u64>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub struct CanaryArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    /// The share of calls that it answers, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub share: f64,
    /// Ask it beside the live one, whose answers count
    #[arg(long, conflicts_with = "share")]
    pub shadow: bool,
    /// Calls before a guard may judge it
    #[arg(long, value_name = "CALLS", default_value_t = 100)]
    pub least_calls: u32,
    /// It goes when more of its calls fail or are not finite, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub most_errors: f64,
    /// It goes when its p95 is more than so many percent of the live one's; 0: whatever it is
    #[arg(long, value_name = "PERCENT", default_value_t = 200)]
    pub most_p95: u32,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("between 0 and 100".into()) }
}

#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// The model
    pub name: String,
    /// Only if this version is live now
    #[arg(long, value_name = "VERSION")]
    pub expect_live: Option<u64>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    #[command(flatten)]
    pub target: Target,
}
