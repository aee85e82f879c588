//! Runs of training through faults: every round has one result, and all end with the same model.

use mayfly_swarm::learn::sim::{Names, Ordeal, OrdealConfig, Sim, SimConfig, ordeal};
use mayfly_swarm::learn::{Exchange, LearnerConfig};

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MAYFLY_SEED").unwrap_or(0);
    first..first + number("MAYFLY_SEEDS").unwrap_or(50)
}

#[test]
fn a_round_has_one_result_and_all_end_with_the_same_model() {
    for seed in seeds() {
        let came = ordeal(&OrdealConfig { seed, ..OrdealConfig::default() });
        assert_eq!(came.broken, 0, "seed {seed}: told before it was on the disk");
        let Ordeal { conflicts, is_over, is_common, rounds, ms, .. } = &came;
        assert!(conflicts.is_empty(), "seed {seed}: rounds {conflicts:?} came to two things");
        assert!(
            *is_over && *is_common,
            "seed {seed}: over {is_over}, common {is_common} after {ms} ms; rounds {rounds:?}"
        );
    }
}

#[test]
fn a_seed_replays() {
    let config = OrdealConfig { seed: 7, ..OrdealConfig::default() };
    assert_eq!(ordeal(&config), ordeal(&config));
}

fn run(config: SimConfig) -> Sim<Names> {
    let mut sim = Sim::new(config, Names);
    assert!(sim.run_to_end(60_000), "not over after {} ms", sim.now_ms());
    sim
}

#[test]
fn without_faults_a_round_takes_as_long_as_its_work() {
    for exchange in [Exchange::All, Exchange::Leader] {
        let learner = LearnerConfig { rounds: 100, exchange, ..LearnerConfig::default() };
        let sim = run(SimConfig { learner, ..SimConfig::default() });
        // 100 rounds of at most 110 ms, and some messages each; before them, membership and a campaign.
        assert!(sim.now_ms() < 2_500 + 100 * 140, "{exchange:?}: {} ms", sim.now_ms());
    }
}

#[test]
fn one_node_is_a_run() {
    let sim = run(SimConfig { nodes: 1, ..SimConfig::default() });
    assert_eq!(sim.results().len(), 64);
}
