//! Cascade training on problems that are known to be hard for fixed networks.
use mayfly_format::fann_net::{FannFile, Precision};
use mayfly_nn::fann::{Cascade, Cascaded};
use mayfly_nn::*;

/// The two-spirals problem (Lang and Witbrock 1988): 194 points on two interlocking spirals, three turns each.
fn two_spirals() -> InMemory {
    InMemory::from_rows((0..97).flat_map(|i| {
        let (angle, radius) = (i as f32 * std::f32::consts::PI / 16.0, 6.5 * (104 - i) as f32 / 104.0);
        let (x, y) = (radius * angle.sin(), radius * angle.cos());
        [([x, y], [1.0f32]), ([-x, -y], [-1.0])]
    }))
    .unwrap()
}

fn parity(bits: u32) -> InMemory {
    InMemory::from_rows((0..1u32 << bits).map(|n| {
        let x: Vec<f32> = (0..bits).map(|b| if n >> b & 1 == 1 { 1.0 } else { -1.0 }).collect();
        (x, [if n.count_ones() % 2 == 1 { 1.0f32 } else { -1.0 }])
    }))
    .unwrap()
}

fn config(seed: u64) -> Cascade {
    Cascade { stop: Some(StopAt::BitFail { limit: 0.35, fails: 0 }), seed, ..Cascade::default() }
}

fn grow(config: &Cascade, data: &InMemory) -> Cascaded {
    config.train(data, None, &mut |_| Control::Continue).unwrap()
}

/// Rows on the wrong side of zero.
fn wrong(network: &Network, data: &InMemory) -> usize {
    let y = network.predict(data.inputs()).unwrap();
    y.iter().zip(data.targets()).filter(|(y, t)| !(*y * *t > 0.0)).count()
}

#[test]
fn two_spirals_are_told_apart() {
    let data = two_spirals();
    for seed in 1..=3 {
        let found = grow(&config(seed), &data);
        assert_eq!(wrong(&found.network, &data), 0, "seed {seed}: {:?}", found.best);
        assert!(found.best.neurons <= 30);
    }
}

#[test]
fn parity_is_learnt() {
    for bits in [2, 8] {
        let found = grow(&config(1), &parity(bits));
        assert_eq!(wrong(&found.network, &parity(bits)), 0, "{bits} bits: {:?}", found.best);
    }
}

#[test]
fn the_same_seed_grows_the_same_network() {
    let data = parity(4);
    let (a, b) = (grow(&config(7), &data), grow(&config(7), &data));
    assert_eq!(a.network.params(), b.network.params());
    assert_eq!(a.network.spec(), b.network.spec());
    let c = grow(&config(8), &data);
    assert!(a.network.params() != c.network.params());
}

#[test]
fn what_grew_is_a_shortcut_network_of_fann() {
    let data = two_spirals();
    let found = grow(&Cascade { max_neurons: 6, ..config(2) }, &data);
    let file = fann::to_file(&Model::new(found.network.clone())).unwrap();
    let file = FannFile::parse("grown.net", file.to_text().unwrap().as_bytes()).unwrap();
    for x in data.inputs().chunks_exact(2) {
        let (ours, theirs) = (found.network.predict(x).unwrap(), file.run(x, Precision::Double).unwrap());
        let off = (ours[0] - theirs[0]).abs();
        assert!(off < 1e-3, "{ours:?} {theirs:?}");
    }
}

#[test]
fn reports_tell_the_truth() {
    let data = parity(3);
    let (train, held) = (data.clone(), data);
    let mut reports = Vec::new();
    let config = Cascade { max_neurons: 4, stop: None, ..config(1) };
    let found = config
        .train(&train, Some(&held), &mut |r| {
            reports.push(r.clone());
            Control::Continue
        })
        .unwrap();
    assert!(reports.iter().enumerate().all(|(i, r)| r.neurons == i && (r.installed.is_some() == (i > 0))));
    assert!(reports.iter().all(|r| (r.validation_mse.unwrap() - r.mse).abs() < 1e-6), "the same rows");
    let best = reports.iter().map(|r| r.validation_mse.unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(found.best.validation_mse.unwrap(), best);
    // FANN's figure of the network itself: differences halved for a symmetric output.
    let y = found.network.predict(held.inputs()).unwrap();
    let mse = y.iter().zip(held.targets()).map(|(y, t)| f64::from(y - t).powi(2) / 4.0).sum::<f64>() / y.len() as f64;
    assert!((mse - best).abs() < 1e-6, "{mse} {best}");
}

#[test]
fn an_infinite_error_of_the_validation_rows_ends_nothing_and_is_never_the_best() {
    let data = parity(3);
    let targets = data.targets().iter().enumerate().map(|(i, t)| if i == 0 { 1e30 } else { *t }).collect();
    let held = InMemory::new(3, 1, data.inputs().to_vec(), targets).unwrap();
    let config = Cascade { max_neurons: 10, patience: 2, stop: None, ..config(1) };
    let mut reports = Vec::new();
    let found = config
        .train(&data, Some(&held), &mut |r| {
            reports.push(r.clone());
            Control::Continue
        })
        .unwrap();
    assert!(reports.iter().all(|r| r.validation_mse == Some(f64::INFINITY) && !r.is_best));
    assert_eq!((reports.len(), found.best.neurons), (3, 2), "patience ran out; the newest network is kept");
}

/// The error of the network that is reported and kept is the lowest that training its outputs came to.
#[test]
fn outputs_keep_the_weights_of_the_lowest_error() {
    let data = parity(3);
    let long = |max_epochs| fann::Stagnation { epochs: 1000, max_epochs, ..fann::Stagnation::default() };
    let mse = |epochs| {
        let config = Cascade { max_neurons: 2, stop: None, outputs: long(epochs), candidates: long(60), ..config(3) };
        let mut first = None;
        let mut see = |r: &fann::CascadeReport| {
            first.get_or_insert(r.mse);
            Control::Stop
        };
        config.train(&data, None, &mut see).unwrap();
        first.unwrap()
    };
    let all: Vec<f64> = (1..60).map(mse).collect();
    assert!(all.windows(2).all(|w| w[1] <= w[0]), "more epochs never end at a higher error: {all:?}");
}

#[test]
fn a_stop_is_a_stop() {
    let found = config(1).train(&two_spirals(), None, &mut |_| Control::Stop).unwrap();
    assert_eq!(found.best.neurons, 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let none = |_: &fann::CascadeReport| Control::Continue;
    let bad = InMemory::from_rows([([1.0, f32::NAN], [1.0f32])]).unwrap();
    let error = config(1).train(&bad, None, &mut none.clone()).unwrap_err();
    assert!(matches!(error, NnError::Diverged { cause: Divergence::Input { row: 0, column: 1, .. }, .. }), "{error}");
    let data = parity(2);
    for bad in [
        Cascade { algorithm: Algorithm::Sgd(Sgd::default()), ..config(1) },
        Cascade { functions: Vec::new(), ..config(1) },
        Cascade { steepnesses: vec![0.0], ..config(1) },
        Cascade { output: Activation::Softmax, ..config(1) },
    ] {
        assert!(matches!(bad.train(&data, None, &mut none.clone()), Err(NnError::Option { .. })));
    }
    let error = config(1).train(&data, Some(&parity(3)), &mut none.clone()).unwrap_err();
    assert!(matches!(error, NnError::DataShape { want: 2, got: 3, .. }), "{error}");
}
