//! Which row goes to which node, where a data file is divided for a demonstration.

use crate::{LearnError, Result};
use mayfly_base::Rng;
use statrs::distribution::{ContinuousCDF, Gamma};
use std::fmt;
use std::str::FromStr;

/// How rows are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Split {
    /// At random, the same number to each.
    Iid,
    /// Each class by shares that are drawn from a Dirichlet distribution with this concentration (Hsu et al. 2019): the smaller it is, the less alike nodes are.
    Dirichlet(f64),
    /// Sorted by class: each node has few of them.
    Label,
}

/// Numbers are divided as classes by so many of their quantiles.
const BINS: usize = 10;

impl Split {
    /// The node of each row, 0 to `nodes` - 1. Every node gets at least one, where there are enough.
    ///
    /// # Errors
    /// [`LearnError::Option`] for fewer rows than nodes.
    pub fn assign(&self, classes: &[usize], nodes: usize, seed: u64) -> Result<Vec<usize>> {
        if nodes == 0 || classes.len() < nodes {
            return Err(LearnError::option(
                "nodes",
                nodes,
                format!("there are {} rows, and each node needs one", classes.len()),
            ));
        }
        let mut rng = Rng::stream(seed, 0x7370_6c69);
        let mut of = match self {
            Self::Iid => {
                let mut order: Vec<usize> = (0..classes.len()).collect();
                rng.shuffle(&mut order);
                in_turn(&order, nodes)
            }
            Self::Label => {
                let mut order: Vec<usize> = (0..classes.len()).collect();
                rng.shuffle(&mut order);
                order.sort_by_key(|row| classes[*row]);
                in_stretches(&order, nodes)
            }
            Self::Dirichlet(alpha) => dirichlet(classes, nodes, *alpha, &mut rng),
        };
        fill_empty(&mut of, nodes);
        Ok(of)
    }

    /// Classes of targets: the largest of several values, or the tenth in which a single one lies.
    pub fn classes(targets: &[f32], width: usize) -> Vec<usize> {
        if width > 1 {
            return targets.chunks_exact(width).map(mayfly_nn::class_of).collect();
        }
        let mut sorted = targets.to_vec();
        sorted.sort_by(f32::total_cmp);
        sorted.dedup();
        if sorted.len() <= BINS {
            return targets.iter().map(|value| sorted.partition_point(|other| other < value)).collect();
        }
        let mut all = targets.to_vec();
        all.sort_by(f32::total_cmp);
        let edge = |bin: usize| all[bin * all.len() / BINS];
        let edges: Vec<f32> = (1..BINS).map(edge).collect();
        targets.iter().map(|value| edges.partition_point(|edge| edge <= value)).collect()
    }
}

fn in_turn(order: &[usize], nodes: usize) -> Vec<usize> {
    let mut of = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, row)| of[*row] = i % nodes);
    of
}

fn in_stretches(order: &[usize], nodes: usize) -> Vec<usize> {
    let mut of = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, row)| of[*row] = i * nodes / order.len());
    of
}

fn dirichlet(classes: &[usize], nodes: usize, alpha: f64, rng: &mut Rng) -> Vec<usize> {
    let mut of = vec![0; classes.len()];
    let most = classes.iter().max().copied().unwrap_or(0);
    for class in 0..=most {
        let mut rows: Vec<usize> = (0..classes.len()).filter(|row| classes[*row] == class).collect();
        rng.shuffle(&mut rows);
        let shares = shares(nodes, alpha, rng);
        let mut sum = 0.0;
        let ends: Vec<f64> = shares
            .iter()
            .map(|share| {
                sum += share;
                sum * rows.len() as f64
            })
            .collect();
        let node = |i: usize| ends.partition_point(|end| *end <= i as f64 + 0.5).min(nodes - 1);
        rows.iter().enumerate().for_each(|(i, row)| of[*row] = node(i));
    }
    of
}

