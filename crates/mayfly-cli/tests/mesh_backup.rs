//! Backups and a lost majority as their user meets them: real nodes, files, kills.
#![cfg(feature = "swarm")]

mod nodes;

use nodes::members::{Node, etcd, join, mesh, ok, run, three, value, voters};
use nodes::until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What `mayfly` prints as an object, and its exit code.
fn mayfly(args: &[&str]) -> (Option<i32>, Value) {
    let out = run(&[args, &["--json"]].concat(), b"");
    let object = serde_json::from_slice(&out.stdout);
    (out.status.code(), object.unwrap_or_else(|e| panic!("{args:?}: {e}: {}", String::from_utf8_lossy(&out.stderr))))
}

fn done(args: &[&str]) -> Value {
    let (code, object) = mayfly(args);
    assert_eq!(code, Some(0), "{args:?}: {object}");
    object
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn all(at: &str) -> [Value; 4] {
    [&["get", "", "--prefix"][..], &["lease", "list"], &["user", "list"], &["role", "list"]].map(|args| ok(at, args))
}

/// A node with something of everything.
fn filled(folder: &Path) -> Node {
    let mut node = Node::new(folder, "a");
    node.process.start(None);
    until("it serves", || node.serves());
    let at = &node.clients[..];
    for i in 0..30 {
        ok(at, &["put", &format!("k{}", i % 7), &format!("{i}")]);
    }
    ok(at, &["del", "k3"]);
    let lease = ok(at, &["lease", "grant", "5000"])["id"].as_str().unwrap().to_owned();
    ok(at, &["put", "held", "x", "--lease", &lease]);
    assert!(run(&["mesh", "user", "add", "anna", "--endpoints", at], b"secret\n").status.success());
    ok(at, &["role", "add", "app"]);
    ok(at, &["user", "grant-role", "anna", "app"]);
    let (model, data) = (folder.join("pumps.bin"), &node.process.data);
    std::fs::write(&model, b"bytes of a model").unwrap();
    let refused = run(&["model", "push", "pumps", text(&model), "--data", text(data), "--endpoints", at], b"");
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--any-file"));
    done(&["model", "push", "pumps", text(&model), "--any-file", "--data", text(data), "--endpoints", at]);
    node
}

#[test]
fn a_mesh_is_restored_from_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = path("backup");
    let file = text(&file);
    let mut node = filled(folder.path());
    let (at, data) = (&node.clients[..], node.process.data.clone());
    let lease = ok(at, &["lease", "list"])["leases"][0].as_str().unwrap().to_owned();
    let (before, revision) = (all(at), ok(at, &["status"])["endpoints"][0]["revision"].clone());

    let saved = ok(at, &["snapshot", "save", file]);
    let signer = saved["signer"].as_str().unwrap().to_owned();
    assert_eq!(saved["revision"], revision);
    let told = done(&["mesh", "snapshot", "inspect", file]);
    let counts = [&told["keys"], &told["leases"], &told["users"], &told["roles"], &told["models"]];
    assert_eq!(counts.map(|count| count.as_u64().unwrap()), [7, 1, 1, 1, 1], "{told}");
    assert_eq!(
        (&told["revision"], &told["signed"]["signer"], &told["signed"]["member"]),
        (&revision, &signer.clone().into(), &"1".into())
    );
    assert_eq!(told["artefacts"][0]["model"], "pumps@1");
    let words = run(&["mesh", "snapshot", "inspect", file], b"");
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(
        words.contains(&format!("by {signer}")) && words.contains("warning: 1 artefact of models is not"),
        "{words}"
    );

    // An empty folder trusts nobody; a signer that is named is believed.
    let new = path("new");
    let restore = ["mesh", "snapshot", "restore", file, "--data", text(&new)];
    let (code, refused) = mayfly(&restore);
    assert_eq!((code, &refused["kind"]), (Some(1), &"signer".into()));
    assert!(refused["error"].as_str().unwrap().contains(&format!("--signer {signer}")), "{refused}");
    assert!(!new.exists());
    let restored = done(&[&restore[..], &["--signer", &signer]].concat());
    assert_eq!((&restored["revision"], &restored["missing"][0]["model"]), (&revision, &"pumps@1".into()));
    let (code, refused) = mayfly(&[&restore[..], &["--signer", &signer]].concat());
    assert_eq!(code, Some(1));
    assert!(refused["error"].as_str().unwrap().contains("has a mesh already"), "{refused}");

    let mut first = Node::new(folder.path(), "new");
    first.process.start(None);
    until("it serves", || first.serves());
    assert_eq!(all(&first.clients), before, "keys with their revisions, leases, users and roles");
    let show = ["lease", "show", &lease, "--keys"];
    assert_eq!(ok(&first.clients, &show)["keys"], ok(at, &show)["keys"]);
    let status = ok(&first.clients, &["status"]);
    assert_eq!(
        (&status["endpoints"][0]["revision"], &status["endpoints"][0]["cluster"]),
        (&revision, &restored["cluster"])
    );
    let mut second = Node::new(folder.path(), "second");
    join(&mut second, &first);
    until("both have votes", || voters(&second.clients) == 2);
    ok(&second.clients, &["put", "k3", "again"]);
    assert_eq!(value(&first.clients, "k3").as_deref(), Some("again"));

    // A node's own trust list has the node itself.
    assert_eq!(node.process.end(), Some(0), "{}", node.log());
    std::fs::rename(data.join("mesh"), path("mesh-before")).unwrap();
    done(&["mesh", "snapshot", "restore", file, "--data", text(&data), "--bump-revision", "1000"]);
    std::fs::rename(path("mesh-before").join("models"), data.join("mesh/models")).unwrap();
    node.process.start(None);
    until("it serves", || node.serves());
    assert_eq!(ok(&node.clients, &["status"])["endpoints"][0]["revision"], revision.as_i64().unwrap() + 1_000);
    let pulled = path("pulled");
    done(&["model", "pull", "pumps@1", text(&pulled), "--data", text(&data), "--endpoints", &node.clients]);
    assert_eq!(std::fs::read(pulled).unwrap(), b"bytes of a model");
}

