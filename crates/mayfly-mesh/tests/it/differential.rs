//! The same requests to Debian's etcd and to us: the same answers. Needs `etcd` and `etcdctl` (`apt-get install etcd-server etcd-client`), so these
//! are run by name: `cargo test -p mayfly-mesh --test differential -- --ignored`; `MAYFLY_OPS` says how many requests.

use crate::common::auth::{self, AuthOp};
use crate::common::ops::{LEASES, Op, Reply};
use crate::common::served::{Client, Node, ask, ask_by, channel, client};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::response_op::Response;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, HashKvRequest, LeaseGrantRequest, LeaseLeasesRequest, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, PutRequest, RangeRequest, ResponseHeader, SnapshotRequest, StatusRequest, TxnResponse,
    WatchCancelRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};
use mayfly_mesh::proto::v3electionpb::election_client::ElectionClient;
use mayfly_mesh::proto::v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest};
use mayfly_mesh::proto::v3lockpb::lock_client::LockClient;
use mayfly_mesh::proto::v3lockpb::{LockRequest, UnlockRequest};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// Killed when dropped.
struct Etcd(Child);

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn etcd(folder: &std::path::Path) -> (Etcd, SocketAddr) {
    let [clients, peers] = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(folder).args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}"), "--log-level", "panic"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("etcd: apt-get install etcd-server");
    (Etcd(child), clients.trim_start_matches("http://").parse().expect("an address"))
}

/// Only revisions are comparable in a header.
fn plain(header: &mut Option<ResponseHeader>) {
    if let Some(header) = header {
        *header = ResponseHeader { revision: header.revision, ..ResponseHeader::default() };
    }
}

fn plain_txn(response: &mut TxnResponse) {
    plain(&mut response.header);
    for op in &mut response.responses {
        match &mut op.response {
            Some(Response::ResponseTxn(response)) => plain_txn(response),
            Some(Response::ResponseRange(response)) => plain(&mut response.header),
            Some(Response::ResponsePut(response)) => plain(&mut response.header),
            Some(Response::ResponseDeleteRange(response)) => plain(&mut response.header),
            None => {}
        }
    }
}

