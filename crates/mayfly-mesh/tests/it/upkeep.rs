//! What a store does beside answering: history that is compacted, alarms, and room.

use crate::common::disk::Disk;
use crate::common::memory::opened;
use crate::common::ops::{Op, Reply};
use crate::common::{apply, apply_bytes};
use mayfly_mesh::proto::etcdserverpb::alarm_request::AlarmAction;
use mayfly_mesh::proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest,
    PutRequest, RangeRequest, WatchCreateRequest,
};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::outcome::Response;
use mayfly_mesh::proto::mvccpb::event::EventType;
use mayfly_mesh::{
    Applied, Engine, EtcdError, Hub, Logged, MeshError, Owner, Pace, Single, Store, Tag, Upkeep, UpkeepConfig,
    Watching, kv, modules,
};
use std::time::Duration;

fn put(key: &str, value: &[u8]) -> Op {
    Op::Put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() })
}

fn compact(revision: i64) -> Op {
    Op::Compact(CompactionRequest { revision, physical: false })
}

fn get(key: &str, revision: i64) -> Op {
    Op::Range(RangeRequest { key: key.into(), revision, ..RangeRequest::default() })
}

fn value(reply: Result<Reply, EtcdError>) -> Option<Vec<u8>> {
    match reply {
        Ok(Reply::Range(mut response)) => response.kvs.pop().map(|kv| kv.value),
        other => panic!("{other:?}"),
    }
}

/// A store whose keys have so many versions each.
fn filled(folder: &std::path::Path, keys: usize, versions: usize) -> Store {
    let store = Store::open(folder, modules()).expect("a store");
    let mut entries = Vec::new();
    for version in 0..versions {
        for key in 0..keys {
            let put = PutRequest {
                key: format!("key/{key}").into(),
                value: format!("{version}").repeat(20).into(),
                ..PutRequest::default()
            };
            entries.push(kv::entry(Request::Put(put)).encode());
        }
    }
    entries.chunks(1_000).for_each(|part| drop(apply_bytes(&store, part).expect("applied")));
    store
}

fn hash_at(store: &Store, revision: i64) -> Result<kv::KvHash, EtcdError> {
    store.read(|state| kv::hash(state, revision)).expect("readable")
}

/// A compaction holds at once, what it takes away is removed in turns, and a restart goes on with that.
#[test]
fn history_is_removed_in_turns_and_a_restart_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = filled(folder.path(), 100, 50);
    let before = store.bytes_in_use().expect("readable");
    apply(&store, &compact(4_001)).expect("compacted");
    assert_eq!(apply(&store, &get("key/0", 4_000)).expect_err("gone"), EtcdError::Compacted);
    let kept = value(apply(&store, &get("key/0", 4_001)));
    assert_eq!(store.bytes_in_use().expect("readable"), before, "nothing is removed by the entry itself");
    let (hash, whole) = (hash_at(&store, 4_500), store.hash(Tag::KV).expect("readable"));
    let mut turns = 0;
    while store.remove_history().expect("removed") {
        turns += 1;
        assert_eq!(hash_at(&store, 4_500), hash, "it depends on how far the removal has come");
        assert_eq!(store.hash(Tag::KV).expect("readable"), whole);
        if turns == 2 {
            // What was removed without a flush is flushed with the next write.
            apply(&store, &put("other", b"1")).expect("written");
            let (left, hashed) = (store.bytes_in_use().expect("readable"), hash_at(&store, 4_500));
            drop(store);
            store = Store::open(folder.path(), modules()).expect("it opens again");
            assert_eq!(store.bytes_in_use().expect("readable"), left, "a restart begins again");
            assert_eq!(hash_at(&store, 4_500), hashed);
            apply(&store, &Op::Delete(DeleteRangeRequest { key: "other".into(), ..Default::default() }))
                .expect("deleted");
            return finish(&store, kept, before);
        }
    }
    panic!("4,000 versions are more than a turn");
}

fn finish(store: &Store, kept: Option<Vec<u8>>, before: u64) {
    while store.remove_history().expect("removed") {}
    assert!(!store.remove_history().expect("nothing left"));
    let after = store.bytes_in_use().expect("readable");
    assert!(after < before / 3, "{after} of {before}");
    assert_eq!(after, store.read(kv::measure).expect("readable"));
    assert_eq!(value(apply(store, &get("key/0", 4_001))), kept);
}

