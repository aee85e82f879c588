//! What clients meet, over gRPC.

use crate::common::disk::Disk;
use crate::common::ops::Op;
use crate::common::served::{Node, ask, channel};
use mayfly_mesh::proto::etcdserverpb::cluster_client::ClusterClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::request_op::Request;
use mayfly_mesh::proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, MemberListRequest, PutRequest, RangeRequest, RequestOp, StatusRequest,
    TxnRequest,
};
use mayfly_mesh::{Clients, ETCD_LEVEL, InClear, MeshError, Owner, Store, UpkeepConfig, modules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }
}

fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

fn txn(success: Vec<Request>) -> TxnRequest {
    let success = success.into_iter().map(|request| RequestOp { request: Some(request) }).collect();
    TxnRequest { success, ..TxnRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_read_and_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client().await;
    let response = client.put(put("a", "1")).await.expect("written").into_inner();
    let header = response.header.expect("a header");
    assert_eq!((header.revision, header.member_id, header.raft_term), (2, 1, 1));
    assert_ne!(header.cluster_id, 0);
    node.stop().await.expect("a good end");

    let node = Node::start(folder.path()).await;
    let response = node.client().await.range(get("a")).await.expect("read").into_inner();
    assert_eq!(response.header, Some(header));
    let kv = &response.kvs[0];
    assert_eq!((&kv.value[..], kv.create_revision, kv.mod_revision, kv.version), (&b"1"[..], 2, 2, 1));
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_codes_and_words_of_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut all = node.client_of_all().await;
    let client = &mut all.kv;
    for value in ["1", "2", "3"] {
        client.put(put("a", value)).await.expect("written");
    }
    client.compact(CompactionRequest { revision: 3, physical: true }).await.expect("compacted");
    let many = vec![Request::RequestRange(get("a")); 129];
    let twice = vec![Request::RequestPut(put("k", "")), Request::RequestPut(put("k", ""))];
    let deleted = DeleteRangeRequest { key: "j".into(), range_end: "l".into(), prev_kv: false };
    let put_and_deleted = vec![Request::RequestPut(put("k", "")), Request::RequestDeleteRange(deleted)];
    let cases: Vec<(Op, Code, &str)> = vec![
        (Op::Range(get("")), Code::InvalidArgument, "etcdserver: key is not provided"),
        (Op::Put(put("", "")), Code::InvalidArgument, "etcdserver: key is not provided"),
        (Op::Delete(DeleteRangeRequest::default()), Code::InvalidArgument, "etcdserver: key is not provided"),
        (
            Op::Range(RangeRequest { sort_target: 9, ..get("a") }),
            Code::InvalidArgument,
            "etcdserver: invalid sort option",
        ),
        (
            Op::Put(PutRequest { ignore_value: true, ..put("a", "v") }),
            Code::InvalidArgument,
            "etcdserver: value is provided",
        ),
        (
            Op::Put(PutRequest { ignore_lease: true, lease: 1, ..put("a", "v") }),
            Code::InvalidArgument,
            "etcdserver: lease is provided",
        ),
        (
            Op::Put(PutRequest { ignore_value: true, ..put("none", "") }),
            Code::InvalidArgument,
            "etcdserver: key not found",
        ),
        (Op::Put(PutRequest { lease: 1, ..put("a", "v") }), Code::NotFound, "etcdserver: requested lease not found"),
        (Op::Txn(txn(many)), Code::InvalidArgument, "etcdserver: too many operations in txn request"),
        (Op::Txn(txn(twice)), Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
        (Op::Txn(txn(put_and_deleted)), Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
        (
            Op::Range(RangeRequest { revision: 2, ..get("a") }),
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        ),
        (
            Op::Range(RangeRequest { revision: 5, ..get("a") }),
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (Op::Put(put("a", &"x".repeat(3 << 19))), Code::InvalidArgument, "etcdserver: request is too large"),
    ];
    for (op, code, text) in cases {
        let status = ask(&mut all, &op).await.expect_err(text);
        assert_eq!((status.code(), status.message()), (code, text));
    }
    let large = put("a", &"x".repeat((3 << 19) - 100));
    assert_eq!(all.kv.put(large).await.expect("written").into_inner().header.expect("a header").revision, 5);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_members_are_those_of_a_cluster_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    node.client().await.put(put("a", "1")).await.expect("written");
    let channel = channel(node.address).await;
    let status = MaintenanceClient::new(channel.clone()).status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.version, ETCD_LEVEL);
    assert_eq!((status.leader, status.raft_term, status.raft_index, status.raft_applied_index), (1, 1, 2, 2));
    assert!(status.db_size > 0 && !status.is_learner);
    let list = ClusterClient::new(channel).member_list(MemberListRequest::default()).await.expect("a list");
    let members = list.into_inner().members;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].id, &members[0].client_ur_ls), (1, &vec![format!("http://{}", node.address)]));
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_unimplemented() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut grpc = tonic::client::Grpc::new(channel(node.address).await);
    grpc.ready().await.expect("a connection");
    let path = "/etcdserverpb.Maintenance/Downgrade".parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<StatusRequest, StatusRequest>::default();
    let status = grpc.unary(tonic::Request::new(StatusRequest {}), path, codec).await.expect_err("not served");
    assert_eq!(status.code(), Code::Unimplemented);
    node.stop().await.expect("a good end");
}

/// Garbage, HTTP/1 and half frames close their own connection and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_disturb_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let half = [&preface[..], &[0, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 7]].concat();
    for bytes in [&b"\0\xff\xfe garbage"[..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &half, preface] {
        let mut stream = tokio::net::TcpStream::connect(node.address).await.expect("connected");
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await; // a reset is an end, too
        client.put(put("a", "1")).await.expect("written");
    }
    node.stop().await.expect("a good end");
}

/// A disk that fails: whoever writes is told that the node is gone, and serving ends with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_says_why() {
    let disk = Disk::default();
    let owner = Owner { cluster: 7, member: 1 };
    let node = Node::over(disk.store(owner).expect("a store")).await;
    let mut client = node.client().await;
    client.put(put("a", "1")).await.expect("written");
    disk.fail_next_flush();
    let status = client.put(put("a", "2")).await.expect_err("not flushed");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: server stopped"));
    drop(client);
    assert!(matches!(node.stop().await, Err(MeshError::Disk { .. })));
}

#[tokio::test]
async fn an_open_address_must_be_asked_for() {
    let open = Clients { address: ([0, 0, 0, 0], 0).into(), ..Clients::loopback(0) };
    let refused = open.clone().bind().await.expect_err("reachable from elsewhere");
    assert!(matches!(refused, MeshError::InClear { .. }), "{refused}");
    Clients { in_clear: InClear::Anywhere, ..open }.bind().await.expect("asked for");
}

/// A balancer asks a member that was just started as soon as it takes connections: not before it can answer.
#[tokio::test]
async fn who_comes_before_it_is_served_is_refused() {
    let bound = Clients::loopback(0).bind().await.expect("a port");
    let (address, mut opened) = (bound.address(), bound.opened());
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "let in before it is served");
    assert!(!*opened.borrow());
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let node = Node::of(store, UpkeepConfig::default(), bound).await;
    opened.wait_for(|is_open| *is_open).await.expect("it says so");
    tokio::net::TcpStream::connect(address).await.expect("let in");
    node.stop().await.expect("it ended well");
}
