//! FANN nets against the C library: fixtures made by it (see `bench/golden/fann/README.md`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;

use mayfly_format::fann_net::{FannActivation, FannFile, FannTopology, FannVersion, Precision};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    net: String,
    decimal_point: Option<i32>,
    inputs: Vec<Vec<f64>>,
    outputs: Vec<Vec<f64>>,
    scaled_outputs: Option<Vec<Vec<f64>>>,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fann").join(name)
}

fn cases(name: &str) -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap();
    assert!(!cases.is_empty());
    cases
}

fn net(name: &str) -> FannFile {
    FannFile::read(golden(name)).unwrap()
}

/// The largest difference between what we compute and what the C library computed.
fn worst(got: impl Fn(&[f64]) -> Vec<f64>, inputs: &[Vec<f64>], want: &[Vec<f64>]) -> f64 {
    assert_eq!(inputs.len(), want.len());
    let mut worst = 0.0_f64;
    for (x, want) in inputs.iter().zip(want) {
        let got = got(x);
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!(g.is_finite());
            worst = worst.max((g - w).abs() / w.abs().max(1.0));
        }
    }
    worst
}

fn agree(cases: &[Case], precision: Precision, tolerance: f64) {
    for case in cases {
        let net = net(&case.net);
        let raw = worst(|x| net.run_f64(x, precision).unwrap(), &case.inputs, &case.outputs);
        assert!(raw <= tolerance, "{}: {raw:e}", case.net);
        if let Some(scaled) = &case.scaled_outputs {
            let worst = worst(|x| net.run_scaled(x, precision).unwrap(), &case.inputs, scaled);
            assert!(worst <= tolerance, "{} scaled: {worst:e}", case.net);
        }
    }
}

/// One unit in the last place of an f32 is 1.2e-7: the C library's own arithmetic is reproduced.
#[test]
fn the_float_build_computes_the_same() {
    agree(&cases("cases-float.json"), Precision::Single, 2e-7);
}

#[test]
fn the_double_build_computes_the_same() {
    agree(&cases("cases-double.json"), Precision::Double, 1e-14);
}

/// Evaluated in double precision, float nets are within the promised 1e-5. The one exception is ill conditioned: cascade training took its
/// weights to the library's limit of 1500, and the C library's own rounding errors are 1e-3.
#[test]
fn double_precision_is_close_enough_for_float_nets() {
    let (wild, tame): (Vec<_>, Vec<_>) =
        cases("cases-float.json").into_iter().partition(|c| c.net == "float-cascade-two-spiral.net");
    assert_eq!(wild.len(), 1);
    agree(&tame, Precision::Double, 1e-5);
    agree(&wild, Precision::Double, 2e-3);
}

/// The integer library rounds at every step and replaces sigmoids by piecewise linear functions, which differ by up to 0.02 for each layer.
#[test]
fn the_integer_build_computes_nearly_the_same() {
    for case in cases("cases-fixed.json") {
        let unit = 0.5_f64.powi(case.decimal_point.unwrap());
        let scale =
            |rows: &[Vec<f64>]| rows.iter().map(|r| r.iter().map(|x| x * unit).collect()).collect::<Vec<Vec<f64>>>();
        let net = net(&case.net);
        let worst = worst(|x| net.run_f64(x, Precision::Double).unwrap(), &scale(&case.inputs), &scale(&case.outputs));
        let tolerance = if case.net.contains("sigmoid") { 0.05 } else { 0.005 };
        assert!(worst <= tolerance, "{}: {worst}", case.net);
    }
}

#[test]
fn every_fixture_is_written_back_byte_for_byte() {
    let mut count = 0;
    for entry in fs::read_dir(golden("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "net") {
            let text = fs::read_to_string(&path).unwrap();
            let back = FannFile::read(&path).unwrap().to_text().unwrap();
            assert!(back == text, "{} is not the same when written back", path.display());
            count += 1;
        }
    }
    assert!(count >= 40, "only {count} fixtures");
}

/// `fann_save_to_fixed` in our hands: same rounding, same text.
#[test]
fn a_float_net_is_converted_to_fixed_point_as_fann_does() {
    let mut float = net("float-before-fixed-sigmoid.net");
    let fixed = net("fixed-sigmoid.net");
    assert!(matches!(fixed.version, FannVersion::Fixed20 { decimal_point: 10..=14 }));
    float.version = fixed.version;
    assert_eq!(float.to_text().unwrap(), fs::read_to_string(golden("fixed-sigmoid.net")).unwrap());
}

#[test]
fn every_activation_function_has_a_fixture() {
    // FANN 2.2, which made the fixtures, knows those up to Cos; `tests/fann_old.rs` has the later ones.
    for (code, &function) in
        FannActivation::ALL.iter().take_while(|f| f.code() <= FannActivation::Cos.code()).enumerate()
    {
        let net = net(&format!("float-activation-{code:02}.net"));
        assert!(net.neurons.iter().filter(|n| n.inputs > 0).all(|n| n.activation == function));
    }
}

