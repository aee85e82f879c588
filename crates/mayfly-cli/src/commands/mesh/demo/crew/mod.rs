//! The processes of the demo: ours behind relays that can cut, or etcd's.

mod afflict;

use super::clients::channel;
use crate::commands::swarm::relay::{self, Faults};
use crate::support::child::OwnedChild;
use anyhow::{Context, Result, bail};
use mayfly_mesh::proto::etcdserverpb::cluster_client::ClusterClient;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::{HashKvRequest, Member, MemberListRequest, PutRequest, StatusRequest};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For the cluster to form, and to become equal again.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// For one question, which a process that hangs does not answer.
const LONG: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mayfly,
    Etcd,
}

struct Mate {
    data: PathBuf,
    /// Where it sends from.
    listen: SocketAddr,
    arguments: Vec<OsString>,
    child: Option<OwnedChild>,
}

pub struct Crew {
    pub kind: Kind,
    mates: Vec<Mate>,
    /// Where clients are served.
    pub addresses: Vec<String>,
    faults: Arc<Faults>,
    folder: tempfile::TempDir,
    /// Each node has a disk of its own, in memory.
    has_disks: bool,
}

/// Ports that are free now for TCP and UDP.
fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
    let mut sockets = Vec::new();
    while sockets.len() < count {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0")?;
        if let Ok(udp) = std::net::UdpSocket::bind(tcp.local_addr()?) {
            sockets.push((tcp, udp));
        }
    }
    Ok(sockets.iter().map(|(tcp, _)| tcp.local_addr()).collect::<std::io::Result<_>>()?)
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

impl Crew {
    /// Starts the processes, and waits until they are one cluster.
    pub async fn start(kind: Kind, nodes: usize, has_disks: bool) -> Result<Self> {
        let (folder, clients, peers) = (tempfile::tempdir()?, free_ports(nodes)?, free_ports(nodes)?);
        let addresses = clients.iter().map(ToString::to_string).collect();
        let mut crew = Self { kind, mates: Vec::new(), addresses, faults: Faults::new(0.0), folder, has_disks };
        for i in 0..nodes {
            let data = crew.folder.path().join(i.to_string());
            let arguments = match kind {
                Kind::Mayfly => {
                    let relay = relay::start(peers[i], crew.faults.clone()).await?;
                    crew.mayfly(&data, peers[i], relay, clients[i])
                }
                Kind::Etcd => etcd(&data, i, &peers, clients[i]),
            };
            if has_disks {
                afflict::mount(&data)?;
            }
            crew.mates.push(Mate { data, listen: peers[i], arguments, child: None });
            let token = match (kind, i) {
                (Kind::Mayfly, 1..) => Some(crew.token(i).await?),
                _ => None,
            };
            crew.launch(i, token.as_deref(), None)?;
        }
        crew.wait(nodes).await?;
        Ok(crew)
    }

    fn mayfly(&self, data: &Path, listen: SocketAddr, relay: SocketAddr, clients: SocketAddr) -> Vec<OsString> {
        let mut arguments = words(["node", "--mesh", "--log", "warn", "--data"]);
        arguments.push(data.into());
        arguments.extend(words(["--listen", &listen.to_string(), "--advertise", &relay.to_string()]));
        arguments.extend(words(["--clients", &clients.to_string()]));
        arguments
    }

