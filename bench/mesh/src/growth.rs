//! Many keys and many watchers: what they cost in memory and on disk, and how soon a member is back with them.

use crate::cluster::{Cluster, Kind, MEMBERS, connect};
use anyhow::{Context, Result, bail};
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{
    PutRequest, RangeRequest, RequestOp, StatusRequest, TxnRequest, WatchCreateRequest, WatchRequest,
};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const VALUE_BYTES: usize = 256;
/// Puts in a transaction: etcd takes 128.
const TOGETHER: usize = 100;
const WRITERS: usize = 16;
/// Streams of watchers at each member.
const STREAMS: usize = 10;
/// Writes whose events are waited for.
const WATCHED: usize = 2_000;
const LONG: Duration = Duration::from_secs(600);

type Seen = Arc<Mutex<HashMap<i64, Instant>>>;
type Rows = Vec<(String, Vec<f64>)>;

fn key(i: usize) -> Vec<u8> {
    format!("growth/{i:08}").into_bytes()
}

fn put(i: usize) -> PutRequest {
    PutRequest { key: key(i), value: vec![b'v'; VALUE_BYTES], ..PutRequest::default() }
}

pub async fn run(kind: &Kind, keys: usize, watchers: usize) -> Result<Rows> {
    let mut cluster = Cluster::start(kind, MEMBERS).await?;
    let mut rows = Rows::new();
    let mut row = |name: String, values: Vec<f64>| {
        eprintln!("{name}: {:.2}", values.iter().sum::<f64>() / values.len().max(1) as f64);
        rows.push((name, values));
    };
    let begun = Instant::now();
    fill(&cluster.addresses, 0..keys).await?;
    row(format!("{keys} keys written, s"), seconds(begun));
    row(format!("memory of a member with {keys} keys, MiB"), cluster.memory_mib()?);
    row(format!("disk of a member with {keys} keys, MiB"), cluster.disk_mib()?);

    let begun = Instant::now();
    let (seen, streams) = watch(&cluster, watchers).await?;
    row(format!("{watchers} watchers made, s"), seconds(begun));
    row(format!("event at one of {watchers} watchers after its write, ms"), events(&cluster, watchers, &seen).await?);
    row(format!("memory of a member with {keys} keys and a third of {watchers} watchers, MiB"), cluster.memory_mib()?);
    drop(streams);

    let follower = (cluster.leader().await? + 1) % cluster.addresses.len();
    cluster.kill(follower);
    let begun = Instant::now();
    cluster.start_one(follower)?;
    until_read(&cluster.addresses[follower]).await?;
    row("a member killed, until it answers a linearizable read, s".into(), seconds(begun));

    let more = keys / 10;
    cluster.kill(follower);
    let others: Vec<String> =
        cluster.addresses.iter().filter(|at| **at != cluster.addresses[follower]).cloned().collect();
    fill(&others, keys..keys + more).await?;
    let begun = Instant::now();
    cluster.start_one(follower)?;
    until_equal(&others[0], &cluster.addresses[follower]).await?;
    row(format!("a member that was away for {more} keys, until it has them, s"), seconds(begun));

    (0..cluster.addresses.len()).for_each(|i| cluster.kill(i));
    let begun = Instant::now();
    for i in 0..cluster.addresses.len() {
        cluster.start_one(i)?;
    }
    cluster.until_whole().await?;
    row("all members killed, until each takes a write, s".into(), seconds(begun));
    Ok(rows)
}

fn seconds(since: Instant) -> Vec<f64> {
    vec![since.elapsed().as_secs_f64()]
}

