//! Plans that many instances share, and the wiped bodies that wait for their next life.
use crate::body::Body;
use crate::error::Result;
use mayfly_graph::{Graph, Op, Plan, PlanOptions, Precision};
use mayfly_nn::{Mode, Network};
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of a plan: BLAKE3 of everything that it is made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanKey(pub [u8; 32]);

impl fmt::Display for PlanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanKey({self})")
    }
}

/// Hashes what is written to it.
struct Hashed(blake3::Hasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The name of the plan of a graph; none for one with operations of the user's own, whose code has no hash.
fn key_of(graph: &Graph, options: &PlanOptions) -> Option<PlanKey> {
    if graph.nodes().iter().any(|node| matches!(node.op, Op::Custom(_) | Op::CustomBwd(_))) {
        return None;
    }
    let mut hashed = Hashed(blake3::Hasher::new_derive_key("mayfly plan 1"));
    // Writing into a hash does not fail.
    let _ = write!(hashed, "{} {:?} {} {};", options.batch, options.precision, options.isa.name(), options.arena_limit);
    for node in graph.nodes() {
        let _ = write!(hashed, "{:?} {:?} {:?};", node.op, node.inputs, node.shape);
    }
    let _ = write!(hashed, "{:?} {:?} {:?}", graph.params(), graph.inputs(), graph.outputs());
    Some(PlanKey(*hashed.0.finalize().as_bytes()))
}

/// A plan with the bodies that were made for it.
pub(crate) struct Kit {
    pub(crate) key: PlanKey,
    pub(crate) plan: Arc<Plan>,
    pub(crate) slot_bytes: usize,
    pub(crate) input_len: usize,
    pub(crate) output_len: usize,
    waiting: Mutex<Waiting>,
}

/// Bodies between two lives.
#[derive(Default)]
struct Waiting {
    bodies: Vec<Body>,
    /// Bodies that exist, waiting or not.
    made: usize,
}

impl Kit {
    fn new(key: PlanKey, plan: Arc<Plan>, network: &Network, batch: usize) -> Kit {
        let slot_bytes = Body::slot_bytes(&plan);
        let (input_len, output_len) = (network.input_len() * batch, network.output_len() * batch);
        Kit { key, plan, slot_bytes, input_len, output_len, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A body that waits, all zeros.
    pub(crate) fn take(&self) -> Option<Body> {
        self.waiting().bodies.pop()
    }

    /// Says that there is one body more, so that giving it back allocates nothing.
    pub(crate) fn count_one(&self) {
        let mut waiting = self.waiting();
        waiting.made += 1;
        let room = waiting.made.saturating_sub(waiting.bodies.len());
        waiting.bodies.reserve(room);
    }

    /// Takes a wiped body back.
    pub(crate) fn give(&self, body: Body) {
        self.waiting().bodies.push(body);
    }

    /// Gives the slots of all bodies that wait back to their vault. Returns how many.
    pub(crate) fn release(&self) -> usize {
        let mut waiting = self.waiting();
        let bodies = std::mem::take(&mut waiting.bodies);
        waiting.made -= bodies.len();
        let room = waiting.made;
        waiting.bodies.reserve(room);
        bodies.len()
    }
}

/// Kits by key, the least recently used leave first.
pub(crate) struct PlanPool {
    limit_bytes: usize,
    kits: Mutex<Kits>,
}

#[derive(Default)]
struct Kits {
    by_key: HashMap<PlanKey, (u64, Arc<Kit>)>,
    uses: u64,
    bytes: usize,
}

impl PlanPool {
    pub(crate) fn new(limit_bytes: usize) -> PlanPool {
        PlanPool { limit_bytes, kits: Mutex::default() }
    }

    fn kits(&self) -> MutexGuard<'_, Kits> {
        self.kits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kit for a network, made where there is none.
    pub(crate) fn kit(&self, network: &Network, batch: usize, precision: Precision) -> Result<Arc<Kit>> {
        let graph = network.spec().lower(Mode::Inference)?.graph;
        let options = PlanOptions { precision, ..PlanOptions::batch(batch) };
        let Some(key) = key_of(&graph, &options) else {
            let plan = Plan::new(&graph, &options)?;
            return Ok(Arc::new(Kit::new(PlanKey([0; 32]), plan, network, batch)));
        };
        if let Some(kit) = self.kits().find(&key) {
            return Ok(kit);
        }
        let kit = Arc::new(Kit::new(key, Plan::new(&graph, &options)?, network, batch));
        Ok(self.kits().keep(kit, self.limit_bytes))
    }

    /// Plans in the pool, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let kits = self.kits();
        (kits.by_key.len(), kits.bytes)
    }

    /// Gives the slots of all bodies that wait back to the vault. Returns how many.
    pub(crate) fn release_waiting(&self) -> usize {
        self.kits().by_key.values().map(|(_, kit)| kit.release()).sum()
    }
}

impl Kits {
    fn find(&mut self, key: &PlanKey) -> Option<Arc<Kit>> {
        self.uses += 1;
        let (used, kit) = self.by_key.get_mut(key)?;
        *used = self.uses;
        Some(Arc::clone(kit))
    }

    /// Keeps a kit, or finds that somebody else did meanwhile.
    fn keep(&mut self, kit: Arc<Kit>, limit_bytes: usize) -> Arc<Kit> {
        if let Some(kit) = self.find(&kit.key) {
            return kit;
        }
        let bytes = kit.plan.bytes();
        while self.bytes + bytes > limit_bytes {
            let oldest = self.by_key.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            let Some((_, old)) = oldest.and_then(|key| self.by_key.remove(&key)) else { break };
            self.bytes -= old.plan.bytes();
        }
        self.bytes += bytes;
        self.by_key.insert(kit.key, (self.uses, Arc::clone(&kit)));
        kit
    }
}
