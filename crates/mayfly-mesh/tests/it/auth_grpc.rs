//! Users, roles and tokens over gRPC, as clients meet them.

use crate::common::auth::{AuthOp, ask, by, enable, log_in, password, permission};
use crate::common::served::{Node, channel};
use futures_util::stream;
use mayfly_mesh::proto::authpb::permission::Type;
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::cluster_client::ClusterClient;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::request_op::Request as Op;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{
    AuthRoleGrantPermissionRequest, AuthStatusRequest, AuthUserAddRequest, CompactionRequest, LeaseGrantRequest,
    LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, MemberListRequest,
    MemberRemoveRequest, MoveLeaderRequest, PutRequest, RangeRequest, RequestOp, StatusRequest, TxnRequest,
    WatchCreateRequest, WatchRequest, WatchResponse,
};
use std::net::SocketAddr;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

const DENIED: (Code, &str) = (Code::PermissionDenied, "etcdserver: permission denied");
const ANONYMOUS: (Code, &str) = (Code::InvalidArgument, "etcdserver: user name is empty");
const NO_TOKEN: (Code, &str) = (Code::Unauthenticated, "etcdserver: invalid auth token");
const WRONG: (Code, &str) = (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password");

struct All {
    auth: AuthClient<Channel>,
    kv: KvClient<Channel>,
    leases: LeaseClient<Channel>,
}

async fn all(address: SocketAddr) -> All {
    let channel = channel(address).await;
    let (auth, kv) = (AuthClient::new(channel.clone()), KvClient::new(channel.clone()));
    All { auth, kv, leases: LeaseClient::new(channel) }
}

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() }
}

fn get(key: &str, end: &str) -> RangeRequest {
    RangeRequest { key: key.into(), range_end: end.into(), ..RangeRequest::default() }
}

fn writes(request: Op) -> TxnRequest {
    TxnRequest { success: vec![RequestOp { request: Some(request) }], ..TxnRequest::default() }
}

#[track_caller]
fn refused<T>(answer: Result<T, Status>, (code, text): (Code, &str)) {
    match answer {
        Ok(_) => panic!("not refused with {text}"),
        Err(status) => assert_eq!((status.code(), status.message()), (code, text)),
    }
}

