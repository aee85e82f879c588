//! `cargo xtask gates`: counts that do not drift with the weather of the machine.
//!
//! - the stripped `mayfly` binary, built with the neural commands alone, stays under its limit;
//! - instructions per call under callgrind stay within the tolerance of `bench/gates.json`;
//! - allocations per call stay exactly what the file says, which is none.
//!
//! Instructions are counted twice, for fewer and for more calls, and subtracted: what is left is the calls alone.
//! Callgrind hides AVX-512, so cases run the AVX2 kernels.

use crate::process::{cargo, output, print, program, root, run};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Write what is measured into bench/gates.json instead of comparing.
    #[arg(long)]
    update: bool,
}

/// `bench/gates.json`.
#[derive(Debug, Deserialize, Serialize)]
struct Gates {
    /// Largest size of the stripped binary.
    binary_bytes_max: u64,
    /// A count may differ by this share.
    tolerance: f64,
    /// What one call of each case costs.
    calls: BTreeMap<String, Counts>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
struct Counts {
    instructions: u64,
    allocations: u64,
}

const FILE: &str = "bench/gates.json";
/// Callgrind is some 50 times slower than the machine: enough calls to be exact, few enough to be quick.
const FEWER_CALLS: u64 = 20;
const MORE_CALLS: u64 = 120;

pub(crate) fn run_gates(args: &Args) -> Result<()> {
    let mut gates = read()?;
    let mut broken = check_binary(binary_bytes()?, gates.binary_bytes_max).into_iter().collect::<Vec<_>>();
    let measured = measure_calls()?;
    if args.update {
        gates.calls = measured;
        write(&gates)?;
    } else {
        broken.extend(compare(&gates, &measured));
    }
    if !broken.is_empty() {
        bail!("gates: {}", broken.join("\n       "));
    }
    print("gates: all counts hold");
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

/// Size of `target/release/mayfly`; the release profile strips it.
fn binary_bytes() -> Result<u64> {
    let mut args = vec!["build", "--release", "--package", "mayfly-cli"];
    if has_neural_feature()? {
        args.extend(["--no-default-features", "--features", "neural"]);
    }
    run(&mut cargo(&args))?;
    let path = target_folder("Cargo.toml")?.join("release/mayfly");
    Ok(std::fs::metadata(&path).with_context(|| format!("cannot see {}", path.display()))?.len())
}

fn has_neural_feature() -> Result<bool> {
    let manifest: toml::Table = std::fs::read_to_string(root().join("crates/mayfly-cli/Cargo.toml"))?.parse()?;
    Ok(manifest.get("features").is_some_and(|features| features.get("neural").is_some()))
}

fn check_binary(bytes: u64, limit: u64) -> Option<String> {
    print(&format!("binary mayfly, stripped: {bytes} bytes (limit {limit})"));
    (bytes > limit).then(|| format!("the binary has {bytes} bytes; the limit is {limit}"))
}

fn target_folder(manifest: &str) -> Result<PathBuf> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--manifest-path", manifest];
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut cargo(&args))?)?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    folder.map(PathBuf::from).context("cargo metadata names no target directory")
}

/// Builds `bench/counts` and counts every case that it lists.
fn measure_calls() -> Result<BTreeMap<String, Counts>> {
    let manifest = "bench/counts/Cargo.toml";
    run(&mut cargo(&["build", "--release", "--manifest-path", manifest]))?;
    let binary = target_folder(manifest)?.join("release/counts");
    let binary = binary.to_str().context("the target directory is not UTF-8")?;
    let cases = output(&mut program(binary, &["list"]))?;
    cases.lines().map(|case| Ok((case.to_string(), measure(binary, case)?))).collect()
}

