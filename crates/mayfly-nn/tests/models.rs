//! Networks and their files.
mod common;

use common::{Cube, inputs, networks};
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData};
use mayfly_nn::*;
use std::sync::Arc;

fn registry() -> Registry {
    Registry::new().with_activation(Cube)
}

#[test]
fn every_network_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.mayfly");
    for (name, spec) in networks() {
        let network = Network::new(spec.clone(), 7).unwrap();
        let mut model = Model::new(network);
        model.metrics = Some(r#"{"accuracy":0.5}"#.to_owned());
        model.save(&path).unwrap();
        let again = Model::load_with(&path, &registry()).unwrap();
        assert_eq!(again.network.spec(), &spec, "{name}");
        assert_eq!(again.network.params(), model.network.params(), "{name}");
        assert_eq!(again.metrics, model.metrics);
        let x = inputs(&spec, 5, 1);
        assert_eq!(again.predict(&x).unwrap(), model.predict(&x).unwrap(), "{name}");
    }
}

#[test]
fn own_layers_need_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.mayfly");
    let spec = NetworkSpec::new(&[2]).with(Residual(vec![Custom::activation(Cube).into()]));
    Model::new(Network::new(spec, 1).unwrap()).save(&path).unwrap();
    let error = Model::load(&path).unwrap_err();
    assert!(matches!(&error, NnError::Unregistered { kind: "layer", name } if name == "cube"), "{error}");
    assert!(Model::load_with(&path, &registry()).is_ok());
}

#[test]
fn sparse_networks_keep_their_mask() {
    let spec = NetworkSpec::dense(3, &[4], Act::Tanh.into(), 2, Activation::IDENTITY);
    let full = Network::new(spec.clone(), 1).unwrap();
    let mask = Mask::new((0..full.params().len()).map(|i| i % 2 == 0));
    let sparse = Network::from_parts(spec, full.params(), Some(mask.clone())).unwrap();
    assert_eq!(sparse.param_count(), 13);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.mayfly");
    Model::new(sparse.clone()).save(&path).unwrap();
    let again = Model::load(&path).unwrap().network;
    assert_eq!((again.mask(), again.params()), (Some(&mask), sparse.params()));
}

#[test]
fn quantised_models_are_small_close_and_the_same_after_a_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let spec = NetworkSpec::dense(64, &[128], Act::Relu.into(), 16, Activation::IDENTITY);
    let model = Model::new(Network::new(spec, 1).unwrap());
    let x = common::values(10 * 64, 2);
    let exact = model.predict(&x).unwrap();
    let size = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    let plain = folder.path().join("f32");
    model.save(&plain).unwrap();
    for (precision, shrunk, close) in [(Precision::Bf16, 1.9, 0.01), (Precision::Int8, 3.3, 0.02)] {
        let small = model.quantised(precision).unwrap();
        let path = folder.path().join(format!("{precision:?}"));
        small.save(&path).unwrap();
        let again = Model::load(&path).unwrap();
        assert_eq!(again.precision, precision);
        assert_eq!(again.network.params(), small.network.params(), "what is loaded is what was made");
        let y = again.predict(&x).unwrap();
        assert_eq!(y, small.predict(&x).unwrap());
        let apart = y.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart > 0.0 && apart < close, "{precision:?}: {apart}");
        let ratio = size(&plain) as f64 / size(&path) as f64;
        assert!(ratio > shrunk, "{precision:?}: {ratio}");
        assert_eq!(
            again.quantised(precision).unwrap().network.params(),
            again.network.params(),
            "quantising twice changes nothing"
        );
    }
}

/// A valid file's content, damaged.
fn damaged(change: impl FnOnce(&mut ModelFile)) -> String {
    let spec = NetworkSpec::dense(3, &[2], Act::Tanh.into(), 1, Activation::IDENTITY);
    let mut file = Model::new(Network::new(spec, 1).unwrap()).quantised(Precision::Int8).unwrap().to_file().unwrap();
    change(&mut file);
    let bytes = file.to_bytes(NanPolicy::Refuse).unwrap();
    let file = ModelFile::parse("bad.mayfly", &bytes, &ReadOptions::default()).unwrap();
    Model::from_file("bad.mayfly", file, &Registry::new()).unwrap_err().to_string()
}

