//! Real series. Where they are absent the tests say that they are skipped.
use mayfly_forecast::{
    BASELINES, BacktestOptions, Baseline, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame,
};
use mayfly_format::testdata;

/// Airline passengers of 144 months (Box & Jenkins 1976), which lie in the repository.
fn air_passengers() -> SeriesFrame {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/air-passengers.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<&str>>());
    let month =
        |(at, row): (usize, Vec<&str>)| (format!("{}-{:02}-01", row[0], at % 12 + 1), row[2].parse::<f32>().unwrap());
    let (ds, y): (Vec<String>, Vec<f32>) = rows.enumerate().map(month).unzip();
    let ids = vec!["passengers".to_owned(); ds.len()];
    let frame = SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap();
    assert_eq!((frame.len(), frame.rows(), frame.freq().to_string().as_str()), (1, 144, "MS"));
    frame
}

/// Small networks of every kind of family, and the error of the last year that each must stay below: 25 for those that are made for such series, else that of
/// last year's months, 47.83.
#[test]
fn families_learn_the_airline_passengers() {
    let stacks = r#"{"mlp_units": [[64, 64], [64, 64], [64, 64]]}"#;
    let families: [(&str, f64, &str); 13] = [
        ("NHITS", 25.0, stacks),
        ("NBEATS", 25.0, stacks),
        ("MLP", 25.0, r#"{"hidden_size": 128}"#),
        ("GRU", 25.0, r#"{"encoder_hidden_size": 32, "decoder_hidden_size": 32, "learning_rate": 0.005}"#),
        ("KAN", 25.0, r#"{"hidden_size": 64}"#),
        (
            "PatchTST",
            25.0,
            r#"{"hidden_size": 32, "linear_hidden_size": 64, "n_heads": 4, "patch_len": 12, "stride": 6, "learning_rate": 0.001}"#,
        ),
        ("NLinear", 47.8, r#"{"learning_rate": 0.002}"#),
        ("DLinear", 47.8, r#"{"learning_rate": 0.002}"#),
        ("TSMixer", 47.8, r#"{"learning_rate": 0.002}"#),
        ("TiDE", 47.8, r#"{"learning_rate": 0.002, "hidden_size": 64}"#),
        ("TCN", 47.8, r#"{"encoder_hidden_size": 16, "decoder_hidden_size": 16, "learning_rate": 0.005}"#),
        ("iTransformer", 47.8, r#"{"hidden_size": 32, "d_ff": 64, "n_heads": 4, "learning_rate": 0.002}"#),
        ("Ridge", 47.8, "{}"),
    ];
    let wrong: Vec<String> = families
        .iter()
        .filter_map(|(name, bar, settings)| {
            let mut model = Model::new(name).unwrap().input_size(36);
            if *name != "Ridge" {
                model = model.with("max_steps", 200).unwrap();
                model = model.with("scaler_type", "standard").unwrap();
            }
            let model = model.with_all(&serde_json::from_str(settings).unwrap()).unwrap();
            let forecaster = Forecaster::new(12).model(model);
            let backtest =
                forecaster.cross_validation(&air_passengers(), &BacktestOptions::default(), &mut ()).unwrap();
            let mae = backtest.forecasts.scores(name).unwrap().mae;
            println!("{name}: {mae:.1}");
            (mae > *bar).then(|| format!("{name}: {mae:.1}, not {bar}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("; "));
}

/// The first rows of a wide table, in z-scores by those of the training.
fn standardised(path: &std::path::Path, train: usize, rows: usize) -> SeriesFrame {
    let text = std::fs::read_to_string(path).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').skip(1).collect();
    let values: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .take(rows)
        .map(|line| line.split(',').skip(1).map(|v| v.parse().unwrap()).collect())
        .collect();
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for (column, name) in names.iter().enumerate() {
        let seen = || values[..train].iter().map(|row| row[column]);
        let mean = seen().sum::<f64>() / train as f64;
        let std = (seen().map(|v| (v - mean).powi(2)).sum::<f64>() / train as f64).sqrt();
        for (at, row) in values.iter().enumerate() {
            ids.push((*name).to_owned());
            ds.push(at.to_string());
            y.push(((row[column] - mean) / std) as f32);
        }
    }
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

/// ETTh1 by the papers' conventions: z-scores by the training rows, every window of the test part. What a linear map reaches is known to the third digit.
#[test]
fn linear_maps_reach_their_published_errors_on_etth1() {
    let Some(path) = testdata::find("forecast/ETTh1.csv") else { return };
    let [train, val, test] = [12, 4, 4].map(|months| months * 30 * 24);
    let frame = standardised(&path, train, train + val + test);
    let linear = r#"{"max_steps": 500, "learning_rate": 0.003, "num_lr_decays": 4, "windows_batch_size": 128, "val_check_steps": 100}"#;
    let rows: [(&str, &str, [f64; 2]); 2] =
        [("Ridge", r#"{"alpha": 0.1}"#, [0.372, 0.394]), ("DLinear", linear, [0.380, 0.403])];
    for (name, settings, [mse, mae]) in rows {
        let model = Model::new(name).unwrap().input_size(336).loss(ForecastLoss::Mse);
        let model = model.with_all(&serde_json::from_str(settings).unwrap()).unwrap();
        let options = BacktestOptions { windows: test - 96 + 1, step: Some(1), ..BacktestOptions::default() };
        let forecaster = Forecaster::new(96).model(model).val_size(val);
        let backtest = forecaster.cross_validation(&frame, &options, &mut ()).unwrap();
        let scores = backtest.forecasts.scores(name).unwrap();
        println!("{name}: {:.4} {:.4}", scores.mse, scores.mae);
        assert!(scores.mse <= mse && scores.mae <= mae, "{name}: {:.4} {:.4}", scores.mse, scores.mae);
    }
}

/// The last year of AirPassengers: the naive forecasts' errors are known, and trained networks stay well below.
#[test]
fn networks_beat_the_seasonal_naive_forecast_of_a_year() {
    let frame = air_passengers();
    let trained = |name: &str, steps: usize, rate: f64| {
        let model = Model::new(name).unwrap().input_size(36).with("max_steps", steps).unwrap();
        model.with("learning_rate", rate).unwrap().with("scaler_type", "standard").unwrap()
    };
    let small = trained("NHITS", 150, 1e-3).with("mlp_units", vec![vec![64, 64]; 3]).unwrap();
    let forecaster = Forecaster::new(12).model(small).model(trained("NLinear", 400, 1e-3)).baselines(BASELINES);
    let backtest = forecaster.cross_validation(&frame, &BacktestOptions::default(), &mut ()).unwrap();
    let mae = |name: &str| backtest.forecasts.scores(name).unwrap().mae;
    // Last value 405 of December 1959, and last year's months, against 1960: by hand from the table.
    assert!((mae("SeasonalNaive") - 47.833).abs() < 1e-2, "{}", mae("SeasonalNaive"));
    assert!((mae("Naive") - 76.0).abs() < 1e-2, "{}", mae("Naive"));
    for name in ["NHITS", "NLinear"] {
        assert!(mae(name) < 35.0, "{name}: {}", mae(name));
    }
}

/// M3's published figures of the naive and the Theta forecast (Makridakis & Hibon 2000).
#[test]
fn baselines_have_their_published_errors_on_m3() {
    let Some(path) = testdata::find("forecast/M3.csv") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let (mut naive, mut theta) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
        let numbers = |field: &str| -> Vec<f64> { field.split(';').map(|v| v.trim().parse().unwrap()).collect() };
        if fields[3] != "YEARLY" {
            continue;
        }
        let (past, truth) = (numbers(fields[7]), numbers(fields[8]));
        let smape = |name: &str| {
            let forecast = Baseline::by_name(name).unwrap().forecast(&past, 1, truth.len());
            truth.iter().zip(forecast.mean).map(|(y, p)| 200.0 * (y - p).abs() / (y.abs() + p.abs())).sum::<f64>()
                / truth.len() as f64
        };
        naive.push(smape("Naive"));
        theta.push(smape("Theta"));
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    assert_eq!(naive.len(), 645);
    assert!((mean(&naive) - 17.88).abs() < 0.01, "{}", mean(&naive));
    assert!((mean(&theta) - 16.90).abs() < 0.2, "{}", mean(&theta));
}

/// The figures of the naive forecasts that M4's organisers published for its hourly series (Makridakis et al. 2020).
#[test]
fn naive_forecasts_have_their_published_errors_on_m4_hourly() {
    let (Some(train), Some(test)) =
        (testdata::find("forecast/M4-Hourly-train.csv"), testdata::find("forecast/M4-Hourly-test.csv"))
    else {
        return;
    };
    let series = |path: std::path::PathBuf| -> Vec<Vec<f64>> {
        let text = std::fs::read_to_string(path).unwrap();
        let values = |line: &str| line.split(',').skip(1).filter_map(|v| v.trim_matches('"').parse().ok()).collect();
        text.lines().skip(1).map(values).collect()
    };
    let (past, truth) = (series(train), series(test));
    let smape = |name: &str| {
        let one = |(past, truth): (&Vec<f64>, &Vec<f64>)| {
            let forecast = Baseline::by_name(name).unwrap().forecast(past, 24, truth.len());
            let errors = truth.iter().zip(forecast.mean).map(|(y, p)| 200.0 * (y - p).abs() / (y.abs() + p.abs()));
            errors.sum::<f64>() / truth.len() as f64
        };
        past.iter().zip(&truth).map(one).sum::<f64>() / truth.len() as f64
    };
    assert_eq!((past.len(), truth.len()), (414, 414));
    assert!((smape("Naive") - 43.003).abs() < 1e-3, "{}", smape("Naive"));
    assert!((smape("SeasonalNaive") - 13.912).abs() < 1e-3, "{}", smape("SeasonalNaive"));
}

/// Files of other programs are read: dates with slashes and hours, wide tables, columns with names of their own.
#[test]
fn tables_of_several_kinds_are_read() {
    if let Some(path) = testdata::find("forecast/EPF-NP.csv") {
        let options = FrameOptions { time: Some("date".into()), target: Some("OT".into()), ..FrameOptions::default() };
        let frame = SeriesFrame::read(path, &options).unwrap();
        let series = frame.iter().next().unwrap();
        assert_eq!((frame.freq().to_string().as_str(), series.id, series.y.len()), ("h", "OT", 52_416));
        assert_eq!(frame.written(frame.time(&series, 1)), "2013/1/1 1:00");
    }
    if let Some(path) = testdata::find("forecast/ETTh1.csv") {
        let options = FrameOptions { time: Some("date".into()), wide: true, ..FrameOptions::default() };
        let frame = SeriesFrame::read(path, &options).unwrap();
        assert_eq!((frame.len(), frame.longest(), frame.iter().next().unwrap().id), (7, 17_420, "HUFL"));
        let model = Model::new("DLinear").unwrap().input_size(48).with("max_steps", 5).unwrap().loss(ForecastLoss::Mse);
        let mut forecaster = Forecaster::new(24).model(model);
        forecaster.fit(&frame, &mut ()).unwrap();
        assert_eq!(forecaster.predict(None, None).unwrap().len(), 7 * 24);
    }
}
