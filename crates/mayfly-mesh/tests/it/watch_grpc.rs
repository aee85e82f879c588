//! Watching over gRPC, as clients do.

use crate::common::served::{Node, channel};
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::watch_request::RequestUnion;
use mayfly_mesh::proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest,
    WatchRequest, WatchResponse,
};
use mayfly_mesh::proto::mvccpb::event::EventType;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Request, Status, Streaming};

/// One stream of a client.
struct Stream {
    asks: Option<mpsc::Sender<WatchRequest>>,
    answers: Streaming<WatchResponse>,
}

impl Stream {
    async fn open(node: &Node) -> Self {
        Self::with(node, |_| {}).await.expect("a stream")
    }

    async fn with(node: &Node, mark: impl FnOnce(&mut Request<()>)) -> Result<Self, Status> {
        let (asks, mut asked) = mpsc::channel(16);
        let requests = futures_util::stream::poll_fn(move |cx| asked.poll_recv(cx));
        let mut marked = Request::new(());
        mark(&mut marked);
        let request = Request::from_parts(marked.metadata().clone(), Default::default(), requests);
        let mut client = WatchClient::new(channel(node.address).await);
        Ok(Self { asks: Some(asks), answers: client.watch(request).await?.into_inner() })
    }

    async fn ask(&self, request: RequestUnion) {
        let request = WatchRequest { request_union: Some(request) };
        self.asks.as_ref().expect("open").send(request).await.expect("taken");
    }

    async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(request)).await;
        self.next().await.expect("created")
    }

    async fn next(&mut self) -> Result<WatchResponse, Status> {
        let answer = tokio::time::timeout(Duration::from_secs(20), self.answers.message()).await;
        answer.expect("an answer within 20 s")?.ok_or_else(|| Status::cancelled("the end"))
    }

    /// Kind, key, value and revision of what comes next.
    async fn events(&mut self, count: usize) -> Vec<(EventType, String, String, i64)> {
        let mut events = Vec::new();
        while events.len() < count {
            for event in self.next().await.expect("events").events {
                let kind = event.r#type();
                let kv = event.kv.expect("a key");
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
                events.push((kind, text(kv.key), text(kv.value), kv.mod_revision));
            }
        }
        events
    }
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }
}

