//! Watchers against the model that keeps every state: what they are told, one after the other, leads from each state to the next; nothing is left out, nothing
//! comes twice, and what compaction took is said.

use crate::common::disk::Disk;
use crate::common::model::{Keys, Model, is_meant};
use crate::common::ops::Op;
use crate::common::{apply, apply_bytes};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::watch_create_request::FilterType;
use mayfly_mesh::proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, WatchCreateRequest, WatchResponse,
};
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::mvccpb::Event;
use mayfly_mesh::proto::mvccpb::event::EventType;
use mayfly_mesh::{Hub, Owner, Store, Watching, kv, modules};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

/// What one watcher asked for, and how far it was told.
struct Follower {
    request: WatchCreateRequest,
    next: i64,
}

impl Follower {
    fn is_meant(&self, key: &[u8]) -> bool {
        is_meant(key, &self.request.key, &self.request.range_end)
    }

    fn wants(&self, kind: EventType) -> bool {
        let filter = if kind == EventType::Put { FilterType::Noput } else { FilterType::Nodelete };
        !self.request.filters.contains(&i32::from(filter))
    }

    /// Checks events against the states, up to a revision.
    fn follow(&mut self, model: &Model, events: &[Event], upto: i64) {
        let mut events = events.iter().peekable();
        for revision in self.next..=upto {
            let (before, after) = (model.at(revision - 1), model.at(revision));
            // A transaction may put a key and delete it: the last event says what is there in the end.
            let mut last: BTreeMap<&[u8], &Event> = BTreeMap::new();
            while let Some(event) = events.next_if(|event| mod_revision(event) == revision) {
                self.check(event, before);
                let earlier = last.insert(&event.kv.as_ref().expect("a key").key, event);
                assert_ne!(earlier, Some(event), "told twice");
            }
            for event in last.values().filter(|event| event.r#type() == EventType::Put) {
                let kv = event.kv.as_ref().expect("a key");
                assert!(after.get(&kv.key).map_or(!self.wants(EventType::Delete), |now| now == kv), "{event:?}");
            }
            for key in before.keys().chain(after.keys()).filter(|key| self.is_meant(key)) {
                let kind = if after.contains_key(key) { EventType::Put } else { EventType::Delete };
                if before.get(key) != after.get(key) && self.wants(kind) {
                    let told = last.get(&key[..]).map(|event| event.r#type());
                    assert_eq!(told, Some(kind), "the change of {key:?} in revision {revision}");
                }
            }
        }
        assert_eq!(events.next(), None, "an event that is not of the revisions {} to {upto}", self.next);
        self.next = self.next.max(upto + 1);
    }

    fn check(&self, event: &Event, before: &Keys) {
        let kv = event.kv.as_ref().expect("a key");
        assert!(self.is_meant(&kv.key) && self.wants(event.r#type()), "{event:?} was not asked for");
        let is_bare = kv.value.is_empty() && kv.version == 0 && kv.create_revision == 0;
        assert!(event.r#type() == EventType::Put || is_bare, "{event:?}");
        let is_new = event.r#type() == EventType::Put && kv.create_revision == kv.mod_revision;
        if let Some(prev) = &event.prev_kv {
            assert!(self.request.prev_kv && !is_new);
            assert_eq!(Some(prev), before.get(&kv.key), "what {event:?} found");
        }
    }
}

fn mod_revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

struct World {
    model: Model,
    watching: Watching,
    followers: BTreeMap<i64, Follower>,
    seen: Seen,
}

/// What the runs came across.
#[derive(Debug, Default)]
struct Seen {
    events: usize,
    compacted: usize,
    prev_kvs: usize,
    progress: usize,
}

impl World {
    fn create(&mut self, rng: &mut Rng) {
        let start = match rng.below(4) {
            0 => 0,
            1 => self.model.revision() + 1 + rng.below(5) as i64,
            _ => 1 + rng.below(self.model.revision() as u64 + 1) as i64,
        };
        let (key, range_end) = [("a", ""), ("b", ""), ("a", "c"), ("", "\0"), ("b", "\0")][rng.below(5) as usize];
        let kinds = [vec![], vec![FilterType::Noput], vec![FilterType::Nodelete], vec![]];
        let filters = kinds[rng.below(4) as usize].iter().map(|filter| i32::from(*filter)).collect();
        let request = WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            start_revision: start,
            filters,
            prev_kv: rng.below(2) == 0,
            progress_notify: rng.below(3) == 0,
            fragment: rng.below(3) == 0,
            ..WatchCreateRequest::default()
        };
        let response = self.watching.create(&request);
        assert!(response.created && !response.canceled, "{response:?}");
        // Revision 1 is the empty store, and 0 none.
        let next = if start == 0 { response.header.expect("a header").revision + 1 } else { start.max(1) };
        let follower = Follower { request, next };
        assert!(self.followers.insert(response.watch_id, follower).is_none(), "an id that is taken");
    }

    fn take(&mut self, response: WatchResponse) {
        let revision = response.header.expect("a header").revision;
        let id = response.watch_id;
        if response.canceled {
            assert_eq!(response.compact_revision, self.model.compacted());
            let gone = self.followers.remove(&id).expect("a watcher");
            assert!(gone.next < response.compact_revision, "nothing that {} needs was compacted", gone.next);
            self.seen.compacted += 1;
            return;
        }
        if response.events.is_empty() {
            // Progress: everything up to there was told.
            let told: Vec<i64> = if id == -1 { self.followers.keys().copied().collect() } else { vec![id] };
            for id in told {
                let follower = self.followers.get_mut(&id).expect("a watcher");
                assert!(revision + 1 >= follower.request.start_revision, "told {revision}, before it begins");
                follower.follow(&self.model, &[], revision);
            }
            self.seen.progress += 1;
            return;
        }
        self.seen.events += response.events.len();
        self.seen.prev_kvs += response.events.iter().filter(|event| event.prev_kv.is_some()).count();
        let last = response.events.last().map_or(0, mod_revision);
        self.followers.get_mut(&id).expect("a watcher").follow(&self.model, &response.events, last);
    }

    /// A client's watchers follow; sometimes the node restarts, and they begin anew where they were.
    fn step(&mut self, seed: u64, store: &Store, hub: &std::sync::Arc<Hub>) {
        let mut rng = Rng::new(seed);
        let op = Op::random(&mut rng, self.model.revision());
        assert_eq!(apply(store, &op), self.model.apply(&op), "{op:#?}");
        if rng.below(3) > 0 {
            hub.advance(store).expect("readable");
        }
        match rng.below(12) {
            0 | 1 => {
                hub.advance(store).expect("readable");
                self.create(&mut rng);
            }
            2 => {
                let id = self.followers.keys().nth(rng.below(self.followers.len() as u64) as usize).copied();
                let answer = id.and_then(|id| self.watching.cancel(id));
                assert_eq!(answer.map(|answer| answer.canceled), id.map(|_| true));
                id.map(|id| self.followers.remove(&id));
            }
            3 => self.watching.ask_progress(),
            4 => self.watching.owe_progress(rng.below(2) == 0),
            _ => {}
        }
        if rng.below(3) == 0 {
            let responses = self.watching.read(store).expect("readable");
            responses.into_iter().for_each(|response| self.take(response));
        }
    }
}

fn run(steps: &[u64], seen: &mut Seen) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let watching = Watching::new(hub.clone());
    let mut world = World { model: Model::new(), watching, followers: BTreeMap::new(), seen: std::mem::take(seen) };
    for seed in steps {
        world.step(*seed, &store, &hub);
    }
    // In the end everyone is told everything, but for those who wait for what is to come: as long as one of them does, the client is not told of progress.
    hub.advance(&store).expect("readable");
    let end = world.model.revision();
    world.followers.retain(|id, follower| {
        let has_begun = follower.request.start_revision <= end + 1;
        has_begun || world.watching.cancel(*id).is_none()
    });
    world.watching.ask_progress();
    for _ in 0..100 {
        let responses = world.watching.read(&store).expect("readable");
        responses.into_iter().for_each(|response| world.take(response));
    }
    let revision = world.model.revision();
    assert!(world.followers.values().all(|follower| follower.next > revision), "not all were told everything");
    assert_eq!(hub.watchers(), world.followers.len());
    *seen = world.seen;
}

/// etcd#17247: a watcher was told changes twice, since transactions were kept in a cache.
#[test]
fn watchers_are_led_from_state_to_state() {
    let mut config = Config::default(); // which reads PROPTEST_CASES
    config.cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config.cases.min(2_000), // each opens a database
        None => 24,
    };
    let mut runner = TestRunner::new(config);
    let steps = prop::collection::vec(any::<u64>(), 1..150);
    let seen = std::cell::RefCell::new(Seen::default());
    let outcome = runner.run(&steps, |steps| {
        run(&steps, &mut seen.borrow_mut());
        Ok(())
    });
    outcome.expect("no difference");
    let Seen { events, compacted, prev_kvs, progress } = seen.into_inner();
    assert!(events > 0 && compacted > 0 && prev_kvs > 0 && progress > 0, "nothing was seen of one of them");
}

fn put(key: &str, value: String) -> Op {
    Op::Put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() })
}

