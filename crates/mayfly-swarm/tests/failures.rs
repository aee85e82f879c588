//! Running nodes, over real QUIC on loopback and over the network in memory, next to those who should not be there: a second node of the same name,
//! strangers, impostors, members that send garbage, and members that say nothing.

use mayfly_base::{NodeId, Rng};
use mayfly_swarm::membership::{Member, MemberState, MembershipConfig, MembershipOutput};
use mayfly_swarm::memory::MemoryLimits;
use mayfly_swarm::{Disk, Membership, NodeConfig, Runtime, RuntimeConfig, Stop, SwarmError, topology};
use mayfly_wire::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A limit for hangs, far above what anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// The topics of SWIM's packets and of messages about the memory.
const SWIM: u16 = 1;
const MEMORY: u16 = 2;

fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32]).unwrap()
}

/// A list on which the first let the others in.
fn trust(numbers: &[u8]) -> TrustList {
    let founder = identity(numbers[0]);
    let mut list = TrustList::found(&founder, 1).unwrap();
    for &number in &numbers[1..] {
        list.admit(&founder, identity(number).public_key(), 2).unwrap();
    }
    list
}

fn endpoint_at(number: u8, list: &TrustList, addr: SocketAddr) -> Endpoint {
    let store = Arc::new(TrustStore::in_memory(list.clone()));
    Endpoint::bind(identity(number), store, EndpointConfig::new(addr)).unwrap()
}

fn endpoint(number: u8, list: &TrustList) -> Endpoint {
    endpoint_at(number, list, "127.0.0.1:0".parse().unwrap())
}

fn peer(of: &impl Transport) -> Peer {
    Peer { id: of.id(), addr: of.addr() }
}

/// A running node and its folder.
struct Host<T: Transport> {
    runtime: Runtime<T>,
    peer: Peer,
    folder: tempfile::TempDir,
}

async fn start<T: Transport>(transport: T, seeds: &[Peer]) -> Host<T> {
    let (folder, peer) = (tempfile::tempdir().unwrap(), peer(&transport));
    let (disk, loaded) = Disk::open(&folder.path().join("memory.redb"), peer.id).unwrap();
    let config = RuntimeConfig {
        node: NodeConfig::default(),
        topology: Arc::from(topology::by_name("mesh").unwrap()),
        limits: MemoryLimits::default(),
        seed: u64::from(peer.addr.port()),
        trust: None,
        advertise: None,
    };
    let runtime = Runtime::start(transport, disk, loaded, seeds, config).await.unwrap();
    Host { runtime, peer, folder }
}

impl<T: Transport> Host<T> {
    fn knows(&self, id: NodeId) -> bool {
        let is_alive = |member: &Member| member.id == id && member.state == MemberState::Alive;
        self.runtime.status().members.iter().any(is_alive)
    }

    async fn write(&self, key: &str) {
        self.runtime.write(key.as_bytes(), key.into()).await.unwrap();
    }

