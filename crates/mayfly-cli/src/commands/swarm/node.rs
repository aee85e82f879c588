//! `mayfly node`: a daemon.

use super::Node;
use super::args::{Distance, NodeArgs};
use super::folder::{Folder, KEY, MEMORY, Means};
use super::mesh::{self, Wanted};
use super::{control, key, metrics, upkeep};
use crate::support::ui::Ui;
use anyhow::{Context, Result, bail};

use mayfly_learn::{Directory, Hub, HubConfig};
use mayfly_mesh::{Clients, InClear, MESH_TOPIC, Profile, Tls};
use mayfly_swarm::membership::{MemberState, Metadata};
use mayfly_swarm::memory::MemoryLimits;
use mayfly_swarm::{Disk, Loaded, NodeConfig, Runtime, RuntimeConfig, Stop, topology};
use mayfly_wire::{
    Endpoint, EndpointConfig, Identity, JoinToken, Lane, Listener, Peer, Transport, TrustList, TrustStore, lanes,
};
use serde_json::json;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

impl NodeArgs {
    fn or(self, file: NodeArgs) -> NodeArgs {
        let list = |ours: Vec<_>, theirs| if ours.is_empty() { theirs } else { ours };
        NodeArgs {
            data: self.data.or(file.data),
            listen: self.listen.or(file.listen),
            advertise: self.advertise.or(file.advertise),
            join: list(self.join, file.join),
            token: self.token.or(file.token),
            passphrase_file: self.passphrase_file.or(file.passphrase_file),
            topology: self.topology.or(file.topology),
            metrics: self.metrics.or(file.metrics),
            mesh: self.mesh.or(file.mesh),
            clients: self.clients.or(file.clients),
            client_cert: self.client_cert.or(file.client_cert),
            client_key: self.client_key.or(file.client_key),
            client_ca: self.client_ca.or(file.client_ca),
            insecure_clients: self.insecure_clients || file.insecure_clients,
            quota: self.quota.or(file.quota),
            compact_keep: self.compact_keep.or(file.compact_keep),
            auth_token_ttl: self.auth_token_ttl.or(file.auth_token_ttl),
            profile: self.profile.or(file.profile),
            capabilities: list(self.capabilities, file.capabilities),
            log: self.log.or(file.log),
            new_memory: self.new_memory,
            config: self.config,
        }
    }
}

pub fn run(args: NodeArgs, ui: Ui) -> Result<()> {
    let file = match &args.config {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))?
        }
        None => NodeArgs::default(),
    };
    let args = args.or(file);
    let level = args.log.as_deref().unwrap_or("info");
    let level: LevelFilter =
        level.parse().with_context(|| format!("{level} is no log level: error, warn, info, debug or trace"))?;
    log_to_stderr(level);
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(serve(args, ui))
}

/// openraft tells what it does in the words of its own code: that is for those who ask for every detail.
fn log_to_stderr(level: LevelFilter) {
    let quiet = if level > LevelFilter::INFO { level } else { level.min(LevelFilter::ERROR) };
    let targets = Targets::new().with_default(level).with_target("openraft", quiet);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(targets).init();
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

async fn serve(args: NodeArgs, ui: Ui) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let data = args.data.clone().unwrap_or_else(|| PathBuf::from("mayfly-node"));
    let wanted = wanted(&args, &data).await?;
    let clients = wanted.as_ref().map(Wanted::clients);
    let Started { runtime, handshake_ms, lane, learning } = start(&args, &data).await?;
    let directory = Arc::new(InSwarm(runtime.clone()));
    let hub = Hub::start(learning, HubConfig { folder: data.join(LEARN), directory });
    runtime.describe(Metadata { capabilities: args.capabilities.clone(), ..Metadata::default() });
    let facts = json!({
        "handshake_ms": handshake_ms, "key_exchange": "SecP384r1MLKEM1024", "signature": "ML-DSA-87", "pid": std::process::id(),
    });
    control::serve(runtime.clone(), hub.clone(), &data, facts)?;
    if !args.join.is_empty() {
        tokio::spawn(seek(runtime.clone(), args.join.clone()));
    }
    if let Some(addr) = args.metrics {
        let bound = metrics::serve(runtime.clone(), addr).await?;
        tracing::info!(addr = %bound, "metrics");
    }
    let (ends, ended) = tokio::sync::oneshot::channel::<()>();
    let others = InSwarm(runtime.clone());
    let opened = wanted.as_ref().and_then(|wanted| wanted.opened(&others));
    let mut say = pin!(say(&runtime, &data, clients, opened, ui));
    let mut member = pin!(take_part(wanted, lane, (&data, args.advertise), others, async { drop(ended.await) }));
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let (mut took_part, mut said) = (None, None);
    let why = loop {
        tokio::select! {
            why = runtime.stopped() => break why,
            _ = &mut interrupt => break Stop::Asked,
            _ = terminate.recv() => break Stop::Asked,
            outcome = &mut member => {
                took_part = Some(outcome);
                break Stop::Asked;
            }
            result = &mut say, if said.is_none() => {
                let is_heard = result.is_ok();
                said = Some(result);
                if !is_heard {
                    break Stop::Asked;
                }
            }
        }
    };
    drop(ends);
    hub.close().await;
    let took_part = match took_part {
        Some(outcome) => outcome,
        None => member.await,
    };
    let left = runtime.leave().await;
    let _ = std::fs::remove_file(control::socket_of(&data));
    took_part?;
    said.transpose()?;
    match why {
        Stop::Superseded(addr) => Err(mayfly_swarm::SwarmError::Superseded { addr }.into()),
        _ => Ok(left?),
    }
}

