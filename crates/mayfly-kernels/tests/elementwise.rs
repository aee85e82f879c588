//! Activations, their derivatives, and the other functions of single elements.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::{Act, Binary, FannAct, Saves, reference};
use support::{Numbers, Shifted, assert_close, assert_same_bits, isas, lengths};

/// Every activation, also with parameters other than the defaults.
fn acts() -> Vec<Act> {
    let more = [
        Act::LeakyRelu { slope: 0.3 },
        Act::LeakyRelu { slope: -0.2 },
        Act::Elu { alpha: 0.7 },
        Act::Elu { alpha: -0.5 },
        Act::Affine { mul: -2.5, add: 0.75 },
        Act::Clamp { lo: -0.3, hi: 1.2 },
    ];
    let fann = FannAct::ALL.into_iter().flat_map(|act| [0.25, 1.0, 2.3].map(|k| Act::Fann(act, k)));
    Act::all().chain(more).chain(fann).collect()
}

/// Arguments inside the function's domain.
fn arguments(act: Act, len: usize, numbers: &mut Numbers) -> Vec<f32> {
    match act {
        Act::Log | Act::Sqrt | Act::Reciprocal => numbers.vec(len, 0.01, 9.0),
        _ => numbers.vec(len, -6.0, 6.0),
    }
}

#[test]
fn act_fwd_at_every_length() {
    let mut numbers = Numbers::new(1);
    for act in acts() {
        for (len, shift) in lengths() {
            let x = Shifted::new(&arguments(act, len, &mut numbers), shift);
            let mut want = vec![0.0; len];
            reference::act_fwd(act, &mut want, x.get());
            for isa in isas() {
                let mut y = Shifted::output(len, (shift + 3) % 16);
                k::act_fwd(isa, act, y.get_mut(), x.get());
                assert_close(&format!("{act:?} of {len} on {isa:?}"), y.get(), &want, 2e-6, 1e-6);
                y.check_guards();
                let mut z = Shifted::new(x.get(), shift);
                k::act_inplace(isa, act, z.get_mut());
                assert_same_bits("in place", z.get(), y.get());
                z.check_guards();
            }
        }
    }
}

#[test]
fn act_bwd_at_every_length() {
    let mut numbers = Numbers::new(2);
    for act in acts() {
        for (len, shift) in lengths() {
            let x = arguments(act, len, &mut numbers);
            let dy = Shifted::new(&numbers.vec(len, -1.0, 1.0), shift);
            let saved = x.iter().map(|x| reference::saved(act, *x)).collect::<Vec<_>>();
            let saved = Shifted::new(&saved, (shift + 5) % 16);
            let mut want = vec![0.0; len];
            reference::act_bwd(act, &mut want, dy.get(), &x);
            // Derivatives from a saved output carry its rounding: relative to what it is near a branch.
            let relative = if act == Act::Softplus { 3e-5 } else { 4e-6 };
            for isa in isas() {
                let mut dx = Shifted::output(len, (shift + 9) % 16);
                k::act_bwd(isa, act, dx.get_mut(), dy.get(), saved.get());
                assert_close(&format!("d{act:?} of {len} on {isa:?}"), dx.get(), &want, 5e-6, relative);
                dx.check_guards();
                if act.saves() == Saves::Nothing {
                    let mut without = vec![0.0; len];
                    k::act_bwd(isa, act, &mut without, dy.get(), &[]);
                    assert_same_bits("without a saved slice", &without, dx.get());
                }
            }
        }
    }
}

/// The reference derivatives themselves, against differences; FANN's own are checked against FANN.
#[test]
fn reference_derivatives_are_slopes() {
    let mut numbers = Numbers::new(3);
    for act in acts().into_iter().filter(|act| !matches!(act, Act::Fann(..))) {
        for x in arguments(act, 400, &mut numbers) {
            let (x, h) = (f64::from(x), 1e-5);
            let slope = (reference::act(act, x + h) - reference::act(act, x - h)) / (2.0 * h);
            let got = reference::act_derivative(act, x);
            assert!((slope - got).abs() < 1e-4 * (1.0 + slope.abs()), "{act:?} at {x}: {got}, slope {slope}");
        }
    }
}

#[test]
fn act_is_finite_where_it_should_be() {
    let extremes = [-3.4e38, -1e10, -700.0, -104.0, -89.0, -20.0, 20.0, 89.0, 104.0, 700.0, 1e10, 3.4e38f32];
    let bounded =
        [Act::Gelu, Act::GeluTanh, Act::Silu, Act::Mish, Act::Softplus, Act::Elu { alpha: 1.0 }, Act::HardSwish];
    for isa in isas() {
        for act in bounded {
            let (mut y, mut dx) = ([0.0; 12], [0.0; 12]);
            k::act_fwd(isa, act, &mut y, &extremes);
            let saved = if act.saves() == Saves::Output { y } else { extremes };
            k::act_bwd(isa, act, &mut dx, &[1.0; 12], &saved);
            for i in 0..12 {
                let positive = extremes[i] > 0.0;
                let want = if positive { extremes[i] } else { y[i].clamp(-1.0, 1e-6) };
                let near = y[i] == want || (y[i] - want).abs() <= 1e-6 * want.abs() || act == Act::HardSwish;
                assert!(near, "{act:?}({}) on {isa:?} is {}", extremes[i], y[i]);
                let slope = f32::from(u8::from(positive));
                assert!((dx[i] - slope).abs() < 1e-5, "{act:?}'({}) on {isa:?} is {}", extremes[i], dx[i]);
            }
        }
    }
}

