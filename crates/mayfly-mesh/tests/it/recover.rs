//! A majority that is lost for good: one member goes on alone, others join it, and those of before are refused when they come back.

use crate::common::memory::{Member, opened, peer, seat, until, voters};
use mayfly_mesh::proto::etcdserverpb::{PutRequest, RangeRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::recover::{LogUse, Survivor};
use mayfly_mesh::{Arrival, ConsensusConfig, Engine, MeshError, Owner, Store, Surroundings, Why, kv, modules};
use mayfly_wire::{MemoryNet, Peer};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

async fn start(net: &MemoryNet, store: Store, place: u8) -> Member {
    let endpoint = net.endpoint(peer(place).id, peer(place).addr);
    let (config, around) = (ConsensusConfig::default(), Surroundings::default());
    Member::start(store, endpoint, seat(place), config, around).await.expect("started")
}

async fn survivor(folder: &Path) -> Survivor {
    loop {
        match Survivor::open(folder, modules()) {
            Err(MeshError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            other => break other.expect("a survivor"),
        }
    }
}

async fn join(net: &MemoryNet, folder: &Path, place: u8, at: &[u8]) -> Member {
    let endpoint = net.endpoint(peer(place).id, peer(place).addr);
    let peers: Vec<Peer> = at.iter().map(|place| peer(*place)).collect();
    let owner = loop {
        let owner = Member::join(&endpoint, &peers, &seat(place), Arrival::First).await.expect("let in");
        match owner {
            Some(owner) => break owner,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    drop(endpoint);
    start(net, Store::join(folder, owner, modules()).expect("a store"), place).await
}

/// Members 1 to 3 in folders a to c.
async fn three(net: &MemoryNet, folder: &TempDir) -> [Member; 3] {
    let path = |name: &str| folder.path().join(name);
    let a = start(net, Store::open(&path("a"), modules()).expect("a store"), 1).await;
    until("the founder leads", || a.leader() == Some(1)).await;
    let b = join(net, &path("b"), 2, &[1]).await;
    let c = join(net, &path("c"), 3, &[1]).await;
    until("all have votes", || [&a, &b, &c].into_iter().all(|member| voters(member) == 3)).await;
    [a, b, c]
}

async fn put(member: &Member, key: &str) -> Result<Vec<u8>, MeshError> {
    let put = PutRequest { key: key.into(), value: b"v".to_vec(), ..PutRequest::default() };
    member.propose(kv::entry(Request::Put(put))).await
}

fn keys(store: &Store) -> Vec<String> {
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let found = store.read(|state| kv::range(state, &all)).expect("readable").expect("all");
    found.kvs.into_iter().map(|kv| String::from_utf8(kv.key).expect("text")).collect()
}

fn hash(member: &Member) -> [u8; 32] {
    member.store().hash_of_all().expect("readable")
}

async fn close(members: impl IntoIterator<Item = Member>) {
    for member in members {
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_member_goes_on_and_those_of_before_are_refused() {
    let (net, folder) = (MemoryNet::new(1), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name);
    let members = three(&net, &folder).await;
    for i in 0..50 {
        put(&members[i % 3], &format!("{i:02}")).await.expect("written");
    }
    until("all have all", || hash(&members[0]) == hash(&members[2])).await;
    let want = keys(members[2].store());
    let old = members[2].store().owner();
    let revision = members[2].store().read(kv::revision).expect("readable");
    close(members).await;

    let survivor = survivor(&path("c")).await;
    let facts = survivor.facts().clone();
    assert_eq!((facts.owner, facts.revision, facts.members.len()), (old, revision, 3));
    assert_eq!(
        (facts.to_apply(LogUse::Committed), facts.discarded(LogUse::Committed)),
        (0, Some(0)),
        "it ended in order: {facts:?}"
    );
    let refound = survivor.recover(LogUse::Committed, 1_000).expect("recovered");
    assert!(refound.owner.cluster != old.cluster && refound.owner.member > facts.last.index);
    assert_eq!(refound.revision, revision + 1_000);

    let c = start(&net, opened(&path("c")).await, 3).await;
    until("it leads alone", || c.leader() == Some(refound.owner.member) && voters(&c) == 1).await;
    put(&c, "after").await.expect("written");
    let d = join(&net, &path("d"), 4, &[3]).await;
    let e = join(&net, &path("e"), 5, &[3]).await;
    until("the new ones have votes", || [&c, &d, &e].into_iter().all(|member| voters(member) == 3)).await;
    put(&d, "later").await.expect("written");

    // The old ones are a majority of their cluster, and still they serve nobody.
    let (a, b) = tokio::join!(async { start(&net, opened(&path("a")).await, 1).await }, async {
        start(&net, opened(&path("b")).await, 2).await
    });
    let given_up = MeshError::GivenUp { cluster: old.cluster };
    let ends = async |member: &Member| tokio::time::timeout(Duration::from_secs(30), member.ended()).await;
    assert_eq!((ends(&a).await, ends(&b).await), (Ok(given_up.clone()), Ok(given_up)));
    assert!(put(&a, "never").await.is_err());
    assert!(c.store().refused().count(Why::GivenUp) >= 2, "{:?}", c.store().refused());
    until("all are equal", || hash(&c) == hash(&d) && hash(&d) == hash(&e)).await;
    let mut now = want.clone();
    now.extend(["after".into(), "later".into()]);
    now.sort();
    assert_eq!(keys(e.store()), now, "nothing of what the old ones said was applied");
    close([a, b]).await;

    // What was told once holds for whoever joined later, too, and after the next disaster.
    close([c, d]).await;
    let survivor = self::survivor(&path("c")).await;
    assert_eq!(survivor.facts().before, [old.cluster]);
    drop(survivor);
    e.close().await;
    drop(e);
    let survivor = self::survivor(&path("e")).await;
    assert_eq!(survivor.facts().before, [old.cluster]);
    let again = survivor.recover(LogUse::Committed, 0).expect("recovered");
    let e = start(&net, opened(&path("e")).await, 5).await;
    until("it leads alone", || e.leader() == Some(again.owner.member)).await;
    assert_eq!(keys(e.store()), now);
    let a = start(&net, opened(&path("a")).await, 1).await;
    // Nobody whom it knows is of the new cluster: it has no majority, and is asked for nothing.
    assert!(matches!(put(&a, "never").await, Err(MeshError::NoLeader { .. })));
    close([a, e]).await;
}

/// What the leader had taken and no other member had: it is not known to be on a majority's disks.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_majority_never_had_is_discarded() {
    let (net, folder) = (MemoryNet::new(2), tempfile::tempdir().expect("a folder"));
    let [a, b, c] = three(&net, &folder).await;
    put(&a, "1").await.expect("written");
    let leader = a.leader().expect("led");
    let members = [a, b, c];
    let place = members.iter().position(|member| member.store().owner().member == leader).expect("one of them");
    for other in (0..3).filter(|other| *other != place) {
        net.cut(peer(place as u8 + 1).id, peer(other as u8 + 1).id);
    }
    assert!(put(&members[place], "2").await.is_err(), "nobody else has it");
    close(members).await;
    let path = folder.path().join(["a", "b", "c"][place]);
    let survivor = survivor(&path).await;
    let facts = survivor.facts().clone();
    assert!(facts.discarded(LogUse::Committed) >= Some(1), "{facts:?}");
    survivor.recover(LogUse::Committed, 0).expect("recovered");
    assert_eq!(keys(&opened(&path).await), ["1"]);
}

/// The files of a member as they would be if it were killed now.
fn image(of: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for file in std::fs::read_dir(of).expect("a folder") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

/// Killed right after its writes, it has all but what its log did not know to be acknowledged; a moment later it has all.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_member_has_what_it_knew_to_be_acknowledged() {
    let (net, folder) = (MemoryNet::new(3), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name);
    let members = three(&net, &folder).await;
    for i in 0..100 {
        put(&members[0], &format!("{i:03}")).await.expect("written");
    }
    image(&path("a"), &path("now"));
    let survivor = survivor(&path("now")).await;
    let facts = survivor.facts().clone();
    assert!(facts.to_apply(LogUse::Committed) > 0, "all was flushed: {facts:?}");
    let refound = survivor.recover(LogUse::Committed, 0).expect("recovered");
    let store = opened(&path("now")).await;
    let (all, kept) = (keys(members[0].store()), keys(&store));
    assert!(all.starts_with(&kept) && kept.len() + 2 >= all.len(), "{} of {}", kept.len(), all.len());
    assert_eq!(store.owner(), refound.owner);
    let mut tries = 0;
    loop {
        image(&path("a"), &path(&format!("later {tries}")));
        let survivor = self::survivor(&path(&format!("later {tries}"))).await;
        if survivor.facts().discarded(LogUse::Committed) == Some(0) {
            survivor.recover(LogUse::Committed, 0).expect("recovered");
            break;
        }
        tries += 1;
        assert!(tries < 100, "a member at rest notes what is committed: {:?}", survivor.facts());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(keys(&opened(&path(&format!("later {tries}"))).await), all);
    close(members).await;
}

/// Between the transaction and `member.json`: the next start finds the cluster that was founded anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_was_killed_is_brought_to_its_end() {
    let (net, folder) = (MemoryNet::new(4), tempfile::tempdir().expect("a folder"));
    let path = folder.path().join("a");
    close(three(&net, &folder).await).await;
    let file = path.join("member.json");
    let before = std::fs::read(&file).expect("read");
    let survivor = survivor(&path).await;
    let old = survivor.facts().owner;
    let owner = survivor.recover(LogUse::Committed, 0).expect("recovered").owner;
    let after = std::fs::read(&file).expect("read");
    assert_ne!(after, before);
    std::fs::write(&file, &before).expect("written");
    assert_eq!(opened(&path).await.owner(), owner);
    assert_eq!(std::fs::read(&file).expect("read"), after);
    // The file of another member is refused as ever.
    let text = String::from_utf8(before).expect("text");
    let other = text.replace(&format!("{:016x}", old.cluster), &format!("{:016x}", old.cluster ^ 2));
    std::fs::write(&file, other).expect("written");
    assert!(matches!(Store::open(&path, modules()), Err(MeshError::OtherOwner { found, .. }) if found == owner));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recovered_is_named() {
    let (net, folder) = (MemoryNet::new(5), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str| Survivor::open(&path(name), modules()).map(drop).expect_err("refused");
    std::fs::create_dir(path("empty")).expect("made");
    assert!(matches!(refused("empty"), MeshError::NoMember { .. }));
    assert!(matches!(refused("none"), MeshError::NoMember { .. }));
    assert!(!path("none").exists() && std::fs::read_dir(path("empty")).expect("a folder").next().is_none());
    drop(Store::join(&path("newcomer"), Owner { cluster: 3, member: 9 }, modules()).expect("a store"));
    assert!(matches!(refused("newcomer"), MeshError::NoMember { .. }));

    let members = three(&net, &folder).await;
    assert!(matches!(refused("a"), MeshError::InUse { .. }), "it runs");
    put(&members[0], "k").await.expect("written");
    until("all have it", || hash(&members[0]) == hash(&members[1])).await;
    close(members).await;
    // A log that cannot be read is left aside only where that is said.
    for slot in std::fs::read_dir(path("a")).expect("a folder").map(|file| file.expect("a file").path()) {
        if slot.extension().is_some_and(|extension| extension == "log") {
            std::fs::remove_file(slot).expect("removed");
        }
    }
    let facts = survivor(&path("a")).await.facts().clone();
    assert!(matches!(facts.unread_log, Some(MeshError::Lost { .. })), "{facts:?}");
    let refused = survivor(&path("a")).await.recover(LogUse::Committed, 0);
    assert!(matches!(refused, Err(MeshError::Lost { .. })), "{refused:?}");
    let refound = survivor(&path("a")).await.recover(LogUse::Nothing, 0).expect("recovered");
    let a = start(&net, opened(&path("a")).await, 1).await;
    until("it leads", || a.leader() == Some(refound.owner.member)).await;
    assert_eq!(keys(a.store()), ["k"]);
    put(&a, "more").await.expect("written");
    a.close().await;
}

/// Whoever recovers one member of a majority that is alive has made a mistake: the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_majority_that_is_alive_goes_on() {
    let (net, folder) = (MemoryNet::new(6), tempfile::tempdir().expect("a folder"));
    let [a, b, c] = three(&net, &folder).await;
    let old = b.store().owner().cluster;
    a.close().await;
    drop(a);
    let path = folder.path().join("a");
    survivor(&path).await.recover(LogUse::Committed, 0).expect("recovered");
    tokio::time::sleep(Duration::from_secs(11)).await; // who was told within ten seconds of its start would end
    put(&b, "before").await.expect("written");
    let a = start(&net, opened(&path).await, 1).await;
    until("it is asked by the others", || a.store().refused().count(Why::GivenUp) > 5).await;
    for i in 0..20 {
        put([&b, &c][i % 2], &format!("{i}")).await.expect("written");
    }
    // Also where the one that leads has to be found anew.
    b.step_down(Duration::from_secs(2)).await;
    c.step_down(Duration::from_secs(2)).await;
    until("somebody leads", || b.leader().is_some() && b.leader() == c.leader()).await;
    put(&b, "after").await.expect("written");
    assert_eq!((b.store().owner().cluster, keys(a.store()).len()), (old, 0));
    close([a, b, c]).await;
}
