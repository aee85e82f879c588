//! A cluster with one guard left out is convicted by what its clients see.

use super::node::Make;
use super::world::{Plan, run};
use mayfly_mesh::Guard;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A mutant is convicted within so many seeds.
const SEEDS: u64 = 500;

fn convict(name: &str, make: Make) {
    convict_plans(name, &|seed| Plan { make, ..Plan::new(seed) });
}

fn convict_plans(name: &str, plan: &dyn Fn(u64) -> Plan) {
    for seed in 0..SEEDS {
        let verdict = catch_unwind(AssertUnwindSafe(|| run(plan(seed)).verdict()));
        match verdict {
            Ok(Ok(())) => {}
            Ok(Err(verdict)) => return println!("{name}: seed {seed}: {verdict}"),
            Err(_) => return println!("{name}: seed {seed}: its state contradicts itself"),
        }
    }
    panic!("{name} was not convicted in {SEEDS} seeds");
}

/// etcd#14370: what was acknowledged was lost with the power.
#[test]
fn entries_that_are_not_flushed() {
    convict("no flush", |store| store.without(Guard::FlushBeforeAck));
}

#[test]
fn votes_that_are_not_kept() {
    convict("vote not kept", |store| store.without(Guard::KeptVote));
}

/// etcd#20418: after a pause of its process, a member answered linearizable reads with what was old.
#[test]
fn reads_without_a_read_index() {
    convict("read without index", |store| store.without(Guard::ReadIndex));
}

/// etcd#13766: entries were passed over, or applied twice, after a crash.
#[test]
fn an_applied_index_apart_from_its_effect() {
    convict("index apart", |store| store.without(Guard::IndexWithEffect));
}

#[test]
fn leases_by_a_clock_that_is_set() {
    convict_plans("wall-clock lease", &|seed| Plan { sets_clocks: true, ..Plan::new(seed) });
}

#[test]
fn renewals_by_a_leader_of_old() {
    convict("renewal without a majority", |store| store.without(Guard::RenewalByMajority));
}

#[test]
fn checkpoints_that_are_not_taken_back() {
    convict("checkpoint not taken back", |store| store.without(Guard::CheckpointTakenBack));
}

#[test]
fn reads_of_a_leader_of_old() {
    convict("read without a majority", |store| store.without(Guard::ReadByMajority));
}

#[test]
fn proposals_that_are_sent_again() {
    convict("proposal sent again", |store| store.without(Guard::ProposedOnce));
}

#[test]
fn a_log_that_forgets_what_the_state_has_not() {
    convict("purge without flush", |store| store.without(Guard::FlushBeforePurge));
}
