//! Which running node is meant.

use clap::Args;
use std::path::PathBuf;

/// Which running node is meant.
#[derive(Args, Debug, Clone)]
pub struct Target {
    /// The node's folder
    #[arg(long, value_name = "DIR", default_value = "mayfly-node")]
    pub data: PathBuf,
}
