//! Whole swarms from a seed.

use mayfly_swarm::sim::{Sim, SimConfig, measure};
use mayfly_swarm::topology;

fn config(nodes: usize, seed: u64, topology: &str) -> SimConfig {
    SimConfig { nodes, seed, topology: topology.into(), ..SimConfig::default() }
}

fn heavy() -> bool {
    std::env::var_os("MAYFLY_HEAVY").is_some()
}

#[test]
fn every_topology_converges() {
    for name in topology::NAMES {
        let report = measure(&config(10, 3, name)).unwrap();
        eprintln!("{report:?}");
        assert!(report.replicas_equal, "{report:?}");
        assert_eq!(report.false_deaths, 0, "{report:?}");
        assert!(report.detect_ms_max > 0 && report.detect_ms_max <= 6_000, "{report:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let config = SimConfig { loss: 0.1, duplicate: 0.05, ..config(5, 9, "adaptive") };
    assert_eq!(measure(&config).unwrap(), measure(&config).unwrap());
}

#[test]
fn a_crash_among_fifty_is_known_within_five_seconds() {
    let report = measure(&config(50, 1, "mesh")).unwrap();
    eprintln!("{report:?}");
    assert!(report.detect_ms_max <= 5_000, "{report:?}");
    assert!(report.rounds_to_converge as f64 <= 3.0 * 50f64.log2(), "{report:?}");
    assert!(report.replicas_equal && report.false_deaths == 0, "{report:?}");
}

#[test]
fn nobody_dies_of_ten_percent_loss() {
    let (nodes, seeds) = if heavy() { (50, 20) } else { (20, 2) };
    for seed in 1..=seeds {
        let mut sim = Sim::new(SimConfig { loss: 0.1, ..config(nodes, seed, "mesh") }).unwrap();
        sim.run_until(100, 60_000, Sim::agrees_on_members).unwrap();
        sim.run_for(600_000);
        assert_eq!(sim.downs(), [], "seed {seed}");
    }
}