/// A file that etcdctl has saved is signed as well; one of etcd's own is named.
#[test]
#[ignore = "needs etcd and etcdctl"]
fn etcdctl_saves_signed_backups() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("f"), folder.path().join("d"));
    let node = filled(folder.path());
    let save = |at: &str| {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", at, "snapshot", "save", text(&file)]);
        assert!(command.output().expect("etcdctl").status.success());
    };
    save(&node.clients);
    let told = done(&["mesh", "snapshot", "inspect", text(&file)]);
    let signer = told["signed"]["signer"].as_str().unwrap().to_owned();
    done(&["mesh", "snapshot", "restore", text(&file), "--data", text(&data), "--signer", &signer]);

    let (_etcd, at) = etcd(folder.path());
    for by_etcdctl in [true, false] {
        if by_etcdctl {
            save(&at);
        } else {
            ok(&at, &["snapshot", "save", text(&file)]);
        }
        let (code, told) = mayfly(&["mesh", "snapshot", "inspect", text(&file)]);
        assert_eq!((code, &told["kind"]), (Some(1), &"foreign".into()));
        assert!(told["error"].as_str().unwrap().contains("etcdutl"), "{told}");
    }
}

#[test]
fn files_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("f"), folder.path().join("d"));
    let kind = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let (code, told) = mayfly(&["mesh", "snapshot", "inspect", text(&file)]);
        let (also, same) = mayfly(&["mesh", "snapshot", "restore", text(&file), "--data", text(&data), "--unsigned"]);
        assert_eq!((code, also, &told), (Some(1), Some(1), &same));
        told["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind(b""), "cut");
    assert_eq!(kind(b"not a snapshot"), "foreign");
    assert_eq!(kind(b"mfmesh\0\x09 of the future"), "newer_format");
    assert_eq!(kind(&[&b"mfmesh\0\x05"[..], &[0; 1024 + 24]].concat()), "damaged");
    assert!(!data.exists());
}

/// A backup of some megabytes, so that restoring it takes a while.
fn large(folder: &Path) -> String {
    let mut node = Node::new(folder, "large");
    node.process.start(None);
    until("it serves", || node.serves());
    let value = folder.join("value");
    for i in 0..24u8 {
        std::fs::write(&value, vec![i; 1 << 20]).unwrap();
        ok(&node.clients, &["put", &format!("k{i:02}"), "--file", text(&value)]);
    }
    let file = folder.join("backup");
    ok(&node.clients, &["snapshot", "save", text(&file)]);
    text(&file).to_owned()
}

