//! The gRPC face: etcd's services over an [`Engine`].

mod answer;
mod auth;
mod calls;
mod cluster;
mod contend;
mod copies;
mod election;
mod follow;
mod gate;
mod http;
mod kv;
mod lease;
mod line;
mod lock;
mod maintenance;
mod models;
mod snapshot;
mod subject;
mod tls;
mod tokens;
mod trust;
mod used;
mod watch;
mod who;

pub use answer::MAX_REQUEST_BYTES;
pub use maintenance::ETCD_LEVEL;
pub use tls::Tls;

use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::models::{CHUNK, ModelHost};
use crate::proto::etcdserverpb::auth_server::AuthServer;
use crate::proto::etcdserverpb::cluster_server::ClusterServer;
use crate::proto::etcdserverpb::kv_server::KvServer;
use crate::proto::etcdserverpb::lease_server::LeaseServer;
use crate::proto::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::proto::etcdserverpb::watch_server::WatchServer;
use crate::proto::modelspb::models_server::ModelsServer;
use crate::proto::v3electionpb::election_server::ElectionServer;
use crate::proto::v3lockpb::lock_server::LockServer;
use crate::upkeep::{Condition, Threads, Upkeep, UpkeepConfig};
use crate::watch::Hub;
use calls::Calls;
use futures_util::{Stream, StreamExt};
use gate::Gated;
use line::{ClientInfo, Line};
use mayfly_wire::{Identity, TrustStore};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::Greeter;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch as told};
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use used::Used;

/// What a message may be longer than its request, as in etcd.
const OVERHEAD_BYTES: usize = 512 << 10;
/// Streams of one connection at once: what comes beyond waits at the client.
const MAX_STREAMS: u32 = 1_000;

/// A client that says nothing is asked after so long, and has so long to answer: etcd's times.
const SILENCE: Duration = Duration::from_secs(2 * 60 * 60);
const ANSWER: Duration = Duration::from_secs(20);
/// How long clients have to take what they were answered once the node ends.
const GRACE: Duration = Duration::from_secs(5);
/// How long a node that was started waits for a majority before it lets clients in: etcd's time; and between two looks.
const WAIT_FOR_MAJORITY: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(10);
/// Connections that may wait to be taken.
const BACKLOG: u32 = 1_024;
/// Clients that may be greeting at once, with TLS.
const MAX_GREETINGS: usize = 1_000;
/// How long a token lives that nobody uses: etcd's time.
const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);

/// From where clients are served without encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InClear {
    /// From this machine only.
    Loopback,
    /// From anywhere that reaches the address: everyone there may read and write everything.
    Anywhere,
}

/// Where clients are served.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The address.
    pub address: SocketAddr,
    /// Which addresses are allowed without TLS.
    pub in_clear: InClear,
    /// TLS, if clients are to speak it.
    pub tls: Option<Tls>,
    /// How long a token lives that nobody uses. What the member says that leads is what counts.
    pub token_life: Duration,
    /// The member's name in lists.
    pub name: String,
}

impl Clients {
    /// On this machine only.
    pub fn loopback(port: u16) -> Self {
        let (address, in_clear) = ((Ipv4Addr::LOCALHOST, port).into(), InClear::Loopback);
        Self { address, in_clear, tls: None, token_life: TOKEN_LIFE, name: "default".into() }
    }

    /// Takes the address. Who comes is refused until the node is served: another member answers sooner than one that has just been started.
    ///
    /// # Errors
    /// [`MeshError::InClear`], [`MeshError::Certificate`], [`MeshError::Listen`].
    pub async fn bind(self) -> Result<Bound> {
        let address = self.address;
        if self.in_clear == InClear::Loopback && self.tls.is_none() && !address.ip().is_loopback() {
            return Err(MeshError::InClear { address });
        }
        let greeter = self.tls.map(Greeter::new).transpose()?.map(Arc::new);
        let fail = |e: std::io::Error| MeshError::Listen { address, reason: e.to_string() };
        let socket = take(address).map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let (token_life, name) = (self.token_life, self.name);
        let opened = told::Sender::new(false);
        Ok(Bound { socket, address, greeter, token_life, name, models: None, signer: None, trust: None, opened })
    }
}

fn take(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if cfg!(not(windows)) {
        socket.set_reuseaddr(true)?; // connections of the process before do not hold the address; on Windows, it would be taken from others
    }
    socket.bind(address)?;
    Ok(socket)
}

/// An address that clients will be served at.
#[derive(Debug)]
pub struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
    greeter: Option<Arc<Greeter>>,
    token_life: Duration,
    name: String,
    models: Option<ModelHost>,
    signer: Option<Identity>,
    trust: Option<Arc<TrustStore>>,
    opened: told::Sender<bool>,
}

