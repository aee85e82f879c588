//! A network in memory: delays, losses, doubles, and cuts in one direction.

use super::runtime::Rt;
use mayfly_base::{NodeId, Rng};
use mayfly_mesh::proto::linkpb::Ask;
use mayfly_mesh::proto::linkpb::ask::Question;
use mayfly_wire::{BodyWriter, Event, LinkStats, Peer, Reply, Result, Transport, WireError};
use openraft::AsyncRuntime;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc;

/// When a link says that the other side is gone.
const SILENCE: Duration = Duration::from_secs(3);

/// How the network does.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Of a hundred questions or answers, so many are lost ...
    pub loss: u64,
    /// ... and of a hundred questions, so many come twice.
    pub double: u64,
    /// The longest way, in microseconds.
    pub delay_us: u64,
}

pub const FAIR: Weather = Weather { loss: 0, double: 0, delay_us: 2_000 };

struct Inside {
    inboxes: BTreeMap<NodeId, (SocketAddr, mpsc::UnboundedSender<Event>)>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    weather: Weather,
    rng: Rng,
}

#[derive(Clone)]
pub struct Net(Arc<Mutex<Inside>>);

/// One way of a message.
struct Way {
    delay: Duration,
    arrives: bool,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        let inside = Inside {
            inboxes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            weather: FAIR,
            rng: Rng::new(seed ^ 0x6e65_7400),
        };
        Self(Arc::new(Mutex::new(inside)))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("no panic")
    }

    /// What goes from one to the other is lost.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.lock().cuts.insert((from, to));
    }

    pub fn heal(&self) {
        self.lock().cuts.clear();
    }

    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// The process of a node is gone: nobody listens there.
    pub fn unplug(&self, id: NodeId) {
        self.lock().inboxes.remove(&id);
    }

    /// A new process of a node.
    pub fn plug_in(&self, peer: Peer) -> Endpoint {
        let (send, receive) = mpsc::unbounded_channel();
        self.lock().inboxes.insert(peer.id, (peer.addr, send));
        Endpoint { net: self.clone(), peer, inbox: tokio::sync::Mutex::new(receive) }
    }

    fn way(&self, from: NodeId, to: NodeId) -> Way {
        let mut inside = self.lock();
        let Weather { loss, delay_us, .. } = inside.weather;
        let delay = Duration::from_micros(50 + inside.rng.below(delay_us.max(1)));
        let is_lost = inside.rng.below(100) < loss;
        Way { delay, arrives: !is_lost && !inside.cuts.contains(&(from, to)) }
    }

    fn comes_twice(&self) -> bool {
        let mut inside = self.lock();
        let double = inside.weather.double;
        inside.rng.below(100) < double
    }

    fn inbox(&self, to: Peer) -> Option<mpsc::UnboundedSender<Event>> {
        let inside = self.lock();
        inside.inboxes.get(&to.id).filter(|(addr, _)| *addr == to.addr).map(|(_, inbox)| inbox.clone())
    }
}

pub struct Endpoint {
    net: Net,
    peer: Peer,
    inbox: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
}

impl Endpoint {
    async fn silence(&self) -> WireError {
        Rt::sleep(SILENCE).await;
        WireError::TimedOut { what: "the request", after_ms: SILENCE.as_millis() as u64 }
    }
}

/// A transport never doubles a request (`mayfly_wire::ReplayWindow`). Raft's own questions bear it all the same; an entry would happen twice.
fn is_proposal(payload: &[u8]) -> bool {
    let ask = payload.get(1..).and_then(|bytes| Ask::decode(bytes).ok());
    ask.is_some_and(|ask| matches!(ask.question, Some(Question::Propose(_))))
}

impl Transport for Endpoint {
    fn id(&self) -> NodeId {
        self.peer.id
    }

    fn addr(&self) -> SocketAddr {
        self.peer.addr
    }

    async fn connect(&self, _: Peer) -> Result<()> {
        Ok(())
    }

    async fn request(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<Vec<u8>> {
        let there = self.net.way(self.peer.id, to.id);
        Rt::sleep(there.delay).await;
        if !there.arrives {
            return Err(self.silence().await);
        }
        let Some(inbox) = self.net.inbox(to) else {
            return Err(WireError::Connect { addr: to.addr, reason: "nobody listens there".into() });
        };
        let (reply, answer) = Reply::pair();
        let event = |reply| Event::Request { from: self.peer, topic, payload: payload.to_vec(), reply };
        if !is_proposal(payload) && self.net.comes_twice() {
            let _ = inbox.send(event(Reply::pair().0));
        }
        let _ = inbox.send(event(reply));
        drop(inbox);
        let answer = answer.await;
        let back = self.net.way(to.id, self.peer.id);
        Rt::sleep(back.delay).await;
        if back.arrives { answer } else { Err(self.silence().await) }
    }

    async fn datagram(&self, _: Peer, _: u16, _: &[u8]) -> Result<()> {
        Ok(())
    }

    async fn body(&self, to: Peer, _: u16, _: &[u8], _: u64) -> Result<BodyWriter> {
        Err(WireError::Connect { addr: to.addr, reason: "bodies are not simulated".into() })
    }

    async fn next(&self) -> Option<Event> {
        self.inbox.lock().await.recv().await
    }

    fn links(&self) -> Vec<LinkStats> {
        Vec::new()
    }

    async fn close(&self) {
        self.net.unplug(self.peer.id);
    }
}
