//! Membership, topology and memory as one state machine.

use crate::crdt::Stamp;
use crate::membership::{Member, MemberState, MembershipConfig, MembershipOutput, Metadata, Role};
use crate::memory::{Change, Gossip, GossipConfig, Message, Outgoing, Record, Ticket};
use crate::topology::View;
use crate::{Membership, Replica, Result, Topology};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng};
use mayfly_wire::Peer;
use std::net::SocketAddr;

/// What time it is, twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since any moment, never going back: what intervals are measured with.
    pub steady_ms: u64,
    /// Milliseconds since 1970, as the machine has it: what stamps are made from.
    pub wall_ms: u64,
}

/// How a node behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// Times of failure detection.
    pub membership: MembershipConfig,
    /// How gossip goes.
    pub gossip: GossipConfig,
    /// The same at every member: topologies are drawn from it.
    pub seed: u64,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Send a packet; it may get lost.
    Datagram {
        /// To whom.
        to: Peer,
        /// What.
        payload: Vec<u8>,
    },
    /// Ask, and bring the answer back to [`Node::answer`].
    Request {
        /// Whom.
        to: Peer,
        /// Comes back with the answer.
        token: u64,
        /// What.
        payload: Vec<u8>,
    },
    /// Put this on disk soon, in this order, and in the order in which the node says so: what it has seen must not be there before the records are.
    Persist(Vec<Change>),
    /// A record from another member took effect; or one went that another member knew to be deleted.
    Changed(Record),
    /// A member came.
    Up(Peer),
    /// A member went.
    Down(NodeId),
    /// The same identity started later elsewhere: stop.
    Superseded(SocketAddr),
}

/// What went through a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets of membership sent.
    pub datagrams: u64,
    /// Their bytes.
    pub datagram_bytes: u64,
    /// Requests made and answers given.
    pub messages: u64,
    /// Their bytes.
    pub message_bytes: u64,
    /// What came in and could not be read.
    pub refused: u64,
}

/// One node, sans-IO.
pub struct Node {
    here: Peer,
    membership: Membership,
    topology: Arc<dyn Topology>,
    replica: Replica,
    gossip: Gossip,
    view: View,
    peers: BTreeMap<NodeId, Peer>,
    seeds: BTreeMap<NodeId, Peer>,
    /// Requests under way.
    asked: BTreeMap<u64, (NodeId, Ticket)>,
    token: u64,
    rng: Rng,
    last_round_ms: u64,
    next_round_ms: u64,
    next_care_ms: u64,
    traffic: Traffic,
    has_left: bool,
}

/// Milliseconds between looks at tombstones, costs, and whether anybody is there.
const CARE_MS: u64 = 1_000;
/// A context with more single writes is not written with every change but at such a look. What a kill takes away of it is taken for news, no more.
const KEEP_AT_ONCE: usize = 512;
/// Tombstones that go at one such look.
const EXPIRE_AT_ONCE: usize = 10_000;

fn forget(record: &Record) -> Change {
    Change::Forget { key: record.key.clone(), stamp: record.stamp }
}

impl Node {
    /// A node alone, with the memory that it had. Its generation is a fresh stamp of that memory's clock; [`Node::clock`] should be on disk before the node talks.
    ///
    /// # Errors
    /// [`crate::SwarmError::Option`] for a configuration that makes no sense.
    pub fn new(
        here: Peer,
        mut replica: Replica,
        topology: Arc<dyn Topology>,
        config: NodeConfig,
        mut rng: Rng,
        now: Now,
    ) -> Result<Self> {
        let generation = replica.tick(now.wall_ms).ms;
        replica.keep_tombstones_for(config.gossip.tombstone_ms);
        let membership = Membership::new(here, generation, config.membership, rng.split())?;
        let view = View { members: vec![here.id], seed: config.seed, cost_ms: BTreeMap::new() };
        // Rounds of different nodes do not beat in time.
        let next_round_ms = now.steady_ms + rng.below(config.gossip.idle_interval_ms.max(1));
        let mut node = Self {
            here,
            membership,
            topology,
            replica,
            gossip: Gossip::new(config.gossip),
            view,
            peers: BTreeMap::new(),
            seeds: BTreeMap::new(),
            asked: BTreeMap::new(),
            token: 0,
            rng,
            last_round_ms: 0,
            next_round_ms,
            next_care_ms: now.steady_ms,
            traffic: Traffic::default(),
            has_left: false,
        };
        node.look_around(now);
        Ok(node)
    }

