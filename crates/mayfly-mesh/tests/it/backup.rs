//! Backups: what is in one, who signed it, whatever may be wrong with it, and a new mesh from it.

use crate::common::auth::AuthOp;
use crate::common::memory::{Member, endpoint, opened, peer, seat, until, voters};
use crate::common::ops::Op;
use crate::common::served::{Node, channel};
use crate::common::{apply, apply_bytes, auth, seeds};
use mayfly_base::{NodeId, Rng};
use mayfly_mesh::backup::{BackupError, Restored, Seal, Signer, Wish, inspect, restore};
use mayfly_mesh::models::{self, Manifest};
use mayfly_mesh::proto::etcdserverpb::alarm_request::AlarmAction;
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{
    AlarmRequest, AlarmType, LeaseLeasesRequest, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest,
    RangeRequest, RangeResponse, SnapshotRequest, WatchCreateRequest, WatchRequest,
};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::{Checkpoint, Granted, Remains};
use mayfly_mesh::proto::modelspb::{RegisterRequest, Signed, command::Request as ModelCommand};
use mayfly_mesh::{Arrival, ConsensusConfig, Engine, MeshError, Owner, Single, Store, Surroundings, Tag, kv, modules};
use mayfly_wire::{Identity, MemoryNet, PUBLIC_KEY_LEN, SIGNATURE_LEN};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32]).expect("a key")
}

fn put(key: &str, value: &str) -> Op {
    Op::Put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() })
}

/// A store in which there is something of everything.
fn fill(store: &Store, seed: u64) {
    let mut rng = Rng::new(seed);
    for _ in 0..300 {
        let revision = store.read(kv::revision).expect("readable");
        let _ = apply(store, &Op::random(&mut rng, revision)); // it may be refused
    }
    for id in [900, 901] {
        apply(store, &Op::Grant(mayfly_mesh::proto::etcdserverpb::LeaseGrantRequest { id, ttl: 5_000 })).expect("new");
    }
    let granted = store.applied().expect("readable").index;
    let lease = PutRequest { key: "held".into(), lease: 901, ..PutRequest::default() };
    apply(store, &Op::Put(lease)).expect("written");
    let leases = vec![Remains { lease: Some(Granted { id: 901, at: granted }), seconds: 7 }];
    let checkpoint = Checkpoint { term: 1, number: 1, leases };
    apply_bytes(store, &[kv::entry(Request::Checkpoint(checkpoint)).encode()]).expect("applied");
    let user = |name: &str| AuthOp::UserAdd(name.into(), false).command().expect("a change");
    for command in [
        user("root"),
        user("anna"),
        AuthOp::RoleAdd("app".into()).command().expect("a change"),
        AuthOp::GrantRole("anna".into(), "app".into()).command().expect("a change"),
    ] {
        auth::apply(store, command, None).expect("done");
    }
    for version in [1, 2] {
        let manifest = Manifest::new("pumps", version, format!("bytes {version}").as_bytes(), "nobody".into(), 0);
        let signed = Some(Signed { manifest: manifest.write(), ..Signed::default() });
        let request = ModelCommand::Register(RegisterRequest { signed, asked: None });
        apply_bytes(store, &[models::entry(request).encode()]).expect("applied");
    }
    assert!(store.read(|state| models::versions(state, "pumps")).expect("readable").len() == 2);
}

/// What a client gets of a node.
async fn saved(address: SocketAddr) -> Vec<u8> {
    saved_by(address, None).await
}

async fn saved_by(address: SocketAddr, token: Option<&str>) -> Vec<u8> {
    let mut maintenance = MaintenanceClient::new(channel(address).await).max_decoding_message_size(64 << 20);
    let mut stream = maintenance.snapshot(auth::by(token, SnapshotRequest {})).await.expect("a stream").into_inner();
    let mut bytes = Vec::new();
    while let Some(response) = stream.message().await.expect("a message") {
        bytes.extend(&response.blob);
    }
    bytes
}

/// A folder with a file of a node's state, signed or not.
struct Saved {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
    owner: Owner,
}