/// Keys, transactions down to the innermost, and reads that ask nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_those_of_ones_roles() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, mut kv, .. } = all(node.address).await;
    kv.put(put("z")).await.expect("nobody is asked yet");
    let (root, u1) = enable(&mut auth).await;
    let (root, u1) = (Some(&root[..]), Some(&u1[..]));
    for (token, key, want) in [
        (root, "z", None),
        (u1, "a1", None),
        (u1, "b", Some(DENIED)),
        (None, "a1", Some(ANONYMOUS)),
        (Some("no.1"), "a1", Some(NO_TOKEN)),
        (Some(""), "a1", Some(NO_TOKEN)),
    ] {
        let serializable = RangeRequest { serializable: true, ..get(key, "") };
        let nested = writes(Op::RequestTxn(writes(Op::RequestPut(put(key)))));
        let looks = TxnRequest {
            success: vec![RequestOp { request: Some(Op::RequestRange(get(key, ""))) }],
            ..TxnRequest::default()
        };
        let answers = [
            kv.put(by(token, put(key))).await.map(drop),
            kv.range(by(token, get(key, ""))).await.map(drop),
            kv.range(by(token, serializable)).await.map(drop),
            kv.txn(by(token, writes(Op::RequestPut(put(key))))).await.map(drop),
            kv.txn(by(token, nested)).await.map(drop),
            kv.txn(by(token, looks)).await.map(drop),
        ];
        for answer in answers {
            match want {
                None => answer.expect("permitted"),
                Some(want) => refused(answer, want),
            }
        }
    }
    // Who asks for nothing needs nothing, but shows no false token either; so in etcd.
    kv.txn(TxnRequest::default()).await.expect("nothing is asked");
    refused(kv.txn(by(Some("no.1"), TxnRequest::default())).await, NO_TOKEN);
    refused(kv.range(by(u1, get("a", "c"))).await, DENIED);
    refused(kv.range(by(u1, get("a", "\0"))).await, DENIED);
    kv.range(by(u1, get("a", "b"))).await.expect("permitted");
    refused(kv.range(by(u1, get("", ""))).await, (Code::InvalidArgument, "etcdserver: key is not provided"));
    let mut in_authorization = tonic::Request::new(put("a1"));
    in_authorization.metadata_mut().insert("authorization", u1.expect("a token").parse().expect("text"));
    kv.put(in_authorization).await.expect("permitted");
    let mut bearer = tonic::Request::new(put("a1"));
    bearer.metadata_mut().insert("authorization", format!("Bearer {}", u1.expect("a token")).parse().expect("text"));
    kv.put(bearer).await.expect("permitted");
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_for_whom_etcd_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, mut kv, mut leases } = all(node.address).await;
    let (root, u1) = enable(&mut auth).await;
    let (root, u1) = (Some(&root[..]), Some(&u1[..]));
    let (mut maintenance, mut cluster) =
        (MaintenanceClient::new(channel(node.address).await), ClusterClient::new(channel(node.address).await));
    // For everybody who is known.
    for (token, want) in [(None, Some(ANONYMOUS)), (Some("no.1"), Some(NO_TOKEN)), (u1, None), (root, None)] {
        let answers = [
            maintenance.status(by(token, StatusRequest {})).await.map(drop),
            cluster.member_list(by(token, MemberListRequest::default())).await.map(drop),
            leases.lease_grant(by(token, LeaseGrantRequest { ttl: 600, id: 0 })).await.map(drop),
            leases.lease_time_to_live(by(token, LeaseTimeToLiveRequest { id: 9, keys: false })).await.map(drop),
        ];
        for answer in answers {
            match want {
                None => answer.expect("permitted"),
                Some(want) => refused(answer, want),
            }
        }
    }
    // For administrators.
    for (token, want) in [(None, ANONYMOUS), (u1, DENIED), (Some("no.1"), NO_TOKEN)] {
        refused(kv.compact(by(token, CompactionRequest { revision: 1, physical: false })).await, want);
        refused(cluster.member_remove(by(token, MemberRemoveRequest { id: 1 })).await, want);
        refused(maintenance.move_leader(by(token, MoveLeaderRequest { target_id: 1 })).await, want);
        refused(auth.auth_status(by(token, AuthStatusRequest {})).await, want);
        for op in [
            AuthOp::Enable,
            AuthOp::Disable,
            AuthOp::UserAdd(String::new(), false),
            AuthOp::UserList,
            AuthOp::UserGet("root".into()),
            AuthOp::UserGet("nobody".into()),
            AuthOp::UserDelete("root".into()),
            AuthOp::Password("u1".into()),
            AuthOp::GrantRole("u1".into(), "root".into()),
            AuthOp::RevokeRole("u1".into(), "r1".into()),
            AuthOp::RoleAdd("r2".into()),
            AuthOp::RoleList,
            AuthOp::RoleGet("r2".into()),
            AuthOp::RoleDelete("r1".into()),
            AuthOp::Grant("r1".into(), permission(Type::Read, b"z", b"")),
            AuthOp::Revoke("r1".into(), permission(Type::Read, b"a", b"b")),
        ] {
            refused(ask(&mut auth, token, &op).await, want);
        }
    }
    // etcd takes who says no name for the user without one.
    let nameless = (Code::FailedPrecondition, "etcdserver: user name not found");
    refused(ask(&mut auth, None, &AuthOp::UserGet(String::new())).await, nameless);
    refused(ask(&mut auth, Some("no.1"), &AuthOp::UserGet(String::new())).await, NO_TOKEN);
    // What is one's own may be seen.
    assert_eq!(ask(&mut auth, u1, &AuthOp::UserGet("u1".into())).await.expect("permitted"), r#"["r1"]"#);
    ask(&mut auth, u1, &AuthOp::RoleGet("r1".into())).await.expect("permitted");
    maintenance.move_leader(by(root, MoveLeaderRequest { target_id: 1 })).await.expect("permitted");
    let status = auth.auth_status(by(root, AuthStatusRequest {})).await.expect("permitted").into_inner();
    assert_eq!((status.enabled, status.auth_revision), (true, 7));
    assert!(status.header.expect("a header").revision >= 1);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_codes_and_words_of_etcd() {
    use Code::{FailedPrecondition, InvalidArgument, Unknown};
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, .. } = all(node.address).await;
    let add = |name: &str| AuthOp::UserAdd(name.into(), false);
    let grant = |role: &str| AuthOp::GrantRole("root".into(), role.into());
    refused(log_in(&mut auth, "root", "x").await, (FailedPrecondition, "etcdserver: authentication is not enabled"));
    for (op, want) in [
        (AuthOp::Disable, None),
        (AuthOp::Enable, Some((FailedPrecondition, "etcdserver: root user does not exist"))),
        (add(""), Some((InvalidArgument, "etcdserver: user name is empty"))),
        (add("root"), None),
        (add("root"), Some((FailedPrecondition, "etcdserver: user name already exists"))),
        (AuthOp::Enable, Some((FailedPrecondition, "etcdserver: root user does not have root role"))),
        (AuthOp::GrantRole("u9".into(), "r9".into()), Some((FailedPrecondition, "etcdserver: user name not found"))),
        (grant("r9"), Some((FailedPrecondition, "etcdserver: role name not found"))),
        (grant("root"), None),
        (grant("root"), None),
        (AuthOp::RoleList, None),
        (AuthOp::RoleGet("root".into()), Some((FailedPrecondition, "etcdserver: role name not found"))),
        (AuthOp::RoleAdd(String::new()), Some((InvalidArgument, "etcdserver: role name is empty"))),
        (AuthOp::RoleAdd("r1".into()), None),
        (AuthOp::RoleAdd("r1".into()), Some((FailedPrecondition, "etcdserver: role name already exists"))),
        (
            AuthOp::RevokeRole("root".into(), "r1".into()),
            Some((FailedPrecondition, "etcdserver: role is not granted to the user")),
        ),
        (
            AuthOp::Revoke("r1".into(), permission(Type::Read, b"k", b"")),
            Some((FailedPrecondition, "etcdserver: permission is not granted to the role")),
        ),
        (
            AuthOp::Grant("r1".into(), permission(Type::Read, b"b", b"a")),
            Some((InvalidArgument, "etcdserver: invalid auth management")),
        ),
        (AuthOp::UserAdd("bare".into(), true), None),
        (AuthOp::Enable, None),
    ] {
        match (ask(&mut auth, None, &op).await, want) {
            (answer, None) => drop(answer.unwrap_or_else(|status| panic!("{op:?}: {status}"))),
            (answer, Some(want)) => refused(answer, want),
        }
    }
    for (name, word) in [("root", "wrong"), ("nobody", "x"), ("", ""), ("root", "")] {
        refused(log_in(&mut auth, name, word).await, WRONG);
    }
    let bare = "auth: authentication failed, password was given for no password user";
    refused(log_in(&mut auth, "bare", "").await, (Unknown, bare));
    let root = log_in(&mut auth, "root", &password("root")).await.expect("a token");
    for op in [
        AuthOp::UserDelete("root".into()),
        AuthOp::RoleDelete("root".into()),
        AuthOp::RevokeRole("root".into(), "root".into()),
    ] {
        refused(ask(&mut auth, Some(&root), &op).await, (InvalidArgument, "etcdserver: invalid auth management"));
    }
    let nothing = AuthRoleGrantPermissionRequest { name: "r1".into(), perm: None };
    let answer = auth.role_grant_permission(by(Some(&root), nothing)).await;
    refused(answer, (InvalidArgument, "etcdserver: permission not given"));
    node.stop().await.expect("a good end");
}

