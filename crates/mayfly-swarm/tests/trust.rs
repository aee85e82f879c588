//! Trust lists that are longer than a message, kept equal among running nodes.

use mayfly_swarm::memory::MemoryLimits;
use mayfly_swarm::{Disk, NodeConfig, Runtime, RuntimeConfig, topology};
use mayfly_wire::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A limit for hangs, far above what anything here takes.
const LONG: Duration = Duration::from_secs(60);

fn identity(number: u16) -> Identity {
    let mut seed = [3; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    Identity::from_seed(&seed).unwrap()
}

struct Host {
    runtime: Runtime<Endpoint>,
    trust: Arc<TrustStore>,
    peer: Peer,
    _folder: tempfile::TempDir,
}

async fn start(number: u16, list: &TrustList, seeds: &[Peer]) -> Host {
    let trust = Arc::new(TrustStore::in_memory(list.clone()));
    let config = EndpointConfig::new("127.0.0.1:0".parse().unwrap());
    let endpoint = Endpoint::bind(identity(number), trust.clone(), config).unwrap();
    let (folder, peer) = (tempfile::tempdir().unwrap(), Peer { id: endpoint.id(), addr: endpoint.addr() });
    let (disk, loaded) = Disk::open(&folder.path().join("memory.redb"), peer.id).unwrap();
    let config = RuntimeConfig {
        node: NodeConfig::default(),
        topology: Arc::from(topology::by_name("mesh").unwrap()),
        limits: MemoryLimits::default(),
        seed: u64::from(peer.addr.port()),
        trust: Some(trust.clone()),
        advertise: None,
    };
    let runtime = Runtime::start(endpoint, disk, loaded, seeds, config).await.unwrap();
    Host { runtime, trust, peer, _folder: folder }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}: not after {LONG:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Two members know 700 others whom the third has not heard of, and the third has let somebody in whom they have not heard of. They become equal, and a
/// revocation then takes the revoked node's links and its place at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_become_equal_and_a_revocation_arrives() {
    let founder = identity(0);
    let mut short = TrustList::found(&founder, 1).unwrap();
    for number in 1..3 {
        short.admit(&founder, identity(number).public_key(), 2).unwrap();
    }
    let mut long = short.clone();
    for number in 10..710 {
        long.admit(&founder, identity(number).public_key(), 3).unwrap();
    }
    assert!(long.to_bytes().unwrap().len() > Limits::default().payload);
    short.admit(&identity(2), identity(5).public_key(), 3).unwrap();
    let a = start(0, &long, &[]).await;
    let b = start(1, &long, &[a.peer]).await;
    let c = start(2, &short, &[a.peer, b.peer]).await;
    let all = [&a, &b, &c];
    until("all have one list", || all.iter().all(|host| host.trust.member_count() == 704)).await;
    assert!(all.iter().all(|host| host.trust.digest() == a.trust.digest()));
    a.trust.revoke(&founder, c.peer.id, 4).unwrap();
    until("b has heard", || b.trust.member(c.peer.id).is_err()).await;
    let sees_c = |host: &Host| host.runtime.status().members.iter().any(|member| member.id == c.peer.id);
    until("nobody knows c", || !sees_c(&a) && !sees_c(&b)).await;
    assert!(b.trust.member(identity(5).id()).is_ok(), "whom it let in stays");
    until("its links are gone", || a.runtime.links().iter().chain(&b.runtime.links()).all(|l| l.peer.id != c.peer.id))
        .await;
}

/// Waits for news about trust: the digest, and how many records.
async fn next_news(endpoint: &Endpoint) -> ([u8; 32], usize) {
    const TOPIC_TRUST: u16 = 3;
    loop {
        let event = tokio::time::timeout(LONG, endpoint.next()).await.expect("news").expect("an open endpoint");
        if let Event::Request { topic: TOPIC_TRUST, payload, reply, .. } = event {
            let asked: TrustAsk = from_payload("news", &payload).unwrap();
            reply.refuse(1, "heard");
            if let TrustAsk::Take { digest, records } = asked {
                return (digest, records.len());
            }
        }
    }
}

/// Whoever has a link, and is not alive in anybody's eyes yet, is told which list there is, and of everybody who is let in from then on: two who were let in one
/// after the other know each other before the one who let them in can be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_is_told_of_the_list_at_once() {
    let founder = identity(0);
    let mut list = TrustList::found(&founder, 1).unwrap();
    list.admit(&founder, identity(1).public_key(), 2).unwrap();
    let before = Arc::new(TrustStore::in_memory(list.clone()));
    list.admit(&founder, identity(2).public_key(), 3).unwrap();
    let a = start(0, &list, &[]).await;
    let caller = Endpoint::bind(identity(1), before, EndpointConfig::new("127.0.0.1:0".parse().unwrap())).unwrap();
    caller.connect(a.peer).await.unwrap();
    assert_eq!(next_news(&caller).await, (a.trust.digest(), 0));
    a.trust.admit(&founder, identity(3).public_key(), 4).unwrap();
    assert_eq!(next_news(&caller).await, (a.trust.digest(), 1));
}
