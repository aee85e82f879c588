//! Members that break the protocol: each is told nothing, loses its link, and gets nothing delivered.

use super::dial::{HELLO_LIMIT, Hello, exchange, open};
use super::{Endpoint, EndpointConfig, config};
use crate::tls::{self, Trusting};
use crate::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: usize = 4 << 20;

fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32]).unwrap()
}

fn store() -> Arc<TrustStore> {
    let mut list = TrustList::found(&identity(1), 1).unwrap();
    list.admit(&identity(1), identity(2).public_key(), 2).unwrap();
    Arc::new(TrustStore::in_memory(list))
}

fn settings() -> EndpointConfig {
    let mut settings = EndpointConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    (settings.handshake_timeout_ms, settings.request_timeout_ms) = (400, 400);
    settings
}

fn node() -> Endpoint {
    Endpoint::bind(identity(1), store(), settings()).unwrap()
}

/// A member without the rest of the program.
struct Raw {
    socket: quinn::Endpoint,
    connection: quinn::Connection,
}

async fn connect(to: &Endpoint) -> Raw {
    let tls = tls::client_config(&identity(2), Trusting::List(store()), KeyExchange::Hybrid).unwrap();
    connect_with(to, config::quic_client(tls).unwrap()).await
}

/// With settings that remember sessions from one call to the next.
async fn connect_with(to: &Endpoint, client: Arc<quinn::crypto::rustls::QuicClientConfig>) -> Raw {
    let settings = settings();
    let socket = config::socket(config::Listener::bind(settings.listen).unwrap(), &settings, None, None).unwrap();
    let peer = Peer { id: to.id(), addr: to.addr() };
    let connection = open(&socket, client, &settings, peer).await.unwrap();
    Raw { socket, connection }
}

async fn greet(to: &Endpoint) -> Raw {
    let raw = connect(to).await;
    let peer = Peer { id: to.id(), addr: to.addr() };
    exchange(&raw.connection, peer, &Hello::frame("raw", 1).unwrap(), Kind::Hello, HELLO_LIMIT).await.unwrap();
    raw
}

fn request(id: u32) -> Vec<u8> {
    Frame::encode(Kind::Request, 7, id, b"hello", LIMIT).unwrap().to_vec()
}

async fn send(raw: &Raw, bytes: &[u8]) -> quinn::RecvStream {
    let (mut send, receive) = raw.connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    let _ = send.finish();
    receive
}

/// The code that the connection was closed with.
async fn closed_with(raw: &Raw) -> CloseReason {
    let closed = tokio::time::timeout(Duration::from_secs(30), raw.connection.closed()).await.expect("it stays open");
    super::reason::said(&closed).unwrap_or(CloseReason::Lost)
}

/// The requests that were delivered until nothing comes any more.
async fn delivered(node: &Endpoint) -> usize {
    let mut count = 0;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(150), node.next()).await {
        count += usize::from(!matches!(event, Event::Up { .. } | Event::Down { .. }));
    }
    count
}

#[tokio::test]
async fn refused_frames_end_the_link_and_are_not_delivered() {
    let change = |at: usize, to: u8| {
        let mut bytes = request(2);
        bytes[at] = to;
        bytes
    };
    let truncated = request(2)[..18].to_vec();
    let trailing = [request(2), vec![0]].concat();
    let twice = [request(2), request(3)].concat();
    let cases = [
        ("magic", change(0, b'X')),
        ("version", change(2, 2)),
        ("kind", change(3, 99)),
        ("a response where a request is due", change(3, 5)),
        ("flags", change(5, 0x80)),
        ("a compressed payload that is none", change(4, 1)),
        ("a length over the limit", change(15, 0xff)),
        ("truncated", truncated),
        ("trailing", trailing),
        ("two frames on a stream", twice),
        ("id 0", request(0)),
        ("the id of Hello again", request(1)),
    ];
    for (what, bytes) in cases {
        let node = node();
        let raw = greet(&node).await;
        let _receive = send(&raw, &bytes).await;
        assert_eq!(closed_with(&raw).await, CloseReason::Protocol, "{what}");
        assert_eq!(delivered(&node).await, 0, "{what}");
    }
}

#[tokio::test]
async fn a_replayed_frame_is_refused_and_a_reordered_one_is_not() {
    let node = node();
    let raw = greet(&node).await;
    for id in [5, 3, 4] {
        drop(send(&raw, &request(id)).await);
    }
    assert_eq!(delivered(&node).await, 3);
    let _receive = send(&raw, &request(4)).await;
    assert_eq!(closed_with(&raw).await, CloseReason::Protocol);
    assert_eq!(delivered(&node).await, 0);
}

