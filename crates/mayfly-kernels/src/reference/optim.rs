//! Optimiser steps of one parameter in f64, straight from their papers (and PyTorch's documentation, where forms differ).
//!
//! FANN's own updates have no second implementation here: their tests hold them against values from the C library.

use crate::{Adagrad, Adam, Decay, Lion, Momentum, RmsProp, Sgd};
use libm::{pow, sqrt};

/// One parameter with up to two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    /// The parameter.
    pub p: f64,
    /// First moment, momentum or sum of squares.
    pub m: f64,
    /// Second moment.
    pub v: f64,
}

/// Stochastic gradient descent with momentum (Sutskever et al., 2013, in PyTorch's form).
pub fn sgd(slot: Slot, g: f64, o: &Sgd) -> Slot {
    let (lr, mu) = (f64::from(o.lr), f64::from(o.momentum));
    let g = g + f64::from(o.weight_decay) * slot.p;
    let m = mu * slot.m + g;
    let step = match o.form {
        Momentum::Classic => m,
        Momentum::Nesterov => g + mu * m,
    };
    Slot { p: slot.p - lr * step, m, ..slot }
}

/// Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019).
pub fn adam(slot: Slot, g: f64, o: &Adam) -> Slot {
    let (lr, b1, b2) = (f64::from(o.lr), f64::from(o.beta1), f64::from(o.beta2));
    let decay = f64::from(o.weight_decay);
    let (p, g) = match o.decay {
        Decay::Coupled => (slot.p, g + decay * slot.p),
        Decay::Decoupled => (slot.p * (1.0 - lr * decay), g),
    };
    let m = b1 * slot.m + (1.0 - b1) * g;
    let v = b2 * slot.v + (1.0 - b2) * g * g;
    let step = o.step as f64;
    let m_hat = m / (1.0 - pow(b1, step));
    let v_hat = v / (1.0 - pow(b2, step));
    Slot { p: p - lr * m_hat / (sqrt(v_hat) + f64::from(o.eps)), m, v }
}

/// RMSprop (Tieleman and Hinton, 2012) with optional momentum: `v` is the mean square, `m` the momentum.
pub fn rmsprop(slot: Slot, g: f64, o: &RmsProp) -> Slot {
    let alpha = f64::from(o.alpha);
    let g = g + f64::from(o.weight_decay) * slot.p;
    let v = alpha * slot.v + (1.0 - alpha) * g * g;
    let m = f64::from(o.momentum) * slot.m + g / (sqrt(v) + f64::from(o.eps));
    Slot { p: slot.p - f64::from(o.lr) * m, m, v }
}

/// Adagrad (Duchi et al., 2011): `v` is the sum of squares.
pub fn adagrad(slot: Slot, g: f64, o: &Adagrad) -> Slot {
    let lr = f64::from(o.lr) / (1.0 + (o.step as f64 - 1.0) * f64::from(o.lr_decay));
    let g = g + f64::from(o.weight_decay) * slot.p;
    let v = slot.v + g * g;
    Slot { p: slot.p - lr * g / (sqrt(v) + f64::from(o.eps)), v, ..slot }
}

/// Lion (Chen et al., 2023): `m` is the momentum.
pub fn lion(slot: Slot, g: f64, o: &Lion) -> Slot {
    let (lr, b1, b2) = (f64::from(o.lr), f64::from(o.beta1), f64::from(o.beta2));
    let c = b1 * slot.m + (1.0 - b1) * g;
    let sign = f64::from(i32::from(c > 0.0) - i32::from(c < 0.0));
    let p = slot.p * (1.0 - lr * f64::from(o.weight_decay)) - lr * sign;
    Slot { p, m: b2 * slot.m + (1.0 - b2) * g, ..slot }
}
