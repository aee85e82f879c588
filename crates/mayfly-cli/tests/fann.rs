//! FANN's networks and cascade training at the command line.
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

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mayfly-format/tests/golden/fann").join(name)
}

/// Four bits of parity as a FANN data file.
fn parity(dir: &Path) {
    let rows = (0..16u32).map(|n| {
        let bits: Vec<String> = (0..4).map(|b| if n >> b & 1 == 1 { "1" } else { "-1" }.to_owned()).collect();
        format!("{}\n{}\n", bits.join(" "), if n.count_ones() % 2 == 1 { 1 } else { -1 })
    });
    std::fs::write(dir.join("parity.train"), format!("16 4 1\n{}", rows.collect::<String>())).unwrap();
}

#[test]
fn a_network_grows_and_goes_to_fann_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    parity(d);
    let data = ["--test", "parity.train", "--algorithm", "cascade"];
    let args = [&["train", "parity.train", "-o", "p.mayfly", "--plot", "c.svg", "--json"][..], &data].concat();
    let trained = json(&mayfly(d, &args));
    assert_eq!(trained["test_accuracy"], 1.0);
    assert!(std::fs::read_to_string(d.join("c.svg")).unwrap().contains("hidden neurons"));
    assert!(mayfly(d, &["convert", "p.mayfly", "p.net"]).status.success());
    assert!(mayfly(d, &["convert", "p.net", "again.mayfly"]).status.success());
    let info = json(&mayfly(d, &["info", "again.mayfly", "--json"]));
    assert_eq!(info["parameters"], trained["parameters"]);
}

#[test]
fn a_net_file_takes_and_gives_raw_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let row = |i: i32| (100.0 + f64::from(i % 13) * 7.0, 0.001 * f64::from(i % 9));
    let rows: String =
        (0..120).map(|i| (i, row(i))).map(|(_, (a, b))| format!("{a},{b},{}\n", 5.0 * a - 900.0 * b)).collect();
    std::fs::write(d.join("r.csv"), format!("a,b,y\n{rows}")).unwrap();
    let raw: String = (0..120).map(row).map(|(a, b)| format!("{a} {b}\n{}\n", 5.0 * a - 900.0 * b)).collect();
    std::fs::write(d.join("r.data"), format!("120 2 1\n{raw}")).unwrap();
    let train = ["train", "r.csv", "--activation", "tanh", "--epochs", "20", "-o", "m.mayfly"];
    assert!(mayfly(d, &train).status.success());
    assert!(mayfly(d, &["convert", "m.mayfly", "m.net"]).status.success());
    let [native, fann] = ["m.mayfly", "m.net"].map(|m| json(&mayfly(d, &["eval", m, "r.data", "--json"])));
    for key in ["test_mae", "test_rmse", "test_r2"] {
        let [a, b] = [&native, &fann].map(|object| object[key].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-4 * a.abs(), "{key}: {a} and {b}");
    }
}

#[test]
fn networks_that_fann_saved_are_run_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    std::fs::copy(golden("curve-xor.net"), d.join("x.net")).unwrap();
    std::fs::write(d.join("xor.data"), "4 2 1\n-1 -1\n-1\n-1 1\n1\n1 -1\n1\n1 1\n-1\n").unwrap();
    let run = |model: &str| json(&mayfly(d, &["predict", model, "xor.data", "--json"]))["outputs"].clone();
    assert!(mayfly(d, &["convert", "x.net", "x.mayfly"]).status.success());
    assert!(mayfly(d, &["convert", "x.mayfly", "y.net"]).status.success());
    assert_eq!(run("x.net").as_array().unwrap().len(), 4);
    assert_eq!(run("x.net"), run("x.mayfly"));
    assert_eq!(run("x.net"), run("y.net"));
}

#[test]
fn what_does_not_go_together_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    parity(d);
    let said = |args: &[&str]| {
        let output = mayfly(d, args);
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = said(&["train", "parity.train", "--algorithm", "cascade", "--hidden", "8"]);
    assert!(text.contains("--hidden") && text.contains("--max-neurons"), "{text}");
    let text = said(&["train", "parity.train", "--max-neurons", "8"]);
    assert!(text.contains("cascade"), "{text}");
    assert!(mayfly(d, &["train", "parity.train", "--epochs", "3", "-o", "relu.mayfly"]).status.success());
    let text = said(&["convert", "relu.mayfly", "relu.net"]);
    assert!(text.contains("relu") && !d.join("relu.net").exists(), "{text}");
}