#[test]
fn nan_stays_nan() {
    for isa in isas() {
        for act in acts() {
            let constant = matches!(
                act,
                Act::Fann(FannAct::Threshold | FannAct::ThresholdSymmetric | FannAct::GaussianStepwise, _)
                    | Act::Fann(FannAct::SigmoidStepwise | FannAct::SigmoidSymmetricStepwise, _)
            );
            let mut y = [f32::NAN; 19];
            k::act_inplace(isa, act, &mut y);
            assert!(constant || y.iter().all(|y| y.is_nan()), "{act:?} on {isa:?}: {y:?}");
        }
    }
}

#[test]
fn binary_at_every_length() {
    let mut numbers = Numbers::new(4);
    let ops = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Min,
        Binary::Max,
        Binary::Greater,
        Binary::GreaterEqual,
        Binary::Pow,
    ];
    for (op, (len, shift)) in ops.into_iter().flat_map(|op| lengths().map(move |l| (op, l))) {
        let a = Shifted::new(&numbers.vec(len, 0.1, 3.0), shift);
        for width in [len, 1, if len % 3 == 0 { len / 3 } else { len }] {
            let b = Shifted::new(&numbers.vec(width, 0.1, 3.0), (shift + 1) % 16);
            let b = if len == 0 { &[] } else { b.get() };
            let pairs = a.get().iter().zip(b.iter().cycle());
            let want =
                pairs.map(|(a, b)| reference::binary(op, f64::from(*a), f64::from(*b)) as f32).collect::<Vec<_>>();
            for isa in isas() {
                let mut y = Shifted::output(len, (shift + 7) % 16);
                k::binary_fwd(isa, op, y.get_mut(), a.get(), b);
                assert_close(&format!("{op:?} {len} {width} on {isa:?}"), y.get(), &want, 0.0, 3e-7);
                y.check_guards();
            }
        }
    }
}

#[test]
fn updates_at_every_length() {
    let mut numbers = Numbers::new(5);
    for (len, shift) in lengths() {
        let (x, y0) = (Shifted::new(&numbers.vec(len, -1.0, 1.0), shift), numbers.vec(len, -1.0, 1.0));
        for isa in isas() {
            let mut sum = Shifted::new(&y0, (shift + 2) % 16);
            k::add_acc(isa, sum.get_mut(), x.get());
            let want = y0.iter().zip(x.get()).map(|(y, x)| y + x).collect::<Vec<_>>();
            assert_same_bits("add_acc", sum.get(), &want);
            sum.check_guards();
            k::axpy(isa, sum.get_mut(), -1.5, x.get());
            let want = want.iter().zip(x.get()).map(|(y, x)| y - 1.5 * x).collect::<Vec<_>>();
            assert_close("axpy", sum.get(), &want, 3e-7, 0.0);
            sum.check_guards();
            let mut scaled = Shifted::new(&y0, shift);
            k::scale(isa, scaled.get_mut(), 0.3);
            assert_same_bits("scale", scaled.get(), &y0.iter().map(|y| y * 0.3).collect::<Vec<_>>());
            scaled.check_guards();
            k::fill(isa, scaled.get_mut(), 4.0);
            assert!(scaled.get().iter().all(|y| *y == 4.0));
        }
    }
}

/// Neither the alignment of a slice nor its neighbours change a bit.
#[test]
fn results_do_not_depend_on_alignment() {
    let x = Numbers::new(6).vec(100, -8.0, 8.0);
    for isa in isas() {
        for act in acts() {
            let mut first = vec![0.0; 100];
            k::act_fwd(isa, act, &mut first, &x);
            for shift in 0..16 {
                let (x, mut y) = (Shifted::new(&x, shift), Shifted::output(100, (7 * shift) % 16));
                k::act_fwd(isa, act, y.get_mut(), x.get());
                assert_same_bits("alignment", y.get(), &first);
            }
        }
    }
}

#[test]
fn names_and_parameters_round_trip() {
    for act in acts() {
        let again = Act::by_name(act.name()).unwrap().with_params(&act.params()).unwrap();
        assert_eq!(again, act);
    }
    assert_eq!(Act::by_name("no such thing"), Err(k::ActError::UnknownName));
    let wrong = Act::Relu.with_params(&[1.0]);
    assert_eq!(wrong, Err(k::ActError::ParamCount { name: "relu", want: 0, got: 1 }));
    for (number, act) in FannAct::ALL.into_iter().enumerate() {
        assert_eq!(FannAct::by_number(number as u32), Some(act));
        assert_eq!(FannAct::by_name(act.name()), Some(act));
    }
    assert_eq!(FannAct::by_number(20), None);
}
