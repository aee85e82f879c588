//! `cargo xtask test`: every test of the workspace, built once and run under each instruction set.

use crate::process::{FULL, cargo, program, root, run, say};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Crates whose suites are repeated under each instruction set: those where `MAYFLY_ISA` changes what runs.
const PER_ISA: &str = "package(mayfly-kernels) + package(mayfly-graph)";

/// Where proptest reads the seed of its cases.
const SEED: &str = "PROPTEST_RNG_SEED";

/// Every test; with a filter, only what `cargo nextest run` selects by it.
pub(crate) fn run_all(filter: &[String]) -> Result<()> {
    if !filter.is_empty() {
        let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
        return run(&mut nextest(&filter));
    }
    doctests()?;
    for isa in instruction_sets().iter().skip(1) {
        run(nextest(&["-E", PER_ISA]).env("MAYFLY_ISA", isa))?;
    }
    // Last, so that the closing summary a reader sees is the whole workspace's.
    run(&mut nextest(&[]))
}

/// The long suites: tests read `MAYFLY_HEAVY` and sweep whole ranges; proptest reads `PROPTEST_CASES` and draws other cases each night.
pub(crate) fn nightly() -> Result<()> {
    for isa in instruction_sets() {
        say(&format!("nightly: kernels under {isa}"));
        run(heavy(&["-E", PER_ISA]).env("MAYFLY_ISA", isa))?;
    }
    run(&mut heavy(&[]))?;
    torment()?;
    accuracy()
}

/// Half an hour of faults on real processes, disks, clocks and links, drawn from the day: needs strace, faketime and root.
pub(crate) fn torment() -> Result<()> {
    say("nightly: half an hour of faults for the mesh");
    let day = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() / 86_400;
    let program =
        ["run", "--quiet", "--release", "-p", "mayfly-cli", "--features", "full", "--", "mesh", "demo", "--json"];
    run(cargo(&program).args(["--faults", "all,flush,clock,full", "--seconds", "1800", "--seed", &day.to_string()]))
}

/// The errors of the families on public data, and beside those that NeuralForecast reached with the same settings.
fn accuracy() -> Result<()> {
    let data = std::env::var_os("MAYFLY_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let data = data.join("forecast");
    let folder = data.to_string_lossy();
    ensure!(data.is_dir(), "{folder} is no folder with series: MAYFLY_DATA says where the data is");
    let program = ["run", "--quiet", "--release", "-p", "mayfly-forecast", "--example", "accuracy", "--", &folder];
    say("nightly: errors on public data");
    run(&mut cargo(&program))?;
    run(cargo(&program).arg("gate"))
}

/// The backend of wasi-nn, which has its own workspace since it builds wasmtime with the component model; a guest of it in Rust.
pub(crate) fn wasi_nn() -> Result<()> {
    run(&mut program("rustup", &["target", "add", "wasm32-unknown-unknown"]))?;
    let manifest = ["--manifest-path", "bindings/wasi-nn/Cargo.toml"];
    run(cargo(&["clippy", "--all-targets"]).args(manifest).args(["--", "-D", "warnings"]))?;
    run(cargo(&["test"]).args(manifest).args(["--", "--include-ignored"]))
}

/// The checked-in code of the mesh is what its protos say. The compiler of protos has its own workspace, and needs `protoc`.
pub(crate) fn mesh_code() -> Result<()> {
    run(cargo(&["run", "--quiet", "--manifest-path", "crates/mayfly-mesh/codegen/Cargo.toml"]).args(["--", "--check"]))
}

fn doctests() -> Result<()> {
    run(cargo(&["test", "--doc", "--workspace", "--quiet"]).args(FULL))
}

fn nextest(args: &[&str]) -> Command {
    let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
    let mut command = cargo(&["nextest", "run", "--workspace", "--profile", profile]);
    command.args(FULL).args(args);
    // The same cases in every run: a change does not fail for a case that it did not cause. `cargo xtask nightly` draws new ones.
    if std::env::var_os(SEED).is_none() {
        command.env(SEED, "20261128");
    }
    command
}

fn heavy(args: &[&str]) -> Command {
    let mut command = cargo(&["nextest", "run", "--workspace", "--profile", "nightly", "--run-ignored", "all"]);
    command.args(FULL).args(args).env("MAYFLY_HEAVY", "1").env("PROPTEST_CASES", "20000");
    command
}

/// The instruction sets of this machine by the names `MAYFLY_ISA` takes, best first: the first is what runs unasked.
fn instruction_sets() -> Vec<&'static str> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
            sets.push("avx512");
        }
        if has!("avx2") && has!("fma") {
            sets.push("avx2");
        }
    }
    #[cfg(target_arch = "aarch64")]
    sets.push("neon");
    sets.push("scalar");
    sets
}
