//! Leases: what they hold, when they end, and what is left of their time after a restart.

use crate::common::apply_bytes;
use mayfly_mesh::proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::outcome::Response;
use mayfly_mesh::proto::meshpb::{Checkpoint, Expire, Granted, Remains};
use mayfly_mesh::{Clock, Engine, EtcdError, LeaseAsk, LeaseTime, Single, Store, kv, modules};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LEASE: i64 = 7;

fn grant(id: i64, ttl: i64) -> Request {
    Request::Grant(LeaseGrantRequest { id, ttl })
}

fn put(key: &str, lease: i64) -> Request {
    Request::Put(PutRequest { key: key.into(), value: "v".into(), lease, ..PutRequest::default() })
}

/// Applies a request in term 1, and gives the index of its entry.
fn apply(store: &Store, request: Request) -> (u64, Result<Response, EtcdError>) {
    let outcome = apply_bytes(store, &[kv::entry(request).encode()]).expect("applied").remove(0);
    (store.applied().expect("readable").index, kv::outcome(&outcome).expect("an outcome"))
}

fn keys(store: &Store) -> Vec<String> {
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let found = store.read(|transaction| kv::range(transaction, &all)).expect("readable").expect("no refusal");
    found.kvs.into_iter().map(|kv| String::from_utf8(kv.key).expect("text")).collect()
}

/// etcd#12528: a leader of old ended leases that were kept alive under the next one.
#[test]
fn an_expiry_counts_in_its_own_term_and_for_its_own_lease() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let (at, _) = apply(&store, grant(LEASE, 10));
    apply(&store, put("a", LEASE)).1.expect("put");
    let expire = |term, at| Request::Expire(Expire { term, lease: Some(Granted { id: LEASE, at }) });
    apply(&store, expire(2, at)).1.expect("done");
    assert_eq!(keys(&store), ["a"], "another term's");
    apply(&store, Request::Revoke(LeaseRevokeRequest { id: LEASE })).1.expect("revoked");
    assert!(keys(&store).is_empty());
    let (later, _) = apply(&store, grant(LEASE, 10));
    apply(&store, put("b", LEASE)).1.expect("put");
    apply(&store, expire(1, at)).1.expect("done");
    assert_eq!(keys(&store), ["b"], "an earlier lease's of this id");
    apply(&store, expire(1, later)).1.expect("done");
    assert!(keys(&store).is_empty());
    assert_eq!(apply(&store, put("c", LEASE)).1, Err(EtcdError::LeaseNotFound));
}

/// A clock that is set by hand.
#[derive(Clone, Default)]
struct ByHand(Arc<AtomicU64>);

impl ByHand {
    fn clock(&self) -> Clock {
        let ms = self.0.clone();
        Clock::new(move || Duration::from_millis(ms.load(Ordering::SeqCst)))
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }
}

async fn ask(engine: &Single, request: Request) -> Result<Response, EtcdError> {
    kv::outcome(&engine.propose(kv::entry(request)).await.expect("applied")).expect("an outcome")
}

/// Whoever ends leases looks at the clock after something was written, as it does when its own time is over.
async fn until(engine: &Single, what: &str, mut is: impl FnMut(&Single) -> bool) {
    for i in 0..300 {
        if is(engine) {
            return;
        }
        ask(engine, put("poke", 0)).await.expect("put");
        tokio::time::sleep(Duration::from_millis(20 + i)).await;
    }
    panic!("not within a minute: {what}");
}

/// Long enough for whoever ends leases to have looked.
async fn a_while(engine: &Single) {
    for _ in 0..8 {
        ask(engine, put("poke", 0)).await.expect("put");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_when_its_time_is_over_and_not_before() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), ByHand::default());
    let engine = Single::start_with(Store::open(folder.path(), modules()).expect("a store"), hand.clock()).expect("up");
    ask(&engine, grant(LEASE, 10)).await.expect("granted");
    for key in ["b", "a", "moved", "freed"] {
        ask(&engine, put(key, LEASE)).await.expect("put");
    }
    a_while(&engine).await;
    ask(&engine, grant(8, 1_000)).await.expect("granted"); // nobody asks about this one
    ask(&engine, put("moved", 8)).await.expect("put");
    ask(&engine, put("freed", 0)).await.expect("put");
    a_while(&engine).await;
    hand.pass(Duration::from_millis(9_900));
    a_while(&engine).await;
    let left = engine.lease(LeaseAsk::TimeToLive(LEASE)).await.expect("answered").expect("there");
    assert_eq!(left.granted_s, 10);
    assert!(left.remaining_s <= 1, "{left:?}");
    let whole = Some(LeaseTime { granted_s: 10, remaining_s: 10 });
    assert_eq!(engine.lease(LeaseAsk::Renew(LEASE)).await.expect("answered"), whole);
    hand.pass(Duration::from_millis(9_900));
    a_while(&engine).await;
    assert_eq!(keys(engine.store()), ["a", "b", "freed", "moved", "poke"]);
    hand.pass(Duration::from_millis(200));
    until(&engine, "its keys are gone", |engine| keys(engine.store()) == ["freed", "moved", "poke"]).await;
    assert_eq!(engine.lease(LeaseAsk::Renew(LEASE)).await.expect("answered"), None);
    assert_eq!(engine.lease(LeaseAsk::TimeToLive(LEASE)).await.expect("answered"), None);
    hand.pass(Duration::from_secs(1_000));
    until(&engine, "the other one ends", |engine| keys(engine.store()) == ["freed", "poke"]).await;
    engine.close().await;
}

