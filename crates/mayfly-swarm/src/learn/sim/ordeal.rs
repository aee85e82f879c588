//! Runs through faults of all kinds.

use super::{Names, Sim, SimConfig};
use crate::learn::{Exchange, LearnerConfig};
use alloc::string::String;
use alloc::vec::Vec;
use mayfly_base::Rng;

/// What a run goes through.
#[derive(Clone, Debug, PartialEq)]
pub struct OrdealConfig {
    /// Decides everything.
    pub seed: u64,
    /// Most hosts.
    pub most_nodes: usize,
    /// Rounds.
    pub rounds: u64,
    /// Faults.
    pub faults: usize,
}

impl Default for OrdealConfig {
    fn default() -> Self {
        Self { seed: 1, most_nodes: 7, rounds: 30, faults: 25 }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordeal {
    /// Rounds that came to two things.
    pub conflicts: Vec<u64>,
    /// Promises and acceptances that were told and were not on the disk.
    pub broken: usize,
    /// Have all reached the end?
    pub is_over: bool,
    /// Do all have the same model?
    pub is_common: bool,
    /// Rounds of each.
    pub rounds: Vec<u64>,
    /// A name for all that happened.
    pub history: u64,
    /// Simulated milliseconds.
    pub ms: u64,
    /// What everyone has in its books, for whoever looks for a fault.
    pub books: Vec<String>,
}

/// A run of some hosts, with kills, restarts, cuts, slow hosts, lost messages and wrong suspicions, and then without.
pub fn ordeal(config: &OrdealConfig) -> Ordeal {
    let mut rng = Rng::stream(config.seed, 1);
    let nodes = 1 + rng.below(config.most_nodes.max(1) as u64) as usize;
    let exchange = if rng.below(2) == 0 { Exchange::All } else { Exchange::Leader };
    let learner = LearnerConfig { rounds: config.rounds, exchange, ..LearnerConfig::default() };
    let loss = if rng.below(2) == 0 { 0.0 } else { 0.3 * rng.uniform_f64() };
    let delay_ms = (1, 1 + rng.below(200));
    let train_ms = (50, 50 + rng.below(500));
    let newcomers = rng.below(1 + nodes as u64 / 2) as usize;
    let sim =
        SimConfig { nodes, newcomers, seed: config.seed, learner, loss, delay_ms, train_ms, ..SimConfig::default() };
    let mut sim = Sim::new(sim, Names);
    for _ in 0..config.faults {
        fault(&mut sim, nodes, &mut rng);
        let until = sim.now_ms() + rng.below(3_000);
        sim.run_until(until);
    }
    sim.spare();
    sim.part(|_| 0);
    for i in 0..nodes {
        sim.slow(i, 1);
        if !sim.hosts[i].is_up() {
            sim.start(i);
        }
    }
    let is_over = sim.run_to_end(600_000);
    let rounds = (0..nodes).map(|i| sim.round(i)).collect();
    let is_there = |i: &usize| !sim.hosts[*i].is_gone;
    let first = (0..nodes).find(is_there).and_then(|i| sim.state(i));
    let is_common = first.is_some() && (0..nodes).filter(is_there).all(|i| sim.state(i) == first);
    let (history, ms) = (sim.history(), sim.now_ms());
    let books = (0..nodes).map(|i| alloc::format!("{:#?}", sim.books(i))).collect();
    Ordeal { conflicts: sim.conflicts().to_vec(), broken: sim.broken(), is_over, is_common, rounds, history, ms, books }
}

fn fault(sim: &mut Sim<Names>, nodes: usize, rng: &mut Rng) {
    let host = rng.below(nodes as u64) as usize;
    match rng.below(9) {
        0 if sim.hosts[host].is_up() => sim.kill(host),
        1 if sim.hosts[host].is_up() => sim.lose_power(host),
        0..=2 if !sim.hosts[host].is_up() => sim.start(host),
        2 => {
            // Whoever leads.
            if let Some(leader) = sim.leader(host).filter(|leader| sim.hosts[*leader].is_up()) {
                sim.kill(leader);
            }
        }
        3 => {
            let sides = rng.next_u64();
            sim.part(|i| (sides >> (i % 64) & 1) as u8);
        }
        4 => sim.part(|_| 0),
        5 => sim.slow(host, 1 + rng.below(20)),
        6 => {
            let of = rng.below(nodes as u64) as usize;
            sim.suspect(host, of);
        }
        7 => {
            // Not all of them.
            let others = (0..nodes).filter(|i| *i != host && !sim.hosts[*i].leaves).count();
            if others > 0 && rng.below(2) == 0 {
                sim.leave(host);
            }
        }
        _ => {
            // All at once.
            let with_power = rng.below(2) == 0;
            for i in 0..nodes {
                if sim.hosts[i].is_up() {
                    if with_power { sim.kill(i) } else { sim.lose_power(i) }
                }
                sim.start(i);
            }
        }
    }
}
