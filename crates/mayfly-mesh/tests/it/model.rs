//! The state machine against a naive store that keeps every state: the same requests, the same answers, also after restarts and snapshots.

use crate::common::model::Model;
use crate::common::ops::{Op, Reply};
use crate::common::{apply, apply_bytes};
use mayfly_base::Rng;
use mayfly_mesh::{Applied, Store, Tag, kv, modules};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What happens besides requests.
fn disturb(rng: &mut Rng, store: Store, folder: &std::path::Path) -> Store {
    match rng.below(40) {
        0 => {
            drop(store);
            Store::open(folder, modules()).expect("it opens again")
        }
        1 => {
            let mut bytes = Vec::new();
            let written = store.snapshot(&mut bytes).expect("written");
            let before = store.hash(Tag::KV).expect("readable");
            assert_eq!(store.restore(&mut &bytes[..]).expect("restored"), written);
            assert_eq!(store.hash(Tag::KV).expect("readable"), before);
            store
        }
        2..8 => {
            // History goes a turn at a time, and nobody can tell how far that has come.
            let before = hashes(&store);
            let is_more = store.remove_history().expect("removed");
            assert_eq!(hashes(&store), before);
            assert!(!is_more || store.remove_history().is_ok());
            store
        }
        8 => {
            store.defragment().expect("nobody reads");
            store
        }
        _ => store,
    }
}

fn hashes(store: &Store) -> Vec<Option<[u8; 32]>> {
    let revision = store.read(kv::revision).expect("readable");
    let hash = |revision| store.read(|state| kv::hash(state, revision)).expect("readable").ok().map(|hash| hash.hash);
    let mut hashes: Vec<_> = (0..=revision).map(hash).collect();
    hashes.push(store.hash(Tag::KV).expect("readable").map(|(_, hash)| hash));
    hashes
}

fn run(ops: &[u64]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), modules()).expect("a store");
    let mut model = Model::new();
    for seed in ops {
        let mut rng = Rng::new(*seed);
        let op = Op::random(&mut rng, model.revision());
        assert_eq!(apply(&store, &op), model.apply(&op), "{op:#?}");
        store = disturb(&mut rng, store, folder.path());
        let counted = store.bytes_in_use().expect("readable");
        assert_eq!(counted, store.read(kv::measure).expect("readable"), "rows are counted as they come and go");
    }
}

#[test]
fn answers_are_those_of_the_model() {
    let mut config = Config::default(); // which reads PROPTEST_CASES
    config.cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config.cases.min(2_000), // each opens a database
        None => 24,
    };
    let mut runner = TestRunner::new(config);
    let ops = prop::collection::vec(any::<u64>(), 1..120);
    let outcome = runner.run(&ops, |ops| {
        run(&ops);
        Ok(())
    });
    outcome.expect("no difference");
}

/// Many entries in one transaction give what they give one by one: the same answers, and the same hash.
#[test]
fn entries_together_and_one_by_one_are_the_same() {
    use mayfly_mesh::proto::meshpb::command::Request;
    let mut rng = Rng::new(5);
    let mut entries = Vec::new();
    while entries.len() < 300 {
        let op = Op::random(&mut rng, 20);
        if op.check().is_ok() {
            entries.push(match op {
                Op::Put(request) => kv::entry(Request::Put(request)).encode(),
                Op::Delete(request) => kv::entry(Request::DeleteRange(request)).encode(),
                Op::Txn(request) => kv::entry(Request::Txn(request)).encode(),
                Op::Compact(request) => kv::entry(Request::Compaction(request)).encode(),
                Op::Grant(request) => kv::entry(Request::Grant(request)).encode(),
                Op::Revoke(request) => kv::entry(Request::Revoke(request)).encode(),
                Op::Range(_) => continue,
            });
        }
    }
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [one, many] = folders.each_ref().map(|folder| Store::open(folder.path(), modules()).expect("a store"));
    let singly: Vec<Vec<u8>> =
        entries.iter().flat_map(|entry| apply_bytes(&one, std::slice::from_ref(entry)).expect("applied")).collect();
    assert_eq!(apply_bytes(&many, &entries).expect("applied"), singly);
    assert_eq!(one.hash(Tag::KV).expect("readable"), many.hash(Tag::KV).expect("readable"));
    assert_eq!(many.applied().expect("readable"), Applied { index: 301, term: 1 });
}

/// etcd#18667: a read of a compacted revision in a transaction was looked at by the member alone that was asked: there nothing happened, and the others made
/// the transaction's puts.
#[test]
fn a_read_of_what_is_compacted_keeps_a_transaction_from_happening_everywhere() {
    use mayfly_mesh::EtcdError;
    use mayfly_mesh::proto::etcdserverpb::request_op::Request::{RequestPut, RequestRange};
    use mayfly_mesh::proto::etcdserverpb::{CompactionRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let stores = folders.each_ref().map(|folder| Store::open(folder.path(), modules()).expect("a store"));
    let put = |key: &str| PutRequest { key: key.into(), value: b"v".to_vec(), ..PutRequest::default() };
    let past = |revision| RequestRange(RangeRequest { key: b"a".to_vec(), revision, ..RangeRequest::default() });
    let txn = |revision| {
        let ops = [RequestPut(put("b")), past(revision)].map(|op| RequestOp { request: Some(op) });
        Op::Txn(TxnRequest { success: ops.into(), ..TxnRequest::default() })
    };
    for store in &stores {
        (0..20).for_each(|_| drop(apply(store, &Op::Put(put("a"))).expect("written")));
        apply(store, &Op::Compact(CompactionRequest { revision: 20, physical: false })).expect("compacted");
    }
    // One has removed what is gone, one was started again, and one has done neither.
    while stores[0].remove_history().expect("removed") {}
    let [first, again, last] = stores;
    drop(again);
    let again = Store::open(folders[1].path(), modules()).expect("it opens again");
    for (revision, want) in [(19, Some(EtcdError::Compacted)), (22, Some(EtcdError::FutureRev)), (20, None)] {
        let answers = [&first, &again, &last].map(|store| (apply(store, &txn(revision)), hashes(store).pop()));
        assert_eq!(answers[0].0.as_ref().err(), want.as_ref());
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        let is_there = apply(&first, &Op::Range(RangeRequest { key: b"b".to_vec(), ..RangeRequest::default() }));
        let found = matches!(is_there, Ok(Reply::Range(response)) if response.count == 1);
        assert_eq!(found, want.is_none(), "a transaction that is refused changes nothing");
    }
}