/// More that is kept than a turn looks at does not hold the removal up, also not after a restart in the midst of it.
#[test]
fn what_is_kept_does_not_hold_the_removal_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = filled(folder.path(), 2_500, 1);
    for i in 0..100 {
        apply(&store, &put("one", format!("{i}").as_bytes())).expect("written");
    }
    let before = store.bytes_in_use().expect("readable");
    apply(&store, &compact(2_601)).expect("compacted");
    let mut turns = 1;
    while store.remove_history().expect("removed") {
        turns += 1;
        apply(&store, &put("other", b"1")).expect("written");
        drop(store);
        store = Store::open(folder.path(), modules()).expect("it opens again");
        assert!(turns < 10, "it looks at the same again and again");
    }
    assert_eq!(turns, 3);
    assert!(store.bytes_in_use().expect("readable") < before);
}

/// Members that removed more or less tell the same; members whose history differs do not.
#[test]
fn hashes_tell_histories_apart() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [one, other] = folders.each_ref().map(|folder| filled(folder.path(), 30, 50));
    for store in [&one, &other] {
        apply(store, &compact(1_000)).expect("compacted");
    }
    while one.remove_history().expect("removed") {}
    for revision in [0, 1_000, 1_200, 1_501] {
        assert_eq!(hash_at(&one, revision), hash_at(&other, revision), "at {revision}");
    }
    assert_eq!(hash_at(&one, 999), Err(EtcdError::Compacted));
    assert_eq!(hash_at(&one, 1_502), Err(EtcdError::FutureRev));
    assert_ne!(hash_at(&one, 1_200), hash_at(&one, 1_201));
    apply(&one, &put("a", b"1")).expect("written");
    apply(&other, &put("a", b"2")).expect("written");
    assert_eq!(hash_at(&one, 1_501).map(|hash| hash.hash), hash_at(&other, 1_501).map(|hash| hash.hash));
    assert_ne!(hash_at(&one, 1_502), hash_at(&other, 1_502));
}

/// Removal that is cut off by a loss of power at any step of the disk leaves the same state as one that is not.
#[test]
fn a_removal_that_is_cut_off_changes_nothing() {
    let owner = Owner { cluster: 7, member: 1 };
    let mut rng = mayfly_base::Rng::new(3);
    for steps in (0..60).step_by(3) {
        let disk = Disk::default();
        let store = disk.store(owner).expect("a store");
        for i in 0..150 {
            apply(&store, &put(&format!("{}", i % 10), &[b'x'; 40])).expect("written");
        }
        apply(&store, &compact(140)).expect("compacted");
        let hash = store.hash(Tag::KV).expect("readable");
        disk.go_dark_after(steps);
        let _ = store.remove_history(); // the power goes somewhere in it, or after it
        disk.go_dark();
        drop(store);
        let store = disk.after_power_loss(&mut rng).store(owner).expect("it opens again");
        assert_eq!(store.hash(Tag::KV).expect("readable"), hash, "power lost after {steps} steps");
        while store.remove_history().expect("removed") {}
        assert_eq!(store.hash(Tag::KV).expect("readable"), hash);
        assert_eq!(store.bytes_in_use().expect("readable"), store.read(kv::measure).expect("readable"));
    }
}