/// kill -9 at any time, or a disk that is full: there is a whole mesh in the folder, or none that a node would see.
#[test]
fn a_restore_that_does_not_come_to_its_end_leaves_no_mesh() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (large(folder.path()), folder.path().join("n"));
    let args = ["mesh", "snapshot", "restore", &file, "--data", text(&data), "--unsigned"];
    let begun = std::time::Instant::now();
    done(&args);
    let whole = begun.elapsed();
    std::fs::remove_dir_all(&data).unwrap();
    let (mut none, mut some) = (0, 0);
    for i in 0..12 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(whole * (i + 1) / 12);
        child.kill().unwrap();
        child.wait().unwrap();
        some += u32::from(data.join("mesh.restoring").exists());
        if data.join("mesh").exists() {
            assert!(data.join("mesh/member.json").exists(), "it appears whole");
            std::fs::remove_dir_all(data.join("mesh")).unwrap();
        } else {
            none += 1;
        }
    }
    assert!(none > 0 && some > 0, "{none} of 12 were killed before their end, {some} while they wrote");
    // A file of at most 4 MiB: the disk takes no more.
    let line = format!("trap '' XFSZ; ulimit -f 4096; exec {} \"$@\"", env!("CARGO_BIN_EXE_mayfly"));
    let out = Command::new("bash").args(["-c", &line, "bash"]).args(args).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stdout));
    let words = String::from_utf8(out.stderr).unwrap();
    assert!(words.contains("cannot write") && words.contains("mesh.restoring"), "{words}");
    assert!(!data.join("mesh").exists() && !data.join("mesh.restoring").exists());

    done(&args);
    let mut node = Node::new(folder.path(), "n");
    node.process.start(None);
    until("it serves", || node.serves());
    assert_eq!(ok(&node.clients, &["get", "k", "--prefix", "--count-only"])["count"], 24);
    assert_eq!(value(&node.clients, "k23").unwrap().len(), 1 << 20);
}

/// A line of /metrics.
fn metric(at: &str, name: &str) -> u64 {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.trim().parse().unwrap()
}

#[test]
fn the_last_node_goes_on_when_a_majority_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = three(folder.path());
    for i in 0..20 {
        ok(&nodes[i % 3].clients, &["put", &format!("k{i:02}"), &format!("{i}")]);
    }
    let before = ok(&nodes[2].clients, &["get", "", "--prefix"]);
    let old = ok(&nodes[2].clients, &["status"])["endpoints"][0]["cluster"].as_str().unwrap().to_owned();
    let data = nodes[2].process.data.clone();
    let recover = ["mesh", "recover", "--force-new-cluster", "--data", text(&data)];
    nodes[0].process.kill();
    nodes[1].process.kill();
    let (code, told) = mayfly(&[&recover[..], &["--cluster-id", &old]].concat());
    assert_eq!(code, Some(1));
    assert!(told["error"].as_str().unwrap().contains("is in use"), "{told}");
    nodes[2].process.end();

    // Nobody at a terminal, and no id; then another cluster's.
    let out = run(&recover, b"");
    assert_eq!(out.status.code(), Some(2));
    let words = String::from_utf8(out.stderr).unwrap();
    assert!(words.contains(&old) && words.contains("--cluster-id") && words.contains("cannot be known"), "{words}");
    let (code, told) = mayfly(&[&recover[..], &["--cluster-id", "abc"]].concat());
    assert_eq!(code, Some(1));
    assert!(told["error"].as_str().unwrap().contains("nothing was changed"), "{told}");

    let told = done(&[&recover[..], &["--cluster-id", &old]].concat());
    assert_eq!((&told["discarded"], &told["before"]["revision"]), (&0.into(), &before["revision"]), "{told}");
    assert_eq!(told["before"]["members"].as_array().unwrap().len(), 3);
    let (code, again) = mayfly(&[&recover[..], &["--cluster-id", &old]].concat());
    assert_eq!(code, Some(1));
    assert!(again["error"].as_str().unwrap().contains("recovered from cluster"), "{again}");

    nodes[2].process.start(None);
    until("it serves alone", || nodes[2].serves());
    let at = nodes[2].clients.clone();
    assert_eq!(ok(&at, &["get", "", "--prefix"])["kvs"], before["kvs"]);
    ok(&at, &["put", "after", "1"]);
    let mut new: Vec<Node> = ["d", "e"].map(|name| Node::new(folder.path(), name)).into();
    new.iter_mut().for_each(|node| join(node, &nodes[2]));
    until("the new ones have votes", || new.iter().all(|node| voters(&node.clients) == 3));
    ok(&new[0].clients, &["put", "later", "1"]);
    let now = ok(&new[1].clients, &["get", "", "--prefix"]);

    // The old ones come back, and are a majority of what they were.
    for place in [0, 1] {
        nodes[place].process.start(None);
    }
    for place in [0, 1] {
        until("it ends", || nodes[place].process.ended().is_some());
        let log = nodes[place].log();
        assert!(log.contains(&format!("cluster {old} was given up")), "{log}");
    }
    assert!(metric(&at, "mayfly_mesh_refused_questions_total{why=\"given_up\"}") >= 2);
    assert_eq!(ok(&new[1].clients, &["get", "", "--prefix"])["kvs"], now["kvs"], "nothing was applied");
    // Without what it had, such a node is welcome.
    std::fs::rename(nodes[0].process.data.join("mesh"), folder.path().join("a-mesh-before")).unwrap();
    nodes[0].process.start(None);
    until("it has a vote", || voters(&nodes[0].clients) == 4);
    assert_eq!(value(&nodes[0].clients, "later").as_deref(), Some("1"));
    assert!(mesh(&nodes[0].clients, &["check"]).is_some());
}