#[tokio::test]
async fn datagrams_that_are_none_end_the_link_and_doubled_ones_are_dropped() {
    let node = node();
    let raw = greet(&node).await;
    let datagram = Frame::encode(Kind::Datagram, 7, 2, b"hi", LIMIT).unwrap().to_vec();
    for _ in 0..3 {
        raw.connection.send_datagram(datagram.clone().into()).unwrap();
    }
    assert_eq!(delivered(&node).await, 1);
    raw.connection.send_datagram(request(3).into()).unwrap();
    assert_eq!(closed_with(&raw).await, CloseReason::Protocol);
}

#[tokio::test]
async fn bodies_that_lie_are_refused() {
    let node = node();
    let raw = greet(&node).await;
    let head = |id: u32, len: u64| {
        let head = to_payload("head", &crate::body::BodyHead { len, meta: b"" }).unwrap();
        Frame::encode(Kind::Body, 7, id, &head, LIMIT).unwrap().to_vec()
    };
    let mut stream = raw.connection.open_uni().await.unwrap();
    stream.write_all(&[head(2, 3), b"four".to_vec()].concat()).await.unwrap();
    stream.finish().unwrap();
    let body = loop {
        match node.next().await {
            Some(Event::Body { body, .. }) => break body,
            Some(Event::Up { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    let read = body.read_to_end(100).await;
    assert!(matches!(read, Err(WireError::BodyLength { declared: 3, got: 4 })), "{read:?}");
    let mut stream = raw.connection.open_uni().await.unwrap();
    stream.write_all(&head(3, u64::MAX)).await.unwrap();
    assert_eq!(closed_with(&raw).await, CloseReason::Protocol);
    assert_eq!(delivered(&node).await, 0);
}

#[tokio::test]
async fn who_says_nothing_or_nonsense_first_is_shown_out() {
    let node = node();
    let silent = connect(&node).await;
    assert_eq!(closed_with(&silent).await, CloseReason::TooSlow);
    let slow = connect(&node).await;
    let (mut half, _receive) = slow.connection.open_bi().await.unwrap();
    half.write_all(&Hello::frame("slow", 1).unwrap()[..9]).await.unwrap();
    assert_eq!(closed_with(&slow).await, CloseReason::TooSlow);
    let hasty = connect(&node).await;
    let _receive = send(&hasty, &request(1)).await;
    assert_eq!(closed_with(&hasty).await, CloseReason::Protocol);
    assert_eq!(delivered(&node).await, 0);
    assert!(node.links().is_empty());
}

#[tokio::test]
async fn half_a_request_costs_its_stream_and_not_the_link() {
    let node = node();
    let raw = greet(&node).await;
    let (mut half, mut receive) = raw.connection.open_bi().await.unwrap();
    half.write_all(&request(2)[..10]).await.unwrap();
    assert!(matches!(receive.read(&mut [0]).await, Ok(None) | Err(_)));
    drop(send(&raw, &request(3)).await);
    assert_eq!(delivered(&node).await, 1);
    assert!(raw.connection.close_reason().is_none());
    raw.socket.close(0_u32.into(), b"");
}

/// A member that answers wrongly: the asker gets a typed error, not the answer.
#[tokio::test]
async fn wrong_answers_are_refused_by_name() {
    type Check = fn(&Result<Vec<u8>>) -> bool;
    let answer = |kind, id| Frame::encode(kind, 7, id, b"answer", LIMIT).unwrap().to_vec();
    let cases: [(Vec<u8>, Check); 5] = [
        (answer(Kind::Response, 9), |r| matches!(r, Err(WireError::WrongId { want: 2, got: 9 }))),
        (answer(Kind::Request, 2), |r| matches!(r, Err(WireError::WrongKind { got: 4, .. }))),
        (answer(Kind::Response, 2)[..17].to_vec(), |r| matches!(r, Err(WireError::Truncated { .. }))),
        ([answer(Kind::Response, 2), vec![1]].concat(), |r| matches!(r, Err(WireError::Trailing { .. }))),
        (answer(Kind::Failure, 2), |r| matches!(r, Err(WireError::Payload { .. } | WireError::Trailing { .. }))),
    ];
    for (bytes, is_right) in cases {
        let tls = tls::server_config(&identity(2), Trusting::List(store()), KeyExchange::Hybrid).unwrap();
        let socket =
            config::socket(config::Listener::bind(settings().listen).unwrap(), &settings(), Some(tls), None).unwrap();
        let to = Peer { id: identity(2).id(), addr: socket.local_addr().unwrap() };
        let liar = tokio::spawn(async move {
            let connection = socket.accept().await.unwrap().await.unwrap();
            for answer in [Hello::frame("liar", 1).unwrap().to_vec(), bytes] {
                let (mut send, mut receive) = connection.accept_bi().await.unwrap();
                let _ = receive.read_to_end(10_000).await;
                send.write_all(&answer).await.unwrap();
                let _ = send.finish();
            }
            connection.closed().await;
        });
        let node = node();
        let answer = node.request(to, 7, b"question").await;
        assert!(is_right(&answer), "{answer:?}");
        node.close().await;
        liar.await.unwrap();
    }
}

fn has_up(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Up { .. }))
}

/// Whatever came until nothing comes any more.
async fn events(node: &Endpoint) -> Vec<Event> {
    let mut all = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(150), node.next()).await {
        all.push(event);
    }
    all
}

/// A resumed session skips the handshake's look at the trust list; the look after it stands, and the revoked node is not even announced.
#[tokio::test]
async fn a_revoked_key_with_an_old_session_is_not_greeted() {
    let node = node();
    let tls = tls::client_config(&identity(2), Trusting::List(store()), KeyExchange::Hybrid).unwrap();
    let client = config::quic_client(tls).unwrap();
    let peer = Peer { id: node.id(), addr: node.addr() };
    let hello = Hello::frame("raw", 1).unwrap();
    let first = connect_with(&node, client.clone()).await;
    exchange(&first.connection, peer, &hello, Kind::Hello, HELLO_LIMIT).await.unwrap();
    assert!(has_up(&events(&node).await));
    node.trust().revoke(&identity(1), identity(2).id(), 3).unwrap();
    assert_eq!(closed_with(&first).await, CloseReason::Revoked);
    events(&node).await;
    let again = connect_with(&node, client).await;
    let answer = exchange(&again.connection, peer, &hello, Kind::Hello, HELLO_LIMIT).await;
    assert!(matches!(answer, Err(WireError::ClosedBy { why: CloseReason::Revoked, .. })), "{answer:?}");
    assert!(!has_up(&events(&node).await), "it was announced");
}

/// The side that calls looks again as well: the trust list may change while its handshake is under way.
#[tokio::test]
async fn a_key_revoked_during_the_call_is_not_talked_to() {
    let (a, b) = (node(), Endpoint::bind(identity(2), store(), settings()).unwrap());
    let to = Peer { id: b.id(), addr: b.addr() };
    a.connect(to).await.unwrap();
    events(&a).await; // the session is kept by then
    a.trust().revoke(&identity(1), b.id(), 3).unwrap();
    let link = super::dial::greet(&a.inner, to).await;
    assert!(matches!(link, Err(WireError::Revoked { id }) if id == b.id()), "{:?}", link.map(|link| link.peer));
}

/// A link that comes to be after its node was shut out: the watcher of the list has not seen it, so it is looked at when it is put to use.
#[tokio::test]
async fn a_link_of_a_node_shut_out_meanwhile_ends_at_once() {
    let (a, b) = (node(), Endpoint::bind(identity(2), store(), settings()).unwrap());
    let link = super::dial::greet(&a.inner, Peer { id: b.id(), addr: b.addr() }).await.unwrap();
    a.trust().revoke(&identity(1), b.id(), 3).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await; // the watcher has looked, and found no link
    let link = Arc::new(link);
    super::dial::start(&a.inner, &link);
    assert!(!link.is_open());
    assert_eq!(link.why(), CloseReason::Revoked);
}

/// The system must take every packet that the settings make. When it refuses some, the link goes on with packets of 1,200 bytes, at a third of the speed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_travels_in_large_packets() {
    const LEN: usize = 16 << 20;
    let (a, b) = (node(), Endpoint::bind(identity(2), store(), settings()).unwrap());
    let to = Peer { id: b.id(), addr: b.addr() };
    let sending = async {
        let mut writer = a.body(to, 7, b"", LEN as u64).await.unwrap();
        writer.write(&vec![7; LEN]).await.unwrap();
        writer.finish().await.unwrap();
    };
    let receiving = async {
        loop {
            if let Event::Body { body, .. } = b.next().await.unwrap() {
                return body.read_to_end(LEN as u64).await.unwrap();
            }
        }
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert_eq!(received.len(), LEN);
    let stats = a.inner.links.primaries()[0].connection.stats();
    let mean = stats.udp_tx.bytes / stats.udp_tx.datagrams;
    assert!(mean > 8_000, "{mean} bytes a packet, {} calls", stats.udp_tx.ios);
}
