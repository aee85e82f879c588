//! Conversations of two memories, without swarm and network.

use mayfly_base::{NodeId, Rng};
use mayfly_swarm::Replica;
use mayfly_swarm::crdt::{MAX_STAMP_MS, Stamp};
use mayfly_swarm::memory::{Gossip, GossipConfig, MemoryLimits, Record};

/// A node of two: its memory and its gossip.
fn node(number: u8) -> (Replica, Gossip) {
    let (here, other) = (NodeId([number; 32]), NodeId([3 - number; 32]));
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
