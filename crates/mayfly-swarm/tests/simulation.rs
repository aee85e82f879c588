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

/// How often a living member is declared dead, in runs of about three minutes with a crash and a cut, by loss. `MAYFLY_SEEDS=1000` for the figures in `docs/benchmarks.md`.
#[test]
fn the_living_are_seldom_declared_dead() {
    let seeds = std::env::var("MAYFLY_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    for (loss, most_percent) in [(0.1, 0), (0.2, 1)] {
        let false_deaths = |seed| measure(&SimConfig { loss, ..config(10, seed, "mesh") }).unwrap().false_deaths;
        let runs = (1..=seeds).filter(|&seed| false_deaths(seed) > 0).count() as u64;
        eprintln!("loss {loss}: a living member was declared dead in {runs} of {seeds} runs");
        assert!(runs * 100 <= most_percent * seeds, "loss {loss}: {runs} of {seeds}");
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

/// Sets how long tombstones are kept.
fn keeping_tombstones_for(mut config: SimConfig, ms: u64) -> SimConfig {
    config.node.gossip.tombstone_ms = ms;
    config
}

fn tombstones(sim: &Sim) -> usize {
    sim.nodes().map(|node| node.replica().tombstone_count()).sum()
}

#[test]
fn tombstones_go_when_their_time_is_over_and_not_before() {
    let mut sim = Sim::new(keeping_tombstones_for(config(8, 6, "ring"), 60_000)).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.write(0, b"key", Some(b"value")).unwrap();
    sim.run_for(5_000);
    sim.write(1, b"key", None).unwrap();
    sim.run_for(58_000);
    assert_eq!(tombstones(&sim), 8, "whoever has seen it");
    sim.run_for(6_000);
    assert_eq!(tombstones(&sim), 0);
    sim.run_for(6_000);
    assert!(tombstones(&sim) == 0 && sim.replicas_equal() && sim.disks_equal_memory());
    assert!(sim.nodes().all(|node| node.replica().record(b"key").is_none()));
}

/// Away for longer than tombstones are kept: what was deleted meanwhile goes there too, without anything that says so but what the others have seen;
/// what was written there stays, even under the key that was deleted elsewhere.
#[test]
fn who_was_away_for_long_takes_the_deletions_and_keeps_its_own_writes() {
    for how in ["killed", "left", "cut"] {
        let mut sim = Sim::new(keeping_tombstones_for(config(4, 9, "mesh"), 30_000)).unwrap();
        sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
        for key in [b"gone", b"ours", b"both"] {
            sim.write(0, key, Some(b"old")).unwrap();
        }
        sim.run_for(5_000);
        if how == "cut" {
            sim.cut(|i| u8::from(i == 3));
        } else if how == "left" {
            sim.leave(3);
        } else {
            sim.crash(3);
        }
        sim.run_for(1_000);
        sim.write(1, b"gone", None).unwrap();
        sim.write(1, b"both", None).unwrap();
        if how == "cut" {
            sim.write(3, b"ours", Some(b"new")).unwrap();
            sim.write(3, b"both", Some(b"new")).unwrap();
            sim.write(3, b"mine", Some(b"new")).unwrap();
        }
        sim.run_for(120_000);
        assert!((0..3).all(|i| sim.node(i).unwrap().replica().tombstone_count() == 0));
        sim.heal();
        if how != "cut" {
            sim.start(3).unwrap();
        }
        sim.run_until(100, 120_000, |sim| sim.agrees_on_members() && sim.replicas_equal()).unwrap();
        sim.run_for(3_000);
        assert!(sim.replicas_equal() && sim.disks_equal_memory(), "{how}");
        let replica = sim.node(2).unwrap().replica();
        assert_eq!(replica.read(b"gone"), None, "{how}");
        let (ours, mine) = if how == "cut" { (&b"new"[..], Some(&b"new"[..])) } else { (&b"old"[..], None) };
        assert_eq!(
            (replica.read(b"ours"), replica.read(b"mine"), replica.read(b"both")),
            (Some(ours), mine, mine),
            "{how}"
        );
    }
}

/// The same, where what was seen has to be read from disk again: everyone is restarted after the tombstones went.
#[test]
fn what_was_seen_is_still_known_after_a_restart() {
    let mut sim = Sim::new(keeping_tombstones_for(config(4, 9, "mesh"), 30_000)).unwrap();
    sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
    sim.write(0, b"gone", Some(b"old")).unwrap();
    sim.run_for(5_000);
    sim.crash(3);
    sim.write(1, b"gone", None).unwrap();
    sim.run_for(120_000);
    for i in 0..3 {
        sim.crash(i);
    }
    for i in 0..3 {
        sim.start(i).unwrap();
    }
    sim.run_for(2_000);
    sim.start(3).unwrap();
    sim.run_until(100, 120_000, |sim| sim.agrees_on_members() && sim.replicas_equal()).unwrap();
    sim.run_for(3_000);
    assert!(sim.replicas_equal() && sim.disks_equal_memory());
    assert!(sim.nodes().all(|node| node.replica().record(b"gone").is_none()));
}

/// What idle members say does not depend on how much they have.
#[test]
fn idle_members_are_quiet_whatever_they_have() {
    let mut rates = Vec::new();
    for count in [0_u32, 3_000] {
        let mut sim = Sim::new(config(3, 4, "mesh")).unwrap();
        sim.run_until(50, 60_000, Sim::agrees_on_members).unwrap();
        for i in 0..count {
            sim.write(0, format!("{i:0500}").as_bytes(), Some(&i.to_le_bytes())).unwrap();
            sim.write(1, format!("{i:0500}").as_bytes(), None).unwrap(); // some are tombstones, as the clocks have it
        }
        sim.run_until(100, 120_000, Sim::replicas_equal).unwrap();
        sim.run_for(10_000);
        let before = sim.request_bytes();
        sim.run_for(60_000);
        rates.push((sim.request_bytes() - before) / 60 / 3);
        assert!(sim.replicas_equal());
        assert!(count == 0 || tombstones(&sim) > 1_000);
    }
    assert!(rates.iter().all(|rate| *rate <= 200), "bytes a second and member: {rates:?}");
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
