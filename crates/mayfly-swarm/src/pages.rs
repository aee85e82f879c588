//! Bounded messages: whatever grows (records, deletions, a trust list) is compared in pages, and each request and each answer has a byte budget.
//!
//! Two holders of a set whose items lie in the order of a 64-bit *place* (a hash of what the item is about) make it equal like this:
//! one [`Offer`]s the names of everything that it has from one place to another; the other [`answer`]s with the items that are missing there and the names of those
//! that it wants itself, up to a place which is lower when its own budget ended first. The asker goes on behind that place until [`LAST`].
//! Nobody keeps anything between two pages but the place.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a message carries, about. One item may be larger than what is left: a message holds at least one.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// What the names in an [`Offer`] take, about: the answer to a page may have to carry an item for each.
pub const OFFER_BYTES: usize = MESSAGE_BYTES / 4;
/// The last place; a page that reaches it is the last one.
pub const LAST: u64 = u64::MAX;

/// What still fits into a message.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    left: usize,
    is_fresh: bool,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes, is_fresh: true }
    }

    /// Takes `bytes`, if they fit or are the first.
    pub fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left || self.is_fresh;
        if fits {
            (self.left, self.is_fresh) = (self.left.saturating_sub(bytes), false);
        }
        fits
    }
}

/// As many of `items` (place, bytes, item; in the order of places) as fit, and the place up to which they are everything there is.
/// Items of one place stay together, even where they alone are more than fits.
pub fn cut<T>(items: impl IntoIterator<Item = (u64, usize, T)>, room: &mut Room) -> (Vec<T>, u64) {
    let mut taken: Vec<(u64, T)> = Vec::new();
    for (place, bytes, item) in items {
        let is_next = taken.first().is_some_and(|(first, _)| *first < place);
        if !room.take(bytes) && is_next {
            taken.retain(|(p, _)| *p < place);
            return (taken.into_iter().map(|(_, item)| item).collect(), place - 1); // above the first, so above 0
        }
        taken.push((place, item));
    }
    (taken.into_iter().map(|(_, item)| item).collect(), LAST)
}

/// Names of everything that the sender has between two places, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer<N> {
    /// The first place.
    pub from: u64,
    /// The last place.
    pub upto: u64,
    /// Names, in the order of places.
    pub have: Vec<N>,
}

impl<N> Offer<N> {
    /// The page from a place on: `items` are (place, bytes of the name, name) from there on, in order.
    pub fn new(from: u64, items: impl IntoIterator<Item = (u64, usize, N)>) -> Self {
        let (have, upto) = cut(items, &mut Room::new(OFFER_BYTES));
        Self { from, upto, have }
    }
}

/// What [`answer`] finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<N, T> {
    /// Everything up to this place was compared; go on behind it, unless it is [`LAST`].
    pub upto: u64,
    /// Names that are missing here.
    pub want: Vec<N>,
    /// Items that the asker lacks.
    pub give: Vec<T>,
}

/// Compares an offer with a set from which nothing is ever taken out. `mine` are (place, bytes, name, item) from `offer.from` on, in the order of places;
/// `place` says where a name of the offer lies.
pub fn answer<N: Ord + Clone, T>(
    offer: &Offer<N>,
    mine: impl IntoIterator<Item = (u64, usize, N, T)>,
    place: impl Fn(&N) -> u64,
) -> Reply<N, T> {
    let theirs: BTreeSet<&N> = offer.have.iter().collect();
    let mut known = BTreeSet::new();
    let mine = mine.into_iter().take_while(|(at, ..)| *at <= offer.upto);
    let missing = mine.filter_map(|(at, bytes, name, item)| {
        let is_known = theirs.contains(&name);
        known.insert(name);
        (!is_known).then_some((at, bytes, item))
    });
    let (give, upto) = cut(missing, &mut Room::new(MESSAGE_BYTES));
    let upto = upto.min(offer.upto);
    let want = offer.have.iter().filter(|name| place(name) <= upto && !known.contains(name)).cloned().collect();
    Reply { upto, want, give }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use mayfly_base::{Rng, mix};

    type Items = BTreeMap<(u64, u32), usize>;

    /// Items of up to a third of a message, some of one place, some at both ends.
    fn some(rng: &mut Rng, count: u64) -> Items {
        let item = |rng: &mut Rng| {
            let number = rng.below(1 << 20) as u32;
            let place = [0, LAST, mix(u64::from(number)), mix(u64::from(number) % 50)][rng.below(4) as usize];
            ((place, number), mix(u64::from(number) ^ 7) as usize % (MESSAGE_BYTES / 3))
        };
        (0..count).map(|_| item(rng)).collect()
    }

    fn weight<'a>(items: impl IntoIterator<Item = &'a usize>) -> usize {
        items.into_iter().sum()
    }

    #[test]
    fn two_sets_become_equal_in_messages_of_bounded_size() {
        let mut rng = Rng::new(4);
        for round in 0..30 {
            let (a_count, b_count) = (rng.below(200), rng.below(200));
            let (mut a, mut b) = (some(&mut rng, a_count), some(&mut rng, b_count));
            let shared = some(&mut rng, 100);
            a.extend(shared.clone());
            b.extend(shared);
            // Everything of the two ends is of one place and stays together: it is what a message may be too large by.
            let most_of_a_place = |of: &Items| {
                let mut places = BTreeMap::<u64, usize>::new();
                of.iter().for_each(|((place, _), bytes)| *places.entry(*place).or_default() += bytes);
                places.into_values().max().unwrap_or(0)
            };
            let union: Items = a.iter().chain(&b).map(|(name, bytes)| (*name, *bytes)).collect();
            let limit = MESSAGE_BYTES + most_of_a_place(&union);
            let (mut from, mut pages) = (Some(0), 0);
            while let Some(start) = from {
                pages += 1;
                let names = a.range((start, 0)..).map(|(&name, _)| (name.0, OFFER_BYTES / 20, name));
                let offer = Offer::new(start, names);
                let mine: Vec<_> =
                    b.range((start, 0)..).map(|(&name, &bytes)| (name.0, bytes, name, (name, bytes))).collect();
                let reply = answer(&offer, mine, |name| name.0);
                assert!(weight(reply.give.iter().map(|(_, bytes)| bytes)) <= limit, "round {round}");
                assert!(reply.upto >= start && reply.upto <= offer.upto);
                b.extend(reply.want.iter().map(|name| (*name, a[name])));
                a.extend(reply.give);
                from = reply.upto.checked_add(1);
            }
            assert_eq!(a, union, "round {round}");
            assert_eq!(b, union, "round {round}");
            assert!(union.len() < 100 || pages > 1);
        }
    }

    #[test]
    fn a_message_holds_at_least_one_item_and_then_what_fits() {
        let mut room = Room::new(10);
        assert_eq!([room.take(11), room.take(1)], [true, false], "the first may be too large, a second is not");
        let mut room = Room::new(10);
        assert_eq!([room.take(4), room.take(7), room.take(6), room.take(1)], [true, false, true, false]);
        assert_eq!(cut([(5, 99, 'a'), (5, 99, 'b'), (6, 1, 'c')], &mut Room::new(10)), (['a', 'b'].into(), 5));
        assert_eq!(cut([(5, 1, 'a'), (7, 1, 'b'), (7, 99, 'c')], &mut Room::new(10)), (['a'].into(), 6));
        assert_eq!(cut([(5, 1, 'a'), (LAST, 1, 'b')], &mut Room::new(10)), (['a', 'b'].into(), LAST));
    }
}
