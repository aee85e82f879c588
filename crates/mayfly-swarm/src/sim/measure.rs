//! What a swarm does, in numbers.

use super::{Sim, SimConfig};
use crate::{Result, SwarmError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use mayfly_base::Rng;
use serde::Serialize;

/// What [`measure`] saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimReport {
    /// Hosts.
    pub nodes: usize,
    /// The policy's name.
    pub topology: String,
    /// Share of datagrams lost.
    pub loss: f64,
    /// The seed.
    pub seed: u64,
    /// Milliseconds until all knew all.
    pub assemble_ms: u64,
    /// Gossip rounds until the slowest of the writes was everywhere.
    pub rounds_to_converge: u64,
    /// The middle of those.
    pub rounds_p50: u64,
    /// Milliseconds until a write was everywhere; 95 of 100 writes were faster.
    pub converge_ms_p95: u64,
    /// Bytes sent in the whole run.
    pub bytes: u64,
    /// Bytes that a write cost, SWIM and idle gossip of its time counted.
    pub bytes_per_write: u64,
    /// Members declared dead who were up and reachable.
    pub false_deaths: usize,
    /// Milliseconds until a member knew of a crash; 95 of 100 were faster.
    pub detect_ms_p95: u64,
    /// Milliseconds until every member knew of it.
    pub detect_ms_max: u64,
    /// Milliseconds from the end of a 30 s cut in two halves, both written to, until all were equal again.
    pub heal_ms: u64,
    /// Did all replicas end equal, byte for byte?
    pub replicas_equal: bool,
}

/// Writes measured.
const WRITES: usize = 20;
/// Simulated milliseconds that anything may take.
const LIMIT_MS: u64 = 600_000;

/// Assembles a swarm, writes, crashes a member, restarts it, cuts the network in two and heals it.
///
/// # Errors
/// [`SwarmError::Option`] for fewer than two nodes, an unknown topology, a loss outside 0 to 0.9.
pub fn measure(config: &SimConfig) -> Result<SimReport> {
    check(config)?;
    let mut sim = Sim::new(config.clone())?;
    let mut rng = Rng::stream(config.seed, 1);
    let assemble_ms = sim.run_until(50, LIMIT_MS, Sim::agrees_on_members).unwrap_or(LIMIT_MS);
    sim.run_for(5_000);
    let bytes_before = sim.bytes();
    let mut times = Vec::new();
    for i in 0..WRITES {
        let from = rng.below(config.nodes as u64) as usize;
        times.push(spread(&mut sim, from, format!("key-{i}").as_bytes())?);
    }
    let bytes_per_write = (sim.bytes() - bytes_before) / WRITES as u64;
    let victim = rng.below(config.nodes as u64) as usize;
    let detect = crash(&mut sim, victim);
    let false_deaths = sim.downs().iter().filter(|&&(.., who)| who != victim).count();
    sim.start(victim)?;
    sim.run_until(100, LIMIT_MS, Sim::agrees_on_members);
    let heal_ms = cut_and_heal(&mut sim, config.nodes)?;
    let interval = config.node.gossip.busy_interval_ms.max(1);
    times.sort_unstable();
    Ok(SimReport {
        nodes: config.nodes,
        topology: config.topology.clone(),
        loss: config.loss,
        seed: config.seed,
        assemble_ms,
        rounds_to_converge: percentile(&times, 100).div_ceil(interval),
        rounds_p50: percentile(&times, 50).div_ceil(interval),
        converge_ms_p95: percentile(&times, 95),
        bytes: sim.bytes(),
        bytes_per_write,
        false_deaths,
        detect_ms_p95: percentile(&detect, 95),
        detect_ms_max: percentile(&detect, 100),
        heal_ms,
        replicas_equal: sim.replicas_equal() && sim.disks_equal_memory(),
    })
}

fn check(config: &SimConfig) -> Result<()> {
    let option = |option, got: String, want| Err(SwarmError::Option { option, got, want });
    if !(2..=1024).contains(&config.nodes) {
        return option("nodes", format!("{}", config.nodes), "from 2 to 1,024");
    }
    if !(0.0..=0.9).contains(&config.loss) {
        return option("loss", format!("{}", config.loss), "a share from 0 to 0.9");
    }
    Ok(())
}

/// Writes a key and waits until it is everywhere; milliseconds.
fn spread(sim: &mut Sim, from: usize, key: &[u8]) -> Result<u64> {
    let stamp = sim.write(from, key, Some(b"as many bytes as a small setting has"))?;
    let has = |sim: &Sim| {
        let current = |node: &crate::Node| node.replica().record(key).is_some_and(|record| record.stamp >= stamp);
        sim.nodes().all(current)
    };
    let time = sim.run_until(1, LIMIT_MS, has).unwrap_or(LIMIT_MS);
    sim.run_for(1_000);
    Ok(time)
}

/// Kills a host; when each other one knew, sorted.
fn crash(sim: &mut Sim, victim: usize) -> Vec<u64> {
    let start = sim.now_ms();
    sim.crash(victim);
    sim.run_until(50, 60_000, Sim::agrees_on_members);
    let knew = sim.downs().iter().filter(|&&(at, _, who)| who == victim && at >= start).map(|&(at, ..)| at - start);
    let mut times: Vec<u64> = knew.collect();
    times.sort_unstable();
    times
}

fn cut_and_heal(sim: &mut Sim, nodes: usize) -> Result<u64> {
    sim.cut(|i| u8::from(i % 2 == 0));
    for i in 0..10 {
        sim.write(i % nodes, format!("half-{i}").as_bytes(), Some(b"written while cut"))?;
        sim.write(i % nodes, b"both", Some(format!("{i}").as_bytes()))?;
        sim.write((i + 1) % nodes, b"gone", None)?;
        sim.run_for(3_000);
    }
    sim.heal();
    let healed = sim.run_until(50, LIMIT_MS, |sim| sim.agrees_on_members() && sim.replicas_equal());
    Ok(healed.unwrap_or(LIMIT_MS))
}

/// Rounds until a write has reached everyone who is up and can be reached, after `failures` members crashed unnoticed at the same moment;
/// nothing when some were not reached within ten minutes.
///
/// # Errors
/// Those of [`measure`].
pub fn rounds_to_reach(config: &SimConfig, failures: usize) -> Result<Option<u64>> {
    check(config)?;
    let mut sim = Sim::new(config.clone())?;
    sim.run_until(50, LIMIT_MS, Sim::agrees_on_members);
    sim.run_for(5_000);
    let mut order: Vec<usize> = (0..config.nodes).collect();
    Rng::stream(config.seed, 2).shuffle(&mut order);
    for &i in order.iter().take(failures.min(config.nodes - 2)) {
        sim.crash(i);
    }
    let stamp = sim.write(order[config.nodes - 1], b"key", Some(b"value"))?;
    let has = |node: &crate::Node| node.replica().record(b"key").is_some_and(|record| record.stamp == stamp);
    let time = sim.run_until(1, LIMIT_MS, |sim| sim.nodes().all(has));
    Ok(time.map(|ms| ms.div_ceil(config.node.gossip.busy_interval_ms.max(1))))
}

/// Of sorted times; 0 of none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}
