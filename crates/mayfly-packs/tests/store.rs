//! A store among other things: what is not its own it leaves alone, and what it must not forget outlives lost files and kills.

mod common;

use common::*;
use mayfly_packs::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "test-pack";

fn engine() -> std::sync::Arc<dyn Engine> {
    new_engine(EngineKind::Wasmi, &small_options()).unwrap()
}

fn release(counter: u64) -> PackFiles {
    let wasm = wat::parse_str(good_wat("")).unwrap();
    let mut text = manifest(&wasm, &key(1));
    text["counter"] = json!(counter);
    text["version"] = json!(format!("1.0.{counter}"));
    text["kernels"][0]["path"] = json!("deep/down/k.wasm");
    PackFiles::Memory(signed(&text, &[("deep/down/k.wasm", &wasm)], &key(1)))
}

fn open(folder: &Path) -> Store {
    Store::open(folder, StoreOptions::default()).unwrap()
}

/// A store that trusts and has installed releases of these counters, settled each.
fn store_with(folder: &Path, counters: &[u64]) -> Store {
    let mut store = open(folder);
    store.set_trust(&trust()).unwrap();
    counters.iter().for_each(|counter| upgrade(&mut store, *counter).unwrap());
    store
}

fn upgrade(store: &mut Store, counter: u64) -> Result<()> {
    store.activate(&release(counter), &Policy::at(NOW), &*engine(), &mut ())?;
    store.settle(NAME, &mut ())
}

/// Every path below a folder with its content; folders without one.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            found.extend(tree(&entry));
            found.insert(entry, None);
        } else {
            found.insert(entry.clone(), Some(std::fs::read(&entry).unwrap()));
        }
    }
    found
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn kind<T>(result: Result<T>) -> String {
    result.map_or_else(|e| e.kind(), |_| "ok".into())
}

#[test]
fn a_folder_of_somebody_elses_is_not_touched() {
    for files in [
        &["packs/myapp/src/main.rs"][..],
        &["packs/myapp/1/main.rs", "lock"],
        &["notes.txt"],
        &["packs/a/1/k.wasm", "trust.json", "lock", "cache/x"],
        &["store.json"],
        &["state.json"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|file| put(&folder.path().join(file), "{\"version\": 1}"));
        let before = tree(folder.path());
        assert_eq!(kind(StoreView::read(folder.path())), "NotAStore", "{files:?}");
        assert_eq!(kind(Store::open(folder.path(), StoreOptions::default())), "NotAStore", "{files:?}");
        assert_eq!(tree(folder.path()), before, "{files:?}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(kind(Store::open(file.path(), StoreOptions::default())), "Io");
    let later = tempfile::tempdir().unwrap();
    put(&later.path().join("store.json"), r#"{"kind": "mayfly-pack-store", "version": 99, "more": 1}"#);
    let Err(PackError::StoreCorrupt { newer: true, .. }) = Store::open(later.path(), StoreOptions::default()) else {
        panic!("a store of a later version is left to it")
    };
}

#[test]
fn looking_changes_nothing_and_needs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(StoreView::read(&folder.path().join("none")).unwrap().state().names().count(), 0);
    assert_eq!(StoreView::read(folder.path()).unwrap().notices(), []);
    assert!(tree(folder.path()).is_empty());
    let store = store_with(folder.path(), &[1, 2]);
    let before = tree(folder.path());
    // Beside the process that has the store.
    let view = StoreView::read(folder.path()).unwrap();
    assert_eq!(view.state(), store.state());
    assert_eq!((view.notices(), view.strays().unwrap()), (&[][..], vec![]));
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn stray_things_are_ignored_reported_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(store_with(folder.path(), &[1]));
    let packs = folder.path().join("packs");
    let strays = [
        ".mayfly-notes",
        "README",
        "packs/.DS_Store",
        "packs/Not A Pack/x",
        "packs/test-pack/notes",
        "packs/test-pack/77/data",
        "packs/other/3/src",
    ];
    strays.iter().for_each(|path| put(&folder.path().join(path), "mine"));
    put(&packs.join("test-pack/1/deep/mine.txt"), "mine");
    let mut store = open(folder.path());
    upgrade(&mut store, 2).unwrap();
    assert_eq!(store.state().active(NAME).unwrap().generation, 78, "above whatever lies there");
    store.expire(NOW + 301, &mut ()).unwrap();
    drop(store);
    let view = StoreView::read(folder.path()).unwrap();
    let found: Vec<String> = view.strays().unwrap().iter().map(ToString::to_string).collect();
    let expected = [
        ".mayfly-notes",
        "README",
        "packs/.DS_Store",
        "packs/Not A Pack",
        "packs/other/3",
        "packs/test-pack/1",
        "packs/test-pack/77",
        "packs/test-pack/notes",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("{expected} ")), "{found}");
    }
    assert!(strays.iter().all(|path| folder.path().join(path).exists()));
    // Of the old generation only what the store had put there is gone.
    let left: Vec<PathBuf> = tree(&packs.join("test-pack/1")).into_keys().collect();
    assert_eq!(left, [packs.join("test-pack/1/deep"), packs.join("test-pack/1/deep/mine.txt")]);
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(store_with(folder.path(), &[1]));
    put(&outside.path().join("k.wasm"), "mine");
    let deep = folder.path().join("packs/test-pack/1/deep");
    std::fs::remove_dir_all(&deep).unwrap();
    std::fs::create_dir(&deep).unwrap();
    std::os::unix::fs::symlink(outside.path(), deep.join("down")).unwrap();
    let mut store = open(folder.path());
    upgrade(&mut store, 2).unwrap();
    store.expire(NOW + 301, &mut ()).unwrap();
    assert!(outside.path().join("k.wasm").exists(), "nothing is removed through a link");
}