/// A token ends with its user, its password and with auth, not with its roles; and it is nothing where callers are not looked at.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_what_they_stand_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, mut kv, .. } = all(node.address).await;
    let (root, first) = enable(&mut auth).await;
    let root = Some(&root[..]);
    let second = log_in(&mut auth, "u1", &password("u1")).await.expect("a token");
    assert_ne!(first, second);
    // The index that every token has in clear is no help, nor is a secret with another index.
    let (secret, index) = first.split_once('.').expect("a secret and an index");
    let other = second.split_once('.').expect("a secret and an index").1;
    for forged in [format!("{}.{index}", "0".repeat(secret.len())), format!("{secret}.{other}"), secret.into()] {
        refused(kv.put(by(Some(&forged), put("a"))).await, NO_TOKEN);
    }
    ask(&mut auth, root, &AuthOp::RevokeRole("u1".into(), "r1".into())).await.expect("done");
    refused(kv.put(by(Some(&first), put("a"))).await, DENIED);
    ask(&mut auth, root, &AuthOp::GrantRole("u1".into(), "r1".into())).await.expect("done");
    kv.put(by(Some(&first), put("a"))).await.expect("permitted again");
    ask(&mut auth, root, &AuthOp::Password("u1".into())).await.expect("done");
    for token in [&first, &second] {
        refused(kv.put(by(Some(token), put("a"))).await, NO_TOKEN);
    }
    let third = log_in(&mut auth, "u1", &password("u1")).await.expect("a token");
    kv.put(by(Some(&third), put("a"))).await.expect("permitted");
    ask(&mut auth, root, &AuthOp::UserDelete("u1".into())).await.expect("done");
    refused(kv.put(by(Some(&third), put("a"))).await, NO_TOKEN);
    ask(&mut auth, root, &AuthOp::Disable).await.expect("done");
    kv.put(by(Some("no.99999"), put("z"))).await.expect("nobody is asked");
    kv.put(put("z")).await.expect("nobody is asked");
    ask(&mut auth, None, &AuthOp::Enable).await.expect("done");
    refused(kv.put(by(root, put("z"))).await, NO_TOKEN);
    node.stop().await.expect("a good end");
}

