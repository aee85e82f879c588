//! Three processes on QUIC over loopback, and kill -9 of the leader: what clients saw is linearizable, so no acknowledged write is lost.

use crate::check::kv::{Changes, answer, everything, got, range, request};
use crate::check::{Answer, Call, History, What};
use crate::common::seeds;
use crate::common::served::{channel, client};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::StatusRequest;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::outcome::Response;
use mayfly_mesh::{
    Clients, Consensus, ConsensusConfig, Engine, MemberChange, MeshError, Owner, Seat, Store, Surroundings, modules,
    serve,
};
use mayfly_wire::{Endpoint, EndpointConfig, Identity, Peer, TrustList, TrustStore};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tonic::transport::Channel;

const FOLDER: &str = "MAYFLY_MESH_TEST_FOLDER";
/// `place`, or `place cluster member` for one that joins.
const WHO: &str = "MAYFLY_MESH_TEST_WHO";
const MEMBERS: u8 = 3;
const CLIENTS: u64 = 6;
const KILLS: usize = 4;

fn identity(place: u8) -> Identity {
    Identity::from_seed(&[place; 32]).expect("a seed")
}

/// Whom everyone trusts, and where they listen.
fn prepare(folder: &Path) {
    let founder = identity(1);
    let mut list = TrustList::found(&founder, 0).expect("founded");
    for place in 2..=MEMBERS {
        list.admit(&founder, identity(place).public_key(), 0).expect("admitted");
    }
    std::fs::write(folder.join("trust"), list.to_bytes().expect("bytes")).expect("written");
    let sockets: Vec<UdpSocket> = (0..MEMBERS).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
    let ports: Vec<String> = sockets.iter().map(|socket| socket.local_addr().expect("bound").to_string()).collect();
    std::fs::write(folder.join("addresses"), ports.join("\n")).expect("written");
}

fn peer(folder: &Path, place: u8) -> Peer {
    let text = std::fs::read_to_string(folder.join("addresses")).expect("read");
    let addr = text.lines().nth(usize::from(place) - 1).expect("an address").parse().expect("an address");
    Peer { id: identity(place).id(), addr }
}

fn seat(folder: &Path, place: u8) -> Seat {
    Seat { peer: Some(peer(folder, place)), name: format!("m{place}"), wants_vote: true, ..Seat::default() }
}

/// Not a test: a process that is killed.
#[test]
#[ignore = "the process that `the_leader_is_killed` starts"]
fn process() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let who = std::env::var(WHO).expect("who");
    let numbers: Vec<u64> = who.split(' ').map(|text| text.parse().expect("a number")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(member(&folder, numbers[0] as u8, &numbers[1..]));
}

async fn member(folder: &Path, place: u8, owner: &[u64]) {
    let list = TrustList::from_bytes(&std::fs::read(folder.join("trust")).expect("read")).expect("a list");
    let config = EndpointConfig::new(peer(folder, place).addr);
    let endpoint = Endpoint::bind(identity(place), Arc::new(TrustStore::in_memory(list)), config).expect("a port");
    let own = folder.join(place.to_string());
    let store = match owner {
        [cluster, member] => Store::join(&own, Owner { cluster: *cluster, member: *member }, modules()),
        _ => Store::open(&own, modules()),
    };
    let store = store.expect("a store");
    let config = ConsensusConfig { log_cut_every: 500, log_keep: 50, ..ConsensusConfig::default() };
    let member = Consensus::<_>::start(store, endpoint, seat(folder, place), config, Surroundings::default())
        .await
        .expect("started");
    let clients = Clients::loopback(0).bind().await.expect("a port");
    println!("\nserving {}", clients.address());
    if place == 1 {
        tokio::spawn(gather(member.clone(), folder.to_path_buf()));
    }
    let error = serve(member, clients, std::future::pending()).await;
    println!("\nended {error:?}");
}

