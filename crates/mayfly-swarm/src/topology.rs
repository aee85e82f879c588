//! Who talks to whom: a policy over the member list.

use crate::{Result, SwarmError};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use mayfly_base::{NodeId, mix};

/// What a policy may look at. Everything but `cost_ms` is the same at every member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Members alive, this node among them, in the order of names.
    pub members: Vec<NodeId>,
    /// The swarm's seed.
    pub seed: u64,
    /// What it costs this node to talk to others, as far as it was measured: round-trip time in milliseconds plus their load. Unknown is 0.
    pub cost_ms: BTreeMap<NodeId, f64>,
}

/// A policy. Links go both ways in effect, because every exchange pushes and pulls; `neighbours` says with whom a node starts one.
///
/// It must be a pure function of its arguments and connect the members: from each one, every other can be reached over neighbours of neighbours.
pub trait Topology: Send + Sync {
    /// A short name.
    fn name(&self) -> &str;

    /// With whom `me` talks.
    fn neighbours(&self, view: &View, me: NodeId) -> Vec<NodeId>;

    /// Has `me` a part that others depend on?
    fn is_head(&self, _view: &View, _me: NodeId) -> bool {
        false
    }
}

/// The five that come with the house, by name.
///
/// # Errors
/// [`SwarmError::Option`] for another name.
pub fn by_name(name: &str) -> Result<Box<dyn Topology>> {
    match name {
        "mesh" => Ok(Box::new(Mesh)),
        "ring" => Ok(Box::new(Ring)),
        "star" => Ok(Box::new(Star)),
        "hierarchical" => Ok(Box::new(Hierarchical::default())),
        "adaptive" => Ok(Box::new(Adaptive::default())),
        _ => Err(SwarmError::Option {
            option: "topology",
            got: name.to_owned(),
            want: "one of mesh, ring, star, hierarchical, adaptive",
        }),
    }
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 5] = ["mesh", "ring", "star", "hierarchical", "adaptive"];

/// A number for a node that looks random and is the same for everyone who knows the seed.
fn rank(seed: u64, node: NodeId) -> u64 {
    let word = |i: usize| u64::from_le_bytes(core::array::from_fn(|j| node.0[i * 8 + j]));
    (0..4).fold(mix(seed), |hash, i| mix(hash ^ word(i)))
}

/// Members in the order of a ring, which is that of their ranks: neighbours in name are not neighbours in place.
fn ring_of(view: &View) -> Vec<NodeId> {
    let mut ring = view.members.clone();
    ring.sort_by_key(|&node| (rank(view.seed, node), node));
    ring
}

fn ring_neighbours(ring: &[NodeId], me: NodeId) -> BTreeSet<NodeId> {
    let Some(at) = ring.iter().position(|&node| node == me) else { return BTreeSet::new() };
    let n = ring.len();
    [ring[(at + 1) % n], ring[(at + n - 1) % n]].into_iter().filter(|&node| node != me).collect()
}

/// Everyone with everyone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mesh;

impl Topology for Mesh {
    fn name(&self) -> &str {
        "mesh"
    }

    fn neighbours(&self, view: &View, me: NodeId) -> Vec<NodeId> {
        view.members.iter().copied().filter(|&node| node != me).collect()
    }
}

/// Everyone with two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

impl Topology for Ring {
    fn name(&self) -> &str {
        "ring"
    }

    fn neighbours(&self, view: &View, me: NodeId) -> Vec<NodeId> {
        ring_neighbours(&ring_of(view), me).into_iter().collect()
    }
}

/// Everyone with the one of the lowest rank; when it goes, with the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Star;

impl Topology for Star {
    fn name(&self) -> &str {
        "star"
    }

    fn neighbours(&self, view: &View, me: NodeId) -> Vec<NodeId> {
        match ring_of(view).first() {
            Some(&head) if head == me => Mesh.neighbours(view, me),
            Some(&head) => [head].into(),
            None => Vec::new(),
        }
    }

    fn is_head(&self, view: &View, me: NodeId) -> bool {
        ring_of(view).first() == Some(&me)
    }
}

/// Clusters of about √n neighbours in the ring; in each, everyone with everyone; their heads, of the lowest rank, with each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hierarchical {
    /// Members of a cluster; √n when nothing is said.
    pub cluster: Option<usize>,
}

impl Hierarchical {
    /// The clusters in the order of the ring; the first of each is its head. Members keep their cluster, by rank, when others come and go.
    fn clusters(&self, view: &View) -> Vec<Vec<NodeId>> {
        let n = view.members.len();
        let size = self.cluster.unwrap_or_else(|| n.isqrt()).max(1);
        ring_of(view).chunks(size).map(<[NodeId]>::to_vec).collect()
    }
}

impl Topology for Hierarchical {
    fn name(&self) -> &str {
        "hierarchical"
    }

    fn neighbours(&self, view: &View, me: NodeId) -> Vec<NodeId> {
        let clusters = self.clusters(view);
        let mut neighbours: BTreeSet<NodeId> = clusters.iter().filter(|c| c.contains(&me)).flatten().copied().collect();
        let heads: Vec<NodeId> = clusters.iter().map(|cluster| cluster[0]).collect(); // chunks are never empty
        if heads.contains(&me) {
            neighbours.extend(heads);
        }
        neighbours.remove(&me);
        neighbours.into_iter().collect()
    }

    fn is_head(&self, view: &View, me: NodeId) -> bool {
        self.clusters(view).iter().any(|cluster| cluster[0] == me)
    }
}

/// A small world: the ring, and for each node about log₂ n long links. For each it draws some candidates, farther ones seldomer (Kleinberg 2000),
/// and takes the one that costs least at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive {
    /// Candidates for each long link.
    pub candidates: usize,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { candidates: 3 }
    }
}

impl Topology for Adaptive {
    fn name(&self) -> &str {
        "adaptive"
    }

    fn neighbours(&self, view: &View, me: NodeId) -> Vec<NodeId> {
        let ring = ring_of(view);
        let mut neighbours = ring_neighbours(&ring, me);
        let n = ring.len();
        let Some(at) = ring.iter().position(|&node| node == me).filter(|_| n > 3) else {
            return neighbours.into_iter().collect();
        };
        let cost = |node: &NodeId| view.cost_ms.get(node).copied().unwrap_or(0.0);
        for link in 0..u64::from(n.ilog2()) {
            let drawn = (0..self.candidates.max(1) as u64).map(|i| {
                let word = mix(rank(view.seed, me) ^ mix(link << 32 | i));
                ring[(at + distance(word, n)) % n]
            });
            let free = drawn.filter(|node| *node != me && !neighbours.contains(node));
            let cheapest = free.min_by(|a, b| cost(a).total_cmp(&cost(b)).then(a.cmp(b)));
            neighbours.extend(cheapest);
        }
        neighbours.into_iter().collect()
    }
}

/// How far along a ring of `n` a random word reaches: each doubling of the distance is as likely as the last.
fn distance(word: u64, n: usize) -> usize {
    let share = (word >> 11) as f64 / (1_u64 << 53) as f64;
    (libm::pow(n as f64, share) as usize).clamp(1, n - 1)
}
