//! Conversations of two memories, without swarm and network.

use mayfly_base::{NodeId, Rng};
use mayfly_swarm::crdt::{MAX_STAMP_MS, Stamp};
use mayfly_swarm::memory::{Gossip, GossipConfig, MOST_BYTES, MemoryLimits, Record};
use mayfly_swarm::{Replica, SwarmError};

/// A node of two: its memory and its gossip.
fn node(number: u8) -> (Replica, Gossip) {
    let (here, other) = (NodeId([number; 32]), NodeId([3 - number.min(2); 32]));
    let mut gossip = Gossip::new(GossipConfig::default());
    gossip.set_view(vec![other], vec![here, other]);
    (Replica::new(here, MemoryLimits::default()), gossip)
}

/// What a lost packet said is said again; without a failure it is not.
#[test]
fn what_was_told_in_vain_is_told_again() {
    let (mut replica, mut gossip) = node(1);
    let (mut theirs, mut their_gossip) = node(2);
    let peer = NodeId([2; 32]);
    let record = replica.prepare(b"key", Some(b"value".to_vec()), 1_000).unwrap();
    assert!(replica.apply(record.clone()));
    gossip.wrote(&record);
    let lost = gossip.greet(&replica, peer);
    assert!(gossip.choose(&mut Rng::new(1), |_| false).is_empty(), "it is told already");
    drop(lost);
    gossip.failed(peer);
    assert_eq!(gossip.choose(&mut Rng::new(1), |_| false), [peer]);
    let again = gossip.greet(&replica, peer);
    let (_, new) = their_gossip.answer(&mut theirs, NodeId([1; 32]), again.message).unwrap();
    assert_eq!(new, [record]);
    assert_eq!(theirs.read(b"key"), Some(&b"value"[..]));
}

/// One from the end of time would never be written over again.
#[test]
fn records_that_no_member_makes_are_not_taken() {
    let limits = MemoryLimits::default();
    let record = |key: usize, value: usize, ms: u64| Record {
        key: vec![b'k'; key],
        stamp: Stamp { ms, ..Stamp::default() },
        value: Some(vec![0; value]),
    };
    let (mut replica, _) = node(1);
    for wrong in [
        record(0, 1, 5),
        record(limits.key_bytes + 1, 1, 5),
        record(1, limits.value_bytes + 1, 5),
        record(1, 1, MAX_STAMP_MS + 1),
        record(1, 1, u64::MAX),
    ] {
        assert!(!replica.apply(wrong));
        assert_eq!((replica.len(), replica.bytes()), (0, 0));
    }
    assert!(replica.apply(record(limits.key_bytes, limits.value_bytes, MAX_STAMP_MS)));
}

/// A local write that could not win is refused: whoever is told that it is done finds it.
#[test]
fn a_write_is_after_every_stamp_that_is_taken_or_it_is_refused() {
    let at = |ms, count| Record {
        key: b"x".into(),
        stamp: Stamp { ms, count, node: NodeId([9; 32]) },
        value: Some(vec![1]),
    };
    let (mut replica, _) = node(1);
    assert!(!replica.apply(at(MAX_STAMP_MS, u32::MAX)), "the last stamp is nobody's");
    assert!(replica.apply(at(MAX_STAMP_MS, u32::MAX - 2)));
    let mine = replica.prepare(b"x", Some(b"mine".into()), 5).unwrap();
    assert!(replica.commit(mine));
    assert_eq!(replica.read(b"x"), Some(&b"mine"[..]));
    for _ in 0..3 {
        assert!(matches!(replica.prepare(b"x", None, 5), Err(SwarmError::NoLaterStamp { .. })));
    }
    assert_eq!(replica.read(b"x"), Some(&b"mine"[..]));
}

/// What is replaced or deleted makes room.
#[test]
fn bytes_are_those_of_what_is_there() {
    let limits = MemoryLimits { total_bytes: 1_000, ..MemoryLimits::default() };
    let mut replica = Replica::new(NodeId([1; 32]), limits);
    let mut write = |key: &[u8], value: Option<usize>| {
        let record = replica.prepare(key, value.map(|len| vec![7; len]), 1_000)?;
        assert!(replica.commit(record));
        let there: usize = replica.records().map(|r| r.key.len() + r.value.map_or(0, |value| value.len())).sum();
        assert_eq!(replica.bytes(), there as u64);
        Ok::<_, SwarmError>(there)
    };
    for _ in 0..5 {
        assert_eq!(write(b"a", Some(900)).unwrap(), 901, "it replaces itself");
    }
    assert!(matches!(write(b"b", Some(99)), Err(SwarmError::Full { held: 901, limit: 1_000 })));
    assert_eq!(write(b"b", Some(98)).unwrap(), 1_000);
    assert_eq!(write(b"a", None).unwrap(), 100);
    assert_eq!(write(b"c", Some(899)).unwrap(), 1_000);
}