/// One draw from a symmetric Dirichlet distribution: gamma variables by their sum. Below 1 these are so small that only their logarithms are numbers.
fn shares(nodes: usize, alpha: f64, rng: &mut Rng) -> Vec<f64> {
    let mut uniform = || rng.uniform_f64().clamp(1e-12, 1.0 - 1e-12);
    let Ok(gamma) = Gamma::new(alpha + 1.0, 1.0) else { return vec![1.0 / nodes as f64; nodes] };
    let logs: Vec<f64> = (0..nodes).map(|_| gamma.inverse_cdf(uniform()).ln() + uniform().ln() / alpha).collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Whoever has no row gets one of those who have most.
fn fill_empty(of: &mut [usize], nodes: usize) {
    let mut counts = vec![0_usize; nodes];
    of.iter().for_each(|node| counts[*node] += 1);
    for empty in 0..nodes {
        if counts[empty] > 0 {
            continue;
        }
        let Some(richest) = (0..nodes).max_by_key(|node| counts[*node]) else { return };
        if let Some(row) = of.iter_mut().find(|node| **node == richest) {
            *row = empty;
            (counts[empty], counts[richest]) = (1, counts[richest] - 1);
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iid => f.write_str("iid"),
            Self::Dirichlet(alpha) => write!(f, "dirichlet:{alpha}"),
            Self::Label => f.write_str("label"),
        }
    }
}

impl FromStr for Split {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            LearnError::option(
                "split",
                text,
                "iid, label or dirichlet:A is wanted, with A above 0, such as dirichlet:0.1",
            )
        };
        match (text, text.strip_prefix("dirichlet:")) {
            ("iid", _) => Ok(Self::Iid),
            ("label", _) => Ok(Self::Label),
            (_, Some(alpha)) => {
                let alpha: f64 = alpha.parse().map_err(|_| refused())?;
                if alpha > 0.0 && alpha.is_finite() { Ok(Self::Dirichlet(alpha)) } else { Err(refused()) }
            }
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[usize], classes: &[usize], nodes: usize) -> Vec<[usize; 4]> {
        let mut counts = vec![[0; 4]; nodes];
        of.iter().zip(classes).for_each(|(node, class)| counts[*node][*class] += 1);
        counts
    }

    /// 400 rows of 4 classes.
    fn classes() -> Vec<usize> {
        (0..400).map(|row| row % 4).collect()
    }

    #[test]
    fn iid_gives_all_the_same() {
        let of = Split::Iid.assign(&classes(), 5, 1).unwrap();
        for node in counts(&of, &classes(), 5) {
            assert_eq!(node.iter().sum::<usize>(), 80);
            assert!(node.iter().all(|count| (8..=32).contains(count)), "{node:?}");
        }
    }

    #[test]
    fn by_label_each_has_few_classes() {
        let of = Split::Label.assign(&classes(), 4, 1).unwrap();
        let counts = counts(&of, &classes(), 4);
        assert!(counts.iter().all(|node| node.iter().filter(|count| **count > 0).count() == 1), "{counts:?}");
    }

    #[test]
    fn dirichlet_is_as_skewed_as_its_concentration_says() {
        // The mean of the largest of five shares, over many draws.
        let largest = |alpha: f64| {
            let mut rng = Rng::new(3);
            let draws = 500;
            let sum: f64 = (0..draws).map(|_| shares(5, alpha, &mut rng).into_iter().fold(0.0, f64::max)).sum();
            sum / f64::from(draws)
        };
        // From 50,000 and more draws of five of Python's random.gammavariate(alpha, 1); for 1 it is (1 + 1/2 + … + 1/5) / 5.
        for (alpha, want) in [(0.1, 0.8081), (1.0, 0.4567), (100.0, 0.2238)] {
            assert!((largest(alpha) - want).abs() < 0.02, "{alpha}: {} for {want}", largest(alpha));
        }
        let of = Split::Dirichlet(0.1).assign(&classes(), 5, 2).unwrap();
        assert!(counts(&of, &classes(), 5).iter().flatten().any(|count| *count > 60));
    }

    #[test]
    fn every_node_has_a_row_and_a_seed_replays() {
        for seed in 0..50 {
            let of = Split::Dirichlet(0.01).assign(&classes()[..12], 8, seed).unwrap();
            assert!((0..8).all(|node| of.contains(&node)), "{of:?}");
            assert_eq!(of, Split::Dirichlet(0.01).assign(&classes()[..12], 8, seed).unwrap());
        }
        assert!(Split::Iid.assign(&[0; 4], 5, 1).is_err());
    }

    #[test]
    fn numbers_are_divided_by_tenths_and_names_as_they_are() {
        let numbers: Vec<f32> = (0..100).map(|i| (i * 37 % 100) as f32).collect();
        let classes = Split::classes(&numbers, 1);
        assert!((0..10).all(|class| classes.iter().filter(|other| **other == class).count() == 10), "{classes:?}");
        assert_eq!(Split::classes(&[0.0, 1.0, 1.0], 1), [0, 1, 1]);
        assert_eq!(Split::classes(&[0.0, 1.0, 0.0, 0.0], 2), [1, 0]);
    }

    #[test]
    fn names() {
        for text in ["iid", "label", "dirichlet:0.1"] {
            assert_eq!(text.parse::<Split>().unwrap().to_string(), text);
        }
        for text in ["", "dirichlet", "dirichlet:0", "dirichlet:x", "dirichlet:-1", "dirichlet:inf"] {
            assert!(text.parse::<Split>().is_err(), "{text}");
        }
    }
}
