//! A network inside one process: the same API, the same frames, no sockets. For tests of what drives a [`Transport`].

use crate::body::{Sink, Source};
use crate::frame::check_len;
use crate::inbox::Inbox;
use crate::transport::answer_of;
use crate::{
    BodyReader, BodyWriter, CloseReason, Event, Frame, Kind, Limits, LinkStats, Peer, Reply, Result, Transport,
};
use crate::{FAILURE_TOO_LONG, WireError};
use mayfly_base::{NodeId, Rng};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What a datagram may carry: what fits into a packet of 1,200 bytes.
const DATAGRAM: usize = 1150;
/// Bytes of a body on their way before the writer waits.
const PIPE: usize = 64 << 10;
const INBOX: usize = 1024;

/// A network of endpoints in memory, to be cut, healed and made lossy by tests.
///
/// Who is a member is not asked here: every endpoint talks to every other one.
#[derive(Clone)]
pub struct MemoryNet {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    nodes: BTreeMap<NodeId, Arc<Node>>,
    pairs: BTreeMap<(NodeId, NodeId), Pair>,
    loss: f64,
    rng: Rng,
    limits: Limits,
    timeout: Duration,
}

struct Node {
    peer: Peer,
    inbox: Inbox,
    ids: AtomicU32,
}

/// What lies between two nodes. The flag is true while the link is up; a cut flips it for everyone who waits.
#[derive(Default)]
struct Pair {
    up: Option<watch::Sender<bool>>,
    is_cut: bool,
    bytes: [u64; 2],
}

impl MemoryNet {
    /// A network without loss. `seed` decides which datagrams go missing once there is some.
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            nodes: BTreeMap::new(),
            pairs: BTreeMap::new(),
            loss: 0.0,
            rng: Rng::new(seed),
            limits: Limits::default(),
            timeout: Duration::from_secs(30),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// How long a request waits for its answer; 30 s unless told.
    pub fn set_request_timeout(&self, timeout: Duration) {
        self.lock().timeout = timeout;
    }

    /// The share of datagrams that get lost, 0 to 1. Requests and bodies are repeated until they arrive, as by QUIC, so they do not notice.
    pub fn set_loss(&self, share: f64) {
        self.lock().loss = share;
    }

    /// A new endpoint. One of the same id takes the old one's place, as a restarted process does.
    pub fn endpoint(&self, id: NodeId, addr: SocketAddr) -> MemoryEndpoint {
        self.drop_links(id, CloseReason::Lost);
        let node = Arc::new(Node { peer: Peer { id, addr }, inbox: Inbox::new(INBOX), ids: AtomicU32::new(0) });
        if let Some(old) = self.lock().nodes.insert(id, node.clone()) {
            old.inbox.close();
        }
        MemoryEndpoint { net: self.clone(), node }
    }

    /// Cuts two nodes apart: their link breaks, a new one cannot be made, what was on the way is lost.
    pub fn cut(&self, a: NodeId, b: NodeId) {
        self.lock().pair(a, b).is_cut = true;
        self.break_link(a, b, CloseReason::Lost);
    }

    /// Lets two nodes reach each other again.
    pub fn heal(&self, a: NodeId, b: NodeId) {
        self.lock().pair(a, b).is_cut = false;
    }

    fn break_link(&self, a: NodeId, b: NodeId, why: CloseReason) {
        let (up, ends) = {
            let mut shared = self.lock();
            let ends = [(shared.nodes.get(&a).cloned(), b), (shared.nodes.get(&b).cloned(), a)];
            (shared.pair(a, b).up.take(), ends)
        };
        let Some(up) = up else { return };
        up.send_replace(false);
        for (node, other) in ends {
            if let Some(node) = node {
                node.inbox.announce(Event::Down { id: other, why });
            }
        }
    }

