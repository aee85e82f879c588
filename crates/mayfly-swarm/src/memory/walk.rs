//! The comparison of two memories, page by page, for what rumours missed.

use super::context::Context;
use super::gossip::{Asked, Gossip, Outgoing};
use super::message::{Compared, Message, Page};
use super::record::{Id, record_bytes};
use super::replica::Received;
use super::tree::FAN;
use super::{Record, Replica};
use crate::pages::{LAST, MESSAGE_BYTES, OFFER_BYTES, Room, cut};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// Where one comparison stands. The other side keeps nothing.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Buckets that differ.
    buckets: Vec<u8>,
    /// Where the next page starts, if there is one.
    next: Option<u64>,
    /// What the other side had seen when it began: at the end, this side has it.
    context: Option<Context>,
    /// Places of records that the other side wants, and names of those that were deleted here.
    wanted: VecDeque<u64>,
    gone: Vec<Id>,
    /// Where both sides stood before it.
    pub(crate) stand: Stand,
    /// Did it change anything, as far as this side can say?
    was_useful: bool,
}

/// Roots and contexts of two sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) ours: (u128, u64),
    pub(crate) theirs: (u128, u64),
}

/// A page that brings at most so many records brings news for others, too; a longer one, a newcomer's or after a long cut, is left to their own walks.
const FEW: usize = 64;

/// What the comparison of a place came to.
enum Verdict {
    Give(Id),
    Want(u64),
    Gone(Id),
}

impl Gossip {
    pub(crate) fn start_walk(&mut self, replica: &Replica, peer: NodeId, stand: Stand) -> Outgoing {
        self.walking_with = Some(peer);
        let message = Message::Tree { branches: replica.tree().branches(), context: replica.context().digest() };
        Outgoing::new(message, Asked::Tree(stand))
    }

    pub(crate) fn answer_tree(&mut self, replica: &Replica, theirs: &[u128; FAN], context: u64) -> Message {
        let ours = replica.tree().branches();
        let differ = (0..FAN).filter(|&i| ours[i] != theirs[i]);
        let differ = differ.map(|i| (i as u8, replica.tree().buckets(i))).collect();
        self.turn += 1;
        let turn = self.turn;
        let ours = replica.context();
        let context = (ours.digest() != context).then(|| ours.part(turn << 14));
        Message::Branches { differ, context }
    }

    /// The branches that differ are known: which buckets do?
    pub(crate) fn descend(
        &mut self,
        replica: &mut Replica,
        peer: NodeId,
        stand: Stand,
        (differ, context): (Vec<(u8, [u128; FAN])>, Option<Context>),
    ) -> Option<Outgoing> {
        let mut buckets = Vec::new();
        for (branch, theirs) in differ.iter().take(FAN).filter(|(branch, _)| usize::from(*branch) < FAN) {
            let ours = replica.tree().buckets(usize::from(*branch));
            let differ = (0..FAN).filter(|&i| ours[i] != theirs[i]);
            buckets.extend(differ.map(|i| branch * FAN as u8 + i as u8));
        }
        let next = (!buckets.is_empty()).then_some(0);
        let (wanted, gone) = (VecDeque::new(), Vec::new());
        let walk = Walk { buckets, next, context, wanted, gone, stand, was_useful: false };
        self.walk_on(replica, peer, walk)
    }

    /// The next request of a walk: what the other side wants of the last page, else the next page; nothing at its end.
    fn walk_on(&mut self, replica: &mut Replica, peer: NodeId, mut walk: Walk) -> Option<Outgoing> {
        if !walk.wanted.is_empty() || !walk.gone.is_empty() {
            let (records, gone) = give(replica, &mut walk.wanted, core::mem::take(&mut walk.gone));
            walk.was_useful |= !records.is_empty() || !gone.is_empty();
            records.iter().for_each(|record| self.rumours.inform(&record.key, peer));
            return Some(Outgoing::new(Message::Give { records, gone }, Asked::Give(walk)));
        }
        let Some(from) = walk.next else {
            self.end_walk(replica, peer, walk);
            return None;
        };
        let ids = replica.ids_from(&walk.buckets, from).map(|(id, _)| (id.place, Id::BYTES, id));
        let (have, upto) = cut(ids, &mut Room::new(OFFER_BYTES));
        let page = Page { buckets: walk.buckets.clone(), from, upto, have };
        Some(Outgoing::new(Message::Page(page), Asked::Page(walk)))
    }

    fn end_walk(&mut self, replica: &mut Replica, peer: NodeId, walk: Walk) {
        self.walking_with = None;
        let is_new = walk.context.as_ref().is_some_and(|theirs| {
            let before = replica.context().digest();
            replica.caught_up(theirs);
            replica.context().digest() != before
        });
        if walk.context.is_none() {
            replica.settle();
        }
        if walk.was_useful || is_new {
            self.fruitless.remove(&peer);
        } else {
            self.fruitless.insert(peer, walk.stand);
        }
    }

    /// Compares a page with what is here.
    pub(crate) fn answer_page(&self, replica: &Replica, page: &Page) -> Compared {
        let verdicts = verdicts(replica, page);
        let (verdicts, upto) = cut(verdicts, &mut Room::new(MESSAGE_BYTES));
        let mut answer = Compared { upto: upto.min(page.upto), ..Compared::default() };
        for verdict in verdicts {
            match verdict {
                Verdict::Give(id) => {
                    answer.give.extend(replica.records_at(id.place).filter(|record| record.name() == id))
                }
                Verdict::Want(place) => answer.want.push(place),
                Verdict::Gone(id) => answer.gone.push(id),
            }
        }
        answer
    }

