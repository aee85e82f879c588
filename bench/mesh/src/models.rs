//! Models that take each other's place: how soon every session answers with the next one, what that costs a call, and how fast artefacts are copied.

use crate::cluster::{Cluster, Kind, MEMBERS, connect};
use anyhow::{Context, Result, bail};
use mayfly_mesh::proto::modelspb::models_client::ModelsClient;
use mayfly_mesh::proto::modelspb::{Stage, StageRequest};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// Members, each with a session beside it.
const NODES: usize = 5;
const NAME: &str = "pumps";
/// Between the answer to a row and the next row of a session.
const PACE: Duration = Duration::from_millis(2);
/// Between two promotions.
const BETWEEN: Duration = Duration::from_millis(500);
/// Copies of each lot of bytes.
const COPIES: usize = 9;
const COPY_MIB: usize = 64;
const LONG: Duration = Duration::from_secs(60);

type Rows = Vec<(String, Vec<f64>)>;

pub async fn run(kind: &Kind, binary: &Path, models: usize) -> Result<Rows> {
    let mut rows = change_overs(kind, binary, models).await?;
    rows.extend(copies(kind, binary).await?);
    Ok(rows)
}

/// A row that was answered.
struct Answered {
    asked: Instant,
    answered: Instant,
    version: u64,
}

async fn change_overs(kind: &Kind, binary: &Path, models: usize) -> Result<Rows> {
    let cluster = Cluster::start(kind, NODES).await?;
    let mayfly = Mayfly { binary, cluster: &cluster };
    for seed in 1..=models {
        let file = mayfly.train(seed)?;
        mayfly.run(&["model", "push", NAME, &file.display().to_string()])?;
    }
    let mut client = ModelsClient::new(connect(&cluster.addresses[0]).await?);
    promote(&mut client, NAME, 1).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let sessions: Vec<_> = (0..NODES).map(|i| mayfly.session(i, is_over.clone())).collect::<Result<_>>()?;
    tokio::time::sleep(BETWEEN).await;
    let mut promoted = Vec::new();
    for version in 2..=models as u64 {
        promoted.push((version, Instant::now()));
        promote(&mut client, NAME, version).await?;
        tokio::time::sleep(BETWEEN).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    for session in sessions {
        answers.push(session.join().map_err(|_| anyhow::anyhow!("a session panicked"))??);
    }
    // From each promotion to the first answer of the last session.
    let mut changes = Vec::new();
    for (version, since) in &promoted {
        let mut last = Duration::ZERO;
        for answers in &answers {
            let first = answers.iter().find(|answer| answer.version == *version);
            let first = first.with_context(|| format!("a session never answered by version {version}"))?;
            last = last.max(first.answered - *since);
        }
        changes.push((*since, last));
    }
    let is_during = |answer: &&Answered| changes.iter().any(|(at, last)| (*at..*at + *last).contains(&answer.asked));
    let (during, otherwise): (Vec<&Answered>, Vec<_>) = answers.iter().flatten().partition(is_during);
    let times = |answers: Vec<&Answered>| answers.iter().map(|answer| ms(answer.answered - answer.asked)).collect();
    Ok(vec![
        (
            "promoted to the first answer of it, the last of five sessions, ms".into(),
            changes.iter().map(|(_, last)| ms(*last)).collect(),
        ),
        ("a row's answer during a change-over, ms".into(), times(during)),
        ("a row's answer otherwise, ms".into(), times(otherwise)),
    ])
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn promote(client: &mut ModelsClient<Channel>, name: &str, version: u64) -> Result<()> {
    let to = Stage::Live.into();
    client.set_stage(StageRequest { name: name.into(), version, to, ..StageRequest::default() }).await?;
    Ok(())
}

/// The command line, at members.
struct Mayfly<'a> {
    binary: &'a Path,
    cluster: &'a Cluster,
}

impl Mayfly<'_> {
    /// Signed by the first member.
    fn run(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(self.binary);
        command.args(words).arg("--data").arg(self.cluster.data(0)).args(["--endpoints", &self.cluster.addresses[0]]);
        let said = command.output()?;
        if !said.status.success() {
            bail!("{}: {}", words.join(" "), String::from_utf8_lossy(&said.stderr));
        }
        Ok(())
    }

    /// A model of its own: each seed has other weights.
    fn train(&self, seed: usize) -> Result<PathBuf> {
        let file = self.cluster.data(0).join(format!("{seed}.mayfly"));
        let mut command = Command::new(self.binary);
        command.args(["train", "data/mushroom.csv", "--target", "class", "--epochs", "1", "--seed", &seed.to_string()]);
        let said = command.arg("-o").arg(&file).output()?;
        if !said.status.success() {
            bail!("training: {}", String::from_utf8_lossy(&said.stderr));
        }
        Ok(file)
    }

    /// Rows of a table, one after another, until it is over.
    fn session(&self, i: usize, is_over: Arc<AtomicBool>) -> Result<JoinHandle<Result<Vec<Answered>>>> {
        let mut command = Command::new(self.binary);
        command.args(["model", "predict", NAME, "--endpoints", &self.cluster.addresses[i]]);
        command.arg("--data").arg(self.cluster.data(i)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let mut asks = child.stdin.take().context("no stdin")?;
        let mut answers = BufReader::new(child.stdout.take().context("no stdout")?);
        let table = std::fs::read_to_string("data/mushroom.csv").context("run it where data/ is")?;
        Ok(std::thread::spawn(move || {
            let mut lines = table.lines();
            writeln!(asks, "{}", lines.next().context("no headings")?)?;
            let (mut answered, mut line, mut is_first) = (Vec::new(), String::new(), true);
            for row in lines.cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let asked = Instant::now();
                writeln!(asks, "{row}")?;
                if std::mem::take(&mut is_first) {
                    answers.read_line(&mut line)?; // the headings
                }
                line.clear();
                answers.read_line(&mut line)?;
                let version = line.split(',').next().unwrap_or_default();
                let version = version.parse().with_context(|| format!("an answer is {line:?}"))?;
                answered.push(Answered { asked, answered: Instant::now(), version });
                std::thread::sleep(PACE);
            }
            drop(asks);
            anyhow::ensure!(child.wait()?.success(), "a session failed");
            Ok(answered)
        }))
    }
}

