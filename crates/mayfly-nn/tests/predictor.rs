//! Models of every kind under any name, with what belongs to them.
use mayfly_format::fann_net::FannFile;
use mayfly_nn::tabular::{LoadOptions, ModelKind, Predictor};
use mayfly_nn::*;
use serde::Deserialize;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mayfly-format/tests/golden").join(name)
}

#[derive(Deserialize)]
struct Case {
    net: String,
    inputs: Vec<Vec<f32>>,
    scaled_outputs: Option<Vec<Vec<f32>>>,
}

fn close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    let far = |(g, w): &(&f32, &f32)| !((*g - *w).abs() <= tolerance * w.abs().max(1.0));
    assert_eq!(got.iter().zip(want).find(far), None);
}

/// `fann_scale_input`, `fann_run` and `fann_descale_output` of the C library, and the same after every conversion.
#[test]
fn the_scaling_of_fann_is_applied_kept_and_folded() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(golden("fann/cases-float.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    for case in cases {
        let Some(want) = case.scaled_outputs else { continue };
        seen += 1;
        let (x, want) = (case.inputs.concat(), want.concat());
        let net = Predictor::load(golden("fann").join(&case.net)).unwrap();
        assert!(net.scaling().is_some());
        close(&net.predict(&x).unwrap(), &want, 1e-5);
        let mut last = net;
        for (name, kind) in [("a.mayfly", ModelKind::Native), ("b.net", ModelKind::Fann), ("c.onnx", ModelKind::Onnx)] {
            let path = folder.path().join(name);
            last.save(&path, kind).unwrap();
            last = Predictor::load(&path).unwrap();
            assert_eq!(last.scaling().is_some(), kind != ModelKind::Onnx);
            close(&last.predict(&x).unwrap(), &want, if kind == ModelKind::Onnx { 1e-4 } else { 1e-5 });
        }
        let before = FannFile::read(golden("fann").join(&case.net)).unwrap();
        assert_eq!(FannFile::read(folder.path().join("b.net")).unwrap().scaling, before.scaling);
    }
    assert!(seen > 0);
}

#[test]
fn a_file_is_what_its_content_says() {
    let folder = tempfile::tempdir().unwrap();
    let spec = NetworkSpec::dense(4, &[3], Act::Tanh.into(), 2, Activation::IDENTITY);
    let native = folder.path().join("native.mayfly");
    Model::new(Network::new(spec, 1).unwrap()).save(&native).unwrap();
    let net = golden("fann/float-activation-05.net");
    let onnx = golden("onnx/sklearn-mlp-regressor.onnx");
    for (file, kind) in [(&native, ModelKind::Native), (&net, ModelKind::Fann), (&onnx, ModelKind::Onnx)] {
        let want = Predictor::load(file).unwrap();
        for name in ["brain.trained", "brain", "brain.onnx", "brain.net", "brain.mayfly", "brain.txt"] {
            let path = folder.path().join(name);
            std::fs::copy(file, &path).unwrap();
            assert_eq!(ModelKind::of_file(&path).unwrap(), kind, "{name}");
            let x = vec![0.5; want.model.network.input_len()];
            assert_eq!(Predictor::load(&path).unwrap().predict(&x).unwrap(), want.predict(&x).unwrap());
        }
    }
    for (head, word) in [
        (&b"PK\x03\x04...."[..], "zip archive"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"a,b\n1,2\n", "neither"),
        (b"", "neither"),
    ] {
        let path = folder.path().join("x.pt");
        std::fs::write(&path, head).unwrap();
        let said = Predictor::load(&path).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_fixed_point_network_says_that_it_is_one() {
    let path = golden("fann/fixed-sigmoid.net");
    let net = Predictor::load(&path).unwrap();
    assert!(net.notes()[0].contains("fixed-point"), "{:?}", net.notes());
    let options = LoadOptions { shape: Some("1,2".parse().unwrap()), ..LoadOptions::default() };
    assert!(Predictor::load_with(&path, &options).unwrap_err().to_string().contains("only an ONNX model"));
}
