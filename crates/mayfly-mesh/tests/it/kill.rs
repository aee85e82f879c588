//! kill -9 in the middle of writes: every acknowledged write is there after the restart.

use crate::common::seeds;
use crate::common::served::client;
use mayfly_base::Rng;
use mayfly_mesh::proto::etcdserverpb::{PutRequest, RangeRequest};
use mayfly_mesh::{Clients, Single, Store, modules, serve};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "MAYFLY_MESH_TEST_FOLDER";
const WRITERS: u64 = 8;
const ROUNDS: u64 = 4;

/// Not a test: the process that is killed.
#[test]
#[ignore = "the process that `acknowledged_writes_survive_kill_9` starts"]
fn process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = Single::start(Store::open(Path::new(&folder), modules()).expect("a store")).expect("a thread");
        let clients = Clients::loopback(0).bind().await.expect("a port");
        println!("\nserving {}", clients.address());
        serve(engine, clients, std::future::pending()).await.expect("killed before");
    });
}

/// Killed when dropped, so that a failed test leaves nobody behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> (Process, SocketAddr) {
    let program = std::env::current_exe().expect("this test");
    let mut command = Command::new(program);
    command.args(["--exact", "kill::process", "--ignored", "--nocapture"]).env(FOLDER, folder).stdout(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let process = Process(child);
    let mut lines = lines.map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("serving ").and_then(|address| address.parse().ok()));
    (process, address.expect("it serves"))
}

/// Writes counting values to its own key until the node is gone; gives the last acknowledged value and its revision.
async fn write(address: SocketAddr, writer: u64, mut next: u64) -> (u64, u64, i64) {
    let mut client = client(address).await.kv;
    let (mut last, mut revision) = (next - 1, 0);
    loop {
        let put = PutRequest { key: key(writer), value: next.to_string().into(), ..PutRequest::default() };
        match client.put(put).await {
            Ok(response) => {
                (last, revision) = (next, response.into_inner().header.expect("a header").revision);
                next += 1;
            }
            Err(_) => return (writer, last, revision),
        }
    }
}

fn key(writer: u64) -> Vec<u8> {
    format!("writer {writer}").into_bytes()
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for seed in 0..seeds(1) {
        runtime.block_on(kills(seed));
    }
}

async fn kills(seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = Rng::new(seed);
    let mut acknowledged: BTreeMap<u64, (u64, i64)> = (0..WRITERS).map(|writer| (writer, (0, 0))).collect();
    for round in 0..ROUNDS {
        let (process, address) = start(folder.path());
        check(address, &mut acknowledged, (seed, round)).await;
        let writers: Vec<_> =
            acknowledged.iter().map(|(writer, (last, _))| tokio::spawn(write(address, *writer, last + 1))).collect();
        tokio::time::sleep(Duration::from_millis(50 + rng.below(400))).await;
        drop(process);
        for writer in writers {
            let (writer, last, revision) = writer.await.expect("no panic");
            let known = acknowledged.entry(writer).or_default();
            *known = (last, revision.max(known.1));
        }
    }
    let (_process, address) = start(folder.path());
    check(address, &mut acknowledged, (seed, ROUNDS)).await;
    let total: u64 = acknowledged.values().map(|(last, _)| last).sum();
    assert!(total > 0, "nothing was written in {ROUNDS} rounds");
    println!("seed {seed}: {total} writes, of which none was lost");
}

/// At least the acknowledged value, at most the one that was under way; and revisions never went back.
async fn check(address: SocketAddr, acknowledged: &mut BTreeMap<u64, (u64, i64)>, place: (u64, u64)) {
    let mut client = client(address).await.kv;
    for (writer, (last, revision)) in acknowledged.iter_mut() {
        let request = RangeRequest { key: key(*writer), ..RangeRequest::default() };
        let response = client.range(request).await.expect("read").into_inner();
        let found = response.kvs.first().map_or(0, |kv| String::from_utf8_lossy(&kv.value).parse().expect("a number"));
        assert!(found == *last || found == *last + 1, "{place:?}: writer {writer} was told {last}, found {found}");
        assert!(response.header.expect("a header").revision >= *revision, "{place:?}: the revision went back");
        *last = found;
    }
}