/// The founder lets the others join, and gives them votes.
async fn gather(founder: Consensus<Endpoint>, folder: PathBuf) {
    while founder.leader() != Some(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if founder.members().len() > 1 {
        return; // it was started again
    }
    for place in 2..=MEMBERS {
        let peers = vec![seat(&folder, place).url().expect("an address")];
        let added = founder.change_members(MemberChange::Add { peers, wants_vote: true }).await;
        let id = added.expect("answered").expect("added");
        println!("\nadded {place} {} {id}", founder.store().owner().cluster);
    }
    while founder.members().iter().filter(|member| member.is_voter).count() < usize::from(MEMBERS) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("\ngathered");
}

/// Killed when dropped, so that a failed test leaves nobody behind.
struct Process {
    child: Child,
    who: String,
    address: SocketAddr,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(folder: &Path, who: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "processes::process", "--ignored", "--nocapture"]).env(FOLDER, folder).env(WHO, who);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a process");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut process = Self { child, who: who.into(), address: ([0, 0, 0, 0], 0).into(), lines };
        process.address = process.says("serving ").parse().expect("an address");
        process
    }

    /// Waits for a line, and gives what follows in it.
    fn says(&self, what: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|e| panic!("{what}: {e}"));
            if let Some(rest) = line.strip_prefix(what) {
                return rest.into();
            }
        }
    }
}

struct Shared {
    start: Instant,
    addresses: Vec<Option<SocketAddr>>,
    calls: Vec<Option<Call>>,
    last_value: u64,
    is_over: bool,
}

async fn ask(client: &mut KvClient<Channel>, what: What) -> Result<Answer, tonic::Status> {
    Ok(match request(what) {
        None => got(&client.range(range(what.key())).await?.into_inner()),
        Some(Request::Put(request)) => answer(Response::Put(client.put(request).await?.into_inner())),
        Some(Request::DeleteRange(request)) => {
            answer(Response::DeleteRange(client.delete_range(request).await?.into_inner()))
        }
        Some(Request::Txn(request)) => answer(Response::Txn(client.txn(request).await?.into_inner())),
        Some(other) => panic!("{other:?} is not asked"),
    })
}

/// Asks members at random until it is over.
async fn ask_on(shared: Arc<Mutex<Shared>>, mut rng: Rng) {
    let lock = || shared.lock().expect("no panic");
    let mut clients: BTreeMap<SocketAddr, KvClient<Channel>> = BTreeMap::new();
    loop {
        tokio::time::sleep(Duration::from_millis(1 + rng.below(10))).await;
        let addresses: Vec<SocketAddr> = lock().addresses.iter().flatten().copied().collect();
        let address = addresses[rng.below(addresses.len() as u64) as usize];
        let client = match clients.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let connected = tokio::time::timeout(Duration::from_secs(2), client(address)).await;
                let Ok(client) = connected else { continue };
                entry.insert(client.kv)
            }
        };
        let (place, what) = {
            let mut shared = lock();
            if shared.is_over {
                return;
            }
            shared.last_value += 1;
            let what = What::random(&mut rng, shared.last_value, shared.calls.iter().rev().flatten());
            let asked = shared.start.elapsed().as_nanos() as u64;
            shared.calls.push(Some(Call { what, asked, answered: None }));
            (shared.calls.len() - 1, what)
        };
        let outcome = tokio::time::timeout(Duration::from_secs(8), ask(client, what)).await;
        let mut shared = lock();
        let returned = shared.start.elapsed().as_nanos() as u64;
        match outcome {
            Ok(Ok(answer)) => {
                if let Some(call) = &mut shared.calls[place] {
                    call.answered = Some((returned, answer));
                }
            }
            Ok(Err(status)) if status.message() == "etcdserver: no leader" => shared.calls[place] = None,
            _ => {}
        }
    }
}

