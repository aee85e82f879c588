//! The definition of `mayfly mesh import`.

use crate::commands::mesh::target::Target;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct ImportArgs {
    /// Where the source serves clients: etcd, or another mesh
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', required = true)]
    pub from: Vec<String>,
    /// Only keys that start with this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prefix: OsString,
    /// What stands in the place of --prefix here [default: the same]
    #[arg(long, value_name = "TEXT")]
    pub dest_prefix: Option<OsString>,
    /// End when what the source has now is here, instead of following it until interrupted
    #[arg(long)]
    pub once: bool,
    /// Delete what is here already under --dest-prefix and not at the source
    #[arg(long)]
    pub replace: bool,
    /// As whom to ask the source; without a password here, it is that of the variable MAYFLY_MESH_FROM_PASSWORD, or it is asked for
    #[arg(long, value_name = "NAME[:PASSWORD]")]
    pub from_user: Option<String>,
    /// The certificates (PEM) with which those of the source are signed: it is asked over TLS
    #[arg(long, value_name = "FILE")]
    pub from_cacert: Option<PathBuf>,
    /// A certificate of one's own (PEM), if the source asks for one
    #[arg(long, value_name = "FILE", requires_all = ["from_key", "from_cacert"])]
    pub from_cert: Option<PathBuf>,
    /// The key of --from-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "from_cert")]
    pub from_key: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

/// The password of --from-user.
const PASSWORD: &str = "MAYFLY_MESH_FROM_PASSWORD";

impl ImportArgs {
    /// How the source is asked.
    pub fn source(&self) -> Target {
        let login = self.from_user.clone().map(|user| match std::env::var(PASSWORD) {
            Ok(password) if !user.contains(':') => format!("{user}:{password}"),
            _ => user,
        });
        Target {
            endpoints: self.from.clone(),
            timeout_s: self.target.timeout_s,
            login,
            cacert: self.from_cacert.clone(),
            own_cert: self.from_cert.clone(),
            own_key: self.from_key.clone(),
        }
    }
}