#[test]
fn fields_are_what_the_generator_set() {
    let net = net("float-parameters.net");
    assert_eq!(net.version, FannVersion::Float21);
    assert_eq!(net.topology, FannTopology::Layered);
    assert_eq!((net.input_count(), net.output_count()), (2, 1));
    let (t, c) = (&net.training, &net.cascade);
    assert_eq!((t.learning_rate, t.learning_momentum), (0.123, 0.31));
    assert_eq!((t.quickprop_decay, t.quickprop_mu), (-0.0003, 1.6));
    assert_eq!((t.rprop_increase_factor, t.rprop_decrease_factor), (1.33, 0.44));
    assert_eq!((t.rprop_delta_min, t.rprop_delta_max, t.rprop_delta_zero), (0.000_002, 42.0, 0.2));
    assert_eq!(t.bit_fail_limit, f64::from(0.21_f32));
    assert_eq!((c.output_change_fraction, c.output_stagnation_epochs), (0.02, 13));
    assert_eq!((c.candidate_change_fraction, c.candidate_stagnation_epochs), (0.03, 14));
    assert_eq!((c.candidate_limit, c.weight_multiplier), (900.5, f64::from(0.45_f32)));
    assert_eq!((c.max_out_epochs, c.min_out_epochs, c.max_cand_epochs, c.min_cand_epochs), (151, 51, 152, 52));
    assert_eq!(c.num_candidate_groups, 3);
    assert_eq!(c.activation_functions, [FannActivation::Elliot, FannActivation::Cos, FannActivation::Gaussian]);
    assert_eq!(c.activation_steepnesses, [f64::from(0.3_f32), f64::from(0.9_f32)]);
}

/// What the C library gives a new net is what ours has.
#[test]
fn defaults_are_fanns() {
    let c = net("curve-xor.net");
    let ours = FannFile::layered(&[2, 3, 1]).unwrap();
    assert_eq!(c.training, ours.training);
    assert_eq!(c.cascade, ours.cascade);
    assert_eq!(c.layer_sizes, ours.layer_sizes);
    let shape = |net: &FannFile| net.connections.iter().map(|c| c.source).collect::<Vec<_>>();
    assert_eq!(shape(&c), shape(&ours));
    let c = net("float-shortcut.net");
    let ours = FannFile::shortcut(&[4, 5, 3, 2]).unwrap();
    assert_eq!(shape(&c), shape(&ours));
    assert_eq!(c.layer_sizes, ours.layer_sizes);
}

/// Fixed-seed noise, so that the written fixtures never change.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1_u32 << 23) - 1.0
    }
}

/// A net of our own making. The C library cannot tell float files from double ones; the weights can.
fn written(topology: FannTopology, sparse: bool, single: bool) -> FannFile {
    let mut net = match topology {
        FannTopology::Layered => FannFile::layered(&[3, 5, 4, 2]).unwrap(),
        FannTopology::Shortcut => FannFile::shortcut(&[3, 2, 1, 2]).unwrap(),
    };
    let mut noise = Noise(net.connections.len() as u64);
    let round = |x: f64| if single { f64::from(x as f32) } else { x };
    if sparse {
        drop_connections(&mut net);
    }
    for (i, neuron) in net.neurons.iter_mut().enumerate().filter(|(_, n)| n.inputs > 0) {
        neuron.activation = FannActivation::ALL[i % FannActivation::ALL.len()];
        neuron.steepness = round(0.2 + 0.1 * (i % 7) as f64);
    }
    for connection in &mut net.connections {
        connection.weight = round(noise.next() * 2.0);
    }
    net.training.learning_rate = 0.25;
    net.cascade.activation_functions.truncate(2);
    net
}

/// Leaves every second connection, and the rate that goes with it.
fn drop_connections(net: &mut FannFile) {
    let kept: Vec<Vec<_>> = net.connections_by_neuron().map(|all| all.iter().copied().step_by(2).collect()).collect();
    for (neuron, kept) in net.neurons.iter_mut().zip(&kept) {
        neuron.inputs = kept.len() as u32;
    }
    net.connections = kept.concat();
    net.connection_rate = 0.5;
}

fn all_written() -> Vec<(String, FannFile)> {
    let kinds = [
        ("layered", FannTopology::Layered, false),
        ("sparse", FannTopology::Layered, true),
        ("shortcut", FannTopology::Shortcut, false),
    ];
    let builds = [("float", true), ("double", false)];
    let one = |(build, single): (&str, bool), (kind, topology, sparse): (&str, FannTopology, bool)| {
        (format!("written-{build}-{kind}.net"), written(topology, sparse, single))
    };
    builds.iter().flat_map(|&b| kinds.iter().map(move |&k| one(b, k))).collect()
}

/// The committed files are exactly what our writer makes (`MAYFLY_BLESS=1` makes them); the C library has read and run them,
/// and saved the same bytes again: see the README of the generator.
#[test]
fn written_nets_are_the_ones_that_the_c_library_checked() {
    for (name, net) in all_written() {
        let text = net.to_text().unwrap();
        if std::env::var_os("MAYFLY_BLESS").is_some() {
            net.write(golden(&name)).unwrap();
        }
        assert!(fs::read_to_string(golden(&name)).unwrap() == text, "{name}");
    }
    agree(&cases("cases-written-float.json"), Precision::Single, 2e-7);
    agree(&cases("cases-written-double.json"), Precision::Double, 1e-14);
}
