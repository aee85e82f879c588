//! Hosts, the network between them, and time.

use super::Queue;
use crate::crdt::Stamp;
use crate::memory::{Change, Context, MemoryLimits, Record};
use crate::{Node, NodeConfig, Now, Output, Replica, Result, Topology, topology};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use mayfly_base::{NodeId, Rng, mix};
use mayfly_wire::Peer;

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// Number of hosts.
    pub nodes: usize,
    /// Decides everything that is random.
    pub seed: u64,
    /// A name that [`topology::by_name`] knows.
    pub topology: String,
    /// Share of datagrams that get lost, 0 to 1. Requests are repeated, as by QUIC, which costs them time.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplicate: f64,
    /// Least and most milliseconds that anything takes on its way; what was sent later may arrive earlier.
    pub delay_ms: (u64, u64),
    /// How the nodes behave.
    pub node: NodeConfig,
}

impl Default for SimConfig {
    fn default() -> Self {
        let topology = "mesh".to_owned();
        Self { nodes: 5, seed: 1, topology, loss: 0.0, duplicate: 0.0, delay_ms: (1, 5), node: NodeConfig::default() }
    }
}

/// What a crash leaves.
#[derive(Default)]
struct Disk {
    records: BTreeMap<Vec<u8>, Record>,
    clock: Stamp,
    context: Context,
}

struct Host {
    peer: Peer,
    node: Option<Node>,
    disk: Disk,
    /// What other members wrote goes to disk with the next commit; until when, and the clock then.
    owed: Vec<(u64, Change, Stamp)>,
    /// Rises with every start: what was meant for a life before is not delivered.
    life: u64,
    wall_offset_ms: i64,
    group: u8,
    /// When the next wake-up is set for.
    wake_ms: u64,
}

enum Event {
    Wake {
        host: usize,
        life: u64,
    },
    Datagram {
        to: usize,
        from: usize,
        payload: Vec<u8>,
    },
    Request {
        to: usize,
        from: usize,
        life: u64,
        token: u64,
        payload: Vec<u8>,
    },
    Answer {
        to: usize,
        life: u64,
        token: u64,
        payload: Option<Vec<u8>>,
    },
    /// The disk of a host has a local write.
    Written {
        host: usize,
        life: u64,
        record: Record,
    },
}

/// A swarm being simulated.
pub struct Sim {
    config: SimConfig,
    topology: Arc<dyn Topology>,
    hosts: Vec<Host>,
    by_id: BTreeMap<NodeId, usize>,
    queue: Queue<Event>,
    now_ms: u64,
    rng: Rng,
    bytes: u64,
    request_bytes: u64,
    /// Local writes that were acknowledged, for [`Sim::take_acknowledged`].
    acknowledged: Vec<(usize, Record)>,
    downs: Vec<(u64, usize, usize)>,
    /// Requests and answers as they were sent, once somebody wants them.
    messages: Option<Vec<Vec<u8>>>,
}

/// Simulated time starts here: 2026-01-01.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// A request that is not answered by then has failed.
const REQUEST_MS: u64 = 3_000;
/// QUIC sends again after about this long.
const RESEND_MS: u64 = 40;

impl Sim {
    /// All hosts started, each told of the first.
    ///
    /// # Errors
    /// [`crate::SwarmError::Option`] for an unknown topology or counts of 0.
    pub fn new(config: SimConfig) -> Result<Self> {
        let topology = Arc::from(topology::by_name(&config.topology)?);
        Self::with_topology(config, topology)
    }

