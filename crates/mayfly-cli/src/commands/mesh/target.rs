//! Which nodes a command asks.

use clap::{Args, value_parser};
use std::time::Duration;

/// Which nodes are asked.
#[derive(Args, Debug, Clone)]
pub struct Target {
    /// Where nodes serve clients: the first one that answers is asked
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', default_value = "127.0.0.1:2379")]
    pub endpoints: Vec<String>,
    /// Seconds to wait for an answer
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..=3600))]
    pub timeout_s: u64,
}

impl Target {
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}
