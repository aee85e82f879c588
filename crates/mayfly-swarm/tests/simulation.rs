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

/// A hundred seeds of five nodes with loss and doubled packets; thousands by night.
#[test]
fn seeds_converge() {
    let seeds = if heavy() { 3_000 } else { 100 };
    for seed in 0..seeds {
        let name = topology::NAMES[seed as usize % topology::NAMES.len()];
        let faults = SimConfig { loss: 0.3 * (seed % 4) as f64 / 3.0, duplicate: 0.05, ..config(5, seed, name) };
        let report = measure(&faults).unwrap();
        assert!(report.replicas_equal, "{report:?}");
    }
}

#[test]
fn an_hour_apart_and_equal_again() {
    let mut sim = Sim::new(config(6, 2, "mesh")).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.write(0, b"old", Some(b"1")).unwrap();
    sim.run_for(2_000);
    sim.cut(|i| u8::from(i < 3));
    sim.write(0, b"old", None).unwrap();
    for minute in 0..60_u32 {
        sim.write(minute as usize % 6, format!("k{minute}").as_bytes(), Some(&minute.to_le_bytes())).unwrap();
        sim.run_for(60_000);
    }
    sim.heal();
    let equal = sim.run_until(50, 120_000, |sim| sim.agrees_on_members() && sim.replicas_equal());
    assert!(equal.is_some());
    let node = sim.node(5).unwrap();
    assert_eq!(node.replica().read(b"old"), None, "what was deleted on one side stays deleted");
    assert_eq!(node.replica().len(), 60);
}

#[test]
fn a_clock_set_back_an_hour_loses_no_write() {
    let mut sim = Sim::new(config(3, 5, "mesh")).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.write(1, b"key", Some(b"before")).unwrap();
    sim.run_for(1_000);
    sim.crash(1);
    sim.set_clock(1, -3_600_000);
    sim.start(1).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.write(1, b"key", Some(b"after")).unwrap();
    sim.run_for(2_000);
    assert!(sim.nodes().all(|node| node.replica().read(b"key") == Some(b"after")));
}

#[test]
fn tombstones_go_when_everyone_has_seen_them() {
    let mut sim = Sim::new(config(8, 6, "ring")).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.write(0, b"key", Some(b"value")).unwrap();
    sim.run_for(5_000);
    sim.crash(7);
    sim.run_for(10_000);
    sim.write(1, b"key", None).unwrap();
    sim.run_for(60_000);
    let stones = |sim: &Sim| sim.nodes().map(|node| node.replica().tombstone_count()).sum::<usize>();
    assert!(stones(&sim) > 0, "one who is away has not seen it");
    sim.start(7).unwrap();
    sim.run_until(1_000, 300_000, |sim| stones(sim) == 0).unwrap();
    assert!(sim.replicas_equal() && sim.disks_equal_memory());
    assert!(sim.nodes().all(|node| node.replica().read(b"key").is_none()));
}

#[test]
fn garbage_harms_nobody() {
    let mut sim = Sim::new(config(3, 8, "mesh")).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    let mut rng = mayfly_base::Rng::new(1);
    for _ in 0..5_000 {
        let bytes: Vec<u8> = (0..rng.below(200)).map(|_| rng.next_u64() as u8).collect();
        sim.inject(0, 1, bytes, rng.below(2) == 0);
    }
    sim.write(0, b"key", Some(b"value")).unwrap();
    sim.run_for(5_000);
    assert!(sim.replicas_equal() && sim.agrees_on_members());
    assert!(sim.node(0).unwrap().traffic().refused > 1_000);
}