/// Turns two memories into one; how many requests that took, and the longest message. Nobody is told anything by rumour.
fn compare(a: &mut Replica, b: &mut Replica) -> (usize, usize) {
    let ids = [NodeId([1; 32]), NodeId([2; 32])];
    let (_, mut x) = node(1);
    let (_, mut y) = node(2);
    let (mut requests, mut longest) = (0, 0);
    let mut out = Some(x.greet(a, ids[1]));
    while let Some(asked) = out.take() {
        requests += 1;
        assert!(requests < 10_000, "no end");
        longest = longest.max(asked.message.encode().len());
        let (answer, _) = y.answer(b, ids[0], asked.message).unwrap();
        longest = longest.max(answer.encode().len());
        out = x.heard(a, ids[1], asked.ticket, answer).1;
    }
    (requests, longest)
}

fn some_record(i: u64, key: usize, value: Option<usize>, node: u8) -> Record {
    let mut name = format!("{i:08}").into_bytes();
    name.resize(key, b'k');
    let stamp = Stamp { ms: 1_700_000_000_000 + i, count: u32::MAX - 9, node: NodeId([node; 32]) };
    Record { key: name, stamp, value: value.map(|len| vec![i as u8; len]) }
}

/// The longest keys and values that there may be, very many short ones, nothing but deletions, both sides with what the other lacks:
/// they become equal in one walk, and no message is longer than a payload.
#[test]
fn no_message_is_too_long_whatever_there_is() {
    let largest = MemoryLimits::MOST;
    for (name, count, key, value) in [
        ("long keys", 6_000, largest.key_bytes, Some(1)),
        ("large values", 12, largest.key_bytes, Some(largest.value_bytes)),
        ("short ones", 60_000, 8, Some(0)),
        ("deletions", 30_000, 200, None),
    ] {
        for shared in [0, count / 2] {
            let (mut a, _) = node(1);
            let (mut b, _) = node(2);
            for i in 0..count {
                let record = some_record(i, key, value, (i % 200) as u8);
                if i < shared || i % 3 == 0 {
                    assert!(a.apply(record.clone()));
                }
                if i < shared || i % 3 != 0 {
                    assert!(b.apply(record));
                }
            }
            let (requests, longest) = compare(&mut a, &mut b);
            eprintln!("{name}: {count}, {shared} shared, {requests} requests, the longest message has {longest} bytes");
            assert!(longest <= MOST_BYTES, "{name}: {longest}");
            assert!(a.same_records(&b), "{name}");
            assert_eq!(a.len() + a.tombstone_count(), count as usize, "{name}");
            compare(&mut b, &mut a); // what each has seen, the other one knows now
            let (requests, longest) = compare(&mut a, &mut b);
            assert!(requests == 1 && longest < 100, "{name}: {requests} requests, {longest} bytes between equals");
        }
    }
}

/// Rumours of very many writes, and of large ones that are then asked for, come in messages of a payload each, and all of them arrive.
#[test]
fn rumours_and_what_is_asked_for_come_in_pages() {
    for (name, count, value) in [("small", 9_000, 256), ("large", 24, 500_000)] {
        let (mut ours, mut gossip) = node(1);
        let (mut theirs, mut their_gossip) = node(2);
        let (us, peer) = (NodeId([1; 32]), NodeId([2; 32]));
        for i in 0..count {
            let record = some_record(i, 300, Some(value), 1);
            assert!(ours.apply(record.clone()));
            gossip.wrote(&record);
        }
        let (mut longest, mut greetings) = (0, 0);
        while gossip.has_rumours() {
            greetings += 1;
            assert!(greetings < 200, "{name}: {} of {count} arrived", theirs.len());
            let mut out = Some(gossip.greet(&ours, peer));
            while let Some(asked) = out.take() {
                longest = longest.max(asked.message.encode().len());
                let (answer, _) = their_gossip.answer(&mut theirs, us, asked.message).unwrap();
                longest = longest.max(answer.encode().len());
                out = gossip.heard(&mut ours, peer, asked.ticket, answer).1;
            }
        }
        assert!(longest <= MOST_BYTES, "{name}: {longest}");
        assert!(longest > 400_000, "{name}: {longest} bytes are no test of a budget");
        compare(&mut ours, &mut theirs); // what did not fit is found by a walk
        assert!(theirs.same_records(&ours), "{name}: {} of {count}", theirs.len());
    }
}

