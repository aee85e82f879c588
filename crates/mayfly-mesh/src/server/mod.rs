//! The gRPC face: etcd's services over an [`Engine`].

mod answer;
mod cluster;
mod kv;
mod lease;
mod line;
mod maintenance;
mod watch;

pub use answer::MAX_REQUEST_BYTES;
pub use maintenance::ETCD_LEVEL;

use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::proto::etcdserverpb::cluster_server::ClusterServer;
use crate::proto::etcdserverpb::kv_server::KvServer;
use crate::proto::etcdserverpb::lease_server::LeaseServer;
use crate::proto::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::proto::etcdserverpb::watch_server::WatchServer;
use crate::watch::Hub;
use futures_util::StreamExt;
use line::Line;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch as told};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

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
        Ok(Bound { listener, address, name: self.name })
    }
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    name: String,
}

impl Bound {
    /// The address, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves clients until `shutdown`, or until the node cannot go on.
///
/// # Errors
/// Why the node ended; [`MeshError::Listen`].
pub async fn serve<E: Engine>(engine: E, clients: Bound, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    let Bound { listener, address, name } = clients;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let max = MAX_REQUEST_BYTES + OVERHEAD_BYTES;
    let kv = KvServer::new(kv::KvService { engine: engine.clone() }).max_decoding_message_size(max);
    let cluster = ClusterServer::new(cluster::ClusterService { engine: engine.clone(), name, address });
    let maintenance = MaintenanceServer::new(maintenance::MaintenanceService { engine: engine.clone() });
    let hub = Hub::new(engine.store())?;
    let lease = LeaseServer::new(lease::LeaseService { engine: engine.clone(), hub: hub.clone() });
    let watch = WatchServer::new(watch::WatchService { engine: engine.clone(), hub: hub.clone() });
    let (mut ended, over) = (None, Notify::new());
    let until = async {
        tokio::select! {
            () = shutdown => {}
            reason = engine.ended() => ended = Some(reason),
            reason = look_out(&engine, &hub) => ended = Some(reason),
        }
        // Streams of watchers would never end by themselves.
        hub.end(ended.clone().unwrap_or_else(|| MeshError::Stopped { reason: "it was closed".into() }));
        over.notify_one();
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    };
    let (cut, is_cut) = told::channel(false);
    let lines = TcpIncoming::from(listener).with_nodelay(Some(true));
    let lines = lines.map(move |stream| stream.map(|stream| Line::new(stream, is_cut.clone())));
    let served = {
        let serving = Server::builder()
            .max_concurrent_streams(MAX_STREAMS)
            .http2_keepalive_interval(Some(SILENCE))
            .http2_keepalive_timeout(Some(ANSWER))
            .add_service(health_service)
            .add_service(kv)
            .add_service(watch)
            .add_service(lease)
            .add_service(cluster)
            .add_service(maintenance)
            .serve_with_incoming_shutdown(lines, until);
        let mut serving = pin!(serving);
        tokio::select! {
            served = &mut serving => served,
            () = async { over.notified().await; tokio::time::sleep(GRACE).await } => {
                cut.send_replace(true);
                serving.await
            }
        }
    };
    match ended {
        Some(reason) => Err(reason),
        None => served.map_err(|e| MeshError::Listen { address, reason: e.to_string() }),
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
