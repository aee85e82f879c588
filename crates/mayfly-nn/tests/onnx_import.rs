//! Models of PyTorch's and scikit-learn's exporters become networks that compute the same.
mod onnx_common;

use mayfly_nn::onnx::{ImportOptions, Imported, read};
use mayfly_nn::{Control, EpochReport, InMemory, LayerSpec, Loss, Model, TrainConfig, Trainer, mean_loss};
use onnx_common::{arrays, deviation, fixtures, onnx_files};
use std::path::Path;

/// Relative to values above 1.
const TOLERANCE: f32 = 1e-5;

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn imported(path: &Path) -> Imported {
    let output = (name(path) == "written").then(|| "y".to_owned());
    read(path, &ImportOptions { output, ..ImportOptions::default() }).unwrap_or_else(|e| panic!("{}: {e}", name(path)))
}

/// Inputs and the outputs that are no labels.
fn golden(path: &Path) -> (Vec<f32>, Vec<f32>, usize) {
    let mut all = arrays(path);
    let (shape, x) = all.remove("input_0").unwrap();
    let label_first = all.len() == 2 && name(path) != "written";
    let (_, y) =
        all.remove(if label_first { "output_1" } else { "output_0" }).or_else(|| all.remove("output_1")).unwrap();
    (x, y, shape[0])
}

