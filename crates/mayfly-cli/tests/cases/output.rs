//! Nothing of the user's is lost: outputs are looked at before any work, closed streams end nothing, signals keep what was learnt.
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn mayfly(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    mayfly(dir, args).output().unwrap()
}

/// Through a shell, as pipes and redirections are made; `$m` is the command.
fn shell(dir: &Path, line: &str) -> Output {
    let mut command = Command::new("bash");
    command.current_dir(dir).env("m", env!("CARGO_BIN_EXE_mayfly")).args(["-c", line]).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with `d.csv` (two numbers, a class) and `m.mayfly`, a network trained on it.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("east,north,kind\n");
    for i in 0..120 {
        table += &format!("{}.{},{},{}\n", i % 7, i % 3, i % 5, ["no", "yes"][usize::from(i % 7 > 3)]);
    }
    fs::write(dir.path().join("d.csv"), table).unwrap();
    let trained = run(dir.path(), &["train", "d.csv", "-o", "m.mayfly", "--epochs", "2"]);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    dir
}

/// Every file by name and content.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

/// The command refuses before it does anything: exit code 2, one line that holds `words`, and every file as it was.
fn refused(dir: &Path, args: &[&str], words: &str) {
    let before = contents(dir);
    let out = run(dir, args);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
    assert!(said.contains(words) && said.lines().count() == 1, "{args:?}: {said}");
    assert!(contents(dir) == before && (out.stdout.is_empty() || args.contains(&"--json")), "{args:?}");
}

#[test]
fn an_output_is_never_an_input() {
    let dir = folder();
    let d = dir.path();
    fs::write(d.join("t.toml"), "epochs = 2\n").unwrap();
    fs::copy(d.join("d.csv"), d.join("t.csv")).unwrap();
    fs::create_dir(d.join("sub")).unwrap();
    fs::copy(d.join("m.mayfly"), d.join("data.mayfly")).unwrap();
    for output in ["d.csv", "./d.csv", "sub/../d.csv"] {
        refused(d, &["predict", "m.mayfly", "d.csv", "-o", output], "that is the data");
    }
    for args in [
        &["convert", "m.mayfly", "m.mayfly"][..],
        &["convert", "m.mayfly", "sub/../m.mayfly"],
        &["quantize", "m.mayfly", "m.mayfly", "--to", "int8"],
        &["predict", "m.mayfly", "d.csv", "-o", "m.mayfly"],
    ] {
        refused(d, args, "that is the model");
    }
    // Data may have any name, and what counts is the file, not its name.
    fs::copy(d.join("d.csv"), d.join("d.svg")).unwrap();
    fs::copy(d.join("d.csv"), d.join("table.mayfly")).unwrap();
    fs::copy(d.join("d.csv"), d.join("test.mayfly")).unwrap();
    refused(d, &["train", "d.svg", "-o", "new.mayfly", "--plot", "d.svg"], "that is the data");
    refused(d, &["train", "table.mayfly"], "that is the data");
    refused(d, &["train", "d.csv", "--test", "test.mayfly", "-o", "test.mayfly"], "that is the data of --test");
    refused(d, &["train", "d.csv", "--test", "d.svg", "-o", "new.mayfly", "--plot", "d.svg"], "--test");
    fs::write(d.join("o.svg"), "epochs = 2\n").unwrap();
    refused(d, &["train", "d.csv", "--config", "o.svg", "--plot", "o.svg"], "that is the file of --config");
    fs::write(d.join("p.toml"), "plot = \"d.svg\"\n").unwrap();
    refused(d, &["train", "d.svg", "-o", "new.mayfly", "--config", "p.toml"], "that is the data");
}

