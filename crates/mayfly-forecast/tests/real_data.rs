//! Real series. Where they are absent the tests say that they are skipped.
use mayfly_forecast::{
    BASELINES, BacktestOptions, Baseline, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame,
};
use mayfly_format::testdata;

fn air_passengers() -> Option<SeriesFrame> {
    let path = testdata::find("forecast/AirPassengers.csv")?;
    let frame = SeriesFrame::read(path, &FrameOptions::default()).unwrap();
    assert_eq!((frame.len(), frame.rows(), frame.freq().to_string().as_str()), (1, 144, "MS"));
    Some(frame)
}

/// The last year of AirPassengers: the naive forecasts' errors are known, and trained networks stay well below.
#[test]
fn networks_beat_the_seasonal_naive_forecast_of_a_year() {
    let Some(frame) = air_passengers() else { return };
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
