//! What a node has seen, whether or not it still has it: the causal context of its memory.

use super::record::{first8, short};
use crate::crdt::{MAX_STAMP_MS, Stamp};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// When in the life of a member: milliseconds and count of a stamp.
type Moment = (u64, u32);

/// Of which member's writes has this memory what they came to? *Every* write of a member up to a moment (a version vector), and single later ones (dots).
///
/// A write that was seen and whose key is gone was deleted, and its tombstone has had its time: so a copy of it somewhere else is old, and not news
/// (Bieniusa et al. 2012, "An optimized conflict-free replicated set"; Almeida et al. 2018, "Delta state replicated data types").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    upto: BTreeMap<u64, Moment>,
    single: BTreeSet<(u64, Moment)>,
}

/// Single writes that are remembered. To forget one is safe: it would be taken for news.
const MOST_SINGLE: usize = 1 << 16;
/// Members and single writes told in one message, each.
const AT_ONCE: usize = 1 << 14;

fn moment(stamp: Stamp) -> Moment {
    (stamp.ms, stamp.count)
}

impl Context {
    /// Was this write seen?
    pub(crate) fn covers(&self, stamp: Stamp) -> bool {
        self.covers_dot(short(stamp.node), moment(stamp))
    }

    pub(crate) fn covers_dot(&self, node: u64, at: Moment) -> bool {
        self.upto.get(&node).is_some_and(|upto| *upto >= at) || self.single.contains(&(node, at))
    }

    /// Notes one write. True when it was not known.
    pub(crate) fn add(&mut self, stamp: Stamp) -> bool {
        if self.covers(stamp) {
            return false;
        }
        self.single.insert((short(stamp.node), moment(stamp)));
        if self.single.len() > MOST_SINGLE {
            self.single.pop_first();
        }
        true
    }

    /// Notes every write of a member up to a moment. True when not all were known.
    pub(crate) fn advance(&mut self, node: u64, upto: Moment) -> bool {
        if self.upto.get(&node).copied().unwrap_or_default() >= upto {
            return false;
        }
        self.upto.insert(node, upto);
        let covered: Vec<_> = self.single.range((node, Moment::default())..=(node, upto)).copied().collect();
        for dot in &covered {
            self.single.remove(dot);
        }
        true
    }

    /// Takes in what another memory has seen, which has to be in this one, too. True when something was new.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        for (&node, &upto) in other.upto.iter().filter(|(_, upto)| upto.0 <= MAX_STAMP_MS) {
            is_new |= self.advance(node, upto);
        }
        for &(node, (ms, count)) in &other.single {
            if !self.covers_dot(node, (ms, count)) && self.single.len() < MOST_SINGLE {
                is_new |= self.single.insert((node, (ms, count)));
            }
        }
        is_new
    }

    /// Single writes that are remembered.
    pub(crate) fn single_count(&self) -> usize {
        self.single.len()
    }

    /// The latest moment in it.
    pub(crate) fn latest(&self) -> (u64, u32) {
        let single = self.single.iter().map(|&(_, at)| at);
        self.upto.values().copied().chain(single).max().unwrap_or_default()
    }

    /// As much as one message holds, beginning elsewhere each time where it is more: any part of it is true.
    pub(crate) fn part(&self, turn: u64) -> Self {
        let (upto, single) = (self.upto.len(), self.single.len());
        let skip = |len: usize| if len > AT_ONCE { turn as usize % len } else { 0 };
        let upto = self.upto.iter().cycle().skip(skip(upto)).take(upto.min(AT_ONCE));
        let single = self.single.iter().cycle().skip(skip(single)).take(single.min(AT_ONCE));
        Self { upto: upto.map(|(&node, &at)| (node, at)).collect(), single: single.copied().collect() }
    }

    /// Equal where contexts are.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let mut feed = |node: u64, (ms, count): Moment| {
            hasher.update(&node.to_le_bytes()).update(&ms.to_le_bytes()).update(&count.to_le_bytes());
        };
        self.upto.iter().for_each(|(&node, &at)| feed(node, at));
        feed(u64::MAX, (u64::MAX, u32::MAX)); // between the two
        self.single.iter().for_each(|&(node, at)| feed(node, at));
        first8(&hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_base::{NodeId, Rng};

    fn stamp(rng: &mut Rng) -> Stamp {
        Stamp { ms: 1 + rng.below(6), count: rng.below(3) as u32, node: NodeId([rng.below(3) as u8; 32]) }
    }

    /// A context says what a plain set of writes says.
    #[test]
    fn it_is_a_set_of_writes() {
        let mut rng = Rng::new(2);
        let all: Vec<Stamp> = (0..3_u8)
            .flat_map(|node| {
                (1..7).flat_map(move |ms| (0..3).map(move |count| Stamp { ms, count, node: NodeId([node; 32]) }))
            })
            .collect();
        for _ in 0..200 {
            let mut pair = [(Context::default(), BTreeSet::new()), (Context::default(), BTreeSet::new())];
            for _ in 0..rng.below(12) {
                let (context, set) = &mut pair[rng.below(2) as usize];
                let stamp = stamp(&mut rng);
                if rng.below(3) == 0 {
                    context.advance(short(stamp.node), moment(stamp));
                    set.extend(all.iter().filter(|s| s.node == stamp.node && **s <= stamp));
                } else {
                    assert_eq!(context.add(stamp), set.insert(stamp));
                }
            }
            let [(mut a, mut x), (b, y)] = pair;
            let before = a.clone();
            let is_new = a.merge(&b);
            x.extend(&y);
            assert!(all.iter().all(|&stamp| a.covers(stamp) == x.contains(&stamp)));
            assert_eq!(is_new, a != before);
            assert_eq!(a.digest() == before.digest(), !is_new);
            assert_eq!(a.part(7), a);
            assert!(!a.merge(&before) && !a.merge(&b));
        }
    }

    #[test]
    fn what_one_message_holds_is_bounded_and_every_part_comes_up() {
        let mut context = Context::default();
        for i in 0..50_000 {
            context.advance(i, (i + 1, 0));
        }
        let (mut whole, mut turns) = (Context::default(), 0);
        while whole != context {
            let part = context.part(turns * AT_ONCE as u64);
            assert!(postcard::to_stdvec(&part).unwrap().len() < crate::pages::MESSAGE_BYTES / 2);
            whole.merge(&part);
            turns += 1;
            assert!(turns < 10);
        }
        for i in 0..100_000 {
            context.add(Stamp { ms: MAX_STAMP_MS, count: i, node: NodeId([1; 32]) });
        }
        assert_eq!(context.single.len(), MOST_SINGLE);
    }
}
