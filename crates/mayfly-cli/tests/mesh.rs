//! The mesh as its user meets it: real nodes, `mayfly mesh`, and what becomes of members that die, go and return.
#![cfg(feature = "swarm")]

mod nodes;

use nodes::members::{Node, free, mesh, ok, refused, run, three, value, voters};
use nodes::until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

fn place_of_leader(nodes: &[Node]) -> usize {
    let leads = |node: &Node| {
        mesh(&node.clients, &["status"]).is_some_and(|status| status["endpoints"][0]["is_leader"] == true)
    };
    let mut found = None;
    until("somebody leads", || {
        found = nodes.iter().position(leads);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_mesh_outlives_its_leader_and_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = three(folder.path());
    ok(&nodes[0].clients, &["put", "k", "1"]);
    assert_eq!(value(&nodes[2].clients, "k").as_deref(), Some("1"));

    let leader = place_of_leader(&nodes);
    let other = (leader + 1) % 3;
    nodes[leader].process.kill();
    until("a write without it", || mesh(&nodes[other].clients, &["put", "k", "2"]).is_some());
    nodes[leader].process.start(None);
    until("it serves again", || value(&nodes[leader].clients, "k").as_deref() == Some("2"));

    // One that ends in order hands over: the next write needs no election.
    let leader = place_of_leader(&nodes);
    assert_eq!(nodes[leader].process.end(), Some(0), "{}", nodes[leader].log());
    let other = (leader + 1) % 3;
    ok(&nodes[other].clients, &["put", "k", "3"]);
    nodes[leader].process.start(None);
    until("it serves again", || value(&nodes[leader].clients, "k").as_deref() == Some("3"));
}

#[test]
fn who_is_taken_out_ends_and_joins_anew_only_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = three(folder.path());
    ok(&nodes[0].clients, &["put", "k", "1"]);
    let members = ok(&nodes[0].clients, &["member", "list"]);
    let of = |node: &Node| {
        let is_it = |member: &&Value| member["client_urls"][0] == format!("http://{}", node.clients);
        members["members"].as_array().unwrap().iter().find(is_it).expect("a member")["id"].as_str().unwrap().to_owned()
    };
    let id = of(&nodes[2]);
    ok(&nodes[1].clients, &["member", "remove", &id]);
    until("it ends", || nodes[2].process.ended().is_some());
    assert_eq!(nodes[2].process.ended(), Some(1));
    assert!(nodes[2].log().contains("no member of the mesh any more"), "{}", nodes[2].log());
    assert!(refused(&nodes[1].clients, &["member", "remove", &id]).contains("member not found"));

    // What it was is over; with that out of its way, it is a new member.
    std::fs::remove_dir_all(nodes[2].process.data.join("mesh")).unwrap();
    nodes[2].process.start(None);
    until("it has a vote again", || voters(&nodes[2].clients) == 3);
    assert_eq!(value(&nodes[2].clients, "k").as_deref(), Some("1"));

    // A state that is lost is not begun anew in silence.
    nodes[1].process.kill();
    std::fs::remove_dir_all(nodes[1].process.data.join("mesh")).unwrap();
    nodes[1].process.start(None);
    until("it ends", || nodes[1].process.ended().is_some());
    assert!(nodes[1].log().contains("--mesh=anew"), "{}", nodes[1].log());
    nodes[1].process.more[0] = "--mesh=anew".into();
    nodes[1].process.start(None);
    until("it has a vote again", || nodes[1].serves() && voters(&nodes[1].clients) == 3);
    nodes[1].process.kill();
    nodes[1].process.more[0] = "--mesh".into();
    nodes[1].process.start(None);
    until("it serves again", || value(&nodes[1].clients, "k").as_deref() == Some("1"));
}

#[test]
fn a_minority_says_that_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = three(folder.path());
    ok(&nodes[0].clients, &["put", "k", "1"]);
    nodes[1].process.kill();
    nodes[2].process.kill();
    until("it says so", || refused(&nodes[0].clients, &["put", "k", "2"]).contains("no leader"));
    assert!(refused(&nodes[0].clients, &["get", "k"]).contains("no leader"));
    let local = ok(&nodes[0].clients, &["get", "k", "--serializable"]);
    assert_eq!(local["kvs"][0]["value"], "1");
    nodes[1].process.start(None);
    until("two of three decide", || mesh(&nodes[0].clients, &["put", "k", "3"]).is_some());
}

#[test]
fn options_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("n");
    let data = data.to_str().unwrap();
    let node = |args: &[&str]| {
        let out = run(&[&["node", "--data", data], args].concat(), b"");
        assert!(!out.status.success());
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(node(&["--clients", "127.0.0.1:0"]).contains("add --mesh"));
    assert!(node(&["--mesh", "--clients", "0.0.0.0:0"]).contains("--insecure-clients"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(node(&["--mesh", "--clients", &address]).contains("--clients ADDR"));
    assert!(node(&["--mesh", "--client-cert", "a"]).contains("--client-key"));
    let missing = ["--mesh", "--clients", "127.0.0.1:0", "--client-cert", "/no/such", "--client-key", "/no/such"];
    assert!(node(&missing).contains("/no/such"));
    assert!(node(&["--mesh=often"]).contains("often"));
    assert!(!Path::new(data).exists(), "nothing was written");
    assert!(refused(&free(), &["get", "k"]).contains("mayfly node --mesh"));
}

/// Runs `mayfly mesh` with words in the environment; gives what it printed.
fn mesh_with(at: &str, variables: &[(&str, &str)], args: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.arg("mesh").args(args).args(["--endpoints", at]).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), text)
}

