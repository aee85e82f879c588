//! A transport shared by two who drive it.

use mayfly_base::NodeId;
use mayfly_wire::{Event, Lane, MemoryEndpoint, MemoryNet, Peer, Transport, WireError, lanes};

fn peer(place: u8) -> Peer {
    Peer { id: NodeId([place; 32]), addr: ([10, 0, 0, place], 1).into() }
}

fn endpoint(net: &MemoryNet, place: u8) -> MemoryEndpoint {
    net.endpoint(peer(place).id, peer(place).addr)
}

/// Answers with its name until it is closed.
async fn echo(lane: Lane<MemoryEndpoint>, name: &'static str) {
    while let Some(event) = lane.next().await {
        if let Event::Request { topic, reply, .. } = event {
            reply.answer(format!("{name} {topic}").into_bytes());
        }
    }
}

#[tokio::test]
async fn questions_go_where_their_topic_belongs() {
    let net = MemoryNet::new(1);
    let a = endpoint(&net, 1);
    let [low, high] = lanes(endpoint(&net, 2), [1..=9, 10..=19]);
    tokio::spawn(echo(low, "low"));
    let high = tokio::spawn(echo(high, "high"));
    assert_eq!(a.request(peer(2), 3, b"").await.expect("answered"), b"low 3");
    assert_eq!(a.request(peer(2), 10, b"").await.expect("answered"), b"high 10");
    let refused = a.request(peer(2), 20, b"").await.expect_err("nobody's");
    assert!(matches!(&refused, WireError::Failed { message, .. } if message.contains("nobody")), "{refused}");
    high.abort();
    let _ = high.await; // its lane is dropped
    let refused = a.request(peer(2), 10, b"").await.expect_err("nobody's any more");
    assert!(matches!(&refused, WireError::Failed { message, .. } if message.contains("nobody")), "{refused}");
    assert_eq!(a.request(peer(2), 3, b"").await.expect("answered"), b"low 3");
}

/// All hear of links, and the last who closes its lane closes the transport.
#[tokio::test]
async fn the_last_lane_closes_the_transport() {
    let net = MemoryNet::new(1);
    let a = endpoint(&net, 1);
    let [low, high] = lanes(endpoint(&net, 2), [1..=9, 10..=19]);
    a.connect(peer(2)).await.expect("a link");
    for lane in [&low, &high] {
        assert!(matches!(lane.next().await, Some(Event::Up { peer }) if peer.id == NodeId([1; 32])));
    }
    low.close().await;
    assert!(low.next().await.is_none());
    let answered = async { drop(high.next().await) };
    let asked = async { a.request(peer(2), 12, b"").await };
    let (asked, ()) = tokio::join!(asked, answered);
    assert!(matches!(asked, Err(WireError::Failed { .. })), "{asked:?}: it came, and was dropped");
    high.close().await;
    assert!(high.next().await.is_none());
    assert!(a.request(peer(2), 12, b"").await.is_err());
}

/// Who does not take what comes in holds up nobody else.
#[tokio::test]
async fn a_full_lane_refuses_and_the_other_goes_on() {
    let net = MemoryNet::new(1);
    let a = std::sync::Arc::new(endpoint(&net, 1));
    let [low, high] = lanes(endpoint(&net, 2), [1..=9, 10..=19]);
    tokio::spawn(echo(low, "low"));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..1_100 {
        let a = a.clone();
        asked.spawn(async move { a.request(peer(2), 10, b"").await });
    }
    let refused = asked.join_next().await.expect("one ends").expect("no panic").expect_err("too many");
    assert!(matches!(&refused, WireError::Failed { message, .. } if message.contains("too much")), "{refused}");
    assert_eq!(a.request(peer(2), 3, b"").await.expect("answered"), b"low 3");
    drop(high);
}

/// What waits in a lane when that is closed is answered: nobody will read it.
#[tokio::test]
async fn what_waits_is_dropped_with_its_lane() {
    let net = MemoryNet::new(1);
    let a = std::sync::Arc::new(endpoint(&net, 1));
    let [low, high] = lanes(endpoint(&net, 2), [1..=9, 10..=19]);
    tokio::spawn(echo(low, "low"));
    let asker = a.clone();
    let asked = tokio::spawn(async move { asker.request(peer(2), 10, b"").await });
    assert_eq!(a.request(peer(2), 3, b"").await.expect("answered"), b"low 3");
    tokio::task::yield_now().await;
    drop(high);
    assert!(matches!(asked.await.expect("no panic"), Err(WireError::Failed { .. })));
}
