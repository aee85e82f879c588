//! Files that are not this node's, or not what was written: each has its own error.

use crate::common::ops::Op;
use crate::common::{apply, apply_bytes, seeds};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::{PutRequest, RangeRequest};
use mayfly_mesh::{MeshError, Store, Tag, modules};
use std::path::Path;

fn open(folder: &Path) -> Result<Store, MeshError> {
    Store::open(folder, modules())
}

fn put(key: &str, value: &str) -> Op {
    Op::Put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() })
}

fn all() -> Op {
    Op::Range(RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() })
}

/// A closed node with some keys.
fn node(count: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("a store");
    let value = "value".repeat(300); // so that much of the file is in use
    for i in 0..count {
        apply(&store, &put(&format!("key {i}"), &value)).expect("written");
    }
    folder
}

#[test]
fn one_node_a_folder() {
    let folder = node(1);
    let _first = open(folder.path()).expect("opened");
    assert!(matches!(open(folder.path()), Err(MeshError::InUse { .. })));
}

#[test]
fn a_lost_file_is_not_begun_anew() {
    let folder = node(1);
    let file = folder.path().join("mesh.redb");
    std::fs::write(&file, b"").expect("emptied");
    assert!(matches!(open(folder.path()), Err(MeshError::Lost { .. })));
    std::fs::remove_file(&file).expect("removed");
    assert!(matches!(open(folder.path()), Err(MeshError::Lost { .. })));
}

#[test]
fn a_file_without_its_owner_is_refused() {
    let folder = node(1);
    std::fs::remove_file(folder.path().join("member.json")).expect("removed");
    assert!(matches!(open(folder.path()), Err(MeshError::Unowned { .. })));
}

