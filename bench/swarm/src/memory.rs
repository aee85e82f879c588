//! What the distributed memory takes beyond its keys and values in a plain map, by an allocator that counts.

use crate::ALLOCATOR;
use crate::report::Row;
use anyhow::{Context, Result};
use mayfly_base::{NodeId, Rng};
use mayfly_swarm::crdt::Stamp;
use mayfly_swarm::memory::{Change, MemoryLimits, Record};
use mayfly_swarm::{Batch, Disk, NodeConfig, Replica, Runtime, RuntimeConfig, topology};
use mayfly_wire::MemoryNet;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const VALUE_BYTES: usize = 1024;
const READS: usize = 20_000;
/// More than a plain map, in percent.
const CEILING: f64 = 20.0;
const NODE: NodeId = NodeId([1; 32]);

pub fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for records in [1_000, 10_000, 50_000] {
        let replica = taken(|| {
            let mut replica = Replica::new(NODE, MemoryLimits::default());
            for record in records_of(records) {
                replica.apply(record);
            }
            Ok(replica)
        })?;
        rows.push(beside_maps(format!("memory, {records} values of 1 KiB, records"), records, replica)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let records = 50_000;
    rows.push(reads(&runtime.block_on(node_with(records))?.0, records)?);
    let node = taken(|| runtime.block_on(node_with(records)))?;
    rows.push(beside_maps(format!("memory, {records} values of 1 KiB, whole node"), records, node)?);
    Ok(rows)
}

/// Reads of keys by chance, each with a copy of its value.
fn reads(node: &Runtime<mayfly_wire::MemoryEndpoint>, records: usize) -> Result<Row> {
    let mut rng = Rng::new(6);
    let mut us = Vec::with_capacity(READS);
    for _ in 0..READS {
        let i = rng.below(records as u64) as usize;
        let key = format!("sensors/{:02}/{i:08}", i % 50);
        let start = Instant::now();
        black_box(node.read(key.as_bytes()).context("a record is missing")?);
        us.push(start.elapsed().as_secs_f64() * 1e6);
    }
    us.sort_by(f64::total_cmp);
    let figures =
        vec![("us_p50", json!(us[READS / 2])), ("us_p95", json!(us[READS * 95 / 100])), ("ceiling_us", json!(1000.0))];
    Ok(Row::new(format!("memory, a read of 1 KiB among {records}"), figures))
}

/// Keys in no order, as they come.
fn records_of(count: usize) -> impl Iterator<Item = Record> {
    let mut order: Vec<usize> = (0..count).collect();
    Rng::new(5).shuffle(&mut order);
    order.into_iter().map(|i| {
        let stamp = Stamp { ms: i as u64 + 1, count: 0, node: NODE };
        Record {
            key: format!("sensors/{:02}/{i:08}", i % 50).into_bytes(),
            stamp,
            value: Some(vec![i as u8; VALUE_BYTES]),
        }
    })
}

/// Bytes that stay allocated while what was made is there.
fn taken<T>(make: impl FnOnce() -> Result<T>) -> Result<usize> {
    let before = ALLOCATOR.allocated();
    let made = make()?;
    let bytes = ALLOCATOR.allocated().saturating_sub(before);
    drop(black_box(made));
    Ok(bytes)
}

/// A node that was started with a full disk and runs: its pages, its links, its clocks and all.
async fn node_with(count: usize) -> Result<(Runtime<mayfly_wire::MemoryEndpoint>, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("memory.redb");
    let (disk, _) = Disk::open(&path, NODE)?;
    let changes = records_of(count).map(Change::Put).collect();
    disk.commit(Batch { changes, ..Batch::default() }).await?;
    disk.close().await?;
    let (disk, loaded) = Disk::open(&path, NODE)?;
    let config = RuntimeConfig {
        node: NodeConfig::default(),
        topology: Arc::from(topology::by_name("mesh")?),
        limits: MemoryLimits::default(),
        seed: 1,
        trust: None,
        advertise: None,
    };
    let endpoint = MemoryNet::new(1).endpoint(NODE, ([10, 0, 0, 1], 7000).into());
    let runtime = Runtime::start(endpoint, disk, loaded, &[], config).await?;
    let value = runtime.read(b"sensors/01/00000001").context("a record is missing")?;
    runtime.write(b"sensors/01/00000001", value).await?;
    Ok((runtime, folder))
}

fn beside_maps(bench: String, count: usize, bytes: usize) -> Result<Row> {
    let pairs = || records_of(count).map(|record| (record.key, record.value));
    let sorted = taken(|| Ok(pairs().collect::<BTreeMap<_, _>>()))?;
    let hashed = taken(|| Ok(pairs().collect::<HashMap<_, _>>()))?;
    let over = |map: usize| json!(100.0 * (bytes as f64 / map as f64 - 1.0));
    let figures = vec![
        ("bytes", json!(bytes)),
        ("btree_bytes", json!(sorted)),
        ("hash_bytes", json!(hashed)),
        ("over_btree_percent", over(sorted)),
        ("over_hash_percent", over(hashed)),
        ("ceiling_percent", json!(CEILING)),
    ];
    Ok(Row::new(bench, figures))
}