/// A watcher that does not read costs nothing and misses nothing, whatever was written meanwhile; responses have a bound.
/// etcd#15220: a watcher was told that it had everything before it was told the last of it.
#[test]
fn a_slow_watcher_reads_history_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let all = WatchCreateRequest { range_end: vec![0], progress_notify: true, ..WatchCreateRequest::default() };
    let id = watching.create(&all).watch_id;
    for i in 0..40 {
        apply(&store, &put("a", format!("{i}").repeat(50_000))).expect("written");
    }
    hub.advance(&store).expect("readable");
    // How far a watcher is can be said only when it is that far.
    watching.ask_progress();
    watching.owe_progress(true);
    let (mut revisions, mut pieces, mut progress) = (Vec::new(), 0, Vec::new());
    loop {
        let responses = watching.read(&store).expect("readable");
        if responses.is_empty() {
            break;
        }
        for response in responses {
            if response.events.is_empty() {
                progress.push((response.watch_id, response.header.expect("a header").revision, revisions.len()));
                continue;
            }
            assert_eq!(response.watch_id, id);
            let bytes: usize = response.events.iter().map(|event| event.kv.as_ref().expect("a key").value.len()).sum();
            assert!(bytes < 2 << 20, "{bytes} bytes at once");
            revisions.extend(response.events.iter().map(mod_revision));
            pieces += 1;
        }
    }
    assert_eq!(revisions, (2..42).collect::<Vec<_>>());
    assert!(pieces > 1);
    assert_eq!(progress, [(-1, 41, 40), (id, 41, 40)]);
}

