//! What the tests share: a swarm of trust without ceremony, and waiting that ends.
#![allow(dead_code, reason = "each test file uses some of it")]

use mayfly_wire::*;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const TOPIC: u16 = 7;
/// A limit for hangs, far above what anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

pub fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32]).unwrap()
}

/// A list on which the first identity let all others in.
pub fn trust(members: &[&Identity]) -> TrustList {
    let mut list = TrustList::found(members[0], 1).unwrap();
    for member in &members[1..] {
        list.admit(members[0], member.public_key(), 2).unwrap();
    }
    list
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn config(key_exchange: KeyExchange) -> EndpointConfig {
    let mut config = EndpointConfig::new(loopback());
    config.key_exchange = key_exchange;
    config
}

pub fn bind(identity: &Identity, list: TrustList) -> Endpoint {
    bind_with(identity, list, config(KeyExchange::Hybrid))
}

pub fn bind_with(identity: &Identity, list: TrustList, config: EndpointConfig) -> Endpoint {
    Endpoint::bind(identity.clone(), Arc::new(TrustStore::in_memory(list)), config).unwrap()
}

/// Two endpoints that trust each other.
pub fn pair() -> (Endpoint, Endpoint) {
    let (a, b) = (identity(1), identity(2));
    let list = trust(&[&a, &b]);
    (bind(&a, list.clone()), bind(&b, list))
}

/// A node that gives up calls after so long, and a member's address where nobody answers as long as the socket is there.
pub fn caller_of_nobody(handshake_timeout_ms: u64) -> (Endpoint, Peer, std::net::UdpSocket) {
    let (a, gone) = (identity(1), identity(2));
    let mut hasty = config(KeyExchange::Hybrid);
    hasty.handshake_timeout_ms = handshake_timeout_ms;
    let silent = std::net::UdpSocket::bind(loopback()).unwrap();
    let to = Peer { id: gone.id(), addr: silent.local_addr().unwrap() };
    (bind_with(&a, trust(&[&a, &gone]), hasty), to, silent)
}

pub fn peer(of: &impl Transport) -> Peer {
    Peer { id: of.id(), addr: of.addr() }
}

/// The result, or a failed test instead of a hang.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// The next event that is no link coming or going.
pub async fn message(at: &impl Transport) -> Event {
    loop {
        match soon("the next message", at.next()).await.expect("the endpoint is open") {
            Event::Up { .. } | Event::Down { .. } => {}
            event => return event,
        }
    }
}

/// Answers every request with its payload reversed, until the endpoint closes.
pub fn answer_all<T: Transport>(at: Arc<T>) -> tokio::task::JoinHandle<u32> {
    tokio::spawn(async move {
        let mut answered = 0;
        while let Some(event) = at.next().await {
            if let Event::Request { mut payload, reply, .. } = event {
                payload.reverse();
                reply.answer(payload);
                answered += 1;
            }
        }
        answered
    })
}

/// Waits until the condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, waiting).await;
}
