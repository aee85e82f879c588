//! `mayfly run`: built, answered, dissolved, and nothing left but what was asked for.
#![cfg(feature = "run")]
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn mayfly(folder: &Path, args: &[&str]) -> Output {
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    Command::new(env!("CARGO_BIN_EXE_mayfly")).args(args).current_dir(folder).env("TMPDIR", temporary).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Two clouds of points that a line parts.
fn rows(folder: &Path) {
    let mut all = String::from("a,b,class\n");
    for i in 0..200 {
        let side = if i % 2 == 0 { 1.0 } else { -1.0 };
        let (a, b) = (side + 0.3 * f64::from(i * 37 % 100) / 100.0, side + 0.3 * f64::from(i * 61 % 100) / 100.0);
        all += &format!("{a},{b},{}\n", if side > 0.0 { "high" } else { "low" });
    }
    fs::write(folder.join("rows.csv"), all).unwrap();
    fs::write(folder.join("new.csv"), "a,b\n1.1,1.2\n-0.9,-0.8\n").unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn it_answers_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    let run = [
        "run",
        "rows.csv",
        "--target",
        "class",
        "--input",
        "new.csv",
        "-o",
        "answers.csv",
        "--min-accuracy",
        "0.9",
        "--memory",
        "1MiB",
        "--certificate",
        "end.json",
    ];
    let output = mayfly(folder, &run);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no hidden layer") && said.contains("dissolved after"), "{said}");
    let answers = fs::read_to_string(folder.join("answers.csv")).unwrap();
    let classes: Vec<&str> = answers.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(classes, ["prediction", "high", "low"]);
    let end: serde_json::Value = serde_json::from_str(&fs::read_to_string(folder.join("end.json")).unwrap()).unwrap();
    assert_eq!(
        (&end["reason"], &end["calls"], &end["signature"]),
        (&"asked".into(), &2.into(), &serde_json::Value::Null)
    );
    assert!(end["wiped_bytes"]["parameters"].as_u64().unwrap() > 0);
    assert_eq!(names(folder), ["answers.csv", "end.json", "new.csv", "rows.csv", "tmp"]);
    assert!(names(&folder.join("tmp")).is_empty());
}

/// The same network gives the same answers as when it is kept.
#[test]
fn it_answers_as_a_network_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    let run = mayfly(folder, &["run", "rows.csv", "--hidden", "8", "--seed", "3", "--input", "new.csv"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let train = mayfly(folder, &["train", "rows.csv", "--hidden", "8", "--seed", "3", "-o", "kept.mayfly"]);
    assert!(train.status.success(), "{}", text(&train.stderr));
    let kept = mayfly(folder, &["predict", "kept.mayfly", "new.csv"]);
    let numbers = |output: &Output| -> Vec<f64> {
        text(&output.stdout)
            .lines()
            .skip(1)
            .flat_map(|l| l.split(',').skip(1).map(|v| v.parse().unwrap()).collect::<Vec<f64>>())
            .collect()
    };
    let (run, kept) = (numbers(&run), numbers(&kept));
    assert_eq!((run.len(), kept.len()), (4, 4));
    // A row alone and a row in a batch may differ in the last bit.
    assert!(run.iter().zip(&kept).all(|(a, b)| (a - b).abs() < 1e-5), "{run:?} {kept:?}");
}

#[test]
fn tasks_are_files_and_the_command_line_is_above_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    fs::create_dir(folder.join("tasks")).unwrap();
    fs::write(folder.join("tasks/parting.toml"), "data = \"../rows.csv\"\ntarget = \"class\"\nmemory = \"10B\"\n")
        .unwrap();
    let refused = mayfly(folder, &["run", "tasks/parting.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--memory cannot be kept"), "{}", text(&refused.stderr));
    let run = mayfly(folder, &["run", "tasks/parting.toml", "--memory", "1MiB", "--json"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let object: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(object["accuracy"].as_f64().or(object["test_accuracy"].as_f64()).unwrap() > 0.9, "{object}");
    assert_eq!(object["certificate"]["reason"], "asked");
    fs::write(folder.join("none.toml"), "target = \"class\"\n").unwrap();
    assert_eq!(mayfly(folder, &["run", "none.toml"]).status.code(), Some(2));
}

/// What cannot be is said by the option that asked for it, and nothing is left.
#[test]
fn impossible_limits_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    for (option, value) in [("--latency", "1ns"), ("--memory", "1B"), ("--deadline", "1ns"), ("--min-r2", "1.5")] {
        let run = mayfly(folder, &["run", "rows.csv", "--target", "class", option, value, "--hidden", "4"]);
        assert_eq!(run.status.code(), Some(1), "{option}");
        assert!(text(&run.stderr).contains(option), "{option}: {}", text(&run.stderr));
    }
    for bad in [["--latency", "5"], ["--memory", "much"], ["--min-accuracy", "2"], ["--target", "nobody"]] {
        assert!(!mayfly(folder, &["run", "rows.csv", bad[0], bad[1]]).status.success(), "{bad:?}");
    }
    assert_eq!(names(folder), ["new.csv", "rows.csv", "tmp"]);
}
