//! Learning together at the command line: real processes on loopback.
#![cfg(feature = "swarm")]

mod nodes;

use nodes::{Process, assemble, until};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn mushroom() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mushroom.csv")
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mayfly")).args(args).output().unwrap()
}

fn mayfly(args: &[&str]) -> Value {
    let out = run(&[args, &["--json"]].concat());
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn refused(args: &[&str]) -> String {
    let out = run(args);
    assert!(!out.status.success() && out.stdout.is_empty(), "{args:?}");
    String::from_utf8(out.stderr).unwrap()
}

/// Three processes with unlike rows; one is killed with SIGKILL and comes back.
#[test]
fn processes_end_with_one_network_though_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, model) = (mushroom(), folder.path().join("together.mayfly"));
    let (data, model) = (data.to_str().unwrap(), model.to_str().unwrap());
    let args = ["swarm", "learn", data, "--target", "class", "--nodes", "3", "--split", "dirichlet:0.5"];
    let how = ["--mode", "fedavg", "--local-steps", "20", "--epochs", "6", "--kill", "1@0.2", "-o", model];
    let report = mayfly(&[&args[..], &how[..]].concat());
    assert_eq!(report["digests_equal"], true, "{report}");
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert!(number("accuracy") > 0.95 && number("accuracy_centralised") > 0.99, "{report}");
    assert!(number("gap_points") < 5.0 && number("accuracy_best_alone") > 0.5, "{report}");
    assert!(number("bytes_sent") > 1e5 && number("bytes_as_f32") > 1e5 && number("seconds") > 0.1, "{report}");
    assert_eq!(
        (&report["mode"], &report["nodes"], &report["split"]),
        (&json!("fedavg"), &json!(3), &json!("dirichlet:0.5"))
    );
    let rows: u64 = report["rows"].as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap()).sum();
    assert_eq!(rows, 6512, "the training rows, each at one node");
    let scores = mayfly(&["eval", model, data]);
    assert!(scores["test_accuracy"].as_f64().unwrap() > 0.95, "{scores}");
}

/// The same core and trainer in simulated time: a seed gives the same history and the same network.
#[test]
fn simulated_nodes_replay_by_their_seed() {
    let data = mushroom();
    let run = |seed: &str| {
        let args =
            ["swarm", "learn", data.to_str().unwrap(), "--target", "class", "--simulate", "6", "--mode", "fedavg"];
        mayfly(&[&args[..], &["--epochs", "2", "--local-steps", "10", "--no-compare", "--seed", seed]].concat())
    };
    let (first, again, other) = (run("1"), run("1"), run("2"));
    assert_eq!(first, again);
    assert!(first["history"].is_string() && first["digests_equal"] == true, "{first}");
    assert!(first["history"] != other["history"] && first["digest"] != other["digest"], "{other}");
    assert!(first["accuracy_centralised"].is_null() && first["accuracy"].as_f64().unwrap() > 0.9, "{first}");
}

