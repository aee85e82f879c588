//! Folders that NeuralForecast saved forecast here what they forecast there. `bench/python/nf_folder.py` writes them.
use mayfly_forecast::{Forecaster, Forecasts, FrameOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/neuralforecast").join(name)
}

/// Columns of NeuralForecast's own forecasts.
fn theirs(name: &str) -> BTreeMap<String, Vec<f64>> {
    let text = std::fs::read_to_string(folder(&format!("{name}.csv"))).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let column = |i: usize| rows.iter().map(|row| row[i].parse().unwrap()).collect();
    names.iter().enumerate().skip(2).map(|(i, name)| ((*name).to_owned(), column(i))).collect()
}

/// Columns of a row whose values are those of theirs in some order: quantiles, which NeuralForecast does not sort.
fn differs(ours: &Forecasts, theirs: &BTreeMap<String, Vec<f64>>, names: &[&str]) -> Option<String> {
    for row in 0..ours.len() {
        let mut got: Vec<f64> = names.iter().map(|name| f64::from(ours.column(name).unwrap()[row])).collect();
        let mut want: Vec<f64> = names.iter().map(|name| theirs[*name][row]).collect();
        got.sort_by(f64::total_cmp);
        want.sort_by(f64::total_cmp);
        if got.iter().zip(&want).any(|(g, w)| (g - w).abs() > 1e-4 * (1.0 + w.abs())) {
            return Some(format!("{names:?}, row {row}: {got:?}, not {want:?}"));
        }
    }
    None
}

const PLAIN: [&[&str]; 7] = [
    &["NHITS-median", "NHITS-lo-80", "NHITS-hi-80"],
    &["NLinear-df"],
    &["NLinear-loc"],
    &["NLinear-scale"],
    &["DLinear"],
    &["PatchTST"],
    &["TSMixer"],
];

#[test]
fn models_without_columns() {
    let (forecaster, notes) = Forecaster::import_neuralforecast(folder("plain")).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    let theirs = theirs("plain");
    for names in PLAIN {
        assert_eq!(differs(&forecasts, &theirs, names), None);
    }
    assert_eq!(
        forecasts.keys().map(|(id, ds, _)| (id, forecasts.written(ds))).next().unwrap(),
        ("a", "2020-01-01".into())
    );
    assert!(notes.iter().all(|note| !note.contains("input_size")), "{notes:?}");
    // What was taken over is saved and loaded as what was trained here.
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("m.mayfly");
    forecaster.save(&path).unwrap();
    assert_eq!(Forecaster::load(&path).unwrap().predict(None, None).unwrap().to_csv(), forecasts.to_csv());
    // A forecast of another model is noticed.
    assert!(differs(&forecasts, &theirs, &["DLinear"]).is_none());
    let mut wrong = theirs.clone();
    wrong.insert("DLinear".into(), theirs["TSMixer"].clone());
    assert!(differs(&forecasts, &wrong, &["DLinear"]).is_some());
}

#[test]
fn models_with_every_kind_of_column() {
    let (forecaster, _) = Forecaster::import_neuralforecast(folder("exog")).unwrap();
    let frame = forecaster.tails().unwrap().clone();
    let frame = frame.with_future(folder("future.csv"), &FrameOptions::default()).unwrap();
    let forecasts = forecaster.predict(Some(&frame), None).unwrap();
    let theirs = theirs("exog");
    let names: [&[&str]; 4] = [
        &["MLP"],
        &["NBEATSx-median", "NBEATSx-lo-80", "NBEATSx-hi-80"],
        &["mine-median", "mine-lo-90", "mine-lo-50", "mine-hi-50", "mine-hi-90"],
        &["GRU"],
    ];
    for names in names {
        assert_eq!(differs(&forecasts, &theirs, names), None);
    }
    assert!(forecaster.predict(None, None).unwrap_err().to_string().contains("plan"));
}

#[test]
fn models_with_categories() {
    let (forecaster, _) = Forecaster::import_neuralforecast(folder("cat")).unwrap();
    let words: Vec<_> = forecaster.exogenous().unwrap().categories.iter().map(|c| (&*c.name, c.words.len())).collect();
    assert_eq!(words, [("sky", 3), ("day", 2), ("town", 2)]);
    let frame = forecaster.tails().unwrap().clone();
    let frame = frame.with_future(folder("words.csv"), &FrameOptions::default()).unwrap();
    let forecasts = forecaster.predict(Some(&frame), None).unwrap();
    let theirs = theirs("cat");
    assert_eq!(differs(&forecasts, &theirs, &["MLP"]), None);
    assert_eq!(differs(&forecasts, &theirs, &["GRU"]), None);
}

/// Tables with rows that nothing was learnt for would change what an unseen word is.
#[test]
fn vocabularies_that_do_not_fit_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder("cat")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, temporary.path().join(from.file_name().unwrap())).unwrap();
    }
    let path = temporary.path().join("configuration.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let said = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        Forecaster::import_neuralforecast(temporary.path()).unwrap_err().to_string()
    };
    assert!(
        said("\"fog\": 1, \"rain\": 2, \"sun\": 3", "\"fog\": 1, \"rain\": 2")
            .contains("declared with 3 words and trained on 2")
    );
    assert!(said("\"rain\": 2", "\"rain\": 7").contains("not numbered from 1 on"));
    assert!(said("categorical_vocab_", "categorical_vocab").contains("were not saved"));
}

