//! Processes that are one cluster.

use anyhow::{Context, Result, bail};
use mayfly_mesh::proto::etcdserverpb::cluster_client::ClusterClient;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::{MemberListRequest, PutRequest, StatusRequest};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// Beside etcd.
pub const MEMBERS: usize = 3;
/// Within this, they are one cluster.
const LONG: Duration = Duration::from_secs(60);

/// Whose processes they are.
pub enum Kind {
    /// Ours: the binary, and whether its members are told that they share a local network.
    Mayfly { binary: PathBuf, is_lan: bool },
    /// With TLS between its members or without.
    Etcd { has_tls: bool },
}

impl Kind {
    pub fn of(name: &str, binary: &Path) -> Result<Self> {
        match name {
            "mayfly" | "mayfly-lan" => {
                Ok(Self::Mayfly { binary: std::path::absolute(binary)?, is_lan: name == "mayfly-lan" })
            }
            "etcd" | "etcd-tls" => Ok(Self::Etcd { has_tls: name == "etcd-tls" }),
            other => bail!("{other} is none of mayfly, mayfly-lan, etcd, etcd-tls"),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Mayfly { is_lan: false, .. } => "mayfly",
            Self::Mayfly { is_lan: true, .. } => "mayfly-lan",
            Self::Etcd { has_tls: false } => "etcd",
            Self::Etcd { has_tls: true } => "etcd-tls",
        }
    }
}

/// A process, killed when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// In clock ticks of 10 ms, as Linux reports it.
    fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').context("no name in /proc")?.1;
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Process {
    /// Resident, in MiB.
    fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL
        let _ = self.child.wait();
    }
}

pub struct Cluster {
    /// None for one that was killed.
    processes: Vec<Option<Process>>,
    commands: Vec<Vec<String>>,
    program: PathBuf,
    /// Where clients are served.
    pub addresses: Vec<String>,
    folder: TempDir,
}

/// Of 512 bytes, in all files of a folder.
fn blocks(folder: &Path) -> Result<u64> {
    let mut all = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        all += if found.is_dir() { blocks(&entry.path())? } else { found.blocks() };
    }
    Ok(all)
}

