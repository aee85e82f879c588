//! Rounds of push and pull. What they miss, a [walk](super::walk) finds.

use super::message::{Exchange, Message};
use super::record::{Id, Version};
use super::replica::Received;
use super::rumours::Rumours;
use super::walk::{Stand, Walk};
use super::{Record, Replica};
use crate::pages::{MESSAGE_BYTES, Room};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng};

/// How gossip goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipConfig {
    /// Neighbours talked to in a round with rumours.
    pub fan_out: usize,
    /// Milliseconds between rounds with rumours.
    pub busy_interval_ms: u64,
    /// Milliseconds between rounds without.
    pub idle_interval_ms: u64,
    /// Values up to this many bytes go along unasked.
    pub inline_bytes: usize,
    /// Bytes of records told in one message, about; at most 1 MiB.
    pub message_bytes: usize,
    /// How long tombstones are kept, in milliseconds. Members that were away for longer lose no write of their own, but what they wrote before an
    /// unseen deletion wins over it.
    pub tombstone_ms: u64,
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self {
            fan_out: 2,
            busy_interval_ms: 20,
            idle_interval_ms: 500,
            inline_bytes: 256,
            message_bytes: MESSAGE_BYTES / 2,
            tombstone_ms: super::replica::RETENTION_MS,
        }
    }
}

/// What was asked, to understand the answer.
#[derive(Clone, Debug)]
pub struct Ticket {
    asked: Asked,
}

#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// The keys told, in order.
    Exchange(Vec<Vec<u8>>),
    Tree(Stand),
    Page(Walk),
    Give(Walk),
}

/// A request to make, with the ticket for its answer.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// What to ask.
    pub message: Message,
    /// Give it back with the answer.
    pub ticket: Ticket,
}

impl Outgoing {
    pub(crate) fn new(message: Message, asked: Asked) -> Self {
        Self { message, ticket: Ticket { asked } }
    }
}

/// The gossip of one node about its [`Replica`]. Records that were new come out of each call, to be kept and told to whoever watches.
#[derive(Clone, Debug)]
pub struct Gossip {
    config: GossipConfig,
    pub(crate) rumours: Rumours,
    neighbours: Vec<NodeId>,
    /// Members alive, this node among them.
    members: usize,
    /// Exchanges since the last walk.
    since_walk: u32,
    /// With whom this node compares everything at the moment: with one at a time.
    pub(crate) walking_with: Option<NodeId>,
    /// Where this node and others stood when a walk changed nothing: another one would not, either.
    pub(crate) fruitless: BTreeMap<NodeId, Stand>,
    /// Records that others knew to be deleted, for [`Gossip::take_dropped`].
    dropped: Vec<Record>,
    pub(crate) turn: u64,
}

/// Without a quiet moment, a walk happens after this many exchanges all the same.
const WALK_AFTER: u32 = 200;

impl Gossip {
    /// Gossip without neighbours yet.
    pub fn new(config: GossipConfig) -> Self {
        Self {
            config,
            rumours: Rumours::default(),
            neighbours: Vec::new(),
            members: 0,
            since_walk: 0,
            walking_with: None,
            fruitless: BTreeMap::new(),
            dropped: Vec::new(),
            turn: 0,
        }
    }

    /// Who is talked to, and who is there, this node among them.
    pub fn set_view(&mut self, neighbours: Vec<NodeId>, members: Vec<NodeId>) {
        (self.neighbours, self.members) = (neighbours, members.len());
        self.fruitless.retain(|peer, _| members.contains(peer));
    }

    /// A local write that the disk has.
    pub fn wrote(&mut self, record: &Record) {
        self.rumours.add(&record.key, record.version(), None);
    }

    /// Is there something to tell?
    pub fn has_rumours(&self) -> bool {
        !self.rumours.is_empty()
    }

    /// Milliseconds until the next round.
    pub fn interval_ms(&self) -> u64 {
        if self.has_rumours() { self.config.busy_interval_ms } else { self.config.idle_interval_ms }
    }

    /// Whom to talk to in this round: without rumours one neighbour, with some as many as the fan-out, those not told something first. Nobody who is `busy`.
    pub fn choose(&mut self, rng: &mut Rng, is_busy: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut free: Vec<NodeId> = self.neighbours.iter().copied().filter(|&n| !is_busy(n)).collect();
        rng.shuffle(&mut free);
        if !self.has_rumours() {
            free.truncate(1);
            return free;
        }
        free.retain(|&peer| self.rumours.for_peer(peer).next().is_some());
        free.truncate(self.config.fan_out);
        free
    }

