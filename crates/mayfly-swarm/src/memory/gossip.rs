//! Rounds of push and pull, and the walk down the tree for what they missed.

use super::message::{Exchange, Message};
use super::news::News;
use super::record::Version;
use super::tombstones::Tombstones;
use super::tree::FAN;
use super::{Change, Record, RecordId, Replica};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng};

/// How gossip goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipConfig {
    /// Neighbours talked to in a round with news.
    pub fan_out: usize,
    /// Milliseconds between rounds with news.
    pub busy_interval_ms: u64,
    /// Milliseconds between rounds without.
    pub idle_interval_ms: u64,
    /// Values up to this many bytes go along unasked.
    pub inline_bytes: usize,
    /// Bytes of records in one message, about.
    pub message_bytes: usize,
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self { fan_out: 2, busy_interval_ms: 20, idle_interval_ms: 500, inline_bytes: 256, message_bytes: 1 << 20 }
    }
}

/// What was asked, to understand the answer.
#[derive(Clone, Debug)]
pub struct Ticket {
    asked: Asked,
}

#[derive(Clone, Debug)]
enum Asked {
    /// The keys told, in order.
    Exchange(Vec<Vec<u8>>),
    /// The end of a walk, with the keys given.
    Filling(Vec<Vec<u8>>),
    Tree,
    Leaves,
}

/// A request to make, with the ticket for its answer.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// What to ask.
    pub message: Message,
    /// Give it back with the answer.
    pub ticket: Ticket,
}

/// The gossip of one node about its [`Replica`]. Records that were new come out of each call, to be kept and told to whoever watches.
#[derive(Clone, Debug)]
pub struct Gossip {
    config: GossipConfig,
    news: News,
    tombstones: Tombstones,
    neighbours: Vec<NodeId>,
    /// Members that have to see a tombstone before it goes, this node among them.
    members: Vec<NodeId>,
    /// Exchanges since the last walk.
    since_walk: u32,
}

/// Without a quiet moment, a walk happens after this many exchanges all the same.
const WALK_AFTER: u32 = 200;

impl Gossip {
    /// Gossip without neighbours yet.
    pub fn new(config: GossipConfig) -> Self {
        let (news, tombstones) = (News::default(), Tombstones::default());
        Self { config, news, tombstones, neighbours: Vec::new(), members: Vec::new(), since_walk: 0 }
    }

    /// Who is talked to, and who has to see a tombstone before it goes.
    pub fn set_view(&mut self, neighbours: Vec<NodeId>, members: Vec<NodeId>) {
        (self.neighbours, self.members) = (neighbours, members);
    }

    /// A local write that the disk has.
    pub fn wrote(&mut self, record: &Record) {
        self.news.add(&record.key, record.version(), None);
    }

    /// Is there something to tell?
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Milliseconds until the next round.
    pub fn interval_ms(&self) -> u64 {
        if self.has_news() { self.config.busy_interval_ms } else { self.config.idle_interval_ms }
    }

    /// Whom to talk to in this round: without news one neighbour, with news as many as the fan-out, those not told something first. Nobody who is `busy`.
    pub fn choose(&mut self, rng: &mut Rng, is_busy: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut free: Vec<NodeId> = self.neighbours.iter().copied().filter(|&n| !is_busy(n)).collect();
        rng.shuffle(&mut free);
        if !self.has_news() {
            free.truncate(1);
            return free;
        }
        free.retain(|&peer| self.news.for_peer(peer).next().is_some());
        free.truncate(self.config.fan_out);
        free
    }

    /// The exchange that starts a conversation with `peer`.
    pub fn greet(&mut self, replica: &Replica, peer: NodeId) -> Outgoing {
        let mut exchange =
            Exchange { root: replica.tree().root(), seen: self.tombstones.speak(), ..Exchange::default() };
        let told = self.tell(replica, peer, &mut exchange);
        Outgoing { message: Message::Exchange(exchange), ticket: Ticket { asked: Asked::Exchange(told) } }
    }

