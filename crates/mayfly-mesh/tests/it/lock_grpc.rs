//! etcd's locks and elections as services.

use crate::common::served::{Node, channel};
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient;
use mayfly_mesh::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest,
};
use mayfly_mesh::proto::v3electionpb::election_client::ElectionClient;
use mayfly_mesh::proto::v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest};
use mayfly_mesh::proto::v3lockpb::lock_client::LockClient;
use mayfly_mesh::proto::v3lockpb::{LockRequest, UnlockRequest};
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

struct All {
    kv: KvClient<Channel>,
    leases: LeaseClient<Channel>,
    locks: LockClient<Channel>,
    elections: ElectionClient<Channel>,
}

async fn all(node: &Node) -> All {
    let channel = channel(node.address).await;
    All {
        kv: KvClient::new(channel.clone()),
        leases: LeaseClient::new(channel.clone()),
        locks: LockClient::new(channel.clone()),
        elections: ElectionClient::new(channel),
    }
}

fn lock(name: &str, lease: i64) -> LockRequest {
    LockRequest { name: name.into(), lease }
}

fn campaign(lease: i64, value: &str) -> CampaignRequest {
    CampaignRequest { name: "E".into(), lease, value: value.into() }
}

fn told(status: &Status) -> (Code, &str) {
    (status.code(), status.message())
}

async fn grant(leases: &mut LeaseClient<Channel>, id: i64) {
    leases.lease_grant(LeaseGrantRequest { id, ttl: 600 }).await.expect("granted");
}

/// How many keys there are below a name, once there are so many.
async fn until(kv: &KvClient<Channel>, name: &str, count: i64) {
    for _ in 0..100 {
        let (key, range_end) = (format!("{name}/").into(), format!("{name}0").into());
        let range = RangeRequest { key, range_end, count_only: true, ..RangeRequest::default() };
        if kv.clone().range(range).await.expect("read").into_inner().count == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("{name} never has {count} contenders")
}

/// The lock goes from one to the next in the order of their coming; who waits and goes away is taken out.
#[tokio::test(flavor = "multi_thread")]
async fn locks_go_from_one_to_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { kv, mut leases, mut locks, .. } = all(&node).await;
    for id in [10, 11, 12, 13] {
        grant(&mut leases, id).await;
    }
    let first = locks.lock(lock("L", 10)).await.expect("free").into_inner();
    assert_eq!(first.key, b"L/a");
    let revision = first.header.expect("a header").revision;
    let again = locks.lock(lock("L", 10)).await.expect("the same").into_inner();
    assert_eq!((again.key, again.header.map(|header| header.revision)), (b"L/a".to_vec(), Some(revision)));
    let wait = |id: i64| {
        let mut locks = locks.clone();
        tokio::spawn(async move { locks.lock(lock("L", id)).await.map(tonic::Response::into_inner) })
    };
    let second = wait(11);
    until(&kv, "L", 2).await;
    let goes_away = wait(12);
    until(&kv, "L", 3).await;
    let third = wait(13);
    until(&kv, "L", 4).await;
    goes_away.abort();
    until(&kv, "L", 3).await;
    assert!(!second.is_finished() && !third.is_finished());
    locks.unlock(UnlockRequest { key: first.key }).await.expect("given up");
    let second = second.await.expect("no panic").expect("its turn");
    assert_eq!(second.key, b"L/b");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!third.is_finished(), "two have the lock");
    leases.lease_revoke(LeaseRevokeRequest { id: 11 }).await.expect("revoked");
    let third = third.await.expect("no panic").expect("its turn");
    assert_eq!(third.key, b"L/d");
    node.stop().await.expect("a good end");
}

