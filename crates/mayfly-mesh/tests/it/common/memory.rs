//! Members on the network in memory, with files and threads.

use mayfly_base::NodeId;
use mayfly_mesh::{Consensus, Engine, MeshError, Seat, Store, modules};
use mayfly_wire::{MemoryEndpoint, MemoryNet, Peer};
use std::path::Path;
use std::time::Duration;

pub type Member = Consensus<MemoryEndpoint>;

pub fn peer(place: u8) -> Peer {
    Peer { id: NodeId([place; 32]), addr: ([10, 0, 0, place], 1).into() }
}

pub fn seat(place: u8) -> Seat {
    Seat { peer: Some(peer(place)), name: format!("m{place}"), wants_vote: true, ..Seat::default() }
}

pub fn endpoint(net: &MemoryNet, place: u8) -> MemoryEndpoint {
    net.endpoint(peer(place).id, peer(place).addr)
}

pub fn voters(member: &Member) -> usize {
    member.members().iter().filter(|member| member.is_voter).count()
}

/// A member's store, once nobody has it open any more.
pub async fn opened(folder: &Path) -> Store {
    loop {
        match Store::open(folder, modules()) {
            Err(MeshError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            other => return other.expect("a store"),
        }
    }
}

pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1_500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 30 s: {what}");
}