fn free_ports(count: usize) -> Result<Vec<u16>> {
    let bound = |_| std::net::TcpListener::bind("127.0.0.1:0");
    let sockets: Vec<_> = (0..count).map(bound).collect::<std::io::Result<_>>()?;
    sockets.iter().map(|socket| Ok(socket.local_addr()?.port())).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

impl Cluster {
    /// Starts some processes, and waits until all of them are one cluster.
    pub async fn start(kind: &Kind, members: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let clients = free_ports(members)?;
        let peers = free_ports(members)?;
        let addresses = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let (program, commands) = match kind {
            Kind::Mayfly { binary, is_lan } => (binary.clone(), mayfly(folder.path(), &clients, &peers, *is_lan)),
            Kind::Etcd { has_tls } => ("etcd".into(), etcd(folder.path(), &clients, &peers, *has_tls)),
        };
        let mut cluster =
            Self { processes: (0..members).map(|_| None).collect(), commands, program, addresses, folder };
        cluster.start_one(0)?;
        for i in 1..members {
            if let Kind::Mayfly { .. } = kind {
                cluster.let_in(i).await?;
            }
            cluster.start_one(i)?;
        }
        cluster.until_whole().await?;
        Ok(cluster)
    }

    pub fn start_one(&mut self, i: usize) -> Result<()> {
        let mut command = Command::new(&self.program);
        let words = File::options().append(true).create(true).open(self.words_of(i))?;
        command.args(&self.commands[i]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        self.processes[i] = Some(Process { child });
        Ok(())
    }

    /// A member's folder.
    pub fn data(&self, i: usize) -> PathBuf {
        self.folder.path().join(i.to_string())
    }

    /// What a process said.
    fn words_of(&self, i: usize) -> PathBuf {
        self.folder.path().join(format!("{i}.log"))
    }

    /// Keeps what the processes wrote and said, for whoever looks into a failure. Says where.
    pub fn keep(&mut self) -> String {
        self.folder.disable_cleanup(true);
        format!("logs and data are kept in {}", self.folder.path().display())
    }

    /// What all processes have had of the processors so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        self.processes.iter().flatten().map(|process| process.cpu_time()).sum()
    }

    /// Of each process.
    pub fn memory_mib(&self) -> Result<Vec<f64>> {
        self.processes.iter().flatten().map(Process::memory).collect()
    }

    /// Of each process, blocks of holes not counted.
    pub fn disk_mib(&self) -> Result<Vec<f64>> {
        (0..self.addresses.len()).map(|i| Ok(blocks(&self.data(i))? as f64 / 2048.0)).collect()
    }

    /// The latest term that a member knows of: each election is at least one more.
    pub async fn term(&self) -> Result<u64> {
        let mut term = 0;
        for address in &self.addresses {
            let status = MaintenanceClient::new(connect(address).await?).status(StatusRequest {}).await?;
            term = term.max(status.into_inner().raft_term);
        }
        Ok(term)
    }

    /// SIGKILL.
    pub fn kill(&mut self, i: usize) {
        self.processes[i] = None;
    }

    /// A token of the first, for another one.
    async fn let_in(&self, i: usize) -> Result<()> {
        let (first, own) = (&self.commands[0][2], &self.commands[i][2]);
        let begun = Instant::now();
        loop {
            let mut command = Command::new(&self.program);
            command.args(["swarm", "token", "--data", first, "-o", &format!("{own}.token")]);
            if command.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                return Ok(());
            }
            if begun.elapsed() > LONG {
                bail!("the first node gives no token");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until all of them have votes, and each of them takes writes.
    pub async fn until_whole(&self) -> Result<()> {
        let begun = Instant::now();
        while !self.is_whole().await {
            if begun.elapsed() > LONG {
                bail!("{} do not become one cluster", self.addresses.join(", "));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn is_whole(&self) -> bool {
        for address in &self.addresses {
            let Ok(channel) = connect(address).await else { return false };
            let list = ClusterClient::new(channel.clone()).member_list(MemberListRequest::default()).await;
            let is_voter =
                |member: &mayfly_mesh::proto::etcdserverpb::Member| !member.is_learner && !member.name.is_empty();
            if list.map_or(0, |list| list.into_inner().members.iter().filter(|member| is_voter(member)).count())
                < self.addresses.len()
            {
                return false;
            }
            let put = PutRequest { key: "whole".into(), ..PutRequest::default() };
            if KvClient::new(channel).put(put).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Who leads.
    pub async fn leader(&self) -> Result<usize> {
        let begun = Instant::now();
        loop {
            for (i, address) in self.addresses.iter().enumerate() {
                let Ok(channel) = connect(address).await else { continue };
                let status =
                    MaintenanceClient::new(channel).status(StatusRequest {}).await.map(tonic::Response::into_inner);
                let leads = |status: &mayfly_mesh::proto::etcdserverpb::StatusResponse| {
                    status.header.as_ref().is_some_and(|header| header.member_id == status.leader)
                };
                if status.as_ref().is_ok_and(leads) {
                    return Ok(i);
                }
            }
            if begun.elapsed() > LONG {
                bail!("nobody leads");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub async fn connect(address: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

fn mayfly(folder: &Path, clients: &[u16], peers: &[u16], is_lan: bool) -> Vec<Vec<String>> {
    let profile = if is_lan { "lan" } else { "region" };
    let command = |i: usize| {
        let data = folder.join(i.to_string()).display().to_string();
        let token = if i > 0 { format!("--token {data}.token") } else { String::new() };
        words(&format!(
            "node --data {data} --listen 127.0.0.1:{} --mesh --profile {profile} --clients 127.0.0.1:{} --log warn {token}",
            peers[i], clients[i]
        ))
    };
    (0..clients.len()).map(command).collect()
}

fn etcd(folder: &Path, clients: &[u16], peers: &[u16], has_tls: bool) -> Vec<Vec<String>> {
    let (scheme, tls) = if has_tls { ("https", "--peer-auto-tls") } else { ("http", "") };
    let all: Vec<String> = (0..clients.len()).map(|i| format!("n{i}={scheme}://127.0.0.1:{}", peers[i])).collect();
    let command = |i: usize| {
        let (client, peer) = (clients[i], peers[i]);
        words(&format!(
            "--name n{i} --data-dir {}/{i} --log-level error --initial-cluster {} --listen-client-urls http://127.0.0.1:{client} \
             --advertise-client-urls http://127.0.0.1:{client} --listen-peer-urls {scheme}://127.0.0.1:{peer} \
             --initial-advertise-peer-urls {scheme}://127.0.0.1:{peer} {tls}",
            folder.display(),
            all.join(",")
        ))
    };
    (0..clients.len()).map(command).collect()
}
