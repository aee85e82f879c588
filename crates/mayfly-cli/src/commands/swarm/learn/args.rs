//! The definitions of `mayfly swarm learn`.

use crate::commands::swarm::target::Target;
use crate::commands::train::args::TrainArgs;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use mayfly_learn::{How, MEMBERS, Mode, Split};
use std::path::PathBuf;
use std::time::Duration;

pub const LEARN_EXAMPLES: &str = "\
Examples:
  mayfly swarm learn data/mushroom.csv --target class --nodes 5
  mayfly swarm learn data/mushroom.csv --target class --split dirichlet:0.1 --mode fedavg --kill 3@2s
  mayfly swarm learn start mine.csv --target class --members 3     # on a node of a swarm: prints the run
  mayfly swarm learn join RUN --shard mine.csv                     # on the others
  mayfly swarm learn save RUN -o together.mayfly";

/// A subcommand, or a data file with options.
#[derive(Debug)]
pub enum LearnArgs {
    Here(Box<DemoArgs>),
    There(LearnCommand),
}

impl FromArgMatches for LearnArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => LearnCommand::from_arg_matches(matches).map(Self::There),
            None => DemoArgs::from_arg_matches(matches).map(|args| Self::Here(Box::new(args))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for LearnArgs {
    fn augment_args(command: Command) -> Command {
        let command = LearnCommand::augment_subcommands(DemoArgs::augment_args(command));
        let about = "Train one network on the rows of many nodes: of a file, divided among processes of this machine, or, with start and join, of a swarm's nodes";
        let command = command.about(about).after_help(LEARN_EXAMPLES);
        command.subcommand_required(false).args_conflicts_with_subcommands(true).subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// On processes of this machine.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Processes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=MEMBERS as i64))]
    pub nodes: u16,
    /// How rows are divided: iid (at random), label (sorted by class), or dirichlet:A (the smaller A, the less alike nodes are)
    #[arg(long, default_value = "iid", value_name = "HOW")]
    pub split: Split,
    /// Instead of processes: so many nodes in simulated time, from --seed
    #[arg(long, value_name = "N", conflicts_with_all = ["nodes", "kill"], value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub simulate: Option<u16>,
    /// Kill a process (the first is 0) after some seconds, and start it again two seconds later
    #[arg(long, value_name = "NODE@SECONDS", value_delimiter = ',')]
    pub kill: Vec<Kill>,
    /// Do not train on all rows in one place, and at each node alone, to compare with
    #[arg(long)]
    pub no_compare: bool,
    #[command(flatten)]
    pub how: HowArgs,
    #[command(flatten, next_help_heading = "Training")]
    pub train: TrainArgs,
}

/// How nodes learn together.
#[derive(Args, Debug, Clone)]
pub struct HowArgs {
    /// Who exchanges what: auto (as local, by gradient descent and as often as rows differ, which is measured), local (some steps, then Nesterov's method on the mean of what changed, all to all), sync (the mean gradient of every step), fedavg, fedprox or fedadam (by way of a leader)
    #[arg(long, default_value = "auto", value_name = "MODE")]
    pub mode: Mode,
    /// Steps at each node between two exchanges; in mode auto the most of them [default: 50; 1 in mode sync]
    #[arg(long, value_name = "H")]
    pub local_steps: Option<u64>,
    /// Rate at which the mean of what changed is followed [default: 0.7 in modes auto and local, 0.01 in fedadam, 1 in fedavg and fedprox]
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    pub outer_lr: Option<f64>,
    /// Rounds [default: so many that all rows are passed --epochs times, which is 15 unless told]
    #[arg(long, value_name = "N")]
    pub rounds: Option<u64>,
    /// Close a round when so many have reported, instead of waiting for all that are up
    #[arg(long, value_name = "N")]
    pub min_reports: Option<usize>,
    /// Nobody counts for more of a round than this share, from three nodes on
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub max_share: f64,
}

impl HowArgs {
    /// The same, in the library's words.
    pub fn how(&self, epochs: Option<usize>) -> How {
        let HowArgs { mode, local_steps, outer_lr, rounds, min_reports, max_share } = *self;
        let epochs = epochs.map_or(How::default().epochs, |epochs| epochs as u64);
        How { mode, epochs, rounds, local_steps, outer_lr, min_reports, max_share }
    }
}

#[derive(Subcommand, Debug)]
pub enum LearnCommand {
    /// Begin a run on the nodes of a swarm: this node's rows are DATA, and the others join with theirs. What the rows of all are like (counts, means, categories, no row) is found out first
    Start(Box<StartArgs>),
    /// Take part in a run with the rows of a file
    Join {
        /// The run, or enough of its beginning (8 digits at least)
        run: String,
        /// This node's rows: a data file with the columns of the run
        #[arg(long, value_name = "DATA")]
        shard: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Show the runs that a node takes part in
    Status {
        #[command(flatten)]
        target: Target,
        /// Show it anew every second until interrupted
        #[arg(long)]
        watch: bool,
    },
    /// Leave a run for good: the others go on without this node
    Leave {
        /// The run, or enough of its beginning (8 digits at least)
        run: String,
        #[command(flatten)]
        target: Target,
    },
    /// Write the network that a run has come to
    Save {
        /// The run, or enough of its beginning (8 digits at least)
        run: String,
        /// Where the model goes
        #[arg(short, long, value_name = "MODEL")]
        output: PathBuf,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args, Debug)]
pub struct StartArgs {
    /// Begin when so many nodes are there, this one included; others may still join later
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=MEMBERS as i64))]
    pub members: u16,
    /// The node's folder
    #[arg(long = "node", value_name = "DIR", default_value = "mayfly-node")]
    pub node: PathBuf,
    /// Take the columns, categories, classes and scales of a model, and ask no node what its rows are like
    #[arg(long, value_name = "MODEL", conflicts_with = "from")]
    pub schema: Option<PathBuf>,
    #[command(flatten)]
    pub how: HowArgs,
    #[command(flatten, next_help_heading = "Training")]
    pub train: TrainArgs,
}

/// A process that is killed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    pub node: usize,
    pub after: Duration,
}

impl std::str::FromStr for Kill {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('@').and_then(|(node, seconds)| {
            let seconds: f64 = seconds.strip_suffix('s').unwrap_or(seconds).parse().ok()?;
            Some(Self { node: node.parse().ok()?, after: Duration::try_from_secs_f64(seconds).ok()? })
        });
        parsed.ok_or_else(|| format!("{text}: expected NODE@SECONDS, such as 3@10s"))
    }
}