#[cfg(unix)]
#[test]
fn links_to_an_input_are_that_input() {
    let dir = folder();
    let d = dir.path();
    std::os::unix::fs::symlink("d.csv", d.join("link.csv")).unwrap();
    fs::hard_link(d.join("d.csv"), d.join("hard.csv")).unwrap();
    std::os::unix::fs::symlink("m.mayfly", d.join("link.mayfly")).unwrap();
    std::os::unix::fs::symlink("nothing", d.join("dangling.csv")).unwrap();
    refused(d, &["predict", "m.mayfly", "d.csv", "-o", "link.csv"], "that is the data");
    refused(d, &["predict", "m.mayfly", "d.csv", "-o", "hard.csv"], "that is the data");
    refused(d, &["predict", "m.mayfly", "link.csv", "-o", "hard.csv"], "that is the data");
    refused(d, &["convert", "m.mayfly", "link.mayfly"], "that is the model");
    refused(d, &["predict", "m.mayfly", "d.csv", "-o", "dangling.csv"], "leads nowhere");
    // Appending answers to the rows that they are read from would never end.
    let out = shell(d, "\"$m\" predict m.mayfly d.csv >> d.csv");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert_eq!(fs::read_to_string(d.join("d.csv")).unwrap().lines().count(), 121);
}

#[test]
fn two_outputs_are_two_files() {
    let dir = folder();
    let d = dir.path();
    refused(d, &["train", "d.csv", "-o", "-", "--plot", "-"], "taken by another");
    refused(d, &["predict", "-", "-"], "cannot both be standard input");
    refused(d, &["train", "d.csv", "-o", "x.svg", "--plot", "x.svg"], "ends in .mayfly");
}

