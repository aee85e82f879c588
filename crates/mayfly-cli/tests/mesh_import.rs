//! `mayfly mesh import` between real processes: it follows, is killed, goes on, and repairs what it has missed.
#![cfg(feature = "swarm")]

mod nodes;

use nodes::members::{Node, Started, etcd, free, mesh, ok, run, value};
use nodes::until;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Keys without their prefix, and their values; nothing while nobody answers.
fn under(at: &str, prefix: &str) -> Option<BTreeMap<String, String>> {
    let found = mesh(at, &["get", prefix, "--prefix"])?;
    let kvs = found["kvs"].as_array().unwrap().iter();
    let pair = |kv: &Value| {
        let (key, value) = (kv["key"].as_str().unwrap(), kv["value"].as_str().unwrap());
        (key.strip_prefix(prefix).unwrap().to_owned(), value.to_owned())
    };
    Some(kvs.map(pair).filter(|(key, _)| !format!("{prefix}{key}").starts_with("/mayfly/import/")).collect())
}

/// `mayfly mesh import`, until it is killed.
struct Import {
    child: Child,
    out: PathBuf,
}

impl Drop for Import {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL
        let _ = self.child.wait();
    }
}

impl Import {
    fn start(folder: &Path, name: &str, args: &[&str]) -> Self {
        let out = folder.join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        command.args(["mesh", "import", "--json"]).args(args).stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(out.with_extension("notes")).unwrap());
        Self { child: command.spawn().unwrap(), out }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
            + &std::fs::read_to_string(self.out.with_extension("notes")).unwrap()
    }
}

fn serving(folder: &Path, name: &str) -> Node {
    let mut node = Node::new(folder, name);
    node.process.start(None);
    until("it serves", || node.serves());
    node
}

/// Some of everything, in one revision each.
fn change(at: &str, round: u32) {
    ok(at, &["put", "a/1", &format!("round {round}")]);
    ok(at, &["put", &format!("a/new/{round}"), "x"]);
    ok(at, &["del", &format!("a/{}", 100 + round)]);
    ok(at, &["put", "b/other", &format!("{round}")]);
    let txn = format!("\nput a/x {round}\nput a/y {round}\ndel a/{}\n\n\n", 200 + round);
    let out = run(&["mesh", "txn", "--endpoints", at], txn.as_bytes());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// From a source at an address into a mesh of ours: a copy under another prefix, whatever happens to it.
fn follows(folder: &Path, source: &str) {
    let mut dest = serving(folder, "dest");
    let at = dest.clients.clone();
    ok(&at, &["put", "kept", "as it is"]);
    for i in 0..600 {
        ok(source, &["put", &format!("a/{i}"), &format!("{i}")]);
    }
    ok(source, &["put", "b/other", "x"]);
    let args = ["--from", &format!("http://{source}"), "--prefix", "a/", "--dest-prefix", "copy/", "--endpoints", &at];
    let same = || {
        let (there, here) = (under(source, "a/"), under(&at, "copy/"));
        there.is_some() && there == here
    };
    let import = Import::start(folder, "first", &args);
    until("all is there", same);
    assert_eq!(under(&at, "copy/").unwrap().len(), 600);
    for round in 0..5 {
        change(source, round);
    }
    until("it follows", same);
    until("it has said so", || import.said().contains("\"loaded\""));
    // One revision of the source is one of the destination.
    let pair = ok(&at, &["get", "copy/x", "copy/z"]);
    let pair = pair["kvs"].as_array().unwrap();
    assert_eq!((pair.len(), &pair[0]["mod_revision"]), (2, &pair[1]["mod_revision"]));

    // kill -9, and it goes on where it was: nothing is compared anew.
    drop(import);
    change(source, 5);
    let import = Import::start(folder, "second", &args);
    until("it goes on", same);
    assert_eq!(ok(&at, &["get", "copy/x"])["kvs"][0]["version"], 6, "each version once");
    assert!(!import.said().contains("loaded"), "{}", import.said());

    // The destination is killed under it.
    dest.process.kill();
    change(source, 6);
    dest.process.start(None);
    until("it goes on", same);

    // The source has compacted what was not read: all is compared anew, and what is gone there is deleted here.
    drop(import);
    change(source, 7);
    let revision = ok(source, &["status"])["endpoints"][0]["revision"].to_string();
    ok(source, &["compact", &revision]);
    change(source, 8);
    let import = Import::start(folder, "third", &args);
    until("it is repaired", same);
    assert!(import.said().contains("compared anew"), "{}", import.said());
    change(source, 9);
    until("it follows", same);
    assert_eq!(under(&at, "kept").unwrap()[""], "as it is");

    // A second one takes over, and the first one says so and ends.
    let mut import = import;
    let second = Import::start(folder, "fourth", &args);
    change(source, 10);
    until("the first one ends", || import.child.try_wait().unwrap().is_some());
    assert!(import.said().contains("another import"), "{}", import.said());
    until("the second goes on", same);
    drop(second);
}

#[test]
fn a_copy_follows_whatever_happens() {
    let folder = tempfile::tempdir().unwrap();
    let source = serving(folder.path(), "source");
    follows(folder.path(), &source.clients);
}

#[test]
fn what_is_there_is_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (serving(folder.path(), "source"), serving(folder.path(), "dest"));
    for i in 0..300 {
        ok(&source.clients, &["put", &format!("{i:03}"), &format!("{i}")]);
    }
    ok(&dest.clients, &["put", "000", "mine"]);
    ok(&dest.clients, &["put", "mine", "mine"]);
    let import_to = |at: &str, more: &[&str]| {
        let args = ["mesh", "import", "--once", "--json", "--from", &source.clients, "--endpoints", at];
        let out = run(&[&args[..], more].concat(), b"");
        let object: Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code(), object)
    };
    let import = |more: &[&str]| import_to(&dest.clients, more);
    let (code, refused) = import(&[]);
    assert_eq!(code, Some(1));
    assert!(refused["error"].as_str().unwrap().contains("--replace"), "{refused}");
    assert_eq!(under(&dest.clients, "").unwrap().len(), 2);
    let (code, told) = import(&["--replace"]);
    assert_eq!((code, &told["loaded"]["put"], &told["loaded"]["deleted"]), (Some(0), &300.into(), &1.into()));
    assert_eq!(under(&dest.clients, ""), under(&source.clients, ""));
    // Once more: only what differs is written; and what the import notes is not taken for a key.
    ok(&source.clients, &["put", "/mayfly/import/x", "not taken over"]);
    ok(&source.clients, &["put", "123", "new"]);
    ok(&source.clients, &["del", "124"]);
    let (_, told) = import(&[]);
    let loaded = &told["loaded"];
    let counts = ["put", "deleted", "same", "left_out"].map(|name| loaded[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 298, 1], "{told}");
    assert_eq!(under(&dest.clients, ""), under(&source.clients, ""));
    // What somebody else has written here since is neither deleted nor overwritten unasked.
    for key in ["mine", "123"] {
        let before = under(&dest.clients, "").unwrap();
        ok(&dest.clients, &["put", key, "mine"]);
        let (code, refused) = import(&[]);
        let why = refused["error"].as_str().unwrap();
        assert_eq!(code, Some(1));
        assert!(why.contains(&format!("{key} was written")) && why.contains("--replace"), "{refused}");
        assert_eq!(value(&dest.clients, key), Some("mine".into()));
        let (code, _) = import(&["--replace"]);
        assert_eq!((code, under(&dest.clients, "").unwrap()), (Some(0), before));
    }
    let (code, told) = import_to(&source.clients, &["--prefix", "0", "--dest-prefix", "0/"]);
    assert_eq!(code, Some(2), "{told}");
    let out = run(&["mesh", "import", "--once", "--from", &free(), "--endpoints", &dest.clients], b"");
    assert_eq!(out.status.code(), Some(1));
}

