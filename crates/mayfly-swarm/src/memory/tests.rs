//! What only shows between the parts: tombstones that are gone, contexts, the end of rumours.
use super::record::Record;
use super::replica::Received;
use super::rumours::Rumours;
use super::{Gossip, GossipConfig, MemoryLimits, Replica};
use crate::crdt::Stamp;
use alloc::vec;
use alloc::vec::Vec;
use mayfly_base::NodeId;

fn id(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn replica(number: u8) -> Replica {
    Replica::new(id(number), MemoryLimits::default())
}

fn record(value: Option<&[u8]>) -> Record {
    let stamp = Stamp { ms: 5, count: 0, node: id(9) };
    Record { key: b"key".to_vec(), stamp, value: value.map(<[u8]>::to_vec) }
}

/// A value that another member knows to be deleted goes; a tombstone has its time here, too.
#[test]
fn a_tombstone_is_not_dropped_as_gone() {
    let mut with_value = replica(1);
    assert!(with_value.apply(record(Some(b"value"))));
    assert!(with_value.drop_gone(&record(Some(b"value")).name()).is_some());
    assert_eq!(with_value.read(b"key"), None);
    let mut with_tombstone = replica(1);
    assert!(with_tombstone.apply(record(None)));
    assert!(with_tombstone.drop_gone(&record(None).name()).is_none());
    assert_eq!(with_tombstone.tombstone_count(), 1);
}

/// Two members with the same records, one of which saw a deletion that left nothing behind: the other one learns of it, and does not take the value back.
#[test]
fn what_one_saw_is_told_where_records_are_the_same() {
    let (mut ours, mut theirs) = (replica(1), replica(2));
    assert!(ours.apply(record(None)));
    assert_eq!(ours.expire(u64::MAX / 2, 10).len(), 1);
    assert!(ours.same_records(&theirs));
    let (us, them) = (id(1), id(2));
    let mut gossips = [us, them].map(|_| Gossip::new(GossipConfig::default()));
    gossips[0].set_view(vec![them], vec![us, them]);
    gossips[1].set_view(vec![us], vec![us, them]);
    let [mut x, mut y] = gossips;
    let version = record(Some(b"value")).version();
    assert_eq!(theirs.compare(b"key", version), Received::New);
    for _ in 0..2 {
        let mut out = Some(y.greet(&theirs, us));
        while let Some(asked) = out.take() {
            let (answer, _) = x.answer(&mut ours, them, asked.message).unwrap();
            out = y.heard(&mut theirs, us, asked.ticket, answer).1;
        }
        let mut out = Some(x.greet(&ours, them));
        while let Some(asked) = out.take() {
            let (answer, _) = y.answer(&mut theirs, us, asked.message).unwrap();
            out = x.heard(&mut ours, them, asked.ticket, answer).1;
        }
    }
    assert_eq!(theirs.compare(b"key", version), Received::Gone);
}

/// What a walk brings is news for others where it is little; all that a newcomer gets is not.
#[test]
fn a_newcomer_does_not_tell_everybody_everything() {
    for (count, is_news) in [(20_u8, true), (200, false)] {
        let (mut ours, mut theirs) = (replica(1), replica(2));
        for i in 0..count {
            let stamp = Stamp { ms: 5 + u64::from(i), count: 0, node: id(9) };
            assert!(theirs.apply(Record { key: vec![b'k', i], stamp, value: Some(vec![i]) }));
        }
        let (mut x, mut y) = (Gossip::new(GossipConfig::default()), Gossip::new(GossipConfig::default()));
        x.set_view(vec![id(2), id(3)], vec![id(1), id(2), id(3)]);
        let mut out = Some(x.greet(&ours, id(2)));
        while let Some(asked) = out.take() {
            let (answer, _) = y.answer(&mut theirs, id(1), asked.message).unwrap();
            out = x.heard(&mut ours, id(2), asked.ticket, answer).1;
        }
        assert!(ours.same_records(&theirs));
        assert_eq!(x.has_rumours(), is_news, "{count}");
    }
}

/// A rumour is dropped when every neighbour was told, or when so many knew it before.
#[test]
fn rumours_end() {
    let neighbours = [id(1), id(2), id(3)];
    let version = record(None).version();
    let mut rumours = Rumours::default();
    rumours.add(b"old", version, Some(id(1)));
    rumours.add(b"known", version, None);
    rumours.repeat(b"known");
    rumours.retire(&neighbours, 2);
    assert_eq!(rumours.for_peer(id(2)).count(), 2);
    rumours.repeat(b"known");
    rumours.retire(&neighbours, 2);
    assert_eq!(rumours.for_peer(id(2)).map(|(key, _)| key.as_slice()).collect::<Vec<_>>(), [b"old"]);
    (2..4).for_each(|n| rumours.inform(b"old", id(n)));
    rumours.retire(&neighbours, 2);
    assert!(rumours.is_empty());
}

/// A value that was deleted here long ago stays deleted, also when an older one that nobody had heard of has come in its place since.
#[test]
fn an_unheard_older_value_does_not_let_a_deleted_one_back() {
    let at = |ms: u64, writer: u8, value: Option<&[u8]>| {
        let stamp = Stamp { ms, count: 0, node: id(writer) };
        Record { key: b"key".to_vec(), stamp, value: value.map(<[u8]>::to_vec) }
    };
    let (unheard, deleted, deletion) = (at(5, 7, Some(b"one")), at(6, 8, Some(b"two")), at(7, 1, None));
    let mut ours = replica(1);
    assert_eq!(ours.receive(deleted.clone()), Received::New);
    assert!(ours.apply(deletion));
    assert_eq!(ours.expire(u64::MAX / 2, 10).len(), 1);
    assert_eq!(ours.receive(unheard.clone()), Received::New);
    let here = unheard.name();
    assert_eq!(ours.compare(b"key", deleted.version()), Received::Gone);
    assert_eq!(ours.compare_id(&deleted.name(), Some(&here)), Received::Gone);
    assert_eq!(ours.receive(deleted), Received::Gone);
    assert_eq!(ours.read(b"key"), Some(&b"one"[..]));
    // What is news is taken, deletions too.
    let (news, end) = (at(8, 8, Some(b"three")), at(9, 8, None));
    assert_eq!(ours.compare(b"key", news.version()), Received::New);
    assert_eq!(ours.compare_id(&news.name(), Some(&here)), Received::New);
    assert_eq!(ours.receive(news), Received::New);
    assert_eq!(ours.receive(end), Received::New);
    // Two values of one stamp, of members that share a name by mistake: the higher hash wins everywhere.
    let mut both = replica(2);
    let (mut low, mut high) = (at(9, 3, Some(b"x")), at(9, 3, Some(b"y")));
    if low.version() > high.version() {
        core::mem::swap(&mut low, &mut high);
    }
    assert_eq!(both.receive(low.clone()), Received::New);
    assert_eq!(both.compare_id(&high.name(), Some(&low.name())), Received::New);
    assert_eq!(both.receive(high), Received::New);
}