    /// The exchange that starts a conversation with `peer`.
    pub fn greet(&mut self, replica: &Replica, peer: NodeId) -> Outgoing {
        let mut exchange = Exchange::default();
        let told = self.tell(replica, peer, &mut exchange);
        stand_in(replica, &mut exchange);
        Outgoing::new(Message::Exchange(exchange), Asked::Exchange(told))
    }

    /// Puts rumours for `peer` into a message: small values whole, of larger ones that they exist. Returns the keys: those pushed, then those announced.
    fn tell(&mut self, replica: &Replica, peer: NodeId, exchange: &mut Exchange) -> Vec<Vec<u8>> {
        let mut room = Room::new(self.config.message_bytes.min(MESSAGE_BYTES));
        let (mut pushed, mut announced) = (Vec::new(), Vec::new());
        for (key, rumour) in self.rumours.for_peer(peer) {
            let Some(record) = replica.record(key).filter(|record| record.version() == rumour.version) else {
                continue;
            };
            let is_small = record.value.as_ref().is_none_or(|value| value.len() <= self.config.inline_bytes);
            if !room.take(if is_small { record.bytes() } else { record.id().bytes() }) {
                break;
            }
            if is_small {
                pushed.push(key.clone());
                exchange.push.push(record);
            } else {
                announced.push(key.clone());
                exchange.have.push(record.id());
            }
        }
        pushed.extend(announced);
        for key in &pushed {
            self.rumours.inform(key, peer);
        }
        pushed
    }

    /// Answers a request. Nothing for what is no request.
    pub fn answer(&mut self, replica: &mut Replica, from: NodeId, message: Message) -> Option<(Message, Vec<Record>)> {
        match message {
            Message::Exchange(exchange) => {
                let (answer, new) = self.answer_exchange(replica, from, exchange);
                Some((Message::Exchange(answer), new))
            }
            Message::Tree { branches, context } => Some((self.answer_tree(replica, &branches, context), Vec::new())),
            Message::Page(page) => Some((Message::Compared(self.answer_page(replica, &page)), Vec::new())),
            Message::Give { records, gone } => Some(self.answer_give(replica, from, records, &gone)),
            Message::Branches { .. } | Message::Compared(_) => None,
        }
    }

    fn answer_exchange(&mut self, replica: &mut Replica, from: NodeId, asked: Exchange) -> (Exchange, Vec<Record>) {
        let mut answer = Exchange::default();
        if asked.root == replica.tree().root() {
            replica.settle();
        }
        self.drop_gone(replica, &asked.gone);
        let pushed = asked.push.len() as u32;
        let mut new = Vec::new();
        for (i, record) in asked.push.into_iter().enumerate() {
            match self.take(replica, from, record, &mut answer.gone) {
                Some(record) => new.push(record),
                None => answer.known.push(i as u32),
            }
        }
        for (i, id) in asked.have.into_iter().enumerate() {
            match replica.compare(&id.key, id.version()) {
                Received::New => answer.want.push(id.key),
                Received::Gone => answer.gone.push(id.name()),
                Received::Known => {
                    self.settle(replica, from, &id.key, id.version());
                    answer.known.push(pushed + i as u32);
                }
            }
        }
        self.give(replica, from, &asked.want, &mut answer);
        if answer.push.is_empty() {
            self.tell(replica, from, &mut answer);
        }
        stand_in(replica, &mut answer);
        self.retire();
        (answer, new)
    }

    /// Takes one record in; gives it back if it was new. One that was deleted here before is named to the other side.
    fn take(&mut self, replica: &mut Replica, from: NodeId, record: Record, gone: &mut Vec<Id>) -> Option<Record> {
        let version = record.version();
        match replica.receive(record.clone()) {
            Received::New => {
                self.rumours.add(&record.key, version, Some(from));
                return Some(record);
            }
            Received::Known => self.settle(replica, from, &record.key, version),
            Received::Gone => gone.push(record.name()),
        }
        None
    }

    /// `from` has this version of a key: if it is the one here, it needs not be told.
    fn settle(&mut self, replica: &Replica, from: NodeId, key: &[u8], theirs: Version) {
        if replica.version(key) == Some(theirs) {
            self.rumours.inform(key, from);
        }
    }