/// However two memories differ, one walk makes both the newest of each key.
#[test]
fn a_walk_makes_both_the_newest_of_each_key() {
    let mut rng = Rng::new(3);
    for round in 0..60 {
        let (mut a, _) = node(1);
        let (mut b, _) = node(2);
        let (mut expected, _) = node(3);
        for i in 0..rng.below(400) {
            let value = (rng.below(3) > 0).then(|| rng.below(300) as usize);
            let mut record = some_record(rng.below(90), 8, value, rng.below(9) as u8);
            record.stamp.ms += rng.below(50);
            record.stamp.count = i as u32; // no two writes have one stamp
            let to = rng.below(3);
            if to != 0 {
                a.apply(record.clone());
            }
            if to != 1 {
                b.apply(record.clone());
            }
            expected.apply(record);
        }
        compare(&mut a, &mut b);
        assert!(a.same_records(&expected) && b.same_records(&expected), "round {round}");
        assert_eq!(a.tree(), b.tree());
        assert_eq!(a.bytes(), expected.bytes());
    }
}

/// Members with other limits for their own writes take what others wrote, and come to rest.
#[test]
fn members_with_different_limits_come_to_rest() {
    let (mut ours, _) = node(1);
    let mut small =
        Replica::new(NodeId([2; 32]), MemoryLimits { value_bytes: 64, key_bytes: 16, ..MemoryLimits::default() });
    assert!(matches!(small.prepare(b"key", Some(vec![0; 65]), 1), Err(SwarmError::ValueLen { len: 65, limit: 64 })));
    ours.apply(some_record(1, 30, Some(100), 1));
    let (requests, _) = compare(&mut small, &mut ours);
    assert!(requests < 10 && small.same_records(&ours), "{requests} requests");
}

/// A member that missed a write is given it, though there is never a quiet moment.
#[test]
fn what_was_missed_is_found_while_there_are_rumours() {
    let (mut ours, mut gossip) = node(1);
    let (mut theirs, mut their_gossip) = node(2);
    let (us, peer, silent) = (NodeId([1; 32]), NodeId([2; 32]), NodeId([3; 32]));
    gossip.set_view(vec![peer, silent], vec![us, peer, silent]);
    assert!(theirs.apply(some_record(1, 9, Some(9), 7)));
    let record = ours.prepare(b"busy", Some(vec![1]), 1).unwrap();
    assert!(ours.commit(record.clone()));
    gossip.wrote(&record); // the silent one is never told
    let mut exchanges = 0;
    while ours.len() < 2 {
        exchanges += 1;
        assert!(exchanges < 250 && gossip.has_rumours());
        let mut out = Some(gossip.greet(&ours, peer));
        while let Some(asked) = out.take() {
            let (answer, _) = their_gossip.answer(&mut theirs, us, asked.message).unwrap();
            out = gossip.heard(&mut ours, peer, asked.ticket, answer).1;
        }
    }
    assert!(exchanges > 150, "rumours come first: {exchanges}");
}

/// What is known of many writes takes no more room than of few, at those who never had anything to compare, too.
#[test]
fn a_busy_writer_does_not_make_greetings_longer() {
    let (mut ours, mut gossip) = node(1);
    let (mut theirs, mut their_gossip) = node(2);
    let (us, peer) = (NodeId([1; 32]), NodeId([2; 32]));
    let mut longest = 0;
    for i in 0..2_000_u32 {
        let record = ours.prepare(format!("{}", i % 50).as_bytes(), Some(vec![1]), 1_000 + u64::from(i)).unwrap();
        assert!(ours.commit(record.clone()));
        gossip.wrote(&record);
        for turn in 0..2 {
            let (a, x, b, y, from, to) = match turn {
                0 => (&mut ours, &mut gossip, &mut theirs, &mut their_gossip, us, peer),
                _ => (&mut theirs, &mut their_gossip, &mut ours, &mut gossip, peer, us),
            };
            let mut out = Some(x.greet(a, to));
            while let Some(asked) = out.take() {
                let (answer, _) = y.answer(b, from, asked.message).unwrap();
                longest = longest.max(answer.encode().len());
                out = x.heard(a, to, asked.ticket, answer).1;
            }
        }
    }
    assert!(ours.same_records(&theirs));
    assert!(longest < 1_500, "the longest answer has {longest} bytes");
}