#[test]
fn what_cannot_be_written_is_said_before_the_work() {
    let dir = folder();
    let d = dir.path();
    fs::create_dir(d.join("folder.mayfly")).unwrap();
    fs::write(d.join("file"), "x").unwrap();
    for (args, words) in [
        (&["train", "d.csv", "-o", "models/m.mayfly"][..], "no folder models"),
        (&["train", "d.csv", "-o", "new.mayfly", "--plot", "plots/a.svg"], "no folder plots"),
        (&["predict", "m.mayfly", "d.csv", "-o", "out/a.csv"], "no folder out"),
        (&["convert", "m.mayfly", "out/a.net"], "no folder out"),
        (&["quantize", "m.mayfly", "out/a.mayfly", "--to", "bf16"], "no folder out"),
        (&["train", "d.csv", "-o", "folder.mayfly"], "that is a folder"),
        (&["train", "d.csv", "-o", "new/"], "names a folder"),
        (&["predict", "m.mayfly", "d.csv", "-o", "."], "that is a folder"),
        (&["train", "d.csv", "-o", "file/m.mayfly"], "file"),
        (&["train", "d.csv", "-o", "m.h5"], ".mayfly"),
        (&["train", "d.csv", "-o", "m"], ".mayfly"),
        (&["train", "d.csv", "-o", "new.mayfly", "--plot", "a.png"], ".svg"),
        (&["predict", "m.mayfly", "d.csv", "-o", "a.parquet"], "another format"),
        (&["predict", "m.mayfly", "d.csv", "-o", "a.tsv"], "another format"),
        (&["quantize", "m.mayfly", "q.onnx", "--to", "int8"], ".mayfly"),
        (&["convert", "m.mayfly", "m.txt"], ".mayfly"),
        (&["convert", "m.mayfly", "-"], "--to"),
        (&["convert", "m.mayfly", "m.net", "--to", "onnx"], "another format"),
        (&["train", "-"], "-o MODEL"),
        (&["predict", "m.mayfly", "d.csv", "--json", "-o", "-"], "--json"),
        (&["man", "-"], "folder"),
    ] {
        refused(d, args, words);
    }
    let mut permissions = fs::metadata(d.join("m.mayfly")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(d.join("m.mayfly"), permissions).unwrap();
    refused(d, &["train", "d.csv", "-o", "m.mayfly"], "read-only");
}

#[test]
fn a_model_is_written_in_the_format_of_its_name_or_refused_untrained() {
    let dir = folder();
    let d = dir.path();
    for (name, more) in [("m.onnx", &[][..]), ("m.net", &["--algorithm", "rprop"]), ("m.safetensors", &[])] {
        let out = run(d, &[&["train", "d.csv", "--epochs", "3", "-o", name], more].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        let info = run(d, &["info", name, "--json"]);
        assert!(info.status.success(), "{name}: {}", text(&info.stderr));
    }
    // FANN has no softmax.
    let out = run(d, &["train", "d.csv", "-o", "new.net", "--task", "classify", "--target", "north"]);
    let said = text(&out.stderr);
    assert!(!out.status.success() && !said.contains("epoch 1") && said.contains("new.net"), "{said}");
    assert!(!d.join("new.net").exists() && !d.join("new.mayfly").exists());
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let dir = folder();
    let d = dir.path();
    let whole = text(&run(d, &["predict", "m.mayfly", "d.csv"]).stdout);
    assert_eq!(whole.lines().count(), 121);
    for line in [
        "\"$m\" predict m.mayfly d.csv -o -",
        "\"$m\" predict m.mayfly - < d.csv",
        "\"$m\" predict m.mayfly <(cat d.csv)",
        "\"$m\" predict - d.csv < m.mayfly",
        "cat m.mayfly | \"$m\" predict - d.csv",
        "\"$m\" train d.csv --epochs 2 -o - 2>/dev/null > n.mayfly && \"$m\" predict n.mayfly d.csv",
        "\"$m\" convert m.mayfly - --to mayfly > n.mayfly && \"$m\" predict n.mayfly d.csv",
        "\"$m\" train - --epochs 2 -o n.mayfly >/dev/null < d.csv && \"$m\" predict n.mayfly d.csv",
    ] {
        let out = shell(d, line);
        assert_eq!(text(&out.stdout), whole, "{line}: {}", text(&out.stderr));
    }
    let plot = shell(d, "\"$m\" train d.csv --epochs 2 -o n.mayfly --plot - 2>/dev/null");
    assert!(text(&plot.stdout).starts_with("<svg") && text(&plot.stdout).trim_end().ends_with("</svg>"));
    assert!(!d.join("-").exists());
}

/// Everything that runs without a network of machines, with what it prints to.
const COMMANDS: &[&str] = &[
    "train d.csv --epochs 40 -o p.mayfly",
    "eval m.mayfly d.csv",
    "predict m.mayfly d.csv",
    "predict m.mayfly d.csv --json",
    "predict m.mayfly d.csv -o p.csv",
    "info m.mayfly",
    "convert m.mayfly p.dot",
    "convert m.mayfly - --to dot",
    "quantize m.mayfly q.mayfly --to int8",
    "completions bash",
    "completions zsh",
    "man pages",
    "--help",
    "train --help",
    "--version",
    "nonsense",
    "train nothing.csv",
    "train nothing.csv --json",
];

#[cfg(unix)]
#[test]
fn closed_streams_end_nothing_and_panic_nowhere() {
    let dir = folder();
    let d = dir.path();
    for command in COMMANDS {
        let open = shell(d, &format!("\"$m\" {command} >/dev/null 2>&1")).status.code();
        for closed in ["2>&-", ">&-", ">&- 2>&-", "2>/dev/full", "| head -c 1", "2>&1 | head -c 1", "2>&1 | true"] {
            let _ = fs::remove_file(d.join("p.mayfly"));
            let line = format!("\"$m\" {command} {closed}; exit ${{PIPESTATUS[0]}}");
            let out = shell(d, &line);
            assert_eq!(out.status.code(), open, "{line}: {}", text(&out.stderr));
            assert!(!text(&out.stderr).contains("panicked"), "{line}");
            assert_eq!(d.join("p.mayfly").exists(), command.contains("p.mayfly"), "{line}");
        }
        // A full disk is a failure, said once.
        let full = shell(d, &format!("\"$m\" {command} >/dev/full"));
        let said = text(&full.stderr);
        assert!(!said.contains("panicked") && full.status.code().is_some_and(|code| code < 3), "{command}: {said}");
    }
    let full = shell(d, "\"$m\" predict m.mayfly d.csv >/dev/full");
    assert_eq!(full.status.code(), Some(1));
    assert!(text(&full.stderr).contains("standard output"), "{}", text(&full.stderr));
}

#[test]
fn failures_are_objects_under_json() {
    let dir = folder();
    let d = dir.path();
    for (args, code) in [
        (&["train", "nothing.csv", "--json"][..], 1),
        (&["eval", "m.mayfly", "nothing.csv", "--json"], 1),
        (&["info", "nothing.mayfly", "--json"], 1),
        (&["train", "d.csv", "-o", "no/m.mayfly", "--json"], 2),
        (&["predict", "m.mayfly", "d.csv", "-o", "d.csv", "--json"], 2),
        (&["train", "d.csv", "--epochs", "many", "--json"], 2),
        (&["--json", "nonsense"], 2),
    ] {
        let out = run(d, args);
        assert_eq!(out.status.code(), Some(code), "{args:?}");
        let object: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}"));
        let message = object["error"].as_str().unwrap();
        assert!(!message.is_empty() && text(&out.stderr).contains(message), "{args:?}: {object}");
    }
}

/// Waits until the child says that it trains; what else it says is read and dropped.
#[cfg(unix)]
fn training(d: &Path, prefix: &str, output: &str) -> Child {
    use std::io::{BufRead, BufReader};
    let line = format!("exec {prefix} \"$m\" train d.csv --epochs 100000000 --patience 0 -o {output}");
    let mut command = Command::new("bash");
    command.current_dir(d).env("m", env!("CARGO_BIN_EXE_mayfly")).args(["-c", &line]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("to train on")));
    std::thread::spawn(move || lines.for_each(drop));
    std::thread::sleep(Duration::from_millis(700));
    child
}

