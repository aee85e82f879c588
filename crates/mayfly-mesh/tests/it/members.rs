//! Members come, go, return, and are found elsewhere.

use crate::common::memory::{Member as Mesh, opened, peer, seat, until, voters};
use mayfly_base::NodeId;
use mayfly_mesh::proto::etcdserverpb::PutRequest;
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::{
    Arrival, ConsensusConfig, Engine, EtcdError, MemberChange, MeshError, Owner, Seat, Store, Surroundings, Tag, kv,
    modules,
};
use mayfly_wire::{MemoryEndpoint, MemoryNet, Peer};
use std::time::Duration;
use tempfile::TempDir;

fn url(place: u8) -> Vec<String> {
    seat(place).url().into_iter().collect()
}

/// A member and where it lives.
struct Member {
    mesh: Mesh,
    id: u64,
    place: u8,
    folder: TempDir,
}

struct Cluster {
    net: MemoryNet,
    members: Vec<Member>,
}

async fn start_on(endpoint: MemoryEndpoint, store: Store, seat: Seat) -> Result<Mesh, MeshError> {
    let config = ConsensusConfig { log_cut_every: 50, log_keep: 10, ..ConsensusConfig::default() };
    Mesh::start(store, endpoint, seat, config, Surroundings::default()).await
}

impl Cluster {
    async fn of(size: u8) -> Self {
        let mut cluster = Self { net: MemoryNet::new(7), members: Vec::new() };
        let folder = tempfile::tempdir().expect("a folder");
        let mesh = start_on(cluster.endpoint(1), opened(folder.path()).await, seat(1)).await.expect("started");
        cluster.members.push(Member { mesh, id: 1, place: 1, folder });
        for place in 2..=size {
            cluster.join(place).await;
        }
        let wanted = usize::from(size.min(7));
        until("all have votes", || cluster.members.iter().all(|member| voters(&member.mesh) == wanted)).await;
        cluster
    }

    fn endpoint(&self, place: u8) -> MemoryEndpoint {
        self.net.endpoint(peer(place).id, peer(place).addr)
    }