    pub(crate) fn heard_page(
        &mut self,
        replica: &mut Replica,
        peer: NodeId,
        mut walk: Walk,
        answer: Compared,
    ) -> (Vec<Record>, Option<Outgoing>) {
        if walk.next.is_some_and(|from| answer.upto < from) {
            self.walking_with = None;
            return (Vec::new(), None); // it would never end
        }
        let (new, gone) = self.take_all(replica, peer, answer.give);
        walk.was_useful |= !new.is_empty() || !answer.gone.is_empty();
        walk.gone.extend(gone);
        walk.wanted.extend(answer.want);
        walk.next = answer.upto.checked_add(1).filter(|next| walk.buckets.iter().any(|b| u64::from(*b) >= next >> 56));
        self.drop_gone(replica, &answer.gone);
        (new, self.walk_on(replica, peer, walk))
    }

    pub(crate) fn answer_give(
        &mut self,
        replica: &mut Replica,
        from: NodeId,
        records: Vec<Record>,
        gone: &[Id],
    ) -> (Message, Vec<Record>) {
        self.drop_gone(replica, gone);
        let (new, gone) = self.take_all(replica, from, records);
        (Message::Give { records: Vec::new(), gone }, new)
    }

    pub(crate) fn heard_give(
        &mut self,
        replica: &mut Replica,
        peer: NodeId,
        walk: Walk,
        gone: &[Id],
    ) -> Option<Outgoing> {
        self.drop_gone(replica, gone);
        self.walk_on(replica, peer, walk)
    }

    /// Takes records in; those that were new, and names of those that were deleted here before.
    fn take_all(&mut self, replica: &mut Replica, from: NodeId, records: Vec<Record>) -> (Vec<Record>, Vec<Id>) {
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        let is_few = records.len() <= FEW;
        for record in records {
            match replica.receive(record.clone()) {
                Received::New if is_few => {
                    self.rumours.add(&record.key, record.version(), Some(from));
                    new.push(record);
                }
                Received::New => new.push(record),
                Received::Gone => gone.push(record.name()),
                Received::Known => {}
            }
        }
        (new, gone)
    }
}

/// Records that are wanted, as many as fit.
fn give(replica: &Replica, wanted: &mut VecDeque<u64>, gone: Vec<Id>) -> (Vec<Record>, Vec<Id>) {
    let mut room = Room::new(MESSAGE_BYTES);
    let mut records = Vec::new();
    while let Some(&place) = wanted.front() {
        let there: Vec<Record> = replica.records_at(place).collect();
        if !room.take(there.iter().map(Record::bytes).sum()) {
            break;
        }
        records.extend(there);
        wanted.pop_front();
    }
    (records, gone)
}

/// What is to be done about each place of a page, in order, with what it takes in the answer.
fn verdicts<'a>(replica: &'a Replica, page: &'a Page) -> impl Iterator<Item = (u64, usize, Verdict)> + 'a {
    let mut theirs: BTreeMap<u64, Vec<Id>> = BTreeMap::new();
    let is_in_page =
        |place: u64| (page.from..=page.upto).contains(&place) && page.buckets.contains(&((place >> 56) as u8));
    for id in page.have.iter().filter(|id| is_in_page(id.place)) {
        theirs.entry(id.place).or_default().push(*id);
    }
    let mut places: BTreeMap<u64, Vec<(Id, usize)>> = BTreeMap::new();
    let mut budget = 0;
    for (id, bytes) in replica.ids_from(&page.buckets, page.from).take_while(|(id, _)| id.place <= page.upto) {
        if theirs.get(&id.place).is_some_and(|theirs| theirs.contains(&id)) {
            theirs.remove(&id.place);
            continue;
        }
        places.entry(id.place).or_default().push((id, bytes));
        budget += if theirs.contains_key(&id.place) { 0 } else { record_bytes(bytes) };
        if budget > 2 * MESSAGE_BYTES {
            break; // more does not fit into the answer, whatever becomes of it
        }
    }
    let end = if budget > 2 * MESSAGE_BYTES { places.keys().next_back().copied().unwrap_or(LAST) } else { LAST };
    for place in theirs.keys().filter(|place| **place <= end) {
        places.entry(*place).or_default();
    }
    places
        .into_iter()
        .map(move |(place, ours)| {
            let theirs = theirs.get(&place).and_then(|ids| ids.iter().max()).copied();
            let ours = ours.into_iter().max();
            match (ours, theirs) {
                (Some((ours, bytes)), theirs) if theirs.is_none_or(|theirs| theirs < ours) => {
                    (place, record_bytes(bytes), Some(Verdict::Give(ours)))
                }
                (ours, Some(theirs)) => {
                    (place, Id::BYTES, replica.verdict_on(&theirs, ours.map(|(ours, _)| ours).as_ref()))
                }
                _ => (place, 0, None),
            }
        })
        .filter_map(|(place, bytes, verdict)| Some((place, bytes, verdict?)))
}

impl Replica {
    /// Of a name that is newer than what is here.
    fn verdict_on(&self, theirs: &Id, ours: Option<&Id>) -> Option<Verdict> {
        match self.compare_id(theirs, ours) {
            Received::New => Some(Verdict::Want(theirs.place)),
            Received::Gone => Some(Verdict::Gone(*theirs)),
            Received::Known => None,
        }
    }
}