/// Says that the node is there: once clients are let in, where that is for this node to bring about.
async fn say(
    runtime: &Node,
    data: &Path,
    clients: Option<SocketAddr>,
    opened: Option<watch::Receiver<bool>>,
    ui: Ui,
) -> Result<()> {
    if let Some(mut opened) = opened
        && opened.wait_for(|is_open| *is_open).await.is_err()
    {
        std::future::pending::<()>().await; // it ends before clients are served
    }
    let status = runtime.status();
    let served = clients.map_or_else(String::new, |addr| format!(", clients at {addr}"));
    let text = format!("node {} at {}{served}, data in {}", status.id.short(), status.addr, data.display());
    let object = json!({
        "id": status.id.to_string(), "addr": status.addr.to_string(), "data": data, "clients": clients.map(|addr| addr.to_string()),
    });
    ui.result(&text, &object)
}

/// The node, and how long its first handshake took. Its port comes first: whoever cannot have it has spent no token and written nothing.
async fn start(args: &NodeArgs, data: &Path) -> Result<Started> {
    let name = args.topology.as_deref().unwrap_or("mesh");
    let topology = Arc::from(topology::by_name(name)?);
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    check_advertise(listen, args.advertise)?;
    let (join, passphrase) = (resolve(&args.join).await?, key::passphrase(args.passphrase_file.as_deref())?);
    let listener = Listener::bind(listen)?;
    let folder = Folder::open(data)?;
    folder.check_whole(Means { token: args.token.is_some(), new_memory: args.new_memory })?;
    let config = EndpointConfig::new(listen);
    let made = make_member(args, data, &folder, passphrase.as_deref(), &join, &config).await;
    let Member { identity, disk, loaded, trust, mut seeds } = made.inspect_err(|_| {
        if !folder.is_member() {
            folder.take_back();
        }
    })?;
    let trust = Arc::new(trust);
    let endpoint = Endpoint::on(listener, identity, trust.clone(), config)?;
    seeds.extend(members_at(&endpoint, &join).await);
    if seeds.is_empty() && loaded.peers.is_empty() && trust.member_count() > 1 {
        let others = trust.member_count() - 1;
        tracing::warn!(
            "this node stands alone: it knows no address of the {others} other members and waits for their call; --join HOST:PORT names one"
        );
    }
    let mut handshake_ms = None;
    if let Some(&seed) = seeds.first() {
        let begun = Instant::now();
        handshake_ms = endpoint.connect(seed).await.is_ok().then(|| begun.elapsed().as_secs_f64() * 1e3);
    }
    let swarm = trust.swarm().0;
    let node = NodeConfig { seed: u64::from_le_bytes(std::array::from_fn(|i| swarm[i])), ..NodeConfig::default() };
    let seed = now_ms() ^ u64::from(std::process::id()) << 44;
    let (trust, advertise) = (Some(trust), args.advertise);
    let config = RuntimeConfig { node, topology, limits: MemoryLimits::default(), seed, trust, advertise };
    let topics = [0..=MESH_TOPIC - 1, MESH_TOPIC..=MESH_TOPIC, mayfly_learn::TOPIC..=mayfly_learn::TOPIC];
    let [own, lane, learning] = lanes(endpoint, topics);
    let runtime = Runtime::start(own, disk, loaded, &seeds, config).await?;
    Ok(Started { runtime, handshake_ms, lane, learning })
}

/// A node that runs.
struct Started {
    runtime: Node,
    /// How long its first handshake took.
    handshake_ms: Option<f64>,
    /// For the mesh.
    lane: Lane<Endpoint>,
    /// For training together.
    learning: Lane<Endpoint>,
}

