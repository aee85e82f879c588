//! PyTorch and OpenVINO from Python, as their users call them: one script, rounds on request over its pipes.

use crate::cases::{Optimiser, Peer, Precision, Work};
use crate::contest::Contestant;
use crate::net::{CHECK_STEPS, Net};
use crate::onnx;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The virtual environment, beside the bench's manifest and ignored by git.
pub fn environment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv")
}

fn interpreter() -> PathBuf {
    environment().join("bin/python")
}

/// Where wheels are unpacked in the environment.
pub fn site_packages() -> Result<PathBuf> {
    let lib = environment().join("lib");
    let missing = || format!("{} is not there: run with `--with onnxruntime` once", lib.display());
    let mut folders =
        std::fs::read_dir(&lib).with_context(missing)?.filter_map(|e| Some(e.ok()?.path().join("site-packages")));
    folders.find(|folder| folder.is_dir()).with_context(missing)
}

/// Makes the environment if need be and installs what the peers need that it lacks.
pub fn provide(peers: &[Peer]) -> Result<()> {
    let packages: &[&str] = &["numpy", "onnxruntime", "torch", "openvino"];
    let needs = |package: &&&str| {
        peers.iter().any(|peer| match peer {
            Peer::OnnxRuntime => **package == "onnxruntime",
            Peer::PyTorch => matches!(**package, "numpy" | "torch"),
            Peer::OpenVino => matches!(**package, "numpy" | "openvino"),
            _ => false,
        })
    };
    let needed: Vec<&str> = packages.iter().filter(needs).copied().collect();
    if needed.is_empty() {
        return Ok(());
    }
    if !interpreter().is_file() {
        command(
            "python3",
            &["-m", "venv", &environment().to_string_lossy()],
            "Debian: `apt-get install python3-venv`",
        )?;
    }
    let packages = site_packages()?;
    for name in needed.iter().filter(|name| !packages.join(name).is_dir()) {
        command(
            &interpreter().to_string_lossy(),
            &["-m", "pip", "install", "--no-cache-dir", name],
            "is PyPI reachable?",
        )?;
    }
    Ok(())
}

fn command(program: &str, args: &[&str], hint: &str) -> Result<()> {
    eprintln!("$ {program} {}", args.join(" "));
    // Results go to stdout; what pip says does not.
    let status = Command::new(program).args(args).stdout(std::io::stderr()).status();
    let status = status.with_context(|| format!("cannot start {program} ({hint})"))?;
    ensure!(status.success(), "`{program} {}` failed ({hint})", args.join(" "));
    Ok(())
}

pub fn contestant(peer: Peer, work: Work) -> Result<Box<dyn Contestant>> {
    Ok(Box::new(Script::start(peer, work)?))
}

/// A running script that holds one case.
struct Script {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    how: String,
    answer: Vec<f64>,
    _files: TempDir,
}

impl Script {
    fn start(peer: Peer, work: Work) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/peers.py");
        let mut child = Command::new(interpreter())
            .arg(script)
            .arg(peer.name())
            .env("OMP_NUM_THREADS", "1")
            .env("MKL_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", interpreter().display()))?;
        let stdin = child.stdin.take().context("the script has no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("the script has no stdout")?);
        let files = tempfile::tempdir()?;
        let request = request(files.path(), work)?;
        let mut script = Self { child, stdin, stdout, how: String::new(), answer: Vec::new(), _files: files };
        let reply = script.ask(&request)?;
        script.how = reply["how"].as_str().context("the script does not say how")?.to_string();
        let answer = reply["answer"].as_array().context("the script has no answer")?;
        script.answer = answer.iter().filter_map(Value::as_f64).collect();
        Ok(script)
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.stdin, "{request}").context("the script is gone")?;
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "the script ended; what it said is above");
        let reply: Value = serde_json::from_str(&line).with_context(|| format!("the script said `{}`", line.trim()))?;
        if let Some(error) = reply["error"].as_str() {
            bail!("{error}");
        }
        Ok(reply)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // An end that fails leaves a child that ends by itself when its stdin closes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the network and its rows to files and describes them.
fn request(folder: &Path, work: Work) -> Result<Value> {
    let (dims, activation, rows) = match work {
        Work::Infer { dims, activation, rows, .. } | Work::Step { dims, activation, rows, .. } => {
            (dims, activation, rows)
        }
        _ => bail!("Python peers infer and step"),
    };
    let net = Net::new(dims, activation);
    let (x, t) = net.data(rows);
    let parameters: Vec<f32> = net.layers.iter().flat_map(|l| l.weights.iter().chain(&l.bias)).copied().collect();
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for (name, bytes) in
        [("parameters", floats(&parameters)), ("x", floats(&x)), ("t", floats(&t)), ("onnx", onnx::model(&net, rows))]
    {
        std::fs::write(folder.join(name), bytes)?;
    }
    let (optimiser, precision) = match work {
        Work::Step { optimiser, .. } => (Some(optimiser), Precision::F32),
        Work::Infer { precision, .. } => (None, precision),
        _ => (None, Precision::F32),
    };
    Ok(json!({
        "folder": folder,
        "dims": dims,
        "rows": rows,
        "activation": format!("{activation:?}").to_lowercase(),
        "optimiser": optimiser.map(|o| format!("{o:?}").to_lowercase()),
        "precision": format!("{precision:?}").to_lowercase(),
        "rate": optimiser.map(Optimiser::rate),
        "check_steps": CHECK_STEPS,
    }))
}

impl Contestant for Script {
    fn how(&self) -> String {
        self.how.clone()
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        Ok(self.answer.clone())
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        let reply = self.ask(&json!({ "calls": calls }))?;
        Ok(Duration::from_secs_f64(reply["seconds"].as_f64().context("the script gave no time")?))
    }
}