    /// Drops what another member knows to be deleted.
    pub(crate) fn drop_gone(&mut self, replica: &mut Replica, gone: &[Id]) {
        self.dropped.extend(gone.iter().filter_map(|id| replica.drop_gone(id)));
    }

    /// What was dropped since the last call, because another member knew that it had been deleted: key and stamp, and no value.
    pub fn take_dropped(&mut self) -> Vec<Record> {
        core::mem::take(&mut self.dropped)
    }

    /// Adds the records asked for, as many as fit; the rest is found by the next walk.
    fn give(&mut self, replica: &Replica, to: NodeId, want: &[Vec<u8>], exchange: &mut Exchange) {
        let mut room = Room::new(MESSAGE_BYTES);
        for record in want.iter().filter_map(|key| replica.record(key)) {
            if !room.take(record.bytes()) {
                break;
            }
            self.rumours.inform(&record.key, to);
            exchange.push.push(record);
        }
    }

    /// Understands an answer: what of it was new, and what to ask next.
    pub fn heard(
        &mut self,
        replica: &mut Replica,
        peer: NodeId,
        ticket: Ticket,
        answer: Message,
    ) -> (Vec<Record>, Option<Outgoing>) {
        match (ticket.asked, answer) {
            (Asked::Exchange(told), Message::Exchange(answer)) => {
                for key in answer.known.iter().filter_map(|&i| told.get(i as usize)) {
                    self.rumours.repeat(key);
                }
                self.heard_exchange(replica, peer, answer)
            }
            (Asked::Tree(stand), Message::Branches { differ, context }) => {
                self.since_walk = 0;
                (Vec::new(), self.descend(replica, peer, stand, (differ, context)))
            }
            (Asked::Page(walk), Message::Compared(answer)) => self.heard_page(replica, peer, walk, answer),
            (Asked::Give(walk), Message::Give { records, gone }) if records.is_empty() => {
                (Vec::new(), self.heard_give(replica, peer, walk, &gone))
            }
            _ => {
                self.failed(peer);
                (Vec::new(), None)
            }
        }
    }

    fn heard_exchange(
        &mut self,
        replica: &mut Replica,
        peer: NodeId,
        answer: Exchange,
    ) -> (Vec<Record>, Option<Outgoing>) {
        self.since_walk += 1;
        let may_walk = answer.is_quiet() && !self.has_rumours() || self.since_walk > WALK_AFTER;
        self.drop_gone(replica, &answer.gone);
        let mut next = Exchange::default();
        let taken = answer.push.into_iter().filter_map(|record| self.take(replica, peer, record, &mut next.gone));
        let new: Vec<Record> = taken.collect();
        for id in answer.have {
            match replica.compare(&id.key, id.version()) {
                Received::New => next.want.push(id.key),
                Received::Gone => next.gone.push(id.name()),
                Received::Known => {}
            }
        }
        self.give(replica, peer, &answer.want, &mut next);
        self.retire();
        if answer.root == replica.tree().root() {
            replica.settle();
        }
        stand_in(replica, &mut next);
        let stand = Stand { ours: (next.root, next.context), theirs: (answer.root, answer.context) };
        let asked = if !next.is_quiet() {
            let told = next.push.iter().map(|record| record.key.clone()).collect();
            Some(Outgoing::new(Message::Exchange(next), Asked::Exchange(told)))
        } else if may_walk && self.is_worth_a_walk(peer, stand) {
            Some(self.start_walk(replica, peer, stand))
        } else {
            None
        };
        (new, asked)
    }

    fn is_worth_a_walk(&self, peer: NodeId, stand: Stand) -> bool {
        stand.ours != stand.theirs && self.walking_with.is_none() && self.fruitless.get(&peer) != Some(&stand)
    }

    /// A request came to nothing.
    pub fn failed(&mut self, peer: NodeId) {
        self.rumours.doubt(peer);
        if self.walking_with == Some(peer) {
            self.walking_with = None;
        }
    }

    /// Drops rumours that have gone round.
    pub fn retire(&mut self) {
        let limit = 2 + 2 * self.members.max(2).ilog2();
        self.rumours.retire(&self.neighbours, limit);
    }
}

/// Says where this node stands.
fn stand_in(replica: &Replica, exchange: &mut Exchange) {
    exchange.root = replica.tree().root();
    exchange.context = replica.context().digest();
}