/// Every second row of the mushrooms, from the first or the second on; the first half has none of the habitat "waste".
fn half(folder: &Path, which: usize) -> String {
    let text = std::fs::read_to_string(mushroom()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let is_here = |row: &&str| which == 1 || !row.ends_with(",waste");
    let rows: Vec<&str> = rows.lines().skip(which).step_by(2).filter(is_here).collect();
    let path = folder.join(format!("half-{which}.csv"));
    std::fs::write(&path, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    path.to_str().unwrap().to_owned()
}

fn progress(node: &Process) -> Value {
    node.ask(json!({ "ask": "learn", "learn": { "do": "progress" } }))["runs"][0].clone()
}

/// The nodes of a swarm, each with a file of its own. One is killed on the way, and goes on when it is started again.
#[test]
fn nodes_of_a_swarm_learn_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let port = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut nodes: Vec<Process> =
        (0..2).map(|i| Process::new(folder.path().join(format!("node-{i}")), port(), None)).collect();
    assemble(&mut nodes);
    let data = |i: usize| nodes[i].data.to_str().unwrap().to_owned();
    let (first, second) = (data(0), data(1));
    let start = ["swarm", "learn", "start", &half(folder.path(), 0), "--target", "class", "--node", &first];
    let started = mayfly(&[&start[..], &["--members", "2", "--local-steps", "5", "--rounds", "80"]].concat());
    let run = started["run"].as_str().unwrap();
    until("the other node knows the run", || {
        let out =
            self::run(&["swarm", "learn", "join", &run[..10], "--shard", &half(folder.path(), 1), "--data", &second]);
        out.status.success()
    });
    until("some rounds", || progress(&nodes[0])["round"].as_u64() >= Some(10));
    nodes[1].kill();
    nodes[1].start(None);
    until("the end", || nodes.iter().all(|node| progress(node)["is_over"] == true));
    assert_eq!(progress(&nodes[0])["state"], progress(&nodes[1])["state"]);
    assert_eq!(progress(&nodes[0])["members"], 2);
    let model = folder.path().join("together.mayfly");
    let model = model.to_str().unwrap();
    mayfly(&["swarm", "learn", "save", &run[..12], "-o", model, "--data", &second]);
    let scores = mayfly(&["eval", model, &half(folder.path(), 1)]);
    assert!(scores["test_accuracy"].as_f64().unwrap() > 0.97, "{scores}");
    let status = self::run(&["swarm", "learn", "status", "--data", &first]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains(&run[..10]) && status.contains("over") && status.contains("2 nodes"), "{status}");
    mayfly(&["swarm", "learn", "leave", &run[..10], "--data", &second]);
    until("the second to leave", || progress(&nodes[1])["has_left"] == true);
    let output = self::run(&["swarm", "learn", "save", "12345678", "-o", model, "--data", &first]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: no run's name starts with 12345678"), "{error}");
}

#[test]
fn what_makes_no_sense_is_refused_before_any_process_starts() {
    let data = mushroom();
    let learn =
        |more: &[&str]| refused(&[&["swarm", "learn", data.to_str().unwrap(), "--target", "class"], more].concat());
    for (more, says) in [
        (&["--kill", "5@1"][..], "processes 0 to 4"),
        (&["--kill", "x"], "expected NODE@SECONDS"),
        (&["--algorithm", "adamw"], "--algorithm adamw: mode auto trains by gradient descent"),
        (&["--mode", "best"], "auto, sync, local, fedavg, fedprox, fedadam"),
        (&["--split", "dirichlet:0"], "dirichlet:0.1"),
        (&["--nodes", "33"], "32"),
        (&["--schedule", "cosine"], "--schedule"),
        (&["--algorithm", "cascade"], "cascade"),
        (&["--local-steps", "0"], "--local-steps"),
        (&["--max-share", "0"], "--max-share"),
        (&["--outer-lr", "-1"], "--outer-lr"),
        (&["--mode", "local", "--algorithm", "rprop"], "FANN's algorithms"),
        (&["-o", data.to_str().unwrap()], "mushroom.csv"),
    ] {
        let error = learn(more);
        assert!(error.contains(says), "{more:?}: {error}");
    }
    let start = ["swarm", "learn", "start", data.to_str().unwrap(), "--target", "class", "--node", "/nowhere"];
    for (more, says) in [
        (&["-o", "m.mayfly"][..], "swarm learn save"),
        (&["--test", "t.csv"], "mayfly eval"),
        (&["--target", "colour"], "no column \"colour\""),
        (&["--outer-lr", "0"], "--outer-lr"),
        (&["--algorithm", "rprop"], "need all rows in one place"),
        (&["--schema", data.to_str().unwrap()], "mushroom.csv"),
        (&[], "no node runs in /nowhere"),
    ] {
        let error = refused(&[&start[..], more].concat());
        assert!(error.contains(says), "{more:?}: {error}");
    }
    let error = refused(&["swarm", "learn", "/nowhere.csv"]);
    assert!(error.contains("/nowhere.csv"), "{error}");
    let error =
        refused(&["swarm", "learn", "join", "12345678", "--shard", data.to_str().unwrap(), "--data", "/nowhere"]);
    assert!(error.contains("no node runs in /nowhere"), "{error}");
}
