//! etcd's Maintenance, quota and alarms as clients meet them.

use crate::common::served::{Node, channel};
use mayfly_mesh::proto::etcdserverpb::alarm_request::AlarmAction;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DeleteRangeRequest, HashKvRequest, HashRequest,
    LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, SnapshotRequest, StatusRequest, TxnRequest,
    WatchCreateRequest, WatchRequest,
};
use mayfly_mesh::{Keep, Store, UpkeepConfig, modules};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::Channel;
use tonic::{Code, Status};

fn put(key: &str, value: &[u8]) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }
}

fn alarm(action: AlarmAction, member_id: u64, alarm: AlarmType) -> AlarmRequest {
    AlarmRequest { action: action.into(), member_id, alarm: alarm.into() }
}

fn told(status: &Status) -> (Code, &str) {
    (status.code(), status.message())
}

const NO_SPACE: (Code, &str) = (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");

struct All {
    kv: KvClient<Channel>,
    leases: LeaseClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
}

async fn all(node: &Node) -> All {
    let channel = channel(node.address).await;
    All {
        kv: KvClient::new(channel.clone()),
        leases: LeaseClient::new(channel.clone()),
        maintenance: MaintenanceClient::new(channel).max_decoding_message_size(64 << 20),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_are_etcd_s() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut kv, mut maintenance, .. } = all(&node).await;
    for value in [b"1", b"2", b"3"] {
        kv.put(put("a", value)).await.expect("written");
    }
    let fresh = maintenance.hash_kv(HashKvRequest { revision: 0 }).await.expect("a hash").into_inner();
    assert_eq!((fresh.compact_revision, fresh.header.expect("a header").revision), (-1, 4));
    let at = async |revision| {
        let mut maintenance = maintenance.clone();
        maintenance.hash_kv(HashKvRequest { revision }).await.map(tonic::Response::into_inner)
    };
    assert_eq!(at(4).await.expect("a hash").hash, fresh.hash);
    assert_ne!(at(3).await.expect("a hash").hash, fresh.hash);
    kv.compact(CompactionRequest { revision: 3, physical: true }).await.expect("compacted");
    let compacted = at(0).await.expect("a hash");
    assert_eq!(compacted.compact_revision, 3);
    assert_ne!(compacted.hash, fresh.hash);
    let refused = at(2).await.expect_err("compacted");
    assert_eq!(told(&refused), (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"));
    let refused = at(5).await.expect_err("to come");
    assert_eq!(told(&refused), (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"));
    let hash = maintenance.hash(HashRequest {}).await.expect("a hash").into_inner();
    assert!(hash.header.is_some() && hash.hash != 0);
    node.stop().await.expect("a good end");
}

/// A snapshot has the length and the sum that `etcdctl` wants, and restores to the same state.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_whole_and_says_how_much_is_to_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut kv, mut maintenance, .. } = all(&node).await;
    for i in 0..40 {
        kv.put(put(&format!("{i}"), &[i; 5_000])).await.expect("written");
    }
    let mut stream = maintenance.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
    let (mut bytes, mut left, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(response) = stream.message().await.expect("a message") {
        assert!(response.header.is_none() && !response.blob.is_empty());
        bytes.extend(&response.blob);
        left.push(response.remaining_bytes);
        blobs.push(response.blob.len());
    }
    assert_eq!(bytes.len() % 512, 32);
    let (data, sum) = bytes.split_at(bytes.len() - 32);
    assert_eq!(&Sha256::digest(data)[..], sum);
    assert!(blobs.len() > 4 && blobs[..blobs.len() - 2].iter().all(|len| *len == 32 << 10), "{blobs:?}");
    let mut rest = data.len() as u64;
    for (len, left) in blobs.iter().zip(&left) {
        rest = rest.saturating_sub(*len as u64);
        assert_eq!(*left, rest);
    }
    let hash = mayfly_mesh::Engine::store(&node.engine).hash_of_all().expect("readable");
    let owner = mayfly_mesh::Engine::store(&node.engine).owner();
    node.stop().await.expect("a good end");
    let other = crate::common::disk::Disk::default().store(owner).expect("a store");
    other.restore(&mut &bytes[..]).expect("restored");
    assert_eq!(other.hash_of_all().expect("readable"), hash);
}

/// While a snapshot is on its way, the file is not made shorter: that is said, and the snapshot is whole all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_not_defragmented() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut kv, mut maintenance, .. } = all(&node).await;
    for i in 0..12 {
        kv.put(put(&format!("{i}"), &vec![i; 1_000_000])).await.expect("written");
    }
    let mut stream = maintenance.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
    let first = stream.message().await.expect("a message").expect("a chunk");
    let refused = maintenance.defragment(DefragmentRequest {}).await.expect_err("it is read");
    assert_eq!(refused.code(), Code::Unknown);
    assert!(refused.message().contains("is still read"), "{refused}");
    let mut bytes = first.blob;
    while let Some(response) = stream.message().await.expect("a message") {
        bytes.extend(response.blob);
    }
    let (data, sum) = bytes.split_at(bytes.len() - 32);
    assert_eq!(&Sha256::digest(data)[..], sum);
    maintenance.defragment(DefragmentRequest {}).await.expect("nobody reads any more");
    node.stop().await.expect("a good end");
}

/// Over its quota a node says so in etcd's words, goes on with all that needs no room, and recovers without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_kept_and_recovered_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = UpkeepConfig { quota_bytes: 1 << 20, ..UpkeepConfig::default() };
    let node = Node::with(Store::open(folder.path(), modules()).expect("a store"), config).await;
    let All { mut kv, mut leases, mut maintenance } = all(&node).await;
    leases.lease_grant(LeaseGrantRequest { id: 5, ttl: 600 }).await.expect("granted");
    let value = vec![7; 100_000];
    let mut written = 0;
    let refused = loop {
        match kv.put(put("large", &value)).await {
            Ok(_) => written += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(told(&refused), NO_SPACE);
    assert!((9..=10).contains(&written), "{written} of 100 kB fit into 1 MiB");
    let refused = kv.put(put("small", b"1")).await.expect_err("the alarm is up");
    assert_eq!(told(&refused), NO_SPACE);
    let refused = leases.lease_grant(LeaseGrantRequest { id: 6, ttl: 600 }).await.expect_err("the alarm is up");
    assert_eq!(told(&refused), NO_SPACE);
    let op = |request| RequestOp { request: Some(request) };
    let txn = TxnRequest { failure: vec![op(Request::RequestPut(put("a", b"")))], ..TxnRequest::default() };
    let refused = kv.txn(txn).await.expect_err("a put in the branch not taken counts");
    assert_eq!(told(&refused), NO_SPACE);
    let delete = DeleteRangeRequest { key: "none".into(), ..DeleteRangeRequest::default() };
    let txn = TxnRequest { success: vec![op(Request::RequestDeleteRange(delete))], ..TxnRequest::default() };
    kv.txn(txn).await.expect("it needs no room");
    let range = RangeRequest { key: "large".into(), ..RangeRequest::default() };
    let found = kv.range(range).await.expect("reads go on").into_inner();
    let revision = found.header.expect("a header").revision;
    leases.lease_revoke(mayfly_mesh::proto::etcdserverpb::LeaseRevokeRequest { id: 5 }).await.expect("revoked");
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.errors, ["memberID:1 alarm:NOSPACE "]);
    assert!(status.db_size_in_use > 900_000 && status.db_size > status.db_size_in_use);
    let (is_fine, health) = http(&node, "/health").await;
    assert!(!is_fine && health.contains("ALARM NOSPACE"), "{health}");

    // Compact, defragment, disarm.
    kv.compact(CompactionRequest { revision, physical: true }).await.expect("compacted");
    let answer = maintenance.defragment(DefragmentRequest {}).await.expect("shorter").into_inner();
    assert!(answer.header.is_none(), "as in etcd");
    let refused = kv.put(put("small", b"1")).await.expect_err("until it is disarmed");
    assert_eq!(told(&refused), NO_SPACE);
    let after = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert!(after.db_size < status.db_size && after.db_size_in_use < 200_000, "{after:?}");
    let up = maintenance.alarm(alarm(AlarmAction::Get, 77, AlarmType::None)).await.expect("a list").into_inner().alarms;
    assert_eq!(up.len(), 1);
    let down = alarm(AlarmAction::Deactivate, up[0].member_id, AlarmType::Nospace);
    let down = maintenance.alarm(down).await.expect("disarmed").into_inner();
    assert!(down.header.is_some() && down.alarms == up);
    kv.put(put("small", b"1")).await.expect("written");
    let (is_fine, health) = http(&node, "/health").await;
    assert!(is_fine && health.contains(r#""health":"true""#), "{health}");
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_are_etcd_s() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut kv, mut maintenance, .. } = all(&node).await;
    let asks = maintenance.clone();
    let ask = async |action, member, kind| {
        let mut maintenance = asks.clone();
        let alarms = maintenance.alarm(alarm(action, member, kind)).await.expect("answered").into_inner().alarms;
        alarms.into_iter().map(|alarm| (alarm.member_id, alarm.alarm())).collect::<Vec<_>>()
    };
    use AlarmAction::{Activate, Deactivate, Get};
    assert_eq!(ask(Deactivate, 0, AlarmType::None).await, []);
    assert_eq!(ask(Activate, 77, AlarmType::Nospace).await, [(77, AlarmType::Nospace)]);
    assert_eq!(ask(Activate, 0, AlarmType::Nospace).await, [(0, AlarmType::Nospace)]);
    assert_eq!(ask(Get, 1, AlarmType::Nospace).await.len(), 2, "the member is not looked at");
    assert_eq!(ask(Get, 0, AlarmType::Corrupt).await, []);
    let refused = kv.put(put("a", b"1")).await.expect_err("an alarm of anybody's");
    assert_eq!(told(&refused), NO_SPACE);
    assert_eq!(ask(Deactivate, 77, AlarmType::Nospace).await.len(), 1);
    assert_eq!(ask(Deactivate, 0, AlarmType::Nospace).await.len(), 1);
    kv.put(put("a", b"1")).await.expect("written");
    let odd = AlarmRequest { action: 9, member_id: 1, alarm: 1 };
    assert_eq!(maintenance.alarm(odd).await.expect_err("etcd crashes").code(), Code::InvalidArgument);

    // A member that differs serves nobody, and says so; the alarm taken back, it goes on.
    ask(Activate, 1, AlarmType::Corrupt).await;
    let corrupt = (Code::DataLoss, "etcdserver: corrupt cluster");
    let refused = until(async || kv.clone().put(put("a", b"2")).await.err()).await;
    assert_eq!(told(&refused), corrupt);
    let range = RangeRequest { key: "a".into(), serializable: true, ..RangeRequest::default() };
    assert_eq!(told(&kv.range(range).await.expect_err("nor does it read")), corrupt);
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.errors, ["memberID:1 alarm:CORRUPT "]);
    ask(Deactivate, 1, AlarmType::Corrupt).await;
    until(async || kv.clone().put(put("a", b"2")).await.ok()).await;
    node.stop().await.expect("a good end");
}

/// Asks until there is what is looked for.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..100 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not come")
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_compacted_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Some(Keep::For(Duration::from_millis(500)));
    let config = UpkeepConfig { keep, ..UpkeepConfig::default() };
    let node = Node::with(Store::open(folder.path(), modules()).expect("a store"), config).await;
    let All { mut kv, mut maintenance, .. } = all(&node).await;
    for value in [b"1", b"2", b"3"] {
        kv.put(put("a", value)).await.expect("written");
    }
    let fresh = maintenance.hash_kv(HashKvRequest { revision: 2 }).await.expect("it is young").into_inner();
    assert_eq!(fresh.compact_revision, -1);
    let asked = async || {
        let told = maintenance.clone().hash_kv(HashKvRequest { revision: 0 }).await.expect("a hash").into_inner();
        Some(told.compact_revision).filter(|compacted| *compacted == 4)
    };
    until(asked).await;
    node.stop().await.expect("a good end");
}

/// A request in HTTP/1.1: was it answered with 200, and the answer.
async fn http(node: &Node, path: &str) -> (bool, String) {
    let mut stream = tokio::net::TcpStream::connect(node.address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    (answer.starts_with("HTTP/1.1 200"), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn monitors_are_answered_on_the_port_of_the_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut kv, .. } = all(&node).await;
    for _ in 0..3 {
        kv.put(put("a", b"1")).await.expect("written");
    }
    for path in ["/health", "/ready"] {
        let (is_fine, text) = http(&node, path).await;
        assert!(is_fine && text.contains(r#":"true""#), "{text}");
    }
    tokio::time::sleep(Duration::from_millis(300)).await; // the leader is looked for now and then
    let (is_fine, text) = http(&node, "/metrics").await;
    assert!(is_fine, "{text}");
    let value = |name: &str| -> f64 {
        let line =
            text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().and_then(|value| value.trim().parse().ok()).expect("a number")
    };
    assert_eq!(value("etcd_server_has_leader"), 1.0);
    assert_eq!(value("etcd_server_leader_changes_seen_total"), 1.0);
    assert_eq!(value("etcd_server_proposals_applied_total"), 4.0);
    assert_eq!(value("mayfly_mesh_request_duration_seconds_count"), 3.0);
    assert_eq!(value("etcd_server_proposals_pending"), 0.0);
    assert!(value("etcd_disk_wal_fsync_duration_seconds_count") >= 3.0);
    assert!(value("etcd_mvcc_db_total_size_in_bytes") > value("etcd_mvcc_db_total_size_in_use_in_bytes"));
    let steps: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("etcd_disk_wal_fsync_duration_seconds_bucket"))
        .map(|line| line.rsplit(' ').next().expect("a value").trim().parse().expect("a number"))
        .collect();
    assert!(steps.is_sorted() && steps.last().is_some_and(|last| *last >= 3), "{steps:?}");
    assert!(!http(&node, "/nothing").await.1.contains("health"));
    node.stop().await.expect("a good end");
}

/// Calls are counted by how they ended: well, with a reason why not, or left by the client.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut kv = KvClient::new(channel(node.address).await);
    for key in ["a", "b"] {
        kv.put(PutRequest { key: key.into(), ..PutRequest::default() }).await.expect("written");
    }
    kv.put(PutRequest::default()).await.expect_err("it has no key");
    let create = WatchCreateRequest { key: b"a".to_vec(), ..WatchCreateRequest::default() };
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let (asks, mut asked) = tokio::sync::mpsc::channel(1);
    asks.send(create).await.expect("taken");
    let asked = futures_util::stream::poll_fn(move |cx| asked.poll_recv(cx));
    let mut answers = WatchClient::new(channel(node.address).await).watch(asked).await.expect("a stream").into_inner();
    answers.message().await.expect("read").expect("created");
    let count = async |name: &str, labels: &[&str]| -> Option<u64> {
        let (_, text) = http(&node, "/metrics").await;
        let is =
            |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
        text.lines().find(is).and_then(|line| line.rsplit(' ').next()?.trim().parse().ok())
    };
    let (put, watch) =
        (r#"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#, r#"grpc_method="Watch""#);
    assert_eq!(count("grpc_server_started_total", &[put]).await, Some(3));
    assert_eq!(count("grpc_server_handled_total", &[put, r#"grpc_code="OK""#]).await, Some(2));
    assert_eq!(count("grpc_server_handled_total", &[put, r#"grpc_code="InvalidArgument""#]).await, Some(1));
    assert_eq!(count("grpc_server_started_total", &[watch]).await, Some(1));
    assert_eq!(count("grpc_server_handled_total", &[watch, r#"grpc_code="OK""#]).await, Some(0), "it is under way");
    drop((asks, answers));
    let mut left = None;
    for _ in 0..100 {
        left = count("grpc_server_handled_total", &[watch, r#"grpc_code="Canceled""#]).await;
        if left.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(left, Some(1), "{}", http(&node, "/metrics").await.1);
    node.stop().await.expect("a good end");
}