#[test]
fn users_do_what_their_roles_allow() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path(), "n");
    node.process.start(None);
    until("it serves", || node.serves());
    let at = &node.clients[..];
    let (none, root) = (&[][..], &[("MAYFLY_MESH_PASSWORD", "r")][..]);
    let new = &[("MAYFLY_MESH_NEW_PASSWORD", "u"), ("MAYFLY_MESH_PASSWORD", "r")][..];
    for (variables, line, input, want) in [
        (none, "put k 0", "", Ok("stored")),
        (none, "auth enable", "", Err("user add root")),
        (none, "user add root", "r\n", Ok("user root is added")),
        (none, "user grant-role root root", "", Ok("user root has role root")),
        (none, "auth enable", "", Ok("looked at who asks")),
        (none, "put k 1", "", Err("--user says who asks")),
        (root, "put k 1 --user root", "", Ok("stored")),
        (root, "auth status --user root", "", Ok("looked at who asks (users and roles are at revision 3)")),
        (&[("MAYFLY_MESH_PASSWORD", "x")], "get k --user root", "", Err("the name or the password is another one")),
        (none, "get k --user root:r", "", Ok("k\n1")),
        (new, "user add u1 --user root", "", Ok("user u1 is added")),
        (root, "role add r1 --user root", "", Ok("role r1 is added")),
        (
            root,
            "role grant-permission r1 readwrite a/ --prefix --user root",
            "",
            Ok("read and write keys that begin with a/"),
        ),
        (root, "role get r1 --user root", "", Ok("read and write keys that begin with a/\n")),
        (root, "user grant-role u1 r1 --user root", "", Ok("user u1 has role r1")),
        (none, "put a/1 1 --user u1:u", "", Ok("stored")),
        (none, "put k 2 --user u1:u", "", Err("somebody whose roles allow it")),
        (none, "user list --user u1:u", "", Err("permission denied")),
        (none, "user get u1 --user u1:u", "", Ok("r1\n")),
        (root, "user list --user root", "", Ok("root\nu1\n")),
        (root, "role revoke-permission r1 a/ --user root", "", Err("permission is not granted to the role")),
        (root, "role revoke-permission r1 a/ --prefix --user root", "", Ok("keys that begin with a/")),
        (none, "put a/1 1 --user u1:u", "", Err("permission denied")),
        (root, "user passwd u1 --user root", "another\n", Ok("user u1 has another password")),
        (none, "get a/1 --user u1:u", "", Err("authentication failed")),
        (root, "role delete r1 --user root", "", Ok("role r1 is deleted")),
        (root, "user delete u1 --user root", "", Ok("user u1 is deleted")),
        (root, "user delete root --user root", "", Err("invalid auth management")),
        (root, "auth disable --user root", "", Ok("everybody may do everything")),
        (none, "get k", "", Ok("k\n1")),
        (root, "get k --user root", "", Ok("k\n1")),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let (is_ok, text) = mesh_with(at, variables, &args, input);
        let wanted = want.unwrap_or_else(|error| error);
        assert_eq!((is_ok, text.contains(wanted)), (want.is_ok(), true), "{line}: {text}");
    }
}

