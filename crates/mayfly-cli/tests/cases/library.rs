//! The library and the command line train the same: whatever is asked for, the networks have the same bits.
use crate::case::Case;
use mayfly_nn::tabular::{ClassWeights, ColumnUse, FileOptions, TrainOptions, Trained, train};
use mayfly_nn::{Act, Model, Schedule};
use serde_json::Value;
use std::fmt::Write;

/// Three kinds of points in the plane, with a column that does not matter.
fn points(rows: usize) -> String {
    let mut text = String::from("east,north,colour,kind\n");
    for i in 0..rows {
        let (a, r) = (i as f64 * 0.7, 0.3 + (i % 7) as f64 * 0.05);
        let (x, kind) = [(-1.0, "left"), (0.0, "middle"), (1.0, "right")][i % 3];
        writeln!(text, "{:.4},{:.4},{},{kind}", x + r * a.cos(), r * a.sin(), ["red", "blue"][i / 3 % 2]).unwrap();
    }
    text
}

/// A number that follows from two others; some of the first are missing.
fn curve(rows: usize) -> String {
    let mut text = String::from("a;b;y\n");
    for i in 0..rows {
        let (a, b) = ((i as f64 * 0.37).sin(), (i as f64 * 0.61).cos());
        let first = if i % 11 == 5 { "-999".to_owned() } else { format!("{a:.4}") };
        writeln!(text, "{first};{b:.4};{:.4}", 30.0 + 4.0 * a * b).unwrap();
    }
    text
}

/// Parity of two signs with some noise, as FANN keeps it.
fn parity(rows: usize) -> String {
    let mut text = format!("{rows} 2 1\n");
    for i in 0..rows {
        let sign = |on: bool| if on { 1.0 } else { -1.0 };
        let (a, b) = (sign(i % 2 == 0), sign(i / 2 % 2 == 0));
        writeln!(text, "{:.3} {:.3}\n{}", a + 0.2 * (i as f64).sin(), b + 0.2 * (i as f64).cos(), -a * b).unwrap();
    }
    text
}

/// Trains `data` both ways; what the library made.
fn same(case: &Case, data: &str, line: &[&str], options: &TrainOptions) -> Trained {
    let said = case.ok(&[&["train", data, "-o", "line.mayfly", "--json"], line].concat()).json();
    let trained = train(case.path(data), options).unwrap();
    assert_eq!(trained.save(case.path("call.mayfly")).unwrap(), [""; 0]);
    let [by_line, by_call] = ["line.mayfly", "call.mayfly"].map(|name| Model::load(case.path(name)).unwrap());
    assert_eq!(by_line.network.spec(), by_call.network.spec(), "{line:?}");
    let bits = |model: &Model| model.network.params().iter().map(|p| p.to_bits()).collect::<Vec<_>>();
    assert!(bits(&by_line) == bits(&by_call) && bits(&by_call) == bits(&trained.predictor.model), "{line:?}");
    assert_eq!((&by_line.encoder, &by_line.metrics), (&by_call.encoder, &by_call.metrics), "{line:?}");
    let text = serde_json::to_string(&trained.summary).unwrap();
    let mut summary: Value = serde_json::from_str(&text).unwrap();
    for name in ["seconds", "model"] {
        summary[name] = said[name].clone(); // of the clock and of the place
    }
    assert_eq!(summary, said, "{line:?}");
    trained
}

#[test]
fn the_recommended_settings_are_those_of_the_library() {
    let case = Case::new();
    case.write("d.csv", points(240)).write("y.csv", curve(200)).write("t.csv", points(60));
    let classes = same(&case, "d.csv", &[], &TrainOptions::default());
    assert!(classes.summary.scores.accuracy.unwrap() > 0.9, "{:?}", classes.summary);
    let streamed = TrainOptions { stream: true, test: Some(case.path("t.csv")), ..TrainOptions::default() };
    same(&case, "d.csv", &["--stream", "--test", "t.csv"], &streamed);
    let file = FileOptions { missing_tokens: vec!["-999".into()], ..FileOptions::default() };
    let numbers = same(&case, "y.csv", &["--missing=-999"], &TrainOptions { file, ..TrainOptions::default() });
    assert!(numbers.summary.scores.r2.is_some() && numbers.summary.scores.accuracy.is_none());
    case.write("few.csv", points(12));
    same(&case, "few.csv", &["--epochs=20"], &TrainOptions { epochs: Some(20), ..TrainOptions::default() });
}

