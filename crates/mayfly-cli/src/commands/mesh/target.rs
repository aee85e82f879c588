//! Which nodes a command asks, and as whom.

use clap::{Args, value_parser};
use std::path::PathBuf;
use std::time::Duration;

/// Which nodes are asked, and as whom.
#[derive(Args, Debug, Clone)]
pub struct Target {
    /// Where nodes serve clients: the first one that answers is asked
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', default_value = "127.0.0.1:2379")]
    pub endpoints: Vec<String>,
    /// Seconds to wait for an answer
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..=3600))]
    pub timeout_s: u64,
    /// As whom to ask; without a password here, it is that of the variable MAYFLY_MESH_PASSWORD, or it is asked for
    #[arg(long = "user", value_name = "NAME[:PASSWORD]")]
    pub login: Option<String>,
    /// The certificates (PEM) with which those of nodes are signed: they are asked over TLS
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// A certificate of one's own (PEM), for nodes that ask for one: its common name is the user
    #[arg(long = "cert", value_name = "FILE", requires_all = ["own_key", "cacert"])]
    pub own_cert: Option<PathBuf>,
    /// The key of --cert (PEM)
    #[arg(long = "key", value_name = "FILE", requires = "own_cert")]
    pub own_key: Option<PathBuf>,
}

impl Target {
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}
