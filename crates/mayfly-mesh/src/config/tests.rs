//! Settings against the keys of a store: equal at every revision that they stand at, whatever was compacted in between.

use super::tail::Tail;
use crate::kv;
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use crate::proto::meshpb::command::Request;
use crate::{Applied, Logged, Store, modules};
use mayfly_base::Rng;
use mayfly_config::{Config, ConfigError, Lagged, Limits, Revision, Version};
use std::collections::BTreeMap;
use std::path::Path;

const KEYS: [&[u8]; 8] = [b"c/a", b"c/b", b"c/b/x", b"c/", b"c/\xff", b"d", b"c", b"c/\xc3\xa4"];

fn put(rng: &mut Rng) -> PutRequest {
    let value = [&b"1"[..], b"\"text\"", b"{\"n\": [1, 2]}", b"no json", b"", b"null"][rng.below(6) as usize];
    PutRequest { key: KEYS[rng.below(8) as usize].into(), value: value.into(), ..PutRequest::default() }
}

fn delete(rng: &mut Rng) -> DeleteRangeRequest {
    let range_end = if rng.below(4) == 0 { b"c0".to_vec() } else { Vec::new() };
    DeleteRangeRequest { key: KEYS[rng.below(8) as usize].into(), range_end, ..DeleteRangeRequest::default() }
}

fn request(rng: &mut Rng, revision: i64) -> Request {
    match rng.below(20) {
        0..10 => Request::Put(put(rng)),
        10..14 => Request::DeleteRange(delete(rng)),
        14..17 => {
            // In one transaction a key may be deleted with a range, and another one set.
            let ops = [Op::RequestPut(put(rng)), Op::RequestPut(put(rng)), Op::RequestDeleteRange(delete(rng))];
            let success = ops.map(|op| RequestOp { request: Some(op) }).into();
            Request::Txn(TxnRequest { success, ..TxnRequest::default() })
        }
        17 => Request::Compaction(CompactionRequest { revision: revision - rng.below(3) as i64, physical: false }),
        _ => Request::Put(PutRequest { key: b"d".into(), ..PutRequest::default() }),
    }
}

/// Applies requests in one transaction, as a member does that catches up.
fn apply(store: &Store, requests: Vec<Request>) {
    let first = store.applied().unwrap().index + 1;
    let logged = |(index, request)| Logged { at: Applied { index, term: 1 }, entry: kv::entry(request).encode() };
    store.apply(&(first..).zip(requests).map(logged).collect::<Vec<_>>()).unwrap();
}

type State = BTreeMap<String, (Revision, Option<serde_json::Value>)>;

/// What settings must be, read key by key.
fn expected(store: &Store) -> (Revision, State) {
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let all = store.read(|transaction| kv::range(transaction, &all)).unwrap().unwrap();
    let settings = all.kvs.into_iter().filter_map(|kv| {
        let name = String::from_utf8(kv.key.strip_prefix(b"c/")?.to_vec()).ok().filter(|name| !name.is_empty())?;
        Some((name, (kv.mod_revision as Revision, serde_json::from_slice(&kv.value).ok())))
    });
    (all.header.unwrap().revision as Revision, settings.collect())
}

fn content(version: &Version) -> (Revision, Option<serde_json::Value>) {
    (version.revision(), version.json().ok().map(|value| value.unwrap().into_owned()))
}

fn found(config: &Config) -> State {
    config.snapshot("").iter().map(|version| (version.key().to_owned(), content(version))).collect()
}

fn open(folder: &Path) -> (Store, Config, Tail) {
    let store = Store::open(folder, modules()).unwrap();
    let (config, feed) = Config::following(Limits::default());
    let tail = Tail::start(&store, "c/".into(), feed).unwrap();
    (store, config, tail)
}

#[test]
fn settings_are_what_the_keys_are_also_when_history_is_gone() {
    let mut lags = 0;
    for seed in 0..if std::env::var_os("MAYFLY_HEAVY").is_some() { 500 } else { 25 } {
        let (mut rng, folder) = (Rng::new(seed), tempfile::tempdir().unwrap());
        let (store, config, mut tail) = open(folder.path());
        let mut watch = config.watch_prefix("");
        let mut shown = State::new();
        for _ in 0..40 {
            let revision = expected(&store).0 as i64;
            let count = rng.below(8);
            apply(&store, (0..count).map(|n| request(&mut rng, revision + n as i64)).collect());
            let before = config.revision();
            while !tail.catch_up(&store).unwrap() {}
            let (revision, expected) = expected(&store);
            assert!((config.revision(), tail.revision()) == (revision, revision) && revision >= before);
            assert_eq!(found(&config), expected, "seed {seed}");
            // Whoever watches comes to the same state by what it is told, or is told that it cannot.
            match watch.pending() {
                Ok(all) => all.iter().for_each(|version| {
                    assert!(version.revision() > before);
                    match version.is_deleted() {
                        true => drop(shown.remove(version.key())),
                        false => drop(shown.insert(version.key().into(), content(version))),
                    }
                }),
                Err(Lagged { resume }) => {
                    assert_eq!(resume, revision + 1);
                    lags += 1;
                    shown = watch.resync().iter().map(|version| (version.key().to_owned(), content(version))).collect();
                }
            }
            assert_eq!(shown, expected, "seed {seed}");
        }
        // Anew, from the file.
        drop((tail, store));
        let (store, config, _tail) = open(folder.path());
        assert_eq!((config.revision(), found(&config)), expected(&store));
    }
    assert!(lags > 8, "history was gone only {lags} times");
}

#[test]
fn more_than_a_turn_holds_is_read_in_turns_and_a_revision_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (store, config, mut tail) = open(folder.path());
    let puts = |n: usize, value: usize| {
        let put =
            move |i| PutRequest { key: format!("c/{i}").into(), value: vec![b'1'; value], ..PutRequest::default() };
        (0..n).map(move |i| Op::RequestPut(put(i))).map(|op| RequestOp { request: Some(op) })
    };
    // A turn is full in the middle of a revision.
    for _ in 0..30 {
        let success = puts(101, 1).collect();
        apply(&store, vec![Request::Txn(TxnRequest { success, ..TxnRequest::default() })]);
    }
    let mut turns = 1;
    while !tail.catch_up(&store).unwrap() {
        turns += 1;
        let revisions: Vec<Revision> = config.snapshot("").iter().map(|version| version.revision()).collect();
        assert!(revisions.len() == 101 && revisions.iter().all(|revision| *revision == config.revision()));
    }
    assert_eq!((turns, config.revision()), (3, 31));
    for _ in 0..3 {
        let success = puts(3, 1_000_000).collect();
        apply(&store, vec![Request::Txn(TxnRequest { success, ..TxnRequest::default() })]);
    }
    assert!(!tail.catch_up(&store).unwrap() && tail.catch_up(&store).unwrap());
}

/// A store of which what was followed is not there any more.
#[test]
fn a_store_that_went_back_is_not_followed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, config, mut tail) = open(folder.path());
    let put = || Request::Put(PutRequest { key: b"c/a".into(), value: b"1".into(), ..PutRequest::default() });
    apply(&store, vec![put(), put(), put()]);
    assert!(tail.catch_up(&store).unwrap());
    let younger = open(other.path()).0;
    apply(&younger, vec![put()]);
    let error = tail.catch_up(&younger).unwrap_err();
    assert_eq!(error, ConfigError::Backwards { key: None, revision: 2, have: 4 }.into());
    assert_eq!((config.revision(), config.version("a").unwrap().revision()), (4, 4));
}