#[test]
fn folders_that_cannot_be_read_say_why() {
    let copy = |change: &dyn Fn(&std::path::Path)| {
        let temporary = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder("plain")).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, temporary.path().join(from.file_name().unwrap())).unwrap();
        }
        change(temporary.path());
        Forecaster::import_neuralforecast(temporary.path()).map(drop).map_err(|error| error.to_string())
    };
    let edit = |name: &'static str, from: &'static str, to: &'static str| {
        move |folder: &std::path::Path| {
            let path = folder.join(name);
            let bytes = std::fs::read(&path).unwrap();
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            let bytes = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
            std::fs::write(&path, bytes).unwrap();
        }
    };
    assert_eq!(copy(&|_| {}), Ok(()));
    for (change, what) in [
        (
            &edit("configuration.json", "\"nf_format\": \"2\"", "\"nf_format\": \"9\"") as &dyn Fn(&std::path::Path),
            "format \"9\"",
        ),
        (&edit("configuration.json", "\"freq\": \"MS\"", "\"freq\": \"XX\""), "XX"),
        (
            &edit("configuration.json", "\"local_scaler_type\": null", "\"local_scaler_type\": \"boxcox\""),
            "local_scaler_type",
        ),
        (
            &edit(
                "configuration.json",
                "\"local_static_scaler_type\": null",
                "\"local_static_scaler_type\": \"robust\"",
            ),
            "local_static_scaler_type",
        ),
        (&edit("DLinear_0.safetensors", "\"DLinear\"", "\"NLinear\""), "there is no tensor"),
        (&edit("NLinear_0.safetensors", "\\\"StudentT\\\"", "\\\"StudentX\\\""), "is not here"),
        (&edit("dataset.json", "available_mask", "availabel_mask"), ""),
        (&|folder| std::fs::remove_file(folder.join("configuration.json")).unwrap(), "no configuration.json"),
        (&|folder| std::fs::write(folder.join("MLP_0.safetensors"), b"rubbish").unwrap(), "MLP_0"),
    ] {
        let said = copy(change);
        assert!(what.is_empty() || said.clone().is_err_and(|said| said.contains(what)), "{what}: {said:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("configuration.pkl"), b"").unwrap();
    let said = Forecaster::import_neuralforecast(empty.path()).unwrap_err().to_string();
    assert!(said.contains("pickles") && said.contains("save it again"), "{said}");
    // Without its series a folder has no multivariate model.
    let alone = |folder: &std::path::Path| {
        std::fs::remove_file(folder.join("dataset.safetensors")).unwrap();
        std::fs::remove_file(folder.join("TSMixer_0.safetensors")).unwrap();
    };
    assert_eq!(copy(&alone), Ok(()));
}

/// A folder has the values as its models see them, and what they were scaled by.
#[test]
fn series_that_were_scaled_as_a_whole() {
    let (forecaster, _) = Forecaster::import_neuralforecast(folder("scaled")).unwrap();
    let frame = forecaster.tails().unwrap().clone();
    let first = frame.iter().next().unwrap();
    // The last value of the first series, as it was before: 50 + 10 sin(59 · 0.7) + (59 · 37 mod 11) / 2.
    let want = 50.0 + 10.0 * (59.0_f32 * 0.7).sin() + (59 * 37 % 11) as f32 * 0.5;
    assert!((first.y.last().unwrap() - want).abs() < 1e-4, "{:?}", first.y);
    let frame = frame.with_future(folder("future.csv"), &FrameOptions::default()).unwrap();
    let forecasts = forecaster.predict(Some(&frame), None).unwrap();
    let theirs = theirs("scaled");
    for name in ["MLP", "GRU", "normal-loc"] {
        assert_eq!(differs(&forecasts, &theirs, &[name]), None);
    }
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("m.mayfly");
    forecaster.save(&path).unwrap();
    let again = Forecaster::load(&path).unwrap();
    assert_eq!(again.predict(Some(&frame), None).unwrap().to_csv(), forecasts.to_csv());
}

#[test]
fn steps_that_count_differently_count_so_here() {
    let (forecaster, notes) = Forecaster::import_neuralforecast(folder("weighed")).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    let theirs = theirs("weighed");
    assert_eq!([differs(&forecasts, &theirs, &["MLP"]), differs(&forecasts, &theirs, &["GRU"])], [None, None]);
    let weights = |i: usize| forecaster.models()[i].config()["horizon_weight"].clone();
    assert_eq!([weights(1), weights(0)], [serde_json::json!([1.0, 0.5, 0.25, 2.0]), serde_json::Value::Null]);
    assert!(notes.iter().any(|note| note.contains("GRU") && note.contains("horizon_weight")), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains("MLP")), "{notes:?}");
}

/// The frequencies that a FEDformer mixes are drawn anew from its seed, as NeuralForecast draws them anew when it loads a model.
#[test]
fn frequencies_that_were_drawn() {
    let (forecaster, _) = Forecaster::import_neuralforecast(folder("modes")).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    assert_eq!(differs(&forecasts, &theirs("modes"), &["FEDformer"]), None);
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("m.mayfly");
    forecaster.save(&path).unwrap();
    assert_eq!(Forecaster::load(&path).unwrap().predict(None, None).unwrap().to_csv(), forecasts.to_csv());
}