    /// As [`Sim::new`], with a policy of one's own.
    ///
    /// # Errors
    /// [`crate::SwarmError::Option`] for counts of 0.
    pub fn with_topology(config: SimConfig, topology: Arc<dyn Topology>) -> Result<Self> {
        let rng = Rng::stream(config.seed, 0);
        let hosts: Vec<Host> = (0..config.nodes).map(|i| host(config.seed, i)).collect();
        let by_id = hosts.iter().enumerate().map(|(i, host)| (host.peer.id, i)).collect();
        let (queue, acknowledged, downs) = (Queue::new(), Vec::new(), Vec::new());
        let (now_ms, bytes, request_bytes, messages) = (0, 0, 0, None);
        let mut sim = Self {
            config,
            topology,
            hosts,
            by_id,
            queue,
            now_ms,
            rng,
            bytes,
            request_bytes,
            acknowledged,
            downs,
            messages,
        };
        for i in 0..sim.hosts.len() {
            sim.start(i)?;
        }
        Ok(sim)
    }

    fn now(&self, host: usize) -> Now {
        let wall_ms = (EPOCH_MS + self.now_ms).saturating_add_signed(self.hosts[host].wall_offset_ms);
        Now { steady_ms: self.now_ms, wall_ms }
    }

    /// Starts a host that is down, from what its disk has.
    ///
    /// # Errors
    /// [`crate::SwarmError::Option`] for counts of 0.
    pub fn start(&mut self, i: usize) -> Result<()> {
        let now = self.now(i);
        let seeds: Vec<Peer> = self.hosts.iter().take(3).map(|host| host.peer).collect();
        let host = &mut self.hosts[i];
        host.life += 1;
        let records = host.disk.records.values().cloned();
        let replica =
            Replica::load(host.peer.id, MemoryLimits::default(), host.disk.clock, host.disk.context.clone(), records);
        let rng = Rng::stream(self.config.seed, mix((host.life << 32) | (i as u64 + 1)));
        let mut node = Node::new(host.peer, replica, self.topology.clone(), self.config.node, rng, now)?;
        host.disk.clock = node.clock();
        let outputs = node.join(&seeds, now);
        host.node = Some(node);
        host.wake_ms = u64::MAX;
        self.perform(i, outputs);
        Ok(())
    }

    /// Kills a host: what is on its disk stays, nothing else.
    pub fn crash(&mut self, i: usize) {
        let now_ms = self.now_ms;
        self.hosts[i].flush(|due| due <= now_ms);
        self.hosts[i].owed.clear();
        self.hosts[i].node = None;
    }

    /// Loses what is on the disk of a host, which has to be down.
    pub fn wipe(&mut self, i: usize) {
        self.hosts[i].disk = Disk::default();
    }

    /// A host says goodbye and is gone.
    pub fn leave(&mut self, i: usize) {
        let now = self.now(i);
        if let Some(mut node) = self.hosts[i].node.take() {
            let outputs = node.leave(now);
            self.perform(i, outputs);
            self.hosts[i].flush(|_| true);
        }
    }

    /// Moves a host's wall clock, by so many milliseconds from the true time.
    pub fn set_clock(&mut self, i: usize, offset_ms: i64) {
        self.hosts[i].wall_offset_ms = offset_ms;
    }

    /// Cuts the network: hosts reach those of the same group only.
    pub fn cut(&mut self, group_of: impl Fn(usize) -> u8) {
        for (i, host) in self.hosts.iter_mut().enumerate() {
            host.group = group_of(i);
        }
    }

    /// Ends every cut.
    pub fn heal(&mut self) {
        self.cut(|_| 0);
    }

    /// Changes the share of datagrams that get lost.
    pub fn set_loss(&mut self, loss: f64) {
        self.config.loss = loss;
    }

    /// Writes at a host that is up, or deletes when there is no value; the stamp.
    ///
    /// # Errors
    /// Those of [`Replica::prepare`]; [`crate::SwarmError::Stopped`] when the host is down.
    pub fn write(&mut self, i: usize, key: &[u8], value: Option<&[u8]>) -> Result<Stamp> {
        let now = self.now(i);
        let host = &mut self.hosts[i];
        let node = host.node.as_mut().ok_or(crate::SwarmError::Stopped)?;
        let (record, seen) = node.prepare(key, value.map(<[u8]>::to_vec), now)?;
        let (stamp, clock) = (record.stamp, node.clock());
        host.owed.extend(seen.map(|seen| (self.now_ms, seen, clock)));
        host.flush(|_| true);
        let node = host.node.as_mut().ok_or(crate::SwarmError::Stopped)?;
        host.disk.keep(Change::Put(record.clone()), stamp);
        node.committed(record, now);
        self.wake(i);
        Ok(stamp)
    }