impl Bound {
    /// Becomes true when clients are let in.
    pub fn opened(&self) -> told::Receiver<bool> {
        self.opened.subscribe()
    }

    /// Signs the snapshots that clients take, in the name of this node.
    #[must_use]
    pub fn signing_as(self, signer: Identity) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// Keeps the swarm's trust list in the mesh, too: what is in either comes into the other.
    #[must_use]
    pub fn sharing_trust(self, trust: Arc<TrustStore>) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Serves the registry of models, too.
    #[must_use]
    pub fn with_models(self, models: ModelHost) -> Self {
        Self { models: Some(models), ..self }
    }

    /// The address, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// The URL of another address that leads here.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.greeter.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }
}

/// Serves clients until `shutdown`, or until the node cannot go on, with a quota of 2 GiB and all history. They are let in when the node has caught up
/// with what was acknowledged, or after five seconds: one without a majority still answers serializable reads.
///
/// # Errors
/// Why the node ended; [`MeshError::Listen`].
pub async fn serve<E: Engine>(engine: E, clients: Bound, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    serve_with(engine, clients, UpkeepConfig::default(), shutdown).await
}

/// The same, with what the node is to keep to.
///
/// # Errors
/// Those of [`serve`].
pub async fn serve_with<E: Engine>(
    engine: E,
    clients: Bound,
    config: UpkeepConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        biased; // who stops a node that has failed is told why it failed
        reason = engine.ended() => return Err(reason),
        () = &mut shutdown => return Ok(()),
        () = catch_up(&engine) => {}
    }
    let url = clients.url();
    let Bound { socket, address, greeter, token_life, name, models, signer, trust, opened } = clients;
    let listener = socket.listen(BACKLOG).map_err(|e| MeshError::Listen { address, reason: e.to_string() })?;
    opened.send_replace(true);
    let (ends, is_ending) = told::channel(false);
    let upkeep = Upkeep::new(engine.clone(), Threads { ends: is_ending, begun: Instant::now() }, config);
    let (hub, used) = (Hub::new(engine.store())?, Arc::new(Used::default()));
    let condition = upkeep.condition();
    let calls = Arc::new(Calls::new());
    let shared =
        Shared { engine: engine.clone(), hub: hub.clone(), used: used.clone(), condition, calls, models, signer };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let routes = shared.routes(name, url).add_service(health_service);
    let mut kept = tokio::spawn(async move { upkeep.run().await });
    let mut helpers = shared.helpers(trust);
    let (mut ended, over) = (None, Notify::new());
    let until = async {
        tokio::select! {
            biased; // as before
            reason = engine.ended() => ended = Some(reason),
            reason = look_out(&engine, &hub) => ended = Some(reason),
            Ok(Some(reason)) = &mut kept => ended = Some(reason),
            () = &mut shutdown => {}
            never = tokens::keep(&engine, &used, token_life) => match never {},
        }
        ends.send_replace(true);
        // Streams of watchers would never end by themselves.
        hub.end(ended.clone().unwrap_or_else(|| MeshError::Stopped { reason: "it was closed".into() }));
        over.notify_one();
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    };
    let (cut, is_cut) = told::channel(false);
    let served = {
        let lines = lines(listener, greeter, is_cut);
        let mut serving = pin!(server().add_routes(routes).serve_with_incoming_shutdown(lines, until));
        tokio::select! {
            served = &mut serving => served,
            () = async { over.notified().await; tokio::time::sleep(GRACE).await } => {
                cut.send_replace(true);
                serving.await
            }
        }
    };
    helpers.shutdown().await;
    // What it holds of the node is let go when its last step is over.
    if !kept.is_finished() {
        let _ = tokio::time::timeout(GRACE, kept).await;
    }
    match ended {
        Some(reason) => Err(reason),
        None => served.map_err(|e| MeshError::Listen { address, reason: e.to_string() }),
    }
}

/// Waits for what was acknowledged so far, but not for a majority that does not come.
async fn catch_up<E: Engine>(engine: &E) {
    let caught_up = async {
        while engine.read_barrier().await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    let _ = tokio::time::timeout(WAIT_FOR_MAJORITY, caught_up).await; // what is asked will tell
}

/// gRPC and HTTP/1 on one port.
fn server() -> Server {
    Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(SILENCE))
        .http2_keepalive_timeout(Some(ANSWER))
}

/// What all services share.
#[derive(Clone)]
struct Shared<E> {
    engine: E,
    hub: Arc<Hub>,
    /// Tokens that clients showed.
    used: Arc<Used>,
    condition: Arc<Condition>,
    calls: Arc<Calls>,
    models: Option<ModelHost>,
    /// In whose name snapshots are given.
    signer: Option<Identity>,
}