/// Its time begins anew whenever it is used, and only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_as_long_as_it_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start_with(folder.path(), Duration::from_secs(2)).await;
    let All { mut auth, mut kv, .. } = all(node.address).await;
    let (_, kept) = enable(&mut auth).await;
    let idle = log_in(&mut auth, "u1", &password("u1")).await.expect("a token");
    let forged = format!("{}{}", "f".repeat(40), &idle[40..]);
    for _ in 0..40 {
        kv.range(by(Some(&kept), get("a", ""))).await.expect("it is used");
        refused(kv.range(by(Some(&forged), get("a", ""))).await, NO_TOKEN);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    refused(kv.range(by(Some(&idle), get("a", ""))).await, NO_TOKEN);
    kv.range(by(Some(&kept), get("a", ""))).await.expect("it is used");
    node.stop().await.expect("a good end");
}

/// The keys of a lease are touched by whoever ends, renews or shows it.
#[tokio::test(flavor = "multi_thread")]
async fn leases_are_as_their_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, mut kv, mut leases } = all(node.address).await;
    let (root, u1) = enable(&mut auth).await;
    let (root, u1) = (Some(&root[..]), Some(&u1[..]));
    for id in [7, 8] {
        leases.lease_grant(by(u1, LeaseGrantRequest { ttl: 600, id })).await.expect("granted");
    }
    kv.put(by(u1, PutRequest { lease: 7, ..put("a1") })).await.expect("permitted");
    kv.put(by(root, PutRequest { lease: 8, ..put("z") })).await.expect("permitted");
    let renew = |client: &LeaseClient<Channel>, token: Option<&str>, id: i64| {
        let (mut client, request) = (client.clone(), by(token, stream::iter([LeaseKeepAliveRequest { id }])));
        async move {
            let mut answers = client.lease_keep_alive(request).await?.into_inner();
            answers.message().await.map(|answer| answer.expect("an answer").ttl)
        }
    };
    let show = |id| LeaseTimeToLiveRequest { id, keys: true };
    assert_eq!(renew(&leases, u1, 7).await.expect("permitted"), 600);
    refused(renew(&leases, u1, 8).await, DENIED);
    refused(renew(&leases, None, 9).await, ANONYMOUS);
    assert_eq!(renew(&leases, u1, 9).await.expect("there is none"), 0);
    assert_eq!(leases.lease_time_to_live(by(u1, show(7))).await.expect("permitted").into_inner().keys, [b"a1"]);
    refused(leases.lease_time_to_live(by(u1, show(8))).await, DENIED);
    refused(leases.lease_leases(by(u1, LeaseLeasesRequest {})).await, DENIED);
    leases.lease_leases(by(root, LeaseLeasesRequest {})).await.expect("permitted");
    refused(leases.lease_revoke(by(u1, LeaseRevokeRequest { id: 8 })).await, DENIED);
    // A key on a foreign lease would be deleted with it, and would be its hostage.
    refused(kv.put(by(u1, PutRequest { lease: 8, ..put("a2") })).await, DENIED);
    let inner = writes(Op::RequestTxn(writes(Op::RequestPut(PutRequest { lease: 8, ..put("a2") }))));
    refused(kv.txn(by(u1, inner)).await, DENIED);
    let unknown = leases.lease_revoke(by(u1, LeaseRevokeRequest { id: 9 })).await;
    refused(unknown, (Code::NotFound, "etcdserver: requested lease not found"));
    leases.lease_revoke(by(u1, LeaseRevokeRequest { id: 7 })).await.expect("permitted");
    leases.lease_leases(by(u1, LeaseLeasesRequest {})).await.expect_err("the other one is there");
    node.stop().await.expect("a good end");
}

