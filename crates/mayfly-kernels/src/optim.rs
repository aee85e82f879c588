//! Optimiser steps: one pass over flat slices of parameters, gradients and moments.
//!
//! Moments of parameters whose gradient has gone decay exponentially into the subnormal numbers, where the CPU is up to
//! thirty times slower. First moments below 2⁻¹⁰⁰ and squares of gradients below 2⁻⁵⁸ are therefore taken for zero: both
//! lie some twenty orders of magnitude below what moves a parameter.

use crate::Isa;
use crate::simd::{Simd, dispatch};
use crate::simd_ext::SimdExt;
use crate::size::check_len;

/// First moments and gradients below this are taken for zero.
pub(crate) const TINY: f32 = f32::from_bits((127 - 100) << 23);
/// Gradients below this have a square that is subnormal when it enters a mean.
const TINY_ROOT: f32 = f32::from_bits((127 - 58) << 23);

/// `v`, or 0 where its magnitude is below `tiny`.
#[inline(always)]
pub(crate) fn flush<S: Simd>(s: S, v: S::F32, tiny: f32) -> S::F32 {
    s.select(s.lt(s.abs(v), s.splat(tiny)), s.zero(), v)
}

/// How the momentum enters the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Momentum {
    /// The step is the momentum.
    Classic,
    /// The step is the gradient plus `momentum` times the momentum (Nesterov, 1983; Sutskever et al., 2013).
    Nesterov,
}

/// Where weight decay enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Into the gradient: L2 regularisation (Adam).
    Coupled,
    /// Into the parameter, past the moments (AdamW).
    Decoupled,
}

/// Stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f32,
    /// Share of the momentum that is kept; read only with a momentum buffer.
    pub momentum: f32,
    /// How the momentum enters.
    pub form: Momentum,
    /// Factor of the parameter in the gradient.
    pub weight_decay: f32,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { lr: 0.01, momentum: 0.0, form: Momentum::Classic, weight_decay: 0.0 }
    }
}

/// Adam and AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f32,
    /// Share of the first moment that is kept.
    pub beta1: f32,
    /// Share of the second moment that is kept.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Strength of the weight decay.
    pub weight_decay: f32,
    /// Where it enters.
    pub decay: Decay,
    /// Number of this step, from 1 on.
    pub step: u64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decay: Decay::Coupled, step: 1 }
    }
}

impl Adam {
    /// PyTorch's defaults for AdamW.
    pub fn w() -> Self {
        Self { weight_decay: 0.01, decay: Decay::Decoupled, ..Self::default() }
    }
}

/// RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f32,
    /// Share of the mean square that is kept.
    pub alpha: f32,
    /// Added to the root of the mean square.
    pub eps: f32,
    /// Share of the momentum that is kept; read only with a momentum buffer.
    pub momentum: f32,
    /// Factor of the parameter in the gradient.
    pub weight_decay: f32,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { lr: 1e-3, alpha: 0.99, eps: 1e-8, momentum: 0.0, weight_decay: 0.0 }
    }
}

/// Adagrad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f32,
    /// The rate at step `t` is `lr / (1 + (t - 1) lr_decay)`.
    pub lr_decay: f32,
    /// Added to the root of the sum of squares.
    pub eps: f32,
    /// Factor of the parameter in the gradient.
    pub weight_decay: f32,
    /// Number of this step, from 1 on.
    pub step: u64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { lr: 0.01, lr_decay: 0.0, eps: 1e-10, weight_decay: 0.0, step: 1 }
    }
}

/// Lion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub lr: f32,
    /// Share of the momentum in the step.
    pub beta1: f32,
    /// Share of the momentum that is kept.
    pub beta2: f32,
    /// Strength of the decoupled weight decay.
    pub weight_decay: f32,
}

impl Default for Lion {
    fn default() -> Self {
        Self { lr: 1e-4, beta1: 0.9, beta2: 0.99, weight_decay: 0.0 }
    }
}

/// One optimiser's arithmetic on a vector: parameter `p`, gradient `g`, two moments.
pub(crate) trait Update: Copy {
    fn update<S: Simd>(self, s: S, p: S::F32, g: S::F32, moments: [S::F32; 2]) -> (S::F32, [S::F32; 2]);
}