    /// As [`Sim::write`], but the disk takes so many milliseconds; a kill before that undoes it, and nobody was told that it was done.
    /// What was is in [`Sim::take_acknowledged`].
    ///
    /// # Errors
    /// Those of [`Sim::write`].
    pub fn begin_write(&mut self, i: usize, key: &[u8], value: Option<&[u8]>, disk_ms: u64) -> Result<()> {
        let now = self.now(i);
        let host = &mut self.hosts[i];
        let node = host.node.as_mut().ok_or(crate::SwarmError::Stopped)?;
        let (record, seen) = node.prepare(key, value.map(<[u8]>::to_vec), now)?;
        let (clock, due) = (node.clock(), self.now_ms + crate::disk::LINGER.as_millis() as u64);
        host.owed.extend(seen.map(|seen| (due, seen, clock)));
        let event = Event::Written { host: i, life: host.life, record };
        if disk_ms == 0 {
            self.happen(event);
        } else {
            self.push(self.now_ms + disk_ms, event);
        }
        Ok(())
    }

    fn written(&mut self, i: usize, record: Record) {
        let now = self.now(i);
        let host = &mut self.hosts[i];
        if host.node.is_none() {
            return;
        }
        host.flush(|_| true);
        host.disk.keep(Change::Put(record.clone()), record.stamp);
        let Some(node) = host.node.as_mut() else { return };
        node.committed(record.clone(), now);
        self.acknowledged.push((i, record));
        self.wake(i);
    }

    /// Local writes of [`Sim::begin_write`] that were acknowledged since the last call: host and record, in order.
    pub fn take_acknowledged(&mut self) -> Vec<(usize, Record)> {
        core::mem::take(&mut self.acknowledged)
    }

    /// Sends bytes to a host as if a member had.
    pub fn inject(&mut self, to: usize, from: usize, payload: Vec<u8>, is_request: bool) {
        let life = self.hosts[from].life;
        let event = match is_request {
            true => Event::Request { to, from, life, token: u64::MAX, payload },
            false => Event::Datagram { to, from, payload },
        };
        self.push(self.now_ms, event);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some((at, _, event)) = self.queue.pop_until(end) {
            self.now_ms = at;
            self.happen(event);
        }
        self.now_ms = end;
    }

