//! `mayfly forecast`, from a table of series to forecasts, backtests and pictures.
use super::case::Case;
use serde_json::Value;

/// Two series of 60 months with a season, in a table with the columns that NeuralForecast expects.
fn case() -> Case {
    let case = Case::new();
    let mut table = String::from("unique_id,ds,y\n");
    for i in (0..60).rev() {
        for (id, level) in [("b", 300.0), ("a", 100.0)] {
            let season = 20.0 * (f64::from(i % 12) * std::f64::consts::TAU / 12.0).sin();
            table += &format!("{id},{}-{:02}-01,{:.3}\n", 2019 + i / 12, i % 12 + 1, level + season + f64::from(i));
        }
    }
    case.write("s.csv", table).write("c.toml", "scaler_type = \"standard\"\n[NHITS]\nmlp_units = [[16, 16]]\n");
    case
}

const TRAIN: [&str; 9] = ["forecast", "train", "s.csv", "--h", "6", "--steps", "5", "--config", "c.toml"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The keys of the contract, in any order.
fn has_keys(value: &Value, want: &str) {
    let (mut got, mut want) = (keys(value), want.split(' ').collect::<Vec<_>>());
    got.sort_unstable();
    want.sort_unstable();
    assert_eq!(got, want);
}

const OBJECT: &str = "models baselines h input_size freq series rows seed model";
const MODEL: &str = "name mae mse rmse smape mase coverage seconds steps parameters windows config";
const BASELINE: &str = "name mae mse rmse smape mase coverage";

#[test]
fn train_and_predict_have_the_keys_of_the_contract() {
    let case = case();
    let object =
        case.ok(&[&TRAIN[..], &["--level", "80,90", "--seed", "7", "-o", "m.mayfly", "--json"]].concat()).json();
    has_keys(&object, OBJECT);
    for (name, want) in [
        ("h", Value::from(6)),
        ("input_size", 18.into()),
        ("freq", "MS".into()),
        ("series", 2.into()),
        ("rows", 120.into()),
        ("seed", 7.into()),
        ("model", "m.mayfly".into()),
    ] {
        assert_eq!(object[name], want, "{name}");
    }
    let names = |list: &Value| {
        list.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&object["models"]), ["NHITS", "DLinear"]);
    assert_eq!(names(&object["baselines"])[..2], ["Naive", "SeasonalNaive"]);
    object["models"].as_array().unwrap().iter().for_each(|model| has_keys(model, MODEL));
    object["baselines"].as_array().unwrap().iter().for_each(|baseline| has_keys(baseline, BASELINE));
    let first = &object["models"][0];
    assert!(first["mae"].as_f64().unwrap() > 0.0 && first["coverage"]["80"].is_number(), "{first}");
    assert_eq!(
        (&first["config"]["mlp_units"], &first["config"]["scaler_type"]),
        (&serde_json::json!([[16, 16]]), &Value::from("standard"))
    );
    // A year behind the other the season repeats itself, 12 higher.
    let seasonal = &object["baselines"][1];
    assert!((seasonal["mae"].as_f64().unwrap() - 12.0).abs() < 1e-3, "{seasonal}");

    let forecasts = case.ok(&["forecast", "predict", "m.mayfly", "--json"]).json();
    has_keys(&forecasts, "columns rows");
    let columns = ["unique_id", "ds", "NHITS", "NHITS-lo-90", "NHITS-lo-80", "NHITS-hi-80", "NHITS-hi-90"];
    assert_eq!(forecasts["columns"].as_array().unwrap()[..7], columns.map(Value::from));
    let rows = forecasts["rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0][0], &rows[0][1], rows[0].as_array().unwrap().len()),
        (12, &Value::from("a"), &Value::from("2024-01-01"), 12)
    );
    // Quantiles that the network learns have the median in place of the forecast.
    case.ok(&[&TRAIN[..], &["--level", "80", "--loss", "mq", "-o", "q.mayfly"]].concat());
    let quantiles = case.ok(&["forecast", "predict", "q.mayfly"]).out;
    assert!(quantiles.starts_with("unique_id,ds,NHITS-median,NHITS-lo-80,NHITS-hi-80,DLinear-median,"), "{quantiles}");
    let refused = case.refused(&[&TRAIN[..], &["--level", "80", "--interval-windows", "1"]].concat());
    assert!(refused.contains("--interval-windows is 1; it must be at least 2"), "{refused}");
    let refused = case.refused(&[&TRAIN[..], &["--level", "80", "--intervals", "erorr"]].concat());
    assert!(refused.contains("error"), "{refused}");
}