/// Where and how clients of the mesh are served.
fn clients_of(args: &NodeArgs) -> Result<Clients> {
    let in_clear = if args.insecure_clients { InClear::Anywhere } else { InClear::Loopback };
    let address = args.clients.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 2379)));
    let tls = match (args.client_cert.clone(), args.client_key.clone(), args.client_ca.clone()) {
        (Some(cert), Some(key), client_ca) => Some(Tls { cert, key, client_ca }),
        (None, None, None) => None,
        _ => bail!("TLS for clients needs --client-cert and --client-key, and may have --client-ca"),
    };
    let clients = Clients { address, in_clear, tls, ..Clients::loopback(0) };
    match args.auth_token_ttl.map(|seconds| Duration::from_secs(seconds.get().into())) {
        Some(token_life) => Ok(Clients { token_life, ..clients }),
        None => Ok(clients),
    }
}

fn profile_of(args: &NodeArgs) -> Profile {
    match args.profile {
        Some(Distance::Lan) => Profile::Lan,
        Some(Distance::Region) | None => Profile::Region,
        Some(Distance::Wan) => Profile::Wan,
    }
}

/// What is asked of the mesh.
async fn wanted(args: &NodeArgs, data: &Path) -> Result<Option<Wanted>> {
    match args.mesh {
        Some(role) => {
            let upkeep = upkeep::config(args.quota.as_deref(), args.compact_keep.as_deref())?;
            Ok(Some(Wanted::new(role, data, clients_of(args)?, upkeep, profile_of(args)).await?))
        }
        None if args.quota.is_some() || args.compact_keep.is_some() || args.profile.is_some() => {
            bail!("--quota, --compact-keep and --profile are for the mesh: add --mesh")
        }
        None if args.auth_token_ttl.is_some() => {
            bail!("--auth-token-ttl is for clients of the mesh: add --mesh")
        }
        None if args.clients.is_some() || args.insecure_clients || args.client_cert.is_some() => {
            bail!("--clients is for the mesh: add --mesh")
        }
        None => Ok(None),
    }
}

/// Takes part in the mesh, if that is wanted, until the node ends.
async fn take_part(
    wanted: Option<Wanted>,
    lane: Lane<Endpoint>,
    (data, advertise): (&Path, Option<SocketAddr>),
    others: InSwarm,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    match wanted {
        Some(wanted) => mesh::take_part(wanted, lane, advertise, others, shutdown).await,
        None => {
            drop(lane); // questions about a mesh are refused
            mesh::warn_if_member(data);
            shutdown.await;
            Ok(())
        }
    }
}

/// The others, as the swarm knows them.
struct InSwarm(Node);

impl Directory for InSwarm {
    fn peers(&self) -> Vec<Peer> {
        let status = self.0.status();
        let alive = status.members.iter().filter(|member| member.state == MemberState::Alive);
        alive.map(|member| Peer { id: member.id, addr: member.addr }).collect()
    }
}

impl mesh::Others for InSwarm {
    fn peers(&self) -> Vec<Peer> {
        let status = self.0.status();
        status.members.iter().map(|member| Peer { id: member.id, addr: member.addr }).collect()
    }

    fn is_alone(&self) -> bool {
        self.0.transport().trust().member_count() <= 1
    }

    fn trust(&self) -> Arc<TrustStore> {
        self.0.transport().trust().clone()
    }

    fn identity(&self) -> Identity {
        self.0.transport().identity().clone()
    }
}

/// Others have to be able to call this node.
fn check_advertise(listen: SocketAddr, advertise: Option<SocketAddr>) -> Result<()> {
    match advertise {
        None if listen.ip().is_unspecified() => {
            bail!("with --listen {listen}, say where others reach this node: --advertise ADDR")
        }
        Some(addr) => check_reachable("--advertise", addr),
        None => Ok(()),
    }
}

/// An address that somebody could call.
pub fn check_reachable(option: &str, addr: SocketAddr) -> Result<()> {
    if addr.ip().is_unspecified() || addr.ip().is_multicast() || addr.port() == 0 {
        bail!(
            "{option} {addr}: nobody can be reached there; name an address and a port of this machine, such as 10.0.0.1:7700"
        );
    }
    Ok(())
}

/// What makes a node one of the swarm.
struct Member {
    identity: Identity,
    disk: Disk,
    loaded: Loaded,
    trust: TrustStore,
    /// Whom to knock at.
    seeds: Vec<Peer>,
}