impl<E: Engine> Shared<E> {
    /// All services, each behind the gate.
    fn routes(&self, name: String, url: String) -> Routes {
        let Self { engine, hub, condition, models, .. } = self;
        let [for_kv, for_cluster, for_maintenance, for_lease, for_watch] = [(); 5].map(|()| engine.clone());
        let kv = kv::KvService { engine: for_kv, condition: condition.clone() };
        let lease = lease::LeaseService { engine: for_lease, hub: hub.clone(), condition: condition.clone() };
        let contend =
            contend::Contend { kv: kv.clone(), lease: lease.clone(), engine: engine.clone(), hub: hub.clone() };
        let (lock, election) = (lock::LockService(contend.clone()), election::ElectionService(contend));
        let watch = watch::WatchService { engine: for_watch, hub: hub.clone(), condition: condition.clone() };
        let cluster = cluster::ClusterService { engine: for_cluster, name, url };
        let maintenance = maintenance::MaintenanceService::new(for_maintenance, self.signer.clone());
        let auth = AuthServer::new(auth::AuthService::new(engine.clone()));
        let kv = KvServer::new(kv).max_decoding_message_size(MAX_REQUEST_BYTES + OVERHEAD_BYTES);
        let mut routes = Routes::new(self.fit(kv))
            .add_service(self.fit(WatchServer::new(watch)))
            .add_service(self.fit(LeaseServer::new(lease)))
            .add_service(self.fit(LockServer::new(lock)))
            .add_service(self.fit(ElectionServer::new(election)))
            .add_service(self.fit(auth))
            .add_service(self.gated(ClusterServer::new(cluster)))
            .add_service(self.gated(MaintenanceServer::new(maintenance)));
        if let Some(host) = models.clone() {
            let copies = copies::Copies { engine: engine.clone(), host: host.clone() };
            let service = models::ModelsService { engine: engine.clone(), hub: hub.clone(), host, copies };
            let service = ModelsServer::new(service).max_decoding_message_size(2 * CHUNK);
            routes = routes.add_service(self.fit(service));
        }
        let router = std::mem::take(routes.axum_router_mut());
        *routes.axum_router_mut() = http::add(router, self);
        routes
    }

    /// Those who keep artefacts and the trust list where they belong, until the node ends.
    fn helpers(&self, trust: Option<Arc<TrustStore>>) -> JoinSet<()> {
        let (engine, hub, mut helpers) = (self.engine.clone(), self.hub.clone(), JoinSet::new());
        if let Some(host) = self.models.clone() {
            helpers.spawn(copies::Copies { engine: engine.clone(), host }.run());
        }
        if let Some(trust) = trust {
            helpers.spawn(trust::SharedTrust { engine, hub, trust }.run());
        }
        helpers
    }

    /// Nobody passes who may not.
    fn gated<S>(&self, service: S) -> Gated<E, S> {
        let (engine, used, calls) = (self.engine.clone(), self.used.clone(), self.calls.clone());
        Gated { engine, used, condition: None, calls, service }
    }

    /// And nobody to a member that differs from the others.
    fn fit<S>(&self, service: S) -> Gated<E, S> {
        Gated { condition: Some(self.condition.clone()), ..self.gated(service) }
    }
}

/// Connections of clients, as they come.
fn lines(
    listener: TcpListener,
    greeter: Option<Arc<Greeter>>,
    cut: told::Receiver<bool>,
) -> impl Stream<Item = io::Result<Line>> {
    let streams = TcpIncoming::from(listener).with_nodelay(Some(true));
    let greeted = streams.map(move |stream| {
        let (greeter, cut) = (greeter.clone(), cut.clone());
        async move {
            match (stream, greeter) {
                (Ok(stream), None) => Some(Ok(Line::new(Box::new(stream), ClientInfo::default(), cut))),
                (Ok(stream), Some(greeter)) => match greeter.greet(stream, cut).await {
                    Ok(line) => Some(Ok(line)),
                    Err(error) => {
                        tracing::debug!(%error, "a client is not let in");
                        None
                    }
                },
                (Err(error), _) => Some(Err(error)),
            }
        }
    });
    // A client that greets slowly keeps nobody else waiting.
    greeted.buffer_unordered(MAX_GREETINGS).filter_map(std::future::ready)
}

/// Wakes watchers for what is committed, until that cannot be read.
async fn look_out<E: Engine>(engine: &E, hub: &Arc<Hub>) -> MeshError {
    let mut commits = engine.store().commits();
    loop {
        let (engine, hub) = (engine.clone(), hub.clone());
        match tokio::task::spawn_blocking(move || hub.advance(engine.store())).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return reason,
            Err(_) => return MeshError::Stopped { reason: "a reader of what is new has panicked".into() },
        }
        if commits.changed().await.is_err() {
            return MeshError::Stopped { reason: "it was closed".into() };
        }
    }
}
