//! Real nodes in one process: threads that train, folders, messages and bodies over a network in memory.
#![allow(dead_code)]

use super::{adamw, config, network};
use mayfly_base::NodeId;
use mayfly_format::data::{Encoder, FitOptions, OpenOptions, open};
use mayfly_learn::{Directory, Hub, HubConfig, Mode, ModelState, Progress, Run, RunId, Shard};
use mayfly_nn::tabular::FileOptions;
use mayfly_nn::{InMemory, Network, NetworkSpec};
use mayfly_wire::{MemoryEndpoint, MemoryNet, Peer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Who is up, as tests say.
#[derive(Clone, Default)]
pub struct Up(Arc<Mutex<Vec<Peer>>>);

struct Seen {
    up: Up,
    me: NodeId,
}

impl Directory for Seen {
    fn peers(&self) -> Vec<Peer> {
        let all = self.up.0.lock().expect("not poisoned");
        all.iter().filter(|peer| peer.id != self.me).copied().collect()
    }
}

/// Some nodes, one table, a part of its rows for each.
pub struct World {
    pub net: MemoryNet,
    up: Up,
    pub folder: TempDir,
    table: PathBuf,
    pub encoder: Encoder,
    pub rows: InMemory,
    nodes: usize,
}

pub fn peer(i: usize) -> Peer {
    Peer { id: NodeId([i as u8 + 1; 32]), addr: SocketAddr::from(([127, 0, 0, 1], 1000 + i as u16)) }
}

impl World {
    pub fn new(nodes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = super::rows(600, 1);
        let table = folder.path().join("rows.csv");
        let line = |row: usize| {
            let x = &rows.inputs()[row * super::INPUTS..(row + 1) * super::INPUTS];
            let class = if rows.targets()[row * 2] > 0.5 { "in" } else { "out" };
            format!("{},{},{},{},{class}\n", x[0], x[1], x[2], x[3])
        };
        let text: String = (0..rows.len()).map(line).collect();
        std::fs::write(&table, format!("a,b,c,d,class\n{text}")).expect("a table");
        let mut source = open(&table, &OpenOptions::default()).expect("a table");
        let encoder = Encoder::fit(source.as_mut(), &FitOptions::default()).expect("an encoder");
        Self { net: MemoryNet::new(1), up: Up::default(), folder, table, encoder, rows, nodes }
    }

    pub fn folder(&self, i: usize) -> PathBuf {
        self.folder.path().join(format!("node-{i}"))
    }

    pub fn start(&self, i: usize) -> Hub<MemoryEndpoint> {
        let peer = peer(i);
        let endpoint = self.net.endpoint(peer.id, peer.addr);
        let mut up = self.up.0.lock().expect("not poisoned");
        if !up.contains(&peer) {
            up.push(peer);
        }
        let directory = Arc::new(Seen { up: self.up.clone(), me: peer.id });
        Hub::start(endpoint, HubConfig { folder: self.folder(i), directory })
    }

    /// As if its process were killed: nothing more is done, and nothing is said.
    pub fn kill(&self, i: usize, hub: Hub<MemoryEndpoint>) {
        hub.stop();
        self.up.0.lock().expect("not poisoned").retain(|other| *other != peer(i));
        for other in (0..self.nodes).filter(|other| *other != i) {
            self.net.cut(peer(i).id, peer(other).id);
            self.net.heal(peer(i).id, peer(other).id);
        }
    }

    pub fn shard(&self, i: usize) -> Shard {
        let rows = (0..600).filter(|row| row % self.nodes as u64 == i as u64).collect();
        Shard { file: self.table.clone(), rows: Some(rows), reading: FileOptions::default() }
    }

    pub fn run(&self, mode: Mode, rounds: u64) -> (Run, ModelState) {
        let network = self.network();
        let mut run = Run::new("test", mode, rounds, &network, &config(adamw(), 20), self.encoder.clone());
        run.local_steps = if mode == Mode::Sync { 1 } else { 5 };
        let first = run.first_state(&network);
        (run, first)
    }

    pub fn network(&self) -> Network {
        let mut spec: NetworkSpec = network().spec().clone();
        spec.input = vec![self.encoder.input_width()];
        Network::new(spec, 1).expect("a network")
    }

    /// All start, the first founds, the others join.
    pub fn begin(&self, run: &Run, first: &ModelState) -> (RunId, Vec<Hub<MemoryEndpoint>>) {
        let hubs: Vec<_> = (0..self.nodes).map(|i| self.start(i)).collect();
        let id = hubs[0].found(run, first, self.shard(0), self.nodes).expect("a run");
        for (i, hub) in hubs.iter().enumerate().skip(1) {
            hub.join(id, self.shard(i)).expect("not there yet");
        }
        (id, hubs)
    }
}

/// For what takes a second or two.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn progress(hub: &Hub<MemoryEndpoint>) -> Progress {
    hub.progress().pop().unwrap_or_default()
}

pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn end(id: RunId, hubs: &[Hub<MemoryEndpoint>]) -> Vec<f32> {
    let begun = Instant::now();
    until("the end of the run", || {
        let all: Vec<Progress> = hubs.iter().map(progress).collect();
        assert!(begun.elapsed() < PATIENCE, "the end of the run: {all:#?}");
        let failed = all.iter().find_map(|progress| progress.error.clone());
        assert_eq!(failed, None);
        all.iter().all(|progress| progress.is_over)
    })
    .await;
    let states: Vec<ModelState> = hubs.iter().map(|hub| hub.state(id).expect("a state")).collect();
    assert!(states.iter().all(|state| state.digest() == states[0].digest()), "not the same everywhere");
    states[0].params().to_vec()
}