#[test]
fn what_is_asked_for_is_the_same_in_a_call_on_the_line_and_in_a_file() {
    let case = Case::new();
    case.write("d.csv", points(150));
    let options = TrainOptions {
        target: vec!["kind".into()],
        kinds: [("colour".to_owned(), ColumnUse::Ignore)].into(),
        hidden: Some(vec![9, 5]),
        activation: Some(Act::Tanh.into()),
        dropout: Some(0.1),
        epochs: Some(25),
        batch: Some(16),
        lr: Some(0.004),
        schedule: Some(Schedule::by_name("one_cycle").unwrap()),
        weight_decay: Some(0.05),
        class_weights: Some(ClassWeights::Balanced),
        patience: Some(0),
        seed: Some(11),
        ..TrainOptions::default()
    };
    let line = [
        "--target=kind",
        "--kinds=colour=ignore",
        "--hidden=9,5",
        "--activation=tanh",
        "--dropout=0.1",
        "--epochs=25",
        "--batch=16",
        "--lr=0.004",
        "--schedule=one-cycle",
        "--weight-decay=0.05",
        "--class-weights=balanced",
        "--patience=0",
        "--seed=11",
    ];
    same(&case, "d.csv", &line, &options);
    case.write(
        "t.toml",
        "target = 'kind'\nkinds = ['colour=ignore']\nhidden = [9, 5]\nactivation = 'tanh'\ndropout = 0.1\nepochs = 25\nbatch = 16\n\
         lr = 0.004\nschedule = 'one-cycle'\nweight_decay = 0.05\nclass_weights = 'balanced'\npatience = 30\nseed = 3\n",
    );
    same(&case, "d.csv", &["--config=t.toml", "--patience=0", "--seed=11"], &options);
}

#[test]
fn fanns_algorithms_and_networks_that_grow_are_the_same_too() {
    let case = Case::new();
    case.write("p.train", parity(80)).write("d.csv", points(90));
    for algorithm in ["rprop", "incremental"] {
        let options = TrainOptions { algorithm: Some(algorithm.into()), epochs: Some(30), ..TrainOptions::default() };
        same(&case, "p.train", &["--algorithm", algorithm, "--epochs=30"], &options);
    }
    for data in ["p.train", "d.csv"] {
        let algorithm = Some("cascade".into());
        let options = TrainOptions { algorithm, max_neurons: Some(2), ..TrainOptions::default() };
        same(&case, data, &["--algorithm=cascade", "--max-neurons=2"], &options);
    }
}

#[test]
fn a_stored_network_learns_the_same_on() {
    let case = Case::new();
    case.write("d.csv", points(150));
    case.ok(&["train", "d.csv", "--epochs=3", "--seed=7", "-o", "m.mayfly"]);
    let options = TrainOptions { from: Some(case.path("m.mayfly")), epochs: Some(8), ..TrainOptions::default() };
    let on = same(&case, "d.csv", &["--from=m.mayfly", "--epochs=8"], &options);
    assert_eq!(on.summary.seed, 7);
}

#[test]
fn the_library_names_its_options_and_the_line_its_own() {
    let case = Case::new();
    case.write("d.csv", points(60)).write("y.csv", curve(60));
    let options = TrainOptions { max_neurons: Some(3), ..TrainOptions::default() };
    let called = train(case.path("d.csv"), &options).unwrap_err().to_string();
    assert_eq!(called, "`max_neurons` goes with `algorithm` cascade; other networks have the size that `hidden` says");
    let said = case.refused(&["train", "d.csv", "--max-neurons", "3"]);
    let want = "--max-neurons goes with --algorithm cascade; other networks have the size that --hidden says";
    assert_eq!(said.trim(), format!("error: {want}"));
    for (line, words) in [
        (
            &["--algorithm=cascade", "--class-weights=balanced"][..],
            "--class-weights does not go with --algorithm cascade",
        ),
        (&["--algorithm=adam", "--weight-decay=1"], "--weight-decay goes with --algorithm adamw, not adam"),
        (&["--algorithm=rprop", "--schedule=cosine"], "--schedule does not go with FANN's algorithms"),
        (&["--algorithm=rprop", "--lr=0.1"], "--lr 0.1 cannot be used"),
        (&["--algorithm=casacde"], "cascade"),
        (&["--conv=3"], "--conv needs images"),
        (&["--kinds=east"], "expected COLUMN=KIND"),
    ] {
        let said = case.refused(&[&["train", "d.csv"], line].concat());
        assert!(said.contains(words), "{line:?}: {said}");
    }
    let said = case.refused(&["train", "y.csv", "--class-weights=balanced", "--missing=-999"]);
    assert!(said.contains("--class-weights goes with classes") && said.contains("(--task classify"), "{said}");
}
