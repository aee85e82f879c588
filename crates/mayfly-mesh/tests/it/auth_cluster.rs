//! Users and roles in a cluster of three: whichever member is asked, and whatever changes while it is.

use crate::common::auth::{AuthOp, ask, by, enable, log_in, password};
use crate::common::memory::{Member, peer, seat, until};
use crate::common::served::channel;
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::cluster_client::ClusterClient;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::{MemberRemoveRequest, PutRequest, RangeRequest};
use mayfly_mesh::proto::meshpb::Caller;
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{Arrival, Clients, ConsensusConfig, Engine, EtcdError, Store, Surroundings, Tag, kv, modules, serve};
use mayfly_wire::MemoryNet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// A member that serves clients.
struct Served {
    member: Member,
    auth: AuthClient<Channel>,
    kv: KvClient<Channel>,
    address: SocketAddr,
}

async fn start(net: &MemoryNet, folder: &Path, place: u8) -> Served {
    let endpoint = net.endpoint(peer(place).id, peer(place).addr);
    let store = match place {
        1 => Store::open(folder, modules()),
        _ => {
            let owner = Member::join(&endpoint, &[peer(1)], &seat(place), Arrival::First).await;
            Store::join(folder, owner.expect("let in").expect("somebody leads"), modules())
        }
    };
    let config = ConsensusConfig { log_cut_every: 50, log_keep: 10, ..ConsensusConfig::default() };
    let member = Member::start(store.expect("a store"), endpoint, seat(place), config, Surroundings::default());
    let member = member.await.expect("started");
    let clients = Clients { token_life: Duration::from_secs(3), ..Clients::loopback(0) };
    let clients = clients.bind().await.expect("a port");
    let address = clients.address();
    drop(tokio::spawn(serve(member.clone(), clients, std::future::pending())));
    let channel = channel(address).await;
    Served { member, auth: AuthClient::new(channel.clone()), kv: KvClient::new(channel), address }
}

async fn three(net: &MemoryNet, folders: &[tempfile::TempDir; 3]) -> [Served; 3] {
    let a = start(net, folders[0].path(), 1).await;
    until("the founder leads", || a.member.leader() == Some(1)).await;
    let b = start(net, folders[1].path(), 2).await;
    let c = start(net, folders[2].path(), 3).await;
    let voters = |member: &Member| member.members().iter().filter(|member| member.is_voter).count();
    until("all have votes", || [&a, &b, &c].into_iter().all(|served| voters(&served.member) == 3)).await;
    [a, b, c]
}

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() }
}

fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

#[track_caller]
fn refused<T>(answer: Result<T, Status>, text: &str) {
    assert_eq!(answer.map(drop).expect_err(text).message(), text);
}

async fn all_equal(of: &[Served; 3]) {
    let hash = |served: &Served| served.member.store().hash(Tag::AUTH).expect("readable").expect("a module").1;
    until("all are equal", || of.iter().all(|served| hash(served) == hash(&of[0]))).await;
}

/// What is changed through one member holds at the others for whoever asks after that; a token made with one is good at all, at once.
#[tokio::test(flavor = "multi_thread")]
async fn members_agree_on_who_may_do_what() {
    let net = MemoryNet::new(1);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let mut served = three(&net, &folders).await;
    let (root, _) = enable(&mut served[1].auth).await;
    for round in 0..12 {
        let [here, there] = [round % 3, (round + 1 + round / 3) % 3];
        let token = log_in(&mut served[here].auth, "u1", &password("u1")).await.expect("a token");
        served[there].kv.put(by(Some(&token), put("a"))).await.expect("permitted");
        served[there].kv.range(by(Some(&token), get("a"))).await.expect("permitted");
        ask(&mut served[here].auth, Some(&root), &AuthOp::RevokeRole("u1".into(), "r1".into())).await.expect("done");
        refused(served[there].kv.range(by(Some(&token), get("a"))).await, "etcdserver: permission denied");
        let late = served[there].kv.put(by(Some(&token), put("a"))).await;
        refused(late, "etcdserver: permission denied");
        ask(&mut served[there].auth, Some(&root), &AuthOp::GrantRole("u1".into(), "r1".into())).await.expect("done");
        served[here].kv.range(by(Some(&token), get("a"))).await.expect("permitted");
        ask(&mut served[here].auth, Some(&root), &AuthOp::Password("u1".into())).await.expect("done");
        refused(served[there].kv.range(by(Some(&token), get("a"))).await, "etcdserver: invalid auth token");
        let mut cluster = ClusterClient::new(channel(served[there].address).await);
        let removal = by(None, MemberRemoveRequest { id: 1 });
        refused(cluster.member_remove(removal).await, "etcdserver: user name is empty");
    }
    all_equal(&served).await;
    for one in &served {
        one.member.close().await;
    }
}

