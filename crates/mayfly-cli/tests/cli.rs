//! The command line as a user meets it: every command on small real files, and what it says when something is wrong.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn mayfly(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mayfly")).current_dir(dir).args(args).output().unwrap()
}

/// Standard output as the one JSON object it must be.
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn error(output: &Output) -> String {
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Three kinds of points in the plane, with a header and a categorical target.
fn points(dir: &Path, name: &str, rows: usize) -> PathBuf {
    let mut text = String::from("east,north,kind\n");
    for i in 0..rows {
        let (a, r) = (i as f64 * 0.7, 0.3 + (i % 7) as f64 * 0.05);
        let (cx, kind) = [(-1.0, "left"), (0.0, "middle"), (1.0, "right")][i % 3];
        text += &format!("{:.4},{:.4},{kind}\n", cx + r * a.cos(), r * a.sin());
    }
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn train_eval_predict_info_quantize_convert() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 300);
    let trained =
        json(&mayfly(d, &["train", "points.csv", "-o", "m.mayfly", "--plot", "c.svg", "--epochs", "60", "--json"]));
    for key in
        ["train_loss", "test_loss", "test_accuracy", "test_mse", "epochs", "seconds", "parameters", "seed", "model"]
    {
        assert!(!trained[key].is_null(), "{key} is missing in {trained}");
    }
    assert!(trained["test_accuracy"].as_f64().unwrap() > 0.9, "{trained}");
    assert!(std::fs::read_to_string(d.join("c.svg")).unwrap().starts_with("<svg"));

    let eval = json(&mayfly(d, &["eval", "m.mayfly", "points.csv", "--json"]));
    assert_eq!(eval["rows"], 300);
    assert!(eval["test_accuracy"].as_f64().unwrap() > 0.9);
    let predicted = json(&mayfly(d, &["predict", "m.mayfly", "points.csv", "--json"]));
    assert_eq!(predicted["outputs"].as_array().unwrap().len(), 300);
    assert_eq!(predicted["outputs"][0].as_array().unwrap().len(), 3);
    let right = predicted["labels"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(i, l)| **l == ["left", "middle", "right"][i % 3]);
    assert_eq!(right.count() as f64 / 300.0, eval["test_accuracy"].as_f64().unwrap());

    let info = json(&mayfly(d, &["info", "m.mayfly", "--json"]));
    assert_eq!(info["labels"], serde_json::json!(["left", "middle", "right"]));
    assert_eq!(info["parameters"], trained["parameters"]);
    let quantised =
        json(&mayfly(d, &["quantize", "m.mayfly", "q.mayfly", "--to", "int8", "--calibrate", "points.csv", "--json"]));
    assert!(quantised["after"]["bytes"].as_u64() < quantised["before"]["bytes"].as_u64());
    assert!(
        (quantised["after"]["test_accuracy"].as_f64().unwrap() - eval["test_accuracy"].as_f64().unwrap()).abs() < 0.05
    );
    json(&mayfly(d, &["convert", "m.mayfly", "m.dot", "--json"]));
    assert!(std::fs::read_to_string(d.join("m.dot")).unwrap().starts_with("digraph"));
}

#[test]
fn rows_that_stay_in_the_file_train_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 300);
    points(d, "other.csv", 150);
    let options = ["train", "points.csv", "-o", "m.mayfly", "--json", "--algorithm", "rprop", "--epochs", "40"];
    let held = json(&mayfly(d, &options));
    let streamed = json(&mayfly(d, &[&options[..], &["--stream"]].concat()));
    for key in ["train_loss", "test_loss", "test_accuracy", "test_mse"] {
        let [a, b] = [&held, &streamed].map(|object| object[key].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-4 * a.abs().max(1e-2), "{key}: {a} in memory, {b} streamed");
    }
    let with_file = json(&mayfly(d, &["train", "points.csv", "--test", "other.csv", "--stream", "--json"]));
    assert!(with_file["test_accuracy"].as_f64().unwrap() > 0.9, "{with_file}");
    let grown = mayfly(d, &["train", "points.csv", "--algorithm", "cascade", "--stream"]);
    assert!(error(&grown).contains("leave out --stream"));
}

