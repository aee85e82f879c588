//! `cargo xtask gates`: what does not drift with the weather of the machine.
//!
//! - the stripped `mayfly` binary, built with the neural commands alone, stays under its limit;
//! - from its start to its first prediction it stays under another, far above what it takes;
//! - instructions per call under callgrind stay within the tolerance of `bench/gates.json`;
//! - allocations per call stay exactly what the file says, which is none.

mod binary;
mod calls;

use crate::process::{cargo, output, print, root};
use anyhow::{Context, Result, bail};
use calls::Counts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Write what the calls cost into bench/gates.json instead of comparing.
    #[arg(long)]
    update: bool,
}

/// `bench/gates.json`.
#[derive(Debug, Deserialize, Serialize)]
struct Gates {
    /// Largest size of the stripped binary.
    binary_bytes_max: u64,
    /// Longest time of `mayfly predict` on a small model, the best of several starts.
    start_ms_max: f64,
    /// Instructions may differ by this share.
    tolerance: f64,
    /// What one call of each case costs.
    calls: BTreeMap<String, Counts>,
}

const FILE: &str = "bench/gates.json";

pub(crate) fn run_gates(args: &Args) -> Result<()> {
    let mut gates = read()?;
    let mut broken = binary::check(&gates)?;
    if args.update {
        gates.calls = calls::measure_all()?;
        write(&gates)?;
    } else if gates.calls.is_empty() {
        print("gates: no calls are recorded yet, so none are counted: `cargo xtask gates --update` records them");
    } else {
        broken.extend(calls::compare(&gates, &calls::measure_all()?));
    }
    if !broken.is_empty() {
        bail!("gates: {}", broken.join("\n       "));
    }
    print("gates: all hold");
    Ok(())
}

fn read() -> Result<Gates> {
    let text = std::fs::read_to_string(root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    serde_json::from_str(&text).with_context(|| format!("{FILE} has an unexpected form"))
}

fn write(gates: &Gates) -> Result<()> {
    let text = serde_json::to_string_pretty(gates)? + "\n";
    std::fs::write(root().join(FILE), text).with_context(|| format!("cannot write {FILE}"))?;
    print(&format!("gates: wrote {FILE}"));
    Ok(())
}

/// Where the workspace of a manifest builds to.
pub(crate) fn target_folder(manifest: &str) -> Result<PathBuf> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--manifest-path", manifest];
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut cargo(&args))?)?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    folder.map(PathBuf::from).context("cargo metadata names no target directory")
}