    /// Knocks at members: at all of them every second while nobody is there, then at one a second of those not met yet.
    pub fn join(&mut self, seeds: &[Peer], now: Now) -> Vec<Output> {
        self.seeds = seeds.iter().map(|seed| (seed.id, *seed)).filter(|(id, _)| *id != self.here.id).collect();
        self.knock(self.seeds.values().copied().collect(), now)
    }

    /// Knocks at one more.
    pub fn meet(&mut self, peer: Peer, now: Now) -> Vec<Output> {
        if peer.id == self.here.id {
            return Vec::new();
        }
        self.seeds.insert(peer.id, peer);
        self.knock(vec![peer], now)
    }

    fn knock(&mut self, at: Vec<Peer>, now: Now) -> Vec<Output> {
        let mut outputs = Vec::new();
        for seed in at {
            let joined = self.membership.join(seed, now.steady_ms);
            outputs.extend(self.follow(joined, now));
        }
        outputs
    }

    /// Members to knock at after the next start: those known, down or not, and those still to be met.
    pub fn contacts(&self) -> Vec<Peer> {
        let known = self.members().filter(|member| member.state != MemberState::Left);
        let known = known.map(|member| Peer { id: member.id, addr: member.addr });
        known.chain(self.unmet()).collect()
    }

    fn unmet(&self) -> impl Iterator<Item = Peer> + '_ {
        self.seeds.values().copied().filter(|seed| !self.membership.knows(seed.id))
    }

    /// Says goodbye. Nothing goes out afterwards.
    pub fn leave(&mut self, now: Now) -> Vec<Output> {
        self.has_left = true;
        let left = self.membership.leave(now.steady_ms);
        let mut outputs = self.follow(left, now);
        outputs.extend(self.seen(usize::MAX).map(|seen| Output::Persist(vec![seen])));
        outputs
    }

    /// Stamps a write, or a deletion when there is no value, for the disk; [`Node::committed`] makes it count. Where it takes the place of a record that
    /// alone shows on the disk what was seen, that is to be owed to the disk first, before anybody else turns the node.
    ///
    /// # Errors
    /// Those of [`Replica::prepare`].
    pub fn prepare(&mut self, key: &[u8], value: Option<Vec<u8>>, now: Now) -> Result<(Record, Option<Change>)> {
        let record = self.replica.prepare(key, value, now.wall_ms)?;
        Ok((record, self.seen(KEEP_AT_ONCE)))
    }

    /// The disk has it: it takes effect and is told to the neighbours. False when something newer was there first.
    pub fn committed(&mut self, record: Record, now: Now) -> bool {
        let is_new = self.replica.commit(record.clone());
        if is_new {
            self.gossip.wrote(&record);
            self.hurry(now);
        }
        is_new
    }

    /// The disk refused what [`Node::prepare`] gave, and does not have it.
    pub fn refused(&mut self, record: &Record) {
        self.replica.abandon(record.stamp);
    }

    /// The next round comes as soon as a busy interval allows.
    fn hurry(&mut self, now: Now) {
        let soon = (self.last_round_ms + self.gossip.interval_ms()).max(now.steady_ms);
        self.next_round_ms = self.next_round_ms.min(soon);
    }

    /// A packet came.
    pub fn datagram(&mut self, payload: &[u8], now: Now) -> Vec<Output> {
        match self.membership.packet(payload, now.steady_ms) {
            Ok(outputs) if !self.has_left => self.follow(outputs, now),
            Ok(_) => Vec::new(),
            Err(_) => {
                self.traffic.refused += 1;
                Vec::new()
            }
        }
    }

    /// A question came. No answer to what cannot be read.
    pub fn request(&mut self, from: NodeId, payload: &[u8], now: Now) -> (Option<Vec<u8>>, Vec<Output>) {
        let message = Message::decode(payload).ok();
        let answer = message.and_then(|message| self.gossip.answer(&mut self.replica, from, message));
        let Some((answer, new)) = answer else {
            self.traffic.refused += 1;
            return (None, Vec::new());
        };
        let answer = answer.encode();
        self.count(&answer);
        (Some(answer), self.took(new, now))
    }

    /// The answer to an [`Output::Request`], or nothing when none came.
    pub fn answer(&mut self, token: u64, payload: Option<&[u8]>, now: Now) -> Vec<Output> {
        let Some((peer, ticket)) = self.asked.remove(&token) else { return Vec::new() };
        let Some(message) = payload.and_then(|bytes| Message::decode(bytes).ok()) else {
            self.traffic.refused += u64::from(payload.is_some());
            self.gossip.failed(peer);
            return Vec::new();
        };
        let (new, next) = self.gossip.heard(&mut self.replica, peer, ticket, message);
        let mut outputs = self.took(new, now);
        match (next, self.peers.get(&peer).copied()) {
            (Some(next), Some(to)) => outputs.push(self.ask(to, next)),
            (Some(_), None) => self.gossip.failed(peer), // it has gone meanwhile
            (None, _) => {}
        }
        outputs
    }

    fn ask(&mut self, to: Peer, Outgoing { message, ticket }: Outgoing) -> Output {
        self.token += 1;
        self.asked.insert(self.token, (to.id, ticket));
        let payload = message.encode();
        self.count(&payload);
        Output::Request { to, token: self.token, payload }
    }

    fn count(&mut self, payload: &[u8]) {
        self.traffic.messages += 1;
        self.traffic.message_bytes += payload.len() as u64;
    }

    fn took(&mut self, new: Vec<Record>, now: Now) -> Vec<Output> {
        if !new.is_empty() {
            self.hurry(now);
        }
        let dropped = self.gossip.take_dropped();
        let put = new.iter().cloned().map(Change::Put);
        let mut changes: Vec<Change> = put.chain(dropped.iter().map(forget)).collect();
        changes.extend(self.seen(KEEP_AT_ONCE));
        let persist = (!changes.is_empty()).then_some(Output::Persist(changes));
        persist.into_iter().chain(new.into_iter().chain(dropped).map(Output::Changed)).collect()
    }

    /// What the memory has seen, for the disk, after everything that it has seen.
    fn seen(&mut self, most_single: usize) -> Option<Change> {
        self.replica.context_to_keep(most_single).map(|context| Change::Seen(context.into()))
    }

    /// When [`Node::tick`] is due, in steady milliseconds.
    pub fn due_ms(&self) -> u64 {
        let membership = self.membership.due_ms().unwrap_or(u64::MAX);
        self.next_round_ms.min(self.next_care_ms).min(membership)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) -> Vec<Output> {
        if self.has_left {
            (self.next_round_ms, self.next_care_ms) = (u64::MAX, u64::MAX);
            self.membership.tick(now.steady_ms);
            return Vec::new();
        }
        let ticked = self.membership.tick(now.steady_ms);
        let mut outputs = self.follow(ticked, now);
        if now.steady_ms >= self.next_care_ms {
            self.next_care_ms = now.steady_ms + CARE_MS;
            outputs.extend(self.care(now));
        }
        if now.steady_ms >= self.next_round_ms {
            outputs.extend(self.round(now));
        }
        outputs
    }

    fn care(&mut self, now: Now) -> Vec<Output> {
        self.look_around(now);
        let expired = self.replica.expire(now.wall_ms, EXPIRE_AT_ONCE);
        let changes: Vec<Change> = expired.iter().map(forget).chain(self.seen(usize::MAX)).collect();
        let mut outputs = Vec::new();
        if !changes.is_empty() {
            outputs.push(Output::Persist(changes));
        }
        let doors = self.doors();
        outputs.extend(self.knock(doors, now));
        outputs
    }

    /// Whom to knock at now: everyone while nobody is there, else one of those not met yet.
    fn doors(&mut self) -> Vec<Peer> {
        if self.peers.is_empty() {
            return self.seeds.values().copied().collect();
        }
        let unmet: Vec<Peer> = self.unmet().collect();
        let one = self.rng.below(unmet.len().max(1) as u64) as usize;
        unmet.get(one).copied().into_iter().collect()
    }

    fn round(&mut self, now: Now) -> Vec<Output> {
        self.gossip.retire();
        let asked = &self.asked;
        let chosen = self.gossip.choose(&mut self.rng, |peer| asked.values().any(|(busy, _)| *busy == peer));
        let mut outputs = Vec::new();
        for to in chosen.into_iter().filter_map(|id| self.peers.get(&id).copied()).collect::<Vec<_>>() {
            let greeting = self.gossip.greet(&self.replica, to.id);
            outputs.push(self.ask(to, greeting));
        }
        self.last_round_ms = now.steady_ms;
        self.next_round_ms = now.steady_ms + self.gossip.interval_ms();
        outputs
    }

    fn follow(&mut self, outputs: Vec<MembershipOutput>, now: Now) -> Vec<Output> {
        let before = self.peers.len();
        let mut changed = false;
        let followed: Vec<Output> = outputs
            .into_iter()
            .map(|output| match output {
                MembershipOutput::Packet { to, bytes } => {
                    self.traffic.datagrams += 1;
                    self.traffic.datagram_bytes += bytes.len() as u64;
                    Output::Datagram { to, payload: bytes }
                }
                MembershipOutput::Up(peer) => {
                    changed = true;
                    Output::Up(peer)
                }
                MembershipOutput::Down(id) => {
                    changed = true;
                    Output::Down(id)
                }
                MembershipOutput::Superseded(addr) => Output::Superseded(addr),
            })
            .collect();
        if changed || before != self.peers.len() {
            self.look_around(now);
        }
        followed
    }

    /// Takes the member list as it is now, and chooses neighbours anew.
    fn look_around(&mut self, now: Now) {
        self.peers = self.membership.alive().map(|peer| (peer.id, peer)).collect();
        self.view.members = self.peers.keys().copied().chain([self.here.id]).collect();
        self.view.members.sort();
        let neighbours = self.topology.neighbours(&self.view, self.here.id);
        self.gossip.set_view(neighbours, self.view.members.clone());
        let role = if self.topology.is_head(&self.view, self.here.id) { Role::Head } else { Role::Member };
        if self.membership.metadata().role != role {
            self.membership.describe(Metadata { role, ..self.membership.metadata().clone() }, now.steady_ms);
        }
    }

    /// What it costs to talk to a member, in milliseconds; the load it reports is added.
    pub fn measured(&mut self, peer: NodeId, rtt_ms: f64) {
        if rtt_ms.is_finite() && self.peers.contains_key(&peer) {
            let member = self.membership.members().find(|member| member.id == peer);
            let load = member.map_or(0.0, |member| f64::from(member.metadata.load_permille));
            self.view.cost_ms.insert(peer, rtt_ms + load / 10.0);
        }
    }

    /// Changes what the others are told about this node. The role is the topology's to say.
    pub fn describe(&mut self, metadata: Metadata, now: Now) {
        let role = self.membership.metadata().role;
        self.membership.describe(Metadata { role, ..metadata }, now.steady_ms);
    }

    /// Drops a member that is no longer wanted.
    pub fn forget(&mut self, id: NodeId, now: Now) {
        self.membership.forget(id);
        self.seeds.remove(&id);
        self.look_around(now);
    }

    /// The other members, alive or not.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.membership.members()
    }

    /// With whom this node talks.
    pub fn neighbours(&self) -> Vec<NodeId> {
        self.topology.neighbours(&self.view, self.here.id)
    }

    /// What topologies see.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The policy's name.
    pub fn topology(&self) -> &str {
        self.topology.name()
    }

    /// The memory.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The highest stamp so far, to be kept on disk.
    pub fn clock(&self) -> Stamp {
        self.replica.last_stamp()
    }

    /// What went through.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Name and address.
    pub fn here(&self) -> Peer {
        self.here
    }
}