/// What a client is told that watches all keys from a revision on.
fn told(store: &Store, start_revision: i64) -> Vec<(EventType, i64)> {
    let mut watching = Watching::new(Hub::new(store).expect("readable"));
    let all = WatchCreateRequest { range_end: vec![0], start_revision, ..WatchCreateRequest::default() };
    watching.create(&all);
    let responses = watching.read(store).expect("readable");
    let events = responses.into_iter().flat_map(|response| response.events);
    events.map(|event| (event.r#type(), event.kv.map_or(0, |kv| kv.mod_revision))).collect()
}

/// etcd#18089: a watch from the revision up to which history is compacted was not told of a deletion in it; etcd#19179: nor while what was compacted was
/// being removed, or after a restart in the midst of that.
#[test]
fn a_deletion_at_the_compacted_revision_is_told() {
    let (owner, disk) = (Owner { cluster: 7, member: 1 }, Disk::default());
    let store = disk.store(owner).expect("a store");
    for value in [b"2", b"3", b"4"] {
        apply(&store, &put("k", value)).expect("written");
    }
    apply(&store, &Op::Delete(DeleteRangeRequest { key: "k".into(), ..Default::default() })).expect("deleted");
    apply(&store, &put("k", b"6")).expect("written");
    apply(&store, &compact(5)).expect("compacted");
    let want = [(EventType::Delete, 5), (EventType::Put, 6)];
    assert_eq!(told(&store, 5), want, "before anything is removed");
    drop(store);
    let store = disk.after_kill().store(owner).expect("it opens again");
    assert_eq!(told(&store, 5), want, "after a restart before that");
    while store.remove_history().expect("removed") {}
    assert_eq!(told(&store, 5), want, "after all is removed");
    let mut snapshot = Vec::new();
    store.snapshot(&mut snapshot).expect("written");
    let other = Disk::default().store(owner).expect("a store");
    other.restore(&mut &snapshot[..]).expect("restored");
    assert_eq!(told(&other, 5), want, "after a snapshot");
    apply(&store, &compact(6)).expect("compacted");
    while store.remove_history().expect("removed") {}
    assert_eq!(told(&store, 6), want[1..]);
}

/// etcd#17780: the revision was that of the newest row of history, and so went back when that was a deletion which a compaction took and the node ended
/// before it had noted the compaction as done.
#[test]
fn the_revision_does_not_go_back_when_a_removal_is_cut_off() {
    let owner = Owner { cluster: 7, member: 1 };
    let mut rng = mayfly_base::Rng::new(5);
    for steps in (0..60).step_by(3) {
        let disk = Disk::default();
        let store = disk.store(owner).expect("a store");
        for i in 0..10 {
            apply(&store, &put("a", &[i])).expect("written");
        }
        apply(&store, &Op::Delete(DeleteRangeRequest { key: "a".into(), ..Default::default() })).expect("deleted");
        apply(&store, &compact(12)).expect("compacted");
        disk.go_dark_after(steps);
        let _ = store.remove_history(); // the power goes somewhere in it, or after it
        disk.go_dark();
        drop(store);
        let disk = disk.after_power_loss(&mut rng);
        let store = disk.store(owner).expect("it opens again");
        assert_eq!(store.read(kv::revision).expect("readable"), 12, "power lost after {steps} steps");
        while store.remove_history().expect("removed") {}
        drop(store);
        let store = disk.after_kill().store(owner).expect("it opens again");
        apply(&store, &put("a", b"1")).expect("written");
        assert_eq!(store.read(kv::revision).expect("readable"), 13, "power lost after {steps} steps");
    }
}

/// etcd#14685: a node that was killed while it defragmented had the new file without the newest applied index, and applied entries twice.
#[test]
fn a_defragmentation_that_is_cut_off_changes_nothing() {
    let owner = Owner { cluster: 7, member: 1 };
    let mut rng = mayfly_base::Rng::new(4);
    let (mut cut, mut done) = (0, 0);
    for steps in (0..180).step_by(6) {
        let disk = Disk::default();
        let store = disk.store(owner).expect("a store");
        for i in 0..60 {
            apply(&store, &put(&format!("{}", i % 10), &[b'x'; 4_000])).expect("written");
        }
        apply(&store, &compact(61)).expect("compacted");
        while store.remove_history().expect("removed") {}
        let state = |store: &Store| {
            let revision = store.read(kv::revision).expect("readable");
            (store.applied().expect("readable"), revision, store.hash_of_all().expect("readable"))
        };
        let before = state(&store);
        disk.go_dark_after(steps);
        match store.defragment() {
            Ok(()) => done += 1,
            Err(_) => cut += 1,
        }
        disk.go_dark();
        drop(store);
        let store = disk.after_power_loss(&mut rng).store(owner).expect("it opens again");
        assert_eq!(state(&store), before, "power lost after {steps} steps");
    }
    assert!(cut > 0 && done > 0, "{cut} were cut off, {done} were done");
}

/// Defragmenting gives back what compaction freed.
#[test]
fn the_file_gets_shorter() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path(), 100, 100);
    apply(&store, &compact(10_001)).expect("compacted");
    while store.remove_history().expect("removed") {}
    let (before, hash) = (store.bytes(), store.hash(Tag::KV).expect("readable"));
    store.defragment().expect("nobody reads");
    assert!(store.bytes() * 2 < before, "{} of {before} bytes are left", store.bytes());
    assert_eq!(store.hash(Tag::KV).expect("readable"), hash);
    apply(&store, &put("a", b"1")).expect("written");
    drop(store);
    let store = Store::open(folder.path(), modules()).expect("it opens again");
    assert_eq!(value(apply(&store, &get("a", 0))), Some(b"1".to_vec()));
}