/// Changes that nobody has looked at yet and that are compacted are not passed over in silence.
#[test]
fn what_was_compacted_unseen_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let watch = |key: &str| WatchCreateRequest { key: key.into(), ..WatchCreateRequest::default() };
    watching.create(&watch("a"));
    watching.create(&WatchCreateRequest { start_revision: 9, ..watch("b") });
    for i in 0..5 {
        apply(&store, &put("a", i.to_string())).expect("written");
    }
    apply(&store, &Op::Compact(CompactionRequest { revision: 6, physical: false })).expect("compacted");
    hub.advance(&store).expect("readable");
    let responses = watching.read(&store).expect("readable");
    assert_eq!(responses.len(), 1, "the other one waits for what is to come: {responses:?}");
    assert!(responses[0].canceled && responses[0].compact_revision == 6);
    assert_eq!(watching.read(&store).expect("readable"), []);
}

/// A revision is told as a whole, or in marked pieces to those who ask for that.
#[test]
fn fragments_are_marked() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let all = |fragment| WatchCreateRequest { range_end: vec![0], fragment, prev_kv: true, ..Default::default() };
    watching.create(&all(false));
    watching.create(&all(true));
    for i in 0..8 {
        apply(&store, &put(&format!("k{i}"), "v".repeat(600_000))).expect("written");
    }
    hub.advance(&store).expect("readable");
    while !watching.read(&store).expect("readable").is_empty() {}
    let request = DeleteRangeRequest { key: b"k".to_vec(), range_end: b"l".to_vec(), prev_kv: false };
    apply(&store, &Op::Delete(request)).expect("deleted");
    hub.advance(&store).expect("readable");
    let mut responses = watching.read(&store).expect("readable");
    responses.extend(watching.read(&store).expect("readable"));
    let (whole, pieces): (Vec<_>, Vec<_>) = responses.into_iter().partition(|response| response.watch_id == 0);
    assert_eq!((whole.len(), whole[0].events.len(), whole[0].fragment), (1, 8, false));
    let flags: Vec<bool> = pieces.iter().map(|piece| piece.fragment).collect();
    assert!(
        pieces.len() > 1 && flags[..flags.len() - 1].iter().all(|flag| *flag) && !flags[flags.len() - 1],
        "{flags:?}"
    );
    let events: Vec<Event> = pieces.into_iter().flat_map(|piece| piece.events).collect();
    assert_eq!(events, whole[0].events);
}