impl Saved {
    async fn new(fill: impl FnOnce(&Store), signer: Option<Identity>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("node"), modules()).expect("a store");
        fill(&store);
        let owner = store.owner();
        let node = match signer {
            Some(signer) => Node::signing(store, signer).await,
            None => Node::over(store).await,
        };
        let bytes = saved(node.address).await;
        node.stop().await.expect("a good end");
        std::fs::write(folder.path().join("file"), &bytes).expect("written");
        Self { folder, bytes, owner }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// Where a mesh may be made.
    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("mesh")
    }

    /// The state that it was taken of.
    fn store(&self) -> Store {
        Store::open(&self.folder.path().join("node"), modules()).expect("a store")
    }

    fn write(&self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).expect("written");
    }

    fn restore(&self, name: &str) -> Result<Restored, BackupError> {
        self.restore_bumped(name, 0)
    }

    fn restore_bumped(&self, name: &str, bump_revision: u32) -> Result<Restored, BackupError> {
        restore(&self.path(), &self.data(name), &Wish { signer: Signer::Any, bump_revision })
    }
}

/// As whoever wants to be believed would do it.
fn resummed(bytes: &[u8]) -> Vec<u8> {
    let data = &bytes[..bytes.len() - 32];
    [data, &Sha256::digest(data)[..]].concat()
}

/// Where the seal begins and ends.
fn seal_in(bytes: &[u8]) -> (usize, usize) {
    let begin = bytes.windows(6).rposition(|window| window == b"mfseal").expect("a seal");
    let statement = u32::from_be_bytes(bytes[begin + 8..begin + 12].try_into().expect("four bytes")) as usize;
    (begin, begin + 12 + statement + PUBLIC_KEY_LEN + SIGNATURE_LEN)
}