/// Whose lease ends while it waits does not get a lock that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_gets_no_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut kv, mut leases, mut locks, mut elections } = all(&node).await;
    for id in [10, 11, 12] {
        grant(&mut leases, id).await;
    }
    let first = locks.lock(lock("L", 10)).await.expect("free").into_inner();
    let mut waits = locks.clone();
    let second = tokio::spawn(async move { waits.lock(lock("L", 11)).await });
    until(&kv, "L", 2).await;
    leases.lease_revoke(LeaseRevokeRequest { id: 11 }).await.expect("revoked");
    // Another key in its place is not its own.
    kv.put(PutRequest { key: "L/b".into(), ..PutRequest::default() }).await.expect("written");
    assert!(!second.is_finished(), "as etcd, it waits on");
    locks.unlock(UnlockRequest { key: first.key }).await.expect("given up");
    let refused = second.await.expect("no panic").expect_err("its lease is gone");
    assert_eq!(told(&refused), (Code::Unknown, "mutex: session is expired"));
    until(&kv, "L", 1).await;

    elections.campaign(campaign(10, "v")).await.expect("leads");
    let mut waits = elections.clone();
    let second = tokio::spawn(async move { waits.campaign(campaign(12, "w")).await });
    until(&kv, "E", 2).await;
    leases.lease_revoke(LeaseRevokeRequest { id: 12 }).await.expect("revoked");
    leases.lease_revoke(LeaseRevokeRequest { id: 10 }).await.expect("revoked");
    let refused = second.await.expect("no panic").expect_err("its lease is gone");
    assert_eq!(told(&refused), (Code::Unknown, "election: not leader"));
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_etcd_s() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut leases, mut locks, mut elections, .. } = all(&node).await;
    let unknown = |text| (Code::Unknown, text);
    let refused = locks.lock(lock("L", 99)).await.expect_err("no such lease");
    assert_eq!(told(&refused), unknown("etcdserver: requested lease not found"));
    let refused = locks.unlock(UnlockRequest::default()).await.expect_err("no key");
    assert_eq!(told(&refused), unknown("etcdserver: key is not provided"));
    locks.unlock(UnlockRequest { key: "none".into() }).await.expect("nothing to give up");
    let refused = elections.leader(LeaderRequest { name: "E".into() }).await.expect_err("nobody");
    assert_eq!(told(&refused), unknown("election: no leader"));
    let must = unknown("\"leader\" field must be provided");
    let refused = elections.proclaim(ProclaimRequest::default()).await.expect_err("no key");
    assert_eq!(told(&refused), must);
    let refused = elections.resign(ResignRequest::default()).await.expect_err("no key");
    assert_eq!(told(&refused), must);
    let other = LeaderKey { name: "E".into(), key: "E/1".into(), rev: 7, lease: 0 };
    let refused = elections.proclaim(ProclaimRequest { leader: Some(other.clone()), value: "v".into() }).await;
    assert_eq!(told(&refused.expect_err("not it")), unknown("election: not leader"));
    elections.resign(ResignRequest { leader: Some(other) }).await.expect("nothing to give up");
    // Without a lease, one of 60 s is made; its id is in the key.
    let key = locks.lock(lock("", 0)).await.expect("free").into_inner().key;
    let id = i64::from_str_radix(std::str::from_utf8(&key[1..]).expect("text"), 16).expect("an id");
    let time = leases.lease_time_to_live(LeaseTimeToLiveRequest { id, keys: true }).await.expect("a time").into_inner();
    assert_eq!((time.granted_ttl, time.keys), (60, vec![key]));
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn elections_are_observed() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { kv, mut leases, mut elections, .. } = all(&node).await;
    for id in [10, 11] {
        grant(&mut leases, id).await;
    }
    let mut observed = elections.observe(LeaderRequest { name: "E".into() }).await.expect("a stream").into_inner();
    let mut next = async || {
        let told = tokio::time::timeout(Duration::from_secs(5), observed.message()).await.expect("in time");
        let told = told.expect("a message").expect("it goes on");
        let kv = told.kv.expect("a leader");
        (String::from_utf8(kv.key).expect("text"), String::from_utf8(kv.value).expect("text"))
    };
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    let first = elections.campaign(campaign(10, "one")).await.expect("leads").into_inner();
    assert_eq!(next().await, pair("E/a", "one"));
    let leader = first.leader.expect("a key");
    assert_eq!((&leader.name[..], &leader.key[..], leader.lease), (&b"E"[..], &b"E/a"[..], 10));
    assert_eq!(leader.rev, first.header.expect("a header").revision);
    let mut waits = elections.clone();
    let second =
        tokio::spawn(async move { waits.campaign(campaign(11, "two")).await.map(tonic::Response::into_inner) });
    until(&kv, "E", 2).await;
    elections.proclaim(ProclaimRequest { leader: Some(leader.clone()), value: "more".into() }).await.expect("told");
    assert_eq!(next().await, pair("E/a", "more"));
    // The same lease campaigns again with another value: it leads at once, and that is told.
    let again = elections.campaign(campaign(10, "again")).await.expect("leads").into_inner();
    assert_eq!(again.leader.expect("a key").rev, leader.rev);
    assert_eq!(next().await, pair("E/a", "again"));
    let now = elections.leader(LeaderRequest { name: "E".into() }).await.expect("one leads").into_inner();
    assert_eq!(now.kv.expect("a leader").value, b"again");
    elections.resign(ResignRequest { leader: Some(leader) }).await.expect("given up");
    let second = second.await.expect("no panic").expect("its turn").leader.expect("a key");
    assert_eq!(next().await, pair("E/b", "two"));
    elections.resign(ResignRequest { leader: Some(second) }).await.expect("given up");
    node.stop().await.expect("a good end");
}