/// By several writers at once, each at one member.
async fn fill(addresses: &[String], keys: Range<usize>) -> Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut kv = KvClient::new(connect(&addresses[writer % addresses.len()]).await?);
        let firsts = keys.clone().step_by(TOGETHER).skip(writer).step_by(WRITERS);
        let end = keys.end;
        writers.spawn(async move {
            for first in firsts {
                let op = |i| RequestOp { request: Some(Request::RequestPut(put(i))) };
                let success = (first..(first + TOGETHER).min(end)).map(op).collect();
                kv.txn(TxnRequest { success, ..TxnRequest::default() }).await.context("a transaction of writes")?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

/// One watcher for each of the first keys; when what of theirs came.
async fn watch(cluster: &Cluster, watchers: usize) -> Result<(Seen, JoinSet<()>)> {
    let (seen, mut streams) = (Seen::default(), JoinSet::new());
    let all = STREAMS * cluster.addresses.len();
    for stream in 0..all {
        let at = &cluster.addresses[stream % cluster.addresses.len()];
        let (asks, asked) = tokio::sync::mpsc::channel(64);
        let keys: Vec<usize> = (stream..watchers).step_by(all).collect();
        let count = keys.len();
        let asking = asks.clone();
        // Before the call: etcd answers it with the first watcher.
        tokio::spawn(async move {
            for i in keys {
                let create = WatchCreateRequest { key: key(i), ..WatchCreateRequest::default() };
                let _ = asking.send(WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }).await; // its reader says what is wrong
            }
        });
        let mut client = WatchClient::new(connect(at).await?);
        let mut events = client.watch(tokio_stream::wrappers::ReceiverStream::new(asked)).await?.into_inner();
        for _ in 0..count {
            let made = events.message().await?.context("a stream of watchers ended")?;
            anyhow::ensure!(made.created && !made.canceled, "a watcher was refused: {}", made.cancel_reason);
        }
        let seen = seen.clone();
        streams.spawn(async move {
            let _asks = asks; // the stream ends with it
            while let Ok(Some(response)) = events.message().await {
                let now = Instant::now();
                let revisions = response.events.into_iter().filter_map(|event| Some(event.kv?.mod_revision));
                seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(revisions.map(|r| (r, now)));
            }
        });
    }
    Ok((seen, streams))
}

/// From the answer to a write to its event, wherever its watcher is, in milliseconds; below zero where the event came first.
async fn events(cluster: &Cluster, watchers: usize, seen: &Seen) -> Result<Vec<f64>> {
    let mut kv = KvClient::new(connect(&cluster.addresses[0]).await?);
    let mut acknowledged = Vec::new();
    for i in 0..WATCHED {
        let answer = kv.put(put(i * 7_919 % watchers)).await?.into_inner();
        acknowledged.push((answer.header.context("no header")?.revision, Instant::now()));
    }
    let begun = Instant::now();
    loop {
        {
            let seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let late = |(revision, acknowledged): &(i64, Instant)| {
                let seen = seen.get(revision)?;
                let late = seen.saturating_duration_since(*acknowledged).as_secs_f64();
                Some((late - acknowledged.saturating_duration_since(*seen).as_secs_f64()) * 1e3)
            };
            if let Some(all) = acknowledged.iter().map(late).collect() {
                return Ok(all);
            }
        }
        if begun.elapsed() > LONG {
            bail!("events are missing");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_read(address: &str) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if let Ok(channel) = connect(address).await {
            let get = RangeRequest { key: key(0), ..RangeRequest::default() };
            if KvClient::new(channel).range(get).await.is_ok_and(|found| found.into_inner().count == 1) {
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("{address} answers no read within {LONG:?}")
}

async fn revision(address: &str) -> Result<i64> {
    let status = MaintenanceClient::new(connect(address).await?).status(StatusRequest {}).await?.into_inner();
    Ok(status.header.context("no header")?.revision)
}

async fn until_equal(one: &str, other: &str) -> Result<()> {
    let (begun, wanted) = (Instant::now(), revision(one).await?);
    while begun.elapsed() < LONG {
        if revision(other).await.is_ok_and(|revision| revision >= wanted) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("{other} has not come to revision {wanted} within {LONG:?}")
}