#[test]
fn a_lost_state_forgets_nothing_that_matters() {
    let damage: [(&str, fn(&Path)); 4] = [
        ("missing", |path| std::fs::remove_file(path).unwrap()),
        ("empty", |path| std::fs::write(path, "").unwrap()),
        ("cut", |path| std::fs::write(path, &std::fs::read(path).unwrap()[..40]).unwrap()),
        ("of nothing", |path| std::fs::write(path, "{}").unwrap()),
    ];
    for (how, damage) in damage {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store_with(folder.path(), &[3, 5]);
        store.rollback(NAME, &mut ()).unwrap();
        drop(store);
        damage(&folder.path().join("state.json"));
        let look = StoreView::read(folder.path()).unwrap();
        assert!(matches!(look.notices(), [StoreNotice::StateRebuilt { packs: 1, .. }]), "{how}: {:?}", look.notices());
        let mut store = open(folder.path());
        assert!(
            matches!(store.notices(), [StoreNotice::StateRebuilt { packs: 1, .. }]),
            "{how}: {:?}",
            store.notices()
        );
        assert_eq!(store.state().active(NAME).unwrap().counter, 3, "{how}");
        assert_eq!(
            [3, 4, 5].map(|counter| kind(upgrade(&mut store, counter))),
            ["Downgrade", "Downgrade", "RolledBack"],
            "{how}"
        );
        assert_eq!(kind(upgrade(&mut store, 6)), "ok", "{how}");
        drop(store);
        assert_eq!(open(folder.path()).notices(), [], "{how}: said once, mended for good");
    }
}

#[test]
fn a_lost_marker_and_lost_packs() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store_with(folder.path(), &[3, 5]);
    store.rollback(NAME, &mut ()).unwrap();
    drop(store);
    for content in [None, Some("{"), Some("[]")] {
        let marker = folder.path().join("store.json");
        match content {
            None => std::fs::remove_file(&marker).unwrap(),
            Some(text) => std::fs::write(&marker, text).unwrap(),
        }
        let store = open(folder.path());
        assert!(matches!(store.notices(), [StoreNotice::MarkerRebuilt { .. }]), "{:?}", store.notices());
        drop(store);
    }
    std::fs::remove_dir_all(folder.path().join("packs")).unwrap();
    let mut store = open(folder.path());
    assert!(matches!(store.notices(), [StoreNotice::Missing { generation: 1, .. }]), "{:?}", store.notices());
    assert_eq!([4, 5].map(|counter| kind(upgrade(&mut store, counter))), ["Downgrade", "RolledBack"]);
    assert_eq!(kind(upgrade(&mut store, 6)), "ok");
    // Packs and state together: the ledger alone still knows.
    drop(store);
    std::fs::remove_dir_all(folder.path().join("packs")).unwrap();
    std::fs::remove_file(folder.path().join("state.json")).unwrap();
    let mut store = open(folder.path());
    assert!(matches!(store.notices(), [StoreNotice::StateRebuilt { packs: 0, .. }]), "{:?}", store.notices());
    assert_eq!([5, 7].map(|counter| kind(upgrade(&mut store, counter))), ["Downgrade", "ok"]);
}

