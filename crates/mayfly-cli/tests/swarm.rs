//! The swarm at the command line: real processes on loopback.
#![cfg(feature = "swarm")]

use serde_json::Value;
use std::process::Command;

fn mayfly(args: &[&str]) -> Value {
    let out = Command::new(env!("CARGO_BIN_EXE_mayfly")).args(args).arg("--json").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.trim().lines().count(), 1, "one object on standard output: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn simulate_prints_what_the_issue_asks_for() {
    let args = ["swarm", "simulate", "--nodes", "5", "--seed", "7", "--loss", "0.05"];
    let report = mayfly(&args);
    for name in ["rounds_to_converge", "converge_ms_p95", "bytes", "false_deaths", "detect_ms_p95", "seed"] {
        assert!(report[name].is_u64(), "{name}: {report}");
    }
    assert_eq!(report["replicas_equal"], true);
    assert_eq!(report, mayfly(&args), "a seed reproduces");
}

/// Five processes; one is killed with SIGKILL in the middle of its writes and restarted, a link is cut and healed.
#[test]
fn demo_loses_nothing_that_was_acknowledged() {
    let report = mayfly(&["swarm", "demo", "--nodes", "5", "--seconds", "12"]);
    assert_eq!(report["lost_acknowledged"], 0, "{report}");
    assert_eq!(report["replicas_equal"], true, "{report}");
    assert!(report["writes"].as_u64().unwrap() > 20, "{report}");
    assert!(report["handshake_ms_p50"].as_f64().unwrap() > 0.0, "{report}");
}