/// Runs an update over `p`, `g` and one or two arrays of moments. Whole vectors have a loop of their own.
#[inline(always)]
pub(crate) fn run<S: Simd, U: Update, const M: usize>(s: S, u: U, p: &mut [f32], g: &[f32], moments: [&mut [f32]; M]) {
    let whole = p.len() - p.len() % S::N;
    let (p, p_rest) = p.split_at_mut(whole);
    let (g, g_rest) = g.split_at(whole);
    let moments = moments.map(|m| m.split_at_mut(whole));
    let mut whole_moments = moments;
    for (k, (p, g)) in p.chunks_exact_mut(S::N).zip(g.chunks_exact(S::N)).enumerate() {
        let at = k * S::N;
        let mut held = [s.zero(); 2];
        for (held, m) in held.iter_mut().zip(&whole_moments) {
            *held = s.load(&m.0[at..at + S::N]);
        }
        let (v, held) = u.update(s, s.load(p), s.load(g), held);
        s.store(p, v);
        for (held, m) in held.into_iter().zip(&mut whole_moments) {
            s.store(&mut m.0[at..at + S::N], held);
        }
    }
    let mut held = [s.zero(); 2];
    for (held, m) in held.iter_mut().zip(&whole_moments) {
        *held = s.load_part(m.1);
    }
    let (v, held) = u.update(s, s.load_part(p_rest), s.load_part(g_rest), held);
    s.store_part(p_rest, v);
    for (held, m) in held.into_iter().zip(&mut whole_moments) {
        s.store_part(m.1, held);
    }
}

impl Update for Sgd {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::F32, g: S::F32, [m, v]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let g = s.mul_add(p, s.splat(self.weight_decay), g);
        let m = flush(s, s.mul_add(m, s.splat(self.momentum), g), TINY);
        let step = match self.form {
            Momentum::Classic => m,
            Momentum::Nesterov => s.mul_add(m, s.splat(self.momentum), g),
        };
        (s.neg_mul_add(step, s.splat(self.lr), p), [m, v])
    }
}

#[inline(always)]
fn sgd_body<S: Simd>(s: S, p: &mut [f32], g: &[f32], v: &mut [f32], o: Sgd) {
    run(s, o, p, g, [v]);
}

#[inline(always)]
fn sgd_plain<S: Simd>(s: S, p: &mut [f32], g: &[f32], o: Sgd) {
    run(s, o, p, g, []);
}

/// `v = momentum v + g`, `p -= lr v`, where `g` includes the weight decay. Without a buffer `v` the step is the gradient.
pub fn sgd(isa: Isa, p: &mut [f32], g: &[f32], v: Option<&mut [f32]>, o: &Sgd) {
    check_len("sgd", &[g.len()], &[p.len()]);
    let o = *o;
    match v {
        None => {
            let o = Sgd { momentum: 0.0, ..o };
            dispatch!(isa, sgd_plain(p: &mut [f32], g: &[f32], o: Sgd));
        }
        Some(v) => {
            check_len("sgd", &[v.len()], &[p.len()]);
            dispatch!(isa, sgd_body(p: &mut [f32], g: &[f32], v: &mut [f32], o: Sgd));
        }
    }
}

/// [`Adam`] with what is the same for all parameters worked out.
#[derive(Clone, Copy)]
struct AdamStep {
    o: Adam,
    /// `lr / (1 - beta1^t)`
    lr: f32,
    /// `1 / sqrt(1 - beta2^t)`
    root: f32,
    /// What the parameter is multiplied by.
    keep: f32,
    /// What of it enters the gradient.
    coupled: f32,
}

impl AdamStep {
    fn new(o: &Adam) -> Self {
        let power = |beta: f32| 1.0 - libm::pow(f64::from(beta), o.step as f64);
        let (keep, coupled) = match o.decay {
            Decay::Coupled => (1.0, o.weight_decay),
            Decay::Decoupled => (1.0 - o.lr * o.weight_decay, 0.0),
        };
        let lr = (f64::from(o.lr) / power(o.beta1)) as f32;
        Self { o: *o, lr, root: (1.0 / libm::sqrt(power(o.beta2))) as f32, keep, coupled }
    }
}

impl Update for AdamStep {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::F32, g: S::F32, [m, v]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let Adam { beta1, beta2, eps, .. } = self.o;
        let g = s.mul_add(p, s.splat(self.coupled), g);
        let g = flush(s, g, TINY);
        let root = flush(s, g, TINY_ROOT);
        let m = flush(s, s.mul_add(m, s.splat(beta1), s.mul(g, s.splat(1.0 - beta1))), TINY);
        let square = s.mul(root, s.mul(root, s.splat(1.0 - beta2)));
        let v = flush(s, s.mul_add(v, s.splat(beta2), square), f32::MIN_POSITIVE);
        let below = s.mul_add(s.sqrt(v), s.splat(self.root), s.splat(eps));
        let step = s.div(m, below);
        let p = s.mul(p, s.splat(self.keep));
        (s.neg_mul_add(step, s.splat(self.lr), p), [m, v])
    }
}

#[inline(always)]
fn adam_body<S: Simd>(s: S, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], o: AdamStep) {
    run(s, o, p, g, [m, v]);
}

/// Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) with [`Decay::Decoupled`]. `m` and `v` begin at zero.
pub fn adam(isa: Isa, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], o: &Adam) {
    check_len("adam", &[g.len(), m.len(), v.len()], &[p.len()]);
    let o = AdamStep::new(o);
    dispatch!(isa, adam_body(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], o: AdamStep));
}