/// Readers wait for the file to get shorter, and find the same.
#[test]
fn readers_and_the_writer_wait_while_the_file_gets_shorter() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path(), 200, 20);
    std::thread::scope(|scope| {
        let reader = || {
            for _ in 0..300 {
                assert!(value(apply(&store, &get("key/7", 0))).is_some());
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        let writer = scope.spawn(|| (0..20).for_each(|i| drop(apply(&store, &put(&format!("n/{i}"), b"1")))));
        for _ in 0..5 {
            store.defragment().expect("readers are let through before and after");
        }
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
        writer.join().expect("no panic");
    });
    assert_eq!(store.read(kv::revision).expect("readable"), 4_021);
}

fn alarm(store: &Store, action: AlarmAction, member_id: u64, alarm: AlarmType) -> Vec<AlarmMember> {
    let request = AlarmRequest { action: action.into(), member_id, alarm: alarm.into() };
    let outcome = apply_bytes(store, &[kv::entry(Request::Alarm(request)).encode()]).expect("applied").remove(0);
    match kv::outcome(&outcome).expect("an outcome").expect("not refused") {
        Response::Alarm(response) => response.alarms,
        other => panic!("{other:?}"),
    }
}

/// What an alarm lets through is the same everywhere, since alarms are state; they go with snapshots.
#[test]
fn alarms_are_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    apply(&store, &put("a", b"1")).expect("written");
    apply(&store, &Op::Grant(LeaseGrantRequest { id: 5, ttl: 60 })).expect("granted");
    let up = AlarmMember { member_id: 9, alarm: AlarmType::Nospace.into() };
    assert_eq!(alarm(&store, AlarmAction::Activate, 9, AlarmType::Nospace), [up]);
    assert_eq!(alarm(&store, AlarmAction::Activate, 9, AlarmType::Nospace), [up], "twice is once");
    assert_eq!(alarm(&store, AlarmAction::Activate, 9, AlarmType::None), []);
    let mut snapshot = Vec::new();
    store.snapshot(&mut snapshot).expect("written");
    alarm(&store, AlarmAction::Deactivate, 9, AlarmType::Nospace);
    apply(&store, &put("a", b"2")).expect("written");
    store.restore(&mut &snapshot[..]).expect("restored");
    assert_eq!(alarm(&store, AlarmAction::Get, 0, AlarmType::None), [up]);
    assert_eq!(alarm(&store, AlarmAction::Get, 0, AlarmType::Corrupt), []);
    assert_eq!(apply(&store, &put("a", b"3")), Err(EtcdError::NoSpace));
    assert_eq!(apply(&store, &Op::Grant(LeaseGrantRequest { id: 6, ttl: 60 })), Err(EtcdError::NoSpace));
    apply(&store, &Op::Delete(DeleteRangeRequest { key: "a".into(), ..Default::default() })).expect("deleted");
    apply(&store, &Op::Revoke(LeaseRevokeRequest { id: 5 })).expect("revoked");
    apply(&store, &compact(2)).expect("compacted");
    assert_eq!(alarm(&store, AlarmAction::Deactivate, 8, AlarmType::Nospace), [], "another member's");
    assert_eq!(apply(&store, &put("a", b"3")), Err(EtcdError::NoSpace));
    assert_eq!(alarm(&store, AlarmAction::Deactivate, 9, AlarmType::Nospace), [up]);
    apply(&store, &put("a", b"3")).expect("written");

    alarm(&store, AlarmAction::Activate, 9, AlarmType::Corrupt);
    apply(&store, &put("a", b"4")).expect("another member's trouble");
    alarm(&store, AlarmAction::Activate, 0, AlarmType::Corrupt);
    assert_eq!(apply(&store, &put("a", b"5")), Err(EtcdError::Corrupt));
    let delete = Op::Delete(DeleteRangeRequest { key: "a".into(), ..Default::default() });
    assert_eq!(apply(&store, &delete), Err(EtcdError::Corrupt));
    assert_eq!(apply(&store, &compact(3)), Err(EtcdError::Corrupt));
    assert_eq!(value(apply(&store, &get("a", 0))), Some(b"4".to_vec()));
}

