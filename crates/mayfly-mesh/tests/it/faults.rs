//! Disks that fail and power that goes.

use crate::common::disk::Disk;
use crate::common::memory::{Member, endpoint, seat, until};
use crate::common::ops::Op;
use crate::common::{apply_bytes, entry, seeds};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::{PutRequest, RangeRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{ConsensusConfig, Engine, MeshError, Owner, Single, Store, Surroundings, Tag, kv};
use mayfly_wire::MemoryNet;

const OWNER: Owner = Owner { cluster: 7, member: 1 };

fn store(disk: &Disk) -> Result<Store, MeshError> {
    disk.store(OWNER)
}

/// A failed flush ends the node, for everyone who waited and everyone after, and is never tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_flush_ends_the_node() {
    let disk = Disk::default();
    let engine = Single::start(store(&disk).expect("a store")).expect("a thread");
    entry(&engine, b"a", b"1").await.expect("written");
    disk.fail_next_flush();
    assert!(matches!(entry(&engine, b"a", b"2").await, Err(MeshError::Disk { .. })));
    assert!(matches!(engine.ended().await, MeshError::Disk { .. }));
    let (flushes, writes) = (disk.flushes(), disk.writes());
    assert!(matches!(entry(&engine, b"a", b"3").await, Err(MeshError::Stopped { .. })));
    assert!(matches!(engine.read_barrier().await, Err(MeshError::Stopped { .. })));
    assert_eq!((disk.flushes(), disk.writes()), (flushes, writes), "it went on after a failed flush");
    assert!(disk.is_honest(), "who starts it again would read what is not on the disk");
    engine.close().await;

    let again = store(&disk.after_power_loss(&mut Rng::new(1))).expect("opened");
    assert_eq!(again.applied().expect("read").index, 2, "what was acknowledged, and nothing that was not flushed");
}

/// Who waits at the same time shares a flush.
#[tokio::test(flavor = "multi_thread")]
async fn one_flush_for_all_who_wait() {
    let disk = Disk::default();
    let engine = Single::start(store(&disk).expect("a store")).expect("a thread");
    let before = disk.flushes();
    let writers: Vec<_> = (0..500u32)
        .map(|i| {
            let engine = engine.clone();
            tokio::spawn(async move { entry(&engine, &i.to_be_bytes(), b"v").await })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic").expect("written");
    }
    let flushes = disk.flushes() - before;
    assert!(flushes < 500, "{flushes} flushes for 500 writes at once");
    engine.close().await;
}

/// The power goes at any step: what was acknowledged is there, with the state that those entries give.
/// etcd#13766: the applied index was on the disk before what was applied, and entries were passed over after a crash.
#[test]
fn acknowledged_entries_survive_a_power_loss() {
    for seed in 0..seeds(120) {
        let mut rng = Rng::new(seed);
        let (entries, disk) = (entries(&mut rng), Disk::default());
        let node = store(&disk).expect("a store");
        disk.go_dark_after(rng.below(400));
        let mut acknowledged = 0;
        let mut rest = &entries[..];
        while !rest.is_empty() {
            let (together, later) = rest.split_at((1 + rng.below(4) as usize).min(rest.len()));
            match apply_bytes(&node, together) {
                Ok(_) => acknowledged += together.len(),
                Err(MeshError::Disk { .. }) => break,
                Err(other) => panic!("seed {seed}: {other}"),
            }
            rest = later;
        }
        drop(node);
        let again = store(&disk.after_power_loss(&mut rng)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let there = again.applied().expect("read").index as usize - 1;
        assert!(there >= acknowledged && there <= acknowledged + 4, "seed {seed}: {acknowledged} told, {there} there");
        let whole = store(&Disk::default()).expect("a store");
        apply_bytes(&whole, &entries[..there]).expect("applied");
        assert_eq!(again.hash(Tag::KV).expect("read"), whole.hash(Tag::KV).expect("read"), "seed {seed}");
    }
}

fn entries(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while entries.len() < 60 {
        match Op::random(rng, entries.len() as i64) {
            Op::Put(request) => entries.push(kv::entry(Request::Put(request)).encode()),
            Op::Delete(request) => entries.push(kv::entry(Request::DeleteRange(request)).encode()),
            Op::Compact(request) => entries.push(kv::entry(Request::Compaction(request)).encode()),
            _ => {}
        }
    }
    entries
}

async fn alone(disk: &Disk) -> Member {
    let link = endpoint(&MemoryNet::new(1), 1);
    let (config, around) = (ConsensusConfig::default(), Surroundings::default());
    let member = Member::start(store(disk).expect("a store"), link, seat(1), config, around).await.expect("started");
    until("it leads", || member.leader() == Some(1)).await;
    member
}

/// etcd#14370: a member that was alone with its vote acknowledged what its own log did not have yet, and lost it with the power.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_one_keeps_what_it_acknowledged() {
    for seed in 0..seeds(12) {
        let (mut rng, disk) = (Rng::new(seed), Disk::default());
        let member = alone(&disk).await;
        disk.go_dark_after(rng.below(200));
        let mut acknowledged = 0_u64;
        loop {
            let value = (acknowledged + 1).to_be_bytes().to_vec();
            let put = PutRequest { key: b"key".to_vec(), value, ..PutRequest::default() };
            match member.propose(kv::entry(Request::Put(put))).await {
                Ok(_) => acknowledged += 1,
                Err(_) => break,
            }
        }
        member.close().await;
        drop(member);
        let member = alone(&disk.after_power_loss(&mut rng)).await;
        member.read_barrier().await.expect("it leads");
        let get = RangeRequest { key: b"key".to_vec(), ..RangeRequest::default() };
        let found = member.store().read(|transaction| kv::range(transaction, &get)).expect("readable").expect("found");
        let value = found.kvs.first().map_or(0, |kv| u64::from_be_bytes(kv.value[..].try_into().expect("a number")));
        assert!(value >= acknowledged, "seed {seed}: {acknowledged} were acknowledged, {value} is there");
        member.close().await;
    }
}
