//! A node over a transport: the state machine turned by tokio.

mod node_loop;
mod trust;

use crate::disk::{Batch, Disk, Loaded};
use crate::membership::{Member, Metadata};
use crate::memory::{MemoryLimits, Record};
use crate::topology::View;
use crate::{Node, NodeConfig, Now, Replica, Result, SwarmError, Topology, Traffic};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_base::{NodeId, Rng};
use mayfly_wire::{LinkStats, Peer, Transport, TrustStore};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, broadcast, watch};

/// What a node is started with.
pub struct RuntimeConfig {
    /// How it behaves.
    pub node: NodeConfig,
    /// Who talks to whom.
    pub topology: Arc<dyn Topology>,
    /// What the memory may hold.
    pub limits: MemoryLimits,
    /// Decides the random choices of this node; unlike at every other one.
    pub seed: u64,
    /// The trust list to keep equal among members, if the transport has one.
    pub trust: Option<Arc<TrustStore>>,
    /// Where the others reach this node, if that is not where it listens.
    pub advertise: Option<std::net::SocketAddr>,
}

/// A change of the memory that took effect here.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The key.
    pub key: Vec<u8>,
    /// The value, or nothing when it was deleted.
    pub value: Option<Vec<u8>>,
    /// When this node learned of it, milliseconds since 1970.
    pub at_ms: u64,
    /// When it was written, by the writer's clock.
    pub written_ms: u64,
    /// Who wrote it.
    pub by: NodeId,
}

/// What a [`Watcher`] sees.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Watched {
    /// A change.
    Changed(Changed),
    /// So many changes, of keys with this prefix or another, went by while nobody read. What the keys are now, [`Runtime::scan`] says.
    Missed(u64),
}

/// Changes as they take effect, from [`Runtime::watch`].
pub struct Watcher {
    changes: broadcast::Receiver<Changed>,
    prefix: Vec<u8>,
}

impl Watcher {
    /// The next change, or how many were missed; nothing when the node is gone. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> Option<Watched> {
        loop {
            match self.changes.recv().await {
                Ok(change) if change.key.starts_with(&self.prefix) => return Some(Watched::Changed(change)),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(count)) => return Some(Watched::Missed(count)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// How a node does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Status {
    /// Its name.
    pub id: NodeId,
    /// Where it listens.
    pub addr: std::net::SocketAddr,
    /// The policy's name.
    pub topology: String,
    /// With whom it talks.
    pub neighbours: Vec<NodeId>,
    /// The others.
    pub members: Vec<Member>,
    /// Keys with a value.
    pub keys: usize,
    /// Tombstones.
    pub tombstones: usize,
    /// Keys and values in bytes.
    pub memory_bytes: u64,
    /// The hash of the memory: equal where memories are equal.
    pub root: String,
    /// Milliseconds since it started.
    pub up_ms: u64,
}

struct Shared<T> {
    transport: T,
    node: Mutex<Node>,
    disk: Disk,
    trust: Option<Arc<TrustStore>>,
    /// Held while the list is made equal to somebody's: one at a time is enough.
    trust_turn: tokio::sync::Mutex<()>,
    /// Whose list is asked for next, and which one it has.
    trust_waiting: Mutex<BTreeMap<NodeId, [u8; 32]>>,
    started: Instant,
    changes: broadcast::Sender<Changed>,
    due: Notify,
    /// Who is there is to be noted on disk.
    members_changed: Notify,
    stop: watch::Sender<Option<Stop>>,
}

/// Why a node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// It was told to.
    Asked,
    /// The same identity started later elsewhere.
    Superseded(std::net::SocketAddr),
}

/// A running node. Clones are the same node.
pub struct Runtime<T>(Arc<Shared<T>>);

impl<T> Clone for Runtime<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Transport> Runtime<T> {
    /// Starts a node with what its disk had. It knocks at `seeds` and at the members that the disk remembers.
    ///
    /// # Errors
    /// [`SwarmError::Option`] for a configuration that makes no sense, [`SwarmError::Disk`] when the start cannot be kept.
    pub async fn start(
        transport: T,
        disk: Disk,
        loaded: Loaded,
        seeds: &[Peer],
        config: RuntimeConfig,
    ) -> Result<Self> {
        let here = Peer { id: transport.id(), addr: config.advertise.unwrap_or_else(|| transport.addr()) };
        let replica = Replica::load(here.id, config.limits, loaded.clock, loaded.context, loaded.records);
        let started = Instant::now();
        let rng = Rng::new(config.seed);
        let mut node = Node::new(here, replica, config.topology, config.node, rng, now_since(started))?;
        // The generation is on disk before anybody hears of it, and whom to call, should this process be killed at once.
        let seeds: Vec<Peer> = loaded.peers.iter().chain(seeds).copied().collect(); // what was said now counts
        let outputs = node.join(&seeds, now_since(started));
        disk.commit(Batch { clock: node.clock(), peers: Some(node.contacts()), ..Batch::default() }).await?;
        let (changes, stop) = (broadcast::Sender::new(4096), watch::Sender::new(None));
        let (node, due, trust) = (Mutex::new(node), Notify::new(), config.trust);
        let members_changed = Notify::new();
        let runtime = Self(Arc::new(Shared {
            transport,
            node,
            disk,
            trust,
            trust_turn: Default::default(),
            trust_waiting: Default::default(),
            started,
            changes,
            due,
            members_changed,
            stop,
        }));
        runtime.perform(|_, _| outputs);
        runtime.spawn_loops();
        Ok(runtime)
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.0.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        now_since(self.0.started)
    }