/// A removal beside the one who writes: both get through, and each entry is applied once.
#[test]
fn removal_runs_beside_the_writer() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path(), 50, 100);
    apply(&store, &compact(5_000)).expect("compacted");
    let turns = std::thread::scope(|scope| {
        let remover = scope.spawn(|| (0..).take_while(|_| store.remove_history().expect("removed")).count());
        for i in 0..20 {
            let first = store.applied().expect("readable").index + 1;
            let request = PutRequest { key: format!("n/{i}").into(), ..PutRequest::default() };
            let entry = kv::entry(Request::Put(request)).encode();
            store.apply(&[Logged { at: Applied { index: first, term: 1 }, entry }]).expect("applied");
        }
        remover.join().expect("no panic")
    });
    assert!(turns > 3, "{turns}");
    assert_eq!(store.read(kv::revision).expect("readable"), 5_021);
    assert_eq!(store.bytes_in_use().expect("readable"), store.read(kv::measure).expect("readable"));
}

/// Looks a hundred times as often as a node.
#[derive(Clone)]
struct Quick;

impl Pace for Quick {
    async fn pause(&self, time: Duration) -> bool {
        tokio::time::sleep(time / 100).await;
        true
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    async fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<T, MeshError> + Send + 'static,
    ) -> Result<T, MeshError> {
        act()
    }
}

/// Before a disk is full the alarm is up, which keeps room for the log; it is taken back without anybody's help when there is room again, and not before.
/// A node that was started again takes its alarm back once there is room, and leaves one that somebody else has raised.
#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_for_a_full_disk_ends_after_a_restart_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = async |free_bytes: u64, act: &dyn Fn(&Single) -> bool| {
        let engine = Single::start(opened(folder.path()).await).expect("a thread");
        let config = UpkeepConfig { free_bytes, ..UpkeepConfig::default() };
        let upkeep = Upkeep::new(engine.clone(), Quick, config);
        let run = tokio::spawn(async move { upkeep.run().await });
        for _ in 0..500 {
            if act(&engine) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(act(&engine));
        run.abort();
        let _ = run.await;
        engine.close().await;
    };
    let is_up = |engine: &Single| !engine.store().read(kv::alarms).expect("readable").is_empty();
    let is_noted = || folder.path().join("disk-full").exists();
    run(u64::MAX / 4, &|engine| is_up(engine) && is_noted()).await;
    run(u64::MAX / 4, &|engine| is_up(engine) && is_noted()).await;
    run(1, &|engine| !is_up(engine) && !is_noted()).await;
    let engine = Single::start(opened(folder.path()).await).expect("a thread");
    let (action, alarm) = (AlarmAction::Activate.into(), AlarmType::Nospace.into());
    let request = Request::Alarm(AlarmRequest { action, member_id: 1, alarm });
    engine.propose(kv::entry(request)).await.expect("raised");
    engine.close().await;
    let looks = std::cell::Cell::new(0);
    let is_left = |engine: &Single| {
        looks.set(looks.get() + 1);
        looks.get() > 30 && is_up(engine)
    };
    run(1, &is_left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_raises_an_alarm_and_recovers() {
    let disk = Disk::default();
    disk.set_free(1 << 30);
    let engine = Single::start(disk.store(Owner { cluster: 7, member: 1 }).expect("a store")).expect("a thread");
    let upkeep = Upkeep::new(engine.clone(), Quick, UpkeepConfig { free_bytes: 1_000, ..UpkeepConfig::default() });
    let run = tokio::spawn(async move { upkeep.run().await });
    let is_up = || !engine.store().read(kv::alarms).expect("readable").is_empty();
    let until = async |wanted: bool| {
        while is_up() != wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    crate::common::entry(&engine, b"key", b"1").await.expect("written");
    disk.set_free(999);
    until(true).await;
    let refused = crate::common::entry(&engine, b"key", b"2").await.expect("applied");
    assert_eq!(kv::outcome(&refused).expect("an outcome"), Err(EtcdError::NoSpace));
    disk.set_free(1_200); // hardly more
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(is_up());
    disk.set_free(1_500);
    until(false).await;
    let written = crate::common::entry(&engine, b"key", b"3").await.expect("applied");
    assert!(kv::outcome(&written).expect("an outcome").is_ok());
    run.abort();
}
