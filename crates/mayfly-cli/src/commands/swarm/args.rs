//! The definitions of `mayfly node` and `mayfly swarm`.

use super::target::Target;
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Every option can also stand in the file given by --config, under the same name.
#[derive(Args, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeArgs {
    /// Folder of the node's key, trust list and memory; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where others reach this node, if not where it listens (needed with --listen 0.0.0.0:PORT)
    #[arg(long, value_name = "ADDR")]
    pub advertise: Option<SocketAddr>,
    /// Members to knock at, also by host name, and again while nobody is there
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub join: Vec<String>,
    /// Join token of `mayfly swarm token`, a file that has it, or - for standard input; for the first start only
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// File with the passphrase that seals the node's key (- is standard input) [default: the variable MAYFLY_PASSPHRASE]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Who talks to whom: mesh, ring, star, hierarchical or adaptive, the same at every member [default: mesh]
    #[arg(long, value_name = "NAME")]
    pub topology: Option<String>,
    /// Serve Prometheus metrics over HTTP here
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// Take part in the mesh of the swarm, which keeps what must never fork: join (with a vote), learner (without), found (a new one), anew (what this member had is lost) [default with --mesh: join, and found where the node is alone]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "join")]
    pub mesh: Option<MeshRole>,
    /// Serve etcd's API here, with --mesh [default: 127.0.0.1:2379]
    #[arg(long, value_name = "ADDR")]
    pub clients: Option<SocketAddr>,
    /// Serve --clients over TLS, with this certificate (PEM) and those that lead to the one that clients know
    #[arg(long, value_name = "FILE")]
    pub client_cert: Option<PathBuf>,
    /// The key of --client-cert (PEM)
    #[arg(long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Serve only clients with a certificate that is signed with one of these (PEM): its common name is the user
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// Serve --clients in clear where other machines reach it: passwords and values can be read on the way
    #[arg(long)]
    pub insecure_clients: bool,
    /// Take nothing more into the mesh once its keys and their history are this much, as 500MB or 8GiB; 0 is no bound [default: 2GiB]
    #[arg(long, value_name = "BYTES")]
    pub quota: Option<String>,
    /// Keep this much history of keys while this node leads: so many revisions, or so long, as 10000 or 1h [default: all]
    #[arg(long, value_name = "HOW MUCH")]
    pub compact_keep: Option<String>,
    /// Seconds for which a token of a client counts that is not used [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pub auth_token_ttl: Option<NonZeroU32>,
    /// How far members of the mesh are from each other, the same at every member: a leader that is gone is missed sooner where they are close, and one that is only slow is not where they are far [default: region]
    #[arg(long, value_name = "DISTANCE")]
    pub profile: Option<Distance>,
    /// What this node can do, in words that members see
    #[arg(long, value_name = "WORD,…", value_delimiter = ',')]
    pub capabilities: Vec<String>,
    /// Least important messages that are logged: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// Start with an empty memory although the node is a member: its memory.redb is lost. The others give back what they have
    #[arg(long)]
    #[serde(skip)]
    pub new_memory: bool,
    /// Options from a TOML file; those on the command line win
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// How a node takes part in the mesh.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeshRole {
    Join,
    Learner,
    Found,
    Anew,
}

/// How far members of the mesh are from each other.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// On one switch, on machines that have time to spare: another leader within 0.1 s
    Lan,
    /// Within a region: within 0.3 s
    Region,
    /// Around the world: within 2 s
    Wan,
}

#[derive(Subcommand, Debug)]
pub enum SwarmCommand {
    /// Show a running node, its members and its links
    Status {
        #[command(flatten)]
        target: Target,
        /// Show it anew every second until interrupted
        #[arg(long)]
        watch: bool,
    },
    /// List the members that a running node knows
    Members(Target),
    /// Make a token that lets one new node in
    Token {
        #[command(flatten)]
        target: Target,
        /// Minutes until it expires
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// Addresses where the new node finds this one [default: where this node is reached]
        #[arg(long, value_name = "ADDR,…", value_delimiter = ',')]
        contact: Vec<SocketAddr>,
        /// Write the token here, for your eyes only (mode 0600), instead of to standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Shut a member out for good
    Revoke {
        /// Its name, or enough of its beginning to tell it from the others (8 digits at least)
        node: String,
        /// Shut out whom it let in as well, and whom they let in
        #[arg(long)]
        with_admitted: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Read a value of the distributed memory, byte for byte
    Get {
        /// The key
        key: String,
        /// Write the value into this file
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Write a value into the distributed memory
    Put {
        /// The key
        key: String,
        /// The value, as text; - is standard input
        #[arg(required_unless_present = "file", conflicts_with = "file", allow_hyphen_values = true)]
        value: Option<String>,
        /// Take the value from this file, whatever bytes it has
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// List the keys of the distributed memory
    Keys {
        /// What the keys start with
        #[arg(long, default_value = "")]
        prefix: String,
        #[command(flatten)]
        target: Target,
    },
    /// Delete a key of the distributed memory
    Delete {
        /// The key
        key: String,
        #[command(flatten)]
        target: Target,
    },
    /// Print changes as they arrive, until interrupted
    Watch {
        /// What the keys start with
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show who talks to whom
    Topology(Target),
    /// Seal a node's key with a passphrase, unseal it, or change the passphrase
    #[command(subcommand)]
    Key(KeyCommand),
    /// Run real processes on this machine: writes, a kill, a restart, a cut; and say what was measured
    Demo(DemoArgs),
    /// Train one network on the rows of many nodes
    Learn(super::learn::args::LearnArgs),
    /// Run a whole swarm in simulated time, from one seed
    Simulate(SimulateArgs),
}

#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// Seal the key with a new passphrase
    Seal(KeyArgs),
    /// Keep the key without a passphrase
    Unseal(KeyArgs),
    /// Change the passphrase
    Passphrase(KeyArgs),
}

#[derive(Args, Debug)]
pub struct KeyArgs {
    #[command(flatten)]
    pub target: Target,
    /// File with the passphrase until now (- is standard input) [default: the variable MAYFLY_PASSPHRASE]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the new passphrase (- is standard input) [default: the variable MAYFLY_NEW_PASSPHRASE]
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Processes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(3..=32))]
    pub nodes: u16,
    /// Seconds of writes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(6..=3600))]
    pub seconds: u64,
    /// Share of packets to lose, 0 to 0.5
    #[arg(long, default_value_t = 0.0)]
    pub loss: f64,
    /// Who talks to whom
    #[arg(long, default_value = "mesh", value_name = "NAME")]
    pub topology: String,
    /// Draw members, links and the spread of one write
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// Nodes
    #[arg(long, default_value_t = 50)]
    pub nodes: usize,
    /// The seed: the same gives the same run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Who talks to whom: mesh, ring, star, hierarchical or adaptive
    #[arg(long, default_value = "mesh", value_name = "NAME")]
    pub topology: String,
    /// Share of packets to lose, 0 to 0.9
    #[arg(long, default_value_t = 0.0)]
    pub loss: f64,
}
