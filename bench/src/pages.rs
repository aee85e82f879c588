//! The tables in the documents, written by the run that measured them.

use crate::report::Row;
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The columns of the README's table.
const SHORT_PEERS: [(&str, &str); 4] =
    [("fann-c", "FANN (C)"), ("onnxruntime", "ONNX Runtime"), ("pytorch", "PyTorch"), ("tract", "tract")];

/// Replaces what stands between the markers of `docs/benchmarks.md` and `README.md`.
pub fn write(rows: &[Row]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let about = about(&root)?;
    between(root.join("docs/benchmarks.md"), &format!("{about}\n\n{}", full(rows)))?;
    between(root.join("README.md"), &format!("{}\n{about}\n", short(rows)))
}

/// Machine, commit and day.
fn about(root: &Path) -> Result<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").context("which processor this is")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism()?;
    let model = model.trim_start_matches([' ', '\t', ':']);
    let commit = said(root, "git", &["rev-parse", "--short", "HEAD"])?;
    let day = said(root, "date", &["-u", "+%Y-%m-%d"])?;
    Ok(format!("Measured on {model}, {cores} virtual cores, at commit `{commit}`, {day}."))
}

fn said(root: &Path, program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).current_dir(root).output().with_context(|| program.to_string())?;
    if !output.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_string())
}

/// Every row.
fn full(rows: &[Row]) -> String {
    let mut out =
        String::from("| case | peer | ours µs | peer µs | ratio | floor | |\n|---|---|---|---|---|---|---|\n");
    for row in rows {
        let ours = row.ours.map_or_else(|| "–".into(), |t| format!("{:.3}", t.best_us));
        let number = |v: Option<f64>| v.map_or_else(|| "–".into(), |v| format!("{v:.2}"));
        let verdict = if row.verdict() == "MISSED" { "**missed**" } else { row.verdict() };
        let (ratio, floor) = (number(row.ratio()), number(row.floor));
        let _ = writeln!(
            out,
            "| {} | {} | {ours} | {:.3} | {ratio} | {floor} | {verdict} |",
            row.case, row.peer, row.theirs.best_us
        );
    }
    out
}

/// How many times as long the best known peers take, a line for each case; tanh (FANN has no relu) and relu count as one case.
fn short(rows: &[Row]) -> String {
    let name = |row: &Row| row.case.trim_end_matches(" tanh").trim_end_matches(" relu").to_string();
    let mut cases: Vec<String> = Vec::new();
    for case in rows.iter().map(name) {
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    let heads: Vec<&str> = SHORT_PEERS.iter().map(|(_, head)| *head).collect();
    let mut out = format!("| | Mayfly | {} |\n|---|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for case in cases {
        let of_case = || rows.iter().filter(|row| name(row) == case);
        let cell = |peer: &str| of_case().find(|row| row.peer == peer).and_then(Row::ratio);
        let cells = SHORT_PEERS.map(|(peer, _)| cell(peer).map_or_else(|| "–".into(), |r| format!("{r:.1} ×")));
        if cells.iter().all(|cell| cell == "–") {
            continue;
        }
        let ours = of_case().filter_map(|row| row.ours).map(|t| t.best_us).fold(f64::INFINITY, f64::min);
        let _ = writeln!(out, "| {case} | {} | {} |", time(ours), cells.join(" | "));
    }
    out
}

fn time(us: f64) -> String {
    match us {
        us if us < 1.0 => format!("{:.0} ns", us * 1e3),
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 1000.0 => format!("{us:.0} µs"),
        us => format!("{:.1} ms", us / 1e3),
    }
}

const FROM: &str = "<!-- peers: written by cargo xtask bench peers --write -->\n";
const TO: &str = "<!-- /peers -->";

fn between(path: PathBuf, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let parts = text.split_once(FROM).and_then(|(before, rest)| Some((before, rest.split_once(TO)?.1)));
    let Some((before, after)) = parts else { bail!("{}: the markers {FROM:?} and {TO:?} are missing", path.display()) };
    Ok(std::fs::write(&path, format!("{before}{FROM}{table}{TO}{after}"))?)
}