#[test]
fn predictions_go_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 90);
    assert!(mayfly(d, &["train", "points.csv", "-o", "m.mayfly", "--epochs", "5"]).status.success());
    assert!(mayfly(d, &["predict", "m.mayfly", "points.csv", "-o", "out.csv"]).status.success());
    let text = std::fs::read_to_string(d.join("out.csv")).unwrap();
    assert!(text.starts_with("prediction,left,middle,right\n"));
    assert_eq!(text.lines().count(), 91);
}

#[test]
fn the_same_seed_gives_the_same_file_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 200);
    let tensors = |name: &str, seed: &str, threads: &str| {
        let out =
            mayfly(d, &["train", "points.csv", "-o", name, "--epochs", "8", "--seed", seed, "--threads", threads]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        json(&mayfly(d, &["predict", name, "points.csv", "--json"]))["outputs"].clone()
    };
    let one = tensors("a.mayfly", "7", "1");
    assert_eq!(one, tensors("b.mayfly", "7", "2"));
    assert_ne!(one, tensors("c.mayfly", "8", "1"));
}

#[test]
fn options_come_from_a_file_and_the_command_line_wins() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 90);
    std::fs::write(d.join("t.toml"), "epochs = 3\nhidden = [4]\npatience = 0\nseed = 5\n").unwrap();
    let out =
        json(&mayfly(d, &["train", "points.csv", "-o", "m.mayfly", "--config", "t.toml", "--seed", "9", "--json"]));
    assert_eq!((out["epochs"].as_u64(), out["seed"].as_u64()), (Some(3), Some(9)));
    assert_eq!(out["parameters"], 2 * 4 + 4 + 4 * 3 + 3);
    std::fs::write(d.join("t.toml"), "epoks = 3\n").unwrap();
    assert!(error(&mayfly(d, &["train", "points.csv", "--config", "t.toml"])).contains("epoks"));
}

#[test]
fn errors_say_what_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 90);
    assert!(error(&mayfly(d, &["train", "absent.csv"])).contains("absent.csv"));
    std::fs::write(d.join("ragged.csv"), "a,b,c\n1,2,x\n3,4\n").unwrap();
    let ragged = error(&mayfly(d, &["train", "ragged.csv"]));
    assert!(ragged.contains("ragged.csv") && ragged.contains('3'), "{ragged}");
    assert!(error(&mayfly(d, &["train", "points.csv", "--activation", "rleu"])).contains("rleu"));
    assert!(error(&mayfly(d, &["train", "points.csv", "--algorithm", "adma"])).contains("adma"));
    std::fs::write(d.join("broken.mayfly"), b"not a model").unwrap();
    assert!(error(&mayfly(d, &["eval", "broken.mayfly", "points.csv"])).contains("broken.mayfly"));
    std::fs::write(d.join("model.txt"), b"no model either").unwrap();
    let said = error(&mayfly(d, &["info", "model.txt"]));
    assert!(said.contains("model.txt") && said.contains(".mayfly"), "{said}");
    let absent = error(&mayfly(d, &["train", "nothere.csv"]));
    assert_eq!(absent.trim(), "error: nothere.csv: No such file or directory (os error 2)");
    assert!(mayfly(d, &["train", "points.csv", "-o", "m.mayfly", "--epochs", "2"]).status.success());
    std::fs::write(d.join("other.csv"), "u,v\n1,2\n").unwrap();
    assert!(error(&mayfly(d, &["predict", "m.mayfly", "other.csv"])).contains("other.csv"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_best_model_so_far() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    points(d, "points.csv", 3000);
    let args = ["train", "points.csv", "-o", "m.mayfly", "--epochs", "1000000", "--patience", "0", "--json"];
    let child = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .current_dir(d)
        .args(args)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = json(&child.wait_with_output().unwrap());
    assert!(out["epochs"].as_u64().unwrap() < 1_000_000);
    assert!(json(&mayfly(d, &["eval", "m.mayfly", "points.csv", "--json"]))["rows"] == 3000);
}

#[test]
fn completions_and_manual_come_from_the_same_definitions() {
    let dir = tempfile::tempdir().unwrap();
    let bash = mayfly(dir.path(), &["completions", "bash"]);
    assert!(String::from_utf8_lossy(&bash.stdout).contains("--output-activation"));
    assert!(mayfly(dir.path(), &["man", "pages"]).status.success());
    let page = std::fs::read_to_string(dir.path().join("pages/mayfly-train.1")).unwrap();
    assert!(page.contains("hidden"));
}
