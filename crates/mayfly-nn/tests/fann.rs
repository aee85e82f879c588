//! FANN's files as networks: the C library's own outputs, and files that come back.
use mayfly_format::fann_net::{FannFile, FannTopology, Precision};
use mayfly_format::testdata;
use mayfly_nn::*;
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Case {
    net: String,
    inputs: Vec<Vec<f32>>,
    outputs: Vec<Vec<f32>>,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mayfly-format/tests/golden/fann").join(name)
}

fn cases(name: &str) -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(golden(name)).unwrap()).unwrap()
}

fn worst(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    // Not `fold(max)` over a NaN: that would swallow it.
    got.iter().zip(want).map(|(g, w)| (g - w).abs() / w.abs().max(1.0)).fold(0.0, |m, d| if d <= m { m } else { d })
}

/// 1e-5, except where FANN's own float and double arithmetic are further apart: cascade training lets weights grow to ±1500,
/// and then rounding alone moves the outputs.
fn tolerance(case: &Case) -> f32 {
    let file = FannFile::read(golden(&case.net)).unwrap();
    let apart =
        |x: &Vec<f32>| worst(&file.run(x, Precision::Single).unwrap(), &file.run(x, Precision::Double).unwrap());
    let rounding = case.inputs.iter().map(apart).fold(0.0, f32::max);
    if case.net.contains("cascade") { (4.0 * rounding).max(1e-5) } else { 1e-5 }
}

#[test]
fn the_tolerance_refuses() {
    assert!(worst(&[0.0], &[2e-5]) > 1e-5);
    assert!(!(worst(&[f32::NAN], &[0.0]) <= 1e-5));
    assert!(worst(&[1.0], &[1.0]) == 0.0);
}

