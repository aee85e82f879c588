//! FANN's activations, error functions and weight updates against values from its C library (2.2.0, float build).
//! `bench/golden/fann_kernels.c` made the files.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::{Act, FannAct, FannError, FannSpan, Loss, Saves, reference};
use support::{golden, isas};

fn f32s(row: &[String], from: usize) -> Vec<f32> {
    row[from..].iter().map(|v| v.parse().unwrap()).collect()
}

fn act_of(row: &[String]) -> FannAct {
    FannAct::by_number(row[0].parse().unwrap()).unwrap()
}

#[test]
fn activations_and_derivatives() {
    let rows = golden("fann_activations.csv");
    assert_eq!(rows.len(), 18 * 4 * 68);
    for row in &rows {
        let (act, [steepness, x, value, derivative]) = (act_of(row), f32s(row, 1)[..4].try_into().unwrap());
        for isa in isas() {
            let (mut y, mut dx) = ([0.0; 3], [0.0; 3]);
            k::act_fwd(isa, Act::Fann(act, steepness), &mut y, &[x; 3]);
            let saved = if act.saves() == Saves::Output { [value; 3] } else { [x; 3] };
            k::act_bwd(isa, Act::Fann(act, steepness), &mut dx, &[1.0; 3], &saved);
            let near = |got: f32, want: f32| (got - want).abs() <= 3e-7 * (1.0 + want.abs());
            assert!(near(y[0], value), "{act:?}({x}; {steepness}) on {isa:?}: {}, FANN {value}", y[0]);
            // The angle of the sines' derivatives is rounded twice, at up to 600.
            let slack = if matches!(act.number(), 14..=17) { 1e-4 } else { 1e-6 };
            let near = (dx[0] - derivative).abs() <= slack * (1.0 + derivative.abs());
            assert!(near, "{act:?}'({x}; {steepness}) on {isa:?}: {}, FANN {derivative}", dx[0]);
        }
        let want = f64::from(value);
        let reference = reference::act(Act::Fann(act, steepness), f64::from(x));
        assert!(
            (reference - want).abs() < 2e-5 * (1.0 + want.abs()),
            "{act:?}({x}): reference {reference}, FANN {want}"
        );
    }
}

#[test]
fn error_functions() {
    let rows = golden("fann_errors.csv");
    assert_eq!(rows.len(), 160);
    for row in &rows {
        let [pred, target, slope, squared, bit_fail] = f32s(row, 2)[..5].try_into().unwrap();
        let error = if row[0] == "0" { FannError::Linear } else { FannError::Tanh };
        let span = if row[1] == "0" { FannSpan::Unit } else { FannSpan::Symmetric };
        let loss = Loss::Fann { error, span };
        for isa in isas() {
            let mut d = [0.0; 5];
            k::loss_bwd(isa, &loss, &mut d, &[1.0; 5], &[pred; 5], &[target; 5], 5, 1);
            // A relative error where the logarithm's argument has one: half a unit of a difference near ±1.
            let near = (-d[0] - slope).abs() <= 1e-6 * (1.0 + slope.abs());
            assert!(near, "{loss:?} of {pred} for {target} on {isa:?}: {}, FANN {slope}", -d[0]);
        }
        let measure = k::fann_measure(&[pred], &[target], span, 0.35);
        assert_eq!((measure.squared as f32, measure.bit_fail as f32), (squared, bit_fail));
    }
}

const WEIGHTS: usize = 37;

/// One epoch of a golden run: slopes, noise, mean square error, and the state after it.
struct Epoch {
    gradient: Vec<f32>,
    noise: f32,
    mse: f32,
    weights: Vec<f32>,
    steps: Vec<f32>,
    slopes: Vec<f32>,
}

fn epochs(algorithm: &str) -> Vec<Epoch> {
    let rows = golden("fann_updates.csv").into_iter().filter(|row| row[0] == algorithm).collect::<Vec<_>>();
    assert_eq!(rows.len(), 13 * WEIGHTS);
    let epoch = |rows: &[Vec<String>]| {
        let column = |at: usize| rows.iter().map(|row| row[at].parse::<f32>().unwrap()).collect::<Vec<_>>();
        Epoch {
            gradient: column(3).iter().map(|slope| -slope).collect(),
            noise: column(4)[0],
            mse: column(5)[0],
            weights: column(6),
            steps: column(7),
            slopes: column(8),
        }
    };
    rows.chunks(WEIGHTS).map(epoch).collect()
}

/// Runs an update through the golden epochs; every state must be FANN's to the last bit.
fn follow(algorithm: &str, mut update: impl FnMut(u32, &Epoch, &mut [f32], &mut [f32], &mut [f32])) {
    let epochs = epochs(algorithm);
    let (mut w, mut step, mut prev) = (epochs[0].weights.clone(), epochs[0].steps.clone(), epochs[0].slopes.clone());
    for (i, epoch) in epochs.iter().enumerate().skip(1) {
        update(i as u32 - 1, epoch, &mut w, &mut prev, &mut step);
        // Equality of numbers, not of bits: the signs of zeros are free.
        assert_eq!(w, epoch.weights, "{algorithm}: weights after epoch {i}");
        assert_eq!(step, epoch.steps, "{algorithm}: steps after epoch {i}");
        assert_eq!(prev, epoch.slopes, "{algorithm}: slopes after epoch {i}");
    }
}

#[test]
fn batch() {
    for isa in isas() {
        follow("batch", |_, epoch, w, _, _| k::fann_batch(isa, w, &epoch.gradient, 0.7, 150));
    }
}

#[test]
fn quickprop() {
    for isa in isas() {
        let update = |_, epoch: &Epoch, w: &mut [f32], prev: &mut [f32], step: &mut [f32]| {
            k::quickprop(isa, w, &epoch.gradient, prev, step, 150, &k::Quickprop::default());
        };
        follow("quickprop", update);
    }
}

#[test]
fn irprop_minus() {
    let initial = epochs("irprop")[0].steps.clone();
    assert!(initial.iter().all(|step| *step == k::Rprop::default().delta_zero));
    for isa in isas() {
        let update = |_, epoch: &Epoch, w: &mut [f32], prev: &mut [f32], step: &mut [f32]| {
            k::irprop_minus(isa, w, &epoch.gradient, prev, step, &k::Rprop::default());
        };
        follow("irprop", update);
    }
}

#[test]
fn sarprop() {
    follow("sarprop", |number, epoch, w, prev, step| {
        let options = k::Sarprop::default();
        k::sarprop(w, &epoch.gradient, prev, step, number, epoch.mse, &options, |_| epoch.noise);
    });
}

#[test]
fn incremental_is_momentum_descent() {
    let options = k::FannIncremental { learning_rate: 0.7, learning_momentum: 0.4 };
    for isa in isas() {
        let (mut w, mut delta) = (vec![0.5f32; 19], vec![0.0f32; 19]);
        let (mut want, mut want_delta) = (0.5f32, 0.0f32);
        for g in [0.3f32, -1.1, 0.25, 0.0] {
            k::fann_incremental(isa, &mut w, &[g; 19], &mut delta, &options);
            want_delta = 0.4 * want_delta - g * 0.7;
            want += want_delta;
            assert_eq!((w[18], delta[18]), (want, want_delta));
        }
    }
}