#[test]
fn files_whose_parts_do_not_belong_together_say_what_is_wrong() {
    let tensor = |name: &str, shape: &[usize], n| Tensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        data: TensorData::F32(vec![0.0; n]),
    };
    let find = |f: &mut ModelFile, name: &str| f.tensors.iter().position(|t| t.name == name).unwrap();
    let cases: Vec<(String, &[&str])> = vec![
        (damaged(|f| f.tensors.clear()), &["layers.0.weight", "missing", "[2, 3]"]),
        (damaged(|f| f.tensors.push(tensor("extra", &[1], 1))), &["\"extra\"", "no layer"]),
        (
            damaged(|f| {
                let at = find(f, "layers.0.bias");
                f.tensors[at] = tensor("layers.0.bias", &[3], 3);
            }),
            &["layers.0.bias", "[3]", "[2]"],
        ),
        (
            damaged(|f| {
                let at = find(f, "layers.0.weight.scale");
                f.tensors.remove(at);
            }),
            &["layers.0.weight.scale", "missing"],
        ),
        (
            damaged(|f| {
                let at = find(f, "layers.0.weight.scale");
                f.tensors[at] = tensor("layers.0.weight.scale", &[1], 1);
            }),
            &["1 scales", "2 rows"],
        ),
        (damaged(|f| drop(f.other.insert("precision".into(), "int4".into()))), &["int4"]),
        (damaged(|f| f.tensors.push(tensor("mask", &[11], 11))), &["mask", "F32"]),
        (
            damaged(|f| {
                f.tensors.push(Tensor { name: "mask".into(), shape: vec![2], data: TensorData::U8(vec![1, 1]) })
            }),
            &["mask", "11"],
        ),
        (damaged(|f| f.spec = r#"{"input":[3],"layers":[{"dens":{"units":2}}]}"#.into()), &["dens"]),
        (damaged(|f| f.spec = r#"{"input":[0],"layers":[]}"#.into()), &["zero"]),
        (damaged(|f| f.spec = r#"{"input":[3],"layers":[{"dense":{"units":4294967295}}]}"#.into()), &["layers.0"]),
    ];
    for (error, parts) in cases {
        assert!(parts.iter().all(|p| error.contains(p)), "{error:?} lacks one of {parts:?}");
    }
}

#[test]
fn layers_that_do_not_fit_are_refused_by_place() {
    let cases: Vec<(NetworkSpec, &[&str])> = vec![
        (NetworkSpec::new(&[4]).with(Dense::new(2, Act::Relu)).with(Lstm::new(3)), &["layers.1", "[time, features]"]),
        (NetworkSpec::new(&[4]).with(Dense::new(0, Act::Relu)), &["layers.0", "dense", "zero"]),
        (
            NetworkSpec::new(&[2, 2, 2]).with(Conv2d { groups: 3, ..Conv2d::new(3, [1, 1], Act::Relu) }),
            &["layers.0", "3 groups"],
        ),
        (
            NetworkSpec::new(&[2, 2, 2]).with(Conv2d { stride: [0, 1], ..Conv2d::new(3, [1, 1], Act::Relu) }),
            &["layers.0", "stride"],
        ),
        (NetworkSpec::new(&[2, 2, 2]).with(Conv2d::new(3, [3, 1], Act::Relu)), &["layers.0", "conv2d"]),
        (NetworkSpec::new(&[3, 4]).with(Attention::new(3)), &["layers.0", "heads"]),
        (NetworkSpec::new(&[4]).with(Dropout { p: 1.0 }), &["layers.0", "1"]),
        (NetworkSpec::new(&[4]).with(ColumnActivations(vec![Act::Relu.into()])), &["layers.0", "columns"]),
        (NetworkSpec::new(&[2]).with(ColumnActivations(vec![Activation::Softmax; 2])), &["layers.0", "softmax"]),
        (NetworkSpec::new(&[4]).with(Residual(vec![Dense::new(3, Act::Relu).into()])), &["layers.0", "residual"]),
        (NetworkSpec::new(&[4]).with(Residual(vec![])), &["layers.0", "no layers"]),
        (
            NetworkSpec::new(&[4]).with(Residual(vec![
                Dense::new(4, Act::Relu).into(),
                BatchNorm { momentum: 2.0, ..BatchNorm::default() }.into(),
            ])),
            &["layers.0.layers.1", "momentum"],
        ),
        (NetworkSpec::new(&[4]).with(LayerNorm { eps: 0.0 }), &["layers.0", "eps"]),
        (NetworkSpec::new(&[4]).with(Rnn { activation: Activation::Softmax, ..Rnn::new(2) }), &["layers.0"]),
        (NetworkSpec::new(&[4]).with(Embedding { rows: 1 << 25, width: 2 }), &["layers.0", "16777216"]),
        (NetworkSpec::new(&[1 << 20, 1 << 20]), &["2^32"]),
        (NetworkSpec::new(&[2, 2, 2, 2]), &["four dimensions"]),
    ];
    for (spec, parts) in cases {
        let text = format!("{spec:?}");
        let error = Network::new(spec, 1).expect_err(&text).to_string();
        assert!(parts.iter().all(|p| error.contains(p)), "{error:?} lacks one of {parts:?}");
    }
}

#[test]
fn descriptions_are_short_and_readable() {
    let spec = NetworkSpec::new(&[4])
        .with(Dense::new(8, Act::Relu))
        .with(Dropout { p: 0.5 })
        .with(Dense::new(3, Activation::Softmax).reading_all());
    let json = spec.to_json().unwrap();
    assert_eq!(
        json,
        r#"{"input":[4],"layers":[{"dense":{"units":8,"activation":"relu"}},{"dropout":{"p":0.5}},{"dense":{"units":3,"activation":"softmax","reads":"all_previous"}}]}"#
    );
    let terse = r#"{"input":[2,9],"layers":[{"conv1d":{"channels":3,"kernel":2}},"flatten",{"dense":{"units":1}}]}"#;
    assert!(NetworkSpec::from_json(terse, &Registry::new()).is_err(), "flatten is written {{\"flatten\":{{}}}}");
    let terse = terse.replace("\"flatten\"", r#"{"flatten":{}}"#);
    assert_eq!(NetworkSpec::from_json(&terse, &Registry::new()).unwrap().output().unwrap(), [1]);
}

/// A layer of the user's own with a parameter and a setting: `y = x · gain + offset`.
#[derive(Debug)]
struct Gain {
    offset: f32,
}

impl CustomLayer for Gain {
    fn name(&self) -> &str {
        "gain"
    }
    fn config(&self) -> serde_json::Value {
        serde_json::json!({ "offset": self.offset })
    }
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let n = cx.dims(x)?.last().copied().unwrap_or(1);
        let gain = cx.param("gain", &[n], Init::Constant(2.0))?;
        let y = cx.graph().mul(x, gain)?;
        cx.activate(y, Act::Affine { mul: 1.0, add: self.offset }.into())
    }
}

#[test]
fn own_layers_have_parameters_and_settings() {
    let registry = Registry::new().with_layer("gain", |config| {
        let offset = config["offset"].as_f64().ok_or_else(|| NnError::Option {
            option: "offset",
            got: config.to_string(),
            want: "a number".into(),
        })?;
        Ok(Arc::new(Gain { offset: offset as f32 }))
    });
    let network = Network::new(NetworkSpec::new(&[2]).with(Custom::new(Gain { offset: 0.5 })), 1).unwrap();
    assert_eq!(network.param("layers.0.gain"), Some(&[2.0, 2.0][..]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gain.mayfly");
    Model::new(network).save(&path).unwrap();
    let again = Model::load_with(&path, &registry).unwrap();
    assert_eq!(again.predict(&[1.0, -3.0]).unwrap(), [2.5, -5.5]);
}

/// A layer whose parameters are called as a quantised file would call scales.
#[derive(Debug)]
struct Scaled {
    dims: Vec<usize>,
}

impl CustomLayer for Scaled {
    fn name(&self) -> &str {
        "scaled"
    }
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let mut y = x;
        for name in ["gain", "gain.scale", "gain.scale.scale"] {
            let weight = cx.weight(name, &self.dims, Init::GlorotUniform)?;
            y = match self.dims.len() {
                1 => cx.graph().mul(y, weight)?,
                _ => cx.graph().linear(y, weight, None)?,
            };
        }
        Ok(y)
    }
}

#[test]
fn parameters_may_be_called_scale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.mayfly");
    for dims in [vec![3], vec![3, 3]] {
        let spec = NetworkSpec::new(&[3]).with(Custom::new(Scaled { dims: dims.clone() }));
        let registry = Registry::new().with_layer("scaled", move |_| Ok(Arc::new(Scaled { dims: dims.clone() })));
        let model = Model::new(Network::new(spec, 1).unwrap());
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let model = model.quantised(precision).unwrap();
            model.save(&path).unwrap();
            let again = Model::load_with(&path, &registry).unwrap();
            assert_eq!(again.network.params(), model.network.params(), "{precision:?}");
        }
    }
}

#[test]
fn a_weight_that_bf16_cannot_hold_is_refused_by_name() {
    let of = |weight: f32| {
        let spec = NetworkSpec::new(&[2]).with(Dense::new(1, Activation::IDENTITY).without_bias());
        Model::new(Network::from_parts(spec, &[1.0, weight], None).unwrap()).quantised(Precision::Bf16)
    };
    for weight in [f32::MAX, f32::MIN, 3.396_5e38] {
        let said = of(weight).unwrap_err().to_string();
        assert!(said.contains("element 1 of layers.0.weight") && said.contains("bf16"), "{said}");
    }
    for weight in [3.389_531_4e38, -3.389_531_4e38, f32::MIN_POSITIVE, 0.0] {
        assert!(of(weight).unwrap().network.params().iter().all(|w| w.is_finite()));
    }
}