impl Update for RmsProp {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::F32, g: S::F32, [v, m]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let g = flush(s, s.mul_add(p, s.splat(self.weight_decay), g), TINY);
        let root = flush(s, g, TINY_ROOT);
        let square = s.mul(root, s.mul(root, s.splat(1.0 - self.alpha)));
        let v = flush(s, s.mul_add(v, s.splat(self.alpha), square), f32::MIN_POSITIVE);
        let step = s.div(g, s.add(s.sqrt(v), s.splat(self.eps)));
        let m = flush(s, s.mul_add(m, s.splat(self.momentum), step), TINY);
        (s.neg_mul_add(m, s.splat(self.lr), p), [v, m])
    }
}

#[inline(always)]
fn rmsprop_body<S: Simd>(s: S, p: &mut [f32], g: &[f32], v: &mut [f32], m: &mut [f32], o: RmsProp) {
    run(s, o, p, g, [v, m]);
}

#[inline(always)]
fn rmsprop_plain<S: Simd>(s: S, p: &mut [f32], g: &[f32], v: &mut [f32], o: RmsProp) {
    run(s, o, p, g, [v]);
}

/// RMSprop (Tieleman and Hinton, 2012): `v` is the mean square; the momentum buffer `m` is optional. Both begin at zero.
pub fn rmsprop(isa: Isa, p: &mut [f32], g: &[f32], v: &mut [f32], m: Option<&mut [f32]>, o: &RmsProp) {
    check_len("rmsprop", &[g.len(), v.len()], &[p.len()]);
    let o = *o;
    match m {
        None => {
            let o = RmsProp { momentum: 0.0, ..o };
            dispatch!(isa, rmsprop_plain(p: &mut [f32], g: &[f32], v: &mut [f32], o: RmsProp));
        }
        Some(m) => {
            check_len("rmsprop", &[m.len()], &[p.len()]);
            dispatch!(isa, rmsprop_body(p: &mut [f32], g: &[f32], v: &mut [f32], m: &mut [f32], o: RmsProp));
        }
    }
}

impl Update for Adagrad {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::F32, g: S::F32, [v, m]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let g = s.mul_add(p, s.splat(self.weight_decay), g);
        let g = flush(s, g, TINY_ROOT);
        let v = s.mul_add(g, g, v);
        let step = s.div(g, s.add(s.sqrt(v), s.splat(self.eps)));
        (s.neg_mul_add(step, s.splat(self.lr), p), [v, m])
    }
}

#[inline(always)]
fn adagrad_body<S: Simd>(s: S, p: &mut [f32], g: &[f32], v: &mut [f32], o: Adagrad) {
    run(s, o, p, g, [v]);
}

/// Adagrad (Duchi et al., 2011): `v` is the sum of squares and begins at zero (or at a positive value).
pub fn adagrad(isa: Isa, p: &mut [f32], g: &[f32], v: &mut [f32], o: &Adagrad) {
    check_len("adagrad", &[g.len(), v.len()], &[p.len()]);
    let decay = 1.0 + (o.step.saturating_sub(1)) as f64 * f64::from(o.lr_decay);
    let o = Adagrad { lr: (f64::from(o.lr) / decay) as f32, ..*o };
    dispatch!(isa, adagrad_body(p: &mut [f32], g: &[f32], v: &mut [f32], o: Adagrad));
}

impl Update for Lion {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::F32, g: S::F32, [m, v]: [S::F32; 2]) -> (S::F32, [S::F32; 2]) {
        let g = flush(s, g, TINY);
        let c = s.mul_add(m, s.splat(self.beta1), s.mul(g, s.splat(1.0 - self.beta1)));
        let step = s.select(s.eq(c, s.zero()), s.zero(), s.copysign(s.splat(self.lr), c));
        let m = flush(s, s.mul_add(m, s.splat(self.beta2), s.mul(g, s.splat(1.0 - self.beta2))), TINY);
        let p = s.mul(p, s.splat(1.0 - self.lr * self.weight_decay));
        (s.sub(p, step), [m, v])
    }
}

#[inline(always)]
fn lion_body<S: Simd>(s: S, p: &mut [f32], g: &[f32], m: &mut [f32], o: Lion) {
    run(s, o, p, g, [m]);
}

/// Lion (Chen et al., 2023): the step is the sign of `beta1 m + (1 - beta1) g`. `m` begins at zero.
pub fn lion(isa: Isa, p: &mut [f32], g: &[f32], m: &mut [f32], o: &Lion) {
    check_len("lion", &[g.len(), m.len()], &[p.len()]);
    let o = *o;
    dispatch!(isa, lion_body(p: &mut [f32], g: &[f32], m: &mut [f32], o: Lion));
}
