//! The swarm's trust list in the mesh. Nothing else carries it here: the nodes do not gossip.

use crate::common::memory::{Member, endpoint, opened, peer, seat, until, voters};
use mayfly_base::NodeId;
use mayfly_mesh::proto::etcdserverpb::PutRequest;
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{Arrival, Clients, ConsensusConfig, Engine, Store, Surroundings, kv, modules, serve};
use mayfly_wire::{Identity, MemoryNet, TrustList, TrustStore, to_payload};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A member whose trust list goes with the mesh.
struct Served {
    member: Member,
    trust: Arc<TrustStore>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Served {
    async fn start(net: &MemoryNet, folder: &Path, place: u8, trust: Arc<TrustStore>) -> Self {
        let endpoint = endpoint(net, place);
        let store = if folder.join("member.json").exists() || place == 1 {
            opened(folder).await
        } else {
            let owner = Member::join(&endpoint, &[peer(1)], &seat(place), Arrival::First).await;
            Store::join(folder, owner.expect("let in").expect("somebody leads"), modules()).expect("a store")
        };
        let config = ConsensusConfig { log_cut_every: 20, log_keep: 5, ..ConsensusConfig::default() };
        let member = Member::start(store, endpoint, seat(place), config, Surroundings::default()).await;
        let member = member.expect("started");
        let clients = Clients::loopback(0).bind().await.expect("a port").sharing_trust(trust.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = member.clone();
        let served = tokio::spawn(async move {
            serve(engine, clients, async { drop(stopped.await) }).await.expect("a good end");
        });
        Self { member, trust, stop, served }
    }

    async fn stop(self) -> Arc<TrustStore> {
        drop(self.stop);
        self.served.await.expect("no panic");
        self.member.close().await;
        self.trust
    }
}

fn store_of(list: &TrustList) -> Arc<TrustStore> {
    Arc::new(TrustStore::in_memory(list.clone()))
}

async fn put(member: &Member, key: &[u8], value: &[u8]) {
    let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
    member.propose(kv::entry(Request::Put(put))).await.expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trust_list_goes_with_the_mesh() {
    let (founder, stranger) = (Identity::generate().expect("a key"), Identity::generate().expect("a key"));
    let mut list = TrustList::found(&founder, 1).expect("a swarm");
    let others = [(); 3].map(|()| Identity::generate().expect("a key"));
    list.admit(&founder, others[0].public_key(), 2).expect("admitted");
    let net = MemoryNet::new(3);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let a = Served::start(&net, folders[0].path(), 1, store_of(&list)).await;
    until("the founder leads", || a.member.leader() == Some(1)).await;
    let b = Served::start(&net, folders[1].path(), 2, store_of(&list)).await;
    let c = Served::start(&net, folders[2].path(), 3, store_of(&list)).await;
    until("all have votes", || [&a, &b, &c].into_iter().all(|served| voters(&served.member) == 3)).await;
    let knows = |served: &Served, id: NodeId| served.trust.member(id).is_ok();

    // Who is let in by one lets others in at another one.
    a.trust.admit(&founder, others[1].public_key(), 3).expect("admitted");
    until("b knows", || knows(&b, others[1].id())).await;
    b.trust.admit(&others[1], others[2].public_key(), 4).expect("admitted");
    until("all know", || [&a, &b, &c].into_iter().all(|served| knows(served, others[2].id()))).await;

    // One is away while somebody is shut out, and history is gone when it comes back.
    let trust = c.stop().await;
    b.trust.revoke(&founder, others[0].id(), 5).expect("shut out");
    until("a knows", || !knows(&a, others[0].id())).await;
    for _ in 0..100 {
        put(&a.member, b"key", b"value").await;
    }
    let c = Served::start(&net, folders[2].path(), 3, trust).await;
    until("c knows", || !knows(&c, others[0].id())).await;

    // What clients write there, and what strangers sign, lets nobody in.
    let mut forged = TrustList::found(&stranger, 1).expect("a swarm of its own");
    forged.admit(&stranger, stranger.public_key(), 2).ok();
    for record in forged.records() {
        put(&a.member, b"/mayfly/trust/forged", &to_payload("a trust record", record).expect("bytes")).await;
    }
    put(&a.member, b"/mayfly/trust/", b"no record").await;
    a.trust.revoke(&founder, others[2].id(), 6).expect("shut out");
    until("all know", || [&b, &c].into_iter().all(|served| !knows(served, others[2].id()))).await;
    let digests: Vec<_> = [&a, &b, &c].map(|served| served.trust.digest()).into();
    assert!(digests.iter().all(|digest| *digest == digests[0]) && !knows(&a, stranger.id()));
    for served in [a, b, c] {
        served.stop().await;
    }
}