    fn has(&self, key: &str) -> bool {
        self.runtime.read(key.as_bytes()).as_deref() == Some(key.as_bytes())
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}: not after {LONG:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Two nodes replicate in both directions.
async fn assert_well<A: Transport, B: Transport>(a: &Host<A>, b: &Host<B>, name: &str) {
    let (x, y) = (format!("{name}/a"), format!("{name}/b"));
    a.write(&x).await;
    b.write(&y).await;
    until("both have both", || a.has(&y) && b.has(&x)).await;
    until("they are equal", || a.runtime.status().root == b.runtime.status().root).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_of_one_name_the_earlier_stops() {
    let list = trust(&[1, 2]);
    let a = start(endpoint(1, &list), &[]).await;
    let first = start(endpoint(2, &list), &[a.peer]).await;
    until("they know each other", || a.knows(first.peer.id) && first.knows(a.peer.id)).await;
    first.write("before").await;
    until("it is told", || a.has("before")).await;
    tokio::time::sleep(Duration::from_millis(5)).await; // a later generation
    let second = start(endpoint(2, &list), &[a.peer]).await;
    let stop = tokio::time::timeout(LONG, first.runtime.stopped()).await.expect("the earlier goes on");
    assert_eq!(stop, Stop::Superseded(second.peer.addr));
    assert!(matches!(first.runtime.write(b"late", vec![1]).await, Err(SwarmError::Stopped)));
    until("the later is known", || second.knows(a.peer.id) && a.knows(second.peer.id)).await;
    until("what was acknowledged is there", || second.has("before")).await;
    assert_well(&a, &second, "after").await;
}

/// A stranger that trusts the swarm's members is not trusted by them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_the_wrong_key_learns_and_changes_nothing() {
    let list = trust(&[1, 2]);
    let a = start(endpoint(1, &list), &[]).await;
    let b = start(endpoint(2, &list), &[a.peer]).await;
    assert_well(&a, &b, "before").await;
    let stranger = start(endpoint(3, &trust(&[3, 1, 2])), &[a.peer, b.peer]).await;
    stranger.write("stranger").await;
    let asked = stranger.runtime.transport().request(a.peer, MEMORY, b"let me in").await;
    assert!(asked.is_err(), "{asked:?}");
    assert_well(&a, &b, "meanwhile").await;
    tokio::time::sleep(Duration::from_secs(2)).await; // two more knocks, four more rounds
    for member in [&a, &b] {
        assert!(!member.knows(stranger.peer.id) && !member.has("stranger"));
    }
    assert_eq!(stranger.runtime.status().keys, 1);
    assert!(!stranger.knows(a.peer.id) && !stranger.knows(b.peer.id));
}

/// Whoever listens where a member was, without its key, is told nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impostor_at_a_members_address_is_told_nothing() {
    let list = trust(&[1, 2, 4]);
    let a = start(endpoint(1, &list), &[]).await;
    let machine = tokio::runtime::Runtime::new().unwrap();
    let (its_list, seed) = (list.clone(), a.peer);
    let b = machine.spawn(async move { start(endpoint(2, &its_list), &[seed]).await }).await.unwrap();
    assert_well(&a, &b, "before").await;
    let Peer { addr, id } = b.peer;
    machine.shutdown_background(); // the whole machine is gone
    drop(b);
    until("its port is free", || std::net::UdpSocket::bind(addr).is_ok()).await;
    let impostor = endpoint_at(4, &list, addr);
    a.write("secret").await;
    until("the member is missed", || !a.knows(id)).await;
    let heard = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            match impostor.next().await {
                Some(Event::Datagram { .. } | Event::Request { .. } | Event::Body { .. }) => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    });
    assert!(heard.await.is_err(), "it was told something");
}

/// The same in memory: the name does not fit the address.
#[tokio::test]
async fn a_wrong_name_finds_nobody_in_memory() {
    let net = MemoryNet::new(1);
    let at = |i: u8| SocketAddr::from(([10, 0, 0, i], 7000));
    let a = start(net.endpoint(NodeId([1; 32]), at(1)), &[]).await;
    let b = start(net.endpoint(NodeId([2; 32]), at(2)), &[a.peer]).await;
    assert_well(&a, &b, "before").await;
    let lost = start(net.endpoint(NodeId([3; 32]), at(3)), &[Peer { id: NodeId([9; 32]), addr: a.peer.addr }]).await;
    lost.write("lost").await;
    assert_well(&a, &b, "meanwhile").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!a.knows(lost.peer.id) && !lost.knows(a.peer.id) && !b.has("lost") && lost.runtime.status().keys == 1);
}

/// What a bad member does with questions.
#[derive(Clone, Copy)]
enum Manners {
    Garbage,
    Silence,
}

/// A member in good standing, by its key and by SWIM, that is none by its manners. Runs until the test ends.
async fn misbehave(endpoint: Endpoint, others: Vec<Peer>, manners: Manners) {
    let config = MembershipConfig::default();
    let mut swim = Membership::new(peer(&endpoint), 1, config, Rng::new(5)).unwrap();
    let (begun, mut rng, mut kept) = (Instant::now(), Rng::new(6), Vec::new());
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    loop {
        let now_ms = |begun: Instant| begun.elapsed().as_millis() as u64;
        let outputs = tokio::select! {
            event = endpoint.next() => match event {
                Some(Event::Datagram { topic: SWIM, payload, .. }) => swim.packet(&payload, now_ms(begun)).unwrap_or_default(),
                Some(Event::Request { reply, .. }) => {
                    match manners {
                        Manners::Garbage => reply.answer(noise(&mut rng)),
                        Manners::Silence => kept.push(reply),
                    }
                    Vec::new()
                }
                Some(_) => Vec::new(),
                None => return,
            },
            _ = beat.tick() => {
                let mut outputs = swim.tick(now_ms(begun));
                if swim.alive().next().is_none() {
                    others.iter().for_each(|&other| outputs.extend(swim.join(other, now_ms(begun))));
                }
                if matches!(manners, Manners::Garbage) {
                    throw(&endpoint, &others, &mut rng).await;
                }
                outputs
            }
        };
        for output in outputs {
            if let MembershipOutput::Packet { to, bytes } = output {
                let _ = endpoint.datagram(to, SWIM, &bytes).await;
            }
        }
    }
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    (0..rng.below(300)).map(|_| rng.next_u64() as u8).collect()
}