async fn watch(address: SocketAddr, token: Option<&str>, key: &str, end: &str) -> WatchResponse {
    let create = WatchCreateRequest { key: key.into(), range_end: end.into(), ..WatchCreateRequest::default() };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let asked = stream::iter([request]);
    let answers = WatchClient::new(channel(address).await).watch(by(token, asked)).await.expect("a stream");
    answers.into_inner().message().await.expect("an answer").expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_what_they_may_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, .. } = all(node.address).await;
    let (root, u1) = enable(&mut auth).await;
    let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    for (token, key, end, reason) in [
        (Some(&u1), "a", "b", ""),
        (Some(&u1), "a", "", ""),
        (Some(&u1), "a", "c", denied),
        (Some(&u1), "a", "\0", denied),
        (Some(&u1), "", "\0", denied),
        (Some(&root), "", "\0", ""),
        (None, "a", "", "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
        (Some(&"no.1".to_string()), "a", "", "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"),
    ] {
        let answer = watch(node.address, token.map(|token| &token[..]), key, end).await;
        assert_eq!(answer.cancel_reason, reason, "{key} {end:?}");
        let id = if reason.is_empty() { 0 } else { -1 };
        assert_eq!((answer.watch_id, answer.created, answer.canceled), (id, true, !reason.is_empty()));
    }
    node.stop().await.expect("a good end");
}

/// Users, roles and tokens are there again; what is in the file is no password and no token.
#[tokio::test(flavor = "multi_thread")]
async fn all_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let All { mut auth, mut kv, .. } = all(node.address).await;
    let (root, u1) = enable(&mut auth).await;
    let options = AuthUserAddRequest {
        name: "u2".into(),
        password: "a word that nobody else knows".into(),
        hashed_password: "a hash of the client's".into(),
        ..AuthUserAddRequest::default()
    };
    auth.user_add(by(Some(&root), options)).await.expect("added");
    kv.put(by(Some(&u1), put("a"))).await.expect("permitted");
    drop((auth, kv));
    node.stop().await.expect("a good end");
    let bytes = std::fs::read(folder.path().join("mesh.redb")).expect("a file");
    for secret in ["a word that nobody else knows", "a hash of the client's", &u1[..40], &password("root")] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} lies on the disk");
    }
    let node = Node::start(folder.path()).await;
    let All { mut auth, mut kv, .. } = all(node.address).await;
    refused(kv.put(put("a")).await, ANONYMOUS);
    kv.put(by(Some(&u1), put("a"))).await.expect("permitted");
    refused(kv.put(by(Some(&u1), put("b"))).await, DENIED);
    log_in(&mut auth, "u2", "a word that nobody else knows").await.expect("a token");
    node.stop().await.expect("a good end");
}