#[test]
fn predict_writes_what_it_prints_for_known_and_for_new_series() {
    let case = case();
    case.ok(&[&TRAIN[..], &["-o", "m.mayfly", "--baselines", "none", "--no-tails"]].concat());
    assert!(case.refused(&["forecast", "predict", "m.mayfly"]).contains("give series"));
    let printed = case.ok(&["forecast", "predict", "m.mayfly", "s.csv"]).out;
    case.ok(&["forecast", "predict", "m.mayfly", "s.csv", "-o", "out.csv"]);
    assert_eq!(std::fs::read_to_string(case.path("out.csv")).unwrap(), printed);
    assert!(printed.starts_with("unique_id,ds,NHITS,DLinear\na,2024-01-01,"), "{printed}");
    let longer = case.ok(&["forecast", "predict", "m.mayfly", "s.csv", "--h", "9"]).out;
    assert_eq!(longer.lines().nth(6), printed.lines().nth(6));
    assert_eq!((longer.lines().count(), longer.lines().nth(9).unwrap().split(',').nth(1)), (19, Some("2024-09-01")));
    case.write("new.csv", "unique_id,ds,y\nnew,2030-01-01,1\nnew,2030-02-01,2\nnew,2030-03-01,3\n");
    let new = case.ok(&["forecast", "predict", "m.mayfly", "new.csv"]).out;
    assert!(new.lines().nth(1).unwrap().starts_with("new,2030-04-01,"), "{new}");
    // That it begins in another month is no other frequency.
    case.write("new.csv", "unique_id,ds,y\nnew,2030-02-01,1\nnew,2030-03-01,2\nnew,2030-04-01,3\n");
    let new = case.ok(&["forecast", "predict", "m.mayfly", "new.csv"]).out;
    assert!(new.lines().nth(1).unwrap().starts_with("new,2030-05-01,"), "{new}");
}

