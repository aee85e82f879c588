//! The swarm at the command line: real processes on loopback.
#![cfg(feature = "swarm")]

mod nodes;

use nodes::{Process, assemble, until, until_assembled, until_equal};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

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

/// Writes until the node is gone; the keys that were acknowledged.
fn write_until_killed(node: &Process, round: usize) -> JoinHandle<Vec<String>> {
    let (mut line, name) = (node.line(), node.data.file_name().unwrap().to_string_lossy().into_owned());
    std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        for i in 0.. {
            let key = format!("{name}/{round}/{i}");
            let ask = json!({ "ask": "put", "key": key, "value": format!("value of {key}") });
            match line.ask(&ask) {
                Some(answer) if answer["stored"] == true => acknowledged.push(key),
                _ => break,
            }
        }
        acknowledged
    })
}

fn free_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn node(folder: &Path, i: usize) -> Process {
    Process::new(folder.join(format!("node-{i}")), free_port(), None)
}

/// SIGKILL in the middle of writes, of one node and of all of them at once: nobody then has it but the disk.
#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes: Vec<Process> = (0..3).map(|i| node(folder.path(), i)).collect();
    assemble(&mut nodes);
    let mut all = Vec::new();
    for round in 0..4 {
        let victims = if round % 2 == 0 { 1..2 } else { 0..3 };
        let writers: Vec<_> = nodes[victims.clone()].iter().map(|node| write_until_killed(node, round)).collect();
        std::thread::sleep(Duration::from_millis(150 + 37 * round as u64));
        nodes[victims.clone()].iter_mut().for_each(Process::kill);
        let acknowledged: Vec<Vec<String>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        for (node, keys) in nodes[victims.clone()].iter_mut().zip(&acknowledged) {
            assert!(!keys.is_empty(), "nothing was written in round {round}");
            node.start(None);
            assert!(keys.iter().all(|key| node.has(key)), "round {round}: its own disk lacks what was acknowledged");
        }
        all.extend(acknowledged.into_iter().flatten());
        until_assembled(&nodes);
    }
    until_equal(&nodes);
    let lost = all.iter().filter(|key| nodes.iter().any(|node| !node.has(key))).count();
    assert_eq!(lost, 0, "of {}", all.len());
}

/// After a power cut everybody has a new address, and nobody is up when the first starts: a name is enough.
#[test]
fn nodes_find_each_other_by_name_when_every_address_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes: Vec<Process> = (0..2).map(|i| node(folder.path(), i)).collect();
    assemble(&mut nodes);
    nodes.iter_mut().for_each(Process::kill);
    let [first, second] = &mut nodes[..] else { panic!("two nodes") };
    (first.listen, second.listen) = (free_port(), free_port());
    first.join = Some(second.listen.replace("127.0.0.1", "localhost"));
    first.start(None);
    assert_eq!(first.alive(), 0);
    second.start(None);
    until_assembled(&nodes);
}

/// Network namespaces on a bridge, gone with the test.
struct Bridge(Vec<String>);

impl Drop for Bridge {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// Without the right to make namespaces this fails, and says so: it is no test that may be missing without a word.
fn ip(args: &str) {
    let done = Command::new("ip").args(args.split(' ')).output();
    let done = done.unwrap_or_else(|e| panic!("`ip` cannot be run ({e}): this test needs iproute2"));
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "`ip {args}`: {error}this test needs root, to make network namespaces");
}

impl Bridge {
    /// A hub and `count` namespaces with one address each, 10.77.0.1 and on.
    fn new(count: usize) -> Self {
        let name = |what: &str| format!("mf-{}-{what}", std::process::id());
        let hub = name("hub");
        let mut bridge = Self(Vec::new());
        ip(&format!("netns add {hub}"));
        bridge.0.push(hub.clone());
        ip(&format!("-n {hub} link add br0 type bridge"));
        ip(&format!("-n {hub} link set br0 up"));
        for i in 1..=count {
            let namespace = name(&i.to_string());
            ip(&format!("netns add {namespace}"));
            bridge.0.push(namespace.clone());
            ip(&format!("-n {hub} link add v{i} type veth peer name eth0 netns {namespace}"));
            ip(&format!("-n {hub} link set v{i} master br0 up"));
            ip(&format!("-n {namespace} addr add 10.77.0.{i}/24 dev eth0"));
            ip(&format!("-n {namespace} link set eth0 up"));
            ip(&format!("-n {namespace} link set lo up"));
        }
        bridge
    }

    fn set(&self, i: usize, state: &str) {
        ip(&format!("-n {} link set v{i} {state}", self.0[0]));
    }

    fn process(&self, i: usize, folder: &Path) -> Process {
        let (data, listen) = (folder.join(format!("node-{i}")), format!("10.77.0.{i}:7000"));
        Process::new(data, listen, Some(self.0[i].clone()))
    }
}

/// Three hosts of their own; the cable of one is pulled, both sides write, it is put back.
#[test]
#[ignore = "nightly"]
fn a_link_between_namespaces_is_cut_and_healed() {
    let (folder, bridge) = (tempfile::tempdir().unwrap(), Bridge::new(3));
    let mut nodes: Vec<Process> = (1..=3).map(|i| bridge.process(i, folder.path())).collect();
    assemble(&mut nodes);
    nodes[0].put("before");
    until("it is everywhere", || nodes.iter().all(|node| node.has("before")));
    bridge.set(3, "down");
    for i in 0..20 {
        nodes[0].put(&format!("left/{i}"));
        nodes[2].put(&format!("right/{i}"));
    }
    until("the other side is missed", || nodes[0].alive() == 1 && nodes[2].alive() == 0);
    assert!(!nodes[2].has("left/19") && !nodes[1].has("right/19"), "nothing crosses the cut");
    bridge.set(3, "up");
    until_assembled(&nodes);
    until_equal(&nodes);
    let keys = |side: &str| (0..20).map(|i| format!("{side}/{i}")).collect::<Vec<_>>();
    assert!(keys("left").iter().chain(&keys("right")).all(|key| nodes.iter().all(|node| node.has(key))));
}

/// A file system of its own, unmounted with the test.
struct Small(std::path::PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A disk of four megabytes fills up: writes are refused, the node goes on, and what was acknowledged is there after a kill.
#[test]
#[ignore = "nightly"]
fn a_full_disk_refuses_writes_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Small(folder.path().to_path_buf());
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&disk.0).status();
    assert!(mounted.is_ok_and(|status| status.success()), "this test needs root, to mount a small disk");
    let mut node = Process::new(disk.0.join("node"), "127.0.0.1:0".into(), None);
    node.start(None);
    let mut acknowledged = Vec::new();
    let mut refusal = None;
    for i in 0..200 {
        let (key, value) = (format!("big/{i}"), "x".repeat(100_000));
        let answer = node.ask(json!({ "ask": "put", "key": key, "value": value }));
        match answer["error"].as_str() {
            Some(error) => refusal = Some(error.to_string()),
            None => acknowledged.push(key),
        }
    }
    let refusal = refusal.expect("the disk is never full");
    assert!(refusal.contains("memory.redb") && !acknowledged.is_empty(), "{refusal}");
    node.kill();
    node.start(None);
    let there = node.ask(json!({ "ask": "keys", "prefix": "big/" }));
    let there: Vec<&str> = there["keys"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    acknowledged.sort();
    assert_eq!(there, acknowledged, "what was refused is not there, what was acknowledged is");
}
