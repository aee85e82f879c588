//! Every layer and activation as ONNX: the files that ONNX Runtime computed from, byte for byte, and what it computed.
//!
//! After a change that is meant: `MAYFLY_GOLDEN=write cargo test -p mayfly-nn --test onnx_export`, then `python bench/golden/onnx/export.py`.
mod common;
mod onnx_common;

use common::{inputs, networks, values};
use mayfly_nn::onnx::{ExportOptions, ImportOptions, OnnxError, export, import};
use mayfly_nn::{Act, Activation, ColumnActivations, Dense, FannAct, LayerSpec, Network, NetworkSpec, NnError, Scale};
use onnx_common::{arrays, deviation, onnx_files};
use std::collections::BTreeSet;
use std::path::PathBuf;

const TOLERANCE: f32 = 1e-5;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx")
}

fn elementwise() -> Vec<Act> {
    let plain = Activation::all().filter_map(|a| if let Activation::Act(act) = a { Some(act) } else { None });
    let odd = [
        Act::Fann(FannAct::Sigmoid, 0.0),
        Act::Fann(FannAct::Gaussian, -0.7),
        Act::Fann(FannAct::Linear, 90.0),
        Act::Affine { mul: -2.0, add: 0.5 },
        Act::Clamp { lo: -0.5, hi: 0.25 },
    ];
    plain.chain(odd).collect()
}

/// All networks that can be exported, by the names of their files.
fn exported() -> Vec<(String, Network)> {
    let needs_positive = [Act::Log, Act::Sqrt, Act::Reciprocal];
    let columns = |acts: Vec<Act>| ColumnActivations(acts.into_iter().map(Activation::Act).collect());
    let (positive, any): (Vec<Act>, Vec<Act>) = elementwise().into_iter().partition(|a| needs_positive.contains(a));
    let mut all: Vec<(String, NetworkSpec)> = networks()
        .into_iter()
        .filter(|(name, _)| *name != "custom")
        .map(|(name, spec)| (name.replace([' ', ','], "_"), spec))
        .collect();
    all.push(("activations".to_owned(), NetworkSpec::new(&[any.len()]).with(columns(any))));
    all.push((
        "activations_positive".to_owned(),
        NetworkSpec::new(&[3]).with(Activation::Act(Act::Exp)).with(columns(positive)),
    ));
    let wide = NetworkSpec::new(&[2, 3]).with(Dense::new(3, Act::Relu)).with(Dense::new(2, Activation::Softmax));
    all.push(("softmax_on_sequences".to_owned(), wide));
    all.into_iter().map(|(name, spec)| (name, moved(Network::new(spec, 7).unwrap()))).collect()
}

/// Biases, gains and statistics leave their plain starts, so that no two of them can be mixed up unseen.
fn moved(mut network: Network) -> Network {
    let noise = values(network.params().len(), 5);
    network.params_mut().iter_mut().zip(noise).for_each(|(p, n)| *p += 0.2 * n);
    network
}

#[test]
fn every_layer_is_written_as_onnx_runtime_read_it_and_gives_the_same() {
    let write = std::env::var("MAYFLY_GOLDEN").is_ok_and(|v| v == "write");
    let mut seen = BTreeSet::new();
    let mut worst = (0.0_f32, String::new());
    for (name, network) in exported() {
        let path = folder().join(format!("{name}.onnx"));
        let bytes = export(&network, &ExportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}")).to_bytes();
        seen.insert(path.clone());
        if write {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            continue;
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}: the file differs from what is written now");
        let arrays = arrays(&path);
        let d = deviation(&network.predict(&arrays["input_0"].1).unwrap(), &arrays["output_0"].1);
        assert!(d <= TOLERANCE, "{name}: {d}");
        if d > worst.0 {
            worst = (d, name);
        }
    }
    assert!(write || onnx_files(&folder()).iter().all(|f| seen.contains(f)), "a file that nothing writes");
    eprintln!("largest deviation {} in {}", worst.0, worst.1);
}

#[test]
fn every_layer_comes_back_the_same() {
    let kinds: BTreeSet<&str> =
        exported().iter().flat_map(|(_, n)| n.spec().layers.iter().map(LayerSpec::kind).collect::<Vec<_>>()).collect();
    assert!(kinds.len() >= 22, "{kinds:?}");
    for (name, network) in exported() {
        let model = export(&network, &ExportOptions::default()).unwrap();
        let again = import(&model, &ImportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}")).model.network;
        assert_eq!((again.input_len(), again.output_shape()), (network.input_len(), network.output_shape()), "{name}");
        for rows in [1, 5] {
            let x = inputs(network.spec(), rows, 3);
            let d = deviation(&again.predict(&x).unwrap(), &network.predict(&x).unwrap());
            assert!(d <= TOLERANCE, "{name}: {d}");
        }
        // What was imported can be exported: operations by number are layers like any other.
        let third = import(&export(&again, &ExportOptions::default()).unwrap(), &ImportOptions::default())
            .unwrap()
            .model
            .network;
        let x = inputs(network.spec(), 3, 5);
        assert!(deviation(&third.predict(&x).unwrap(), &network.predict(&x).unwrap()) <= TOLERANCE, "{name}");
    }
}

#[test]
fn scales_and_labels_travel_with_the_graph() {
    let network = Network::new(NetworkSpec::dense(2, &[3], Act::Tanh.into(), 2, Activation::IDENTITY), 1).unwrap();
    let options = ExportOptions {
        labels: vec!["no".to_owned(), "yes".to_owned()],
        inputs: Some(Scale { shift: vec![-1.0, 3.0], scale: vec![2.0, 0.5] }),
        outputs: Some(Scale { shift: vec![0.0, 5.0], scale: vec![10.0, 1.0] }),
    };
    let again = import(&export(&network, &options).unwrap(), &ImportOptions::default()).unwrap();
    let want = network.predict(&[(0.3 + 1.0) / 2.0, (-0.2 - 3.0) / 0.5]).unwrap();
    let got = again.model.predict(&[0.3, -0.2]).unwrap();
    assert!(deviation(&got, &[want[0] * 10.0, want[1] + 5.0]) <= TOLERANCE, "{got:?} {want:?}");
    assert_eq!(again.labels, ["no", "yes"]);
    let short =
        ExportOptions { inputs: Some(Scale { shift: vec![1.0], scale: vec![0.0] }), ..ExportOptions::default() };
    assert!(matches!(export(&network, &short), Err(NnError::Onnx(OnnxError::Export { .. }))));
}

#[test]
fn layers_of_the_users_own_are_refused_by_name() {
    let (_, spec) = networks().into_iter().find(|(name, _)| *name == "custom").unwrap();
    let error = export(&Network::new(spec, 1).unwrap(), &ExportOptions::default()).unwrap_err();
    assert!(matches!(&error, NnError::Onnx(OnnxError::Export { op, .. }) if op == "cube"), "{error}");
}
