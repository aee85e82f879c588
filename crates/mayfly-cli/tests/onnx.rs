//! ONNX files at the command line: read, run, quantised, converted there and back.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn mayfly(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mayfly")).current_dir(dir).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mayfly-format/tests/golden/onnx").join(name)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(|r| r.as_array().unwrap()).map(|v| v.as_f64().unwrap()).collect()
}

fn close(a: &Value, b: &Value) {
    let (a, b) = (numbers(a), numbers(b));
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0)), "{a:?} {b:?}");
}

/// Four columns and a class, without a header line that names them differently.
fn flowers(dir: &Path) {
    let mut text = String::from("a,b,c,d,kind\n");
    for i in 0..60 {
        let t = f64::from(i) * 0.37;
        let kind = ["setosa", "versicolor", "virginica"][i as usize % 3];
        text += &format!(
            "{:.3},{:.3},{:.3},{:.3},{kind}\n",
            5.0 + t.sin(),
            3.0 + t.cos(),
            f64::from(i % 3) * 2.0 + 1.0,
            0.5 + t.sin().abs()
        );
    }
    std::fs::write(dir.join("flowers.csv"), text).unwrap();
}

#[test]
fn a_model_of_scikit_learn_is_used_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    flowers(d);
    std::fs::copy(fixture("sklearn-mlp-classifier-strings.onnx"), d.join("net.onnx")).unwrap();
    let info = json(&mayfly(d, &["info", "net.onnx", "--json"]));
    assert_eq!((info["inputs"].as_u64(), info["outputs"].as_u64()), (Some(4), Some(3)));
    let direct = json(&mayfly(d, &["predict", "net.onnx", "flowers.csv", "--json"]));
    assert_eq!(json(&mayfly(d, &["eval", "net.onnx", "flowers.csv", "--json"]))["rows"], 60);
    json(&mayfly(d, &["convert", "net.onnx", "net.mayfly", "--json"]));
    let native = json(&mayfly(d, &["predict", "net.mayfly", "flowers.csv", "--json"]));
    assert_eq!(direct["outputs"], native["outputs"]);
    assert_eq!(info["labels"], serde_json::json!(["setosa", "versicolor", "virginica"]));
    assert!(info["labels"].as_array().unwrap().contains(&direct["labels"][0]));
    json(&mayfly(d, &["convert", "net.mayfly", "again.onnx", "--json"]));
    close(&json(&mayfly(d, &["predict", "again.onnx", "flowers.csv", "--json"]))["outputs"], &direct["outputs"]);
    let small = json(&mayfly(d, &["quantize", "net.onnx", "q.mayfly", "--to", "bf16", "--json"]));
    assert!(small["after"]["bytes"].as_u64().is_some());
    json(&mayfly(d, &["convert", "net.onnx", "net.dot", "--json"]));
}

#[test]
fn a_trained_model_takes_its_scaling_along() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    flowers(d);
    json(&mayfly(d, &["train", "flowers.csv", "-o", "m.mayfly", "--epochs", "8", "--json"]));
    let converted = mayfly(d, &["convert", "m.mayfly", "m.onnx", "--json"]);
    json(&converted);
    assert!(!String::from_utf8_lossy(&converted.stderr).contains("numbers a row"));
    let native = json(&mayfly(d, &["predict", "m.mayfly", "flowers.csv", "--json"]));
    close(&json(&mayfly(d, &["predict", "m.onnx", "flowers.csv", "--json"]))["outputs"], &native["outputs"]);
}

#[test]
fn categories_are_left_to_the_caller_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let rows: String =
        (0..40).map(|i| format!("{},{},{}\n", ["red", "blue"][i % 2], i % 7, ["yes", "no"][i % 2])).collect();
    std::fs::write(d.join("c.csv"), format!("colour,size,answer\n{rows}")).unwrap();
    json(&mayfly(d, &["train", "c.csv", "-o", "m.mayfly", "--epochs", "3", "--json"]));
    let converted = mayfly(d, &["convert", "m.mayfly", "m.onnx", "--json"]);
    json(&converted);
    let said = String::from_utf8_lossy(&converted.stderr).into_owned();
    assert!(said.contains("3 numbers a row: ") || said.contains("colour=red"), "{said}");
    // The size as it is in the file, the colour as 0 and 1.
    let encoded: String = (0..40).map(|i| format!("{},{},{}\n", i % 2, 1 - i % 2, i % 7)).collect();
    std::fs::write(d.join("e.csv"), format!("blue,red,size\n{encoded}")).unwrap();
    let native = json(&mayfly(d, &["predict", "m.mayfly", "c.csv", "--json"]));
    close(&json(&mayfly(d, &["predict", "m.onnx", "e.csv", "--json"]))["outputs"], &native["outputs"]);
}

#[test]
fn what_cannot_be_imported_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    std::fs::write(d.join("bad.onnx"), b"not protobuf at all").unwrap();
    let output = mayfly(d, &["info", "bad.onnx"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("bad.onnx"));
}