fn watch(key: &str, range_end: &str) -> WatchCreateRequest {
    WatchCreateRequest { key: key.into(), range_end: range_end.into(), ..WatchCreateRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_told_what_they_asked_for() {
    use EventType::{Delete, Put};
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client().await;
    client.put(put("a", "1")).await.expect("written");
    let mut stream = Stream::open(&node).await;
    let created = stream.create(watch("a", "")).await;
    assert_eq!((created.watch_id, created.created, created.canceled), (0, true, false));
    let header = created.header.expect("a header");
    assert_eq!((header.revision, header.member_id, header.raft_term), (2, 1, 1));
    // What was written before is history: the answer to the put is older than the watcher.
    client.put(put("a", "2")).await.expect("written");
    client.put(put("b", "1")).await.expect("written");
    client.delete_range(DeleteRangeRequest { key: b"a".to_vec(), ..Default::default() }).await.expect("deleted");
    assert_eq!(stream.events(2).await, [(Put, "a".into(), "2".into(), 3), (Delete, "a".into(), String::new(), 5)]);
    // Past revisions, with an id of the client's choice.
    let past = WatchCreateRequest { start_revision: 2, watch_id: 7, prev_kv: true, ..watch("a", "c") };
    assert_eq!(stream.create(past.clone()).await.watch_id, 7);
    let told = stream.next().await.expect("events");
    let revisions: Vec<i64> = told.events.iter().map(|event| event.kv.as_ref().expect("a key").mod_revision).collect();
    assert_eq!((told.watch_id, revisions), (7, vec![2, 3, 4, 5]));
    let before: Vec<Option<&[u8]>> =
        told.events.iter().map(|event| event.prev_kv.as_ref().map(|kv| &kv.value[..])).collect();
    assert_eq!(before, [None, Some(&b"1"[..]), None, Some(b"2")]);
    // Refusals are answers, and the stream goes on.
    let twice = stream.create(past).await;
    assert!(twice.created && twice.canceled && twice.watch_id == -1);
    assert_eq!(twice.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    let empty = stream.create(watch("b", "a")).await;
    assert_eq!((empty.watch_id, &empty.cancel_reason[..]), (-1, "mvcc: watcher range is empty"));
    stream.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 7 })).await;
    let gone = stream.next().await.expect("an answer");
    assert_eq!((gone.watch_id, gone.canceled, gone.compact_revision), (7, true, 0));
    stream.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
    let progress = stream.next().await.expect("an answer");
    assert_eq!((progress.watch_id, progress.events.len(), progress.header.expect("a header").revision), (-1, 0, 5));
    // Who asks no more still listens.
    stream.asks = None;
    client.put(put("a", "3")).await.expect("written");
    assert_eq!(stream.events(1).await, [(Put, "a".into(), "3".into(), 6)]);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compacted_ends_a_watcher_that_needs_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client().await;
    for value in ["1", "2", "3", "4"] {
        client.put(put("a", value)).await.expect("written");
    }
    let mut stream = Stream::open(&node).await;
    let waits = stream.create(WatchCreateRequest { progress_notify: true, ..watch("a", "") }).await;
    client.compact(CompactionRequest { revision: 4, physical: true }).await.expect("compacted");
    // Whoever asked for progress is told before it needs what is gone.
    let told = stream.next().await.expect("progress");
    assert_eq!((told.watch_id, told.events.len(), told.header.expect("a header").revision), (waits.watch_id, 0, 5));
    let late = stream.create(WatchCreateRequest { start_revision: 3, ..watch("a", "") }).await;
    assert!(late.created && !late.canceled);
    let gone = stream.next().await.expect("an answer");
    assert_eq!((gone.watch_id, gone.canceled, gone.compact_revision), (late.watch_id, true, 4));
    stream.create(WatchCreateRequest { start_revision: 4, ..watch("a", "") }).await;
    let values: Vec<String> = stream.events(2).await.into_iter().map(|event| event.2).collect();
    assert_eq!(values, ["3", "4"]);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_ends_its_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut stream = Stream::with(&node, |request| {
        request.metadata_mut().insert("hasleader", "true".parse().expect("a value"));
    })
    .await
    .expect("it is its own leader");
    stream.create(watch("a", "")).await;
    let stopped = tokio::spawn(node.stop());
    let status = stream.next().await.expect_err("the end");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: server stopped"));
    drop(stream);
    stopped.await.expect("no panic").expect("a good end");
}

/// A client that takes nothing does not keep a node from ending.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_let_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client().await;
    let mut stream = Stream::open(&node).await;
    stream.create(watch("a", "")).await;
    for _ in 0..30 {
        client.put(put("a", &"v".repeat(1 << 20))).await.expect("written");
    }
    drop(client);
    tokio::time::timeout(Duration::from_secs(60), node.stop()).await.expect("it ends").expect("a good end");
    drop(stream);
}

/// Streams that are left give their watchers free.
#[tokio::test(flavor = "multi_thread")]
async fn many_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let mut client = node.client().await;
    let mut streams = Vec::new();
    for i in 0..50 {
        let mut stream = Stream::open(&node).await;
        for j in 0..10 {
            stream.create(watch(&format!("k{}", (i + j) % 20), "")).await;
        }
        streams.push(stream);
    }
    let (gone, mut stay): (Vec<_>, Vec<_>) = streams.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
    drop(gone);
    client.put(put("k5", "v")).await.expect("written");
    for (i, stream) in &mut stay {
        let concerns = (0..10).any(|j| (*i + j) % 20 == 5);
        if concerns {
            assert_eq!(stream.events(1).await, [(EventType::Put, "k5".into(), "v".into(), 2)]);
        }
    }
    node.stop().await.expect("a good end");
}