    /// Lets time pass until something holds, looked at every `step_ms`; the time it took, or nothing when `limit_ms` went by first.
    pub fn run_until(&mut self, step_ms: u64, limit_ms: u64, holds: impl Fn(&Self) -> bool) -> Option<u64> {
        let start = self.now_ms;
        while !holds(self) {
            if self.now_ms - start >= limit_ms {
                return None;
            }
            self.run_for(step_ms.max(1));
        }
        Some(self.now_ms - start)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { host, life } => {
                let now = self.now(host);
                if self.hosts[host].life == life && self.hosts[host].wake_ms == now.steady_ms {
                    self.hosts[host].wake_ms = u64::MAX;
                    self.with_node(host, |node| node.tick(now));
                }
            }
            Event::Datagram { to, from, payload } => {
                let now = self.now(to);
                if self.reaches(from, to) {
                    self.with_node(to, |node| node.datagram(&payload, now));
                }
            }
            Event::Request { to, from, life, token, payload } => self.serve(to, from, life, token, &payload),
            Event::Written { host, life, record } => {
                if self.hosts[host].life == life {
                    self.written(host, record);
                }
            }
            Event::Answer { to, life, token, payload } => {
                let now = self.now(to);
                if self.hosts[to].life == life {
                    self.with_node(to, |node| node.answer(token, payload.as_deref(), now));
                }
            }
        }
    }

    fn serve(&mut self, to: usize, from: usize, life: u64, token: u64, payload: &[u8]) {
        let now = self.now(to);
        let (asker, here) = (self.hosts[from].peer.id, self.reaches(from, to));
        let node = self.hosts[to].node.as_mut().filter(|_| here);
        let Some((answer, outputs)) = node.map(|node| node.request(asker, payload, now)) else {
            return self.push(self.now_ms + REQUEST_MS, Event::Answer { to: from, life, token, payload: None });
        };
        self.perform(to, outputs);
        self.sent(answer.as_deref().unwrap_or_default());
        let delay = self.reliable_delay();
        self.push(self.now_ms + delay, Event::Answer { to: from, life, token, payload: answer });
    }

    fn with_node(&mut self, i: usize, act: impl FnOnce(&mut Node) -> Vec<Output>) {
        let outputs = self.hosts[i].node.as_mut().map(act);
        self.perform(i, outputs.unwrap_or_default());
    }

    fn perform(&mut self, i: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Datagram { to, payload } => self.send(i, to, payload),
                Output::Request { to, token, payload } => self.request(i, to, token, payload),
                Output::Persist(changes) => {
                    let host = &mut self.hosts[i];
                    let clock = host.node.as_ref().map(Node::clock).unwrap_or_default();
                    let is_grave = changes.iter().any(|c| matches!(c, Change::Put(Record { value: None, .. })));
                    let due = self.now_ms + if is_grave { 0 } else { crate::disk::LINGER.as_millis() as u64 };
                    host.owed.extend(changes.into_iter().map(|change| (due, change, clock)));
                }
                Output::Down(id) => self.downs.extend(self.by_id.get(&id).map(|&who| (self.now_ms, i, who))),
                Output::Up(_) | Output::Changed(_) | Output::Superseded(_) => {}
            }
        }
        self.wake(i);
    }

    /// Sets the next wake-up of a host.
    fn wake(&mut self, i: usize) {
        let host = &mut self.hosts[i];
        let Some(node) = &host.node else { return };
        let due = node.due_ms().max(self.now_ms);
        if due < host.wake_ms {
            host.wake_ms = due;
            let life = host.life;
            self.push(due, Event::Wake { host: i, life });
        }
    }

    fn send(&mut self, from: usize, to: Peer, payload: Vec<u8>) {
        self.bytes += payload.len() as u64;
        let Some(&to) = self.by_id.get(&to.id) else { return };
        let copies = 1 + usize::from(self.rng.uniform_f64() < self.config.duplicate);
        for _ in 0..copies {
            let (is_lost, delay) = (self.rng.uniform_f64() < self.config.loss, self.delay());
            if !is_lost {
                self.push(self.now_ms + delay, Event::Datagram { to, from, payload: payload.clone() });
            }
        }
    }

    /// A request or an answer goes out.
    fn sent(&mut self, message: &[u8]) {
        self.bytes += message.len() as u64;
        self.request_bytes += message.len() as u64;
        if let Some(messages) = self.messages.as_mut().filter(|_| !message.is_empty()) {
            messages.push(message.into());
        }
    }

    fn request(&mut self, from: usize, to: Peer, token: u64, payload: Vec<u8>) {
        self.sent(&payload);
        let (life, delay) = (self.hosts[from].life, self.reliable_delay());
        let event = match self.by_id.get(&to.id) {
            Some(&to) => Event::Request { to, from, life, token, payload },
            None => Event::Answer { to: from, life, token, payload: None },
        };
        self.push(self.now_ms + delay, event);
    }

    fn delay(&mut self) -> u64 {
        let (least, most) = self.config.delay_ms;
        least + self.rng.below(most.saturating_sub(least) + 1)
    }

    /// With the time that lost packets cost until they are sent again.
    fn reliable_delay(&mut self) -> u64 {
        let mut delay = self.delay();
        while self.rng.uniform_f64() < self.config.loss.min(0.95) && delay < REQUEST_MS {
            delay += RESEND_MS + self.delay();
        }
        delay
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        self.hosts[a].group == self.hosts[b].group
    }

    fn push(&mut self, at: u64, event: Event) {
        self.queue.push(at, event);
    }

    /// The node of a host that is up.
    pub fn node(&self, i: usize) -> Option<&Node> {
        self.hosts[i].node.as_ref()
    }

    /// Every node that is up.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.hosts.iter().filter_map(|host| host.node.as_ref())
    }

    /// Does every node that is up know exactly those that are up?
    pub fn agrees_on_members(&self) -> bool {
        let up: Vec<NodeId> = self.nodes().map(|node| node.here().id).collect();
        self.nodes().all(|node| {
            let members = &node.view().members;
            members.len() == up.len() && up.iter().all(|id| members.binary_search(id).is_ok())
        })
    }

    /// Have all nodes that are up the same records, byte for byte?
    pub fn replicas_equal(&self) -> bool {
        let mut nodes = self.nodes();
        let Some(first) = nodes.next() else { return true };
        nodes.all(|node| node.replica().same_records(first.replica()))
    }

    /// Is every disk what its node holds in memory, once what it owes is written?
    pub fn disks_equal_memory(&mut self) -> bool {
        self.hosts.iter_mut().for_each(|host| host.flush(|_| true));
        let up = self.hosts.iter().filter_map(|host| Some((host, host.node.as_ref()?)));
        up.into_iter().all(|(host, node)| node.replica().records().eq(host.disk.records.values().cloned()))
    }

    /// Deaths announced so far: when, by whom, of whom.
    pub fn downs(&self) -> &[(u64, usize, usize)] {
        &self.downs
    }

    /// Milliseconds since the start.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Keeps every request and answer from now on, for [`Sim::take_messages`].
    pub fn keep_messages(&mut self) {
        self.messages.get_or_insert_default();
    }

    /// The requests and answers that were sent since they are kept; [`crate::memory::Message::decode`] reads them.
    pub fn take_messages(&mut self) -> Vec<Vec<u8>> {
        self.messages.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// What is simulated.
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// Bytes of requests and answers so far.
    pub fn request_bytes(&self) -> u64 {
        self.request_bytes
    }

    /// Bytes sent so far, headers not counted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Host {
    /// Writes what is owed, from the first to the last that is due.
    fn flush(&mut self, is_due: impl Fn(u64) -> bool) {
        let count = self.owed.iter().rposition(|(due, ..)| is_due(*due)).map_or(0, |last| last + 1);
        self.owed.drain(..count).for_each(|(_, change, clock)| self.disk.keep(change, clock));
    }
}

impl Disk {
    fn keep(&mut self, change: Change, clock: Stamp) {
        self.clock = self.clock.max(clock);
        match change {
            Change::Put(record) => {
                let is_newer = self.records.get(&record.key).is_none_or(|old| old.stamp <= record.stamp);
                if is_newer {
                    self.records.insert(record.key.clone(), record);
                }
            }
            Change::Forget { key, stamp } => {
                let is_it = self.records.get(&key).is_some_and(|old| old.stamp == stamp);
                if is_it {
                    self.records.remove(&key);
                }
            }
            Change::Seen(context) => self.context = *context,
        }
    }
}

fn host(seed: u64, i: usize) -> Host {
    let mut rng = Rng::stream(seed, u64::MAX - i as u64);
    let words: Vec<u8> = (0..4).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    let id = NodeId(core::array::from_fn(|j| words[j]));
    let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, (i >> 8) as u8, i as u8)), 7000);
    let peer = Peer { id, addr };
    let (disk, owed) = (Disk::default(), Vec::new());
    Host { peer, node: None, disk, owed, life: 0, wall_offset_ms: 0, group: 0, wake_ms: u64::MAX }
}
