//! Compiling in a process of its own, with limits that the system keeps: what vetting has misjudged costs that process its life
//! and nobody else anything.
//!
//! The parent starts the program, sends a [`Task`] (one line of JSON, then the module) to its standard input and gets the artefact
//! on its standard output, authenticated with a key that was made for this one task.

use super::artefact::{ArtefactId, seal};
use super::{WasmtimeProfile, wasmi, wasmtime};
use crate::bytes::{from_base64, to_base64};
use crate::error::{PackError, Result};
use crate::keys::random;
use crate::limits::{ARTEFACT_BYTES, MODULE_BYTES};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const ERROR_BYTES: u64 = 4 << 10;
const HEAD_BYTES: u64 = 4 << 10;
/// A process may have to wait for others: so many times its processor time is it given on the clock.
const PATIENCE: u32 = 6;

/// Where modules are compiled.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// In this process. What vetting lets in is bounded by count alone: see `docs/formats/kernel-pack.md`.
    #[default]
    InProcess,
    /// In a process of its own.
    Child(CompilerProcess),
}

/// A program that calls [`compile_for_parent`], and what it may take for one module.
#[derive(Clone, Debug)]
pub struct CompilerProcess {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Processor time. Where the system cannot count it, six times as long on the clock.
    pub time: Duration,
    /// Address space, where the system can bound it.
    pub memory_bytes: u64,
}

impl CompilerProcess {
    /// A process of 10 s and 512 MiB.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { program: program.into(), args, time: Duration::from_secs(10), memory_bytes: 512 << 20 }
    }
}

/// What the child is to compile for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    Wasmtime(WasmtimeProfile),
    /// An interpreter has no artefact to send back; the child shows that translating ends within its limits.
    Wasmi,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    target: Target,
    seconds: u64,
    memory_bytes: u64,
    module_bytes: u64,
    key: Zeroizing<String>,
}

impl CompilerProcess {
    /// Compiles a module. What comes back is sealed with the key beside it; empty for [`Target::Wasmi`].
    ///
    /// # Errors
    /// [`PackError::Compile`] with the compiler's words, or with the limit that it passed.
    pub(super) fn compile(&self, kernel: &str, wasm: &[u8], target: Target) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>)> {
        let mut key = Zeroizing::new([0; 32]);
        random(&mut *key)?;
        let task = Task {
            target,
            seconds: self.time.as_secs().max(1),
            memory_bytes: self.memory_bytes,
            module_bytes: wasm.len() as u64,
            key: Zeroizing::new(to_base64(&*key)),
        };
        let mut input = Zeroizing::new(serde_json::to_vec(&task).map_err(PackError::other)?);
        input.push(b'\n');
        input.extend_from_slice(wasm);
        let failed = |what: String| PackError::Compile { kernel: kernel.to_owned(), what };
        let (status, out, words) = self
            .run(input)
            .map_err(|e| failed(format!("its process cannot be used: {}: {e}", self.program.display())))?;
        match status {
            Some(status) if status.success() => Ok((out, key)),
            Some(status) if status.code().is_some() => {
                Err(failed(words.trim().trim_start_matches("error: ").to_owned()))
            }
            _ => Err(failed(format!(
                "not within {} s of processor time and {} MiB: the module asks too much of the compiler",
                task.seconds,
                self.memory_bytes >> 20
            ))),
        }
    }

    /// Exit status (none where it took too long), standard output and standard error.
    fn run(&self, input: Zeroizing<Vec<u8>>) -> std::io::Result<(Option<ExitStatus>, Vec<u8>, String)> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Each stream has a thread, so that none of the two processes waits for the other.
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
            let out = scope.spawn(move || read(out, ARTEFACT_BYTES));
            let err = scope.spawn(move || read(err, ERROR_BYTES));
            let status = wait(&mut child, self.time.saturating_mul(PATIENCE))?;
            let gone = |_| std::io::Error::other("a thread that reads the process ended early");
            let (out, err) = (out.join().map_err(gone)??, err.join().map_err(gone)??);
            Ok((status, out, String::from_utf8_lossy(&err).into_owned()))
        })
    }
}

fn read(stream: Option<impl Read>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(limit).read_to_end(&mut bytes)?;
        // What is beyond the limit is thrown away, so that the process can end.
        std::io::copy(&mut stream, &mut std::io::sink())?;
    }
    Ok(bytes)
}

/// Waits for the end; `None` for a process that had to be ended.
fn wait(child: &mut Child, time: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > time {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The other end: reads a task from standard input, keeps its limits, compiles, and writes the artefact to standard output.
/// A program that is named in a [`CompilerProcess`] calls this and nothing else, and shows the error on its standard error.
///
/// # Errors
/// What is wrong with the task or with the module.
pub fn compile_for_parent() -> Result<()> {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut head = Vec::new();
    (&mut input).take(HEAD_BYTES).read_until(b'\n', &mut head).map_err(PackError::io("standard input"))?;
    let task: Task = serde_json::from_slice(&head).map_err(|e| PackError::other(format!("not a task: {e}")))?;
    limit(&task)?;
    let mut wasm = Vec::new();
    input.take(MODULE_BYTES + 1).read_to_end(&mut wasm).map_err(PackError::io("standard input"))?;
    if wasm.len() as u64 != task.module_bytes {
        return Err(PackError::other("the module was cut off"));
    }
    let key = from_base64(&task.key).map(Zeroizing::new).and_then(|key| key[..].try_into().ok().map(Zeroizing::new));
    let key: Zeroizing<[u8; 32]> = key.ok_or_else(|| PackError::other("not a task: the key has 32 bytes"))?;
    let sealed = match task.target {
        Target::Wasmtime(profile) => {
            let (id, code) = wasmtime::compile_alone(profile, &wasm)?;
            seal(&code, &ArtefactId(&id), &key)
        }
        Target::Wasmi => {
            wasmi::translate_alone(&wasm)?;
            Vec::new()
        }
    };
    let mut out = std::io::stdout().lock();
    out.write_all(&sealed).and_then(|()| out.flush()).map_err(PackError::io("standard output"))
}

/// Lets the system hold this process to its limits.
#[cfg(unix)]
fn limit(task: &Task) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let set = |resource, most: u64| {
        // Never above what the process may have anyway.
        let most = getrlimit(resource).maximum.map_or(most, |now| now.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|e| PackError::other(format!("cannot limit the process: {e}")))
    };
    set(Resource::Core, 0)?;
    set(Resource::Cpu, task.seconds)?;
    // The heap grows by both kinds of mapping, and not every system counts both under one name.
    set(Resource::Data, task.memory_bytes)?;
    set(Resource::As, task.memory_bytes)
}

#[cfg(not(unix))]
fn limit(_task: &Task) -> Result<()> {
    Ok(()) // the parent looks at the clock
}