#[test]
fn outputs_are_those_of_the_c_library() {
    let mut count = 0;
    for file in ["cases-float.json", "cases-double.json"] {
        for case in cases(file) {
            let tolerance = tolerance(&case);
            let model = fann::read(golden(&case.net)).unwrap();
            for (x, want) in case.inputs.iter().zip(&case.outputs) {
                let got = model.predict(x).unwrap();
                let off = worst(&got, want);
                assert!(off <= tolerance, "{}: {got:?} for {want:?}, off by {off}", case.net);
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn files_come_back_as_they_were() {
    for case in cases("cases-float.json") {
        let tolerance = tolerance(&case);
        let file = FannFile::read(golden(&case.net)).unwrap();
        let again = fann::to_file(&fann::from_file(&file).unwrap()).unwrap();
        assert_eq!((again.topology, &again.layer_sizes), (file.topology, &file.layer_sizes), "{}", case.net);
        assert_eq!((&again.training, &again.cascade, &again.scaling), (&file.training, &file.cascade, &file.scaling));
        assert_eq!(again.connections.len(), file.connections.len(), "{}", case.net);
        for (x, want) in case.inputs.iter().zip(&case.outputs) {
            let got = again.run(x, Precision::Single).unwrap();
            assert!(worst(&got, want) <= tolerance, "{}", case.net);
        }
    }
}

#[test]
fn models_keep_what_fann_knows() {
    let model = fann::read(golden("float-scaled.net")).unwrap();
    let path = std::env::temp_dir().join(format!("mayfly-fann-{}.mayfly", std::process::id()));
    model.save(&path).unwrap();
    let again = Model::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(fann::to_file(&again).unwrap(), fann::to_file(&model).unwrap());
    assert!(fann::to_file(&again).unwrap().scaling.is_some());
}

/// A network of ours, evaluated by the reference from its FANN file.
fn agrees(network: &Network) {
    let file = fann::to_file(&Model::new(network.clone())).unwrap();
    let file = FannFile::parse("again.net", file.to_text().unwrap().as_bytes()).unwrap();
    for seed in 0..20 {
        let x: Vec<f32> = (0..network.input_len()).map(|i| ((seed * 31 + i * 17) % 13) as f32 / 6.5 - 1.0).collect();
        let want = network.predict(&x).unwrap();
        let got = file.run(&x, Precision::Single).unwrap();
        assert!(worst(&got, &want) <= 1e-5, "{got:?} for {want:?}");
    }
}

#[test]
fn our_networks_become_fanns() {
    let spec = NetworkSpec::dense(5, &[7, 4], Act::Tanh.into(), 3, Activation::fann(FannAct::Sigmoid));
    agrees(&Network::new(spec, 3).unwrap());
    let spec = NetworkSpec::new(&[4])
        .with(Dense::new(6, Act::Sigmoid).without_bias())
        .with(Dropout { p: 0.5 })
        .with(Dense::new(3, Activation::IDENTITY))
        .with(Activation::from(Act::Tanh));
    agrees(&Network::new(spec, 3).unwrap());
    let spec = NetworkSpec::new(&[3])
        .with(Dense::new(2, Act::Tanh).reading_all())
        .with(Dense::new(1, Act::Sin).reading_all())
        .with(Dense::new(2, Activation::fann(FannAct::Elliot)).reading_all());
    let network = Network::new(spec, 5).unwrap();
    assert_eq!(fann::to_file(&Model::new(network.clone())).unwrap().topology, FannTopology::Shortcut);
    agrees(&network);
}

#[test]
fn absent_connections_stay_absent() {
    let spec = NetworkSpec::dense(6, &[5], Act::Tanh.into(), 2, Activation::IDENTITY);
    let whole = Network::new(spec.clone(), 1).unwrap();
    let mask = Mask::new((0..whole.params().len()).map(|i| i % 3 != 1 || i >= 30));
    let sparse = Network::from_parts(spec, whole.params(), Some(mask.clone())).unwrap();
    agrees(&sparse);
    let again = fann::from_file(&fann::to_file(&Model::new(sparse)).unwrap()).unwrap();
    assert_eq!(again.network.mask(), Some(&mask));
}

#[test]
fn what_fann_has_not_is_refused_by_name() {
    let refused = |spec: NetworkSpec| match fann::to_file(&Model::new(Network::new(spec, 1).unwrap())) {
        Err(NnError::LayerSpec { layer, what }) => format!("{layer}: {what}"),
        other => panic!("{other:?}"),
    };
    let text = refused(NetworkSpec::dense(4, &[3], Act::Relu.into(), 2, Activation::IDENTITY));
    assert!(text.contains("layers.0") && text.contains("relu"), "{text}");
    let text = refused(NetworkSpec::dense(4, &[3], Act::Tanh.into(), 2, Activation::Softmax));
    assert!(text.contains("layers.1") && text.contains("softmax"), "{text}");
    let mixed = NetworkSpec::new(&[3])
        .with(Dense::new(2, Act::Tanh))
        .with(Dense::new(2, Act::Tanh).reading_all())
        .with(Dense::new(1, Act::Tanh));
    assert!(refused(mixed).contains("layers."));
}

/// Training of one column of a curve file, as FANN's defaults have it.
fn training(column: &str) -> TrainConfig {
    let algorithm = match column.split('_').next().unwrap() {
        "rprop" => Algorithm::Rprop(Rprop::default()),
        "quickprop" => Algorithm::Quickprop(Quickprop::default()),
        "batch" => Algorithm::Batch(Batch::default()),
        _ if column.ends_with("momentum") => {
            Algorithm::Incremental(Incremental { learning_momentum: 0.3, ..Incremental::default() })
        }
        _ => Algorithm::Incremental(Incremental::default()),
    };
    let error = if column.ends_with("linear_error") { FannError::Linear } else { FannError::Tanh };
    TrainConfig { loss: Loss::Fann { error }, shuffle: false, ..TrainConfig::new(algorithm) }
}

fn fann_data(name: &str) -> Option<InMemory> {
    let path = testdata::find(&format!("fann/{name}"))?;
    let text = std::fs::read_to_string(path).unwrap();
    let mut numbers = text.split_ascii_whitespace().map(|v| v.parse::<f32>().unwrap());
    let mut count = || numbers.next().unwrap() as usize;
    let (rows, inputs, outputs) = (count(), count(), count());
    let (mut x, mut t) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        x.extend(numbers.by_ref().take(inputs));
        t.extend(numbers.by_ref().take(outputs));
    }
    Some(InMemory::new(inputs, outputs, x, t).unwrap())
}

/// The largest relative distance from the C library's curve, over its epochs.
fn follow(name: &str, data: &InMemory, column: &str, want: &[f64]) -> f64 {
    let network = fann::read(golden(&format!("curve-{name}.net"))).unwrap().network;
    let mut trainer = Trainer::new(network, training(column)).unwrap();
    let mut data = data.clone();
    want.iter()
        .map(|want| {
            let mse = trainer.epoch(&mut data, None).unwrap().mse.unwrap();
            (mse - want).abs() / want
        })
        .fold(0.0, |most, off| if off <= most { most } else { off })
}

#[test]
fn training_follows_the_curves_of_the_c_library() {
    for (name, file) in [("xor", "xor.data"), ("thyroid", "thyroid.train"), ("robot", "robot.train")] {
        let Some(data) = fann_data(file) else { return };
        let text = std::fs::read_to_string(golden(&format!("curve-{name}.csv"))).unwrap();
        let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let rows: Vec<Vec<f64>> = lines.map(|l| l.iter().map(|v| v.parse().unwrap()).collect()).collect();
        assert_eq!(rows.len(), 20);
        for (at, column) in header.iter().enumerate().skip(1) {
            let want: Vec<f64> = rows.iter().map(|r| r[at]).collect();
            let off = follow(name, &data, column, &want);
            println!("{name} {column}: off by {:.4} %", off * 100.0);
            assert!(off <= 0.01, "{name} {column}: off by {:.2} %", off * 100.0);
        }
    }
}