/// However many keys one revision changes, all who wait for one of them are woken.
#[test]
fn a_revision_of_many_changes_wakes_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let puts = (0..1_500).map(|i| PutRequest { key: format!("k{i:04}").into(), ..PutRequest::default() });
    let puts: Vec<Vec<u8>> = puts.map(|put| kv::entry(Request::Put(put)).encode()).collect();
    apply_bytes(&store, &puts).expect("applied");
    hub.advance(&store).expect("readable");
    let last = WatchCreateRequest { key: b"k1499".to_vec(), ..WatchCreateRequest::default() };
    watching.create(&last);
    let all = DeleteRangeRequest { key: b"k".to_vec(), range_end: b"l".to_vec(), prev_kv: false };
    apply(&store, &Op::Delete(all)).expect("deleted");
    hub.advance(&store).expect("readable");
    let responses = watching.read(&store).expect("readable");
    assert_eq!(responses.len(), 1, "{responses:?}");
    assert_eq!(responses[0].events[0].r#type(), EventType::Delete);
}

/// From time to time those who were told nothing are told how far they are; before a compaction all who asked for it.
#[test]
fn progress_is_owed_to_those_without_news() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let watch = |key: &str| WatchCreateRequest { key: key.into(), progress_notify: true, ..Default::default() };
    watching.create(&WatchCreateRequest { progress_notify: false, ..watch("a") });
    let [with_news, without] = ["a", "b"].map(|key| watching.create(&watch(key)).watch_id);
    apply(&store, &put("a", "1".into())).expect("written");
    hub.advance(&store).expect("readable");
    assert_eq!(watching.read(&store).expect("readable").len(), 2);
    let mut told = |all| {
        watching.owe_progress(all);
        let responses = watching.read(&store).expect("readable");
        assert!(
            responses
                .iter()
                .all(|response| response.events.is_empty() && response.header.is_some_and(|h| h.revision == 2))
        );
        responses.into_iter().map(|response| response.watch_id).collect::<Vec<_>>()
    };
    assert_eq!(told(true), [with_news, without]);
    assert_eq!(told(false), [without]);
    assert_eq!(told(false), [with_news, without]);
}