/// Packets on every topic; a question that is not waited for; half a body.
async fn throw(endpoint: &Endpoint, others: &[Peer], rng: &mut Rng) {
    for &other in others {
        let _ = endpoint.datagram(other, rng.below(6) as u16, &noise(rng)).await;
        let question = noise(rng);
        let asked = endpoint.request(other, rng.below(6) as u16, &question);
        let _ = tokio::time::timeout(Duration::from_millis(5), asked).await;
        if let Ok(mut body) = endpoint.body(other, MEMORY, b"what", 1000).await {
            let _ = body.write(&[0; 10]).await;
        }
    }
}

async fn good_beside(manners: Manners) {
    let list = trust(&[1, 2, 3]);
    let a = start(endpoint(1, &list), &[]).await;
    let b = start(endpoint(2, &list), &[a.peer]).await;
    let bad = endpoint(3, &list);
    let id = bad.id();
    let bad = tokio::spawn(misbehave(bad, vec![a.peer, b.peer], manners));
    until("all are members", || a.knows(id) && b.knows(id) && a.knows(b.peer.id) && b.knows(a.peer.id)).await;
    for round in 0..8 {
        assert_well(&a, &b, &format!("round-{round}")).await;
    }
    assert!(a.knows(b.peer.id) && b.knows(a.peer.id));
    match manners {
        Manners::Garbage => {
            until("garbage is counted", || a.runtime.traffic().refused > 0 && b.runtime.traffic().refused > 0).await;
        }
        Manners::Silence => assert!(a.knows(id) && b.knows(id), "who keeps up SWIM is a member"),
    }
    assert!(!bad.is_finished());
    bad.abort();
    a.runtime.leave().await.unwrap();
    b.runtime.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_sends_garbage_harms_nobody() {
    good_beside(Manners::Garbage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_says_nothing_holds_nobody_up() {
    good_beside(Manners::Silence).await;
}

/// Whom the node would call if it were started again.
async fn contacts_after<T: Transport>(host: Host<T>) -> Vec<NodeId> {
    host.runtime.leave().await.unwrap();
    let (_, loaded) = Disk::open(&host.folder.path().join("memory.redb"), host.peer.id).unwrap();
    loaded.peers.iter().map(|peer| peer.id).collect()
}

/// A node that was told whom to call and killed before anybody answered is told no second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_to_call_is_on_disk_before_anybody_answers() {
    let list = trust(&[1, 2]);
    let silent = Peer { id: identity(2).id(), addr: "127.0.0.1:9".parse().unwrap() };
    let a = start(endpoint(1, &list), &[silent]).await;
    assert_eq!(contacts_after(a).await, [silent.id]);
}

/// A swarm of two that were both killed finds together again, whoever took the other for dead; who said goodbye is not called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_down_is_called_again_and_who_left_is_not() {
    let net = MemoryNet::new(5);
    let at = |number: u8| net.endpoint(identity(number).id(), SocketAddr::from(([10, 0, 0, number], 1)));
    let (a, b, c) = (at(1), at(2), at(3));
    let a = start(a, &[]).await;
    let (b, c) = (start(b, &[a.peer]).await, start(c, &[a.peer]).await);
    until("they know each other", || a.knows(b.peer.id) && a.knows(c.peer.id) && b.knows(c.peer.id)).await;
    c.runtime.leave().await.unwrap();
    net.cut(a.peer.id, b.peer.id);
    until("they are missed", || !a.knows(b.peer.id) && !a.knows(c.peer.id) && !b.knows(c.peer.id)).await;
    assert_eq!(contacts_after(a).await, [b.peer.id]);
}