    /// A token of the first, as a file.
    async fn token(&self, i: usize) -> Result<PathBuf> {
        let path = self.folder.path().join(format!("{i}.token"));
        let begun = Instant::now();
        loop {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["swarm", "token", "--data"]).arg(&self.mates[0].data).arg("-o").arg(&path);
            if command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                return Ok(path);
            }
            if begun.elapsed() > PATIENCE {
                bail!("the first node gives no token: {}", self.words_of(0));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn log(&self, i: usize) -> PathBuf {
        self.folder.path().join(format!("{i}.log"))
    }

    fn words_of(&self, i: usize) -> String {
        std::fs::read_to_string(self.log(i)).unwrap_or_default()
    }

    /// With a clock that is off, where that is asked for.
    fn launch(&mut self, i: usize, token: Option<&Path>, clock: Option<&str>) -> Result<()> {
        let program = match self.kind {
            Kind::Mayfly => std::env::current_exe()?,
            Kind::Etcd => "etcd".into(),
        };
        let mut command = Command::new(&program);
        if let Some(offset) = clock {
            afflict::set_clock(&mut command, offset)?;
        }
        command.args(&self.mates[i].arguments);
        if let Some(token) = token {
            command.arg("--token").arg(token);
        }
        let errors = std::fs::File::options().create(true).append(true).open(self.log(i))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        self.mates[i].child = Some(OwnedChild(child));
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.mates.len()
    }

    /// SIGKILL.
    pub fn kill(&mut self, i: usize) {
        self.mates[i].child = None;
    }

    pub fn restart(&mut self, i: usize) -> Result<()> {
        self.launch(i, None, None)
    }

    /// What a node knew as a member is lost; it comes back as a new one.
    pub fn restart_wiped(&mut self, i: usize) -> Result<()> {
        std::fs::remove_dir_all(self.mates[i].data.join("mesh"))?;
        let before = std::mem::replace(&mut self.mates[i].arguments[1], "--mesh=anew".into());
        let started = self.launch(i, None, None);
        self.mates[i].arguments[1] = before;
        started
    }

    /// Nothing passes between a node and the others.
    pub fn cut_off(&self, i: usize) {
        let group = |(j, mate): (usize, &Mate)| (mate.listen, u8::from(i == j));
        self.faults.cut(self.mates.iter().enumerate().map(group).collect());
    }

    pub fn heal(&self) {
        self.faults.cut(HashMap::new());
    }

    /// Who leads, as far as the others know.
    pub async fn leader(&self) -> Result<usize> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for (i, address) in self.addresses.iter().enumerate() {
                let mut client = MaintenanceClient::new(channel(address)?);
                let asked = tokio::time::timeout(Duration::from_secs(1), client.status(StatusRequest {})).await;
                let Ok(Ok(status)) = asked else { continue };
                let status = status.into_inner();
                if status.header.is_some_and(|header| header.member_id == status.leader) {
                    return Ok(i);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("nobody leads: {}", self.words_of(0))
    }

    /// Waits until so many have votes and every member takes writes.
    pub async fn wait(&mut self, voters: usize) -> Result<()> {
        let begun = Instant::now();
        while !self.is_whole(voters).await {
            for i in 0..self.len() {
                let child = self.mates[i].child.as_mut();
                if let Some(status) = child.map(|child| child.try_wait()).transpose()?.flatten() {
                    bail!("process {i} ended with {status}: {}", self.words_of(i));
                }
            }
            if begun.elapsed() > PATIENCE {
                bail!("the processes do not become one cluster: {}", self.words_of(self.len() - 1));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn is_whole(&self, voters: usize) -> bool {
        tokio::time::timeout(LONG, self.looks_whole(voters)).await.unwrap_or(false)
    }

    async fn looks_whole(&self, voters: usize) -> bool {
        for address in &self.addresses {
            let Ok(channel) = channel(address) else { return false };
            let list = ClusterClient::new(channel.clone()).member_list(MemberListRequest::default()).await;
            let votes = |member: &&Member| !member.is_learner && !member.name.is_empty();
            if list.map_or(0, |list| list.into_inner().members.iter().filter(votes).count()) < voters {
                return false;
            }
            let put = PutRequest { key: "whole".into(), ..PutRequest::default() };
            if KvClient::new(channel).put(put).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits until all members have the same history up to a revision. False when they do not get there.
    pub async fn wait_for_equal(&self, revision: i64) -> Result<bool> {
        let begun = Instant::now();
        loop {
            let mut hashes = BTreeSet::new();
            for address in &self.addresses {
                let mut client = MaintenanceClient::new(channel(address)?);
                let asked = tokio::time::timeout(LONG, client.hash_kv(HashKvRequest { revision })).await;
                hashes.insert(asked.ok().and_then(Result::ok).map(|answer| answer.into_inner().hash));
            }
            let is_equal = hashes.len() == 1 && !hashes.contains(&None);
            if is_equal || begun.elapsed() > PATIENCE {
                return Ok(is_equal);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn etcd(data: &Path, i: usize, peers: &[SocketAddr], clients: SocketAddr) -> Vec<OsString> {
    let all: Vec<String> = peers.iter().enumerate().map(|(i, peer)| format!("n{i}=http://{peer}")).collect();
    let (client, peer, name) = (format!("http://{clients}"), format!("http://{}", peers[i]), format!("n{i}"));
    let mut arguments = words(["--name", &name, "--log-level", "error", "--initial-cluster", &all.join(",")]);
    arguments.extend(words(["--listen-client-urls", &client, "--advertise-client-urls", &client]));
    arguments.extend(words(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]));
    arguments.extend([OsString::from("--data-dir"), data.into()]);
    arguments
}