#[test]
fn cv_has_the_keys_of_the_contract_and_cutoffs() {
    let case = case();
    let args = [
        "forecast",
        "cv",
        "s.csv",
        "--h",
        "6",
        "--steps",
        "5",
        "--config",
        "c.toml",
        "--windows",
        "2",
        "-o",
        "cv.csv",
        "--plot",
        "cv.svg",
    ];
    let object = case.ok(&[&args[..], &["--json"]].concat()).json();
    has_keys(&object, OBJECT);
    assert_eq!((&object["model"], &object["models"][0]["coverage"]), (&Value::Null, &Value::Null));
    has_keys(&object["models"][1], MODEL);
    let table = std::fs::read_to_string(case.path("cv.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("unique_id,ds,cutoff,y,NHITS,DLinear,Naive,SeasonalNaive,"), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 2 * 2 * 6);
    assert!(lines[1].starts_with("a,2023-01-01,2022-12-01,148,"), "{}", lines[1]);
    assert!(lines[7].starts_with("a,2023-07-01,2023-06-01,154,"), "{}", lines[7]);
    let picture = std::fs::read_to_string(case.path("cv.svg")).unwrap();
    assert!(picture.contains("worst: ") && picture.contains("best: ") && picture.contains("class=\"point\""));
    let text = case.ok(&args).out;
    assert!(text.contains("MASE") && text.contains("best baseline"), "{text}");
}

#[test]
fn models_are_listed_with_their_settings() {
    let case = Case::new();
    let object = case.ok(&["forecast", "models", "--json"]).json();
    has_keys(&object, "models");
    has_keys(&object["models"][0], "name paper takes config");
    let names: Vec<&str> = object["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["DLinear", "NLinear", "Ridge", "MLP"]);
    assert_eq!(names.len(), mayfly_forecast::FAMILIES.len());
    let text = case.ok(&["forecast", "list", "nhits"]).out;
    assert!(text.contains("n_freq_downsample = [4,2,1]") && text.contains("Challu"), "{text}");
    assert!(case.refused(&["forecast", "models", "patchtsx"]).contains("did you mean PatchTST?"));
}

/// The published error of the seasonal naive forecast of the last year, from the table that the repository brings.
#[test]
fn the_passengers_of_the_readme() {
    let case = Case::new();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/passengers.csv");
    let plain = ["forecast", "cv", data, "--h", "12", "--windows", "1", "--models", "nlinear", "--steps", "5"];
    let object = case.ok(&[&plain[..], &["--baselines", "SeasonalNaive", "--json"]].concat()).json();
    let mae = object["baselines"][0]["mae"].as_f64().unwrap();
    assert!((mae - 47.8333).abs() < 1e-3, "{mae}");
}

#[test]
fn a_picture_of_what_comes_next() {
    let case = case();
    case.ok(&[&TRAIN[..], &["-o", "m.mayfly", "--level", "80", "--plot", "fit.svg"]].concat());
    case.ok(&["forecast", "plot", "m.mayfly", "-o", "next.svg", "--ids", "b"]);
    let picture = std::fs::read_to_string(case.path("next.svg")).unwrap();
    assert!(picture.contains(">b<") && !picture.contains(">a<") && picture.contains("class=\"band\""), "{picture}");
    assert!(std::fs::read_to_string(case.path("fit.svg")).unwrap().contains("worst: "));
    assert!(case.refused(&["forecast", "plot", "m.mayfly", "-o", "x.svg", "--ids", "c"]).contains("\"c\""));
    assert!(!case.path("x.svg").exists());
}

#[test]
fn what_is_odd_in_a_table_is_named() {
    let case = case();
    let said = |data: &str, more: &[&str]| {
        case.write("odd.csv", data);
        case.refused(&[&["forecast", "train", "odd.csv", "--h", "2", "--steps", "1", "-o", "x.mayfly"], more].concat())
    };
    let long = |rows: &str| format!("unique_id,ds,y\n{rows}");
    assert!(said(&long("a,1,1\na,2,2\na,2,3\na,3,3\n"), &[]).contains("\"a\" has 2 rows at 2"));
    assert!(said(&long("a,1,1\na,2,\na,3,3\na,4,4\na,5,5\n"), &[]).contains("no value at 2"));
    assert!(said(&long("a,1,1\na,x,2\n"), &[]).contains("line 3, column 2 (ds): \"x\" is no time"));
    assert!(said("id,when,what\na,1,1\na,2,2\n", &[]).contains("no column \"ds\""));
    assert!(said(&long("a,1,1\na,2,2\n"), &["--models", "nhist"]).contains("did you mean NHITS?"));
    assert!(said(&long("a,1,1\na,2,2\n"), &["--freq", "fortnight"]).contains("15min"));
    assert!(said(&long("a,1,1\na,2,2\na,3,2\n"), &["--val", "1"]).contains("--val is 1"));
    case.write("bad.toml", "hiden_size = 3\n");
    assert!(
        said(&long("a,1,1\na,2,2\na,3,2\n"), &["--models", "mlp", "--config", "bad.toml"])
            .contains("did you mean hidden_size?")
    );
    let code = case.run(&["forecast", "train", "s.csv", "--h", "0"]);
    assert_eq!((code.code, code.err.contains("--h 0")), (Some(2), true), "{}", code.err);
    case.write("net.csv", "x,y\n1,2\n2,3\n3,4\n4,5\n").ok(&["train", "net.csv", "-o", "net.mayfly", "--epochs", "1"]);
    assert!(case.refused(&["forecast", "predict", "net.mayfly"]).contains("not a forecaster"));
    case.ok(&["forecast", "train", "s.csv", "--h", "6", "--steps", "5", "--models", "nlinear", "-o", "m.mayfly"]);
    assert!(case.refused(&["eval", "m.mayfly", "net.csv"]).contains("mayfly forecast predict"));
}

#[test]
fn wide_tables_and_two_columns_are_series() {
    let case = Case::new();
    let rows: String = (1..=40)
        .map(|i| format!("2024-02-{:02},{i},{}\n", i, if i < 5 { String::new() } else { (2 * i).to_string() }))
        .take(29)
        .collect();
    case.write("wide.csv", format!("day,one,two\n{rows}"));
    let object = case
        .ok(&[
            "forecast", "train", "wide.csv", "--wide", "--time", "day", "--h", "2", "--steps", "2", "--models",
            "nlinear", "-o", "w.mayfly", "--json",
        ])
        .json();
    assert_eq!(
        (&object["series"], &object["rows"], &object["freq"]),
        (&Value::from(2), &Value::from(54), &Value::from("D"))
    );
    let out = case.ok(&["forecast", "predict", "w.mayfly"]).out;
    assert!(out.lines().nth(1).unwrap().starts_with("one,2024-03-01,") && out.contains("\ntwo,2024-03-02,"), "{out}");
    let two: String = (1..=24).map(|i| format!("{}-{:02},{i}\n", 2020 + (i - 1) / 12, (i - 1) % 12 + 1)).collect();
    case.write("two.csv", format!("Month,Sold\n{two}"));
    let out = case
        .ok(&[
            "forecast", "train", "two.csv", "--h", "2", "--steps", "2", "--models", "nlinear", "-o", "t.mayfly",
            "--json",
        ])
        .json();
    assert_eq!((&out["freq"], &out["rows"]), (&Value::from("MS"), &Value::from(24)));
    assert!(case.ok(&["forecast", "predict", "t.mayfly"]).out.contains("\nSold,2022-01,"));
}

#[test]
fn exogenous_columns_come_from_the_table_and_from_the_future() {
    let case = Case::new();
    let (mut table, mut future) = (String::from("unique_id,ds,y,price,rain\n"), String::from("unique_id,ds,price\n"));
    for id in ["a", "b"] {
        for t in 0..60 {
            table += &format!("{id},{t},{},{},{}\n", 10 + t % 7, t % 3, t % 5);
        }
        (60..64).for_each(|t| future += &format!("{id},{t},{}\n", t % 3));
    }
    case.write("s.csv", table).write("next.csv", future).write("shops.csv", "unique_id,size\na,1\nb,2\n");
    case.write("c.toml", "[MLP]\nhidden_size = 8\n");
    let beside = ["--futr", "price", "--hist", "rain", "--static", "shops.csv"];
    let train = ["forecast", "train", "s.csv", "--h", "4", "--steps", "5", "-o", "m.mayfly"];
    case.ok(&[&train[..], &["--models", "mlp,tide"], &beside].concat());
    let said = case.refused(&["forecast", "predict", "m.mayfly"]);
    assert!(said.contains("no row at 60 for price") && said.contains("--futr"), "{said}");
    let known = case.ok(&["forecast", "predict", "m.mayfly", "--futr", "next.csv"]).out;
    assert!(known.starts_with("unique_id,ds,MLP,TiDE\na,60,"), "{known}");
    let again = ["forecast", "predict", "m.mayfly", "s.csv", "--static", "shops.csv", "--futr", "next.csv"];
    assert_eq!(case.ok(&again).out, known);
    let said = case.refused(&["forecast", "predict", "m.mayfly", "s.csv", "--futr", "next.csv"]);
    assert!(said.contains("static: size"), "{said}");
    let said = case.refused(&[&train[..], &["--models", "dlinear,mlp"], &beside].concat());
    assert!(said.contains("DLinear") && said.contains("takes no hist columns such as rain"), "{said}");
    let cv = ["forecast", "cv", "s.csv", "--h", "4", "--steps", "5", "--config", "c.toml", "--models", "mlp"];
    case.ok(&[&cv[..], &beside].concat());
}

/// Columns of the calendar, alone and beside one that a table has to tell.
#[test]
fn the_calendar_is_known_without_a_table() {
    let case = Case::new();
    let mut table = String::from("unique_id,ds,y,price\n");
    let mut future = String::from("unique_id,ds,price\n");
    for t in 1..=28 {
        table += &format!("a,2024-01-{t:02},{},{}\n", t % 7, t % 3);
    }
    (1..=3).for_each(|t| future += &format!("a,2024-01-{},{}\n", 28 + t, t % 3));
    case.write("s.csv", table).write("next.csv", future).write("new.csv", "unique_id,ds,y\na,2024-01-29,1\n");
    let train = ["forecast", "train", "s.csv", "--h", "3", "--steps", "5", "--models", "mlp", "-o", "m.mayfly"];
    case.ok(&[&train[..], &["--calendar"]].concat());
    let forecasts = case.ok(&["forecast", "predict", "m.mayfly"]).out;
    assert!(forecasts.starts_with("unique_id,ds,MLP\na,2024-01-29,") && forecasts.lines().count() == 4, "{forecasts}");
    assert_eq!(case.ok(&["forecast", "predict", "m.mayfly", "s.csv"]).out, forecasts);
    assert!(case.refused(&["forecast", "predict", "m.mayfly", "--futr", "next.csv"]).contains("no file is needed"));
    case.ok(&["forecast", "update", "m.mayfly", "new.csv"]);
    assert!(case.ok(&["forecast", "predict", "m.mayfly"]).out.contains("\na,2024-01-30,"));

    case.ok(&[&train[..], &["--futr", "price", "--calendar=weekday,yearweek"]].concat());
    let said = case.refused(&["forecast", "predict", "m.mayfly"]);
    assert!(said.contains("no row at 2024-01-29 for price") && !said.contains("weekday"), "{said}");
    let known = case.ok(&["forecast", "predict", "m.mayfly", "--futr", "next.csv"]).out;
    assert_eq!(case.ok(&["forecast", "predict", "m.mayfly", "s.csv", "--futr", "next.csv"]).out, known);
    let cv = ["forecast", "cv", "s.csv", "--h", "3", "--steps", "5", "--calendar", "--models", "tide"];
    case.ok(&cv);

    let refused = |more: &[&str]| case.refused(&[&train[..], more].concat());
    assert!(refused(&["--calendar=weekdays"]).contains("did you mean weekday?"));
    assert!(refused(&["--calendar", "--models", "nlinear"]).contains("takes no futr columns such as weekday"));
}

/// Text in the table, ahead of it and a series; words that training did not see.
#[test]
fn categories_are_words() {
    let case = Case::new();
    let (mut table, mut future) = (String::from("unique_id,ds,y,day,sky,code\n"), String::from("unique_id,ds,day\n"));
    for id in ["a", "b"] {
        for t in 0..60 {
            let (day, sky) = (["work", "rest", "feast"][t % 3], ["sun", "rain"][t / 7 % 2]);
            table += &format!("{id},{t},{},{day},{sky},{}\n", 10 + 5 * (t % 3), t % 4);
        }
        (60..64).for_each(|t| future += &format!("{id},{t},{}\n", if t == 61 { "strike" } else { "rest" }));
    }
    case.write("s.csv", table)
        .write("next.csv", future)
        .write("shops.csv", "unique_id,size,town\na,1,Rome\nb,2,Oslo\n");
    let beside = ["--futr", "day", "--hist", "sky,code", "--static", "shops.csv", "--cat", "day,sky,town,code"];
    let train = ["forecast", "train", "s.csv", "--h", "4", "--steps", "5", "-o", "m.mayfly"];
    case.ok(&[&train[..], &["--models", "tide,gru"], &beside].concat());
    let known = case.ok(&["forecast", "predict", "m.mayfly", "--futr", "next.csv"]).out;
    assert!(known.starts_with("unique_id,ds,TiDE,GRU\na,60,"), "{known}");
    let again = ["forecast", "predict", "m.mayfly", "s.csv", "--static", "shops.csv", "--futr", "next.csv"];
    assert_eq!(case.ok(&again).out, known);
    let cv = ["forecast", "cv", "s.csv", "--h", "4", "--steps", "5", "--models", "mlp"];
    case.ok(&[&cv[..], &beside].concat());

    let refused = |more: &[&str]| case.refused(&[&train[..], more].concat());
    assert!(
        refused(&["--models", "tft", "--futr", "day", "--cat", "day"]).contains("takes no cat columns such as day")
    );
    let said = case.run(&[&train[..], &["--hist", "code", "--cat", "town"]].concat()).err;
    assert!(said.contains("--cat town: no column of --hist"), "{said}");
    assert!(refused(&["--models", "mlp", "--futr", "day"]).contains("day"));
}

/// Hours of Berlin before its clocks are put back; the model keeps the zone for tables that come later.
#[test]
fn zones_of_hours() {
    let case = Case::new();
    let hours =
        |day: &str, from: u32, to: u32| (from..=to).map(|h| format!("{day} {h:02}:00,{}\n", h % 5)).collect::<String>();
    let table = format!("ds,y\n{}", hours("2024-10-26", 0, 23));
    case.write("s.csv", table).write("new.csv", format!("ds,y\n{}", hours("2024-10-27", 0, 1)));
    case.write("odd.csv", "ds,y\n2024-10-27 01:00,1\n2024-10-27 02:00,1\n");
    let train = ["forecast", "train", "s.csv", "--h", "2", "--steps", "2", "--models", "nlinear", "-o", "m.mayfly"];
    case.ok(&[&train[..], &["--tz", "Europe/Berlin"]].concat());
    case.ok(&["forecast", "update", "m.mayfly", "new.csv"]);
    let want = ["ds,NLinear", "2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00"];
    for data in
        [&["forecast", "predict", "m.mayfly"][..], &["forecast", "predict", "m.mayfly", "new.csv", "--freq", "h"]]
    {
        let out = case.ok(data).out;
        assert!(out.lines().zip(want).all(|(line, want)| line.contains(want)), "{data:?}: {out}");
    }
    let said = case.refused(&["forecast", "update", "m.mayfly", "odd.csv"]);
    assert!(said.contains("line 3") && said.contains("was twice in Europe/Berlin"), "{said}");
    assert!(case.refused(&[&train[..], &["--tz", "Berlin"]].concat()).contains("such as Europe/Berlin"));
}

#[test]
fn distributions_hierarchies_and_paths() {
    let mut table = String::from("unique_id,ds,y\n");
    for i in 0..40 {
        let (a, b) = (100.0 + 10.0 * f64::from(i % 4), 300.0 + f64::from(i));
        for (id, y) in [("a", a), ("b", b), ("all", a + b)] {
            table += &format!("{id},{i},{y}\n");
        }
    }
    let case = Case::new();
    case.write("s.csv", table).write("sums.csv", "unique_id,a,b\nall,1,1\na,1,0\nb,0,1\n");
    let train = ["forecast", "train", "s.csv", "--h", "3", "--models", "nlinear", "--steps", "20"];
    case.ok(&[&train[..], &["--loss", "studentt", "--level", "80", "-o", "m.mayfly"]].concat());
    let columns = ["unique_id", "ds", "NLinear", "NLinear-median", "NLinear-lo-80", "NLinear-hi-80"];
    let sums = case.ok(&["forecast", "predict", "m.mayfly", "--hierarchy", "sums.csv", "--json"]).json();
    assert_eq!(sums["columns"].as_array().unwrap()[..], columns.map(Value::from));
    let rows = sums["rows"].as_array().unwrap();
    let mean = |id: &str, step: usize| {
        let mut of = rows.iter().filter(|row| row[0] == id);
        of.nth(step).unwrap()[2].as_f64().unwrap()
    };
    for step in 0..3 {
        assert!((mean("all", step) - mean("a", step) - mean("b", step)).abs() < 1e-2, "{rows:?}");
    }
    let paths = case.ok(&["forecast", "predict", "m.mayfly", "s.csv", "--paths", "5", "-o", "paths.csv"]);
    assert!(paths.err.contains("45 rows written"), "{}", paths.err);
    let text = std::fs::read_to_string(case.path("paths.csv")).unwrap();
    assert_eq!((text.lines().count(), text.lines().next()), (46, Some("unique_id,ds,sample_id,NLinear")));
    let cv = ["forecast", "cv", "s.csv", "--h", "2", "--models", "nlinear", "--steps", "5", "--hierarchy", "sums.csv"];
    case.ok(&[&cv[..], &["--reconcile", "mintrace_ols"]].concat());
    let predict = ["forecast", "predict", "m.mayfly", "--hierarchy"];
    let said = case.refused(&[&predict[..], &["sums.csv", "--reconcile", "mintrace"]].concat());
    assert!(said.contains("MinTraceOLS"), "{said}");
    let said = case.refused(&[&predict[..], &["s.csv"]].concat());
    assert!(said.contains("two rows"), "{said}");
    case.write("less.csv", "unique_id,a\nall,1\na,1\n");
    let said = case.refused(&[&predict[..], &["less.csv"]].concat());
    assert!(said.contains("it lacks the series \"b\""), "{said}");
    case.write("neg.csv", "ds,y\n1,3\n2,-4\n3,2\n4,5\n5,1\n6,1\n7,1\n8,1\n");
    let counts = ["forecast", "train", "neg.csv", "--h", "2", "--loss", "poisson", "-o", "p.mayfly"];
    let said = case.refused(&counts);
    assert!(said.contains("no negative values") && said.contains("-4 at 2"), "{said}");
    case.ok(&[&train[..5], &["--models", "deepar", "--steps", "2", "-o", "d.mayfly"]].concat());
    let header = case.ok(&["forecast", "predict", "d.mayfly"]).out;
    assert!(header.starts_with("unique_id,ds,DeepAR,DeepAR-median,DeepAR-lo-90"), "{header}");
}

#[test]
fn forecasts_are_told_in_parts() {
    let case = case();
    case.ok(&[&TRAIN[..], &["--scaler", "invariant", "-o", "bent.mayfly"]].concat());
    assert!(case.refused(&["forecast", "predict", "bent.mayfly", "--decompose"]).contains("it bends"));
    case.ok(&[&TRAIN[..], &["-o", "m.mayfly"]].concat());
    let object = case.ok(&["forecast", "predict", "m.mayfly", "--decompose", "--json"]).json();
    let parts = ["NHITS", "NHITS-level", "NHITS-identity-1", "NHITS-identity-2", "NHITS-identity-3"];
    let columns = [&["unique_id", "ds"], &parts[..], &["DLinear"]].concat();
    assert_eq!(object["columns"].as_array().unwrap()[..], columns.into_iter().map(Value::from).collect::<Vec<_>>());
    let row = object["rows"][7].as_array().unwrap();
    let number = |at: usize| row[at].as_f64().unwrap();
    assert!((number(2) - (3..7).map(number).sum::<f64>()).abs() < 1e-2, "{row:?}");
    assert!(case.refused(&["forecast", "predict", "m.mayfly", "--decompose", "--h", "9"]).contains("at most 6"));
    case.ok(&["forecast", "train", "s.csv", "--h", "6", "--steps", "2", "--models", "dlinear", "-o", "d.mayfly"]);
    let said = case.refused(&["forecast", "predict", "d.mayfly", "--decompose"]);
    assert!(said.contains("NHITS, NBEATS, NBEATSx"), "{said}");
}

#[test]
fn steps_of_a_horizon_count_by_a_setting() {
    let case = case();
    let train = ["forecast", "train", "s.csv", "--h", "3", "--steps", "2", "--models", "nlinear", "--config", "w.toml"];
    case.write("w.toml", "horizon_weight = [1, 1, 4]\n");
    let object = case.ok(&[&train[..], &["-o", "m.mayfly", "--json"]].concat()).json();
    assert_eq!(object["models"][0]["config"]["horizon_weight"], serde_json::json!([1.0, 1.0, 4.0]));
    case.ok(&["forecast", "predict", "m.mayfly"]);
    case.write("w.toml", "horizon_weight = [1, 4]\n");
    let said = case.refused(&[&train[..], &["-o", "m.mayfly"]].concat());
    assert!(said.contains("horizon_weight") && said.contains("3 are needed"), "{said}");
}

#[test]
fn new_values_are_appended_and_learnt() {
    let case = case();
    let whole = std::fs::read_to_string(case.path("s.csv")).unwrap();
    let is_new = |line: &&str| line.contains("2023-12");
    let old: Vec<&str> = whole.lines().filter(|line| !is_new(line)).collect();
    let new: Vec<&str> = whole.lines().filter(|line| is_new(line) || line.starts_with("unique_id")).collect();
    case.write("old.csv", old.join("\n")).write("new.csv", new.join("\n"));
    case.ok(&["forecast", "train", "old.csv", "--h", "6", "--steps", "5", "--config", "c.toml", "-o", "m.mayfly"]);
    let kept = std::fs::read(case.path("m.mayfly")).unwrap();
    let object = case.ok(&["forecast", "update", "m.mayfly", "new.csv", "-o", "n.mayfly", "--json"]).json();
    has_keys(&object, "rows revised new_series series_without_new_rows old_rows steps model");
    assert_eq!((&object["rows"], &object["model"]), (&Value::from(2), &Value::from("n.mayfly")));
    let forecasts = case.ok(&["forecast", "predict", "n.mayfly"]).out;
    assert_eq!(forecasts, case.ok(&["forecast", "predict", "m.mayfly", "s.csv"]).out);
    assert!(forecasts.lines().nth(1).unwrap().starts_with("a,2024-01-01,"), "{forecasts}");
    assert_eq!(std::fs::read(case.path("m.mayfly")).unwrap(), kept, "with -o the model stays as it was");
    // In its own place, with training.
    let said = case.ok(&["forecast", "update", "m.mayfly", "s.csv", "--steps", "3"]).out;
    assert!(said.contains("2 values appended") && said.contains("3 steps of training"), "{said}");
    assert_ne!(case.ok(&["forecast", "predict", "m.mayfly"]).out, forecasts);
    let kept = std::fs::read(case.path("m.mayfly")).unwrap();
    case.write("far.csv", "unique_id,ds,y\na,2024-03-01,1\n");
    let refused = case.refused(&["forecast", "update", "m.mayfly", "far.csv"]);
    assert!(refused.contains("\"a\" has no value at 2024-01-01") && refused.contains("--fill"), "{refused}");
    case.ok(&["forecast", "update", "m.mayfly", "far.csv", "-o", "f.mayfly", "--fill", "linear"]);
    assert!(case.run(&["forecast", "update", "m.mayfly", "new.csv", "-o", "new.csv"]).err.contains("would be lost"));
    assert_eq!(std::fs::read(case.path("m.mayfly")).unwrap(), kept);
}

#[test]
fn settings_are_found_by_trying() {
    let case = case();
    case.write(
        "space.toml",
        "[NHITS]\nmlp_units = { choice = [[[8, 8]], [[16, 16]]] }\nlearning_rate = { log = [1e-3, 1e-2] }\nn_pool_kernel_size = { choice = [[1], [2]] }\nn_freq_downsample = { choice = [[1], [3]] }\nstack_types = { choice = [[\"identity\"]] }\nn_blocks = { choice = [[1]] }\n",
    );
    let auto = |more: &[&str]| {
        let args =
            ["forecast", "auto", "s.csv", "--h", "6", "--models", "nhits", "--steps", "5", "--space", "space.toml"];
        [&args[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |more: &[&str]| {
        let args = auto(more);
        case.ok(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let object = run(&["--samples", "3", "--log", "t.jsonl", "-o", "m.mayfly", "--json"]).json();
    has_keys(&object, &format!("{OBJECT} trials"));
    let trials = object["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 3);
    trials.iter().for_each(|trial| has_keys(trial, "model trial config mae failed seconds"));
    let best = trials.iter().map(|trial| trial["mae"].as_f64().unwrap()).fold(f64::MAX, f64::min);
    assert_eq!(object["models"][0]["mae"].as_f64(), Some(best));
    assert!(trials.iter().all(|trial| trial["config"]["max_steps"] == 5), "--steps fixes the steps");
    assert!(case.ok(&["forecast", "predict", "m.mayfly"]).out.starts_with("unique_id,ds,NHITS\n"));
    // The log has all trials: the same search goes on from it, and is no other.
    assert_eq!(std::fs::read_to_string(case.path("t.jsonl")).unwrap().lines().count(), 4);
    let said = run(&["--samples", "3", "--log", "t.jsonl", "-o", "n.mayfly"]).out;
    assert!(said.starts_with("NHITS: 3 trials\n") && said.contains("learning_rate"), "{said}");
    let refused = |more: &[&str]| {
        let args = auto(more);
        let ran = case.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ran.code != Some(0) && ran.out.is_empty(), "{args:?}");
        ran.err
    };
    assert!(refused(&["--samples", "4", "--log", "t.jsonl"]).contains("samples is 3 there and 4 here"));
    assert!(refused(&["--search", "grid"]).contains("tpe"));
    assert!(refused(&["--log", "s.csv"]).contains("would be lost"));
    assert!(refused(&["--val", "0"]).contains("--val"));
    case.write("space.toml", "[MLP]\nhidden_size = { choice = [8] }\n");
    assert!(refused(&[]).contains("[MLP]"));
}

/// A pipe has its content once; settings from one reach the models all the same.
#[cfg(unix)]
#[test]
fn settings_may_come_from_a_pipe() {
    let case = case();
    let pipe = case.path("p.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Whoever reads again finds nothing.
    std::thread::spawn(move || {
        for text in ["hidden_size = 8\n", "", ""] {
            let _ = std::fs::write(&pipe, text);
        }
    });
    let train = ["forecast", "train", "s.csv", "--h", "6", "--steps", "2", "--models", "MLP"];
    let object = case.ok(&[&train[..], &["--config", "p.toml", "-o", "m.mayfly", "--json"]].concat()).json();
    assert_eq!(object["models"][0]["config"]["hidden_size"], 8);
}

/// Values that are said not to count, or to be unknown, are said so to a person and to the training.
#[test]
fn weights_and_what_is_unknown_are_columns() {
    let case = case();
    let table = std::fs::read_to_string(case.path("s.csv")).unwrap();
    let marked = table.lines().enumerate().map(|(at, line)| match at {
        0 => format!("{line},w,there\n"),
        at => format!("{line},{},{}\n", if at < 50 { 1 } else { 0 }, u8::from(at % 20 != 3)),
    });
    case.write("m.csv", marked.collect::<String>());
    let train = ["forecast", "train", "m.csv", "--h", "6", "--steps", "5", "--models", "NLinear", "--val", "6"];
    let ran = case.ok(&[&train[..], &["--weight", "w", "--available", "there", "-o", "m.mayfly"]].concat());
    assert!(ran.err.contains("w says how much each value counts in training"), "{}", ran.err);
    assert!(ran.err.contains("6 values are taken for unknown, as their there says"), "{}", ran.err);
    let said = case.refused(&[&train[..], &["--weight", "v", "-o", "n.mayfly"]].concat());
    assert!(said.contains("\"v\"") && said.contains("--weight"), "{said}");
}

/// New rows of a trained model: what they are called, and when they are.
#[test]
fn rows_for_a_model_are_read_as_the_model_knows_them() {
    let case = case();
    let table = std::fs::read_to_string(case.path("s.csv")).unwrap().replace("unique_id,ds,y", "shop,month,sold");
    let (head, rows) = table.split_once('\n').unwrap();
    let (new, old): (Vec<&str>, Vec<&str>) = rows.lines().partition(|line| line.contains("2023-12"));
    let lines = |rows: &[&str]| format!("{head}\n{}\n", rows.join("\n"));
    case.write("old.csv", lines(&old)).write("new.csv", lines(&new));
    let names = ["--id", "shop", "--time", "month", "--target", "sold"];
    case.ok(&[
        &["forecast", "train", "old.csv", "--h", "6", "--models", "nlinear", "--steps", "5", "-o", "m.mayfly"],
        &names[..],
    ]
    .concat());
    case.ok(&["forecast", "update", "m.mayfly", "new.csv", "-o", "n.mayfly"]);
    let forecasts = case.ok(&["forecast", "predict", "n.mayfly"]).out;
    // The usual names do too, and two rows need no --freq.
    case.write("usual.csv", lines(&new).replace("shop,month,sold", "unique_id,ds,y"));
    case.ok(&["forecast", "update", "m.mayfly", "usual.csv", "-o", "o.mayfly"]);
    assert_eq!(case.ok(&["forecast", "predict", "o.mayfly"]).out, forecasts);
    case.ok(&["forecast", "predict", "m.mayfly", "new.csv"]);
    // The same rows again are no new ones.
    let said = case.ok(&["forecast", "update", "n.mayfly", "new.csv"]).out;
    assert!(said.contains("0 values appended, 2 replaced") && said.contains("2 series without new values"), "{said}");
    // Days are no months, whatever fills the gaps; nor is the middle of one.
    let days: String = (1..9).map(|day| format!("a,2024-01-0{day},1\n")).collect();
    case.write("days.csv", format!("{head}\n{days}"));
    let said = case.refused(&["forecast", "update", "m.mayfly", "days.csv", "--fill", "linear"]);
    assert!(said.contains("frequency D") && said.contains("MS"), "{said}");
    case.write("off.csv", format!("{head}\na,2023-12-15,1\n"));
    let said = case.refused(&["forecast", "update", "m.mayfly", "off.csv"]);
    assert!(said.contains("2023-12-15 is not on the grid"), "{said}");
}

/// What cannot be made is said before anything is trained; of all families the others go on.
#[test]
fn families_that_cannot_be_made_are_named_at_once() {
    let case = case();
    let train = |models: &str, h: &str| {
        let args = ["forecast", "train", "s.csv", "--models", models, "--h", h, "--steps", "1", "-o", "m.mayfly"];
        args.map(str::to_owned)
    };
    let refused = |models: &str, h: &str| {
        let args = train(models, h);
        case.refused(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let said = refused("nlinear,timexer", "6");
    assert!(said.contains("TimeXer; 18 values of the past in patches of 16") && !said.contains("step 1/1"), "{said}");
    assert!(refused("nlinear,nbeats", "1").contains("NBEATS; a horizon of 1"), "{}", refused("nbeats", "1"));
    case.write("closed.csv", "unique_id,ds,y,available_mask\na,1,1,0\na,2,2,0\na,3,4,0\na,4,5,0\n");
    let said = case.refused(&["forecast", "train", "closed.csv", "--h", "1", "--models", "nlinear", "--steps", "1"]);
    assert!(said.contains("not available"), "{said}");
    // A setting has a value or is searched.
    case.write("space.toml", "[NLinear]\nmax_steps = { int = [20, 40, 10] }\n");
    let auto =
        ["forecast", "auto", "s.csv", "--h", "6", "--models", "nlinear", "--space", "space.toml", "--steps", "5"];
    let ran = case.run(&auto);
    assert!(ran.code == Some(2) && ran.err.contains("searches max_steps"), "{}", ran.err);
}

#[test]
fn other_files_are_no_models() {
    let case = case();
    let said = case.refused(&["forecast", "predict", "s.csv"]);
    assert!(said.contains("s.csv") && said.contains("no Mayfly model"), "{said}");
    let picture = case.ok(&TRAIN.into_iter().chain(["-o", "m.mayfly"]).collect::<Vec<_>>());
    assert!(picture.err.contains("Model: m.mayfly"));
    let object = case.ok(&["forecast", "plot", "m.mayfly", "-o", "p.svg", "--json"]).json();
    assert_eq!((&object["picture"], &object["series"][1]), (&Value::from("p.svg"), &Value::from("b")));
    // A usage error is whole in JSON.
    let ran = case.run(&["forecast", "train", "s.csv", "--json"]);
    assert!(ran.code == Some(2) && ran.json()["error"].as_str().unwrap().contains("--h"), "{}", ran.out);
}
