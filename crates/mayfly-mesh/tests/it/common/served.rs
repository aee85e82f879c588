//! Nodes in this process that serve clients, and such clients.

use super::auth::by;
use super::ops::{Op, Reply};
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient;
use mayfly_mesh::{Bound, Clients, MeshError, Single, Store, UpkeepConfig, modules, serve_with};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// A node with clients, in this process.
pub struct Node {
    pub address: SocketAddr,
    pub engine: Single,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), MeshError>>,
}

impl Node {
    pub async fn start(folder: &Path) -> Self {
        Self::over(Store::open(folder, modules()).expect("a store")).await
    }

    pub async fn over(store: Store) -> Self {
        Self::with(store, UpkeepConfig::default()).await
    }

    pub async fn with(store: Store, config: UpkeepConfig) -> Self {
        Self::of(store, config, Clients::loopback(0).bind().await.expect("a port")).await
    }

    pub async fn with_models(store: Store, models: mayfly_mesh::models::ModelHost) -> Self {
        let clients = Clients::loopback(0).bind().await.expect("a port").with_models(models);
        Self::of(store, UpkeepConfig::default(), clients).await
    }

    /// Signs the snapshots that it gives.
    pub async fn signing(store: Store, signer: mayfly_wire::Identity) -> Self {
        let clients = Clients::loopback(0).bind().await.expect("a port").signing_as(signer);
        Self::of(store, UpkeepConfig::default(), clients).await
    }

    /// With tokens of another life.
    pub async fn start_with(folder: &Path, token_life: Duration) -> Self {
        let store = Store::open(folder, modules()).expect("a store");
        Self::serving(store, Clients { token_life, ..Clients::loopback(0) }).await
    }

    pub async fn serving(store: Store, clients: Clients) -> Self {
        Self::of(store, UpkeepConfig::default(), clients.bind().await.expect("a port")).await
    }

    pub async fn of(store: Store, config: UpkeepConfig, clients: Bound) -> Self {
        let engine = Single::start(store).expect("a thread");
        let (address, mut opened) = (clients.address(), clients.opened());
        let (stop, stopped) = oneshot::channel();
        let until = async move { drop(stopped.await) };
        let served = tokio::spawn(serve_with(engine.clone(), clients, config, until));
        let _ = opened.wait_for(|is_open| *is_open).await; // what cannot be served is told when it is stopped
        Self { address, engine, stop, served }
    }

    pub async fn client(&self) -> KvClient<Channel> {
        client(self.address).await.kv
    }

    pub async fn client_of_all(&self) -> Client {
        client(self.address).await
    }

    /// Ends it, and gives its folder free.
    pub async fn stop(self) -> Result<(), MeshError> {
        let _ = self.stop.send(());
        let served = self.served.await.expect("no panic");
        self.engine.close().await;
        served
    }
}

pub async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    for _ in 0..200 {
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nobody listens on {address}")
}

/// A client of keys and leases.
pub struct Client {
    pub kv: KvClient<Channel>,
    pub leases: LeaseClient<Channel>,
}

pub async fn client(address: SocketAddr) -> Client {
    let channel = channel(address).await;
    let kv = KvClient::new(channel.clone()).max_decoding_message_size(64 << 20);
    Client { kv, leases: LeaseClient::new(channel) }
}

/// Asks over gRPC.
pub async fn ask(client: &mut Client, op: &Op) -> Result<Reply, Status> {
    ask_by(client, None, op).await
}

/// Asks over gRPC, with a token.
pub async fn ask_by(client: &mut Client, token: Option<&str>, op: &Op) -> Result<Reply, Status> {
    let Client { kv: client, leases } = client;
    Ok(match op.clone() {
        Op::Range(request) => Reply::Range(client.range(by(token, request)).await?.into_inner()),
        Op::Put(request) => Reply::Put(client.put(by(token, request)).await?.into_inner()),
        Op::Delete(request) => Reply::Delete(client.delete_range(by(token, request)).await?.into_inner()),
        Op::Txn(request) => Reply::Txn(client.txn(by(token, request)).await?.into_inner()),
        Op::Compact(request) => Reply::Compact(client.compact(by(token, request)).await?.into_inner()),
        Op::Grant(request) => Reply::Grant(leases.lease_grant(by(token, request)).await?.into_inner()),
        Op::Revoke(request) => Reply::Revoke(leases.lease_revoke(by(token, request)).await?.into_inner()),
    })
}
