//! The gRPC face: etcd's services over an [`Engine`].

mod answer;
mod cluster;
mod contend;
mod election;
mod follow;
mod http;
mod kv;
mod lease;
mod line;
mod lock;
mod maintenance;
mod models;
mod snapshot;
mod watch;

pub use answer::MAX_REQUEST_BYTES;
pub use maintenance::ETCD_LEVEL;

use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::etcd_error::EtcdError;
use crate::models::{CHUNK, ModelHost};
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
use futures_util::StreamExt;
use line::Line;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch as told};
use tonic::service::interceptor::InterceptedService;
use tonic::service::{Interceptor, Routes};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

/// What a message may be longer than its request, as in etcd.
const OVERHEAD_BYTES: usize = 512 << 10;
/// Streams of one connection at once: what comes beyond waits at the client.
const MAX_STREAMS: u32 = 1_000;

/// A client that says nothing is asked after so long, and has so long to answer: etcd's times.
const SILENCE: Duration = Duration::from_secs(2 * 60 * 60);
const ANSWER: Duration = Duration::from_secs(20);
/// How long clients have to take what they were answered once the node ends.
const GRACE: Duration = Duration::from_secs(5);

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
    /// Which addresses are allowed.
    pub in_clear: InClear,
    /// The member's name in lists.
    pub name: String,
}

impl Clients {
    /// On this machine only.
    pub fn loopback(port: u16) -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), in_clear: InClear::Loopback, name: "default".into() }
    }

    /// Opens the address; connections wait from now on.
    ///
    /// # Errors
    /// [`MeshError::InClear`], [`MeshError::Listen`].
    pub async fn bind(self) -> Result<Bound> {
        let address = self.address;
        if self.in_clear == InClear::Loopback && !address.ip().is_loopback() {
            return Err(MeshError::InClear { address });
        }
        let fail = |e: std::io::Error| MeshError::Listen { address, reason: e.to_string() };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Bound { listener, address, name: self.name, models: None })
    }
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    name: String,
    models: Option<ModelHost>,
}

impl Bound {
    /// Serves the registry of models, too.
    #[must_use]
    pub fn with_models(self, models: ModelHost) -> Self {
        Self { models: Some(models), ..self }
    }

    /// The address, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves clients until `shutdown`, or until the node cannot go on, with a quota of 2 GiB and all history.
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
    let Bound { listener, address, name, models } = clients;
    let (ends, is_ending) = told::channel(false);
    let upkeep = Upkeep::new(engine.clone(), Threads { ends: is_ending, begun: Instant::now() }, config);
    let hub = Hub::new(engine.store())?;
    let shared = Shared { engine: engine.clone(), hub: hub.clone(), condition: upkeep.condition(), models };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let routes = shared.routes(name, address).add_service(health_service);
    let mut kept = tokio::spawn(async move { upkeep.run().await });
    let (mut ended, over) = (None, Notify::new());
    let until = async {
        tokio::select! {
            () = shutdown => {}
            reason = engine.ended() => ended = Some(reason),
            reason = look_out(&engine, &hub) => ended = Some(reason),
            Ok(Some(reason)) = &mut kept => ended = Some(reason),
        }
        ends.send_replace(true);
        // Streams of watchers would never end by themselves.
        hub.end(ended.clone().unwrap_or_else(|| MeshError::Stopped { reason: "it was closed".into() }));
        over.notify_one();
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    };
    let (cut, is_cut) = told::channel(false);
    let lines = TcpIncoming::from(listener).with_nodelay(Some(true));
    let lines = lines.map(move |stream| stream.map(|stream| Line::new(stream, is_cut.clone())));
    let served = {
        let mut serving = pin!(server().add_routes(routes).serve_with_incoming_shutdown(lines, until));
        tokio::select! {
            served = &mut serving => served,
            () = async { over.notified().await; tokio::time::sleep(GRACE).await } => {
                cut.send_replace(true);
                serving.await
            }
        }
    };
    // What it holds of the node is let go when its last step is over.
    if !kept.is_finished() {
        let _ = tokio::time::timeout(GRACE, kept).await;
    }
    match ended {
        Some(reason) => Err(reason),
        None => served.map_err(|e| MeshError::Listen { address, reason: e.to_string() }),
    }
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
    condition: Arc<Condition>,
    models: Option<ModelHost>,
}

impl<E: Engine> Shared<E> {
    fn routes(&self, name: String, address: SocketAddr) -> Routes {
        let Self { engine, hub, condition, models } = self;
        let [for_kv, for_cluster, for_maintenance, for_lease, for_watch] = [(); 5].map(|()| engine.clone());
        let kv = kv::KvService { engine: for_kv, condition: condition.clone() };
        let lease = lease::LeaseService { engine: for_lease, hub: hub.clone(), condition: condition.clone() };
        let contend =
            contend::Contend { kv: kv.clone(), lease: lease.clone(), engine: engine.clone(), hub: hub.clone() };
        let (lock, election) = (lock::LockService(contend.clone()), election::ElectionService(contend));
        let watch = watch::WatchService { engine: for_watch, hub: hub.clone(), condition: condition.clone() };
        let cluster = cluster::ClusterService { engine: for_cluster, name, address };
        let fit = Fit(condition.clone());
        let kv = KvServer::new(kv).max_decoding_message_size(MAX_REQUEST_BYTES + OVERHEAD_BYTES);
        let mut routes = Routes::new(InterceptedService::new(kv, fit.clone()))
            .add_service(InterceptedService::new(WatchServer::new(watch), fit.clone()))
            .add_service(InterceptedService::new(LeaseServer::new(lease), fit.clone()))
            .add_service(InterceptedService::new(LockServer::new(lock), fit.clone()))
            .add_service(InterceptedService::new(ElectionServer::new(election), fit))
            .add_service(ClusterServer::new(cluster))
            .add_service(MaintenanceServer::new(maintenance::MaintenanceService::new(for_maintenance)));
        if let Some(host) = models.clone() {
            let service = models::ModelsService { engine: engine.clone(), hub: hub.clone(), host };
            let service = ModelsServer::new(service).max_decoding_message_size(2 * CHUNK);
            routes = routes.add_service(InterceptedService::new(service, Fit(condition.clone())));
        }
        let router = std::mem::take(routes.axum_router_mut());
        *routes.axum_router_mut() = http::add(router, self);
        routes
    }
}

/// Lets nobody through to a member that differs from the others.
#[derive(Clone)]
struct Fit(Arc<Condition>);

impl Interceptor for Fit {
    fn call(&mut self, request: Request<()>) -> std::result::Result<Request<()>, Status> {
        if self.0.differs() { Err(EtcdError::Corrupt.into()) } else { Ok(request) }
    }
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
