//! Three members on tokio and the network in memory: the code of a node, with files and threads.

use crate::common::memory::{Member, endpoint, opened, peer, seat, until, voters};
use crate::common::ops::{Op, Reply};
use mayfly_mesh::proto::etcdserverpb::{LeaseGrantRequest, PutRequest, RangeRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{
    Arrival, ConsensusConfig, Engine, EtcdError, LeaseAsk, LeaseTime, MESH_TOPIC, MemberChange, MeshError, Single,
    Store, Surroundings, Tag, kv, modules,
};
use mayfly_wire::{MemoryEndpoint, MemoryNet, Transport, WireError};
use std::path::Path;
use std::time::Duration;

async fn start(endpoint: MemoryEndpoint, store: Store, place: u8) -> Member {
    let config = ConsensusConfig { log_cut_every: 50, log_keep: 10, ..ConsensusConfig::default() };
    let member = Member::start(store, endpoint, seat(place), config, Surroundings::default()).await;
    member.expect("started")
}

async fn put(member: &Member, key: &str, value: &[u8]) -> Result<Vec<u8>, MeshError> {
    let put = PutRequest { key: key.into(), value: value.to_vec(), ..PutRequest::default() };
    member.propose(kv::entry(Request::Put(put))).await
}

/// A linearizable read.
async fn get(member: &Member, key: &str) -> Option<Vec<u8>> {
    member.read_barrier().await.expect("a leader");
    let request = RangeRequest { key: key.into(), ..RangeRequest::default() };
    let found = member.store().read(|transaction| kv::range(transaction, &request)).expect("readable").expect("found");
    found.kvs.into_iter().next().map(|kv| kv.value)
}

async fn founder(net: &MemoryNet, folder: &Path) -> Member {
    let member = start(endpoint(net, 1), Store::open(folder, modules()).expect("a store"), 1).await;
    until("the founder leads", || member.leader() == Some(1)).await;
    member
}

/// Joins as member of a place; gives its id, too.
async fn join(net: &MemoryNet, folder: &Path, place: u8) -> (u64, Member) {
    let endpoint = endpoint(net, place);
    let owner = Member::join(&endpoint, &[peer(1)], &seat(place), Arrival::First).await;
    let owner = owner.expect("let in").expect("somebody leads");
    (owner.member, start(endpoint, Store::join(folder, owner, modules()).expect("a store"), place).await)
}

fn hash(member: &Member) -> [[u8; 32]; 2] {
    [Tag::KV, Tag::CLUSTER].map(|tag| member.store().hash(tag).expect("readable").expect("a module").1)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_agree_and_go_on_without_their_leader() {
    let net = MemoryNet::new(1);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    // What a cluster of one wrote before is there, and is too much for one message.
    let single = Single::start(Store::open(folders[0].path(), modules()).expect("a store")).expect("a thread");
    for i in 0..5 {
        crate::common::entry(&single, format!("before {i}").as_bytes(), &vec![i; 700_000]).await.expect("written");
    }
    single.close().await;

    let a = founder(&net, folders[0].path()).await;
    let (id_b, b) = join(&net, folders[1].path(), 2).await;
    let (id_c, c) = join(&net, folders[2].path(), 3).await;
    assert!(1 < id_b && id_b < id_c, "ids are indexes of entries: {id_b}, {id_c}");
    until("b knows three voters", || voters(&b) == 3).await;
    assert_eq!(b.members()[0].peers[0], seat(1).url().expect("an address"), "the founder told where it is found");

    for i in 0..200 {
        let member = [&a, &b, &c][i % 3];
        put(member, "key", i.to_string().as_bytes()).await.expect("written");
        assert_eq!(get([&b, &c, &a][i % 3], "key").await, Some(i.to_string().into_bytes()));
    }
    assert_eq!(get(&c, "before 4").await, Some(vec![4; 700_000]));

    for other in [2, 3] {
        net.cut(peer(1).id, peer(other).id);
    }
    until("another one leads", || b.leader().is_some_and(|id| id != 1) && b.leader() == c.leader()).await;
    put(&c, "key", b"after").await.expect("written");
    assert_eq!(get(&b, "key").await, Some(b"after".to_vec()));
    assert!(matches!(put(&a, "key", b"alone").await, Err(MeshError::NoLeader { .. })), "a minority wrote");
    assert!(matches!(a.read_barrier().await, Err(MeshError::NoLeader { .. })), "a minority read");
    for i in 0..100 {
        put(&b, "more", format!("{i}").as_bytes()).await.expect("written"); // a is behind the log by now
    }
    for other in [2, 3] {
        net.heal(peer(1).id, peer(other).id);
    }
    until("a is led again", || a.standing().expect("readable").leader.is_some()).await;
    assert_eq!(get(&a, "more").await, Some(b"99".to_vec()));
    until("all are equal", || hash(&a) == hash(&b) && hash(&b) == hash(&c)).await;
    for member in [&a, &b, &c] {
        member.close().await;
    }
    let left = std::fs::read_dir(folders[0].path()).expect("a folder").map(|file| file.expect("a file").file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["lock", "member.json", "mesh-0.log", "mesh.redb"], "spools are gone");
}

/// Three members of whom two do not reach each other would stand still as soon as the third is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_for_whom_all_voters_reach() {
    let net = MemoryNet::new(5);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let a = founder(&net, folders[0].path()).await;
    let (id_b, b) = join(&net, folders[1].path(), 2).await;
    until("b has a vote", || voters(&a) == 2).await;
    net.cut(peer(2).id, peer(3).id);
    let (id_c, c) = join(&net, folders[2].path(), 3).await;
    let is_started = || a.members().iter().any(|member| member.id == id_c && member.name == "m3");
    until("c has said its name", is_started).await;
    put(&c, "key", b"1").await.expect("written by a learner");
    let refused = loop {
        match a.change_members(MemberChange::Promote(id_c)).await {
            Ok(Err(EtcdError::LearnerNotReady)) => tokio::time::sleep(Duration::from_millis(20)).await, // it catches up
            other => break other,
        }
    };
    let Err(MeshError::Membership { reason }) = refused else { panic!("{refused:?}") };
    let both = [format!("member {id_c:x} gets a vote when"), format!("{id_b:x} does not")];
    assert!(both.iter().all(|part| reason.contains(part)), "{reason}");
    assert_eq!(voters(&a), 2);
    net.heal(peer(2).id, peer(3).id);
    until("c has a vote", || voters(&b) == 3).await;
    for other in [2, 3] {
        net.cut(peer(1).id, peer(other).id);
    }
    until("another one leads", || b.leader().is_some_and(|id| id != 1) && b.leader() == c.leader()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_returns_and_is_no_cluster_of_one_any_more() {
    let net = MemoryNet::new(2);
    let folder = tempfile::tempdir().expect("a folder");
    let a = founder(&net, folder.path()).await;
    put(&a, "key", b"1").await.expect("written");
    a.close().await;
    drop(a);
    let store = opened(folder.path()).await;
    assert!(matches!(Single::start(store), Err(MeshError::NotAlone { .. })));
    let a = founder(&net, folder.path()).await;
    assert_eq!(get(&a, "key").await, Some(b"1".to_vec()));
    let reply =
        crate::common::apply(a.store(), &Op::Range(RangeRequest { key: b"key".to_vec(), ..RangeRequest::default() }));
    assert!(matches!(reply, Ok(Reply::Range(range)) if range.kvs[0].mod_revision == 2));
}

/// Whichever member is asked about a lease, its leader answers; and none that leads no more.
/// etcd#17642: a leader that was being replaced said that a lease has 292 years left.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_kept_alive_through_any_member() {
    let net = MemoryNet::new(3);
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let a = founder(&net, folders[0].path()).await;
    let (id_b, b) = join(&net, folders[1].path(), 2).await;
    let (id_c, c) = join(&net, folders[2].path(), 3).await;
    assert!(id_b < id_c);
    until("all have votes", || [&a, &b, &c].into_iter().all(|member| voters(member) == 3)).await;
    for (id, ttl) in [(7, 100), (8, 2)] {
        b.propose(kv::entry(Request::Grant(LeaseGrantRequest { id, ttl }))).await.expect("granted");
        let held = PutRequest { key: id.to_string().into(), lease: id, ..PutRequest::default() };
        c.propose(kv::entry(Request::Put(held))).await.expect("written");
    }
    let whole = Some(LeaseTime { granted_s: 100, remaining_s: 100 });
    for member in [&a, &b, &c] {
        assert_eq!(member.lease(LeaseAsk::Renew(7)).await.expect("a leader"), whole);
        let left = member.lease(LeaseAsk::TimeToLive(7)).await.expect("a leader").expect("there");
        assert!(left.granted_s == 100 && (40..=100).contains(&left.remaining_s), "{left:?}");
        assert_eq!(member.lease(LeaseAsk::Renew(9)).await.expect("a leader"), None);
    }
    for other in [2, 3] {
        net.cut(peer(1).id, peer(other).id);
    }
    until("another one leads", || b.leader().is_some_and(|id| id != 1) && b.leader() == c.leader()).await;
    assert!(matches!(a.lease(LeaseAsk::Renew(7)).await, Err(MeshError::NoLeader { .. })), "a minority renewed");
    assert!(
        matches!(a.lease(LeaseAsk::TimeToLive(7)).await, Err(MeshError::NoLeader { .. })),
        "a minority knew the time"
    );
    assert_eq!(c.lease(LeaseAsk::Renew(7)).await.expect("a leader"), whole);
    while get(&c, "8").await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(b.lease(LeaseAsk::Renew(8)).await.expect("a leader"), None);
    assert!(get(&b, "7").await.is_some());
    for member in [&a, &b, &c] {
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_meant_for_a_member_is_refused() {
    let net = MemoryNet::new(3);
    let folder = tempfile::tempdir().expect("a folder");
    let a = founder(&net, folder.path()).await;
    until("a knows its own seat", || a.members()[0].peers.first() == seat(1).url().as_ref()).await;
    let cluster = a.store().owner().cluster;
    let stranger = net.endpoint(peer(9).id, peer(9).addr);
    let ask = |cluster: u64, from: u64, to: u64, question: &[u8]| {
        let mut bytes = vec![1];
        for (tag, number) in [(0x08_u8, cluster), (0x10, from), (0x18, to)] {
            bytes.push(tag);
            let mut rest = number;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        bytes.extend(question);
        bytes
    };
    let read_index = [0x52, 0x00];
    for (name, bytes, code) in [
        ("garbage", vec![0xff; 40], 1),
        ("nothing", Vec::new(), 1),
        ("a later format", vec![2, 0], 1),
        ("half a message", vec![1, 0x52, 0x7f], 1),
        ("no question", ask(cluster, 9, 1, &[]), 1),
        ("another cluster", ask(cluster + 1, 9, 1, &read_index), 2),
        ("another member", ask(cluster, 9, 5, &read_index), 2),
        ("the member's id from another identity", ask(cluster, 1, 1, &read_index), 2),
    ] {
        match stranger.request(peer(1), MESH_TOPIC, &bytes).await {
            Err(WireError::Failed { code: found, .. }) => assert_eq!(found, code, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let mut rng = mayfly_base::Rng::new(4);
    for _ in 0..2_000 {
        let mut bytes = ask(cluster, 9, 1, &[]);
        bytes.extend((0..rng.below(60)).map(|_| rng.next_u64() as u8));
        let _ = stranger.request(peer(1), MESH_TOPIC, &bytes).await;
    }
    put(&a, "key", b"1").await.expect("it goes on");
}

/// One of two voters, and the id of the other one, which is away: a test says what that one would say.
async fn left_alone(net: &MemoryNet, folders: &[tempfile::TempDir; 2]) -> (Member, u64) {
    let a = founder(net, folders[0].path()).await;
    let (id_b, b) = join(net, folders[1].path(), 2).await;
    until("b has a vote", || voters(&a) == 2).await;
    put(&b, "key", b"1").await.expect("written");
    b.close().await;
    (a, id_b)
}

/// openraft#1795: a leader that could not read its log sent entries as if nothing came before them, and its follower wrote them behind a gap.
#[tokio::test(flavor = "multi_thread")]
async fn entries_behind_a_gap_are_refused() {
    use mayfly_mesh::proto::linkpb::ask::Question;
    use mayfly_mesh::proto::linkpb::{Append, Ask, LogEntry, Vote};
    use mayfly_mesh::proto::meshpb::EntryId;
    use prost::Message;
    let net = MemoryNet::new(4);
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let (a, id_b) = left_alone(&net, &folders).await;
    let before = (hash(&a), a.store().applied().expect("readable"));
    let link = endpoint(&net, 2); // what b would say
    let entry = kv::entry(Request::Put(PutRequest { key: b"key".to_vec(), ..PutRequest::default() })).encode();
    let at = |index| EntryId { index, term: 50 };
    for (name, before, indexes) in
        [("behind nothing", None, [90, 91]), ("further on", Some(at(80)), [90, 91]), ("within", None, [1, 3])]
    {
        let entries = indexes.map(|index| LogEntry { id: Some(at(index)), entry: entry.clone() }).into();
        let vote = Some(Vote { term: 50, member: id_b, elected: true });
        let append = Question::Append(Append { vote, before, entries, committed: None });
        let ask = Ask { cluster: a.store().owner().cluster, from: id_b, to: 1, question: Some(append) };
        match link.request(peer(1), MESH_TOPIC, &[vec![1], ask.encode_to_vec()].concat()).await {
            Err(WireError::Failed { code, .. }) => assert_eq!(code, 1, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!((hash(&a), a.store().applied().expect("readable")), before);
    drop(link);
    let b = start(endpoint(&net, 2), opened(folders[1].path()).await, 2).await;
    until("there is a leader", || a.leader().is_some() && a.leader() == b.leader()).await;
    put(&a, "key", b"2").await.expect("it goes on");
    assert_eq!(get(&b, "key").await, Some(b"2".to_vec()));
    for member in [&a, &b] {
        member.close().await;
    }
}

/// A leader that streams entries anew, since the members have changed, may offer a snapshot of what has come with the streams before.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_entries_that_are_here_is_not_taken() {
    use mayfly_mesh::proto::linkpb::ask::Question;
    use mayfly_mesh::proto::linkpb::{Append, Ask, Chunk, LogEntry, Taken, Told, Vote, told::Answer};
    use mayfly_mesh::proto::meshpb::{EntryId, StoredMembership};
    use prost::Message;
    let net = MemoryNet::new(4);
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let (a, id_b) = left_alone(&net, &folders).await;
    let last = a.store().applied().expect("readable");
    let link = endpoint(&net, 2); // what b would say
    let vote = Some(Vote { term: 50, member: id_b, elected: true });
    let ask = async |question| {
        let ask = Ask { cluster: a.store().owner().cluster, from: id_b, to: 1, question: Some(question) };
        let told = link.request(peer(1), MESH_TOPIC, &[vec![1], ask.encode_to_vec()].concat()).await.expect("answered");
        Told::decode(&told[1..]).expect("readable").answer
    };
    let entry = kv::entry(Request::Put(PutRequest { key: b"key".to_vec(), ..PutRequest::default() })).encode();
    let at = |more| EntryId { index: last.index + more, term: 50 };
    let entries = [1, 2].map(|more| LogEntry { id: Some(at(more)), entry: entry.clone() }).into();
    let before = Some(EntryId { index: last.index, term: last.term });
    let appended = ask(Question::Append(Append { vote, before, entries, committed: None })).await;
    assert!(matches!(appended, Some(Answer::Appended(_))), "{appended:?}");
    let chunk = |more| Chunk {
        vote,
        at: Some(at(more)),
        hash: vec![0; 32],
        length: 100,
        offset: 0,
        bytes: vec![0; 10],
        membership: Some(StoredMembership::default()),
    };
    for (more, here) in [(1, 100), (2, 100), (3, 10)] {
        let taken = ask(Question::Chunk(chunk(more))).await;
        assert_eq!(taken, Some(Answer::Taken(Taken { vote, length: here })), "{more} behind what is applied");
    }
    a.close().await;
}

#[cfg(feature = "config")]
type Settings = mayfly_mesh::MeshConfig<Member>;

/// Three members with votes, and settings of each.
#[cfg(feature = "config")]
async fn three_with_settings(net: &MemoryNet, folders: &[tempfile::TempDir; 3]) -> ([Member; 3], [Settings; 3]) {
    let a = founder(net, folders[0].path()).await;
    let (_, b) = join(net, folders[1].path(), 2).await;
    let (_, c) = join(net, folders[2].path(), 3).await;
    until("all have votes", || [&a, &b, &c].into_iter().all(|member| voters(member) == 3)).await;
    let [of_a, of_b, of_c] = [&a, &b, &c].map(|member| mayfly_mesh::MeshConfig::open(member, "c/"));
    let all = [of_a.await.expect("readable"), of_b.await.expect("readable"), of_c.await.expect("readable")];
    ([a, b, c], all)
}

#[cfg(feature = "config")]
fn number(settings: &Settings) -> Option<u64> {
    settings.config().get::<u64>("n").expect("a number").map(|n| *n)
}

#[cfg(feature = "config")]
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_three_members_are_written_through_any_of_them() {
    use mayfly_config::{ConfigError, Expect};
    use mayfly_mesh::MeshConfigError;
    let (net, folders) = (MemoryNet::new(7), [(); 3].map(|()| tempfile::tempdir().expect("a folder")));
    let (members, all) = three_with_settings(&net, &folders).await;
    for n in 0..30 {
        let expect = all[n % 3].config().version("n").map_or(Expect::Absent, |version| Expect::At(version.revision()));
        all[n % 3].compare_and_set("n", expect, &n).await.expect("written");
        assert_eq!(number(&all[n % 3]), Some(n as u64), "its own write");
        all[(n + 1) % 3].sync().await.expect("a majority");
        assert_eq!(number(&all[(n + 1) % 3]), Some(n as u64), "another's write");
    }
    // The same revisions everywhere: what one has read, another one may expect.
    all[2].sync().await.expect("a majority");
    let read = all[2].config().version("n").expect("there").revision();
    all[1].compare_and_set("n", Expect::At(read), &30).await.expect("written");
    let stale = all[0].compare_and_set("n", Expect::At(read), &31).await;
    assert!(matches!(stale, Err(MeshConfigError::Config(ConfigError::Conflict { .. }))), "{stale:?}");
    // A node that ends says so, and its settings are what they were.
    all[1].sync().await.expect("a majority");
    members[1].close().await;
    until("it is told", || all[1].ended().is_some()).await;
    assert_eq!(number(&all[1]), Some(30));
    for settings in all {
        settings.close().await;
    }
}

/// One that is cut off goes on reading, and comes back past a log and a history that are gone.
#[cfg(feature = "config")]
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_member_that_was_cut_off() {
    use mayfly_config::Lagged;
    use mayfly_mesh::MeshConfigError;
    use mayfly_mesh::proto::etcdserverpb::CompactionRequest;
    let (net, folders) = (MemoryNet::new(8), [(); 3].map(|()| tempfile::tempdir().expect("a folder")));
    let ([a, b, c], all) = three_with_settings(&net, &folders).await;
    all[1].set("n", &30).await.expect("written");
    all[0].sync().await.expect("a majority");
    let mut watch = all[0].config().watch_prefix("");
    for other in [2, 3] {
        net.cut(peer(1).id, peer(other).id);
    }
    until("another one leads", || b.leader().is_some_and(|id| id != 1) && b.leader() == c.leader()).await;
    let lost = |e: &MeshConfigError| matches!(e, MeshConfigError::Mesh(MeshError::NoLeader { .. }));
    assert!(all[0].set("n", &0).await.as_ref().is_err_and(lost) && all[0].sync().await.as_ref().is_err_and(lost));
    assert_eq!(number(&all[0]), Some(30), "it reads what it has");
    for n in 0..120_u64 {
        all[1 + (n % 2) as usize].set(if n % 3 == 0 { "n" } else { "m" }, &n).await.expect("written"); // past the log
    }
    let revision = all[1].sync().await.expect("a majority");
    let compaction = CompactionRequest { revision: revision as i64, physical: true };
    b.propose(kv::entry(Request::Compaction(compaction))).await.expect("done");
    let before = all[0].config().revision();
    for other in [2, 3] {
        net.heal(peer(1).id, peer(other).id);
    }
    while all[0].sync().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(all[0].config().revision() > before && number(&all[0]) == Some(117));
    // Its watcher was told all that it missed, or that it missed something: that hangs on how the member caught up.
    let told = watch.pending().map(|all| all.iter().map(|version| version.revision()).collect::<Vec<_>>());
    match told {
        Ok(told) => assert_eq!(told, (before + 1..=revision).collect::<Vec<_>>()),
        Err(Lagged { resume }) => assert!(resume <= revision + 1 && watch.resync().get::<u64>("n").is_ok()),
    }
    all[2].sync().await.expect("a majority");
    let state = |settings: &Settings| -> Vec<(String, u64)> {
        let snapshot = settings.config().snapshot("");
        snapshot.iter().map(|version| (version.key().to_owned(), version.revision())).collect()
    };
    assert!(state(&all[0]).len() == 2 && all.iter().all(|settings| state(settings) == state(&all[0])));
    for settings in all {
        settings.close().await;
    }
    for member in [&a, &b, &c] {
        member.close().await;
    }
}

/// The log does not grow with the bytes of its entries: its slots are used again.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_cut_by_bytes() {
    let (net, folder) = (MemoryNet::new(1), tempfile::tempdir().expect("a folder"));
    let config = ConsensusConfig { log_bytes: 8 << 20, log_keep_bytes: 2 << 20, ..ConsensusConfig::default() };
    let store = Store::open(folder.path(), modules()).expect("a store");
    let member = Member::start(store, endpoint(&net, 1), seat(1), config, Surroundings::default()).await;
    let member = member.expect("started");
    until("the founder leads", || member.leader() == Some(1)).await;
    let slots = || {
        let names = std::fs::read_dir(folder.path()).expect("a folder").map(|file| file.expect("a file").file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".log")).count()
    };
    let mut most = 0;
    for i in 0..60 {
        put(&member, "key", &vec![i; 1_000_000]).await.expect("written");
        most = most.max(slots());
        tokio::time::sleep(Duration::from_millis(60)).await; // the length is looked at once a second
    }
    assert!(most < 7, "{most} slots of 8 MiB for 60 MB: none was used again");
    member.close().await;
}
