//! What each policy promises about who talks to whom.

use mayfly_base::{NodeId, Rng};
use mayfly_swarm::topology::{self, NAMES, Topology, View};
use std::collections::BTreeSet;

fn view(n: usize, seed: u64) -> View {
    let mut rng = Rng::new(seed);
    let mut members: Vec<NodeId> = (0..n).map(|_| NodeId(std::array::from_fn(|_| rng.next_u64() as u8))).collect();
    members.sort();
    View { members, seed, ..View::default() }
}

fn neighbours(topology: &dyn Topology, view: &View, me: NodeId) -> BTreeSet<NodeId> {
    let list = topology.neighbours(view, me);
    let set: BTreeSet<NodeId> = list.iter().copied().collect();
    assert_eq!(set.len(), list.len(), "nobody twice");
    assert!(!set.contains(&me) && set.iter().all(|node| view.members.contains(node)), "members other than itself");
    set
}

/// Who is reached from the first one over neighbours of neighbours.
fn reached(topology: &dyn Topology, view: &View) -> usize {
    let (mut seen, mut open) = (BTreeSet::from([view.members[0]]), vec![view.members[0]]);
    while let Some(node) = open.pop() {
        open.extend(neighbours(topology, view, node).into_iter().filter(|&next| seen.insert(next)));
    }
    seen.len()
}

/// Every size and many seeds, and again after any one member is gone.
#[test]
fn every_policy_connects_whoever_is_there() {
    for name in NAMES {
        let topology = topology::by_name(name).unwrap();
        for n in 1..=40 {
            let view = view(n, n as u64);
            assert_eq!(reached(&*topology, &view), n, "{name} of {n}");
            for gone in 0..n.min(5) * usize::from(n > 1) {
                let mut rest = view.clone();
                rest.members.remove(gone);
                assert_eq!(reached(&*topology, &rest), n - 1, "{name} of {n} without {gone}");
            }
        }
    }
}

#[test]
fn links_are_as_many_as_the_policy_says() {
    let named = |name: &str| topology::by_name(name).unwrap();
    for n in 4..=64_usize {
        let view = view(n, 7 + n as u64);
        let degree = |name: &str| -> Vec<usize> {
            view.members.iter().map(|&me| neighbours(&*named(name), &view, me).len()).collect()
        };
        assert_eq!(degree("mesh"), vec![n - 1; n]);
        assert_eq!(degree("ring"), vec![2; n]);
        let star = degree("star");
        assert_eq!((star.iter().filter(|&&d| d == 1).count(), star.iter().max()), (n - 1, Some(&(n - 1))));
        let (size, clusters) = (n.isqrt(), n.div_ceil(n.isqrt()));
        assert!(degree("hierarchical").iter().all(|&d| d < size + clusters - 1), "{n}");
        let most = 2 + n.ilog2() as usize;
        assert!(degree("adaptive").iter().all(|d| (2..=most).contains(d)), "{n}");
    }
}

/// A link that only one side knows would be a policy that depends on who is asked.
#[test]
fn links_go_both_ways() {
    for name in ["mesh", "ring", "star", "hierarchical"] {
        let topology = topology::by_name(name).unwrap();
        for n in 2..=30 {
            let view = view(n, n as u64);
            for &me in &view.members {
                let backs =
                    neighbours(&*topology, &view, me).into_iter().map(|other| neighbours(&*topology, &view, other));
                assert!(backs.into_iter().all(|back| back.contains(&me)), "{name} of {n}");
            }
        }
    }
}

/// The adaptive policy takes the cheaper of its candidates.
#[test]
fn costly_links_are_avoided() {
    let topology = topology::by_name("adaptive").unwrap();
    let (mut before, mut after) = (0, 0);
    for seed in 0..50 {
        let mut view = view(40, seed);
        let me = view.members[0];
        let costly: Vec<NodeId> = view.members[1..].iter().copied().step_by(2).collect();
        let count = |view: &View| neighbours(&*topology, view, me).iter().filter(|node| costly.contains(node)).count();
        before += count(&view);
        view.cost_ms =
            view.members.iter().map(|&node| (node, if costly.contains(&node) { 500.0 } else { 1.0 })).collect();
        after += count(&view);
    }
    assert!(after * 3 < before * 2, "{after} costly links instead of {before}");
}