#[test]
fn the_file_of_another_node_is_refused_with_both_ids() {
    let (one, other) = (node(1), node(1));
    let own = open(one.path()).expect("opened").owner();
    let foreign = open(other.path()).expect("opened").owner();
    std::fs::copy(other.path().join("mesh.redb"), one.path().join("mesh.redb")).expect("copied");
    match open(one.path()).map(drop) {
        Err(MeshError::OtherOwner { found, want, .. }) => assert_eq!((found, want), (foreign, own)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn later_formats_are_refused_with_both_numbers() {
    let folder = node(1);
    let path = folder.path().join("member.json");
    let text = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, text.replace("\"format\":1", "\"format\":2,\"new\":[]")).expect("written");
    match open(folder.path()).map(drop) {
        Err(MeshError::NewerFormat { found: 2, known: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    std::fs::write(&path, text).expect("written");
    let mark = |format: u8| {
        let database = redb::Database::open(folder.path().join("mesh.redb")).expect("opened");
        let transaction = database.begin_write().expect("begun");
        let mark = redb::TableDefinition::<&str, &[u8]>::new("mesh.mark");
        transaction.open_table(mark).expect("a table").insert("format", &[format][..]).expect("written");
        transaction.commit().expect("committed");
    };
    mark(4);
    match open(folder.path()).map(drop) {
        Err(MeshError::NewerFormat { found: 4, known: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    mark(1);
    match open(folder.path()).map(drop) {
        Err(MeshError::Damaged { what, .. }) if what.contains("format 1") => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_start_that_was_killed_goes_on() {
    let folder = node(0);
    let path = folder.path().join("member.json");
    let text = std::fs::read_to_string(&path).expect("read");
    let owner = open(folder.path()).expect("opened").owner();
    std::fs::write(&path, text.replace("true", "false")).expect("written"); // before the last step
    assert_eq!(open(folder.path()).expect("opened").owner(), owner);
    std::fs::write(&path, text.replace("true", "false")).expect("written");
    std::fs::remove_file(folder.path().join("mesh.redb")).expect("removed"); // after the first
    std::fs::write(folder.path().join("mesh.redb.new"), b"half").expect("written");
    assert_eq!(open(folder.path()).expect("opened").owner(), owner);
    assert_eq!(std::fs::read_to_string(&path).expect("read"), text);
}

/// Any byte: the file is refused, or what is read is what was written.
#[test]
fn no_flipped_byte_is_believed() {
    let folder = node(40);
    let store = open(folder.path()).expect("opened");
    let want = apply(&store, &all());
    drop(store);
    let file = folder.path().join("mesh.redb");
    let good = std::fs::read(&file).expect("read");
    let used = good.iter().rposition(|byte| *byte != 0).expect("not empty") as u64;
    let (mut rng, mut refused) = (Rng::new(3), 0);
    for _ in 0..seeds(150) {
        let mut bad = good.clone();
        let place = rng.below(used + 1) as usize;
        bad[place] ^= 1 << rng.below(8);
        std::fs::write(&file, &bad).expect("written");
        match open(folder.path()) {
            Ok(store) => assert_eq!(apply(&store, &all()), want, "byte {place}"),
            Err(MeshError::Damaged { .. } | MeshError::Disk { .. } | MeshError::NewerFormat { .. }) => refused += 1,
            Err(MeshError::OtherOwner { .. }) => refused += 1,
            Err(other) => panic!("byte {place}: {other}"),
        }
    }
    assert!(refused > 0, "no flip was noticed");
}

#[test]
fn a_cut_file_is_refused() {
    let folder = node(40);
    let file = folder.path().join("mesh.redb");
    let good = std::fs::read(&file).expect("read");
    for share in 1..8 {
        std::fs::write(&file, &good[..good.len() * share / 8]).expect("written");
        match open(folder.path()).map(drop) {
            Err(MeshError::Damaged { .. } | MeshError::Disk { .. }) => {}
            other => panic!("{share} eighths: {other:?}"),
        }
    }
    std::fs::write(&file, b"# not a database\n").expect("written");
    assert!(matches!(open(folder.path()), Err(MeshError::Damaged { .. } | MeshError::Disk { .. })));
}

#[test]
fn a_snapshot_is_taken_whole_or_not_at_all() {
    let (one, other) = (node(5), node(1));
    let (store, stranger) = (open(one.path()).expect("opened"), open(other.path()).expect("opened"));
    let mut good = Vec::new();
    store.snapshot(&mut good).expect("written");
    apply(&store, &put("later", "value")).expect("written");
    let before = store.hash(Tag::KV).expect("read");
    for cut in [0, 3, 8, 31, 33, good.len() / 2, good.len() - 1] {
        assert!(matches!(store.restore(&mut &good[..cut]), Err(MeshError::Snapshot { .. })), "cut at {cut}");
    }
    let mut rng = Rng::new(1);
    for _ in 0..200 {
        let mut bad = good.clone();
        let place = rng.below(bad.len() as u64) as usize;
        bad[place] ^= 1 << rng.below(8);
        assert!(matches!(store.restore(&mut &bad[..]), Err(MeshError::Snapshot { .. })), "byte {place}");
    }
    assert!(matches!(stranger.restore(&mut &good[..]), Err(MeshError::Snapshot { .. })), "of another cluster");
    assert_eq!(store.hash(Tag::KV).expect("read"), before, "a refused snapshot changed something");
    store.restore(&mut &good[..]).expect("restored");
    assert_ne!(store.hash(Tag::KV).expect("read"), before);
}

#[test]
fn entries_that_are_not_known_end_the_node() {
    let folder = node(1);
    let store = open(folder.path()).expect("opened");
    let before = store.applied().expect("read");
    for entry in [&[][..], &[1], &[2, 1, 0], &[1, 9, 0], &[1, 1], &[1, 1, 0xff, 0xff]] {
        let refused = apply_bytes(&store, &[entry.to_vec()]);
        assert!(matches!(refused, Err(MeshError::UnreadableEntry { index: 3, .. })), "{entry:?}: {refused:?}");
    }
    assert_eq!(store.applied().expect("read"), before);
}