/// Who asks for a renewal when the time is over already, is told that the lease is gone, and finds it so.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_comes_too_late_waits_for_the_end() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), ByHand::default());
    let engine = Single::start_with(Store::open(folder.path(), modules()).expect("a store"), hand.clock()).expect("up");
    ask(&engine, grant(LEASE, 10)).await.expect("granted");
    ask(&engine, put("a", LEASE)).await.expect("put");
    assert!(engine.lease(LeaseAsk::Renew(LEASE)).await.expect("answered").is_some());
    hand.pass(Duration::from_secs(11));
    let poking = engine.clone();
    let poke = tokio::spawn(async move { a_while(&poking).await });
    assert_eq!(engine.lease(LeaseAsk::Renew(LEASE)).await.expect("answered"), None);
    assert!(!keys(engine.store()).contains(&"a".into()));
    poke.await.expect("no panic");
    engine.close().await;
}

async fn remaining(engine: &Single) -> i64 {
    engine.lease(LeaseAsk::TimeToLive(LEASE)).await.expect("answered").expect("there").remaining_s
}

async fn started(folder: &Path, hand: &ByHand) -> Single {
    Single::start_with(Store::open(folder, modules()).expect("a store"), hand.clock()).expect("up")
}

/// A restart gives a lease what was left of it when that was last written down, and not its whole time; a renewal takes that back.
/// etcd#9395: leases that nobody kept alive began anew with every leader, and never ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_outlives_a_restart() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), ByHand::default());
    let engine = started(folder.path(), &hand).await;
    ask(&engine, grant(LEASE, 1_000)).await.expect("granted");
    assert_eq!(remaining(&engine).await, 1_000);
    hand.pass(Duration::from_secs(400));
    let before = Mutex::new(None);
    until(&engine, "what is left is written down", |engine| {
        // Every poke is one entry; whatever else comes is a checkpoint.
        let state = (engine.store().applied().expect("readable").index, keys(engine.store()).len());
        let revision = engine.store().read(kv::revision).expect("readable") as u64;
        let others = state.0 - revision;
        *before.lock().expect("no panic").get_or_insert(others) < others
    })
    .await;
    engine.close().await;
    let engine = started(folder.path(), &hand).await;
    assert_eq!(remaining(&engine).await, 600);
    assert!(engine.lease(LeaseAsk::Renew(LEASE)).await.expect("answered").is_some());
    assert_eq!(remaining(&engine).await, 1_000);
    engine.close().await;
    let engine = started(folder.path(), &hand).await;
    assert_eq!(remaining(&engine).await, 1_000);
    engine.close().await;
}

/// Of two checkpoints of a term the later one counts, in whatever order they come; and none of another term.
#[tokio::test(flavor = "multi_thread")]
async fn the_later_checkpoint_counts() {
    let (folder, hand) = (tempfile::tempdir().expect("a folder"), ByHand::default());
    let store = Store::open(folder.path(), modules()).expect("a store");
    let (at, _) = apply(&store, grant(LEASE, 1_000));
    let say = |term, number, at, seconds| {
        let leases = vec![Remains { lease: Some(Granted { id: LEASE, at }), seconds }];
        apply(&store, Request::Checkpoint(Checkpoint { term, number, leases })).1.expect("done");
    };
    say(1, 4, at, 500);
    say(1, 3, at, 200);
    say(2, 9, at, 100);
    say(1, 5, at + 1, 50);
    drop(store);
    let engine = started(folder.path(), &hand).await;
    assert_eq!(remaining(&engine).await, 500);
    engine.close().await;
}