async fn make_member(
    args: &NodeArgs,
    data: &Path,
    folder: &Folder,
    passphrase: Option<&str>,
    join: &[SocketAddr],
    config: &EndpointConfig,
) -> Result<Member> {
    let identity = Identity::load_or_create(&data.join(KEY), passphrase.map(str::as_bytes))?;
    let memory = data.join(MEMORY);
    if args.new_memory && std::fs::metadata(&memory).is_ok_and(|meta| meta.len() == 0) {
        std::fs::remove_file(&memory).with_context(|| format!("cannot remove the empty {}", memory.display()))?;
    }
    // Whoever is a member has had a memory: that it is not there is no first start.
    let open = if folder.is_member() && !args.new_memory { Disk::open_existing } else { Disk::open };
    let (disk, loaded) = open(&memory, identity.id())?;
    // The memory's lock says that no other process is at work here.
    folder.keep_private()?;
    let left = TrustStore::clean(data)?;
    if left > 0 {
        tracing::info!(files = left, "removed what a killed process had left half written");
    }
    match trust_of(args, data, &identity, join, config).await {
        Ok((trust, seeds)) => Ok(Member { identity, disk, loaded, trust, seeds }),
        Err(error) => {
            let _ = disk.close().await; // nothing was written
            Err(error)
        }
    }
}

/// The trust list that is there, or that of the swarm joined or founded now; and who let us in.
async fn trust_of(
    args: &NodeArgs,
    data: &Path,
    identity: &Identity,
    join: &[SocketAddr],
    config: &EndpointConfig,
) -> Result<(TrustStore, Vec<Peer>)> {
    let token = args.token.as_deref().map(read_token).transpose();
    if let Some(trust) = TrustStore::load(data)? {
        trust.member(identity.id()).context("this node is no member of its swarm any more")?;
        match token {
            Ok(Some(token)) if token.swarm() != trust.swarm() => bail!(
                "{} is a member of swarm {}, and the token is for {}: join that one from another --data folder",
                data.display(),
                trust.swarm().short(),
                token.swarm().short()
            ),
            Ok(None) => {}
            _ => {
                tracing::warn!("--token was not used: this node is a member of swarm {} already", trust.swarm().short())
            }
        }
        return Ok((trust, Vec::new()));
    }
    let Some(token) = token? else {
        if !args.join.is_empty() {
            bail!("joining needs a token the first time: run `mayfly swarm token` at a member, then add --token TOKEN");
        }
        let list = TrustList::found(identity, now_ms())?;
        tracing::info!(
            "founded swarm {}, alone in it so far: `mayfly swarm token` lets others in",
            list.swarm().short()
        );
        return Ok((TrustStore::create(data, list)?, Vec::new()));
    };
    let list = mayfly_wire::join(identity, &token, join, config).await.context("not joined")?;
    let seeds = token.contacts().iter().map(|&addr| Peer { id: token.issuer(), addr }).collect();
    Ok((TrustStore::create(data, list)?, seeds))
}

/// A token, or a file that has one; `-` is standard input.
fn read_token(token: &str) -> Result<JoinToken> {
    let text = match token {
        "-" => std::io::read_to_string(std::io::stdin()).context("cannot read a token from standard input")?,
        token if token.starts_with("mfj1.") => token.into(),
        path => {
            std::fs::read_to_string(path).with_context(|| format!("{path} is neither a token nor a file with one"))?
        }
    };
    Ok(text.trim().parse()?)
}

/// The folder of the runs in which a node learns with others.
const LEARN: &str = "learn";
/// Between attempts to find somebody at the addresses given.
const SEEK_TIME: Duration = Duration::from_secs(5);

/// What the names in --join stand for now. A name that is unknown now may be known later; one that is none is an error.
async fn resolve(names: &[String]) -> Result<Vec<SocketAddr>> {
    let mut all = Vec::new();
    for name in names {
        match tokio::net::lookup_host(name).await {
            Ok(found) => all.extend(found),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                bail!("--join {name}: expected HOST:PORT, such as 10.0.0.1:7700")
            }
            Err(error) => tracing::warn!(%name, %error, "no address is known for this name"),
        }
    }
    Ok(all)
}

/// The members at some addresses, this node aside.
async fn members_at(endpoint: &Endpoint, addrs: &[SocketAddr]) -> Vec<Peer> {
    let mut found = Vec::new();
    for &addr in addrs {
        match endpoint.who_is_at(addr).await {
            Ok(id) if id == endpoint.id() => {}
            Ok(id) => found.push(Peer { id, addr }),
            Err(error) => tracing::warn!(%addr, %error, "no member answers there"),
        }
    }
    found
}

/// While nobody is there, looks at the addresses again: names may stand for others by then, and others may have started.
async fn seek(runtime: Node, names: Vec<String>) {
    loop {
        tokio::time::sleep(SEEK_TIME).await;
        if runtime.view().members.len() > 1 {
            continue;
        }
        let addrs = resolve(&names).await.unwrap_or_default(); // the names were looked at before
        for peer in members_at(runtime.transport(), &addrs).await {
            runtime.meet(peer);
        }
    }
}