#[cfg(unix)]
fn ended(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn signals_keep_the_best_network() {
    let dir = folder();
    let d = dir.path();
    for (signal, times) in [("-INT", 1), ("-TERM", 1), ("-HUP", 1), ("-TERM", 3), ("-HUP", 3), ("-INT", 2)] {
        let child = training(d, "", "kept.mayfly");
        (0..times).for_each(|_| send(signal, &child));
        assert_eq!(ended(child), Some(0), "{signal} × {times}");
        assert!(run(d, &["eval", "kept.mayfly", "d.csv"]).status.success(), "{signal}");
        fs::remove_file(d.join("kept.mayfly")).unwrap();
    }
}

/// Answers that were not all written leave nothing behind.
#[cfg(unix)]
#[test]
fn an_interrupted_prediction_leaves_no_file() {
    let dir = folder();
    let d = dir.path();
    let rows = "1.5,2.5,no\n".repeat(2_000_000);
    fs::write(d.join("long.csv"), format!("east,north,kind\n{rows}")).unwrap();
    let child = mayfly(d, &["predict", "m.mayfly", "long.csv", "-o", "answers.csv"]).spawn().unwrap();
    let start = Instant::now();
    let begun = || fs::read_dir(d).unwrap().any(|e| e.unwrap().file_name().to_string_lossy().starts_with(".answers"));
    while !begun() && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    send("-TERM", &child);
    assert_eq!(ended(child), Some(143));
    let left: Vec<String> = contents(d).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["d.csv", "long.csv", "m.mayfly"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_training_under_nohup_outlives_its_terminal() {
    let dir = folder();
    let child = training(dir.path(), "nohup", "kept.mayfly");
    send("-HUP", &child);
    std::thread::sleep(Duration::from_millis(700));
    assert!(!dir.path().join("kept.mayfly").exists());
    send("-TERM", &child);
    assert_eq!(ended(child), Some(0));
    assert!(dir.path().join("kept.mayfly").exists());
}

#[cfg(unix)]
#[test]
fn a_model_that_cannot_be_written_in_the_end_is_kept_elsewhere() {
    let dir = folder();
    let d = dir.path();
    fs::create_dir(d.join("gone")).unwrap();
    let child = training(d, "", "gone/late.mayfly");
    fs::remove_dir(d.join("gone")).unwrap();
    send("-TERM", &child);
    assert_eq!(ended(child), Some(1));
    assert!(run(d, &["eval", "late.mayfly", "d.csv"]).status.success());
}