    /// Puts news for `peer` into a message: small values whole, of larger ones that they exist. Returns the keys: those pushed, then those announced.
    fn tell(&mut self, replica: &Replica, peer: NodeId, exchange: &mut Exchange) -> Vec<Vec<u8>> {
        let mut room = self.config.message_bytes;
        let (mut pushed, mut announced) = (Vec::new(), Vec::new());
        for (key, item) in self.news.for_peer(peer) {
            let Some(record) = replica.record(key).filter(|record| record.version() == item.version) else { continue };
            let is_small = record.value.as_ref().is_none_or(|value| value.len() <= self.config.inline_bytes);
            let Some(left) = room.checked_sub(if is_small { record.bytes() } else { key.len() + 48 }) else { break };
            room = left;
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
            self.news.told(key, peer);
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
            Message::Tree(theirs) => {
                let ours = replica.tree().branches();
                let differ = (0..FAN).filter(|&i| ours[i] != theirs[i]);
                let branches = differ.map(|i| (i as u8, replica.tree().buckets(i))).collect();
                Some((Message::Branches(branches), Vec::new()))
            }
            Message::Leaves { buckets, have } => {
                Some((Message::Exchange(self.compare(replica, &buckets, &have)), Vec::new()))
            }
            Message::Branches(_) => None,
        }
    }

    fn answer_exchange(&mut self, replica: &mut Replica, from: NodeId, asked: Exchange) -> (Exchange, Vec<Record>) {
        let mut answer = Exchange { seen: self.tombstones.hear(&asked.seen, &self.members), ..Exchange::default() };
        let pushed = asked.push.len() as u32;
        let mut new = Vec::new();
        for (i, record) in asked.push.into_iter().enumerate() {
            match self.take(replica, from, record) {
                Some(record) => new.push(record),
                None => answer.known.push(i as u32),
            }
        }
        for (i, id) in asked.have.into_iter().enumerate() {
            if self.lacks(replica, &id) {
                answer.want.push(id.key);
            } else {
                self.settle(replica, from, &id.key, (id.stamp, id.check));
                answer.known.push(pushed + i as u32);
            }
        }
        self.tell(replica, from, &mut answer);
        self.give(replica, from, &asked.want, &mut answer);
        answer.root = replica.tree().root();
        self.retire();
        (answer, new)
    }

    /// Takes one record in; gives it back if it was new.
    fn take(&mut self, replica: &mut Replica, from: NodeId, record: Record) -> Option<Record> {
        if record.value.is_none() && self.tombstones.was_collected(&record.key, record.stamp) {
            return None;
        }
        let version = record.version();
        if replica.apply(record.clone()) {
            self.news.add(&record.key, version, Some(from));
            return Some(record);
        }
        self.settle(replica, from, &record.key, version);
        None
    }

    /// `from` has this version of a key: if it is the one here, it needs not be told.
    fn settle(&mut self, replica: &Replica, from: NodeId, key: &[u8], theirs: Version) {
        if replica.version(key) == Some(theirs) {
            self.news.told(key, from);
        }
    }

    /// Is there something newer than what is here?
    fn lacks(&self, replica: &Replica, id: &RecordId) -> bool {
        let is_newer = replica.version(&id.key).is_none_or(|ours| ours < (id.stamp, id.check));
        is_newer && !(id.check == 0 && self.tombstones.was_collected(&id.key, id.stamp))
    }

    /// Adds the records asked for, as many as fit; the rest is asked for again by the next walk.
    fn give(&mut self, replica: &Replica, to: NodeId, want: &[Vec<u8>], exchange: &mut Exchange) {
        let mut room = self.config.message_bytes;
        for record in want.iter().filter_map(|key| replica.record(key)) {
            let Some(left) = room.checked_sub(record.bytes()).or((room == self.config.message_bytes).then_some(0))
            else {
                break;
            };
            room = left;
            self.news.told(&record.key, to);
            exchange.push.push(record);
        }
    }

