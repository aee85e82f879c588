//! What a write waits for: its commit on disk.

use crate::report::{Row, median};
use anyhow::Result;
use mayfly_base::NodeId;
use mayfly_swarm::crdt::Stamp;
use mayfly_swarm::memory::{Change, Record};
use mayfly_swarm::{Batch, Disk};
use serde_json::json;
use std::io::{Seek, SeekFrom, Write};
use std::time::Instant;

const WRITES: usize = 300;
/// A local write, in milliseconds.
const CEILING_MS: f64 = 10.0;

pub fn rows() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(vec![runtime.block_on(commits())?])
}

/// One after the other, each waited for; in turns with 4 KiB written over in a file of their own and synced.
async fn commits() -> Result<Row> {
    let (folder, node) = (tempfile::tempdir()?, NodeId([1; 32]));
    let (disk, _) = Disk::open(&folder.path().join("memory.redb"), node)?;
    let mut plain = std::fs::File::create(folder.path().join("plain"))?;
    plain.write_all(&vec![0; 4 << 20])?;
    plain.sync_all()?;
    let (mut ours, mut synced) = (Vec::new(), Vec::new());
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    for i in 0..WRITES {
        let stamp = Stamp { ms: i as u64 + 1, count: 0, node };
        let record = Record { key: format!("key-{i}").into_bytes(), stamp, value: Some(vec![i as u8; 80]) };
        let start = Instant::now();
        disk.commit(Batch { changes: vec![Change::Put(record)], clock: stamp, peers: None }).await?;
        ours.push(ms(start));
        let start = Instant::now();
        plain.seek(SeekFrom::Start((i % 1024 * 4096) as u64))?;
        plain.write_all(&[i as u8; 4096])?;
        plain.sync_data()?;
        synced.push(ms(start));
    }
    disk.close().await?;
    let late = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[WRITES * 95 / 100]
    };
    let figures = vec![
        ("ms_p50", json!(median(ours.clone()))),
        ("ms_p95", json!(late(&mut ours))),
        ("sync_ms_p50", json!(median(synced.clone()))),
        ("sync_ms_p95", json!(late(&mut synced))),
        ("ceiling_ms", json!(CEILING_MS)),
    ];
    Ok(Row::new("disk, a write of 80 bytes", figures))
}
