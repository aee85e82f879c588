//! The processes of the demo.

use super::super::relay::{self, Faults};
use super::{Ask, Client, Write, put};
use crate::support::child::OwnedChild;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a change was first seen: by node and key.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<BTreeMap<(usize, String), Instant>>>);

impl Seen {
    fn note(&self, node: usize, key: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry((node, key.into())).or_insert_with(Instant::now);
    }

    pub fn take(&self) -> BTreeMap<(usize, String), Instant> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Mate {
    data: PathBuf,
    listen: SocketAddr,
    advertise: SocketAddr,
    child: Option<OwnedChild>,
    client: Option<Client>,
}

pub struct Crew {
    mates: Vec<Mate>,
    topology: String,
    _folder: tempfile::TempDir,
}

impl Crew {
    /// The first founds the swarm, the others join with tokens. With faults, all packets go through relays.
    pub async fn start(nodes: usize, topology: &str, faults: Option<Arc<Faults>>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut crew = Self { mates: Vec::new(), topology: topology.into(), _folder: folder };
        for i in 0..nodes {
            let listen = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
            let advertise = match &faults {
                Some(faults) => relay::start(listen, faults.clone()).await?,
                None => listen,
            };
            let data = crew._folder.path().join(format!("node-{i}"));
            crew.mates.push(Mate { data, listen, advertise, child: None, client: None });
            let token = match i {
                0 => None,
                _ => Some(crew.token().await?),
            };
            crew.launch(i, token).await?;
        }
        Ok(crew)
    }

    async fn token(&mut self) -> Result<String> {
        let answer = self.client(0)?.ask(&Ask::Token { minutes: 10, contact: Vec::new() }).await?;
        Ok(answer["token"].as_str().context("no token")?.into())
    }

    async fn launch(&mut self, i: usize, token: Option<String>) -> Result<()> {
        let mate = &mut self.mates[i];
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("node").arg("--data").arg(&mate.data).args(["--topology", &self.topology]);
        command.args(["--listen", &mate.listen.to_string(), "--advertise", &mate.advertise.to_string()]);
        if let Some(token) = token {
            let path = mate.data.with_extension("token");
            std::fs::write(&path, token)?;
            command.arg("--token").arg(path);
        }
        let log = mate.data.with_extension("log");
        let errors = std::fs::File::options().create(true).append(true).open(&log)?;
        mate.child = Some(OwnedChild(command.stdout(Stdio::null()).stderr(errors).spawn()?));
        let begun = Instant::now();
        loop {
            let child = mate.child.as_mut().context("just started")?;
            if let Some(status) = child.try_wait()? {
                bail!("node {i} ended with {status}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            if let Ok(client) = Client::connect(&mate.data).await {
                mate.client = Some(client);
                return Ok(());
            }
            if begun.elapsed() > super::PATIENCE {
                bail!("node {i} does not answer: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn len(&self) -> usize {
        self.mates.len()
    }

    pub fn client(&mut self, i: usize) -> Result<&mut Client> {
        self.mates[i].client.as_mut().with_context(|| format!("node {i} is down"))
    }

    /// Notes every change that a node learns of, from now on.
    pub async fn watch(&mut self, i: usize, seen: &Seen) -> Result<()> {
        let mut client = Client::connect(&self.mates[i].data).await?;
        client.ask(&Ask::Watch { prefix: "demo/".into() }).await?;
        let seen = seen.clone();
        tokio::spawn(async move {
            while let Ok(Some(change)) = client.next().await {
                seen.note(i, change["key"].as_str().unwrap_or_default());
            }
        });
        Ok(())
    }

    /// SIGKILL while writes are under way; those that were acknowledged.
    pub async fn kill_while_writing(&mut self, i: usize) -> Vec<Write> {
        let Some(mut client) = self.mates[i].client.take() else { return Vec::new() };
        let writing = tokio::spawn(async move {
            let mut writes = Vec::new();
            for n in 0.. {
                match put(&mut client, i, format!("demo/last-{n}"), false).await {
                    Some(write) => writes.push(write),
                    None => break,
                }
            }
            writes
        });
        tokio::time::sleep(Duration::from_millis(150)).await;
        self.mates[i].child = None; // SIGKILL
        writing.await.unwrap_or_default()
    }

    /// SIGKILL.
    pub fn kill(&mut self, i: usize) {
        (self.mates[i].client, self.mates[i].child) = (None, None);
    }

    pub async fn restart(&mut self, i: usize) -> Result<()> {
        self.launch(i, None).await
    }

    /// The first half and the second, by the addresses they send from.
    pub fn halves(&self) -> HashMap<SocketAddr, u8> {
        let half = self.len() / 2;
        self.mates.iter().enumerate().map(|(i, mate)| (mate.listen, u8::from(i <= half))).collect()
    }

    pub async fn statuses(&mut self) -> Result<Vec<Value>> {
        let mut statuses = Vec::new();
        for i in 0..self.len() {
            statuses.push(self.client(i)?.ask(&Ask::Status).await?);
        }
        Ok(statuses)
    }

    /// Waits until everyone knows everyone.
    pub async fn wait_for_all(&mut self, patience: Duration) -> Result<()> {
        let others = self.len() - 1;
        let alive = |status: &Value| {
            status["members"].as_array().map_or(0, |all| all.iter().filter(|m| m["state"] == "Alive").count())
        };
        let begun = Instant::now();
        while self.statuses().await?.iter().any(|status| alive(status) < others) {
            if begun.elapsed() > patience {
                bail!("after {} s, not everyone knows everyone", patience.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until all memories have one hash. False when they do not get there.
    pub async fn wait_for_equal(&mut self, patience: Duration) -> Result<bool> {
        let begun = Instant::now();
        loop {
            let roots: BTreeSet<String> = self.statuses().await?.iter().map(|s| s["root"].to_string()).collect();
            if roots.len() == 1 || begun.elapsed() > patience {
                return Ok(roots.len() == 1);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Acknowledged writes that some node does not have.
    pub async fn count_missing(&mut self, writes: &[Write]) -> Result<usize> {
        let mut missing = BTreeSet::new();
        for i in 0..self.len() {
            let answer = self.client(i)?.ask(&Ask::Keys { prefix: "demo/".into(), after: None, limit: None }).await?;
            let has: BTreeSet<&str> =
                answer["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            missing.extend(writes.iter().map(|write| &write.key).filter(|key| !has.contains(key.as_str())));
        }
        Ok(missing.len())
    }

    /// SIGTERM to all, and a while to leave.
    pub async fn stop(mut self) {
        for mate in &mut self.mates {
            if let Some(child) = &mut mate.child {
                let _ = Command::new("kill").arg(child.id().to_string()).status(); // else Drop ends it
            }
        }
        for _ in 0..100 {
            let running = self.mates.iter_mut().filter_map(|mate| mate.child.as_mut());
            if running.filter_map(|child| child.try_wait().ok()).all(|ended| ended.is_some()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
