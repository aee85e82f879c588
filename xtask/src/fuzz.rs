//! `cargo xtask fuzz`: every fuzz target under libFuzzer for a while.

use crate::process::{output, program, root, run, say};
use anyhow::{Context, Result};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
    /// Only targets whose name contains this.
    #[arg(long, value_name = "FILTER")]
    pub(crate) target: Option<String>,
}

impl Default for Args {
    fn default() -> Self {
        Args { seconds: 60, target: None }
    }
}

/// Fails at the first input that makes a target panic; cargo-fuzz says where it keeps it.
pub(crate) fn run_fuzz(args: &Args) -> Result<()> {
    output(&mut program("cargo", &["+nightly", "fuzz", "--version"]))
        .context("`rustup toolchain install nightly` and `cargo install --locked cargo-fuzz` first")?;
    let listed = output(program("cargo", &["+nightly", "fuzz", "list"]).current_dir(root().join("fuzz")))?;
    let wanted = |name: &&str| args.target.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let targets: Vec<&str> = listed.lines().map(str::trim).filter(wanted).collect();
    for target in &targets {
        // Without AddressSanitizer: the parsers forbid unsafe code, and a fuzzer several times as fast finds more panics.
        let limit = format!("-max_total_time={}", args.seconds);
        let args = [
            "+nightly",
            "fuzz",
            "run",
            "--sanitizer",
            "none",
            target,
            "--",
            &limit,
            "-rss_limit_mb=4096",
            "-timeout=25",
        ];
        run(&mut program("cargo", &args))?;
    }
    say(&format!("fuzz: {} targets, {} s each, nothing found", targets.len(), args.seconds));
    Ok(())
}
