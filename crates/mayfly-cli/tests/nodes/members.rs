//! Nodes that take part in a mesh, and `mayfly mesh` as a test uses it.

use super::{Process, until};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub fn run(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input); // a command that reads nothing may be gone
    child.wait_with_output().unwrap()
}

/// What `mayfly mesh … --json` answers, if it succeeds.
pub fn mesh(at: &str, args: &[&str]) -> Option<Value> {
    let out = run(&[&["mesh"], args, &["--endpoints", at, "--json"]].concat(), b"");
    out.status.success().then(|| serde_json::from_slice(&out.stdout).unwrap())
}

pub fn ok(at: &str, args: &[&str]) -> Value {
    let out = run(&[&["mesh"], args, &["--endpoints", at, "--json"]].concat(), b"");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

pub fn refused(at: &str, args: &[&str]) -> String {
    let out = run(&[&["mesh"], args, &["--endpoints", at]].concat(), b"");
    assert_eq!(out.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8(out.stderr).unwrap()
}

pub fn value(at: &str, key: &str) -> Option<String> {
    let found = mesh(at, &["get", key])?;
    Some(found["kvs"][0]["value"].as_str()?.to_owned())
}

pub fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A node that takes part in the mesh, and where it serves clients.
pub struct Node {
    pub process: Process,
    pub clients: String,
}

impl Node {
    pub fn new(folder: &Path, name: &str) -> Self {
        let listen: SocketAddr = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (mut process, clients) = (Process::new(folder.join(name), listen.to_string(), None), free());
        process.more = ["--mesh", "--clients", &clients].map(String::from).into();
        process.log = Some(folder.join(name).with_extension("log"));
        Self { process, clients }
    }

    pub fn serves(&self) -> bool {
        mesh(&self.clients, &["get", "nothing"]).is_some()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.process.log.as_ref().unwrap()).unwrap()
    }
}

pub fn voters(at: &str) -> usize {
    let list = mesh(at, &["member", "list"]).unwrap_or_default();
    list["members"].as_array().into_iter().flatten().filter(|member| member["is_learner"] == false).count()
}

/// Starts a node that joins the swarm of another.
pub fn join(other: &mut Node, first: &Node) {
    let answer = first.process.ask(json!({ "ask": "token", "minutes": 10, "contact": [] }));
    let path = other.process.data.with_extension("token");
    std::fs::write(&path, answer["token"].as_str().unwrap()).unwrap();
    other.process.start(Some(&path));
}

/// Three nodes of a swarm and of its mesh.
pub fn three(folder: &Path) -> Vec<Node> {
    let mut nodes: Vec<Node> = ["a", "b", "c"].map(|name| Node::new(folder, name)).into();
    nodes[0].process.start(None);
    let (first, others) = nodes.split_first_mut().unwrap();
    others.iter_mut().for_each(|other| join(other, first));
    until("all have votes", || nodes.iter().all(|node| voters(&node.clients) == 3));
    nodes
}

/// Another program, killed when dropped.
pub struct Started(pub Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's etcd (`apt-get install etcd-server etcd-client`), and where it serves clients.
pub fn etcd(folder: &Path) -> (Started, String) {
    let (clients, peers) = (format!("http://{}", free()), format!("http://{}", free()));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}"), "--log-level", "panic"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("etcd");
    let at = clients.trim_start_matches("http://").to_owned();
    until("etcd serves", || mesh(&at, &["get", "nothing"]).is_some());
    (Started(child), at)
}