#[test]
fn a_revocation_outlives_its_file_and_its_forgetting() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store_with(folder.path(), &[1]);
    let mut revoking = store.trust().unwrap();
    revoking.revoke_key(key(2).public().id(), "stolen");
    revoking.revoke_pack(NAME, 2, "bug");
    store.set_trust(&revoking).unwrap();
    store.set_trust(&trust()).unwrap();
    assert_eq!(kind(upgrade(&mut store, 2)), "Revoked", "a store that is set without it keeps it");
    drop(store);
    std::fs::remove_file(folder.path().join("trust.json")).unwrap();
    let mut store = open(folder.path());
    assert_eq!(store.notices(), [StoreNotice::TrustLost { revocations: 2 }]);
    assert_eq!(kind(upgrade(&mut store, 3)), "NoTrustedKey");
    let mut again = trust();
    again.add(key(2).public(), None);
    store.set_trust(&again).unwrap();
    assert_eq!(kind(upgrade(&mut store, 2)), "Revoked");
    assert_eq!(store.trust().unwrap().revoked_keys[0].key_id, *key(2).public().id());
    assert_eq!(kind(upgrade(&mut store, 3)), "ok");
    // Revoked elsewhere, by whoever writes the file: taken over.
    drop(store);
    let mut by_hand = trust();
    by_hand.revoke_pack(NAME, 4, "bug");
    std::fs::write(folder.path().join("trust.json"), by_hand.to_json()).unwrap();
    drop(open(folder.path()));
    std::fs::write(folder.path().join("trust.json"), trust().to_json()).unwrap();
    assert_eq!(kind(upgrade(&mut open(folder.path()), 4)), "Revoked");
}

#[test]
fn a_store_of_the_first_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(store_with(folder.path(), &[4]));
    // As version 0.1 left it: no marker, no record, a state without rollbacks.
    std::fs::remove_file(folder.path().join("store.json")).unwrap();
    std::fs::remove_file(folder.path().join("packs/test-pack/1/@installed.json")).unwrap();
    let state = folder.path().join("state.json");
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    text["version"] = json!(1);
    text["packs"][NAME].as_object_mut().unwrap().remove("rolled_back").unwrap();
    std::fs::write(&state, text.to_string()).unwrap();
    let mut store = open(folder.path());
    assert_eq!(store.state().active(NAME).unwrap().counter, 4);
    assert_eq!([3, 5].map(|counter| kind(upgrade(&mut store, counter))), ["Downgrade", "ok"]);
    store.expire(NOW + 301, &mut ()).unwrap();
    assert!(!folder.path().join("packs/test-pack/1").exists(), "and its packs are the store's");
    // Also one to which nothing was ever installed.
    let early = tempfile::tempdir().unwrap();
    std::fs::create_dir(early.path().join("packs")).unwrap();
    std::fs::write(early.path().join("trust.json"), trust().to_json()).unwrap();
    std::fs::write(early.path().join("lock"), "").unwrap();
    assert_eq!(kind(upgrade(&mut open(early.path()), 1)), "ok");
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &[]);
    assert_eq!(kind(Store::open(folder.path(), StoreOptions::default())), "StoreBusy");
    drop(store);
    assert_eq!(kind(Store::open(folder.path(), StoreOptions::default())), "ok");
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    drop(store_with(folder.path(), &[1]));
    let mode = |mode| {
        for path in [folder.path().to_owned(), folder.path().join("packs"), folder.path().join("lock")] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    mode(0o555);
    // The superuser may write everywhere.
    if std::fs::write(folder.path().join("probe"), "").is_err() {
        let before = tree(folder.path());
        assert_eq!(kind(Store::open(folder.path(), StoreOptions::default())), "Io");
        assert_eq!(tree(folder.path()), before);
        let view = StoreView::read(folder.path()).unwrap();
        assert_eq!(kind(view.recheck(NAME, 1, &Policy::at(NOW))), "ok");
    }
    mode(0o755);
}