/// What a turn reads and tells is bounded, with what the changes found counted in.
#[test]
fn what_changes_found_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    for i in 0..12 {
        apply(&store, &put(&format!("k{i:02}"), "v".repeat(400_000))).expect("written");
    }
    for i in 0..12 {
        let one = DeleteRangeRequest { key: format!("k{i:02}").into(), ..DeleteRangeRequest::default() };
        apply(&store, &Op::Delete(one)).expect("deleted");
    }
    hub.advance(&store).expect("readable");
    let mut watching = Watching::new(hub);
    let all = WatchCreateRequest { range_end: vec![0], start_revision: 14, prev_kv: true, ..Default::default() };
    watching.create(&all);
    let mut told = 0;
    loop {
        let responses = watching.read(&store).expect("readable");
        if responses.is_empty() {
            break;
        }
        for response in responses {
            assert!(response.events.len() <= 3, "{} values of 400,000 bytes at once", response.events.len());
            assert!(response.events.iter().all(|event| event.prev_kv.is_some()));
            told += response.events.len();
        }
    }
    assert_eq!(told, 12);
}

/// A question for progress is answered once all are as far as things stood when it was asked, whatever comes meanwhile.
#[test]
fn progress_does_not_wait_for_what_comes_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let all = WatchCreateRequest { range_end: vec![0], ..WatchCreateRequest::default() };
    watching.create(&all);
    for _ in 0..4 {
        apply(&store, &put("a", "v".repeat(1 << 20))).expect("written");
    }
    hub.advance(&store).expect("readable");
    watching.ask_progress();
    watching.ask_progress();
    let mut answers = Vec::new();
    for turn in 0..8 {
        // There is always something that was not told yet.
        apply(&store, &put("a", "v".repeat(1 << 20))).expect("written");
        hub.advance(&store).expect("readable");
        let responses = watching.read(&store).expect("readable");
        let progress = responses.iter().filter(|response| response.watch_id == -1);
        answers.extend(progress.map(|answer| (turn, answer.header.expect("a header").revision)));
    }
    assert_eq!(answers, [(3, 5)], "one answer, when revision 5 was told");
}

/// Revisions that each watcher is told, until there is nothing more; and who is ended, and with which compaction.
type Told = (BTreeMap<i64, Vec<i64>>, BTreeMap<i64, i64>);

fn told(watching: &mut Watching, store: &Store) -> Told {
    let (mut told, mut ended) = Told::default();
    loop {
        let responses = watching.read(store).expect("readable");
        if responses.is_empty() {
            return (told, ended);
        }
        for response in responses {
            if response.canceled {
                ended.insert(response.watch_id, response.compact_revision);
            }
            told.entry(response.watch_id).or_default().extend(response.events.iter().map(mod_revision));
        }
    }
}

/// etcd#15271: a member that was cut off and took a snapshot told its watchers again what they had been told before; etcd#20221: and watchers of what was
/// to come, what lay before their start.
#[test]
fn a_snapshot_takes_no_watcher_back() {
    for compacted in [0, 11, 12] {
        let (owner, disks) = (Owner { cluster: 7, member: 1 }, [Disk::default(), Disk::default()]);
        let [behind, ahead] = disks.each_ref().map(|disk| disk.store(owner).expect("a store"));
        let hub = Hub::new(&behind).expect("readable");
        let mut watching = Watching::new(hub.clone());
        let from = |start_revision| WatchCreateRequest { range_end: vec![0], start_revision, ..Default::default() };
        let [past, future] = [2, 15].map(|start| watching.create(&from(start)).watch_id);
        for revision in 2..=20 {
            apply(&ahead, &put("a", revision.to_string())).expect("written");
            if revision <= 10 {
                apply(&behind, &put("a", revision.to_string())).expect("written");
            }
        }
        hub.advance(&behind).expect("readable");
        let (first, _) = told(&mut watching, &behind);
        assert_eq!(first, BTreeMap::from([(past, (2..=10).collect())]));
        if compacted > 0 {
            apply(&ahead, &Op::Compact(CompactionRequest { revision: compacted, physical: false })).expect("compacted");
        }
        let mut snapshot = Vec::new();
        ahead.snapshot(&mut snapshot).expect("written");
        behind.restore(&mut &snapshot[..]).expect("restored");
        hub.advance(&behind).expect("readable");
        let (mut then, ended) = told(&mut watching, &behind);
        assert_eq!(then.remove(&future), Some((15..=20).collect()), "compacted to {compacted}");
        if compacted == 12 {
            assert_eq!(ended, BTreeMap::from([(past, 12)]), "it needs revision 11");
        } else {
            assert_eq!((then.remove(&past), ended), (Some((11..=20).collect()), BTreeMap::new()));
        }
    }
}

