//! Real `mayfly node` processes, and how a test talks to them.
#![allow(dead_code, reason = "each test file uses some of it")]

pub mod members;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A limit for hangs, far above what anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// One process and its folder.
pub struct Process {
    pub data: PathBuf,
    pub listen: String,
    /// What goes to --join.
    pub join: Option<String>,
    /// More arguments.
    pub more: Vec<String>,
    /// What it says on standard error goes here.
    pub log: Option<PathBuf>,
    /// A network namespace to run in.
    namespace: Option<String>,
    child: Option<Child>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    pub fn new(data: PathBuf, listen: String, namespace: Option<String>) -> Self {
        Self { data, listen, join: None, more: Vec::new(), log: None, namespace, child: None }
    }

    /// Starts it, with a token the first time, and waits until it answers.
    pub fn start(&mut self, token: Option<&Path>) {
        let binary = env!("CARGO_BIN_EXE_mayfly");
        let mut command = match &self.namespace {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, binary]);
                command
            }
            None => Command::new(binary),
        };
        command.arg("node").arg("--data").arg(&self.data).args(["--listen", &self.listen, "--log", "warn"]);
        if let Some(token) = token {
            command.arg("--token").arg(token);
        }
        if let Some(join) = &self.join {
            command.args(["--join", join]);
        }
        command.args(&self.more);
        if let Some(log) = &self.log {
            command.stderr(std::fs::File::create(log).unwrap());
        }
        self.child = Some(command.stdout(Stdio::null()).spawn().unwrap());
        until("the node answers", || self.connect().is_some());
    }

    fn connect(&self) -> Option<Line> {
        UnixStream::connect(self.data.join("control.sock")).ok().map(|stream| Line(BufReader::new(stream)))
    }

    pub fn line(&self) -> Line {
        self.connect().expect("the node runs")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        status.code()
    }

    /// SIGTERM, and until it has ended.
    pub fn end(&mut self) -> Option<i32> {
        let child = self.child.as_mut()?;
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        child.wait().unwrap().code()
    }

    pub fn ask(&self, ask: Value) -> Value {
        self.line().ask(&ask).expect("the node answers")
    }

    pub fn put(&self, key: &str) {
        let answer = self.ask(json!({ "ask": "put", "key": key, "value": format!("value of {key}") }));
        assert_eq!(answer["stored"], true, "{answer}");
    }

    pub fn has(&self, key: &str) -> bool {
        let answer = self.ask(json!({ "ask": "get", "key": key }));
        answer["value"] == format!("value of {key}")
    }

    /// Other members that it takes to be there.
    pub fn alive(&self) -> usize {
        let status = self.ask(json!({ "ask": "status" }));
        status["members"].as_array().unwrap().iter().filter(|member| member["state"] == "Alive").count()
    }
}

/// An open control socket.
pub struct Line(BufReader<UnixStream>);

impl Line {
    /// Nothing when the node ended before it answered.
    pub fn ask(&mut self, ask: &Value) -> Option<Value> {
        self.0.get_mut().write_all(format!("{ask}\n").as_bytes()).ok()?;
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}: not after {LONG:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The first founds a swarm, the others join with its tokens; returns when all know all.
pub fn assemble(nodes: &mut [Process]) {
    let (first, others) = nodes.split_first_mut().unwrap();
    first.start(None);
    for other in others.iter_mut() {
        let answer = first.ask(json!({ "ask": "token", "minutes": 10, "contact": [] }));
        let path = other.data.with_extension("token");
        std::fs::write(&path, answer["token"].as_str().unwrap()).unwrap();
        other.start(Some(&path));
    }
    until_assembled(nodes);
}

pub fn until_assembled(nodes: &[Process]) {
    let begun = Instant::now();
    while nodes.iter().any(|node| node.alive() != nodes.len() - 1) {
        let views = || nodes.iter().map(|node| node.ask(json!({ "ask": "status" }))["members"].to_string());
        assert!(begun.elapsed() < LONG, "not all know all after {LONG:?}:\n{}", views().collect::<Vec<_>>().join("\n"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn until_equal(nodes: &[Process]) {
    let root = |node: &Process| node.ask(json!({ "ask": "status" }))["root"].to_string();
    until("all memories are equal", || nodes.iter().all(|node| root(node) == root(&nodes[0])));
}