    /// Writes a value; it is on this node's disk when this returns.
    ///
    /// # Errors
    /// [`SwarmError::KeyLen`], [`SwarmError::ValueLen`], [`SwarmError::Full`], [`SwarmError::NoLaterStamp`], [`SwarmError::Disk`]: then nothing was written.
    pub async fn write(&self, key: &[u8], value: Vec<u8>) -> Result<()> {
        self.put(key, Some(value)).await
    }

    /// Deletes a key; that is on this node's disk when this returns.
    ///
    /// # Errors
    /// Those of [`Runtime::write`].
    pub async fn delete(&self, key: &[u8]) -> Result<()> {
        self.put(key, None).await
    }

    async fn put(&self, key: &[u8], value: Option<Vec<u8>>) -> Result<()> {
        if self.0.stop.borrow().is_some() {
            return Err(SwarmError::Stopped);
        }
        let record = {
            let mut node = self.node();
            let (record, seen) = node.prepare(key, value, self.now())?;
            if let Some(seen) = seen {
                self.0.disk.owe(Batch { changes: [seen].into(), clock: node.clock(), peers: None });
            }
            record
        };
        let changes = [crate::memory::Change::Put(record.clone())].into();
        if let Err(error) = self.0.disk.commit(Batch { changes, clock: record.stamp, peers: None }).await {
            self.node().refused(&record);
            return Err(error);
        }
        let is_new = self.node().committed(record.clone(), self.now());
        if is_new {
            self.announce(record);
        }
        self.0.due.notify_one();
        Ok(())
    }

    fn announce(&self, record: Record) {
        let Record { key, stamp, value } = record;
        let at_ms = self.now().wall_ms;
        let changed = Changed { key, value, at_ms, written_ms: stamp.ms, by: stamp.node };
        let _ = self.0.changes.send(changed); // nobody may be watching
    }

    /// The value of a key as this node has it.
    pub fn read(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.node().replica().read(key).map(<[u8]>::to_vec)
    }

    /// Keys that start with `prefix`, with their values, in order; at most `limit`.
    pub fn scan(&self, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let node = self.node();
        node.replica().scan(prefix).take(limit).map(|(key, value, _)| (key.to_vec(), value.to_vec())).collect()
    }

    /// Keys that start with `prefix` and have a value, in order, behind `after` if that is given; at most `limit`. The last one is the next page's `after`.
    pub fn keys(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
        let node = self.node();
        node.replica().scan_after(prefix, after).take(limit).map(|(key, ..)| key.to_vec()).collect()
    }

    /// Every change from now on of keys that start with `prefix`. Whoever is 4,096 changes of any keys behind loses the oldest, and is told so.
    pub fn watch(&self, prefix: &[u8]) -> Watcher {
        Watcher { changes: self.0.changes.subscribe(), prefix: prefix.to_vec() }
    }

    /// Changes what the others are told about this node.
    pub fn describe(&self, metadata: Metadata) {
        let now = self.now();
        self.node().describe(metadata, now);
    }

    /// Knocks at one more, and goes on as long as nobody is there.
    pub fn meet(&self, peer: Peer) {
        self.perform(|node, now| node.meet(peer, now));
    }

    /// Drops a member whose key was shut out.
    pub fn forget(&self, id: NodeId) {
        let now = self.now();
        self.node().forget(id, now);
    }

    /// How the node does.
    pub fn status(&self) -> Status {
        let node = self.node();
        let (here, replica) = (node.here(), node.replica());
        Status {
            id: here.id,
            addr: here.addr,
            topology: node.topology().into(),
            neighbours: node.neighbours(),
            members: node.members().collect(),
            keys: replica.len(),
            tombstones: replica.tombstone_count(),
            memory_bytes: replica.bytes(),
            root: alloc::format!("{:032x}", replica.tree().root()),
            up_ms: self.0.started.elapsed().as_millis() as u64,
        }
    }

    /// What topologies see.
    pub fn view(&self) -> View {
        self.node().view().clone()
    }

    /// What went through, before compression and headers.
    pub fn traffic(&self) -> Traffic {
        self.node().traffic()
    }

    /// How the links do.
    pub fn links(&self) -> Vec<LinkStats> {
        self.0.transport.links()
    }

    /// The transport underneath.
    pub fn transport(&self) -> &T {
        &self.0.transport
    }

    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.0.stop.subscribe();
        let why = stop.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        why.unwrap_or(Stop::Asked)
    }

    /// Says goodbye, flushes the disk, closes the links.
    ///
    /// # Errors
    /// [`SwarmError::Disk`] when something that other members wrote could not be kept.
    pub async fn leave(&self) -> Result<()> {
        let peers = self.node().view().members.len();
        self.perform(|node, now| node.leave(now));
        if peers > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await; // the goodbyes are packets on their way
        }
        self.finish(Stop::Asked).await
    }

    async fn finish(&self, why: Stop) -> Result<()> {
        self.0.stop.send_if_modified(|stop| stop.is_none().then(|| *stop = Some(why)).is_some());
        self.0.transport.close().await;
        self.0.disk.close().await
    }
}

fn now_since(started: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { steady_ms: started.elapsed().as_millis() as u64, wall_ms: wall.as_millis() as u64 }
}
