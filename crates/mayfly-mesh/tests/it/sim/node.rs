//! A member in the simulator: its disk, its process, its place on the network.

use super::lessee::CLOCKS_DIFFER;
use super::net::{Endpoint, Net};
use super::runtime::{Gate, Rt, behind};
use crate::common::disk::Disk;
use mayfly_base::{NodeId, Rng};
use mayfly_mesh::{
    Arrival, Clock, Consensus, ConsensusConfig, DiskWork, MeshError, Owner, Pace, Seat, Store, Surroundings, Upkeep,
    UpkeepConfig,
};
use mayfly_wire::Peer;
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

pub type Engine = Consensus<Endpoint, Rt>;

/// The cluster of every simulation.
pub const CLUSTER: u64 = 7;

pub struct Node {
    pub member: u64,
    pub peer: Peer,
    pub disk: Disk,
    pub gate: Arc<Gate>,
    pub engine: Option<Engine>,
    /// Its disk was lost, with its id.
    pub is_wiped: bool,
    /// Somebody has asked for its removal.
    pub is_leaving: bool,
    /// By how much its clock is slow or fast, in a thousand.
    rate: i64,
    /// By how much somebody has set it, in milliseconds: nothing, but for a member that trusts the clock on the wall.
    pub set_ms: Arc<AtomicI64>,
}

/// What makes a member out of a store, so that a test can leave a guard out.
pub type Make = fn(Store) -> Store;

/// Virtual time, and no threads.
#[derive(Clone)]
struct Virtual;

impl Pace for Virtual {
    async fn pause(&self, time: Duration) -> bool {
        Rt::sleep(time).await;
        true
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(Rt::now_ns())
    }

    async fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<T, MeshError> + Send + 'static,
    ) -> Result<T, MeshError> {
        act()
    }
}

pub fn peer(place: u8) -> Peer {
    Peer { id: NodeId([place; 32]), addr: ([10, 0, 0, place], 1).into() }
}

pub fn seat(peer: Peer) -> Seat {
    Seat { peer: Some(peer), name: "node".into(), wants_vote: true, ..Seat::default() }
}

pub fn config() -> ConsensusConfig {
    ConsensusConfig { log_cut_every: 40, log_keep: 10, lease_checkpoint_ms: 2_000, ..ConsensusConfig::default() }
}

/// Runs something in the process behind a gate.
pub fn run_behind<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    gate: Arc<Gate>,
    task: F,
) -> impl Future<Output = Option<T>> + Send + use<T, F> {
    let (done, outcome) = oneshot::channel();
    let task = async move { drop(done.send(task.await)) };
    drop(SimRuntime::spawn(behind(Some(gate), task)));
    async move { outcome.await.ok() }
}

impl Node {
    pub fn new(member: u64, place: u8, rng: &mut Rng) -> Self {
        let rate = rng.below(2 * CLOCKS_DIFFER + 1) as i64 - CLOCKS_DIFFER as i64;
        let (disk, gate, set_ms) = (Disk::default(), Gate::new(), Arc::default());
        Self { member, peer: peer(place), disk, gate, engine: None, is_wiped: false, is_leaving: false, rate, set_ms }
    }

    fn clock(&self) -> Clock {
        let (rate, set_ms) = (self.rate, self.set_ms.clone());
        Clock::new(move || {
            let now = i128::from(Rt::now_ns()) * i128::from(1_000 + rate) / 1_000;
            let now = now + i128::from(set_ms.load(Ordering::Relaxed)) * 1_000_000;
            Duration::from_nanos(u64::try_from(now).unwrap_or(0))
        })
    }

    /// Starts its process on what its disk keeps. One without a disk asks the others to let it in anew; false when they do not yet.
    pub async fn start(&mut self, net: &Net, others: &[Peer], seed: u64, make: Make) -> Result<bool, MeshError> {
        self.gate = Gate::new();
        let mut endpoint = net.plug_in(self.peer);
        if self.is_wiped {
            let (seat, others) = (seat(self.peer), others.to_vec());
            let join = async move {
                let owner = Engine::join(&endpoint, &others, &seat, Arrival::Anew).await;
                (endpoint, owner)
            };
            let Ok(Some(joined)) = Rt::timeout(Duration::from_secs(1), self.run(join)).await else { return Ok(false) };
            let owner;
            (endpoint, owner) = joined;
            let Some(Owner { member, .. }) = owner? else { return Ok(false) };
            (self.member, self.is_wiped) = (member, false);
        }
        let owner = Owner { cluster: CLUSTER, member: self.member };
        let store = make(self.disk.store(owner)?);
        let rng = Mutex::new(Rng::new(seed));
        let pause = move || {
            let mut rng = rng.lock().expect("no panic");
            let slowest = if rng.below(50) == 0 { 200_000 } else { 2_000 };
            Duration::from_micros(100 + rng.below(slowest))
        };
        let seat = seat(self.peer);
        let surroundings = Surroundings { work: DiskWork::Between(Arc::new(pause)), clock: self.clock() };
        let start = async move { Engine::start(store, endpoint, seat, config(), surroundings).await };
        let started = self.run(start).await;
        let engine = started.expect("nobody killed it")?;
        let config = UpkeepConfig { compare_every: Duration::from_secs(1), ..UpkeepConfig::default() };
        let upkeep = Upkeep::new(engine.clone(), Virtual, config);
        drop(self.run(async move { upkeep.run().await })); // what its disk refuses, its writer meets, too
        self.engine = Some(engine);
        Ok(true)
    }

    /// Runs something in its process. None when that is killed.
    pub fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        task: F,
    ) -> impl Future<Output = Option<T>> + Send + use<T, F> {
        run_behind(self.gate.clone(), task)
    }

    /// Its process is gone; its disk becomes what is left.
    pub fn kill(&mut self, net: &Net, left: Disk) {
        self.disk.go_dark();
        self.gate.kill();
        net.unplug(self.peer.id);
        self.engine = None;
        self.disk = left;
    }

    /// Why its process ended by itself.
    pub async fn ended(&self) -> Option<MeshError> {
        use mayfly_mesh::Engine as _;
        let engine = self.engine.clone()?;
        Rt::timeout(Duration::ZERO, engine.ended()).await.ok()
    }
}
