//! A member whose history is not that of the others is found, and serves nobody any more.

use crate::common::disk::Disk;
use crate::common::memory::{Member, peer, seat};
use mayfly_mesh::proto::etcdserverpb::alarm_request::AlarmAction;
use mayfly_mesh::proto::etcdserverpb::{AlarmRequest, AlarmResponse, AlarmType, PutRequest};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::outcome::Response;
use mayfly_mesh::proto::mvccpb::KeyValue;
use mayfly_mesh::{
    Arrival, ConsensusConfig, Engine, Pace, Result, Store, Surroundings, Upkeep, UpkeepConfig, kv, modules,
};
use mayfly_wire::{MemoryEndpoint, MemoryNet};
use prost::Message;
use redb::ReadableTable;
use std::time::{Duration, Instant};

/// tokio's.
#[derive(Clone)]
struct Now(Instant);

impl Pace for Now {
    async fn pause(&self, time: Duration) -> bool {
        tokio::time::sleep(time).await;
        true
    }

    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn aside<T: Send + 'static>(&self, act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        tokio::task::spawn_blocking(act).await.expect("no panic")
    }
}

async fn start(endpoint: MemoryEndpoint, store: Store, place: u8) -> Member {
    let config = ConsensusConfig::default();
    Member::start(store, endpoint, seat(place), config, Surroundings::default()).await.expect("started")
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..1_500 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 30 s: {what}");
}

async fn put(member: &Member, key: &str, value: &str) {
    let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
    member.propose(kv::entry(Request::Put(put))).await.expect("written");
}

async fn alarms(member: &Member) -> Vec<(u64, AlarmType)> {
    let request = AlarmRequest { action: AlarmAction::Get.into(), ..AlarmRequest::default() };
    let outcome = member.propose(kv::entry(Request::Alarm(request))).await.expect("answered");
    match kv::outcome(&outcome).expect("an outcome").expect("not refused") {
        Response::Alarm(AlarmResponse { alarms, .. }) => {
            alarms.into_iter().map(|alarm| (alarm.member_id, alarm.alarm())).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Another value in history, with the sum that it would have had: what a program with an error would have written.
fn falsify(disk: &Disk) {
    let database = redb::Database::builder().create_with_backend(disk.database()).expect("opened");
    let transaction = database.begin_write().expect("begun");
    {
        let history = redb::TableDefinition::<(i64, u32), &[u8]>::new("kv.history");
        let mut table = transaction.open_table(history).expect("a table");
        let record = table.get((2, 0)).expect("read").expect("the first write").value().to_vec();
        let kv = KeyValue { value: b"false".to_vec(), ..KeyValue::decode(&record[8..]).expect("a record") };
        let body = kv.encode_to_vec();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&2_i64.to_be_bytes()).update(&0_u32.to_be_bytes()).update(&body);
        let sealed = [&hasher.finalize().as_bytes()[..8], &body[..]].concat();
        table.insert((2, 0), &sealed[..]).expect("written");
    }
    transaction.commit().expect("committed");
}

/// The leader compares; who differs from the majority is named in an alarm, and the others go on. What is only compacted differently is no difference.
#[tokio::test(flavor = "multi_thread")]
async fn who_differs_is_found() {
    let net = MemoryNet::new(1);
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = |place: u8| net.endpoint(peer(place).id, peer(place).addr);
    let a = start(endpoint(1), Store::open(folder.path(), modules()).expect("a store"), 1).await;
    until("the founder leads", async || a.leader() == Some(1)).await;
    let disks = [Disk::default(), Disk::default()];
    let mut others = Vec::new();
    for (place, disk) in [2, 3].into_iter().zip(&disks) {
        let link = endpoint(place);
        let owner = Member::join(&link, &[peer(1)], &seat(place), Arrival::First).await;
        let owner = owner.expect("let in").expect("somebody leads");
        let store = disk.store(owner).expect("a store");
        others.push((owner, start(link, store, place).await));
    }
    until("all have votes", async || a.members().iter().filter(|member| member.is_voter).count() == 3).await;
    for i in 0..50 {
        put(&a, &format!("key {i}"), "true").await;
    }
    let config = UpkeepConfig { compare_every: Duration::from_millis(200), ..UpkeepConfig::default() };
    let kept = tokio::spawn({
        let upkeep = Upkeep::new(a.clone(), Now(Instant::now()), config);
        async move { upkeep.run().await }
    });
    for i in 0..20 {
        put(&a, &format!("more {i}"), "true").await;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert_eq!(alarms(&a).await, [], "they are the same");

    let (owner, member) = others.pop().expect("two");
    member.close().await;
    drop(member);
    let disk = disks[1].after_kill();
    falsify(&disk);
    let store = disk.store(owner).expect("it opens");
    let member = start(endpoint(3), store, 3).await;
    let want = (owner.member, AlarmType::Corrupt);
    until("it is found", async || alarms(&a).await == [want]).await;
    put(&a, "the others", "go on").await;
    assert_eq!(alarms(&others[0].1).await, [want]);
    kept.abort();
    for member in [&a, &others[0].1, &member] {
        member.close().await;
    }
}