    /// What the other side lacks, and what this one lacks, in some buckets.
    fn compare(&mut self, replica: &Replica, buckets: &[u8], have: &[RecordId]) -> Exchange {
        let mut is_chosen = [false; 256];
        for &bucket in buckets {
            is_chosen[usize::from(bucket)] = true;
        }
        let mut answer = Exchange { root: replica.tree().root(), ..Exchange::default() };
        let wanted = have.iter().filter(|id| self.lacks(replica, id));
        answer.want = wanted.map(|id| id.key.clone()).collect();
        let theirs: BTreeSet<(&[u8], Version)> = have.iter().map(|id| (&id.key[..], (id.stamp, id.check))).collect();
        let newest = |key: &[u8]| {
            let versions = theirs.range((key, Version::default())..).take_while(|(k, _)| *k == key);
            versions.map(|&(_, version)| version).last()
        };
        let mine = replica.ids_in(&is_chosen).into_iter().map(|(_, id)| id);
        answer.have = mine.filter(|id| newest(&id.key).is_none_or(|theirs| theirs < (id.stamp, id.check))).collect();
        answer
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
            (Asked::Tree, Message::Branches(branches)) => {
                self.since_walk = 0;
                (Vec::new(), descend(replica, &branches))
            }
            (Asked::Exchange(told), Message::Exchange(answer)) => {
                for key in answer.known.iter().filter_map(|&i| told.get(i as usize)) {
                    self.news.met(key);
                }
                self.since_walk += 1;
                let may_walk = answer.is_quiet() && !self.has_news() || self.since_walk > WALK_AFTER;
                self.heard_exchange(replica, peer, answer, may_walk, Asked::Exchange)
            }
            (Asked::Filling(given), Message::Exchange(answer)) => {
                // A walk that got something done and is not through goes on at once.
                let got_on = given.len() > answer.known.len() || !answer.push.is_empty();
                self.heard_exchange(replica, peer, answer, got_on, Asked::Filling)
            }
            (Asked::Leaves, Message::Exchange(answer)) => {
                self.heard_exchange(replica, peer, answer, false, Asked::Filling)
            }
            _ => (Vec::new(), None),
        }
    }

    fn heard_exchange(
        &mut self,
        replica: &mut Replica,
        peer: NodeId,
        answer: Exchange,
        may_walk: bool,
        asking: fn(Vec<Vec<u8>>) -> Asked,
    ) -> (Vec<Record>, Option<Outgoing>) {
        self.tombstones.hear(&answer.seen, &self.members);
        let taken = answer.push.into_iter().filter_map(|record| self.take(replica, peer, record));
        let new: Vec<Record> = taken.collect();
        let mut next = Exchange { root: replica.tree().root(), ..Exchange::default() };
        let wanted = answer.have.into_iter().filter(|id| self.lacks(replica, id));
        next.want = wanted.map(|id| id.key).collect();
        self.give(replica, peer, &answer.want, &mut next);
        self.retire();
        let asked = if !next.is_quiet() {
            let given = next.push.iter().map(|record| record.key.clone()).collect();
            Some((Message::Exchange(next), asking(given)))
        } else if may_walk && answer.root != replica.tree().root() {
            Some((Message::Tree(replica.tree().branches()), Asked::Tree))
        } else {
            None
        };
        (new, asked.map(|(message, asked)| Outgoing { message, ticket: Ticket { asked } }))
    }

    /// A request came to nothing.
    pub fn failed(&mut self, peer: NodeId) {
        self.news.untell(peer);
    }

    /// Drops what is no news any more.
    pub fn retire(&mut self) {
        let limit = 2 + 2 * self.members.len().max(2).ilog2();
        self.news.drop_old(&self.neighbours, limit);
    }

    /// Collects the tombstones that every member has seen.
    pub fn collect(&mut self, replica: &mut Replica, here: NodeId, now_ms: u64) -> Vec<Change> {
        if self.members.is_empty() {
            return Vec::new();
        }
        let members = core::mem::take(&mut self.members);
        let changes = self.tombstones.collect(replica, here, &members, now_ms);
        self.members = members;
        changes
    }
}

/// Most ids that one message of leaves carries; further buckets wait for the next walk.
const LEAF_IDS: usize = 8192;

/// The ids in the buckets that differ.
fn descend(replica: &Replica, branches: &[(u8, [u128; FAN])]) -> Option<Outgoing> {
    let mut is_chosen = [false; 256];
    for (branch, theirs) in branches.iter().take(FAN).map(|(b, theirs)| (usize::from(*b), theirs)) {
        let ours = replica.tree().buckets(branch);
        for i in (0..FAN).filter(|&i| branch < FAN && ours[i] != theirs[i]) {
            is_chosen[branch * FAN + i] = true;
        }
    }
    let mut ids = replica.ids_in(&is_chosen);
    ids.sort_by_key(|(bucket, _)| *bucket);
    if let Some(&(last, _)) = ids.get(LEAF_IDS) {
        let end = usize::from(last).max(usize::from(ids[0].0) + 1); // one bucket at least, however full
        ids.retain(|&(bucket, _)| usize::from(bucket) < end);
        is_chosen[end..].fill(false);
    }
    let buckets = (0..=255).filter(|&bucket| is_chosen[usize::from(bucket)]).collect();
    let message = Message::Leaves { buckets, have: ids.into_iter().map(|(_, id)| id).collect() };
    Some(Outgoing { message, ticket: Ticket { asked: Asked::Leaves } })
}
