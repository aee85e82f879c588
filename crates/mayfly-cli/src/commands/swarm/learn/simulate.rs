//! `mayfly swarm learn DATA --simulate N`: the same core and the same trainer, in simulated time.

use super::ask::Found;
use super::prepare::{Prepared, words};
use super::rows::part;
use crate::support::ui::Ui;
use anyhow::{Result, bail};
use mayfly_learn::{Progress, Simulated};
use mayfly_nn::Network;
use mayfly_swarm::learn::Digest;
use mayfly_swarm::learn::sim::{Sim, SimConfig};

/// An assumption, not a measurement: what a core of the simulated machines does in a millisecond, in products and sums of `f32`.
const FLOPS_PER_MS: u64 = 4_000_000;
/// Products and sums of a step for each row and parameter: forward, and twice backward.
const FLOPS: u64 = 6;
/// A run that takes longer hangs: ten days.
const LONGEST_MS: u64 = 864_000_000;

/// What came of a simulation.
pub struct Came {
    pub progress: Vec<Progress>,
    pub network: Network,
    /// A name for all that happened.
    pub history: u64,
}

pub fn simulate(prepared: &Prepared, found: &Found, parts: &[Vec<usize>], seed: u64, ui: Ui) -> Result<Came> {
    let run = found.run(&prepared.parts.plan.network, prepared.parts.plan.encoder.clone());
    let shards: Vec<_> = parts.iter().map(|rows| part(&prepared.parts.training, rows)).collect::<Result<_>>()?;
    let rows: Vec<u64> = shards.iter().map(|shard| shard.len() as u64).collect();
    let nodes = shards.len();
    ui.note(format!("{nodes} simulated nodes; {} …", words(found)));
    let work = Simulated::new(&run, &prepared.parts.plan.network, shards)?;
    let parameters = prepared.parts.plan.network.params().len() as u64;
    let train = (found.how.local_steps() * prepared.batch() as u64 * parameters * FLOPS / FLOPS_PER_MS).max(1);
    let learner = run.learner_config(Digest::of(&run.to_bytes()?));
    let config = SimConfig { nodes, seed, learner, train_ms: (train, train + train / 5), ..SimConfig::default() };
    let mut sim = Sim::new(config, work);
    if !sim.run_to_end(LONGEST_MS) {
        bail!("it does not come to an end after round {}", sim.round(0));
    }
    let state = sim.state(0).unwrap_or_default();
    let network = Network::from_parts(run.network.clone(), &sim.work().params(state)?, None)?;
    let seconds = sim.now_ms() as f64 / 1e3;
    let pace = sim.work().pace(state);
    let rounds_of_work = pace.as_ref().map_or(sim.round(0) as f64, |pace| pace.done as f64 / run.local_steps as f64);
    let progress = |i: usize| Progress {
        steps: pace.as_ref().map_or(0, |pace| pace.done),
        drift: pace.as_ref().and_then(|pace| pace.drift),
        round: sim.round(i),
        rows: rows[i],
        state: sim.state(i).map(|state| Digest::of(state).to_string()).unwrap_or_default(),
        is_over: true,
        seconds,
        train_ms: (train + train / 10) as f64 * rounds_of_work,
        bytes_sent: if i == 0 { sim.bytes() } else { 0 },
        ..Progress::default()
    };
    Ok(Came { progress: (0..nodes).map(progress).collect(), network, history: sim.history() })
}
