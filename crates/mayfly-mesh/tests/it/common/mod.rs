//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod auth;
pub mod disk;
pub mod memory;
pub mod model;
pub mod ops;
pub mod served;

use mayfly_mesh::{Applied, Engine, Logged, MeshError, Single, Store, kv};
use ops::{Op, Reply};

/// Applies to a store without a server.
pub fn apply(store: &Store, op: &Op) -> Result<Reply, mayfly_mesh::EtcdError> {
    use mayfly_mesh::proto::meshpb::{command::Request, outcome::Response};
    op.check()?;
    let request = match op.clone() {
        Op::Range(request) => {
            return store.read(|transaction| kv::range(transaction, &request)).expect("readable").map(Reply::Range);
        }
        Op::Txn(request) if kv::is_read_only(&request) => {
            return store.read(|transaction| kv::read_txn(transaction, &request)).expect("readable").map(Reply::Txn);
        }
        Op::Put(request) => Request::Put(request),
        Op::Delete(request) => Request::DeleteRange(request),
        Op::Txn(request) => Request::Txn(request),
        Op::Compact(request) => Request::Compaction(request),
        Op::Grant(request) => Request::Grant(request),
        Op::Revoke(request) => Request::Revoke(request),
    };
    let outcome = apply_bytes(store, &[kv::entry(request).encode()]).expect("applied").remove(0);
    kv::outcome(&outcome).expect("an outcome").map(|response| match response {
        Response::Put(response) => Reply::Put(response),
        Response::DeleteRange(response) => Reply::Delete(response),
        Response::Txn(response) => Reply::Txn(response),
        Response::Compaction(response) => Reply::Compact(response),
        Response::Grant(response) => Reply::Grant(response),
        Response::Revoke(response) => Reply::Revoke(response),
        Response::Alarm(_) | Response::Done(_) => panic!("no client asked for it"),
        Response::Refused(number) => panic!("refusal {number} was no answer"),
    })
}

/// Applies entries that follow on the last one, in term 1.
pub fn apply_bytes(store: &Store, entries: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, MeshError> {
    let first = store.applied().expect("readable").index + 1;
    let logged = |(index, entry): (u64, &Vec<u8>)| Logged { at: Applied { index, term: 1 }, entry: entry.clone() };
    store.apply(&(first..).zip(entries).map(logged).collect::<Vec<_>>())
}

/// How many seeds: `MAYFLY_SEEDS`, or so many, and twenty times as many at night.
pub fn seeds(usual: u64) -> u64 {
    let usual = if std::env::var_os("MAYFLY_HEAVY").is_some() { 20 * usual } else { usual };
    std::env::var("MAYFLY_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

pub async fn entry(engine: &Single, key: &[u8], value: &[u8]) -> Result<Vec<u8>, MeshError> {
    use mayfly_mesh::proto::etcdserverpb::PutRequest;
    use mayfly_mesh::proto::meshpb::command::Request;
    let put = PutRequest { key: key.to_vec(), value: value.to_vec(), ..PutRequest::default() };
    engine.propose(kv::entry(Request::Put(put))).await
}