    /// Asks until somebody leads.
    async fn admitted(&self, endpoint: &MemoryEndpoint, place: u8, arrival: Arrival) -> Result<Owner, MeshError> {
        let all: Vec<Peer> = self.members.iter().map(|member| peer(member.place)).rev().collect();
        for _ in 0..200 {
            match Mesh::join(endpoint, &all, &seat(place), arrival).await? {
                Some(owner) => return Ok(owner),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("nobody lets it in");
    }

    async fn join(&mut self, place: u8) {
        let endpoint = self.endpoint(place);
        let owner = self.admitted(&endpoint, place, Arrival::First).await.expect("let in");
        assert_eq!(self.admitted(&endpoint, place, Arrival::First).await, Ok(owner), "asked twice before it started");
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::join(folder.path(), owner, modules()).expect("a store");
        let mesh = start_on(endpoint, store, seat(place)).await.expect("started");
        self.members.push(Member { mesh, id: owner.member, place, folder });
    }

    fn leader(&self) -> &Member {
        let leads = |member: &&Member| member.mesh.leader() == Some(member.id);
        self.members.iter().find(leads).expect("a leader")
    }

    fn follower(&self) -> &Member {
        let follows = |member: &&Member| member.mesh.leader() != Some(member.id);
        self.members.iter().find(follows).expect("a follower")
    }

    /// Closes a follower; gives its id, its place and its state.
    async fn close_follower(&mut self) -> (u64, u8, TempDir) {
        let id = self.follower().id;
        let at = self.members.iter().position(|member| member.id == id).expect("it is there");
        let Member { mesh, place, folder, .. } = self.members.remove(at);
        mesh.close().await;
        (id, place, folder)
    }

    async fn are_equal(&self) {
        let hash =
            |member: &Member| [Tag::KV, Tag::CLUSTER].map(|tag| member.mesh.store().hash(tag).expect("readable"));
        until("all are equal", || self.members.iter().all(|member| hash(member) == hash(&self.members[0]))).await;
    }
}

async fn try_put(mesh: &Mesh, value: &str) -> Result<Vec<u8>, MeshError> {
    let put = PutRequest { key: "key".into(), value: value.into(), ..PutRequest::default() };
    mesh.propose(kv::entry(Request::Put(put))).await
}

async fn put(mesh: &Mesh, value: &str) {
    try_put(mesh, value).await.expect("written");
}

async fn change(mesh: &Mesh, change: MemberChange) -> Result<u64, EtcdError> {
    mesh.change_members(change).await.expect("answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_in_etcds_words() {
    let cluster = Cluster::of(3).await;
    for member in [cluster.leader(), cluster.follower()] {
        let mesh = &member.mesh;
        let add = |peers: Vec<String>| MemberChange::Add { peers, wants_vote: true };
        for bad in [vec![], vec!["http://10.0.0.9:1".into()], [url(8), url(9)].concat()] {
            assert_eq!(change(mesh, add(bad)).await, Err(EtcdError::MemberBadUrls));
        }
        assert_eq!(change(mesh, add(url(2))).await, Err(EtcdError::PeerUrlExists));
        let elsewhere = Seat { peer: Some(Peer { id: NodeId([9; 32]), ..peer(3) }), ..Seat::default() };
        assert_eq!(change(mesh, add(elsewhere.url().into_iter().collect())).await, Err(EtcdError::PeerUrlExists));
        assert_eq!(change(mesh, MemberChange::Promote(99)).await, Err(EtcdError::MemberNotFound));
        assert_eq!(change(mesh, MemberChange::Promote(1)).await, Err(EtcdError::MemberNotLearner));
        assert_eq!(change(mesh, MemberChange::Remove(99)).await, Err(EtcdError::MemberNotFound));
        assert_eq!(change(mesh, MemberChange::Update(99, url(9))).await, Err(EtcdError::MemberNotFound));
        assert_eq!(change(mesh, MemberChange::Update(1, url(2))).await, Err(EtcdError::PeerUrlExists));
        assert_eq!(change(mesh, MemberChange::Update(1, vec!["nonsense".into()])).await, Err(EtcdError::MemberBadUrls));
    }
    let never =
        change(&cluster.follower().mesh, MemberChange::Add { peers: url(9), wants_vote: true }).await.expect("added");
    assert_eq!(change(&cluster.leader().mesh, MemberChange::Promote(never)).await, Err(EtcdError::LearnerNotReady));
    assert_eq!(change(&cluster.leader().mesh, MemberChange::Remove(never)).await, Ok(never));
    assert_eq!(change(&cluster.leader().mesh, MemberChange::Remove(never)).await, Err(EtcdError::MemberNotFound));

    // One of three is gone: without another one, the third could decide nothing.
    let (leader, follower) = (cluster.leader(), cluster.follower());
    let gone = cluster.members.iter().find(|member| ![leader.id, follower.id].contains(&member.id)).expect("a third");
    gone.mesh.close().await;
    tokio::time::sleep(Duration::from_secs(2)).await; // until it is missed
    assert_eq!(change(&leader.mesh, MemberChange::Remove(follower.id)).await, Err(EtcdError::UnhealthyCluster));
    assert_eq!(change(&follower.mesh, MemberChange::Remove(gone.id)).await, Ok(gone.id), "the one that is away may go");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_voter_stays() {
    let cluster = Cluster::of(1).await;
    assert_eq!(change(&cluster.members[0].mesh, MemberChange::Remove(1)).await, Err(EtcdError::NotEnoughStarted));
    tokio::time::sleep(Duration::from_secs(2)).await; // longer than without a majority
    assert_eq!(cluster.members[0].mesh.standing().expect("readable").leader, Some(1));
}

/// Who hears from no majority says that nobody leads, whether it led or followed; and that somebody does, once that is so again.
#[tokio::test(flavor = "multi_thread")]
async fn a_minority_knows_no_leader() {
    let cluster = Cluster::of(3).await;
    let leads = |member: &Member| member.mesh.standing().expect("readable").leader;
    let (leader, follower) = (cluster.leader(), cluster.follower());
    assert!(leads(leader) == Some(leader.id) && leads(follower) == Some(leader.id));
    for cut in [leader, follower] {
        let others = cluster.members.iter().filter(|other| other.id != cut.id);
        others.clone().for_each(|other| cluster.net.cut(peer(cut.place).id, peer(other.place).id));
        until("it knows no leader", || leads(cut).is_none()).await;
        refuses_at_once(cut).await;
        until("the others have one", || others.clone().all(|other| leads(other).is_some())).await;
        others.clone().for_each(|other| cluster.net.heal(peer(cut.place).id, peer(other.place).id));
        until("all have one", || cluster.members.iter().all(|member| leads(member).is_some())).await;
    }
}

/// Clients of a member that is cut off are to ask another one, and not to wait for an election each time.
async fn refuses_at_once(member: &Member) {
    let refused = async {
        for _ in 0..100 {
            let written = try_put(&member.mesh, "alone").await;
            assert!(matches!(written, Err(MeshError::NoLeader { .. } | MeshError::Unsure { .. })), "{written:?}");
            let read = member.mesh.read_barrier().await;
            assert!(matches!(read, Err(MeshError::NoLeader { .. })), "{read:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused)
        .await
        .expect("two hundred refusals, not two hundred elections");
}

/// Who is taken out lets another one lead first, ends, and does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_out_ends_for_ever() {
    let mut cluster = Cluster::of(3).await;
    put(&cluster.leader().mesh, "1").await;
    let (leader, asked) = (cluster.leader().id, cluster.follower().id);
    assert_eq!(change(&cluster.follower().mesh, MemberChange::Remove(leader)).await, Ok(leader));
    let at = cluster.members.iter().position(|member| member.id == leader).expect("it was there");
    let gone = cluster.members.remove(at);
    assert_eq!(gone.mesh.ended().await, MeshError::Removed { member: leader });
    until("two are left", || cluster.members.iter().all(|member| member.mesh.members().len() == 2)).await;
    let left = cluster.members.iter().find(|member| member.id == asked).expect("it is there");
    put(&left.mesh, "2").await;
    cluster.are_equal().await;

    // Started again, it is told by the others or by its own state; either way, it ends.
    let Member { mesh, place, folder, .. } = gone;
    mesh.close().await;
    drop(mesh);
    match start_on(cluster.endpoint(place), opened(folder.path()).await, seat(place)).await {
        Ok(mesh) => assert_eq!(mesh.ended().await, MeshError::Removed { member: leader }),
        Err(error) => assert_eq!(error, MeshError::Removed { member: leader }),
    }
    put(&cluster.members[0].mesh, "3").await;
    cluster.are_equal().await;
}

/// Who was away when it was taken out is told when it returns.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_taken_out_while_away_is_told() {
    let mut cluster = Cluster::of(3).await;
    let (id, place, folder) = cluster.close_follower().await;
    assert_eq!(change(&cluster.members[0].mesh, MemberChange::Remove(id)).await, Ok(id));
    let mesh =
        start_on(cluster.endpoint(place), opened(folder.path()).await, seat(place)).await.expect("it knows nothing");
    assert_eq!(mesh.ended().await, MeshError::Removed { member: id });
    put(&cluster.members[1].mesh, "goes on").await;
}

/// A wiped disk is a new member; it is not begun anew under its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_its_state_joins_anew() {
    let mut cluster = Cluster::of(3).await;
    put(&cluster.leader().mesh, "1").await;
    let (id, place, folder) = cluster.close_follower().await;
    drop(folder); // with all that was in it
    let endpoint = cluster.endpoint(place);
    let refused = cluster.admitted(&endpoint, place, Arrival::First).await.expect_err("it was started before");
    assert!(matches!(&refused, MeshError::NotAdmitted { reason } if reason.contains("started before")), "{refused}");
    let owner = cluster.admitted(&endpoint, place, Arrival::Anew).await.expect("let in");
    assert!(owner.member > id);
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::join(folder.path(), owner, modules()).expect("a store");
    let mesh = start_on(endpoint, store, seat(place)).await.expect("started");
    cluster.members.push(Member { mesh, id: owner.member, place, folder });
    until("three have votes again", || cluster.members.iter().all(|member| voters(&member.mesh) == 3)).await;
    put(&cluster.members[2].mesh, "2").await;
    cluster.are_equal().await;
    assert!(cluster.members.iter().all(|member| member.mesh.members().iter().all(|other| other.id != id)));
}

/// A member that comes back elsewhere says so, and nobody else can say it for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_found_where_it_went() {
    let mut cluster = Cluster::of(3).await;
    let (id, place, folder) = cluster.close_follower().await;
    let moved = Peer { addr: ([10, 0, 1, place], 2).into(), ..peer(place) };
    let seat = Seat { peer: Some(moved), clients: vec!["http://10.0.1.1:2379".into()], ..seat(place) };
    let want = (seat.url().into_iter().collect::<Vec<_>>(), seat.clients.clone());
    let endpoint = cluster.net.endpoint(moved.id, moved.addr);
    let mesh = start_on(endpoint, opened(folder.path()).await, seat).await.expect("started");
    let is_known = |member: &Member| {
        let members = member.mesh.members();
        members.iter().any(|member| member.id == id && (member.peers.clone(), member.clients.clone()) == want)
    };
    until("all know", || cluster.members.iter().all(is_known)).await;
    put(&mesh, "from there").await;

    let stranger = cluster.endpoint(9);
    let forged = Mesh::join(&stranger, &[peer(cluster.members[0].place)], &self::seat(2), Arrival::First).await;
    assert!(matches!(&forged, Err(MeshError::NotAdmitted { reason }) if reason.contains("another one")), "{forged:?}");
}

/// Votes are for seven; who comes after them learns.
#[tokio::test(flavor = "multi_thread")]
async fn the_eighth_is_a_learner() {
    let mut cluster = Cluster::of(7).await;
    cluster.join(8).await;
    let learner = &cluster.members[7];
    put(&learner.mesh, "through a learner").await;
    cluster.are_equal().await;
    assert_eq!(voters(&learner.mesh), 7);
    let refused = cluster.leader().mesh.change_members(MemberChange::Promote(learner.id)).await.expect_err("too many");
    assert!(matches!(&refused, MeshError::Membership { reason } if reason.contains("7 members")), "{refused}");
    for member in &cluster.members {
        member.mesh.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over() {
    let cluster = Cluster::of(3).await;
    let (leader, follower) = (cluster.leader(), cluster.follower());
    // The change that made the cluster may still be under way at its leader, who then says so.
    let ask = async |mesh: &Mesh, to| {
        for _ in 0..200 {
            match mesh.hand_over(to).await {
                Err(MeshError::NoLeader { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                answer => return answer.expect("answered"),
            }
        }
        panic!("no answer but that there is no leader");
    };
    assert_eq!(ask(&follower.mesh, follower.id).await, Err(EtcdError::NotLeader));
    assert_eq!(ask(&leader.mesh, 99).await, Err(EtcdError::BadLeaderTransferee));
    assert_eq!(ask(&leader.mesh, leader.id).await, Ok(()));
    assert_eq!(ask(&leader.mesh, follower.id).await, Ok(()));
    assert_eq!(cluster.leader().id, follower.id);
    put(&leader.mesh, "after").await;
}

/// Many who come at once, and one that asks twice at the same time, get one seat each.
#[tokio::test(flavor = "multi_thread")]
async fn newcomers_at_once_get_one_seat_each() {
    let cluster = Cluster::of(3).await;
    let mut asked = tokio::task::JoinSet::new();
    let endpoints: Vec<_> = (4..=8).map(|place| std::sync::Arc::new(cluster.endpoint(place))).collect();
    for (place, endpoint) in (4..=8).zip(&endpoints) {
        for via in [1, 2, 3] {
            let endpoint = endpoint.clone();
            asked.spawn(async move {
                for _ in 0..200 {
                    let joined = Mesh::join(&*endpoint, &[peer(via)], &seat(place), Arrival::First).await;
                    if let Some(owner) = joined.expect("let in") {
                        return (place, owner.member);
                    }
                }
                panic!("nobody lets {place} in");
            });
        }
    }
    let mut ids = std::collections::BTreeMap::<u8, Vec<u64>>::new();
    while let Some(joined) = asked.join_next().await {
        let (place, id) = joined.expect("no panic");
        ids.entry(place).or_default().push(id);
    }
    for (place, ids) in &ids {
        assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{place}: {ids:?}");
    }
    assert_eq!(cluster.leader().mesh.members().len(), 8);
}

/// Who was to learn does not get a vote by starting, and an identity is not exchanged under a member.
#[tokio::test(flavor = "multi_thread")]
async fn a_learner_waits_to_be_promoted() {
    let mut cluster = Cluster::of(1).await;
    let add = MemberChange::Add { peers: url(2), wants_vote: false };
    let id = change(&cluster.members[0].mesh, add).await.expect("added");
    let endpoint = cluster.endpoint(2);
    let owner = cluster.admitted(&endpoint, 2, Arrival::First).await.expect("let in");
    assert_eq!(owner.member, id);
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::join(folder.path(), owner, modules()).expect("a store");
    let mesh = start_on(endpoint, store, seat(2)).await.expect("started");
    cluster.members.push(Member { mesh, id, place: 2, folder });
    until("it is known to have started", || cluster.members[0].mesh.members()[1].name == "m2").await;
    tokio::time::sleep(Duration::from_secs(1)).await; // five times as long as a vote would take
    assert_eq!(voters(&cluster.members[0].mesh), 1);
    let other = Seat { peer: Some(Peer { id: NodeId([9; 32]), ..peer(2) }), ..Seat::default() };
    let update = MemberChange::Update(id, other.url().into_iter().collect());
    assert_eq!(change(&cluster.members[0].mesh, update).await, Err(EtcdError::MemberBadUrls));
    assert_eq!(change(&cluster.members[1].mesh, MemberChange::Promote(id)).await, Ok(id));
    until("it has a vote", || voters(&cluster.members[1].mesh) == 2).await;

    // Asked to take itself out, it answers before it ends.
    assert_eq!(change(&cluster.members[1].mesh, MemberChange::Remove(id)).await, Ok(id));
    assert_eq!(cluster.members[1].mesh.ended().await, MeshError::Removed { member: id });
    put(&cluster.members[0].mesh, "alone").await;
}

/// A learner that was taken out while it was away asks when it returns, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_learner_that_was_taken_out_while_away_is_told() {
    let mut cluster = Cluster::of(2).await;
    let add = MemberChange::Add { peers: url(3), wants_vote: false };
    let id = change(&cluster.members[0].mesh, add).await.expect("added");
    let endpoint = cluster.endpoint(3);
    let owner = cluster.admitted(&endpoint, 3, Arrival::First).await.expect("let in");
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::join(folder.path(), owner, modules()).expect("a store");
    let mesh = start_on(endpoint, store, seat(3)).await.expect("started");
    until("it is known to have started", || mesh.members().iter().any(|member| member.name == "m3")).await;
    mesh.close().await;
    drop(mesh);
    assert_eq!(change(&cluster.members[1].mesh, MemberChange::Remove(id)).await, Ok(id));
    let mesh = start_on(cluster.endpoint(3), opened(folder.path()).await, seat(3)).await.expect("it knows nothing");
    assert_eq!(mesh.ended().await, MeshError::Removed { member: id });
    cluster.members.clear();
}

/// An id that was given is not given again: not after its member was taken out, not while nobody has it, and not after a restart. Who has another one's id
/// would be taken for it, with all that it had acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_given_once() {
    let mut cluster = Cluster::of(1).await;
    let mut given = vec![1];
    for round in 0..4 {
        let add = MemberChange::Add { peers: url(9), wants_vote: false };
        let id = change(&cluster.members[0].mesh, add).await.expect("added");
        assert!(id > given[given.len() - 1], "{id} after {given:?}");
        given.push(id);
        assert_eq!(change(&cluster.members[0].mesh, MemberChange::Remove(id)).await, Ok(id));
        if round == 1 {
            let Member { mesh, folder, .. } = cluster.members.remove(0);
            mesh.close().await;
            drop(mesh);
            let mesh = start_on(cluster.endpoint(1), opened(folder.path()).await, seat(1)).await.expect("started");
            until("it leads again", || mesh.leader() == Some(1)).await;
            cluster.members.push(Member { mesh, id: 1, place: 1, folder });
        }
    }
}

/// openraft#1808: a member that was cut off went on with a change of members that nobody else had, after a snapshot had taken the place of its log: it
/// counted votes by members that were none.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_lost_with_its_leader_is_forgotten() {
    let cluster = Cluster::of(3).await;
    let (leader, follower) = (cluster.leader(), cluster.follower());
    let others: Vec<&Member> = cluster.members.iter().filter(|member| member.id != leader.id).collect();
    let moved =
        Seat { peer: Some(Peer { addr: ([10, 0, 9, 9], 9).into(), ..peer(follower.place) }), ..Seat::default() };
    let moved: Vec<String> = moved.url().into_iter().collect();
    let knows = |member: &Member| member.mesh.members().iter().any(|other| other.peers == moved);
    others.iter().for_each(|other| cluster.net.cut(peer(leader.place).id, peer(other.place).id));
    let (mesh, update) = (leader.mesh.clone(), MemberChange::Update(follower.id, moved.clone()));
    let lost = tokio::spawn(async move { mesh.change_members(update).await });
    until("the leader of old has the change in its log", || knows(leader)).await;
    until("another one leads", || others.iter().all(|other| other.mesh.leader().is_some_and(|id| id != leader.id)))
        .await;
    for i in 0..150 {
        put(&others[i % 2].mesh, "past the log of the one that is cut off").await;
    }
    others.iter().for_each(|other| cluster.net.heal(peer(leader.place).id, peer(other.place).id));
    cluster.are_equal().await;
    assert!(lost.await.expect("no panic").is_err(), "nobody else had it");
    put(&leader.mesh, "after").await;
    cluster.are_equal().await;
    assert!(!cluster.members.iter().any(knows), "a change that a majority never had");
    assert_eq!(leader.mesh.members(), others[0].mesh.members());
}
