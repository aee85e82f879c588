//! `mayfly forecast explain`, from a trained model to a summary, a table, an object and a picture.
use super::case::Case;
use serde_json::Value;

/// Two series that depend on the price alone, and models of them.
fn case() -> Case {
    let case = Case::new();
    let (mut table, mut future) = (String::from("unique_id,ds,y,price,rain\n"), String::from("unique_id,ds,price\n"));
    let price = |t: usize| (t * t + t / 3) % 5;
    for (id, level) in [("a", 10), ("b", 20)] {
        for t in 0..60 {
            table += &format!("{id},{t},{},{},{}\n", level + 3 * price(t), price(t), t * 7 % 4);
        }
        (60..64).for_each(|t| future += &format!("{id},{t},{}\n", price(t)));
    }
    case.write("s.csv", table).write("next.csv", future).write("shops.csv", "unique_id,size\na,1\nb,2\n");
    case.write("c.toml", "scaler_type = \"standard\"\nlearning_rate = 0.01\n[MLP]\nhidden_size = 16\n[TiDE]\nhidden_size = 8\ntemporal_decoder_dim = 8\n");
    let train = ["forecast", "train", "s.csv", "--h", "4", "--val", "0", "--steps", "200", "--input-size", "8"];
    let models = ["--models", "mlp,tide", "--config", "c.toml", "-o", "m.mayfly"];
    case.ok(&[&train[..], &models, &["--futr", "price", "--hist", "rain", "--static", "shops.csv"]].concat());
    case
}

const EXPLAIN: [&str; 5] = ["forecast", "explain", "m.mayfly", "--futr", "next.csv"];

/// The keys of the contract, in any order.
fn has_keys(value: &Value, want: &str) {
    let mut got: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut want: Vec<&str> = want.split(' ').collect();
    got.sort_unstable();
    want.sort_unstable();
    assert_eq!(got, want);
}

#[test]
fn a_person_is_told_what_matters() {
    let case = case();
    let said = case.ok(&EXPLAIN).out;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "MLP: what 4 forecasts of each of 2 series are made of");
    assert!(
        lines[1].contains("price (futr)") && lines[1].contains(&"█".repeat(30)) && lines[1].contains(" %"),
        "{said}"
    );
    assert!(said.contains("TiDE: what") && said.contains("y lag 1 ") && said.contains("rain (hist)"), "{said}");
    assert!(said.contains("add up to the forecasts"), "{said}");
    let one = case.ok(&[&EXPLAIN[..], &["--ids", "b", "--models", "mlp", "--steps", "2"]].concat()).out;
    assert!(one.starts_with("MLP: what 1 forecast of 1 series are made of") && !one.contains("TiDE"), "{one}");
}

#[test]
fn the_table_adds_up_to_what_predict_says() {
    let case = case();
    let ran = case.ok(&[&EXPLAIN[..], &["-o", "why.csv", "--steps", "1,4", "--plot", "why.svg"]].concat());
    // Two models, two series, two steps: 8 values, 8 of rain, 12 of the price, the size, and the baseline.
    assert!(ran.err.contains("240 rows written to why.csv") && ran.err.contains("drawn in why.svg"), "{}", ran.err);
    let table = std::fs::read_to_string(case.path("why.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (241, "unique_id,ds,model,step,kind,column,of,lag,attribution"));
    let forecasts = case.ok(&["forecast", "predict", "m.mayfly", "--futr", "next.csv"]).out;
    let row = forecasts.lines().find(|line| line.starts_with("b,63,")).unwrap();
    let want: f64 = row.split(',').nth(2).unwrap().parse().unwrap();
    let of_one = lines.iter().filter(|line| line.starts_with("b,63,MLP,4,"));
    let sum: f64 = of_one.map(|line| line.rsplit(',').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((sum - want).abs() < 0.05, "{sum}, not {want}");
    let picture = std::fs::read_to_string(case.path("why.svg")).unwrap();
    assert!(picture.contains("MLP: a") && picture.contains("TiDE: b") && picture.contains(">price<"), "{picture}");
    // The data of the file, or given anew, is the same; the table goes to standard output too.
    let given = ["forecast", "explain", "m.mayfly", "s.csv", "--static", "shops.csv", "--futr", "next.csv"];
    assert_eq!(case.ok(&[&given[..], &["--steps", "1,4", "-o", "-"]].concat()).out, table);
}

#[test]
fn the_object_has_the_keys_of_the_contract() {
    let case = case();
    let object = case.ok(&[&EXPLAIN[..], &["--method", "permutation", "--draws", "3", "--json"]].concat()).json();
    has_keys(&object, "method models");
    assert_eq!(object["method"], "permutation");
    let model = &object["models"][1];
    has_keys(model, "name input_size inputs forecasts summary");
    assert_eq!((&model["name"], &model["input_size"]), (&Value::from("TiDE"), &Value::from(8)));
    has_keys(&model["inputs"][0], "kind column of ahead");
    assert_eq!(model["inputs"][7], serde_json::json!({ "kind": "y", "column": "y", "of": null, "ahead": 0 }));
    let forecast = &model["forecasts"][0];
    has_keys(forecast, "id step ds forecast baseline gap attributions");
    assert_eq!((&forecast["ds"], &forecast["baseline"]), (&Value::from("60"), &Value::Null));
    assert_eq!(forecast["attributions"].as_array().unwrap().len(), model["inputs"].as_array().unwrap().len());
    has_keys(&model["summary"][0], "kind column of lag mean share");
    assert_eq!(model["summary"][0]["column"], "price");
    let integrated = case.ok(&[&EXPLAIN[..], &["--steps", "1", "--points", "10", "--json"]].concat()).json();
    assert!(integrated["models"][0]["forecasts"][0]["gap"].is_number());
}

#[test]
fn what_is_odd_is_refused_with_what_to_do() {
    let case = case();
    let said = |more: &[&str]| case.refused(&[&EXPLAIN[..], more].concat());
    assert!(said(&["--method", "shapley"]).contains("integrated_gradients, input_x_gradient, permutation"));
    assert!(said(&["--ids", "c"]).contains("no series is called \"c\""));
    assert!(said(&["--models", "tidee"]).contains("did you mean TiDE?"));
    assert!(said(&["--steps", "5"]).contains("--steps is 5; steps of the forecast are 1 to 4"));
    assert!(said(&["--points", "0"]).contains("--points is 0"));
    let lost = case.run(&[&EXPLAIN[..], &["-o", "m.mayfly"]].concat());
    assert!(lost.code == Some(2) && lost.err.contains("-o m.mayfly: that is the model"), "{}", lost.err);
    let both = case.run(&[&EXPLAIN[..], &["-o", "-", "--json"]].concat());
    assert!(both.code == Some(2) && both.err.contains("--json"), "{}", both.err);
    let unknown = case.refused(&["forecast", "explain", "m.mayfly"]);
    assert!(unknown.contains("no row at 60 for price") && unknown.contains("--futr"), "{unknown}");
    case.ok(&[
        "forecast",
        "train",
        "s.csv",
        "--h",
        "2",
        "--models",
        "deepar",
        "--steps",
        "2",
        "--input-size",
        "4",
        "-o",
        "d.mayfly",
    ]);
    let drawn = case.refused(&["forecast", "explain", "d.mayfly"]);
    assert!(drawn.contains("--method") && drawn.contains("permutation"), "{drawn}");
}