/// A certificate of `openssl`; needs it.
#[test]
fn clients_speak_tls() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let certify = |name: &str, extra: &[&str]| {
        let (cert, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
        let subject = format!("/CN={name}");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        command.args(["-keyout", &key, "-out", &cert, "-subj", &subject]).args(extra);
        assert!(command.output().is_ok_and(|out| out.status.success()), "openssl makes no certificate");
        (cert, key)
    };
    let (ca, ca_key) = certify("authority", &[]);
    let signed = |name: &str| {
        certify(
            name,
            &[
                "-CA",
                &ca,
                "-CAkey",
                &ca_key,
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        )
    };
    let (node_cert, node_key) = signed("node");
    let (cert, key) = signed("root");
    let mut node = Node::new(folder.path(), "n");
    node.process
        .more
        .extend(["--client-cert", &node_cert, "--client-key", &node_key, "--client-ca", &ca].map(String::from));
    node.process.start(None);
    let tls = [&["--cacert", &ca[..]][..], &["--cert", &cert, "--key", &key]].concat();
    let run = |args: &[&str], tls: &[&str]| mesh_with(&node.clients, &[], &[args, tls].concat(), "r\n");
    until("it serves", || run(&["put", "k", "1"], &tls).0);
    let at = format!("https://{}", node.clients);
    assert!(mesh_with(&at, &[], &[&["get", "k"][..], &tls].concat(), "").1.contains("k\n1"));
    assert!(run(&["member", "list"], &tls).1.contains(&at), "members tell URLs with https");
    assert!(run(&["user", "add", "root"], &tls).0 && run(&["user", "grant-role", "root", "root"], &tls).0);
    assert!(run(&["auth", "enable"], &tls).0);
    let (is_ok, text) = run(&["put", "k", "2"], &tls);
    assert!(is_ok, "the certificate says that it is root: {text}");
    assert!(!run(&["get", "k"], &[]).0, "in clear");
    assert!(!run(&["get", "k"], &["--cacert", &ca]).0, "without a certificate");
    let (_, text) = mesh_with(&at, &[], &["get", "k"], "");
    assert!(text.contains("--cacert"), "{text}");
}

/// `mayfly model …`, which must succeed; what it prints.
fn model(at: &str, folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.arg("model").args(args).args(["--endpoints", at]).current_dir(folder).stdin(Stdio::null());
    let out = command.output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Rows are answered one by one while versions are promoted and taken back: none is left out, and each says who answered.
#[test]
fn a_session_changes_over_without_a_failed_call() {
    let folder = tempfile::tempdir().unwrap();
    let iris = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/iris.csv");
    let mut node = Node::new(folder.path(), "mayfly-node");
    node.process.start(None);
    until("it serves", || node.serves());
    let (at, here) = (node.clients.clone(), folder.path());
    for seed in ["1", "2"] {
        let file = here.join(format!("{seed}.mayfly")).display().to_string();
        let out = run(&["train", iris, "--target", "class", "--epochs", "20", "--seed", seed, "-o", &file], b"");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        model(&at, here, &["push", "flowers", &file]);
    }
    model(&at, here, &["promote", "flowers@1"]);

    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.args(["model", "predict", "flowers", "--endpoints", &at]).current_dir(here);
    let mut session = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut rows = session.stdin.take().unwrap();
    let mut answers = BufReader::new(session.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines =
        std::fs::read_to_string(iris).unwrap().lines().map(str::to_owned).collect::<Vec<_>>().into_iter().cycle();
    writeln!(rows, "{}", lines.next().unwrap()).unwrap();
    assert_eq!(answers.next().unwrap(), "version,prediction,setosa,versicolor,virginica");
    let mut lines = lines.filter(|line| !line.starts_with("sepal"));
    let mut asked = 0;
    // The version that answers the next row, which comes before the one after it is asked.
    let mut answer = || {
        asked += 1;
        writeln!(rows, "{}", lines.next().unwrap()).unwrap();
        let answer = answers.next().unwrap();
        assert_eq!(answer.split(',').filter(|field| !field.is_empty()).count(), 5, "{answer}");
        answer.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(answer(), 1);
    model(&at, here, &["promote", "flowers@2"]);
    until("the next version answers", || answer() == 2);
    model(&at, here, &["push", "flowers", "1.mayfly"]);
    // None is a hundred times as fast as the live one.
    model(&at, here, &["canary", "flowers@3", "--share", "50", "--least-calls", "5", "--most-p95", "1"]);
    until("the canary was taken back", || {
        answer();
        model(&at, here, &["log", "flowers"]).contains("flowers@3 canary → retired")
    });
    let back = (0..20).map(|_| answer()).filter(|version| *version == 3).count();
    assert_eq!(back, 0, "a canary that was taken back answers");
    assert!(model(&at, here, &["log", "flowers"]).contains("guard: its p95 is"));
    node.process.kill();
    assert_eq!(answer(), 2, "without the mesh it goes on with what it has");
    drop(rows);
    let out = session.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains(&format!("{asked} rows: ")), "{said}");
}

/// That its check convicts forged histories, is tested beside it.
#[test]
fn the_demo_breaks_processes_and_loses_nothing() {
    let out = run(&["mesh", "demo", "--seconds", "10", "--json"], b"");
    let object: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let is = |key: &str| object[key].clone();
    assert_eq!((is("lost_acknowledged"), is("watch_gaps")), (json!(0), json!(0)), "{object}");
    assert_eq!((is("linearizable"), is("replicas_equal")), (json!(true), json!(true)), "{object}");
    for key in ["writes_per_s", "p50_ms", "p95_ms", "p99_ms", "failover_ms_p95"] {
        assert!(is(key).as_f64().is_some_and(|value| value > 0.0), "{key} of {object}");
    }
}

/// `cargo xtask nightly` does so for half an hour, with failing disks and false clocks.
#[test]
fn faults_that_are_drawn_lose_nothing() {
    let faults = ["--faults", "kill,restart,outage,cut,loss", "--seed", "3"];
    let out = run(&[&["mesh", "demo", "--seconds", "15", "--json"], &faults[..]].concat(), b"");
    let object: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!((&object["lost_acknowledged"], &object["linearizable"]), (&json!(0), &json!(true)), "{object}");
    assert!(object["faults"].as_object().is_some_and(|faults| !faults.is_empty()), "{object}");
    assert_eq!(object["seed"], 3);
}