/// More than fits into an answer, and more than fits into a transaction.
#[test]
fn long_values_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (serving(folder.path(), "source"), serving(folder.path(), "dest"));
    let file = folder.path().join("value");
    for i in 0..70u8 {
        std::fs::write(&file, vec![b'a' + i % 26; 1_000_000]).unwrap();
        ok(&source.clients, &["put", &format!("{i:02}"), "--file", file.to_str().unwrap()]);
    }
    for put in [70, 0] {
        let args = ["mesh", "import", "--once", "--json", "--timeout", "60", "--from", &source.clients];
        let out = run(&[&args[..], &["--endpoints", &dest.clients]].concat(), b"");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let told: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&told["loaded"]["put"], &told["loaded"]["same"]), (&put.into(), &(70 - put).into()));
    }
    for key in ["00", "69"] {
        assert_eq!(value(&dest.clients, key), value(&source.clients, key));
    }
}

#[test]
#[ignore = "needs etcd"]
fn a_copy_follows_etcd() {
    let folder = tempfile::tempdir().unwrap();
    let (_etcd, at) = etcd(folder.path());
    follows(folder.path(), &at);
}

/// `etcdctl make-mirror`, from etcd to us and from us to etcd.
#[test]
#[ignore = "needs etcd and etcdctl"]
fn etcdctl_mirrors_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let ((_etcd, etcd), node) = (etcd(folder.path()), serving(folder.path(), "node"));
    for (i, (from, to)) in [(&etcd, &node.clients), (&node.clients, &etcd)].into_iter().enumerate() {
        let (prefix, copy) = (format!("from{i}/"), format!("to{i}/"));
        for key in 0..50 {
            ok(from, &["put", &format!("{prefix}{key}"), "before"]);
        }
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", from, "make-mirror", to]);
        command.args(["--prefix", &prefix, "--dest-prefix", &copy]).stdout(Stdio::null()).stderr(Stdio::null());
        let mirror = Started(command.spawn().expect("etcdctl"));
        let same = || under(from, &prefix) == under(to, &copy);
        until("all is there", same);
        for key in 0..20 {
            ok(from, &["put", &format!("{prefix}{key}"), "after"]);
            ok(from, &["del", &format!("{prefix}{}", 49 - key)]);
        }
        until("it follows", same);
        assert_eq!(under(to, &copy).unwrap().len(), 30);
        drop(mirror);
    }
}
