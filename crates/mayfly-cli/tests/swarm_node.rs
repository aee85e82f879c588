//! A node as its user meets it: starts that fail, folders, tokens that are refused, revocations, values and keys, passphrases.
#![cfg(feature = "swarm")]

mod nodes;

use nodes::{Process, assemble, until, until_assembled};
use serde_json::{Value, json};
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn mayfly(args: &[&str]) -> Output {
    with_input(args, b"", &[])
}

fn with_input(args: &[&str], input: &[u8], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.args(args).envs(variables.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input); // a command that reads nothing may be gone
    child.wait_with_output().unwrap()
}

/// What a command that has to succeed prints.
fn ok(args: &[&str]) -> Vec<u8> {
    let out = mayfly(args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// What a command that has to fail says. A node that starts in its place would run for ever, so that is stopped.
fn refused(args: &[&str]) -> String {
    let mut command = Command::new("timeout");
    let out = command.arg("20").arg(env!("CARGO_BIN_EXE_mayfly")).args(args).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
    text
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn node_at(data: PathBuf) -> Process {
    Process::new(data, UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string(), None)
}

/// A running founder.
fn founder(folder: &Path) -> Process {
    let mut node = node_at(folder.join("founder"));
    node.start(None);
    node
}

fn token_file(node: &Process, path: PathBuf) -> PathBuf {
    ok(&["swarm", "token", "--data", text(&node.data), "-o", text(&path)]);
    path
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn id_of(node: &Process) -> String {
    node.ask(json!({ "ask": "status" }))["id"].as_str().unwrap().into()
}

#[test]
fn a_port_in_use_is_named_and_spends_no_token() {
    let folder = folder();
    let first = founder(folder.path());
    let token = token_file(&first, folder.path().join("token"));
    assert_eq!(mode(&token), 0o600);
    let mut second = node_at(folder.path().join("second"));
    let said = refused(&["node", "--data", text(&second.data), "--token", text(&token), "--listen", &first.listen]);
    assert!(said.contains(&first.listen) && said.contains("listen"), "{said}");
    assert!(!second.data.exists(), "a start that failed leaves nothing");
    second.start(Some(&token));
    until_assembled(&[first, second]);
}

#[test]
fn a_refused_token_says_why() {
    let folder = folder();
    let (first, newcomer) = (founder(folder.path()), folder.path().join("newcomer"));
    let used = token_file(&first, folder.path().join("used"));
    node_at(folder.path().join("second")).start(Some(&used));
    let join = |token: &Path| refused(&["node", "--data", text(&newcomer), "--token", text(token)]);
    let shut = join(&used);
    assert!(shut.contains("was used"), "no other token is out: {shut}");
    let expired = folder.path().join("expired");
    ok(&["swarm", "token", "--data", text(&first.data), "--minutes", "0", "-o", text(&expired)]);
    let _open = token_file(&first, folder.path().join("open"));
    for (token, reason) in [(&used, "was used before"), (&expired, "expired")] {
        let said = join(token);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    // A token of another swarm, for the address of this one.
    let mut other = node_at(folder.path().join("other"));
    other.start(None);
    let foreign = folder.path().join("foreign");
    ok(&["swarm", "token", "--data", text(&other.data), "--contact", &first.listen, "-o", text(&foreign)]);
    let said = join(&foreign);
    assert!(said.contains("who issued the token"), "{said}");
    assert!(!newcomer.exists(), "nobody got in, and nothing is left");
}

#[test]
fn a_lost_trust_list_is_no_first_start() {
    let folder = folder();
    let mut nodes = [node_at(folder.path().join("a")), node_at(folder.path().join("b"))];
    assemble(&mut nodes);
    nodes[0].put("k");
    until("it is everywhere", || nodes[1].has("k"));
    nodes[1].kill();
    let data = nodes[1].data.clone();
    std::fs::remove_file(data.join("trust.list")).unwrap();
    let said = refused(&["node", "--data", text(&data)]);
    assert!(said.contains("trust.list") && said.contains("--token"), "{said}");
    // With a new token the same key gets its list again.
    let token = token_file(&nodes[0], folder.path().join("again"));
    nodes[1].start(Some(&token));
    until_assembled(&nodes);
    until("it is there again", || nodes[1].has("k")); // what it had not on disk when it was killed comes from the other
    // A token that is not needed is not spent, and a foreign one is refused.
    nodes[1].kill();
    let spare = token_file(&nodes[0], folder.path().join("spare"));
    nodes[1].start(Some(&spare));
    node_at(folder.path().join("c")).start(Some(&spare));
}

#[test]
fn an_existing_folder_keeps_its_mode_and_the_files_are_private() {
    let folder = folder();
    let (there, new) = (folder.path().join("there"), folder.path().join("new"));
    std::fs::create_dir(&there).unwrap();
    std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o755)).unwrap();
    let left = there.join(".trust.list.a1b2c3.tmp");
    std::fs::write(&left, b"half").unwrap();
    std::fs::write(there.join("notes.tmp"), b"mine").unwrap();
    for data in [&there, &new] {
        let mut node = node_at(data.clone());
        node.start(None);
        for name in ["identity.key", "trust.list", "memory.redb", "control.sock"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        }
    }
    assert_eq!((mode(&there), mode(&new)), (0o755, 0o700));
    assert!(!left.exists() && there.join("notes.tmp").exists());
}

#[test]
fn revocations_name_somebody_or_fail() {
    let folder = folder();
    let mut nodes = [node_at(folder.path().join("a")), node_at(folder.path().join("b"))];
    assemble(&mut nodes);
    let [a, b] = &nodes;
    let mut third = node_at(folder.path().join("c"));
    third.start(Some(&token_file(b, folder.path().join("by-b"))));
    until("all know all", || [a, b, &third].iter().all(|node| node.alive() == 2));
    let (id_b, id_c) = (id_of(b), id_of(&third));
    let data = text(&a.data);
    for nobody in ["00".repeat(32).as_str(), "0123456789", "b", "nobody"] {
        let said = refused(&["swarm", "revoke", nobody, "--data", data]);
        assert!(said.contains("swarm members"), "{nobody}: {said}");
    }
    let said =
        String::from_utf8(ok(&["swarm", "revoke", &id_b[..10].to_uppercase(), "--with-admitted", "--data", data]));
    assert!(said.unwrap().contains(&id_c), "whom it let in is named");
    until("both are out", || a.alive() == 0);
    let again = String::from_utf8(ok(&["swarm", "revoke", &id_b, "--data", data])).unwrap();
    assert!(again.contains("before"), "{again}");
}

#[test]
fn values_come_and_go_byte_for_byte() {
    let folder = folder();
    let node = founder(folder.path());
    let data = text(&node.data);
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, &bytes).unwrap();
    ok(&["swarm", "put", "file", "--file", text(&from), "--data", data]);
    assert_eq!(ok(&["swarm", "get", "file", "--data", data]), bytes);
    ok(&["swarm", "get", "file", "-o", text(&to), "--data", data]);
    assert_eq!(std::fs::read(&to).unwrap(), bytes);
    assert!(with_input(&["swarm", "put", "piped", "-", "--data", data], b"one\n\ntwo", &[]).status.success());
    assert_eq!(ok(&["swarm", "get", "piped", "--data", data]), b"one\n\ntwo");
    ok(&["swarm", "put", "negative", "-5", "--data", data]);
    assert_eq!(ok(&["swarm", "get", "negative", "--data", data]), b"-5");
    let object: Value = serde_json::from_slice(&ok(&["swarm", "get", "negative", "--data", data, "--json"])).unwrap();
    assert_eq!(object, json!({ "key": "negative", "value": "-5" }));
    ok(&["swarm", "put", "\x1b[2Jevil", "x", "--data", data]);
    let keys = String::from_utf8(ok(&["swarm", "keys", "--data", data])).unwrap();
    assert_eq!(keys.lines().collect::<Vec<_>>(), ["\\u{1b}[2Jevil", "file", "negative", "piped"]);
    let some: Value =
        serde_json::from_slice(&ok(&["swarm", "keys", "--prefix", "p", "--data", data, "--json"])).unwrap();
    assert_eq!(some, json!({ "keys": ["piped"] }));
    let page = node.ask(json!({ "ask": "keys", "prefix": "", "after": "file", "limit": 1 }));
    assert_eq!(page, json!({ "keys": ["negative"], "more": true }));
}

#[test]
fn a_folder_with_a_very_long_name_works() {
    let folder = folder();
    let deep = folder.path().join("a-folder-with-a-name-that-is-long".repeat(4)).join("node");
    let data = text(&deep).to_owned();
    assert!(data.len() > 140);
    let out = folder.path().join("out");
    let log = std::fs::File::create(&out).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["node", "--data", &data])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    until("the node answers", || mayfly(&["swarm", "put", "k", "v", "--data", &data]).status.success());
    let got = mayfly(&["swarm", "get", "k", "--data", &data]).stdout;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(got, b"v");
}

#[test]
fn keys_are_sealed_unsealed_and_given_another_passphrase() {
    let folder = folder();
    let mut node = founder(folder.path());
    node.kill();
    let data = text(&node.data).to_owned();
    let key = |what: &str, old: &str, new: &str| {
        let variables = [("MAYFLY_PASSPHRASE", old), ("MAYFLY_NEW_PASSPHRASE", new)];
        let variables: Vec<_> = variables.into_iter().filter(|(_, words)| !words.is_empty()).collect();
        let out = with_input(&["swarm", "key", what, "--data", &data], b"", &variables);
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let sealed = || std::fs::read(node.data.join("identity.key")).unwrap()[5] == 1;
    assert!(!sealed() && !key("unseal", "one", "").0 && !key("seal", "", "").0);
    // A passphrase for a plain key protects nothing, and is not taken without a word.
    let out = with_input(&["node", "--data", &data], b"", &[("MAYFLY_PASSPHRASE", "one")]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("not sealed"), "{said}");
    assert!(key("seal", "", "one").0 && sealed());
    assert!(!key("seal", "", "two").0, "sealed already");
    let (changed, said) = key("passphrase", "wrong", "two");
    assert!(!changed && said.contains("does not open"), "{said}");
    assert!(key("passphrase", "one", "two").0 && sealed());
    assert!(refused(&["node", "--data", &data]).contains("passphrase is needed"));
    let words = folder.path().join("words");
    std::fs::write(&words, "two\n").unwrap();
    ok(&["swarm", "key", "unseal", "--passphrase-file", text(&words), "--data", &data]);
    assert!(!sealed());
    node.start(None);
}

#[test]
fn addresses_that_nobody_reaches_are_refused() {
    let folder = folder();
    let data = folder.path().join("node");
    for args in [&["--advertise", "0.0.0.0:7700"][..], &["--advertise", "[::]:7700"], &["--advertise", "10.0.0.1:0"]] {
        let said = refused(&[&["node", "--data", text(&data)], args].concat());
        assert!(said.contains(args[1]), "{said}");
    }
    let node = founder(folder.path());
    let said = refused(&["swarm", "token", "--contact", "0.0.0.0:1", "--data", text(&node.data)]);
    assert!(said.contains("0.0.0.0:1"), "{said}");
}