    fn drop_links(&self, id: NodeId, why: CloseReason) {
        let pairs: Vec<_> = self.lock().pairs.keys().filter(|(a, b)| *a == id || *b == id).copied().collect();
        for (a, b) in pairs {
            self.break_link(a, b, why);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn pair(&mut self, a: NodeId, b: NodeId) -> &mut Pair {
        self.pairs.entry((a.min(b), a.max(b))).or_default()
    }

    fn is_lost(&mut self) -> bool {
        self.rng.uniform_f64() < self.loss
    }
}

/// One node of a [`MemoryNet`].
pub struct MemoryEndpoint {
    net: MemoryNet,
    node: Arc<Node>,
}

/// A way to another node, as long as it lasts.
struct Route {
    to: Arc<Node>,
    up: watch::Receiver<bool>,
}

impl Route {
    /// Waits until the link breaks.
    async fn broken(&mut self) -> WireError {
        let _ = self.up.wait_for(|up| !up).await;
        WireError::Lost { peer: self.to.peer.id, reason: "the link was cut".into() }
    }
}

impl MemoryEndpoint {
    fn route(&self, to: Peer) -> Result<Route> {
        let here = self.node.peer;
        let (route, is_new) = {
            let mut shared = self.net.lock();
            let unreachable = |reason: &str| WireError::Connect { addr: to.addr, reason: reason.into() };
            if self.node.inbox.is_closed() {
                return Err(WireError::Closed);
            }
            let node = shared.nodes.values().find(|node| node.peer.addr == to.addr && !node.inbox.is_closed()).cloned();
            let node = node.ok_or_else(|| unreachable("nobody listens there"))?;
            if node.peer.id != to.id {
                return Err(WireError::WrongPeer { want: to.id, got: node.peer.id });
            }
            let pair = shared.pair(here.id, to.id);
            if pair.is_cut {
                return Err(unreachable("the path is cut"));
            }
            let is_new = pair.up.is_none();
            let up = pair.up.get_or_insert_with(|| watch::Sender::new(true)).subscribe();
            (Route { to: node, up }, is_new)
        };
        if is_new {
            route.to.inbox.announce(Event::Up { peer: here });
            self.node.inbox.announce(Event::Up { peer: route.to.peer });
        }
        Ok(route)
    }

    /// Through the codec and back, as the wire would.
    fn carry(&self, to: NodeId, kind: Kind, topic: u16, payload: &[u8]) -> Result<Frame> {
        let limit = self.net.lock().limits.payload;
        let id = self.node.ids.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let bytes = Frame::encode(kind, topic, id, payload, limit)?;
        let here = self.node.peer.id;
        self.net.lock().pair(here, to).bytes[usize::from(here > to)] += bytes.len() as u64;
        Frame::decode(&bytes, limit)
    }

    async fn ask(&self, route: &Route, frame: Frame) -> Result<Vec<u8>> {
        let (reply, answer) = Reply::channel();
        let Frame { topic, payload, .. } = frame;
        route.to.inbox.push(Event::Request { from: self.node.peer, topic, payload, reply }).await;
        let limit = self.net.lock().limits.payload;
        match answer_of(answer).await {
            Ok(answer) if answer.len() > limit => {
                Err(WireError::Failed { code: FAILURE_TOO_LONG, message: "the answer is too long".into() })
            }
            Ok(answer) => Ok(answer),
            Err((code, message)) => Err(WireError::Failed { code, message }),
        }
    }
}

impl Transport for MemoryEndpoint {
    fn id(&self) -> NodeId {
        self.node.peer.id
    }

    fn addr(&self) -> SocketAddr {
        self.node.peer.addr
    }

    async fn connect(&self, to: Peer) -> Result<()> {
        self.route(to).map(drop)
    }

    async fn request(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<Vec<u8>> {
        let route = self.route(to)?;
        let frame = self.carry(to.id, Kind::Request, topic, payload)?;
        let timeout = self.net.lock().timeout;
        let mut watcher = Route { to: route.to.clone(), up: route.up.clone() };
        tokio::select! {
            answer = self.ask(&route, frame) => answer,
            error = watcher.broken() => Err(error),
            () = tokio::time::sleep(timeout) => {
                Err(WireError::TimedOut { what: "the request", after_ms: timeout.as_millis() as u64 })
            }
        }
    }

    async fn datagram(&self, to: Peer, topic: u16, payload: &[u8]) -> Result<()> {
        let route = self.route(to)?;
        check_len("a datagram", payload.len() as u64, DATAGRAM as u64)?;
        let Frame { topic, payload, .. } = self.carry(to.id, Kind::Datagram, topic, payload)?;
        if !self.net.lock().is_lost() {
            route.to.inbox.offer(Event::Datagram { from: self.node.peer, topic, payload });
        }
        Ok(())
    }

    async fn body(&self, to: Peer, topic: u16, meta: &[u8], len: u64) -> Result<BodyWriter> {
        let route = self.route(to)?;
        check_len("a body", len, self.net.lock().limits.body)?;
        let Frame { topic, payload, .. } = self.carry(to.id, Kind::Body, topic, meta)?;
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let body = BodyReader::new(Source::Memory(theirs, route.up.clone()), self.node.peer.id, len, Arc::default());
        route.to.inbox.push(Event::Body { from: self.node.peer, topic, meta: payload, body }).await;
        Ok(BodyWriter::new(Sink::Memory(ours, route.up), to.id, len))
    }

    async fn next(&self) -> Option<Event> {
        self.node.inbox.next().await
    }

    fn links(&self) -> Vec<LinkStats> {
        let here = self.node.peer.id;
        let shared = self.net.lock();
        let ours = shared.pairs.iter().filter(|((a, b), pair)| pair.up.is_some() && (*a == here || *b == here));
        let stats = ours.filter_map(|((a, b), pair)| {
            let other = if *a == here { b } else { a };
            let [sent_bytes, received_bytes] = if here > *other { [pair.bytes[1], pair.bytes[0]] } else { pair.bytes };
            let peer = shared.nodes.get(other)?.peer;
            Some(LinkStats { peer, rtt_ms: 0.0, sent_bytes, received_bytes, lost_packets: 0 })
        });
        stats.collect()
    }

    async fn close(&self) {
        self.net.drop_links(self.id(), CloseReason::Leaving);
        self.node.inbox.close();
    }
}