/// A token that was made while a member was away is waited for there, and is not taken for a false one.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_known_yet_is_waited_for() {
    let net = MemoryNet::new(4);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let mut served = three(&net, &folders).await;
    enable(&mut served[0].auth).await;
    all_equal(&served).await;
    for other in [1, 2] {
        net.cut(peer(3).id, peer(other).id);
    }
    let token = log_in(&mut served[0].auth, "u1", &password("u1")).await.expect("a token");
    let (mut away, shown) = (served[2].kv.clone(), token.clone());
    let here = RangeRequest { serializable: true, ..get("a") };
    let read = tokio::spawn(async move { away.range(by(Some(&shown), here)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!read.is_finished(), "it has no answer yet");
    for other in [1, 2] {
        net.heal(peer(3).id, peer(other).id);
    }
    read.await.expect("no panic").expect("permitted");
    // One that nobody will ever make is no token after a while.
    refused(served[2].kv.put(by(Some("0.999999"), put("a"))).await, "etcdserver: invalid auth token");
    for one in &served {
        one.member.close().await;
    }
}

/// etcd#14571: members looked at their own caches of permissions when they applied an entry, and came apart. Here a request is let through by the member
/// that takes it, and the permission is taken away before it is applied.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_meanwhile_is_not_done() {
    let net = MemoryNet::new(2);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let mut served = three(&net, &folders).await;
    let (root, _) = enable(&mut served[0].auth).await;
    let caller = |auth_revision| Some(Caller { user: "u1".into(), auth_revision, is_member: false });
    let entry = |auth_revision, key: &str| kv::entry_by(caller(auth_revision), Request::Put(put(key)));
    let propose = async |member: &Member, entry| {
        let outcome = member.propose(entry).await.expect("in the order");
        kv::outcome(&outcome).expect("an outcome").map(drop)
    };
    // Users and roles are at revision 7; these entries are made, and wait.
    let waiting = [entry(7, "a-late-1"), entry(7, "a-late-2"), entry(7, "a-late-3")];
    for served in &served {
        assert_eq!(propose(&served.member, entry(7, "a")).await, Ok(()));
        assert_eq!(propose(&served.member, entry(7, "b")).await, Err(EtcdError::PermissionDenied));
        let anonymous = kv::entry(Request::Put(put("a")));
        assert_eq!(propose(&served.member, anonymous).await, Err(EtcdError::UserEmpty));
    }
    ask(&mut served[1].auth, Some(&root), &AuthOp::RevokeRole("u1".into(), "r1".into())).await.expect("done");
    for (served, entry) in served.iter().zip(waiting) {
        assert_eq!(propose(&served.member, entry).await, Err(EtcdError::AuthOldRevision));
    }
    assert_eq!(propose(&served[2].member, entry(8, "a-late")).await, Err(EtcdError::PermissionDenied));
    let range = RangeRequest { range_end: "b".into(), ..get("a-") };
    let found = served[2].kv.range(by(Some(&root), range)).await.expect("permitted").into_inner();
    assert_eq!(found.count, 0, "nothing was written");

    // The same with clients that go on writing through every member: whatever was acknowledged was permitted.
    ask(&mut served[0].auth, Some(&root), &AuthOp::GrantRole("u1".into(), "r1".into())).await.expect("done");
    let token = log_in(&mut served[0].auth, "u1", &password("u1")).await.expect("a token");
    let writers = served.iter().map(|served| {
        let (mut kv, token) = (served.kv.clone(), token.clone());
        tokio::spawn(async move {
            let mut newest = 0;
            loop {
                match kv.put(by(Some(&token), put("a-race"))).await {
                    Ok(done) => newest = done.into_inner().header.expect("a header").revision,
                    Err(status) if status.code() == Code::PermissionDenied => return newest,
                    Err(status) => assert_eq!(status.message(), "etcdserver: revision of auth store is old"),
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    ask(&mut served[1].auth, Some(&root), &AuthOp::RevokeRole("u1".into(), "r1".into())).await.expect("done");
    let seen = served[1].kv.range(by(Some(&root), get("a-race"))).await.expect("permitted").into_inner();
    let last = seen.kvs[0].mod_revision;
    for writer in writers {
        let newest = writer.await.expect("no panic");
        assert!((2..=last).contains(&newest), "acknowledged at {newest}, and nothing after {last} was permitted");
    }
    let seen = served[2].kv.range(by(Some(&root), get("a-race"))).await.expect("permitted").into_inner();
    assert_eq!(seen.kvs[0].mod_revision, last);
    all_equal(&served).await;
    for one in &served {
        one.member.close().await;
    }
}

/// A token that is used with one member only lives on at the others, too, also when the one that counts its time changes; one that nobody uses ends everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_and_ends_everywhere() {
    let net = MemoryNet::new(3);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let mut served = three(&net, &folders).await;
    let (root, kept) = enable(&mut served[0].auth).await;
    let idle = log_in(&mut served[2].auth, "u1", &password("u1")).await.expect("a token");
    for round in 0..50 {
        served[2].kv.range(by(Some(&kept), get("a"))).await.expect("it is used");
        if round == 10 {
            served[0].member.step_down(Duration::from_secs(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("another one leads", || served[1].member.leader().is_some_and(|leader| leader != 1)).await;
    for one in &mut served {
        one.kv.range(by(Some(&kept), get("a"))).await.expect("it was used");
        refused(one.kv.range(by(Some(&idle), get("a"))).await, "etcdserver: invalid auth token");
        refused(one.kv.range(by(Some(&root), get("a"))).await, "etcdserver: invalid auth token");
    }
    // Who comes after the log was cut is sent users, roles and tokens in a snapshot.
    for _ in 0..80 {
        served[0].kv.put(by(Some(&kept), put("a"))).await.expect("permitted");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut late = start(&net, folder.path(), 4).await;
    late.kv.range(by(Some(&kept), get("a"))).await.expect("it was used");
    refused(late.kv.put(put("a")).await, "etcdserver: user name is empty");
    all_equal(&served).await;
    for one in served.iter().chain([&late]) {
        one.member.close().await;
    }
}
