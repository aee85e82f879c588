//! `mayfly forecast`: options that would change nothing, names that mean nothing, and what a file of models says of itself.
use super::case::Case;

/// A series of 40 months, and a shorter one.
fn case() -> Case {
    let case = Case::new();
    let row = |id: &str, i: usize| format!("{id},{}-{:02}-01,{}\n", 2019 + i / 12, i % 12 + 1, 100 + i * (1 + i % 3));
    let rows: String = (0..40).map(|i| row("long", i)).chain((33..40).map(|i| row("short", i))).collect();
    case.write("s.csv", format!("unique_id,ds,y\n{rows}"));
    case
}

const TRAIN: &[&str] = &["forecast", "train", "s.csv", "--h", "6", "--steps", "3", "--models", "DLinear"];

fn usage(case: &Case, args: &[&str]) -> String {
    let ran = case.run(args);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}: {}", ran.err);
    ran.err
}

#[test]
fn options_that_would_change_nothing_are_refused() {
    let case = case();
    case.ok(&[TRAIN, &["-o", "m.mayfly"]].concat());
    for option in [&["--wide"][..], &["--id", "x"], &["--freq", "D"], &["--fill", "zero"], &["--delimiter", ";"]] {
        let said = usage(&case, &[&["forecast", "predict", "m.mayfly"], option].concat());
        assert!(said.contains(option[0]) && said.contains("DATA"), "{said}");
        let said = usage(&case, &[&["forecast", "explain", "m.mayfly"], option].concat());
        assert!(said.contains(option[0]), "{said}");
    }
    for (more, want) in [
        (
            &["--loss", "mq", "--level", "80", "--interval-windows", "3"][..],
            "--interval-windows is for intervals from errors",
        ),
        (&["--loss", "normal", "--level", "80", "--intervals", "error"], "--intervals is for intervals from errors"),
        (&["--missing", "impute"], "--fill"),
    ] {
        let said = usage(&case, &[TRAIN, more].concat());
        assert!(said.contains(want), "{said}");
    }
    let said = case.refused(&[TRAIN, &["--patience", "3", "--val", "0"]].concat());
    assert!(said.contains("--patience is 3") && said.contains("held out"), "{said}");
    let backtest = ["forecast", "cv", "s.csv", "--h", "2", "--windows", "1", "--patience", "3"];
    assert!(case.refused(&backtest).contains("--patience is 3"));
    for (more, want) in [
        (&["--method", "permutation", "--points", "9"][..], "--points is of integrated_gradients"),
        (&["--draws", "9"], "--draws is of permutation"),
        (&["--method", "weights", "--seed", "9"], "--seed is of permutation"),
        (&["--method", "weights", "--steps", "1"], "--steps is of the methods"),
    ] {
        let said = usage(&case, &[&["forecast", "explain", "m.mayfly"], more].concat());
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_training() {
    let case = case();
    for (more, want) in
        [(&["--patience", "0"][..], "--patience 0: at least 1"), (&["--level", "0.9"], "90 holds 90 of 100")]
    {
        let said = usage(&case, &[TRAIN, more].concat());
        assert!(said.contains(want), "{said}");
    }
    let said = case.refused(&[TRAIN, &["--level", "80", "--interval-windows", "30"]].concat());
    assert!(said.contains("--interval-windows is 30") && said.contains("the longest one has 34"), "{said}");
    assert!(!said.contains("step"), "nothing was trained: {said}");
    let said = case.refused(&[TRAIN, &["--time", "y"]].concat());
    assert!(said.contains("--target is y; --time is the same column"), "{said}");
    let two = ["forecast", "train", "s.csv", "--h", "6", "--ensemble", "weighted", "--val", "0"];
    let said = case.refused(&two);
    assert!(said.contains("give --val of at least"), "{said}");
}

#[test]
fn standard_input_is_read_once_and_taken_everywhere() {
    let case = case();
    case.ok(&[TRAIN, &["-o", "m.mayfly"]].concat());
    let table = std::fs::read(case.path("s.csv")).unwrap();
    let from_file = case.ok(&["forecast", "predict", "m.mayfly", "s.csv"]).out;
    let piped = case.with_input(&["forecast", "predict", "m.mayfly", "-"], &table);
    assert_eq!((piped.code, piped.out), (Some(0), from_file), "{}", piped.err);
    let piped = case.with_input(&["forecast", "update", "m.mayfly", "-"], &table);
    assert_eq!(piped.code, Some(0), "{}", piped.err);
}

#[test]
fn what_a_search_found_goes_into_a_file_of_settings() {
    let case = case();
    let auto = ["forecast", "auto", "s.csv", "--h", "6", "--models", "mlp", "--samples", "2", "--steps", "2", "--json"];
    let object = case.ok(&[&auto[..], &["-o", "a.mayfly"]].concat()).json();
    let config = object["trials"][0]["config"].as_object().unwrap();
    let input_size = config["input_size"].as_u64().unwrap();
    assert!(input_size.is_multiple_of(6) && !config.contains_key("input_size_multiplier"), "{config:?}");
    let lines = config.iter().map(|(name, value)| format!("{name} = {value}\n"));
    case.write("best.toml", format!("[MLP]\n{}", lines.collect::<String>()));
    let cv =
        ["forecast", "cv", "s.csv", "--h", "6", "--models", "mlp", "--windows", "1", "--config", "best.toml", "--json"];
    assert_eq!(case.ok(&[&cv[..], &["--skip-short"]].concat()).json()["input_size"], input_size);
}

#[test]
fn a_training_says_why_nothing_is_measured() {
    let case = case();
    let train = ["forecast", "train", "s.csv", "--h", "20", "--models", "nlinear", "--steps", "2", "-o", "m.mayfly"];
    let said = case.ok(&train).err;
    assert!(said.contains("no series has the 42 values"), "{said}");
    assert!(case.ok(&["forecast", "models", "ets"]).out.contains("ETS, a baseline: exponential smoothing"));
    assert!(case.ok(&["forecast", "models", "nhits"]).out.contains("# input_size = (none)"));
    case.ok(&["forecast", "plot", "m.mayfly", "--h", "1", "-o", "one.svg"]);
    let picture = std::fs::read_to_string(case.path("one.svg")).unwrap();
    assert!(picture.contains("<circle") && picture.contains("Grey is the past."), "{picture}");
    case.ok(&[TRAIN, &["--level", "80,90", "--interval-windows", "3", "-o", "l.mayfly"]].concat());
    case.ok(&["forecast", "plot", "l.mayfly", "-o", "l.svg"]);
    assert!(std::fs::read_to_string(case.path("l.svg")).unwrap().contains("shades hold 80 and 90 %"));
}

#[test]
fn names_that_mean_nothing_are_answered_with_the_nearest() {
    let case = case();
    case.write("c.toml", "[NHIST]\nmax_steps = 3\n").write("d.toml", "[NHITS]\nmax_steps = 3\n");
    let said = usage(&case, &[TRAIN, &["--config", "c.toml"]].concat());
    assert!(said.contains("[NHIST]") && said.contains("NHITS"), "{said}");
    let said = usage(&case, &[TRAIN, &["--config", "d.toml"]].concat());
    assert!(said.contains("[NHITS]") && said.contains("none of --models"), "{said}");
    let auto = ["forecast", "auto", "s.csv", "--h", "6", "--steps", "3", "--models", "DLinear", "--space", "e.toml"];
    case.write("e.toml", "[NHIST]\nmax_steps = { int = [1, 3, 1] }\n");
    let said = usage(&case, &auto);
    assert!(said.contains("--space: the table [NHIST]") && said.contains("NHITS"), "{said}");
    let said = case.refused(&["forecast", "train", "s.csv", "--h", "6", "--models", "dlinear,DLinear"]);
    assert!(said.contains("--models is dlinear,DLinear; DLinear is there twice"), "{said}");
    case.write("nobody.csv", "unique_id,ds,y\na,2020-01-01,1\n ,2020-01-02,2\n");
    let said = case.refused(&["forecast", "train", "nobody.csv", "--h", "1"]);
    assert!(said.contains("nobody.csv, line 3") && said.contains("no series is named here"), "{said}");
    case.ok(&[TRAIN, &["-o", "m.mayfly"]].concat());
    case.write("sums.csv", "unique_id,short\nlong,1\nshort,2\n");
    let said = case.refused(&["forecast", "predict", "m.mayfly", "--hierarchy", "sums.csv"]);
    assert!(said.contains("sums.csv: ") && said.contains("\"short\" must contain itself once"), "{said}");
}

#[test]
fn short_series_are_left_out_of_a_training_on_request() {
    let case = case();
    let kept = case.ok(&[TRAIN, &["-o", "m.mayfly", "--json"]].concat());
    assert_eq!(kept.json()["series"], 2);
    let ran = case.ok(&[TRAIN, &["--skip-short", "-o", "m.mayfly", "--json"]].concat());
    assert!(ran.err.contains("1 series of fewer than 8 values are left out"), "{}", ran.err);
    assert_eq!(ran.json()["series"], 1);
}

#[test]
fn an_update_takes_series_up_to_one_time_on_request() {
    let case = Case::new();
    let row = |id: &str, i: usize| format!("{id},{i},{}\n", i % 5);
    let both: String = (0..40).flat_map(|i| [row("a", i), row("b", i)]).collect();
    case.write("s.csv", format!("unique_id,ds,y\n{both}"));
    case.write("more.csv", format!("unique_id,ds,y\n{}{}", row("a", 40), row("a", 41)));
    case.ok(&["forecast", "train", "s.csv", "--h", "2", "--models", "tsmixer", "--steps", "2", "-o", "m.mayfly"]);
    let said = case.refused(&["forecast", "update", "m.mayfly", "more.csv"]);
    assert!(said.contains("\"b\" ends at 39, others at 41") && said.contains("--align"), "{said}");
    let updated = case.ok(&["forecast", "update", "m.mayfly", "more.csv", "--align", "--json"]).json();
    assert_eq!((&updated["rows"], &updated["series_without_new_rows"]), (&2.into(), &1.into()));
    let forecasts = case.ok(&["forecast", "predict", "m.mayfly"]).out;
    let times: Vec<&str> = forecasts.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().0).collect();
    assert_eq!(times, ["a,42", "a,43", "b,42", "b,43"]);
}

#[test]
fn columns_that_models_were_trained_with_have_no_other_name() {
    let case = Case::new();
    let row = |i: usize| format!("{i},{},{},{}\n", i % 5, i % 2, i % 3);
    let head = "ds,y,seen,price\n";
    case.write("s.csv", (0..40).fold(head.to_owned(), |table, i| table + &row(i)));
    let columns = ["--hist", "seen", "--futr", "price"];
    let train = ["forecast", "train", "s.csv", "--h", "2", "--models", "nhits", "--steps", "2", "-o", "m.mayfly"];
    case.ok(&[&train[..], &columns].concat());
    case.write("bare.csv", "ds,y,price\n40,1,1\n41,1,1\n").write("futr.csv", "ds,cost\n40,1\n41,1\n42,1\n43,1\n");
    let said = case.refused(&["forecast", "update", "m.mayfly", "bare.csv"]);
    assert!(said.contains("no column \"seen\"") && said.contains("trained with") && !said.contains("--hist"), "{said}");
    let said = case.refused(&["forecast", "predict", "m.mayfly", "--futr", "futr.csv"]);
    assert!(said.contains("no column \"price\"") && !said.contains("name another"), "{said}");
    case.write("futr.csv", "ds,price\n40,1\n41,1\n42,1\n");
    let said = case.refused(&["forecast", "predict", "m.mayfly", "--futr", "futr.csv", "--h", "3"]);
    assert!(said.contains("4 steps behind the last value are needed (models forecast 2 at a time)"), "{said}");
}

#[test]
fn info_says_what_forecasts_a_file_holds() {
    let case = case();
    let train = ["forecast", "train", "s.csv", "--h", "6", "--steps", "3", "--models", "NHITS", "-o", "m.mayfly"];
    case.ok(&[&train[..], &["--local-scaler", "standard", "--calendar=month"]].concat());
    let said = case.ok(&["info", "m.mayfly"]).out;
    for want in [
        "forecasts 6 steps of frequency MS",
        "goes on with 2 series (long, short)",
        "calendar columns: month",
        "scaled by standard",
        "NHITS: ",
        "3 steps of training, sees 18 values",
        "on what was held out: MAE",
        "learning_rate 0.001",
    ] {
        assert!(said.contains(want), "{want:?} is not in {said}");
    }
    let object = case.ok(&["info", "m.mayfly", "--json"]).json();
    assert_eq!((&object["kind"], &object["h"], &object["freq"]), (&"forecaster".into(), &6.into(), &"MS".into()));
    let model = &object["models"][0];
    assert_eq!((&model["family"], &model["config"]["input_size"]), (&"NHITS".into(), &18.into()));
    assert!(model["parameters"].as_u64().unwrap() > 0 && object["bytes"].as_u64().unwrap() > 0);
    case.ok(&[TRAIN, &["--no-tails", "-o", "m.mayfly"]].concat());
    assert!(case.ok(&["info", "m.mayfly"]).out.contains("keeps no series"));
}
