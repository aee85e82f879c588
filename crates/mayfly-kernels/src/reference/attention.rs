//! Scaled dot-product attention by its definition, in f64.
use super::{exp, sqrt};
use crate::Causal;
use alloc::vec;
use alloc::vec::Vec;

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSizes {
    /// Sequences.
    pub batch: usize,
    /// Queries of a sequence.
    pub tq: usize,
    /// Keys of a sequence.
    pub tk: usize,
    /// Heads.
    pub heads: usize,
    /// Width of a head.
    pub d: usize,
    /// Whether a position sees later ones.
    pub causal: Causal,
}

impl AttentionSizes {
    /// Where a head of a row starts.
    fn at(&self, row: usize, head: usize) -> usize {
        (row * self.heads + head) * self.d
    }

    fn dot(&self, a: &[f64], b: &[f64]) -> f64 {
        a[..self.d].iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// What query `i` of a sequence gives to its keys; keys it does not see have 0.
    /// A query that sees none gives nothing.
    fn weights(&self, q: &[f64], k: &[f64], batch: usize, head: usize, i: usize) -> Vec<f64> {
        let query = &q[self.at(batch * self.tq + i, head)..];
        let score = |j: usize| self.dot(query, &k[self.at(batch * self.tk + j, head)..]) / sqrt(self.d as f64);
        let seen = |j: usize| self.causal == Causal::No || j + self.tq <= i + self.tk;
        let scores: Vec<f64> = (0..self.tk).map(|j| if seen(j) { score(j) } else { f64::NEG_INFINITY }).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = |s: &f64| if *s == f64::NEG_INFINITY { 0.0 } else { exp(s - max) };
        let sum: f64 = scores.iter().map(weight).sum();
        scores.iter().map(|s| if sum > 0.0 { weight(s) / sum } else { 0.0 }).collect()
    }

    /// Every (sequence, head, query).
    fn queries(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let s = *self;
        (0..s.batch).flat_map(move |b| (0..s.heads).flat_map(move |h| (0..s.tq).map(move |i| (b, h, i))))
    }
}

/// `y [b, tq, heads·d]`.
pub fn attention_fwd(q: &[f64], k: &[f64], v: &[f64], s: AttentionSizes) -> Vec<f64> {
    let mut y = vec![0.0; q.len()];
    for (b, head, i) in s.queries() {
        let to = s.at(b * s.tq + i, head);
        for (j, p) in s.weights(q, k, b, head, i).into_iter().enumerate() {
            let from = s.at(b * s.tk + j, head);
            (0..s.d).for_each(|e| y[to + e] += p * v[from + e]);
        }
    }
    y
}

/// The gradients of q, k and v.
pub fn attention_bwd(dy: &[f64], q: &[f64], k: &[f64], v: &[f64], s: AttentionSizes) -> [Vec<f64>; 3] {
    let [mut dq, mut dk, mut dv] = [vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
    for (b, head, i) in s.queries() {
        let query = s.at(b * s.tq + i, head);
        let p = s.weights(q, k, b, head, i);
        let key = |j: usize| s.at(b * s.tk + j, head);
        let dp: Vec<f64> = (0..s.tk).map(|j| s.dot(&dy[query..], &v[key(j)..])).collect();
        let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
        for (j, (p, dp)) in p.iter().zip(&dp).enumerate() {
            let score = p * (dp - mean) / sqrt(s.d as f64);
            for e in 0..s.d {
                dq[query + e] += score * k[key(j) + e];
                dk[key(j) + e] += score * q[query + e];
                dv[key(j) + e] += p * dy[query + e];
            }
        }
    }
    [dq, dk, dv]
}
