//! Clients that ask as fast as they are answered, spread over the members.

use crate::cluster::{Cluster, connect};
use anyhow::{Context, Result};
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{PutRequest, RangeRequest, WatchCreateRequest, WatchRequest};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::Channel;

const VALUE_BYTES: usize = 256;
/// Keys that are written and read.
const KEYS: usize = 10_000;
/// Connections to each member: clients share them.
const CONNECTIONS: usize = 8;
/// Not measured.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Clone, Copy)]
pub enum What {
    Put,
    Get,
    /// From the member's own state.
    GetHere,
}

pub struct Loaded {
    pub per_second: f64,
    /// Of every answer, in milliseconds.
    pub ms: Vec<f64>,
    /// Processor time of all members for one answer, in microseconds.
    pub cpu_us: f64,
}

fn key(i: usize) -> Vec<u8> {
    format!("key/{:05}", i % KEYS).into_bytes()
}

async fn one(client: &mut KvClient<Channel>, what: What, i: usize) -> Result<()> {
    match what {
        What::Put => {
            let put = PutRequest { key: key(i), value: vec![b'v'; VALUE_BYTES], ..PutRequest::default() };
            client.put(put).await.context("a write")?;
        }
        What::Get | What::GetHere => {
            let serializable = matches!(what, What::GetHere);
            let get = RangeRequest { key: key(i), serializable, ..RangeRequest::default() };
            client.range(get).await.context("a read")?;
        }
    }
    Ok(())
}

pub async fn run(cluster: &Cluster, what: What, clients: usize, time: Duration) -> Result<Loaded> {
    let mut channels = Vec::new();
    for i in 0..clients.min(CONNECTIONS * cluster.addresses.len()) {
        channels.push(connect(&cluster.addresses[i % cluster.addresses.len()]).await?);
    }
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let mut kv = KvClient::new(channels[client % channels.len()].clone());
        tasks.spawn(async move {
            let (mut ms, mut i) = (Vec::new(), client * 7_919);
            loop {
                let asked = Instant::now();
                if asked >= end {
                    return anyhow::Ok(ms);
                }
                one(&mut kv, what, i).await?;
                i += 1;
                if asked >= begin {
                    ms.push(asked.elapsed().as_secs_f64() * 1e3);
                }
            }
        });
    }
    tokio::time::sleep_until(begin.into()).await;
    let before = cluster.cpu_time()?;
    tokio::time::sleep_until(end.into()).await;
    let cpu = cluster.cpu_time()?.saturating_sub(before);
    let mut ms = Vec::new();
    while let Some(done) = tasks.join_next().await {
        ms.extend(done??);
    }
    let cpu_us = cpu.as_secs_f64() * 1e6 / ms.len().max(1) as f64;
    Ok(Loaded { per_second: ms.len() as f64 / time.as_secs_f64(), ms, cpu_us })
}

/// From the answer to a write at one member to its event at another one, in milliseconds; below zero where the event came first.
pub async fn watch(cluster: &Cluster, time: Duration) -> Result<Vec<f64>> {
    let create = WatchCreateRequest { key: "watched".into(), ..WatchCreateRequest::default() };
    let ask = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let (asks, asked) = tokio::sync::mpsc::channel(1);
    asks.send(ask).await?;
    let mut watch = WatchClient::new(connect(&cluster.addresses[1]).await?);
    let mut events = watch.watch(tokio_stream::wrappers::ReceiverStream::new(asked)).await?.into_inner();
    events.message().await?.context("no watcher")?;
    let seen = tokio::spawn(async move {
        let mut seen = HashMap::new();
        while let Ok(Some(response)) = events.message().await {
            let now = Instant::now();
            for kv in response.events.into_iter().filter_map(|event| event.kv) {
                if kv.value == b"over" {
                    return seen;
                }
                seen.insert(kv.mod_revision, now);
            }
        }
        seen
    });
    let mut kv = KvClient::new(connect(&cluster.addresses[0]).await?);
    let (end, mut acknowledged) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        let put = PutRequest { key: "watched".into(), value: vec![b'v'; VALUE_BYTES], ..PutRequest::default() };
        let revision = kv.put(put).await?.into_inner().header.context("no header")?.revision;
        acknowledged.push((revision, Instant::now()));
    }
    kv.put(PutRequest { key: "watched".into(), value: b"over".to_vec(), ..PutRequest::default() }).await?;
    let seen = seen.await?;
    drop(asks);
    let late = |(revision, acknowledged): (i64, Instant)| {
        let seen = *seen.get(&revision).context("an event is missing")?;
        Ok(match seen.checked_duration_since(acknowledged) {
            Some(late) => late.as_secs_f64() * 1e3,
            None => -(acknowledged - seen).as_secs_f64() * 1e3,
        })
    };
    acknowledged.into_iter().map(late).collect()
}
