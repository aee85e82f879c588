//! Much at once, much in a row, and peers that send garbage or nothing.

mod common;

use common::*;
use mayfly_base::Rng;
use mayfly_wire::*;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_arrive_with_every_byte_equal() {
    let (a, b) = pair();
    let mut rng = Rng::new(64);
    let weights: Arc<Vec<u8>> = Arc::new((0..8 << 20).flat_map(|_| rng.next_u64().to_le_bytes()).collect());
    let (to, sent) = (peer(&b), weights.clone());
    let sending = tokio::spawn(async move {
        let mut body = a.body(to, TOPIC, b"weights", sent.len() as u64).await.unwrap();
        body.write(&sent).await.unwrap();
        body.finish().await.unwrap();
        a
    });
    let Event::Body { body, .. } = message(&b).await else { panic!("no body") };
    let got = soon("the body", body.read_to_end(64 << 20)).await.unwrap();
    assert!(got == *weights, "the body differs");
    drop(sending.await.unwrap());
}

/// Many endpoints at once, each with its own key, all of them at one node's door.
async fn all_at_once(count: usize) {
    let seed = |i: usize| std::array::from_fn(|at| if at == 0 { 99 } else { (i >> (8 * (at % 4))) as u8 });
    let members: Vec<Identity> = (0..count).map(|i| Identity::from_seed(&seed(i)).unwrap()).collect();
    let list = trust(&members.iter().collect::<Vec<_>>());
    let mut patient = config(KeyExchange::Hybrid);
    (patient.handshake_timeout_ms, patient.request_timeout_ms, patient.idle_timeout_ms) = (180_000, 180_000, 180_000);
    let door = Arc::new(bind_with(&members[0], list.clone(), patient.clone()));
    let to = peer(&*door);
    let _serving = answer_all(door.clone());
    let store = Arc::new(TrustStore::in_memory(list));
    let calls = members[1..].iter().map(|member| {
        let caller = Endpoint::bind(member.clone(), store.clone(), patient.clone()).unwrap();
        tokio::spawn(async move {
            let answer = caller.request(to, TOPIC, b"abc").await;
            (answer, caller)
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut callers = Vec::new();
    for call in calls {
        let answered = tokio::time::timeout(Duration::from_secs(300), call).await;
        let (answer, caller) = answered.expect("a call hangs").unwrap();
        assert_eq!(answer.unwrap_or_else(|e| panic!("{e}")), b"cba");
        callers.push(caller);
    }
    assert_eq!(door.links().len(), count - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_links_at_once_are_all_served() {
    all_at_once(201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nightly"]
async fn a_thousand_links_at_once_are_all_served() {
    all_at_once(1001).await;
}

#[tokio::test]
async fn garbage_on_the_socket_disturbs_nobody() {
    let (a, b) = pair();
    let to = peer(&b);
    let b = Arc::new(b);
    let _serving = answer_all(b.clone());
    let socket = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
    let mut rng = Rng::new(8);
    for round in 0..2000_u32 {
        let len = 1 + rng.below(1400) as usize;
        let mut packet: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        if round % 2 == 0 {
            packet[0] |= 0xc0; // looks like the first packet of a handshake
            packet.splice(1.min(len)..5.min(len), [0, 0, 0, 1]);
            packet.resize(packet.len().max(1200), 0);
        }
        socket.send_to(&packet, to.addr).await.unwrap();
        if round % 400 == 0 {
            assert_eq!(soon("a request", a.request(to, TOPIC, b"abc")).await.unwrap(), b"cba");
        }
    }
    assert_eq!(soon("a request", a.request(to, TOPIC, b"abc")).await.unwrap(), b"cba");
    until("garbage to be forgotten", || b.open_connections() <= 1).await;
}

#[tokio::test]
async fn nobody_at_the_address_is_told_in_time() {
    let (caller, to, _silent) = caller_of_nobody(200);
    let late = soon("the handshake", caller.request(to, TOPIC, b"")).await;
    assert!(matches!(late, Err(WireError::TimedOut { after_ms: 200, .. })), "{late:?}");
}

#[tokio::test]
async fn an_application_that_never_answers_costs_one_request() {
    let (a, b) = (identity(1), identity(2));
    let list = trust(&[&a, &b]);
    let mut hasty = config(KeyExchange::Hybrid);
    hasty.request_timeout_ms = 300;
    let (a, b) = (bind_with(&a, list.clone(), hasty), bind(&b, list));
    let to = peer(&b);
    let late = soon("the request", a.request(to, TOPIC, b"first")).await;
    assert!(matches!(late, Err(WireError::TimedOut { after_ms: 300, .. })), "{late:?}");
    let Event::Request { reply, .. } = message(&b).await else { panic!("no request") };
    reply.answer(b"too late".to_vec());
    tokio::time::sleep(Duration::from_millis(20)).await;
    let serving = answer_all(Arc::new(b));
    assert_eq!(soon("the next", a.request(to, TOPIC, b"abc")).await.unwrap(), b"cba");
    serving.abort();
}