/// From a promotion until the third member has its copy, in turns with plain TCP on the same way.
async fn copies(kind: &Kind, binary: &Path) -> Result<Rows> {
    let cluster = Cluster::start(kind, MEMBERS).await?;
    let mayfly = Mayfly { binary, cluster: &cluster };
    let mut client = ModelsClient::new(connect(&cluster.addresses[0]).await?);
    let (mut own, mut tcp, mut tcp_and_disk) = (Vec::new(), Vec::new(), Vec::new());
    for copy in 1.. {
        if own.len() == COPIES {
            break;
        }
        let file = cluster.data(0).join("artefact");
        let bytes = noise(copy as u64);
        std::fs::write(&file, &bytes)?;
        let name = format!("artefact-{copy}");
        mayfly.run(&["model", "push", &name, &file.display().to_string(), "--any-file"])?;
        let digest = blake3::hash(&bytes).to_hex();
        let places: Vec<_> = (0..MEMBERS).map(|i| cluster.data(i).join("mesh/models").join(digest.as_str())).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Where the first member is not one of the two that are to keep it, all three have it already.
        if places.iter().all(|place| place.exists()) {
            continue;
        }
        let begun = Instant::now();
        promote(&mut client, &name, 1).await?;
        while !places.iter().all(|place| place.exists()) {
            anyhow::ensure!(begun.elapsed() < LONG, "the third member gets no copy");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        own.push(COPY_MIB as f64 / begun.elapsed().as_secs_f64());
        tcp.push(COPY_MIB as f64 / plain(&bytes, None)?.as_secs_f64());
        let file = cluster.data(1).join(format!("plain-{copy}"));
        tcp_and_disk.push(COPY_MIB as f64 / plain(&bytes, Some(file))?.as_secs_f64());
    }
    let row = |name: &str, values| (format!("{COPY_MIB} MiB {name}, MiB/s"), values);
    Ok(vec![
        row("promoted until the third member has its copy", own),
        row("by plain TCP into a file, with fsync", tcp_and_disk),
        row("by plain TCP", tcp),
    ])
}

/// Bytes that nothing makes smaller.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(word).take(COPY_MIB << 17).flatten().collect()
}

/// Until the other end has them all, in a file on the disk where one is given, and has said so.
fn plain(bytes: &[u8], file: Option<PathBuf>) -> Result<Duration> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let taken = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut file = file.map(File::create).transpose()?;
        let (mut chunk, mut left) = (vec![0; 1 << 18], COPY_MIB << 20);
        while left > 0 {
            let read = stream.read(&mut chunk)?;
            anyhow::ensure!(read > 0, "the stream ended {left} bytes too soon");
            left = left.checked_sub(read).context("too much came")?;
            file.as_mut().map_or(Ok(()), |file| file.write_all(&chunk[..read]))?;
        }
        file.map_or(Ok(()), |file| file.sync_all())?;
        Ok(stream.write_all(&[1])?)
    });
    let begun = Instant::now();
    let mut stream = std::net::TcpStream::connect(at)?;
    stream.write_all(bytes)?;
    stream.read_exact(&mut [0])?;
    let time = begun.elapsed();
    taken.join().map_err(|_| anyhow::anyhow!("the other end panicked"))??;
    Ok(time)
}
