//! Optimisers against their formulas in f64; FANN's own are in `fann.rs`.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::reference::{self, Slot};
use mayfly_kernels::{Adagrad, Adam, Decay, Isa, Lion, Momentum, RmsProp, Sgd};
use support::{Numbers, Shifted, isas, lengths};

/// One optimiser as a kernel over `p, g, m, v` and as a reference over one slot; both take the number of the step.
struct Case {
    name: &'static str,
    kernel: fn(Isa, &mut [f32], &[f32], &mut [f32], &mut [f32], u64),
    reference: fn(Slot, f64, u64) -> Slot,
}

const SGD: Sgd = Sgd { lr: 0.1, momentum: 0.9, form: Momentum::Classic, weight_decay: 0.02 };
const PLAIN: Sgd = Sgd { momentum: 0.0, ..SGD };
const NESTEROV: Sgd = Sgd { form: Momentum::Nesterov, ..SGD };
const RMSPROP: RmsProp = RmsProp { lr: 0.02, alpha: 0.9, eps: 1e-6, momentum: 0.8, weight_decay: 0.01 };
const RMSPROP_PLAIN: RmsProp = RmsProp { momentum: 0.0, ..RMSPROP };
const LION: Lion = Lion { lr: 0.01, beta1: 0.9, beta2: 0.99, weight_decay: 0.1 };

fn adam(step: u64, decay: Decay) -> Adam {
    Adam { lr: 0.02, beta1: 0.85, beta2: 0.99, eps: 1e-7, weight_decay: 0.05, decay, step }
}

fn adagrad(step: u64) -> Adagrad {
    Adagrad { lr: 0.1, lr_decay: 0.05, eps: 1e-8, weight_decay: 0.01, step }
}

const CASES: [Case; 9] = [
    Case {
        name: "sgd",
        kernel: |isa, p, g, _, _, _| k::sgd(isa, p, g, None, &SGD),
        reference: |slot, g, _| Slot { m: 0.0, ..reference::sgd(Slot { m: 0.0, ..slot }, g, &PLAIN) },
    },
    Case {
        name: "sgd with momentum",
        kernel: |isa, p, g, m, _, _| k::sgd(isa, p, g, Some(m), &SGD),
        reference: |slot, g, _| reference::sgd(slot, g, &SGD),
    },
    Case {
        name: "sgd with nesterov momentum",
        kernel: |isa, p, g, m, _, _| k::sgd(isa, p, g, Some(m), &NESTEROV),
        reference: |slot, g, _| reference::sgd(slot, g, &NESTEROV),
    },
    Case {
        name: "adam",
        kernel: |isa, p, g, m, v, t| k::adam(isa, p, g, m, v, &adam(t, Decay::Coupled)),
        reference: |slot, g, t| reference::adam(slot, g, &adam(t, Decay::Coupled)),
    },
    Case {
        name: "adamw",
        kernel: |isa, p, g, m, v, t| k::adam(isa, p, g, m, v, &adam(t, Decay::Decoupled)),
        reference: |slot, g, t| reference::adam(slot, g, &adam(t, Decay::Decoupled)),
    },
    Case {
        name: "rmsprop",
        kernel: |isa, p, g, _, v, _| k::rmsprop(isa, p, g, v, None, &RMSPROP),
        reference: |slot, g, _| Slot { m: 0.0, ..reference::rmsprop(slot, g, &RMSPROP_PLAIN) },
    },
    Case {
        name: "rmsprop with momentum",
        kernel: |isa, p, g, m, v, _| k::rmsprop(isa, p, g, v, Some(m), &RMSPROP),
        reference: |slot, g, _| reference::rmsprop(slot, g, &RMSPROP),
    },
    Case {
        name: "adagrad",
        kernel: |isa, p, g, _, v, t| k::adagrad(isa, p, g, v, &adagrad(t)),
        reference: |slot, g, t| reference::adagrad(slot, g, &adagrad(t)),
    },
    Case {
        name: "lion",
        kernel: |isa, p, g, m, _, _| k::lion(isa, p, g, m, &LION),
        reference: |slot, g, _| reference::lion(slot, g, &LION),
    },
];

