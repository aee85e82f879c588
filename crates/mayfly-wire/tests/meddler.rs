//! A path that loses, doubles, delays, reorders, cuts, flips and replays packets: everything still arrives once and whole, or not at all.

mod common;

use common::*;
use mayfly_base::Rng;
use mayfly_wire::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;

/// How often each mischief was done.
#[derive(Default)]
struct Tally([AtomicUsize; 6]);

/// A relay between whoever calls it and `server`; one caller at a time.
async fn meddler(server: SocketAddr, seed: u64) -> (SocketAddr, Arc<Tally>) {
    let (front, back) = (UdpSocket::bind(loopback()).await.unwrap(), UdpSocket::bind(loopback()).await.unwrap());
    let (addr, tally) = (front.local_addr().unwrap(), Arc::new(Tally::default()));
    let counted = tally.clone();
    tokio::spawn(async move {
        let mut rng = Rng::new(seed);
        let (mut caller, mut held, mut old) = (server, [None, None], [None, None]);
        let (mut from_front, mut from_back) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            let (side, packet) = tokio::select! {
                Ok((len, from)) = front.recv_from(&mut from_front) => {
                    caller = from;
                    (0, from_front[..len].to_vec())
                }
                Ok((len, _)) = back.recv_from(&mut from_back) => (1, from_back[..len].to_vec()),
            };
            for packet in meddle(packet, &mut rng, &mut held[side], &mut old[side], &counted) {
                let (socket, to) = if side == 0 { (&back, server) } else { (&front, caller) };
                let _ = socket.send_to(&packet, to).await;
            }
        }
    });
    (addr, tally)
}

/// What becomes of a packet: none, one or two.
fn meddle(
    mut packet: Vec<u8>,
    rng: &mut Rng,
    held: &mut Option<Vec<u8>>,
    old: &mut Option<Vec<u8>>,
    tally: &Tally,
) -> Vec<Vec<u8>> {
    let mischief = rng.below(25) as usize;
    if let Some(count) = tally.0.get(mischief) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    match mischief {
        0 => return Vec::new(),
        1 => return vec![packet.clone(), packet],
        2 => packet.truncate(rng.below(packet.len() as u64) as usize),
        3 => {
            let at = rng.below(packet.len() as u64 * 8) as usize;
            packet[at / 8] ^= 1 << (at % 8);
        }
        4 => return held.replace(packet).into_iter().collect(),
        5 => return old.clone().into_iter().chain([packet]).collect(),
        _ if rng.below(20) == 0 => *old = Some(packet.clone()),
        _ => {}
    }
    held.take().into_iter().chain([packet]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_once_and_whole_or_not_at_all() {
    let (a, b) = pair();
    let (addr, tally) = meddler(b.addr(), 11).await;
    let (to, b) = (Peer { id: b.id(), addr }, Arc::new(b));
    let mut rng = Rng::new(5);
    let weights: Vec<u8> = (0..2_000_000).map(|_| rng.next_u64() as u8).collect();
    let serving = tokio::spawn({
        let b = b.clone();
        async move {
            let (mut seen, mut bodies, mut datagrams) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
            while let Some(event) = b.next().await {
                match event {
                    Event::Request { payload, reply, .. } => {
                        *seen.entry(payload.clone()).or_insert(0) += 1;
                        reply.answer(payload);
                    }
                    Event::Body { body, .. } => bodies.push(body.read_to_end(1 << 30).await.unwrap()),
                    Event::Datagram { payload, .. } => *datagrams.entry(payload).or_insert(0) += 1,
                    _ => {}
                }
            }
            (seen, bodies, datagrams)
        }
    });
    for i in 0..150_u32 {
        let question = i.to_le_bytes().repeat(200);
        assert_eq!(soon("a request", a.request(to, TOPIC, &question)).await.unwrap(), question);
        a.datagram(to, TOPIC, &i.to_le_bytes()).await.unwrap();
    }
    let mut body = a.body(to, TOPIC, b"", weights.len() as u64).await.unwrap();
    for part in weights.chunks(10_000) {
        soon("a part", body.write(part)).await.unwrap();
    }
    soon("the body", body.finish()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    b.close().await;
    let (seen, bodies, datagrams) = soon("the server", serving).await.unwrap();
    assert_eq!(seen.len(), 150);
    assert!(seen.values().all(|times| *times == 1), "a request was delivered twice");
    assert!(bodies == [weights], "the body differs");
    assert!(datagrams.values().all(|times| *times == 1) && datagrams.len() > 50, "{} datagrams", datagrams.len());
    for (mischief, count) in tally.0.iter().enumerate() {
        assert!(count.load(Ordering::Relaxed) > 2, "mischief {mischief} was hardly tried");
    }
}
