//! Whole clusters under faults, from seeds: what clients saw is linearizable, and members end in one state.

use crate::common::seeds;
use crate::sim::world::{Plan, run};
use std::collections::BTreeMap;

/// At night, 50 times as many.
/// openraft#1802: with five voters, as every tenth seed has them, an entry counted as committed that two members had.
#[test]
fn what_clients_see_is_linearizable_under_faults() {
    let usual = if std::env::var_os("MAYFLY_HEAVY").is_some() { 500 } else { 200 };
    let first: u64 = std::env::var("MAYFLY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (mut faults, mut calls, mut answered, mut revisions) = (BTreeMap::<_, u64>::new(), 0, 0, 0);
    let count = seeds(usual);
    for seed in first..first + count {
        let report = run(Plan::new(seed));
        if let Err(verdict) = report.verdict() {
            panic!("seed {seed}: {verdict}\n{:?}", report.faults);
        }
        report.faults.iter().for_each(|(fault, count)| *faults.entry(*fault).or_default() += count);
        calls += report.history.calls.len();
        answered += report.answered;
        revisions += report.history.changes.len();
    }
    println!("{count} seeds: {calls} calls, {answered} answered, {revisions} revisions; {faults:?}");
    assert!(answered > 50 * count as usize, "hardly anything was answered");
}

#[test]
fn a_seed_gives_one_history() {
    for seed in 1_000..1_000 + seeds(3) {
        let (once, again) = (run(Plan::new(seed)), run(Plan::new(seed)));
        assert_eq!(once.history, again.history, "seed {seed}");
        assert_eq!(once.hash, again.hash, "seed {seed}");
    }
    assert_ne!(run(Plan::new(1)).hash, run(Plan::new(2)).hash);
}

/// Seven have votes, and the others are learners that serve reads and watchers and pass writes on.
#[test]
#[ignore = "minutes of processor time: cargo xtask nightly"]
fn fifty_members_agree() {
    for seed in 0..seeds(2).min(5) {
        let report = run(Plan { members: 50, ..Plan::new(seed) });
        report.verdict().unwrap_or_else(|verdict| panic!("seed {seed}: {verdict}\n{:?}", report.faults));
        println!(
            "seed {seed}: {} calls, {} answered; {:?}",
            report.history.calls.len(),
            report.answered,
            report.faults
        );
        assert!(report.answered > 50, "hardly anything was answered");
    }
}

/// Two of five are dead for an hour, the leader among them: of all requests, 999 of 1,000 are answered.
#[test]
#[ignore = "minutes of processor time: cargo xtask nightly"]
fn a_majority_serves_for_an_hour_without_the_others() {
    let report = run(Plan { members: 5, seconds: 3_600, dead: 2, ..Plan::new(3) });
    report.verdict().unwrap_or_else(|verdict| panic!("{verdict}"));
    let asked = report.history.calls.len() + report.turned_away;
    println!("{asked} calls, {} answered", report.answered);
    assert!(report.answered as f64 >= 0.999 * asked as f64, "{} of {asked} answered", report.answered);
}