/// With zeros and a sum behind it.
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512) + 32, 0);
    resummed(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_says_what_it_is() {
    let saved = Saved::new(|store| fill(store, 1), Some(identity(1))).await;
    assert_eq!(saved.bytes.len() % 512, 32, "the length that etcdctl looks for");
    assert_eq!(resummed(&saved.bytes), saved.bytes, "the sum that etcdctl looks for");
    let backup = inspect(&saved.path()).expect("it is one");
    let store = saved.store();
    let count = |end: &[u8]| RangeRequest { key: vec![0], range_end: end.to_vec(), ..RangeRequest::default() };
    let keys = store.read(|state| kv::range(state, &count(&[0]))).expect("readable").expect("all").count;
    assert_eq!((backup.cluster, backup.at), (saved.owner.cluster, store.applied().expect("readable")));
    assert_eq!(backup.revision, store.read(kv::revision).expect("readable"));
    assert_eq!((backup.keys, backup.users, backup.roles), (keys as u64, 2, 1));
    assert!(keys > 2 && backup.versions >= backup.keys && !backup.auth_enabled);
    assert_eq!((backup.models, backup.artefacts.len()), (1, 2));
    assert_eq!(backup.artefacts[1].digest, blake3::hash(b"bytes 2").to_hex().as_str());
    assert_eq!(backup.members.iter().map(|member| (member.id, member.is_voter)).collect::<Vec<_>>(), [(1, true)]);
    assert!(backup.padding < 512 && backup.bytes == saved.bytes.len() as u64);
    match backup.seal {
        Seal::Good { signer, member, .. } => assert_eq!((signer, member), (identity(1).id(), 1)),
        other => panic!("{other:?}"),
    }
}

/// Any bit: the file is refused, or its signature is wrong. That is so even where its sum was made anew.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_is_noticed() {
    let saved = Saved::new(|store| fill(store, 2), Some(identity(1))).await;
    let good = &saved.bytes;
    let data = good.len() - 32;
    let mut rng = Rng::new(7);
    // Every byte of the seal's head and statement, and some of all others.
    let (seal, _) = seal_in(good);
    let places = (seal..seal + 400).chain((0..40).map(|i| data - 1 - i)).collect::<Vec<_>>();
    let random = (0..seeds(400)).map(|_| rng.below(data as u64) as usize).collect::<Vec<_>>();
    for place in places.into_iter().chain(random) {
        let mut bad = good.clone();
        bad[place] ^= 1 << rng.below(8);
        saved.write(&bad);
        match inspect(&saved.path()) {
            Err(BackupError::Foreign { .. } | BackupError::NewerFormat { .. }) if place < 8 => {}
            Err(BackupError::Damaged { what, .. }) => assert!(place < 8 || what.contains("SHA-256"), "{place}: {what}"),
            other => panic!("byte {place} of {data}: {other:?}"),
        }
        saved.write(&resummed(&bad));
        match inspect(&saved.path()) {
            Err(BackupError::Damaged { .. } | BackupError::Foreign { .. } | BackupError::NewerFormat { .. }) => {}
            Ok(backup) => assert!(matches!(backup.seal, Seal::Wrong { .. }), "byte {place}: {:?}", backup.seal),
            Err(other) => panic!("byte {place} of {data}: {other:?}"),
        }
        let wish = Wish { signer: Signer::Of(&|_: &NodeId| Ok(())), bump_revision: 0 };
        assert!(restore(&saved.path(), &saved.data("never"), &wish).is_err(), "byte {place}");
    }
    assert!(!saved.folder.path().join("never").exists(), "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_snapshot_is_named() {
    let saved = Saved::new(|store| fill(store, 3), Some(identity(1))).await;
    let good = saved.bytes.clone();
    let look = |bytes: &[u8]| {
        saved.write(bytes);
        inspect(&saved.path()).expect_err("it is none")
    };
    for len in [0, 3, 6, 7, 8, 40, (good.len() / 2) | 1, good.len() - 1, good.len() - 31] {
        match look(&good[..len]) {
            BackupError::Cut { bytes, .. } => assert_eq!(bytes, len as u64),
            other => panic!("{len} bytes: {other}"),
        }
    }
    assert_eq!(look(&good[..good.len() - 512]).kind(), "damaged", "of the right length");
    assert_eq!(look(&resummed(&good[..good.len() - 512])).kind(), "damaged", "and with a sum");
    assert_eq!(look(&[&good[..], &[0; 32]].concat()).kind(), "cut", "with something behind it");
    // Behind the state there may be a seal and zeros, and nothing more than a block of these.
    let longer = [&good[..good.len() - 32], &[0; 512], &[0; 32][..]].concat();
    assert!(look(&resummed(&longer)).to_string().contains("no padding"));
    let mut bolt = vec![0; 512 + 32];
    bolt[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    assert!(look(&bolt).to_string().contains("etcdutl"), "{}", look(&bolt));
    assert_eq!(look(b"# a text that is long enough to be something else\n").kind(), "foreign");
    let with = |place: usize, byte: u8| {
        let mut other = good.clone();
        other[place] = byte;
        look(&resummed(&other))
    };
    assert!(matches!(with(7, 6), BackupError::NewerFormat { found: 6, known: 5, .. }));
    assert!(matches!(with(6, 1), BackupError::NewerFormat { found: 261, known: 5, .. }));
    assert!(with(7, 4).to_string().contains("before the first release"));
    let (seal, _) = seal_in(&good);
    assert!(matches!(with(seal + 7, 2), BackupError::NewerFormat { found: 2, known: 1, .. }));
    assert_eq!(inspect(saved.folder.path()).expect_err("a folder").kind(), "foreign");
    assert_eq!(inspect(&saved.folder.path().join("none")).expect_err("nothing").kind(), "unreadable");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signed_is_looked_at() {
    let fill = |store: &Store| drop(apply(store, &put("k", "v")));
    let (signed, bare) = (Saved::new(fill, Some(identity(1))).await, Saved::new(fill, None).await);
    assert_eq!(inspect(&bare.path()).expect("it is one").seal, Seal::Missing);
    let of = |saved: &Saved, may: &dyn Fn(&NodeId) -> Result<(), String>| {
        let wish = Wish { signer: Signer::Of(may), bump_revision: 0 };
        restore(&saved.path(), &saved.data("n"), &wish).map(drop).map_err(|e| e.kind())
    };
    let only = |id: NodeId| move |found: &NodeId| if *found == id { Ok(()) } else { Err("not that one".to_string()) };
    assert_eq!(of(&bare, &|_| Ok(())), Err("unsigned"));
    assert_eq!(of(&signed, &only(identity(2).id())), Err("signer"));
    // Somebody else's seal: a right signature, about another state.
    let other = Saved::new(fill, Some(identity(1))).await;
    let (own, _) = seal_in(&signed.bytes);
    let (begin, end) = seal_in(&other.bytes);
    signed.write(&padded([&signed.bytes[..own], &other.bytes[begin..end]].concat()));
    assert_eq!(of(&signed, &|_| Ok(())), Err("signature"));
    // Without the seal, it is the file of nobody.
    signed.write(&padded(signed.bytes[..own].to_vec()));
    assert_eq!(of(&signed, &|_| Ok(())), Err("unsigned"));
    assert!(!signed.data("n").exists());
    signed.restore("any").expect("asked for by name");
    signed.write(&signed.bytes);
    assert_eq!(of(&signed, &only(identity(1).id())), Ok(()));
}

/// All leases with what there is to know of them, over gRPC.
async fn leases(node: &Node) -> BTreeMap<i64, LeaseTimeToLiveResponse> {
    let mut client = LeaseClient::new(channel(node.address).await);
    let mut all = BTreeMap::new();
    for lease in client.lease_leases(LeaseLeasesRequest {}).await.expect("a list").into_inner().leases {
        let request = LeaseTimeToLiveRequest { id: lease.id, keys: true };
        let time = client.lease_time_to_live(request).await.expect("a time").into_inner();
        all.insert(lease.id, LeaseTimeToLiveResponse { header: None, ..time });
    }
    all
}

fn all_keys(store: &Store) -> RangeResponse {
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    store.read(|state| kv::range(state, &all)).expect("readable").expect("all")
}

/// Keys with all their revisions and history, leases with their keys, users and models are what they were; members and tokens are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_mesh_has_all_that_was_there() {
    for seed in 0..seeds(4) {
        let saved = Saved::new(|store| fill(store, seed), Some(identity(1))).await;
        let Restored { owner, revision, backup } = saved.restore("new").expect("restored");
        assert!(owner.cluster != saved.owner.cluster && owner.member == backup.at.index + 1);
        let (before, after) = (saved.store(), Store::open(&saved.data("new"), modules()).expect("a store"));
        assert_eq!(after.owner(), owner);
        let history = |store: &Store| store.read(|state| kv::hash(state, 0)).expect("readable").expect("a hash");
        assert_eq!(history(&after), history(&before), "seed {seed}: history, revision and what is compacted");
        assert_eq!((all_keys(&after), revision), (all_keys(&before), history(&before).revision));
        let hash = |store: &Store, tag| store.hash(tag).expect("readable").map(|(_, hash)| hash);
        for tag in [Tag::MODELS, Tag::AUTH] {
            assert_eq!(hash(&after, tag), hash(&before, tag), "seed {seed}: {tag:?}");
        }
        assert_eq!(after.bytes_in_use().expect("readable"), after.read(kv::measure).expect("readable"));

        let (old, new) = (Node::over(before).await, Node::over(after).await);
        let (old_leases, new_leases) = (leases(&old).await, leases(&new).await);
        assert!(old_leases[&901].ttl <= 7, "what remained was written down: {:?}", old_leases[&901]);
        assert!(new_leases[&901].ttl > 4_900, "seed {seed}: its time begins anew: {:?}", new_leases[&901]);
        let plain = |leases: BTreeMap<i64, LeaseTimeToLiveResponse>| -> Vec<_> {
            leases.into_values().map(|lease| LeaseTimeToLiveResponse { ttl: 0, ..lease }).collect()
        };
        assert_eq!(plain(new_leases), plain(old_leases));
        // It goes on, and revisions with it.
        let put = kv::entry(Request::Put(PutRequest { key: "next".into(), ..PutRequest::default() }));
        new.engine.propose(put).await.expect("written");
        assert_eq!(new.engine.store().read(kv::revision).expect("readable"), revision + 1);
        for node in [old, new] {
            node.stop().await.expect("a good end");
        }
    }
}

/// Users have their passwords and roles, and log in again: a token of before is none.
#[tokio::test(flavor = "multi_thread")]
async fn users_stay_and_tokens_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node");
    let node = Node::signing(Store::open(&path, modules()).expect("a store"), identity(1)).await;
    let (root, u1) = auth::enable(&mut AuthClient::new(channel(node.address).await)).await;
    let bytes = saved_by(node.address, Some(&root)).await;
    node.stop().await.expect("a good end");
    let (file, data) = (folder.path().join("file"), folder.path().join("n").join("mesh"));
    std::fs::write(&file, bytes).expect("written");
    let backup = inspect(&file).expect("it is one");
    assert_eq!((backup.users, backup.roles, backup.auth_enabled), (2, 1, true));
    restore(&file, &data, &Wish { signer: Signer::Any, bump_revision: 0 }).expect("restored");
    let put = |key: &str| PutRequest { key: key.into(), ..PutRequest::default() };
    for (folder, is_old) in [(&path, true), (&data, false)] {
        let node = Node::over(Store::open(folder, modules()).expect("a store")).await;
        let mut kv = node.client().await;
        let told = kv.put(auth::by(Some(&u1), put("a"))).await.map_err(|status| status.message().to_string());
        let refused = told.map(drop).err();
        assert_eq!(refused.as_deref(), (!is_old).then_some("etcdserver: invalid auth token"), "a token of before");
        let mut client = AuthClient::new(channel(node.address).await);
        let token = auth::log_in(&mut client, "u1", &auth::password("u1")).await.expect("a token");
        kv.put(auth::by(Some(&token), put("a"))).await.expect("written");
        kv.put(auth::by(Some(&token), put("b"))).await.expect_err("not allowed");
        node.stop().await.expect("a good end");
    }
}

/// With a bump, whoever asks for what was before is told that it is gone, whether it was before the snapshot or after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_bump_tells_watchers_to_read_anew() {
    let saved = Saved::new(|store| fill(store, 5), None).await;
    let before = saved.store();
    let was = before.read(kv::revision).expect("readable");
    let keys = all_keys(&before);
    drop(before);
    assert_eq!(saved.restore_bumped("new", 1_000_000).expect("restored").revision, was + 1_000_000);
    let store = Store::open(&saved.data("new"), modules()).expect("a store");
    assert_eq!(all_keys(&store).kvs, keys.kvs, "keys keep their own revisions");
    let node = Node::over(store).await;
    let channel = channel(node.address).await;
    for (start, is_gone) in [(was - 5, true), (was + 999, true), (was + 1_000_001, false)] {
        let create = WatchCreateRequest {
            key: vec![0],
            range_end: vec![0],
            start_revision: start,
            ..WatchCreateRequest::default()
        };
        let ask = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let asks = futures_util::StreamExt::chain(futures_util::stream::iter([ask]), futures_util::stream::pending());
        let mut told = WatchClient::new(channel.clone()).watch(asks).await.expect("a stream").into_inner();
        assert!(told.message().await.expect("told").expect("created").created);
        if is_gone {
            let gone = told.message().await.expect("told").expect("why");
            assert_eq!((gone.canceled, gone.compact_revision), (true, was + 1_000_000), "from {start} on");
        } else {
            node.client().await.put(PutRequest { key: b"k".to_vec(), ..PutRequest::default() }).await.expect("written");
            let event = told.message().await.expect("told").expect("an event").events.remove(0);
            assert_eq!(event.kv.expect("a key").mod_revision, start);
        }
    }
    node.stop().await.expect("a good end");
    // The history that is gone is removed by and by, and nobody can tell how far that has come.
    let store = Store::open(&saved.data("new"), modules()).expect("a store");
    while store.remove_history().expect("removed") {}
    let mut left = all_keys(&store).kvs;
    left.retain(|kv| kv.key != b"k");
    assert_eq!(left, keys.kvs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_has_a_mesh_is_left_alone() {
    let saved = Saved::new(|store| drop(apply(store, &put("k", "v"))), None).await;
    saved.restore("n").expect("restored");
    let folder = saved.data("n");
    let list = |folder: &Path| {
        let names = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(list(&folder), ["lock", "member.json", "mesh.redb"]);
    assert_eq!(list(folder.parent().expect("a folder")), ["mesh"], "nothing is left beside it");
    let member = std::fs::read(folder.join("member.json")).expect("read");
    let occupied = |error: BackupError| matches!(error, BackupError::Mesh(MeshError::Occupied { .. }));
    assert!(occupied(saved.restore("n").expect_err("it has one")));
    assert_eq!(std::fs::read(folder.join("member.json")).expect("read"), member);
    // Whatever lies there may be somebody's.
    std::fs::create_dir_all(saved.data("m")).expect("made");
    std::fs::write(saved.data("m").join("mesh-0.log"), b"x").expect("written");
    assert!(occupied(saved.restore("m").expect_err("something is there")));

    // What a restore that was killed has left is no mesh, and is cleared; one that is under way is not disturbed.
    let making = saved.folder.path().join("k").join("mesh.restoring");
    std::fs::create_dir_all(&making).expect("made");
    for name in ["mesh.redb", "member.json", "lock"] {
        std::fs::write(making.join(name), b"half").expect("written");
    }
    let lock = std::fs::File::open(making.join("lock")).expect("opened");
    lock.lock().expect("locked");
    assert!(matches!(saved.restore("k"), Err(BackupError::Mesh(MeshError::InUse { .. }))));
    lock.unlock().expect("unlocked");
    std::fs::create_dir(saved.data("k")).expect("an empty one is in nobody's way");
    saved.restore("k").expect("restored");
    assert_eq!(list(saved.data("k").parent().expect("a folder")), ["mesh"]);
    drop(Store::open(&saved.data("k"), modules()).expect("a store"));
}

/// Alarms about members that are no more are gone; those about the state are not.
#[tokio::test(flavor = "multi_thread")]
async fn alarms_are_those_of_the_new_member() {
    let raise = |store: &Store, member_id, alarm: AlarmType| {
        let request = AlarmRequest { action: AlarmAction::Activate.into(), member_id, alarm: alarm.into() };
        apply_bytes(store, &[kv::entry(Request::Alarm(request)).encode()]).expect("applied");
    };
    for (own, want) in [(false, vec![AlarmType::Nospace]), (true, vec![AlarmType::Nospace, AlarmType::Corrupt])] {
        let saved = Saved::new(
            |store| {
                raise(store, 9, AlarmType::Nospace);
                raise(store, 9, AlarmType::Corrupt);
                if own {
                    raise(store, 1, AlarmType::Corrupt);
                }
            },
            Some(identity(1)),
        )
        .await;
        let owner = saved.restore("n").expect("restored").owner;
        let store = Store::open(&saved.data("n"), modules()).expect("a store");
        let alarms = store.read(kv::alarms).expect("readable");
        let found: Vec<_> = alarms.iter().map(|alarm| (alarm.member_id, alarm.alarm())).collect();
        assert_eq!(found, want.into_iter().map(|kind| (owner.member, kind)).collect::<Vec<_>>());
    }
}

async fn start(net: &MemoryNet, store: Store, place: u8) -> Member {
    let (config, around) = (ConsensusConfig::default(), Surroundings::default());
    Member::start(store, endpoint(net, place), seat(place), config, around).await.expect("started")
}

/// The restored member leads, others join, and all have the same; also after it was restarted.
#[tokio::test(flavor = "multi_thread")]
async fn others_join_a_restored_mesh() {
    let saved = Saved::new(|store| fill(store, 6), Some(identity(1))).await;
    let owner = saved.restore("a").expect("restored").owner;
    let net = MemoryNet::new(1);
    let a = start(&net, Store::open(&saved.data("a"), modules()).expect("a store"), 1).await;
    until("it leads", || a.leader() == Some(owner.member)).await;
    let endpoint = endpoint(&net, 2);
    let given = Member::join(&endpoint, &[peer(1)], &seat(2), Arrival::First).await.expect("let in").expect("led");
    assert!(given.cluster == owner.cluster && given.member > owner.member, "{given:?}");
    drop(endpoint);
    let b = start(&net, Store::join(&saved.data("b"), given, modules()).expect("a store"), 2).await;
    until("both have votes", || voters(&a) == 2 && voters(&b) == 2).await;
    let put = PutRequest { key: b"k".to_vec(), ..PutRequest::default() };
    b.propose(kv::entry(Request::Put(put))).await.expect("written");
    let hash = |member: &Member| member.store().hash_of_all().expect("readable");
    until("all are equal", || hash(&a) == hash(&b)).await;
    a.close().await;
    drop(a);
    let store = opened(&saved.data("a")).await;
    assert!(matches!(Single::start(store), Err(MeshError::NotAlone { .. })), "it keeps a log by now");
    let a = start(&net, Store::open(&saved.data("a"), modules()).expect("a store"), 1).await;
    until("somebody leads", || a.leader().is_some() && hash(&a) == hash(&b)).await;
    for member in [a, b] {
        member.close().await;
    }
}
