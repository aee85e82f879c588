//! Nodes that train real networks, in one process: what the simulator of `mayfly_swarm` turns.

use crate::state::ModelState;
use crate::{Combine, LearnError, Local, Pace, Result, Run};
use mayfly_base::NodeId;
use mayfly_nn::{InMemory, Network};
use mayfly_swarm::learn::Digest;
use mayfly_swarm::learn::sim::{Unfit, Work};

/// The work of all nodes of a simulated run.
pub struct Simulated {
    run: Run,
    first: Vec<u8>,
    nodes: Vec<SimulatedNode>,
    combine: Combine,
    /// Combinations that were made already: in a process every node makes each, to the same bits.
    made: Option<(Digest, Vec<u8>)>,
}

struct SimulatedNode {
    local: Local,
    /// Its last work: a node that is started again sends the same.
    last: Option<(u64, Digest, Vec<u8>)>,
}

impl Simulated {
    /// Nodes with these rows, and a run that begins with this network.
    ///
    /// # Errors
    /// Rows that do not fit the network, and settings that make no sense.
    pub fn new(run: &Run, network: &Network, shards: Vec<InMemory>) -> Result<Self> {
        let node = |rows: InMemory| Ok(SimulatedNode { local: Local::new(run, rows)?, last: None });
        let nodes = shards.into_iter().map(node).collect::<Result<_>>()?;
        let first = run.first_state(network).to_bytes();
        Ok(Self { combine: Combine::new(run)?, run: run.clone(), first, nodes, made: None })
    }

    /// A state's parameters.
    ///
    /// # Errors
    /// Bytes that are no state of this run.
    pub fn params(&self, state: &[u8]) -> Result<Vec<f32>> {
        Ok(self.read(state)?.params().to_vec())
    }

    /// How many steps nodes take from a state, where that is a part of it.
    pub fn pace(&self, state: &[u8]) -> Option<Pace> {
        self.read(state).ok()?.pace().cloned()
    }

    fn read(&self, state: &[u8]) -> Result<ModelState> {
        ModelState::from_bytes(state, &self.run.mover(), self.combine.parameters())
    }

    fn body(&mut self, host: usize, state: &[u8]) -> Result<Vec<u8>> {
        let is_alone = self.nodes.len() == 1;
        let state = self.read(state)?;
        let worked = self.nodes[host].local.work(&state, is_alone, &|| true)?;
        Ok(worked.map(|worked| worked.body.to_bytes()).unwrap_or_default())
    }
}

impl Work for Simulated {
    fn first(&mut self) -> Vec<u8> {
        self.first.clone()
    }

    fn rows(&self, host: usize) -> u64 {
        self.nodes[host].local.rows()
    }

    /// A work that fails gives a body that nobody can use.
    fn train(&mut self, host: usize, round: u64, state: &[u8]) -> Vec<u8> {
        let parent = Digest::of(state);
        if let Some((last, of, body)) = &self.nodes[host].last
            && (*last, *of) == (round, parent)
        {
            return body.clone();
        }
        let body = self.body(host, state).unwrap_or_default();
        self.nodes[host].last = Some((round, parent, body.clone()));
        body
    }

    fn combine(
        &mut self,
        state: &[u8],
        bodies: &[Vec<u8>],
        shares: &[(NodeId, f64)],
    ) -> core::result::Result<Vec<u8>, Unfit> {
        let parts = [state].into_iter().chain(bodies.iter().map(Vec::as_slice));
        let shares_bytes: Vec<u8> =
            shares.iter().flat_map(|(node, share)| [&node.0[..], &share.to_le_bytes()].concat()).collect();
        let names: Vec<u8> = parts.chain([&shares_bytes[..]]).flat_map(|part| Digest::of(part).0).collect();
        let name = Digest::of(&names);
        if let Some((known, next)) = &self.made
            && *known == name
        {
            return Ok(next.clone());
        }
        let state = self.read(state).map_err(|_| Unfit(0))?;
        let combined = self.combine.combine(&state, shares, &mut |i| Ok(bodies[i].clone()));
        let unfit = |error| match error {
            LearnError::Contribution { place, .. } => Unfit(place),
            _ => Unfit(0),
        };
        let next = combined.map_err(unfit)?.state.to_bytes();
        self.made = Some((name, next.clone()));
        Ok(next)
    }

    fn train_ms(&self, state: &[u8], usual: u64) -> u64 {
        match self.pace(state) {
            Some(pace) => (usual * pace.steps / self.run.local_steps).max(1),
            None => usual,
        }
    }

    fn is_last(&self, state: &[u8]) -> bool {
        self.read(state).is_ok_and(|state| state.is_last(&self.run.mover()))
    }
}
