//! Nothing that was acknowledged is undone, whatever members go through.

use mayfly_swarm::sim::{OrdealConfig, SimConfig, ordeal};
use mayfly_swarm::topology;

/// `MAYFLY_SEEDS=10000` for many more, `MAYFLY_FIRST_SEED=n` to go on from one.
fn seeds(few: u64, many: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MAYFLY_FIRST_SEED").unwrap_or(0);
    let heavy = std::env::var_os("MAYFLY_HEAVY").is_some();
    first..first + number("MAYFLY_SEEDS").unwrap_or(if heavy { many } else { few })
}

fn config(seed: u64) -> OrdealConfig {
    let nodes = 2 + (seed % 4) as usize;
    let topology = topology::NAMES[seed as usize / 4 % topology::NAMES.len()].into();
    let sim = SimConfig { nodes, seed, topology, duplicate: 0.02, ..SimConfig::default() };
    OrdealConfig { sim, steps: 60, absence_ms: 0 }
}

/// Some are away for longer than tombstones are kept.
fn long_absences(seed: u64) -> OrdealConfig {
    let mut config = OrdealConfig { absence_ms: 90_000, ..config(seed) };
    config.sim.node.gossip.tombstone_ms = 30_000;
    config
}

/// Every failed seed, and the history of the first.
fn assert_all(seeds: std::ops::Range<u64>, config: impl Fn(u64) -> OrdealConfig) {
    let (mut failed, mut first, mut acknowledged, mut departures) = (Vec::new(), None, 0, 0);
    for seed in seeds.clone() {
        match ordeal(&config(seed)) {
            Ok(report) => {
                acknowledged += report.acknowledged;
                departures += report.departures;
            }
            Err(error) => {
                failed.push(seed);
                first.get_or_insert(error.to_string());
            }
        }
    }
    let (count, of) = (failed.len(), seeds.end - seeds.start);
    eprintln!("{of} seeds: {acknowledged} acknowledged, {departures} departures, {count} seeds failed");
    assert!(failed.is_empty(), "{count} of {of} seeds failed: {failed:?}\n{}", first.unwrap_or_default());
}

#[test]
fn what_was_acknowledged_stays() {
    assert_all(seeds(200, 10_000), config);
}

#[test]
fn what_was_acknowledged_stays_beyond_the_life_of_tombstones() {
    assert_all(seeds(100, 10_000), long_absences);
}
