//! The same requests to Debian's etcd and to us: the same answers. Needs `etcd` and `etcdctl` (`apt-get install etcd-server etcd-client`), so these
//! are run by name: `cargo test -p mayfly-mesh --test differential -- --ignored`; `MAYFLY_OPS` says how many requests.

#![cfg(feature = "grpc")]

mod common;

use common::ops::{Op, Reply};
use common::served::{Node, ask, client};
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::response_op::Response;
use mayfly_mesh::proto::etcdserverpb::{ResponseHeader, TxnResponse};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// Killed when dropped.
struct Etcd(Child);

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn etcd(folder: &std::path::Path) -> (Etcd, SocketAddr) {
    let [clients, peers] = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(folder).args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}"), "--log-level", "panic"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("etcd: apt-get install etcd-server");
    (Etcd(child), clients.trim_start_matches("http://").parse().expect("an address"))
}

/// Only revisions are comparable in a header.
fn plain(header: &mut Option<ResponseHeader>) {
    if let Some(header) = header {
        *header = ResponseHeader { revision: header.revision, ..ResponseHeader::default() };
    }
}

fn plain_txn(response: &mut TxnResponse) {
    plain(&mut response.header);
    for op in &mut response.responses {
        match &mut op.response {
            Some(Response::ResponseTxn(response)) => plain_txn(response),
            Some(Response::ResponseRange(response)) => plain(&mut response.header),
            Some(Response::ResponsePut(response)) => plain(&mut response.header),
            Some(Response::ResponseDeleteRange(response)) => plain(&mut response.header),
            None => {}
        }
    }
}

fn comparable(reply: Result<Reply, tonic::Status>) -> Result<Reply, (tonic::Code, String)> {
    let mut reply = reply.map_err(|status| (status.code(), status.message().to_string()))?;
    match &mut reply {
        Reply::Range(response) => plain(&mut response.header),
        Reply::Put(response) => plain(&mut response.header),
        Reply::Delete(response) => plain(&mut response.header),
        Reply::Compact(response) => plain(&mut response.header),
        Reply::Txn(response) => plain_txn(response),
    }
    Ok(reply)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd"]
async fn answers_are_those_of_etcd() {
    let ops: u64 = std::env::var("MAYFLY_OPS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let seed: u64 = std::env::var("MAYFLY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let (_etcd, address) = etcd(folders[0].path());
    let node = Node::start(folders[1].path()).await;
    let (mut theirs, mut ours) = (client(address).await, node.client().await);
    let mut rng = Rng::new(seed);
    let (mut revision, mut refused) = (1, 0);
    for i in 0..ops {
        let op = Op::random(&mut rng, revision);
        if panics_in_etcd(&op) {
            continue;
        }
        let want = comparable(ask(&mut theirs, &op).await);
        let got = comparable(ask(&mut ours, &op).await);
        assert_eq!(got, want, "request {i} of seed {seed}: ours, then etcd's answer to {op:#?}");
        refused += u64::from(want.is_err());
        revision = match want {
            Ok(Reply::Put(put)) => put.header.map_or(revision, |header| header.revision),
            Ok(Reply::Range(range)) => range.header.map_or(revision, |header| header.revision),
            Ok(Reply::Txn(txn)) => txn.header.map_or(revision, |header| header.revision),
            _ => revision,
        };
    }
    println!("seed {seed}: {ops} requests, {refused} refused alike, revision {revision}");
    node.stop().await.expect("a good end");
}

/// etcd ends with a panic when a transaction keeps the value of a key that it has deleted itself; we refuse.
fn panics_in_etcd(op: &Op) -> bool {
    use mayfly_mesh::proto::etcdserverpb::request_op::Request;
    use mayfly_mesh::proto::etcdserverpb::{RequestOp, TxnRequest};
    fn any(txn: &TxnRequest, is: &dyn Fn(&Request) -> bool) -> bool {
        let within = |op: &RequestOp| match &op.request {
            Some(Request::RequestTxn(txn)) => any(txn, is),
            Some(request) => is(request),
            None => false,
        };
        txn.success.iter().chain(&txn.failure).any(within)
    }
    let Op::Txn(txn) = op else { return false };
    any(txn, &|request| matches!(request, Request::RequestPut(put) if put.ignore_value || put.ignore_lease))
        && any(txn, &|request| matches!(request, Request::RequestDeleteRange(delete) if delete.range_end == [0]))
}

/// Runs `etcdctl` against us; gives what it printed.
fn etcdctl(address: SocketAddr, args: &[&str], input: &str) -> (bool, String) {
    use std::io::Write;
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", &address.to_string()]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("etcdctl: apt-get install etcd-client");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl"]
async fn etcdctl_works_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let address = node.address;
    let run = move |args: &'static [&str], input: &'static str| async move {
        tokio::task::spawn_blocking(move || etcdctl(address, args, input)).await.expect("no panic")
    };
    assert_eq!(run(&["put", "a", "1"], "").await, (true, "OK\n".into()));
    assert_eq!(run(&["put", "b", "2"], "").await, (true, "OK\n".into()));
    assert_eq!(run(&["get", "", "--prefix"], "").await, (true, "a\n1\nb\n2\n".into()));
    assert_eq!(run(&["get", "a", "--print-value-only"], "").await, (true, "1\n".into()));
    assert_eq!(run(&["put", "a", "3", "--prev-kv"], "").await, (true, "OK\na\n1\n".into()));
    let txn = "value(\"a\") = \"3\"\n\nput c 4\nget b\n\nget a\n\n";
    assert_eq!(run(&["txn"], txn).await, (true, "SUCCESS\n\nOK\n\nb\n2\n".into()));
    assert_eq!(run(&["del", "a"], "").await, (true, "1\n".into()));
    assert_eq!(run(&["get", "a", "--rev", "4"], "").await, (true, "a\n3\n".into()));
    assert_eq!(run(&["compact", "5"], "").await, (true, "compacted revision 5\n".into()));
    let (is_ok, text) = run(&["get", "a", "--rev", "4"], "").await;
    assert!(!is_ok && text.contains("etcdserver: mvcc: required revision has been compacted"), "{text}");
    let (is_ok, text) = run(&["endpoint", "status"], "").await;
    assert!(is_ok && text.contains(", 1, 3.5.0, ") && text.contains("true"), "{text}");
    let (is_ok, text) = run(&["endpoint", "health"], "").await;
    assert!(is_ok && text.contains("is healthy"), "{text}");
    let (is_ok, text) = run(&["member", "list"], "").await;
    assert!(is_ok && text.contains("1, started, default"), "{text}");
    node.stop().await.expect("a good end");
}
