//! The `mayfly` binary: its size, and the time from its start to its first prediction.

use super::{Gates, target_folder};
use crate::process::{cargo, output, print, program, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Starts to take the best of: one of them meets no other work on the machine.
const STARTS: usize = 30;

/// Rows of exclusive or, in FANN's format.
const XOR: &str = "4 2 1\n0 0\n0\n0 1\n1\n1 0\n1\n1 1\n0\n";

/// Builds the binary and says which limits it breaks.
pub(super) fn check(gates: &Gates) -> Result<Vec<String>> {
    let binary = build()?;
    let bytes = std::fs::metadata(&binary).with_context(|| format!("cannot see {}", binary.display()))?.len();
    let start = first_prediction(&binary)?;
    let limits = [check_size(bytes, gates.binary_bytes_max), check_start(start, gates.start_ms_max)];
    let absent = [
        check_absent(&binary, "forecast", "forecast")?,
        check_absent(&binary, "run", "run")?,
        check_absent(&binary, "node", "swarm")?,
        check_absent(&binary, "pack", "packs")?,
    ];
    Ok(limits.into_iter().chain(absent).flatten().collect())
}

/// `target/release/mayfly` with the neural commands alone; the release profile strips it.
fn build() -> Result<PathBuf> {
    run(&mut cargo(&["build", "--release", "--package", "mayfly-cli", "--no-default-features"]))?;
    Ok(target_folder("Cargo.toml")?.join("release/mayfly"))
}

/// A command that a build lacks says which feature has it. No test sees that: tests are built with all features.
fn check_absent(binary: &Path, command: &str, feature: &str) -> Result<Option<String>> {
    let out = std::process::Command::new(binary).args([command, "--data", "x", "list"]).output();
    let out = out.with_context(|| format!("cannot start {}", binary.display()))?;
    let said = String::from_utf8_lossy(&out.stderr);
    let good = out.status.code() == Some(2) && said.contains(&format!("--features {feature}"));
    Ok((!good).then(|| format!("`mayfly {command}` of a small build does not say where it is: {said}")))
}

fn check_size(bytes: u64, limit: u64) -> Option<String> {
    print(&format!("binary mayfly, stripped: {bytes} bytes (limit {limit})"));
    (bytes > limit).then(|| format!("the binary has {bytes} bytes; the limit is {limit}"))
}

fn check_start(best: Duration, limit_ms: f64) -> Option<String> {
    let ms = best.as_secs_f64() * 1e3;
    print(&format!("start to first prediction: {ms:.2} ms (limit {limit_ms} ms)"));
    (ms > limit_ms).then(|| format!("the first prediction takes {ms:.2} ms; the limit is {limit_ms} ms"))
}

/// The whole of `mayfly predict` on a model just trained.
fn first_prediction(binary: &Path) -> Result<Duration> {
    let folder = target_folder("Cargo.toml")?.join("gates");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (data, model) = (folder.join("xor.data"), folder.join("xor.mayfly"));
    std::fs::write(&data, XOR).with_context(|| format!("cannot write {}", data.display()))?;
    let text = |path: &Path| path.to_str().map(String::from).context("the target directory is not UTF-8");
    let (binary, data, model) = (text(binary)?, text(&data)?, text(&model)?);
    output(&mut program(&binary, &["train", &data, "--epochs", "20", "--seed", "1", "-o", &model, "--json"]))?;
    let start = || {
        let start = Instant::now();
        output(&mut program(&binary, &["predict", &model, &data, "--json"]))?;
        Ok(start.elapsed())
    };
    let times: Vec<Duration> = (0..STARTS).map(|_| start()).collect::<Result<_>>()?;
    times.into_iter().min().context("no start was timed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_has_limits() {
        assert!(check_size(100, 100).is_none());
        assert!(check_size(101, 100).is_some());
        assert!(check_start(Duration::from_millis(10), 10.0).is_none());
        assert!(check_start(Duration::from_millis(11), 10.0).is_some());
    }
}