/// Who leads, by whom anyone that is up says so.
async fn leader(processes: &[Option<Process>], ids: &[u64]) -> usize {
    for _ in 0..600 {
        for process in processes.iter().flatten() {
            let mut client = MaintenanceClient::new(channel(process.address).await);
            let asked = tokio::time::timeout(Duration::from_secs(2), client.status(StatusRequest {})).await;
            let Ok(Ok(status)) = asked else { continue };
            if let Some(place) = ids.iter().position(|id| *id == status.get_ref().leader)
                && processes[place].is_some()
            {
                return place;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody leads within 30 s")
}

#[test]
fn the_leader_is_killed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for seed in 0..seeds(1) {
        runtime.block_on(kills(seed));
    }
}

async fn kills(seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path());
    let mut processes = vec![Some(Process::start(folder.path(), "1"))];
    let mut ids = vec![1];
    for _ in 2..=MEMBERS {
        let who = processes[0].as_ref().expect("up").says("added ");
        ids.push(who.split(' ').next_back().expect("an id").parse().expect("a number"));
        processes.push(Some(Process::start(folder.path(), &who)));
    }
    processes[0].as_ref().expect("up").says("gathered");
    let addresses = processes.iter().map(|process| process.as_ref().map(|process| process.address)).collect();
    let shared = Shared { start: Instant::now(), addresses, calls: Vec::new(), last_value: 0, is_over: false };
    let shared = Arc::new(Mutex::new(shared));
    let clients: Vec<_> = (0..CLIENTS).map(|i| tokio::spawn(ask_on(shared.clone(), Rng::stream(seed, i)))).collect();
    let mut rng = Rng::new(seed);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(500 + rng.below(800))).await;
        let victim = leader(&processes, &ids).await;
        let who = processes[victim].take().expect("up").who.clone(); // kill -9
        shared.lock().expect("no panic").addresses[victim] = None;
        tokio::time::sleep(Duration::from_millis(300 + rng.below(1_500))).await;
        let process = Process::start(folder.path(), &who);
        shared.lock().expect("no panic").addresses[victim] = Some(process.address);
        processes[victim] = Some(process);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    shared.lock().expect("no panic").is_over = true;
    for client in clients {
        client.await.expect("no panic");
    }
    let calls = std::mem::take(&mut shared.lock().expect("no panic").calls).into_iter().flatten().collect();
    let history = History { calls, changes: changes(&processes).await };
    let answered = history.calls.iter().filter(|call| call.answered.is_some()).count();
    println!("seed {seed}: {} calls, {answered} answered, {} revisions", history.calls.len(), history.changes.len());
    if let Err(verdict) = crate::check::revision::check(&history) {
        panic!("seed {seed}: {verdict}");
    }
    assert!(answered > 200, "hardly anything was answered");
}

/// What every revision changed; the same from every member.
async fn changes(processes: &[Option<Process>]) -> Vec<crate::check::Change> {
    let mut all = Vec::new();
    for process in processes.iter().flatten() {
        let mut client = client(process.address).await.kv;
        let mut changes = Changes::default();
        let last = client.range(everything(0)).await.expect("a leader").into_inner().header.expect("a header").revision;
        for revision in 2..=last {
            let mut request = everything(revision);
            request.serializable = true;
            changes.add(&client.range(request).await.expect("read").into_inner());
        }
        all.push(changes.found);
    }
    assert!(all.windows(2).all(|two| two[0] == two[1]), "members differ");
    all.pop().unwrap_or_default()
}

/// What a start does that has no business here.
#[test]
fn a_member_of_another_cluster_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner { cluster: 3, member: 9 };
    drop(Store::join(folder.path(), owner, modules()).expect("a store"));
    let other = Owner { cluster: 4, member: 9 };
    match Store::join(folder.path(), other, modules()).map(drop) {
        Err(MeshError::OtherOwner { found, want, .. }) => assert_eq!((found, want), (owner, other)),
        other => panic!("{other:?}"),
    }
}