fn check(case: &Case, isa: Isa, len: usize, shift: usize) {
    let mut numbers = Numbers::new(len as u64 + 1);
    let start = numbers.vec(len, -1.0, 1.0);
    let mut slots = start.iter().map(|p| Slot { p: f64::from(*p), ..Slot::default() }).collect::<Vec<_>>();
    let mut p = Shifted::new(&start, shift);
    let (mut m, mut v) =
        (Shifted::new(&vec![0.0; len], (shift + 3) % 16), Shifted::new(&vec![0.0; len], (shift + 8) % 16));
    for step in 1..=4 {
        let g = Shifted::new(&numbers.vec(len, -1.0, 1.0), (shift + 1) % 16);
        (case.kernel)(isa, p.get_mut(), g.get(), m.get_mut(), v.get_mut(), step);
        for (slot, g) in slots.iter_mut().zip(g.get()) {
            *slot = (case.reference)(*slot, f64::from(*g), step);
        }
    }
    let near = |got: f32, want: f64| (f64::from(got) - want).abs() <= 2e-6 * (1.0 + want.abs());
    for (i, slot) in slots.iter().enumerate() {
        let got = [p.get()[i], m.get()[i], v.get()[i]];
        let good = near(got[0], slot.p) && near(got[1], slot.m) && near(got[2], slot.v);
        assert!(good, "{} of {len} on {isa:?}, element {i}: {got:?}, want {slot:?}", case.name);
    }
    [&p, &m, &v].into_iter().for_each(Shifted::check_guards);
}

#[test]
fn four_steps_at_every_length() {
    for case in &CASES {
        for (len, shift) in lengths() {
            for isa in isas() {
                check(case, isa, len, shift);
            }
        }
    }
}

/// The reference against hand-checked first steps: Adam's moves every parameter by the learning rate, whatever the gradient.
#[test]
fn first_steps_by_hand() {
    for g in [-30.0, -0.01, 0.2, 7.0] {
        let o = Adam { eps: 0.0, ..Adam::default() };
        let slot = reference::adam(Slot { p: 1.0, ..Slot::default() }, g, &o);
        let moved = 1.0 - f64::from(o.lr) * f64::signum(g);
        assert!((slot.p - moved).abs() < 1e-12, "{slot:?}");
        let o = Adagrad { eps: 0.0, ..Adagrad::default() };
        let slot = reference::adagrad(Slot { p: 1.0, ..Slot::default() }, g, &o);
        assert!((slot.p - (1.0 - f64::from(o.lr) * f64::signum(g))).abs() < 1e-12, "{slot:?}");
    }
    let slot =
        reference::sgd(Slot { p: 1.0, m: 2.0, v: 0.0 }, 3.0, &Sgd { weight_decay: 0.0, lr: 0.5, momentum: 0.5, ..SGD });
    assert_eq!((slot.p, slot.m), (-1.0, 4.0));
}

/// Neither parameters nor moments are ever subnormal: they make a step many times slower.
#[test]
fn moments_never_become_subnormal() {
    for case in &CASES {
        for isa in isas() {
            let mut p = vec![0.5; 33];
            let (mut m, mut v) = (vec![1e-3; 33], vec![1e-6; 33]);
            // One gradient after which the unit is dead, then one so small that its square is subnormal.
            for step in 1..=4000 {
                let g = if step == 1 {
                    1e-2
                } else if step < 2000 {
                    0.0
                } else {
                    1e-21
                };
                (case.kernel)(isa, &mut p, &[g; 33], &mut m, &mut v, step);
                let subnormal = p.iter().chain(&m).chain(&v).any(|x| x.is_subnormal());
                assert!(!subnormal, "{} on {isa:?} at step {step}: {} {} {}", case.name, p[0], m[0], v[0]);
            }
        }
    }
}
