//! Entry points for fuzzing: each takes any bytes as one thing that a member can send or a disk can hold, and checks what must hold of what was accepted.
//! They say whether it was accepted. The targets in `fuzz/` call them, and so does a seeded loop in the normal tests. Not part of the public interface.

use crate::crdt::{AverageTensor, Crdt, LwwTensor};
use crate::memory::{Context, MemoryLimits, Message};
use crate::{Node, NodeConfig, Now, Output, Replica, topology};
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng};
use mayfly_wire::Peer;

/// Every parser with its entry point.
pub const ALL: [(&str, fn(&[u8]) -> bool); 4] =
    [("message", message), ("packet", packet), ("tensor", tensor), ("stored_record", stored_record)];

/// The nodes that entry points talk to: the first is told, the second speaks.
pub fn peer(number: u8) -> Peer {
    Peer { id: NodeId([number; 32]), addr: ([10, 0, 0, number], 7000).into() }
}

/// A node with a record, that knows nobody yet.
///
/// # Errors
/// Those of [`Node::new`].
pub fn node(number: u8) -> crate::Result<Node> {
    let now = Now { steady_ms: 1, wall_ms: 1_000 };
    let replica = Replica::new(peer(number).id, MemoryLimits::default());
    let topology = Arc::from(topology::by_name("mesh")?);
    let mut node = Node::new(peer(number), replica, topology, NodeConfig::default(), Rng::new(1), now)?;
    let (record, _) = node.prepare(b"key", Some(b"value".into()), now)?;
    node.committed(record, now);
    Ok(node)
}

/// A message about the memory, as a question and as the answer to one: read as it was written, and a memory that stays whole.
pub fn message(bytes: &[u8]) -> bool {
    let Ok(mut node) = node(1) else { return false };
    let now = Now { steady_ms: 50, wall_ms: 2_000 };
    node.request(peer(2).id, bytes, now);
    // The other becomes a member, so that there is somebody to ask.
    if let Ok(mut other) = self::node(2) {
        introduce(&mut node, &mut other, now);
    }
    let later = Now { steady_ms: 2_000, wall_ms: 4_000 };
    for output in node.tick(later) {
        if let Output::Request { token, .. } = output {
            node.answer(token, Some(bytes), later);
        }
    }
    let again =
        Replica::load(peer(1).id, MemoryLimits::default(), node.clock(), Context::default(), node.replica().records());
    assert!(again.same_records(node.replica()) && again.tree() == node.replica().tree());
    let Ok(message) = Message::decode(bytes) else { return false };
    assert!(Message::decode(&message.encode()).is_ok_and(|again| again == message));
    true
}

/// Carries packets to and fro until both are silent.
fn introduce(a: &mut Node, b: &mut Node, now: Now) {
    let mut to_a: Vec<Vec<u8>> = packets(b.join(&[a.here()], now)).collect();
    for _ in 0..8 {
        let to_b: Vec<Vec<u8>> = to_a.drain(..).flat_map(|bytes| packets(a.datagram(&bytes, now))).collect();
        to_a = to_b.into_iter().flat_map(|bytes| packets(b.datagram(&bytes, now))).collect();
    }
}

fn packets(outputs: Vec<Output>) -> impl Iterator<Item = Vec<u8>> {
    outputs.into_iter().filter_map(|output| match output {
        Output::Datagram { payload, .. } => Some(payload),
        _ => None,
    })
}

/// A packet of membership: the node goes on.
pub fn packet(bytes: &[u8]) -> bool {
    let Ok(mut node) = node(1) else { return false };
    node.datagram(bytes, Now { steady_ms: 50, wall_ms: 2_000 });
    node.tick(Now { steady_ms: 5_000, wall_ms: 7_000 });
    node.traffic().refused == 0
}

/// Tensors: what is accepted merges, and merging twice changes nothing.
pub fn tensor(bytes: &[u8]) -> bool {
    let average = postcard::from_bytes::<AverageTensor>(bytes).is_ok();
    let Ok(tensor) = postcard::from_bytes::<LwwTensor>(bytes) else { return average };
    let mut merged = tensor.clone();
    assert!(!merged.merge(&tensor) && merged == tensor);
    if let Ok(mut whole) = LwwTensor::new(tensor.len().min(1 << 16), 1) {
        whole.merge(&tensor);
        assert!(!whole.merge(&tensor));
    }
    true
}

/// A record as the disk has it, under the key `key`.
pub fn stored_record(bytes: &[u8]) -> bool {
    crate::disk::decode(b"key", bytes).is_some()
}

/// What the disk has of a record.
pub fn to_stored(record: &crate::memory::Record) -> Vec<u8> {
    crate::disk::seal(record)
}
