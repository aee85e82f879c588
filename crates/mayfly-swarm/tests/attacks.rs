//! Attacks on the memory that succeeded once, with running nodes and without.

use mayfly_base::NodeId;
use mayfly_swarm::crdt::{LwwTensor, MAX_STAMP_MS, Stamp};
use mayfly_swarm::memory::{MemoryLimits, Record};
use mayfly_swarm::{Disk, NodeConfig, Runtime, RuntimeConfig, SwarmError, topology};
use mayfly_wire::{MemoryNet, Peer, Transport};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A limit for hangs, far above what anything here takes.
const LONG: Duration = Duration::from_secs(60);

fn record(i: u64, key: usize) -> Record {
    let stamp = Stamp { ms: 1_700_000_000_000 + i, count: 0, node: NodeId([1; 32]) };
    Record { key: format!("{i:0key$}").into_bytes(), stamp, value: Some(vec![7; 8]) }
}

fn config(seed: u64) -> RuntimeConfig {
    let topology = Arc::from(topology::by_name("mesh").unwrap());
    let (node, limits) = (NodeConfig::default(), MemoryLimits::default());
    RuntimeConfig { node, topology, limits, seed, trust: None, advertise: None }
}

/// A newcomer gets everything, in one copy: many short keys, and long ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_the_memory() {
    for (count, key) in [(20_000_u64, 16), (5_000, 1_000)] {
        let net = MemoryNet::new(1);
        let (a, b) = (NodeId([1; 32]), NodeId([2; 32]));
        let folder = tempfile::tempdir().unwrap();
        let at = |id, port: u16| net.endpoint(id, std::net::SocketAddr::from(([127, 0, 0, 1], port)));
        let (a_end, b_end) = (at(a, 1), at(b, 2));
        let (disk, mut loaded) = Disk::open(&folder.path().join("a"), a).unwrap();
        loaded.records = (0..count).map(|i| record(i, key)).collect();
        let at_a = Peer { id: a, addr: a_end.addr() };
        let first = Runtime::start(a_end, disk, loaded, &[], config(1)).await.unwrap();
        let (disk, loaded) = Disk::open(&folder.path().join("b"), b).unwrap();
        let second = Runtime::start(b_end, disk, loaded, &[at_a], config(2)).await.unwrap();
        let begun = Instant::now();
        while second.status().root != first.status().root {
            assert!(begun.elapsed() < LONG, "it has {} of {count}", second.status().keys);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(second.status().keys, count as usize);
        let (sent, whole) = (first.traffic().message_bytes, first.status().memory_bytes + 80 * count);
        assert!(sent < 2 * whole, "{sent} bytes were sent for {whole}");
        let (keys, mut after) = (second.keys(b"", None, usize::MAX), None);
        assert_eq!(keys.len(), count as usize);
        for page in keys.chunks(700) {
            assert_eq!(second.keys(b"", after.as_deref(), 700), page);
            after = page.last().cloned();
        }
        assert!(second.keys(b"", after.as_deref(), 700).is_empty() && second.keys(b"9", Some(b"1"), 9).is_empty());
    }
}

/// The last stamp on disk, from before it was refused: what is acknowledged is there.
#[tokio::test]
async fn a_write_that_is_acknowledged_is_there() {
    for count in [u32::MAX, u32::MAX - 1] {
        let net = MemoryNet::new(1);
        let a = NodeId([1; 32]);
        let folder = tempfile::tempdir().unwrap();
        let (disk, mut loaded) = Disk::open(&folder.path().join("a"), a).unwrap();
        let last = Stamp { ms: MAX_STAMP_MS, count, node: NodeId([9; 32]) };
        loaded.records = vec![Record { key: b"x".to_vec(), stamp: last, value: Some(vec![1]) }];
        let end = net.endpoint(a, "127.0.0.1:1".parse().unwrap());
        let runtime = Runtime::start(end, disk, loaded, &[], config(1)).await.unwrap();
        for key in [b"mine", b"more"] {
            match runtime.write(key, b"value".to_vec()).await {
                Ok(()) => assert_eq!(runtime.read(key).as_deref(), Some(&b"value"[..])),
                Err(error) => assert!(matches!(error, SwarmError::NoLaterStamp { .. }), "{error}"),
            }
        }
    }
}

/// Whatever numbers a tensor from the network claims: it is refused, or it fits together.
#[test]
fn a_tensor_whose_lengths_overflow_is_refused() {
    let odd = [0, 1, 2, 3, usize::MAX / 2, usize::MAX / 2 + 1, usize::MAX - 1, usize::MAX];
    for (len, block, first) in odd.iter().flat_map(|l| odd.iter().flat_map(move |b| odd.map(|f| (*l, *b, f)))) {
        for held in 0..3_usize {
            for bits in 0..4_usize {
                let parts = (len, block, first, vec![1_u64; held], vec![1_u64; held], vec![1_u32; bits]);
                let bytes = postcard::to_stdvec(&parts).unwrap();
                let Ok(tensor) = postcard::from_bytes::<LwwTensor>(&bytes) else { continue };
                assert_eq!(tensor.values().count(), bits);
                let mut again = tensor.clone();
                assert!(!again.try_merge(&tensor).unwrap());
                assert!((0..8).all(
                    |i| tensor.origin(i).is_some() == (held > 0 && i / block >= first && i / block - first < held)
                ));
            }
        }
    }
}

/// A watcher that does not read is told that it missed something, and goes on.
#[tokio::test]
async fn a_slow_watcher_is_told_what_it_missed() {
    use mayfly_swarm::Watched;
    let net = MemoryNet::new(1);
    let folder = tempfile::tempdir().unwrap();
    let (disk, loaded) = Disk::open(&folder.path().join("a"), NodeId([1; 32])).unwrap();
    let end = net.endpoint(NodeId([1; 32]), "127.0.0.1:1".parse().unwrap());
    let runtime = Runtime::start(end, disk, loaded, &[], config(1)).await.unwrap();
    let mut watcher = runtime.watch(b"k");
    let writes = (0..5_000_u32).map(|i| {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.write(format!("k{}", i % 7).as_bytes(), vec![i as u8]).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    runtime.write(b"other", vec![1]).await.unwrap();
    runtime.delete(b"k1").await.unwrap();
    let Some(Watched::Missed(missed)) = watcher.next().await else { panic!("it is not told") };
    let (mut seen, mut last) = (0, None);
    while last != Some((b"k1".to_vec(), None)) {
        let Some(Watched::Changed(change)) = watcher.next().await else { panic!("more was missed") };
        seen += 1;
        last = Some((change.key, change.value));
    }
    assert_eq!(
        missed + seen,
        5_001,
        "the change of another key is not counted among those seen: {missed} missed, {seen} seen"
    );
}
