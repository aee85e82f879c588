//! The leader is killed, again and again: how long until the others commit a write?

use crate::cluster::{Cluster, Kind, MEMBERS, connect};
use anyhow::{Context, Result, bail};
use mayfly_mesh::proto::etcdserverpb::PutRequest;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// Between two tries of a client.
const AGAIN: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(30);

pub async fn run(kind: &Kind, kills: usize) -> Result<Vec<f64>> {
    let mut cluster = Cluster::start(kind, MEMBERS).await?;
    let mut ms = Vec::new();
    for kill in 1..=kills {
        let outcome = kill_leader(&mut cluster).await;
        ms.push(outcome.map_err(|e| e.context(format!("after kill {kill}; {}", cluster.keep())))?);
    }
    Ok(ms)
}

/// Kills it, waits for the first write that the others commit, and starts it again.
async fn kill_leader(cluster: &mut Cluster) -> Result<f64> {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let leader = cluster.leader().await?;
    let mut others = Vec::new();
    for i in (0..cluster.addresses.len()).filter(|i| *i != leader) {
        others.push(KvClient::new(connect(&cluster.addresses[i]).await?));
    }
    let killed = Instant::now();
    cluster.kill(leader);
    let mut tries = tokio::task::JoinSet::new();
    others.into_iter().for_each(|client| drop(tries.spawn(first_commit(client, killed))));
    let ms = tries.join_next().await.context("nobody was asked")???;
    tries.abort_all();
    cluster.start_one(leader)?;
    cluster.until_whole().await?;
    Ok(ms)
}

/// When the first write is answered, in milliseconds since then. A write that hangs is asked again after a while, as clients do.
async fn first_commit(mut client: KvClient<Channel>, since: Instant) -> Result<f64> {
    while since.elapsed() < LONG {
        let put = PutRequest { key: "failover".into(), ..PutRequest::default() };
        if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(500), client.put(put)).await {
            return Ok(since.elapsed().as_secs_f64() * 1e3);
        }
        tokio::time::sleep(AGAIN).await;
    }
    bail!("no write in {LONG:?}")
}