/// etcd#17529: of many watchers on one stream some were told nothing for minutes, and lost changes to a compaction without being told that.
#[test]
fn many_watchers_of_a_slow_stream_starve_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let all = WatchCreateRequest { range_end: vec![0], prev_kv: true, ..WatchCreateRequest::default() };
    let ids: Vec<i64> = (0..20).map(|_| watching.create(&all).watch_id).collect();
    let mut heard = BTreeMap::<i64, Vec<i64>>::new();
    let mut last = 1;
    for turn in 0..40 {
        // Whoever was read for has something again soon: a turn is over after two changes.
        if turn % 4 == 0 {
            for _ in 0..2 {
                apply(&store, &put("a", "v".repeat(400_000))).expect("written");
                last += 1;
            }
            hub.advance(&store).expect("readable");
        }
        for response in watching.read(&store).expect("readable") {
            heard.entry(response.watch_id).or_default().extend(response.events.iter().map(mod_revision));
        }
    }
    assert_eq!(heard.keys().copied().collect::<Vec<_>>(), ids, "some were told nothing");
    apply(&store, &Op::Compact(CompactionRequest { revision: last, physical: false })).expect("compacted");
    hub.advance(&store).expect("readable");
    let (rest, ended) = told(&mut watching, &store);
    for (id, mut heard) in heard {
        heard.extend(rest.get(&id).into_iter().flatten());
        let upto = heard.last().copied().unwrap_or(1);
        assert_eq!(heard, (2..=upto).collect::<Vec<_>>());
        assert_eq!(ended.get(&id).copied(), (upto < last).then_some(last), "watcher {id} was told up to {upto}");
    }
    assert!(!ended.is_empty(), "nobody was behind");
}

/// etcd#20221: whoever waits for a revision that is still to come was told of earlier ones, from which a client would go on.
#[test]
fn who_waits_for_what_is_to_come_is_told_of_nothing_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let hub = Hub::new(&store).expect("readable");
    let mut watching = Watching::new(hub.clone());
    let from = |start_revision| WatchCreateRequest {
        range_end: vec![0],
        progress_notify: true,
        start_revision,
        ..WatchCreateRequest::default()
    };
    let [now, next, later] = [0, 2, 4].map(|start| watching.create(&from(start)).watch_id);
    let mut ask = |written: bool| {
        if written {
            apply(&store, &put("a", "1".into())).expect("written");
            hub.advance(&store).expect("readable");
        }
        watching.owe_progress(true);
        watching.ask_progress();
        let responses = watching.read(&store).expect("readable");
        let progress = responses.into_iter().filter(|response| response.events.is_empty());
        progress.map(|told| (told.watch_id, told.header.expect("a header").revision)).collect::<Vec<_>>()
    };
    assert_eq!(ask(false), [(now, 1), (next, 1)], "the last one begins at 4");
    assert_eq!(ask(true), [(now, 2), (next, 2)]);
    assert_eq!(ask(true), [(-1, 3), (now, 3), (next, 3), (later, 3)]);
    assert_eq!(ask(true), [(-1, 4), (now, 4), (next, 4), (later, 4)]);
}