fn measure(binary: &str, case: &str) -> Result<Counts> {
    let (fewer, more) = (callgrind(binary, case, FEWER_CALLS)?, callgrind(binary, case, MORE_CALLS)?);
    let allocations = output(program(binary, &["run", case, "100"]).env("MAYFLY_ISA", "avx2"))?;
    let allocations: u64 = allocations.trim().parse().context("`counts run` prints the allocations of all calls")?;
    let counts = Counts {
        instructions: more.saturating_sub(fewer) / (MORE_CALLS - FEWER_CALLS),
        allocations: allocations.div_ceil(100),
    };
    print(&format!("{case}: {} instructions, {} allocations a call", counts.instructions, counts.allocations));
    Ok(counts)
}

fn callgrind(binary: &str, case: &str, calls: u64) -> Result<u64> {
    let calls = calls.to_string();
    let args = ["--tool=callgrind", "--callgrind-out-file=/dev/null", binary, "run", case, &calls];
    let mut command = program("valgrind", &args);
    // A bare environment: its size moves the stack, and with it a few instructions.
    let out = command.env_clear().env("MAYFLY_ISA", "avx2").output();
    let out = out.context("cannot start valgrind: `apt-get install valgrind`")?;
    let said = String::from_utf8_lossy(&out.stderr);
    collected(&said).with_context(|| format!("callgrind counted nothing for `{case}`:\n{said}"))
}

/// The total from callgrind's closing line `==1== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected : "))?;
    line.1.split_whitespace().next()?.parse().ok()
}

/// What does not hold.
fn compare(gates: &Gates, measured: &BTreeMap<String, Counts>) -> Vec<String> {
    let gone = gates.calls.keys().filter(|case| !measured.contains_key(*case));
    let gone = gone.map(|case| format!("`{case}` is in {FILE} and is measured no more"));
    gone.chain(measured.iter().filter_map(|(case, now)| compare_case(gates, case, *now))).collect()
}

fn compare_case(gates: &Gates, case: &str, now: Counts) -> Option<String> {
    let Some(before) = gates.calls.get(case) else {
        return Some(format!("`{case}` is new: `cargo xtask gates --update`"));
    };
    if now.allocations > before.allocations {
        return Some(format!("`{case}` allocates {} times a call, not {}", now.allocations, before.allocations));
    }
    let (took, takes) = (before.instructions as f64, now.instructions as f64);
    let change = format!("{:+.1} %", 100.0 * (takes / took - 1.0));
    if takes < took * (1.0 - gates.tolerance) {
        print(&format!("`{case}` became cheaper ({change}): `cargo xtask gates --update` keeps it"));
    }
    let slower = takes > took * (1.0 + gates.tolerance);
    slower.then(|| format!("`{case}` takes {takes} instructions a call, not {took} ({change})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(instructions: u64) -> Gates {
        let calls = [("a".to_string(), Counts { instructions, allocations: 0 })].into();
        Gates { binary_bytes_max: 100, tolerance: 0.02, calls }
    }

    fn measured(instructions: u64, allocations: u64) -> BTreeMap<String, Counts> {
        [("a".to_string(), Counts { instructions, allocations })].into()
    }

    #[test]
    fn within_the_tolerance_holds() {
        assert!(compare(&gates(1000), &measured(1020, 0)).is_empty());
        assert!(compare(&gates(1000), &measured(500, 0)).is_empty());
        assert_eq!(compare(&gates(1000), &measured(1021, 0)).len(), 1);
    }

    #[test]
    fn one_allocation_is_too_many() {
        assert!(compare(&gates(1000), &measured(1000, 1))[0].contains("allocates 1"));
    }

    #[test]
    fn cases_must_match_the_file() {
        assert!(compare(&gates(1), &BTreeMap::new())[0].contains("measured no more"));
        let mut none = gates(1);
        none.calls.clear();
        assert!(compare(&none, &measured(1, 0))[0].contains("is new"));
    }

    #[test]
    fn the_binary_has_a_limit() {
        assert!(check_binary(100, 100).is_none());
        assert!(check_binary(101, 100).is_some());
    }

    #[test]
    fn callgrind_is_read() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 16482\n==7==\n"), Some(16482));
        assert_eq!(collected("valgrind: no such file"), None);
    }
}
