//! The definition of `mayfly pack`.
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum PackCommand {
    /// Make a signing key: DIR/secret.json (keep it) and DIR/public.json (give it away)
    Keygen {
        /// The folder
        dir: PathBuf,
        /// A name for people
        #[arg(long, default_value = "unnamed")]
        name: String,
    },
    /// Put a pack together from a folder with a kernels.json whose hashes are filled in
    Build {
        /// The folder with kernels.json and the modules
        dir: PathBuf,
        /// The pack to write: a folder
        #[arg(short, long, value_name = "PACK")]
        output: PathBuf,
        /// Replace what is there already: a signed pack (its signatures go), or files that no build has put there
        #[arg(long)]
        force: bool,
    },
    /// Sign a pack
    Sign {
        /// The pack
        pack: PathBuf,
        /// A secret key file, - for standard input
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check a pack: signatures, trust, manifest, versions, hashes, modules, and that each module compiles
    Verify(PackArg),
    /// Say what a pack holds; with --trust it is checked, and its kernels are asked what they are
    Inspect(PackArg),
    /// Run a kernel on .npy files
    Run(RunArgs),
    /// Measure every kernel against its native reference
    Bench(BenchArgs),
    /// Install a pack into the store
    Install(InstallArgs),
    /// Say what the store holds
    List(StoreArg),
    /// Replace an installed pack by a newer one, after its golden vectors pass
    Upgrade(InstallArgs),
    /// Go back to the previous pack
    Rollback {
        /// The pack's name
        name: String,
        #[command(flatten)]
        store: StoreArg,
    },
    /// Revoke a key, or one release of a pack
    Revoke(RevokeArgs),
    /// Compile one module for the process that has started this one
    #[command(hide = true)]
    Compile,
}

/// Engines.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum EngineName {
    /// Compiled
    Wasmtime,
    /// Interpreted
    Wasmi,
}

#[derive(Args, Debug)]
pub struct PackArg {
    /// The pack
    pub pack: PathBuf,
    /// A trust store or a public key file, - for standard input [default: the store's trust]
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(flatten)]
    pub pack: PackArg,
    /// The engine
    #[arg(long, value_enum, default_value = "wasmtime")]
    pub engine: EngineName,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub pack: PackArg,
    /// The kernel's id
    pub kernel: String,
    /// An input: a .npy file (- for standard input), or numbers as in x=[[1,2],[3,4]]
    #[arg(long = "input", value_name = "NAME=FILE.npy")]
    pub inputs: Vec<String>,
    /// Run kernel_backward: the gradients of the inputs from those of the outputs
    #[arg(long)]
    pub backward: bool,
    /// The gradient of an output, given as an input is
    #[arg(long = "gradient", value_name = "NAME=FILE.npy", requires = "backward")]
    pub gradients: Vec<String>,
    /// A parameter
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Where the first output goes, - for standard output; further ones go beside it as OUT.NAME.npy
    #[arg(short, long, value_name = "OUT.npy")]
    pub output: PathBuf,
    /// The engine
    #[arg(long, value_enum, default_value = "wasmtime")]
    pub engine: EngineName,
}

#[derive(Args, Debug)]
pub struct StoreArg {
    /// The store [default: $MAYFLY_PACKS, or mayfly/packs in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct InstallArgs {
    /// The pack
    pub pack: PathBuf,
    /// Keys to trust from now on: a trust store or a public key file, - for standard input
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Args, Debug)]
pub struct RevokeArgs {
    /// The pack's name
    #[arg(required_unless_present = "key", requires = "counter")]
    pub name: Option<String>,
    /// Which release: the counter in its manifest
    #[arg(long)]
    pub counter: Option<u64>,
    /// A key id (64 hex digits), to revoke everything that it signed
    #[arg(long, value_name = "KEY_ID", conflicts_with = "name")]
    pub key: Option<String>,
    /// Why
    #[arg(long, default_value = "no reason given")]
    pub reason: String,
    #[command(flatten)]
    pub store: StoreArg,
}
