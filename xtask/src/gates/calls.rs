//! What one call of each case in `bench/counts` costs.
//!
//! Instructions are counted twice, for fewer and for more calls, and subtracted: what is left is the calls alone.
//! Callgrind hides AVX-512, so cases run the AVX2 kernels.

use super::{FILE, Gates, target_folder};
use crate::process::{cargo, output, print, program, run};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Counts {
    instructions: u64,
    allocations: u64,
}

/// Callgrind is some 50 times slower than the machine: enough calls to be exact, few enough to be quick.
const FEWER_CALLS: u64 = 20;
const MORE_CALLS: u64 = 120;

/// Builds `bench/counts` and counts every case that it lists.
pub(super) fn measure_all() -> Result<BTreeMap<String, Counts>> {
    let target = target_folder("Cargo.toml")?;
    // Same folder and profile as the binary's, so that the dependencies they share are built once.
    let mut build = cargo(&["build", "--release", "--manifest-path", "bench/counts/Cargo.toml"]);
    run(build.arg("--target-dir").arg(&target).args(["--config", "profile.release.strip=true"]))?;
    let binary = target.join("release/counts");
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
pub(super) fn compare(gates: &Gates, measured: &BTreeMap<String, Counts>) -> Vec<String> {
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
        Gates { binary_bytes_max: 100, start_ms_max: 10.0, tolerance: 0.02, calls }
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
    fn callgrind_is_read() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 16482\n==7==\n"), Some(16482));
        assert_eq!(collected("valgrind: no such file"), None);
    }
}