/// Ends the process at a step, as `kill -9` would.
struct KillBefore(usize);

impl Steps for KillBefore {
    fn before(&mut self, _step: &'static str) -> Result<()> {
        if self.0 == 0 {
            std::process::abort();
        }
        self.0 -= 1;
        Ok(())
    }
}

/// Not a test of its own: the process that the next test kills.
#[test]
fn the_process_that_is_killed() {
    let Ok(task) = std::env::var("MAYFLY_TEST_KILL") else { return };
    let [folder, op, step] = &task.split('|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let mut store = open(Path::new(folder));
    let mut steps = KillBefore(step.parse().unwrap());
    match *op {
        "upgrade" => drop(store.activate(&release(7), &Policy::at(NOW), &*engine(), &mut steps).unwrap()),
        "rollback" => drop(store.rollback(NAME, &mut steps).unwrap()),
        _ => store.expire(NOW + 301, &mut steps).unwrap(),
    }
}

/// Does something in a process that is killed before a step. Did it come to its end?
fn finishes_before(op: &str, step: usize, folder: &Path) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let task = format!("{}|{op}|{step}", folder.display());
    command.args(["--exact", "the_process_that_is_killed"]).env("MAYFLY_TEST_KILL", task);
    command.output().unwrap().status.success()
}

#[test]
fn a_rollback_that_was_killed_and_a_state_that_is_lost() {
    let mut found = Vec::new();
    for step in 0.. {
        let folder = tempfile::tempdir().unwrap();
        drop(store_with(folder.path(), &[3, 5]));
        let finished = finishes_before("rollback", step, folder.path());
        std::fs::remove_file(folder.path().join("state.json")).unwrap();
        let store = open(folder.path());
        let active = store.state().active(NAME).unwrap().counter;
        let left = store.state().rolled_back(NAME).map(|left| left.counter);
        assert_eq!(active, if left == Some(5) { 3 } else { 5 }, "step {step}: {left:?}");
        found.push(left.is_some());
        if finished {
            break;
        }
    }
    assert!(found.contains(&false) && found.contains(&true), "{found:?}");
}

#[test]
fn a_kill_between_any_two_steps_leaves_a_store_that_knows_everything() {
    for op in ["upgrade", "rollback", "expire"] {
        let mut died = 0;
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            drop(store_with(folder.path(), &[3, 5]));
            let finished = finishes_before(op, step, folder.path());
            let mut store = open(folder.path());
            assert_eq!(store.notices(), [], "{op} {step}");
            let active = store.state().active(NAME).unwrap().clone();
            let (before, after) = match op {
                "upgrade" => (5, 7),
                "rollback" => (5, 3),
                _ => (5, 5),
            };
            assert!([before, after].contains(&active.counter), "{op} {step}: {active:?}");
            assert!(!finished || active.counter == after, "{op} {step}");
            store.recheck(NAME, active.generation, &Policy::at(NOW)).unwrap();
            assert_eq!(kind(upgrade(&mut store, 4)), "Downgrade", "{op} {step}");
            let again = if op == "rollback" && active.counter == 3 { "RolledBack" } else { "ok" };
            if op == "rollback" {
                assert_eq!(kind(upgrade(&mut store, 5)), again, "{op} {step}");
            }
            assert_eq!(kind(upgrade(&mut store, 8)), "ok", "{op} {step}");
            drop(store);
            let view = StoreView::read(folder.path()).unwrap();
            assert_eq!(view.strays().unwrap(), [], "{op} {step}");
            let rubbish: Vec<PathBuf> =
                tree(folder.path()).into_keys().filter(|p| p.to_string_lossy().contains(".mayfly-")).collect();
            assert!(rubbish.is_empty(), "{op} {step}: {rubbish:?}");
            if finished {
                break;
            }
            died += 1;
        }
        assert!(died >= 3, "{op}: killed at {died} steps");
    }
}
