//! A network in one process: UDP relays in front of the demo's nodes, which lose packets and cut paths.

use anyhow::Result;
use mayfly_base::Rng;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;

/// What all relays do.
pub struct Faults {
    loss: Mutex<f64>,
    rng: Mutex<Rng>,
    /// The group of each node, by the address it sends from; packets cross groups only when there are none.
    groups: Mutex<HashMap<SocketAddr, u8>>,
    bytes: AtomicU64,
}

impl Faults {
    pub fn new(loss: f64) -> Arc<Self> {
        let (rng, groups) = (Mutex::new(Rng::new(1)), Mutex::default());
        Arc::new(Self { loss: Mutex::new(loss), rng, groups, bytes: AtomicU64::new(0) })
    }

    /// Cuts: nodes reach those of their group only. Nothing heals.
    pub fn cut(&self, groups: HashMap<SocketAddr, u8>) {
        *self.groups.lock().unwrap_or_else(PoisonError::into_inner) = groups;
    }

    /// From now on, such a share of packets is lost.
    pub fn lose(&self, share: f64) {
        *self.loss.lock().unwrap_or_else(PoisonError::into_inner) = share;
    }

    /// Bytes of UDP payload sent by all nodes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn passes(&self, from: SocketAddr, to: SocketAddr, len: usize) -> bool {
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = groups.get(&from) != groups.get(&to);
        let loss = *self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        !is_cut && self.rng.lock().unwrap_or_else(PoisonError::into_inner).uniform_f64() >= loss
    }
}

/// A relay in front of a node that will listen at `node`; where others reach it.
pub async fn start(node: SocketAddr, faults: Arc<Faults>) -> Result<SocketAddr> {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let addr = front.local_addr()?;
    tokio::spawn(async move {
        let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            // An error here is an answer to a packet sent to somebody who is gone.
            let Ok((len, from)) = front.recv_from(&mut buffer).await else { continue };
            let Some(back) = back_of(&mut backs, &front, from, node, &faults).await else { continue };
            if faults.passes(from, node, len) {
                let _ = back.send_to(&buffer[..len], node).await; // lost, like any packet
            }
        }
    });
    Ok(addr)
}

/// The socket that speaks to the node for `from`; none if the machine has no socket left.
async fn back_of<'a>(
    backs: &'a mut HashMap<SocketAddr, Arc<UdpSocket>>,
    front: &Arc<UdpSocket>,
    from: SocketAddr,
    node: SocketAddr,
    faults: &Arc<Faults>,
) -> Option<&'a UdpSocket> {
    match backs.entry(from) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(entry) => {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.ok()?);
            tokio::spawn(carry_back(back.clone(), front.clone(), from, node, faults.clone()));
            Some(entry.insert(back))
        }
    }
}

async fn carry_back(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    to: SocketAddr,
    node: SocketAddr,
    faults: Arc<Faults>,
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok((len, from)) = back.recv_from(&mut buffer).await else { continue };
        if from == node && faults.passes(node, to, len) {
            let _ = front.send_to(&buffer[..len], to).await;
        }
    }
}