#[test]
fn every_fixture_gives_what_its_exporter_computed() {
    let mut worst = (0.0, String::new());
    let mut failures = Vec::new();
    let fixtures = fixtures();
    assert!(fixtures.len() >= 36);
    for path in &fixtures {
        let result = read(
            path,
            &ImportOptions { output: (name(path) == "written").then(|| "y".to_owned()), ..Default::default() },
        );
        let model = match result {
            Ok(i) => i.model,
            Err(e) => {
                failures.push(format!("{}: {e}", name(path)));
                continue;
            }
        };
        let (x, y, rows) = golden(path);
        let (inputs, outputs) = (model.network.input_len(), model.network.output_len());
        assert_eq!((x.len(), y.len()), (rows * inputs, rows * outputs), "{}", name(path));
        for batch in [rows, 1, 3] {
            let got = model.predict(&x[..batch * inputs]).unwrap();
            let d = deviation(&got, &y[..batch * outputs]);
            if d > TOLERANCE {
                failures.push(format!("{}: {d} for {batch} rows", name(path)));
            }
            if d > worst.0 {
                worst = (d, name(path));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    eprintln!("largest deviation {} in {}", worst.0, worst.1);
}

#[test]
fn an_imported_model_is_an_ordinary_one() {
    let dir = tempfile::tempdir().unwrap();
    for path in fixtures().iter().filter(|p| name(p) != "written") {
        let model = imported(path).model;
        let (x, ..) = golden(path);
        let file = dir.path().join("m.mayfly");
        model.save(&file).unwrap();
        let again = Model::load(&file).unwrap();
        assert_eq!(again.network.spec(), model.network.spec(), "{}", name(path));
        let (a, b) = (model.predict(&x).unwrap(), again.predict(&x).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", name(path));
    }
}

#[test]
fn plain_chains_come_as_layers_and_classes_with_their_names() {
    let kinds = |i: &Imported| i.model.network.spec().layers.iter().map(LayerSpec::kind).collect::<Vec<_>>();
    let by_name = |wanted: &str| imported(fixtures().iter().find(|p| name(p) == wanted).unwrap());
    let mlp = by_name("sklearn-mlp-classifier-strings");
    assert_eq!(kinds(&mlp), ["dense", "dense"]);
    assert_eq!(mlp.labels, ["setosa", "versicolor", "virginica"]);
    assert_eq!(mlp.model.other["labels"], r#"["setosa","versicolor","virginica"]"#);
    assert_eq!(by_name("sklearn-mlp-classifier-binary").labels, ["0", "1"]);
    assert_eq!(by_name("sklearn-logistic").labels, ["0", "1", "2"]);
    assert_eq!(kinds(&by_name("sklearn-linear")), ["dense"]);
    // PyTorch writes SiLU as Sigmoid and Mul: from there on it is operations by number.
    assert_eq!(
        kinds(&by_name("torch-dynamo-activations")),
        ["dense", "dense", "dense", "dense", "dense", "dense", "graph"]
    );
    let cnn = by_name("torch-ts-cnn");
    assert_eq!(kinds(&cnn), ["conv2d", "pool2d", "conv2d", "batch_norm", "pool2d", "flatten", "dense"]);
}

#[test]
fn an_imported_network_learns_and_its_constants_stay() {
    for wanted in ["sklearn-pipeline", "torch-dynamo-encoder", "torch-ts-lstm", "torch-ts-cnn"] {
        let path = fixtures().into_iter().find(|p| name(p) == wanted).unwrap();
        let network = imported(&path).model.network;
        let (x, y, _) = golden(&path);
        let targets: Vec<f32> = y.iter().map(|v| v * 0.5 + 0.1).collect();
        let mut data = InMemory::new(network.input_len(), network.output_len(), x, targets).unwrap();
        let before = network.clone();
        let config = TrainConfig { epochs: 5, loss: Loss::Mse, ..TrainConfig::default() };
        let mut trainer = Trainer::new(network, config).unwrap();
        let start = mean_loss(&before, &Loss::Mse, &mut data).unwrap();
        trainer.fit(&mut data, None, &mut |_: &EpochReport| Control::Continue).unwrap();
        assert!(mean_loss(trainer.network(), &Loss::Mse, &mut data).unwrap() < start, "{wanted}");
        for ((info, was), (_, is)) in before.named_params().zip(trainer.network().named_params()) {
            let constant = info.name.contains("scaler") || info.name.contains("constant");
            assert_eq!(was == is, constant, "{wanted}: {}", info.name);
        }
    }
}

#[test]
fn networks_as_people_write_them_import_for_any_number_of_rows() {
    let files = onnx_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx_import"));
    assert!(files.len() >= 10);
    for path in files {
        let model = imported(&path).model;
        let (x, y, rows) = golden(&path);
        assert_eq!(x.len(), rows * model.network.input_len(), "{}", name(&path));
        let d = deviation(&model.predict(&x).unwrap(), &y);
        assert!(d <= TOLERANCE, "{}: {d}", name(&path));
    }
}

/// Attributes by default and not, operator sets old and new, cases that are easily mistaken for one another: `bench/golden/onnx/ops.py`.
#[test]
fn operators_answer_as_onnx_runtime() {
    let files = onnx_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx_ops"));
    assert!(files.len() >= 50);
    let (wrong, refused) = compared(&files);
    assert!(wrong.is_empty() && refused.is_empty(), "{wrong:#?}\n{refused:#?}");
}

/// Random cases of the same script, where MAYFLY_ONNX_CASES names their folder: what is imported is right, and the rest is refused by name.
#[test]
fn random_operators_answer_as_onnx_runtime() {
    let Some(folder) = std::env::var_os("MAYFLY_ONNX_CASES") else { return };
    let files = onnx_files(Path::new(&folder));
    let (wrong, refused) = compared(&files);
    eprintln!("{} of {} imported; refused:", files.len() - refused.len(), files.len());
    refused.iter().for_each(|said| eprintln!("  {said}"));
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

/// What was answered otherwise, and what was refused.
fn compared(files: &[std::path::PathBuf]) -> (Vec<String>, Vec<String>) {
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for path in files {
        let model = match read(path, &ImportOptions::default()) {
            Ok(imported) => imported.model,
            Err(error) => {
                refused.push(format!("{}: {error}", name(path)));
                continue;
            }
        };
        let mut all = arrays(path);
        let ((_, x), (_, y)) = (all.remove("input_0").unwrap(), all.remove("output_0").unwrap());
        let got = model.predict(&x).unwrap();
        let far = |(g, w): (&f32, &f32)| (g - w).abs() > 2e-5 * w.abs().max(1.0) || !g.is_finite();
        match got.len() == y.len() {
            false => wrong.push(format!("{}: {} values, not {}", name(path), got.len(), y.len())),
            true => {
                if let Some((g, w)) = got.iter().zip(&y).find(|pair| far(*pair)) {
                    wrong.push(format!("{}: {g} instead of {w}", name(path)));
                }
            }
        }
    }
    (wrong, refused)
}