fn comparable(reply: Result<Reply, tonic::Status>) -> Result<Reply, (tonic::Code, String)> {
    let mut reply = reply.map_err(|status| (status.code(), status.message().to_string()))?;
    match &mut reply {
        Reply::Range(response) => plain(&mut response.header),
        Reply::Put(response) => plain(&mut response.header),
        Reply::Delete(response) => plain(&mut response.header),
        Reply::Compact(response) => plain(&mut response.header),
        Reply::Grant(response) => plain(&mut response.header),
        Reply::Revoke(response) => plain(&mut response.header),
        Reply::Txn(response) => plain_txn(response),
    }
    Ok(reply)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn answers_are_those_of_etcd() {
    let ops: u64 = std::env::var("MAYFLY_OPS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let seed: u64 = std::env::var("MAYFLY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    let (mut theirs, mut ours) = (client(address).await, node.client_of_all().await);
    let mut rng = Rng::new(seed);
    let (mut revision, mut refused) = (1, 0);
    for i in 0..ops {
        let op = Op::random(&mut rng, revision);
        if panics_in_etcd(&op) {
            continue;
        }
        let want = comparable(ask(&mut theirs, &op).await);
        let got = comparable(ask(&mut ours, &op).await);
        assert_eq!(got, want, "request {i} of seed {seed}: ours, then etcd's answer to {op:#?}");
        refused += u64::from(want.is_err());
        if i % 20 == 0 {
            assert_eq!(leases(&mut ours).await, leases(&mut theirs).await, "leases after request {i} of seed {seed}");
        }
        revision = match want {
            Ok(Reply::Put(put)) => put.header.map_or(revision, |header| header.revision),
            Ok(Reply::Range(range)) => range.header.map_or(revision, |header| header.revision),
            Ok(Reply::Txn(txn)) => txn.header.map_or(revision, |header| header.revision),
            _ => revision,
        };
    }
    println!("seed {seed}: {ops} requests, {refused} refused alike, revision {revision}");
    node.stop().await.expect("a good end");
}

/// What there is to know of leases; etcd gives them and their keys in the order of a hash map.
async fn leases(client: &mut Client) -> (Vec<i64>, Vec<LeaseTimeToLiveResponse>) {
    let all = client.leases.lease_leases(LeaseLeasesRequest {}).await.expect("a list").into_inner();
    let mut ids: Vec<i64> = all.leases.iter().map(|lease| lease.id).collect();
    ids.sort_unstable();
    let mut times = Vec::new();
    for id in LEASES.into_iter().chain([0, 1]) {
        let request = LeaseTimeToLiveRequest { id, keys: true };
        let mut time = client.leases.lease_time_to_live(request).await.expect("a time").into_inner();
        time.keys.sort();
        plain(&mut time.header);
        assert!(time.granted_ttl == 0 || (time.granted_ttl - 60..=time.granted_ttl).contains(&time.ttl), "{time:?}");
        times.push(LeaseTimeToLiveResponse { ttl: time.ttl.min(0), ..time });
    }
    (ids, times)
}

/// etcd ends with a panic when a transaction keeps the value of a key that it has deleted itself; we refuse.
fn panics_in_etcd(op: &Op) -> bool {
    use mayfly_mesh::proto::etcdserverpb::request_op::Request;
    use mayfly_mesh::proto::etcdserverpb::{RequestOp, TxnRequest};
    fn any(txn: &TxnRequest, is: &dyn Fn(&Request) -> bool) -> bool {
        let within = |op: &RequestOp| match &op.request {
            Some(Request::RequestTxn(txn)) => any(txn, is),
            Some(request) => is(request),
            None => false,
        };
        txn.success.iter().chain(&txn.failure).any(within)
    }
    let Op::Txn(txn) = op else { return false };
    any(txn, &|request| matches!(request, Request::RequestPut(put) if put.ignore_value || put.ignore_lease))
        && any(txn, &|request| matches!(request, Request::RequestDeleteRange(delete) if delete.range_end == [0]))
}

/// What the watchers of one stream were told, by their ids: events, and how they ended.
type Told = std::collections::BTreeMap<i64, Vec<String>>;

struct Watchers {
    asks: tokio::sync::mpsc::Sender<WatchRequest>,
    told: std::sync::Arc<std::sync::Mutex<Told>>,
}

impl Watchers {
    async fn open(address: SocketAddr) -> Self {
        let (asks, mut asked) = tokio::sync::mpsc::channel(16);
        let requests = futures_util::stream::poll_fn(move |cx| asked.poll_recv(cx));
        let mut client = WatchClient::new(channel(address).await);
        let told = std::sync::Arc::new(std::sync::Mutex::new(Told::new()));
        let log = told.clone();
        tokio::spawn(async move {
            // etcd says nothing, not even that it hears, before it is asked something.
            let mut answers = client.watch(requests).await.expect("a stream").into_inner();
            while let Ok(Some(answer)) = answers.message().await {
                let mut log = log.lock().expect("no panic");
                let of_one = log.entry(answer.watch_id).or_default();
                of_one.extend(answer.events.iter().map(|event| format!("{event:?}")));
                if answer.created || answer.canceled {
                    let WatchResponse { created, canceled, compact_revision, cancel_reason, .. } = answer;
                    of_one.push(format!("{created} {canceled} {compact_revision} {cancel_reason}"));
                }
            }
        });
        Self { asks, told }
    }

    /// Asks, and gives it time to be told what is there: etcd looks after those who are behind every 100 ms.
    async fn ask(&self, request: RequestUnion) {
        self.asks.send(WatchRequest { request_union: Some(request) }).await.expect("taken");
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
}

fn random_watch(rng: &mut Rng, revision: i64) -> RequestUnion {
    if rng.below(5) == 0 {
        return RequestUnion::CancelRequest(WatchCancelRequest { watch_id: rng.below(12) as i64 });
    }
    let (key, range_end) =
        [("a", ""), ("b", ""), ("a", "c"), ("", "\0"), ("b", "\0"), ("b", "a")][rng.below(6) as usize];
    RequestUnion::CreateRequest(WatchCreateRequest {
        key: key.into(),
        range_end: range_end.into(),
        start_revision: [0, 0, rng.below(revision as u64 + 4) as i64][rng.below(3) as usize],
        filters: [vec![], vec![], vec![0], vec![1]][rng.below(4) as usize].clone(),
        prev_kv: rng.below(2) == 0,
        watch_id: [0, 0, 0, 1 + rng.below(9) as i64][rng.below(4) as usize],
        ..WatchCreateRequest::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn watchers_are_told_what_etcd_tells() {
    let seed: u64 = std::env::var("MAYFLY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    let (mut theirs, mut ours) = (client(address).await, node.client_of_all().await);
    let (their_watchers, our_watchers) = (Watchers::open(address).await, Watchers::open(node.address).await);
    let mut rng = Rng::new(seed);
    let mut revision = 1;
    for i in 0..600 {
        let op = Op::random(&mut rng, revision);
        if panics_in_etcd(&op) {
            continue;
        }
        if matches!(op, Op::Compact(_)) {
            // Whoever is behind when history goes is told so, at times that differ.
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        let want = comparable(ask(&mut theirs, &op).await);
        assert_eq!(comparable(ask(&mut ours, &op).await), want, "request {i} of seed {seed}");
        if let Ok(Reply::Put(put)) = want {
            revision = put.header.map_or(revision, |header| header.revision);
        }
        if i % 20 == 10 {
            let request = random_watch(&mut rng, revision);
            tokio::join!(their_watchers.ask(request.clone()), our_watchers.ask(request));
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let [want, got] = [&their_watchers, &our_watchers].map(|watchers| watchers.told.lock().expect("no panic").clone());
    let events: usize = want.values().map(Vec::len).sum();
    for (id, told) in &want {
        assert_eq!(got.get(id), Some(told), "watcher {id} of seed {seed}: ours, then etcd's");
    }
    assert_eq!(got.len(), want.len());
    println!("seed {seed}: {} watchers, {events} events and answers", want.len());
    node.stop().await.expect("a good end");
}

fn revision(header: Option<&ResponseHeader>) -> Option<i64> {
    header.map(|header| header.revision)
}

fn refused(status: &tonic::Status) -> String {
    format!("{:?} {}", status.code(), status.message())
}

/// What Maintenance says, but for hashes, sizes and member ids, which are one's own. etcd 3.4 has no headers at alarms, where 3.5 and we have some.
async fn maintained(address: SocketAddr) -> Vec<String> {
    let channel = channel(address).await;
    let mut client = MaintenanceClient::new(channel.clone()).max_decoding_message_size(64 << 20);
    let mut kv = mayfly_mesh::proto::etcdserverpb::kv_client::KvClient::new(channel.clone());
    let mut told = Vec::new();
    for i in 0..10 {
        kv.put(PutRequest { key: "a".into(), value: vec![i], ..PutRequest::default() }).await.expect("written");
    }
    let compacted = kv.compact(CompactionRequest { revision: 5, physical: true }).await.expect("compacted");
    told.push(format!("{:?}", revision(compacted.into_inner().header.as_ref())));
    let mut hashes = Vec::new();
    for asked in [0, 3, 6, 8, 11, 12] {
        told.push(match client.hash_kv(HashKvRequest { revision: asked }).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                hashes.push(answer.hash);
                format!("{:?} {}", revision(answer.header.as_ref()), answer.compact_revision)
            }
            Err(status) => refused(&status),
        });
    }
    told.push(format!(
        "{:?}",
        hashes.iter().map(|hash| hashes.iter().position(|other| other == hash)).collect::<Vec<_>>()
    ));
    let alarms = [
        (0, 0, 0),
        (2, 0, 0),
        (1, 77, 1),
        (1, 77, 1),
        (1, 0, 1),
        (0, 5, 1),
        (0, 0, 2),
        (2, 1, 1),
        (2, 77, 1),
        (2, 77, 1),
        (0, 0, 0),
        (2, 0, 1),
        (1, 7, 2),
        (0, 0, 0),
        (2, 7, 2),
    ];
    for (action, member_id, alarm) in alarms {
        let mut up =
            client.alarm(AlarmRequest { action, member_id, alarm }).await.expect("answered").into_inner().alarms;
        up.sort_by_key(|alarm| (alarm.alarm, alarm.member_id)); // etcd has a hash map
        let status = client.status(StatusRequest {}).await.expect("a status").into_inner();
        let mut errors = status.errors;
        errors.sort();
        let is_corrupt = errors.iter().any(|error| error.contains("CORRUPT"));
        told.push(format!("{action} {member_id} {alarm}: {up:?} {errors:?}"));
        // CORRUPT stops everybody in etcd, and here the member that it names.
        if !is_corrupt {
            let put = kv.put(PutRequest { key: "b".into(), ..PutRequest::default() }).await;
            told.push(put.map_or_else(|status| refused(&status), |_| "written".into()));
        }
    }
    let mut stream = client.snapshot(SnapshotRequest {}).await.expect("a stream").into_inner();
    let mut bytes = 0;
    while let Some(part) = stream.message().await.expect("a message") {
        assert!(part.header.is_none());
        bytes += part.blob.len();
    }
    told.push(format!("{}", bytes % 512));
    told
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn maintenance_is_that_of_etcd() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    let (want, got) = (maintained(address).await, maintained(node.address).await);
    assert_eq!(got, want);
    node.stop().await.expect("a good end");
}

struct Contest {
    kv: mayfly_mesh::proto::etcdserverpb::kv_client::KvClient<tonic::transport::Channel>,
    locks: LockClient<tonic::transport::Channel>,
    elections: ElectionClient<tonic::transport::Channel>,
}

impl Contest {
    async fn open(address: SocketAddr) -> Self {
        let channel = channel(address).await;
        let mut leases = mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient::new(channel.clone());
        for id in 1..=3 {
            leases.lease_grant(LeaseGrantRequest { id, ttl: 600 }).await.expect("granted");
        }
        let kv = mayfly_mesh::proto::etcdserverpb::kv_client::KvClient::new(channel.clone());
        Self { kv, locks: LockClient::new(channel.clone()), elections: ElectionClient::new(channel) }
    }

    /// A random call, given up if it has to wait; and the keys that there are then.
    async fn step(&mut self, rng: &mut Rng) -> String {
        let (lease, name) = (1 + rng.below(4) as i64, ["n", "m", "n/m", ""][rng.below(4) as usize]); // there is no lease 4
        let key = format!("{name}/{lease}").into_bytes();
        let value = rng.below(3).to_string().into_bytes();
        let (name, rev) = (name.as_bytes().to_vec(), 2 + rng.below(40) as i64);
        let made = {
            let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
            let found = self.kv.range(range).await.expect("read").into_inner();
            found.kvs.first().map_or(rev, |kv| kv.create_revision)
        };
        let leader = Some(LeaderKey {
            name: name.clone(),
            key: key.clone(),
            rev: if rng.below(3) == 0 { rev } else { made },
            lease,
        });
        let leader = leader.filter(|_| rng.below(12) > 0);
        let call = async {
            match rng.below(7) {
                0 => self.locks.lock(LockRequest { name, lease }).await.map(|told| {
                    format!(
                        "{told:?}",
                        told = {
                            let told = told.into_inner();
                            (revision(told.header.as_ref()), told.key)
                        }
                    )
                }),
                1 => self
                    .locks
                    .unlock(UnlockRequest { key })
                    .await
                    .map(|told| format!("{:?}", revision(told.into_inner().header.as_ref()))),
                2 => self.elections.campaign(CampaignRequest { name, lease, value }).await.map(|told| {
                    let told = told.into_inner();
                    format!("{:?} {:?}", revision(told.header.as_ref()), told.leader)
                }),
                3 => self
                    .elections
                    .proclaim(ProclaimRequest { leader, value })
                    .await
                    .map(|told| format!("{:?}", revision(told.into_inner().header.as_ref()))),
                4 => self
                    .elections
                    .resign(ResignRequest { leader })
                    .await
                    .map(|told| format!("{:?}", revision(told.into_inner().header.as_ref()))),
                5 => self.elections.leader(LeaderRequest { name }).await.map(|told| {
                    let told = told.into_inner();
                    format!("{:?} {:?}", revision(told.header.as_ref()), told.kv)
                }),
                _ => {
                    let put = PutRequest { key, value, ..PutRequest::default() }; // a stranger's
                    self.kv.put(put).await.map(|told| format!("{:?}", revision(told.into_inner().header.as_ref())))
                }
            }
        };
        let told = match tokio::time::timeout(std::time::Duration::from_millis(250), call).await {
            Ok(told) => told.unwrap_or_else(|status| refused(&status)),
            Err(_) => {
                tokio::time::sleep(std::time::Duration::from_millis(150)).await; // it is taken out
                "waits".into()
            }
        };
        let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
        let all = self.kv.range(all).await.expect("read").into_inner();
        format!("{told} at {:?}: {:?}", revision(all.header.as_ref()), all.kvs)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn locks_and_elections_are_those_of_etcd() {
    let seed: u64 = std::env::var("MAYFLY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    let (mut theirs, mut ours) = (Contest::open(address).await, Contest::open(node.address).await);
    let (mut rng, mut waited) = (Rng::new(seed), 0);
    for i in 0..400 {
        let step = rng.next_u64();
        let (mut one, mut other) = (Rng::new(step), Rng::new(step));
        let (want, got) = tokio::join!(theirs.step(&mut one), ours.step(&mut other));
        assert_eq!(got, want, "step {i} of seed {seed}: ours, then etcd's");
        waited += u64::from(want.starts_with("waits"));
    }
    println!("seed {seed}: 400 calls, {waited} of them had to wait");
    node.stop().await.expect("a good end");
}

/// Who is logged in with one of the two servers: user → token.
type Tokens = std::collections::BTreeMap<String, String>;

/// One of the two servers, with those who are logged in there.
struct Side {
    auth: AuthClient<tonic::transport::Channel>,
    client: Client,
    tokens: Tokens,
}

impl Side {
    async fn new(address: SocketAddr) -> Self {
        let auth = AuthClient::new(channel(address).await);
        Self { auth, client: client(address).await, tokens: Tokens::new() }
    }

    async fn log_in(&mut self, user: &str, password: &str) -> Result<(), (tonic::Code, String)> {
        let answer = auth::log_in(&mut self.auth, user, password).await;
        let token = answer.map_err(|status| (status.code(), status.message().to_string()))?;
        self.tokens.insert(user.into(), token);
        Ok(())
    }

    async fn change(&mut self, user: &str, op: &AuthOp) -> Result<String, (tonic::Code, String)> {
        let token = self.tokens.get(user).map(String::as_str);
        let answer = auth::ask(&mut self.auth, token, op).await;
        answer.map_err(|status| (status.code(), status.message().to_string()))
    }

    async fn ask(&mut self, user: &str, op: &Op) -> Result<Reply, (tonic::Code, String)> {
        let token = self.tokens.get(user).map(String::as_str);
        comparable(ask_by(&mut self.client, token, op).await)
    }
}

/// Does etcd 3.4 look at all of it, as later ones do? It does not at transactions within others, and leases and `prev_kv` of puts in transactions.
/// And whether a range that ends before it begins is permitted depends on the shape of a tree there.
fn is_looked_at(op: &Op) -> bool {
    use mayfly_mesh::proto::etcdserverpb::request_op::Request;
    let is_range = |key: &[u8], end: &[u8]| end.is_empty() || end == [0] || key < end;
    let txn = match op {
        Op::Range(range) => return is_range(&range.key, &range.range_end),
        Op::Delete(delete) => return is_range(&delete.key, &delete.range_end),
        Op::Txn(txn) => txn,
        _ => return true,
    };
    let mut ops = txn.success.iter().chain(&txn.failure);
    let is_looked_at = ops.all(|op| match &op.request {
        Some(Request::RequestTxn(_)) => false,
        Some(Request::RequestPut(put)) => put.lease == 0 && !put.prev_kv,
        Some(Request::RequestRange(range)) => is_range(&range.key, &range.range_end),
        Some(Request::RequestDeleteRange(delete)) => is_range(&delete.key, &delete.range_end),
        None => true,
    });
    is_looked_at && txn.compare.iter().all(|compare| is_range(&compare.key, &compare.range_end))
}

/// Random users change users, roles and permissions, and ask for keys and leases.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn users_and_permissions_are_those_of_etcd() {
    let ops: u64 = std::env::var("MAYFLY_OPS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let seed: u64 = std::env::var("MAYFLY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    let (mut theirs, mut ours) = (Side::new(address).await, Side::new(node.address).await);
    let mut rng = Rng::new(seed);
    let (mut enabled, mut refused, mut denied, mut changes) = (false, 0, 0, 0);
    for i in 0..ops {
        // Root more often than others, so that much is changed; "" is nobody.
        let user = ["root", "root", "u1", "u2", "u3", ""][rng.below(6) as usize];
        let what = format!("request {i} of seed {seed} by {user:?}: ours, then etcd's answer");
        match rng.below(10) {
            0 if enabled => {
                let password = if rng.below(4) == 0 { "another".into() } else { auth::password(user) };
                let (want, got) = (theirs.log_in(user, &password).await, ours.log_in(user, &password).await);
                assert_eq!(got, want, "{what} to a log-in");
            }
            1..4 => {
                let op = AuthOp::random(&mut rng);
                let (want, got) = (theirs.change(user, &op).await, ours.change(user, &op).await);
                assert_eq!(got, want, "{what} to {op:?}");
                changes += u64::from(want.is_ok());
                enabled = match (&op, &want) {
                    (AuthOp::Enable, Ok(_)) => true,
                    (AuthOp::Disable, Ok(_)) => false,
                    _ => enabled,
                };
                if !enabled {
                    // etcd 3.4 refuses tokens that are none also when nobody is asked for one.
                    theirs.tokens.clear();
                    ours.tokens.clear();
                }
            }
            _ => {
                let op = Op::random(&mut rng, 10);
                let by_user = matches!(op, Op::Grant(_) | Op::Revoke(_)) && user.is_empty();
                let by_root = matches!(op, Op::Compact(_)) && user != "root";
                if panics_in_etcd(&op) || (enabled && (!is_looked_at(&op) || by_user || by_root)) {
                    continue;
                }
                if enabled && !user.is_empty() && !ours.tokens.contains_key(user) {
                    continue; // nobody asks often enough
                }
                let (want, got) = (theirs.ask(user, &op).await, ours.ask(user, &op).await);
                assert_eq!(got, want, "{what} to {op:#?}");
                refused += u64::from(want.is_err());
                let is_denied = |(code, _): &(tonic::Code, String)| *code == tonic::Code::PermissionDenied;
                denied += u64::from(want.is_err_and(|error| is_denied(&error)));
            }
        }
        if i % 50 == 49 {
            for op in [AuthOp::UserList, AuthOp::RoleList] {
                let (want, got) = (theirs.change("root", &op).await, ours.change("root", &op).await);
                assert_eq!(got, want, "{what} to {op:?}");
            }
        }
    }
    println!(
        "seed {seed}: {ops} requests, {changes} changes, {refused} of keys refused alike, {denied} of them denied"
    );
    node.stop().await.expect("a good end");
}

/// Where etcd lets through what it should not: a watch of all keys from one on is looked at as if it were of that key alone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn an_open_watch_is_etcds_hole_and_not_ours() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    for (address, is_hole) in [(address, true), (node.address, false)] {
        let mut side = Side::new(address).await;
        let (_, u1) = auth::enable(&mut side.auth).await;
        let create = WatchCreateRequest { key: "a".into(), range_end: "\0".into(), ..WatchCreateRequest::default() };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let asked = futures_util::stream::iter([request]);
        let mut answers = WatchClient::new(channel(address).await);
        let mut answers = answers.watch(auth::by(Some(&u1), asked)).await.expect("a stream").into_inner();
        let answer = answers.message().await.expect("an answer").expect("an answer");
        assert_eq!(answer.canceled, !is_hole, "{answer:?}");
    }
    node.stop().await.expect("a good end");
}

/// Runs `etcdctl` against us; gives what it printed.
fn etcdctl(address: SocketAddr, args: &[&str], input: &str) -> (bool, String) {
    use std::io::Write;
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", &address.to_string()]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("etcdctl: apt-get install etcd-client");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// `etcdctl watch` goes on until it is killed; gives what it printed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl"]
async fn etcdctl_watches() {
    use std::io::Read;
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let address = node.address.to_string();
    let put = |key: &'static str, value: &'static str| {
        let address = node.address;
        async move {
            tokio::task::spawn_blocking(move || etcdctl(address, &["put", key, value], "")).await.expect("no panic")
        }
    };
    put("a/1", "one").await;
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args([
        "--endpoints",
        &address,
        "watch",
        "a/",
        "--prefix",
        "--rev",
        "2",
        "--prev-kv",
    ]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("etcdctl: apt-get install etcd-client");
    put("a/1", "two").await;
    put("b", "three").await;
    put("a/2", "four").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    child.kill().expect("it runs");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    let _ = child.wait();
    let told = ["PUT", "a/1", "one", "PUT", "a/1", "one", "a/1", "two", "PUT", "a/2", "four"];
    assert_eq!(text.lines().collect::<Vec<_>>(), told);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl"]
async fn etcdctl_works_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let address = node.address;
    let run = move |args: &'static [&str], input: &'static str| async move {
        tokio::task::spawn_blocking(move || etcdctl(address, args, input)).await.expect("no panic")
    };
    assert_eq!(run(&["put", "a", "1"], "").await, (true, "OK\n".into()));
    assert_eq!(run(&["put", "b", "2"], "").await, (true, "OK\n".into()));
    assert_eq!(run(&["get", "", "--prefix"], "").await, (true, "a\n1\nb\n2\n".into()));
    assert_eq!(run(&["get", "a", "--print-value-only"], "").await, (true, "1\n".into()));
    assert_eq!(run(&["put", "a", "3", "--prev-kv"], "").await, (true, "OK\na\n1\n".into()));
    let txn = "value(\"a\") = \"3\"\n\nput c 4\nget b\n\nget a\n\n";
    assert_eq!(run(&["txn"], txn).await, (true, "SUCCESS\n\nOK\n\nb\n2\n".into()));
    assert_eq!(run(&["del", "a"], "").await, (true, "1\n".into()));
    assert_eq!(run(&["get", "a", "--rev", "4"], "").await, (true, "a\n3\n".into()));
    assert_eq!(run(&["compact", "5"], "").await, (true, "compacted revision 5\n".into()));
    let (is_ok, text) = run(&["get", "a", "--rev", "4"], "").await;
    assert!(!is_ok && text.contains("etcdserver: mvcc: required revision has been compacted"), "{text}");
    let lease = run(&["lease", "grant", "600"], "").await.1;
    let id = lease.split(' ').nth(1).unwrap_or_default().to_string();
    assert_eq!(lease, format!("lease {id} granted with TTL(600s)\n"));
    let run_on = async |args: &[&str]| {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let run = move || etcdctl(address, &args.iter().map(|arg| &arg[..]).collect::<Vec<_>>(), "");
        tokio::task::spawn_blocking(run).await.expect("no panic")
    };
    assert_eq!(run_on(&["put", "held", "1", "--lease", &id]).await, (true, "OK\n".into()));
    assert_eq!(run_on(&["lease", "list"]).await, (true, format!("found 1 leases\n{id}\n")));
    let (is_ok, text) = run_on(&["lease", "timetolive", &id, "--keys"]).await;
    assert!(is_ok && text.starts_with(&format!("lease {id} granted with TTL(600s), remaining(5")), "{text}");
    assert!(text.ends_with("attached keys([held])\n"), "{text}");
    let kept = format!("lease {id} keepalived with TTL(600)\n");
    assert_eq!(run_on(&["lease", "keep-alive", &id, "--once"]).await, (true, kept));
    assert_eq!(run_on(&["lease", "revoke", &id]).await, (true, format!("lease {id} revoked\n")));
    assert_eq!(run_on(&["get", "held"]).await, (true, String::new()));
    let gone = format!("lease {id} already expired\n");
    assert_eq!(run_on(&["lease", "timetolive", &id]).await, (true, gone));
    let (is_ok, text) = run(&["endpoint", "status"], "").await;
    assert!(is_ok && text.contains(", 1, 3.5.0, ") && text.contains("true"), "{text}");
    let (is_ok, text) = run(&["endpoint", "health"], "").await;
    assert!(is_ok && text.contains("is healthy"), "{text}");
    let (is_ok, text) = run(&["member", "list"], "").await;
    assert!(is_ok && text.contains("1, started, default"), "{text}");
    etcdctl_manages_users(address).await;
    node.stop().await.expect("a good end");
}

/// etcdctl's locks and elections are made of keys and leases by itself; snapshots, alarms and the like are asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl"]
async fn etcdctl_keeps_us_going() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let address = node.address;
    let file = folder.path().join("snapshot").to_string_lossy().into_owned();
    let run = async |args: &[&str]| {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let run = move || etcdctl(address, &args.iter().map(|arg| &arg[..]).collect::<Vec<_>>(), "");
        tokio::task::spawn_blocking(run).await.expect("no panic")
    };
    let (is_ok, text) = run(&["lock", "l", "echo", "held"]).await;
    assert!(is_ok && text == "held\n", "{text}");
    let (is_ok, text) = run(&["lock", "l", "false"]).await;
    assert!(!is_ok, "{text}");
    let mut elect = Command::new("etcdctl");
    elect.env("ETCDCTL_API", "3").args(["--endpoints", &address.to_string(), "elect", "e", "me"]);
    let mut elect = elect.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("etcdctl");
    let mut leads = String::new();
    for _ in 0..50 {
        leads = run(&["get", "e/", "--prefix", "--print-value-only"]).await.1;
        if !leads.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let _ = elect.kill();
    let _ = elect.wait();
    assert_eq!(leads, "me\n");
    let saved = format!("Snapshot saved at {file}\n");
    let (is_ok, text) = run(&["snapshot", "save", &file]).await;
    assert!(is_ok && text.starts_with(&saved), "{text}");
    assert_eq!(run(&["defrag"]).await, (true, format!("Finished defragmenting etcd member[{address}]\n")));
    assert_eq!(run(&["alarm", "list"]).await, (true, String::new()));
    MaintenanceClient::new(channel(address).await)
        .alarm(AlarmRequest { action: 1, member_id: 1, alarm: 1 })
        .await
        .expect("raised");
    assert_eq!(run(&["alarm", "list"]).await, (true, "memberID:1 alarm:NOSPACE \n".into()));
    let (is_ok, text) = run(&["put", "a", "1"]).await;
    assert!(!is_ok && text.contains("etcdserver: mvcc: database space exceeded"), "{text}");
    assert_eq!(run(&["alarm", "disarm"]).await, (true, "memberID:1 alarm:NOSPACE \n".into()));
    assert_eq!(run(&["put", "a", "1"]).await, (true, "OK\n".into()));
    let (is_ok, text) = run(&["endpoint", "hashkv"]).await;
    assert!(is_ok && text.starts_with(&format!("{address}, ")), "{text}");
    node.stop().await.expect("a good end");
}

/// The commands of `etcdctl` for users and roles, and what it prints.
async fn etcdctl_manages_users(address: SocketAddr) {
    for (user, args, want) in [
        ("", &["user", "add", "root:r"][..], "User root created\n"),
        ("", &["user", "add", "u1:p"], "User u1 created\n"),
        ("", &["user", "add", "bare", "--no-password"], "User bare created\n"),
        ("", &["role", "add", "r1"], "Role r1 created\n"),
        ("", &["role", "grant-permission", "r1", "readwrite", "foo", "--prefix"], "Role r1 updated\n"),
        ("", &["role", "grant-permission", "r1", "read", "q", "--from-key"], "Role r1 updated\n"),
        ("", &["user", "grant-role", "u1", "r1"], "Role r1 is granted to user u1\n"),
        ("", &["auth", "enable"], "Authentication Enabled"), // after a warning of its own: it makes the role root
        ("root:r", &["role", "list"], "r1\nroot\n"),
        ("root:r", &["user", "list"], "bare\nroot\nu1\n"),
        ("u1:p", &["put", "foo1", "v"], "OK\n"),
        ("u1:p", &["get", "foo1"], "foo1\nv\n"),
        ("u1:p", &["get", "q", "--from-key"], ""),
        ("u1:p", &["put", "q", "v"], "!etcdserver: permission denied"),
        ("", &["get", "foo1"], "!etcdserver: user name is empty"),
        ("u1:wrong", &["get", "foo1"], "!etcdserver: authentication failed, invalid user ID or password"),
        ("bare:x", &["get", "foo1"], "!auth: authentication failed, password was given for no password user"),
        ("u1:p", &["user", "list"], "!etcdserver: permission denied"),
        ("u1:p", &["user", "get", "u1"], "User: u1\nRoles: r1\n"),
        (
            "root:r",
            &["role", "get", "r1"],
            "Role r1\nKV Read:\n\t[foo, fop) (prefix foo)\n\t[q, <open ended>\nKV Write:\n\t[foo, fop) (prefix foo)\n",
        ),
        (
            "root:r",
            &["role", "revoke-permission", "r1", "q", "--from-key"],
            "Permission of range [q, <open ended> is revoked from role r1\n",
        ),
        ("root:r", &["user", "revoke-role", "u1", "r1"], "Role r1 is revoked from user u1\n"),
        ("u1:p", &["get", "foo1"], "!etcdserver: permission denied"),
        ("root:r", &["endpoint", "status"], "127.0.0.1"),
        ("root:r", &["member", "list"], "1, started, default"),
        ("root:r", &["role", "delete", "r1"], "Role r1 deleted\n"),
        ("root:r", &["user", "delete", "u1"], "User u1 deleted\n"),
        ("root:r", &["auth", "disable"], "Authentication Disabled\n"),
        ("", &["get", "foo1"], "foo1\nv\n"),
    ] {
        let as_user = if user.is_empty() { Vec::new() } else { vec!["--user", user] };
        let all: Vec<String> = as_user.iter().chain(args).map(ToString::to_string).collect();
        let run = move || etcdctl(address, &all.iter().map(|arg| &arg[..]).collect::<Vec<_>>(), "");
        let (is_ok, text) = tokio::task::spawn_blocking(run).await.expect("no panic");
        let is_whole = want.is_empty() || want.ends_with('\n');
        match want.strip_prefix('!') {
            Some(error) => assert!(!is_ok && text.contains(error), "{user} {args:?}: {text}"),
            None if is_whole => assert_eq!((is_ok, &text[..]), (true, want), "{user} {args:?}"),
            None => assert!(is_ok && text.starts_with(want), "{user} {args:?}: {text}"),
        }
    }
}
