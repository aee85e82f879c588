//! Leases over gRPC, as clients use them.

use crate::common::served::Node;
use mayfly_mesh::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest, RangeRequest,
};
use tonic::Code;

fn put(key: &str, lease: i64) -> PutRequest {
    PutRequest { key: key.into(), value: "v".into(), lease, ..PutRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_hold_keys_until_they_are_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client_of_all().await;
    let granted = client.leases.lease_grant(LeaseGrantRequest { ttl: 600, id: 0 }).await.expect("granted").into_inner();
    assert!(granted.id > 0 && granted.ttl == 600 && granted.error.is_empty(), "{granted:?}");
    let other = client.leases.lease_grant(LeaseGrantRequest { ttl: 600, id: 0 }).await.expect("granted").into_inner();
    assert_ne!(other.id, granted.id);
    for key in ["b", "a", "c"] {
        client.kv.put(put(key, granted.id)).await.expect("put");
    }
    client.kv.put(put("c", other.id)).await.expect("put");
    let ask = LeaseTimeToLiveRequest { id: granted.id, keys: true };
    let time = client.leases.lease_time_to_live(ask).await.expect("known").into_inner();
    assert_eq!((time.granted_ttl, time.keys), (600, vec![b"a".to_vec(), b"b".to_vec()]));
    assert!((500..=600).contains(&time.ttl));
    assert_eq!(time.header.expect("a header").revision, 5);

    let mut all: Vec<i64> = vec![granted.id, other.id];
    all.sort_unstable();
    let listed = client.leases.lease_leases(LeaseLeasesRequest {}).await.expect("a list").into_inner().leases;
    assert_eq!(listed.iter().map(|lease| lease.id).collect::<Vec<_>>(), all);

    let revoked = client.leases.lease_revoke(LeaseRevokeRequest { id: granted.id }).await.expect("revoked");
    assert_eq!(revoked.into_inner().header.expect("a header").revision, 6);
    let everything = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let left = client.kv.range(everything).await.expect("read").into_inner().kvs;
    assert_eq!(left.iter().map(|kv| (&kv.key[..], kv.lease)).collect::<Vec<_>>(), [(&b"c"[..], other.id)]);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_refusals_are_etcds() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client_of_all().await.leases;
    for (ttl, id, want) in [(-3, 1, 2), (0, 2, 2), (1, 3, 2), (3, 4, 3), (9_000_000_000, 5, 9_000_000_000)] {
        let granted = client.lease_grant(LeaseGrantRequest { ttl, id }).await.expect("granted").into_inner();
        assert_eq!((granted.id, granted.ttl), (id, want));
    }
    let refused = client.lease_grant(LeaseGrantRequest { ttl: 60, id: 5 }).await.expect_err("exists");
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "etcdserver: lease already exists"));
    let refused = client.lease_grant(LeaseGrantRequest { ttl: 9_000_000_001, id: 6 }).await.expect_err("too long");
    assert_eq!((refused.code(), refused.message()), (Code::OutOfRange, "etcdserver: too large lease TTL"));
    let refused = client.lease_revoke(LeaseRevokeRequest { id: 6 }).await.expect_err("unknown");
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "etcdserver: requested lease not found"));
    let unknown = LeaseTimeToLiveRequest { id: 6, keys: true };
    let time = client.lease_time_to_live(unknown).await.expect("answered").into_inner();
    assert_eq!((time.id, time.ttl, time.granted_ttl, time.keys.len()), (6, -1, 0, 0));
    node.stop().await.expect("a good end");
}

/// The lease that nobody keeps alive ends by itself, the other does not; a stream of keep-alives ends with the node.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lives_as_long_as_it_is_kept_alive() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client_of_all().await;
    for (id, ttl) in [(1, 30), (2, 2)] {
        client.leases.lease_grant(LeaseGrantRequest { ttl, id }).await.expect("granted");
        client.kv.put(put(&id.to_string(), id)).await.expect("put");
    }
    let (asks, mut asked) = tokio::sync::mpsc::channel(4);
    let requests = futures_util::stream::poll_fn(move |cx| asked.poll_recv(cx));
    let mut answers = client.leases.lease_keep_alive(requests).await.expect("a stream").into_inner();
    let mut ttl_of = async |id| {
        asks.send(LeaseKeepAliveRequest { id }).await.expect("taken");
        let answer = answers.message().await.expect("an answer").expect("an answer");
        assert_eq!(answer.id, id);
        answer.ttl
    };
    assert_eq!(ttl_of(9).await, 0);
    let mut rounds = 0;
    loop {
        assert_eq!(ttl_of(1).await, 30);
        let get = RangeRequest { key: "2".into(), ..RangeRequest::default() };
        if client.kv.range(get).await.expect("read").into_inner().kvs.is_empty() {
            break;
        }
        rounds += 1;
        assert!(rounds < 300, "it does not end");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(rounds > 0);
    assert_eq!((ttl_of(1).await, ttl_of(2).await), (30, 0));
    node.stop().await.expect("a good end");
    assert!(answers.message().await.is_err(), "the stream ends");
}
