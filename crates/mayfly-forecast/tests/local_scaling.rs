//! Series that are scaled as a whole before models see them.
use mayfly_forecast::{
    BacktestOptions, ExplainOptions, ForecastLoss, Forecaster, FrameOptions, LocalScaler, Model, SeriesFrame, Table,
    UpdateOptions,
};

/// Values of series `s`, `factor` times as large and `level` higher.
fn values(n: usize, s: usize, [factor, level]: [f32; 2]) -> Vec<f32> {
    (0..n).map(|i| level + factor * (3.0 * ((i + 5 * s) as f32 * 0.5).sin() + (i * 7 % 5) as f32)).collect()
}

/// Series a and b, with a column each of hist and futr that follow the second's scale.
fn frame(n: usize, of_b: [f32; 2]) -> SeriesFrame {
    let (a, b) = (values(n, 0, [1.0, 20.0]), values(n, 1, of_b));
    let ids: Vec<String> = ["a", "b"].iter().flat_map(|id| vec![(*id).to_owned(); n]).collect();
    let ds: Vec<String> = (0..2).flat_map(|_| (0..n).map(|i| i.to_string())).collect();
    let past = [values(n, 2, [1.0, 0.0]), values(n, 3, of_b)].concat();
    let plan = [values(n, 4, [1.0, 0.0]), values(n, 5, of_b)].concat();
    let y = [a, b].concat();
    let table = Table { ids: &ids, ds: &ds, y: &y, hist: &[("past", &past)], futr: &[("plan", &plan)] };
    SeriesFrame::from_table(&table, &FrameOptions::default()).unwrap()
}

/// The same series without columns and scales.
fn plain(frame: &SeriesFrame) -> SeriesFrame {
    let of = |s: mayfly_forecast::Series<'_>| -> Vec<(String, String, f32)> {
        let row = |(i, y): (usize, &f32)| (s.id.to_owned(), (s.start.0 + i as i64).to_string(), *y);
        s.y.iter().enumerate().map(row).collect()
    };
    let rows: Vec<(String, String, f32)> = frame.iter().flat_map(of).collect();
    let column = |part: fn(&(String, String, f32)) -> String| rows.iter().map(part).collect::<Vec<String>>();
    let y: Vec<f32> = rows.iter().map(|row| row.2).collect();
    SeriesFrame::from_columns(&column(|row| row.0.clone()), &column(|row| row.1.clone()), &y, &FrameOptions::default())
        .unwrap()
}

fn model(name: &str) -> Model {
    let model = Model::new(name).unwrap().with("max_steps", 10).unwrap().with("learning_rate", 1e-2).unwrap();
    let model = model.with("scaler_type", "identity").unwrap().input_size(12);
    match name {
        "GRU" => model.with("encoder_hidden_size", 8).unwrap().with("recurrent", true).unwrap(),
        _ => model.with("hidden_size", 16).unwrap(),
    }
}

fn forecaster(scaler: LocalScaler) -> Forecaster {
    let bounds = model("MLP").alias("bounds").loss(ForecastLoss::intervals(&[80.0]));
    let normal = model("MLP").alias("normal").loss(ForecastLoss::by_name("normal", &[80.0]).unwrap());
    Forecaster::new(4).model(model("MLP")).model(bounds).model(normal).model(model("GRU")).local_scaler(scaler)
}

fn backtest(forecaster: &Forecaster, frame: &SeriesFrame) -> Vec<(String, Vec<f32>)> {
    let options = BacktestOptions { windows: 2, ..BacktestOptions::default() };
    let forecasts = forecaster.cross_validation(frame, &options, &mut ()).unwrap().forecasts;
    let names = forecasts.columns().into_iter().filter(|name| !["unique_id", "ds", "cutoff", "y"].contains(&&**name));
    names.map(|name| (name.clone(), forecasts.column(&name).unwrap().to_vec())).collect()
}

/// Another unit of one series changes its forecasts by that unit and those of the other not at all.
#[test]
fn units_of_a_series_do_not_matter() {
    for name in LocalScaler::NAMES {
        let forecaster = forecaster(LocalScaler::by_name(name).unwrap());
        let plain = backtest(&forecaster, &frame(80, [1.0, 0.0]));
        let other = backtest(&forecaster, &frame(80, [1000.0, 5.0]));
        assert_eq!(plain.len(), 1 + 3 + 4 + 1);
        for ((column, plain), (_, other)) in plain.iter().zip(&other) {
            let (half, want) =
                (plain.len() / 2, |i: usize| if i < plain.len() / 2 { plain[i] } else { 1000.0 * plain[i] + 5.0 });
            let near = |i: usize| (other[i] - want(i)).abs() <= 2e-3 * if i < half { 1.0 } else { 1000.0 };
            assert!((0..plain.len()).all(near), "{name}, {column}: {plain:?} {other:?}");
        }
    }
    // Without it they do.
    let bare = Forecaster::new(4).model(model("MLP"));
    let (plain, other) = (backtest(&bare, &frame(80, [1.0, 0.0])), backtest(&bare, &frame(80, [1000.0, 5.0])));
    assert!((plain[0].1[0] - other[0].1[0]).abs() > 0.1, "{plain:?} {other:?}");
}

/// What is held out has no part in the scales.
#[test]
fn scales_see_nothing_of_what_is_forecast() {
    let (whole, n) = (frame(80, [1.0, 0.0]), 8);
    let strange = {
        let cut = whole.without_last(n);
        let more: Vec<f32> = (0..2 * n).map(|i| 1e6 * (1 + i) as f32).collect();
        let ids: Vec<String> = ["a", "b"].iter().flat_map(|id| vec![(*id).to_owned(); n]).collect();
        let ds: Vec<String> = (0..2).flat_map(|_| (80 - n..80).map(|i| i.to_string())).collect();
        let table =
            Table { ids: &ids, ds: &ds, y: &more, hist: &[("past", &more)], futr: &[("plan", &vec![0.0; 2 * n])] };
        cut.appended(&SeriesFrame::from_table(&table, &FrameOptions::default()).unwrap(), Default::default()).unwrap().0
    };
    let forecaster = Forecaster::new(n).model(model("MLP")).local_scaler(LocalScaler::Standard);
    let of = |frame: &SeriesFrame| {
        let backtest = forecaster.cross_validation(frame, &BacktestOptions::default(), &mut ()).unwrap();
        backtest.fitted[0].network().params().to_vec()
    };
    assert_eq!(of(&whole), of(&strange));
}

#[test]
fn scales_stay_with_their_series() {
    let whole = frame(80, [1000.0, 5.0]);
    let whole = plain(&whole);
    let mut forecaster = Forecaster::new(4).model(model("MLP")).local_scaler(LocalScaler::Robust);
    forecaster.fit(&whole.without_last(10), &mut ()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    forecaster.save(file.path()).unwrap();
    let loaded = Forecaster::load(file.path()).unwrap();
    let csv = |f: &Forecaster, frame: Option<&SeriesFrame>| f.predict(frame, None).unwrap().to_csv();
    assert_eq!(csv(&loaded, None), csv(&forecaster, None));
    // A part of a series, without scales of its own, has those of the fit.
    assert_eq!(csv(&loaded, Some(&whole.without_last(10).last(13))), csv(&loaded, None));
    // So have new values.
    let mut updated = loaded.clone();
    updated.update(&whole.last(10), &UpdateOptions::default(), &mut ()).unwrap();
    assert_eq!(csv(&updated, None), csv(&loaded, Some(&whole)));
    // A series that was not there has the scale of its own values, in any unit.
    let new = |factor: f32| {
        let y = values(60, 7, [factor, 0.0]);
        let ds: Vec<String> = (0..60).map(|i| i.to_string()).collect();
        SeriesFrame::from_columns(&vec!["new".to_owned(); 60], &ds, &y, &FrameOptions::default()).unwrap()
    };
    let column = |factor: f32| loaded.predict(Some(&new(factor)), None).unwrap().column("MLP").unwrap().to_vec();
    let (one, hundred) = (column(1.0), column(100.0));
    assert!(one.iter().zip(&hundred).all(|(a, b)| (100.0 * a - b).abs() < 0.02), "{one:?} {hundred:?}");
}

/// Explanations are on the scale of the data.
#[test]
fn explanations_add_up_to_the_forecast() {
    let whole = plain(&frame(80, [1000.0, 5.0]));
    let mut forecaster = Forecaster::new(4).model(model("MLP")).local_scaler(LocalScaler::Standard);
    forecaster.fit(&whole, &mut ()).unwrap();
    let explanations = forecaster.explain(None, &ExplainOptions::default()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    let explained = &explanations.models[0].forecasts;
    assert_eq!(explained.len(), 8);
    for (one, want) in explained.iter().zip(forecasts.column("MLP").unwrap()) {
        let sum: f32 = one.attributions.iter().sum();
        let size = one.attributions.iter().map(|a| a.abs()).sum::<f32>() + one.forecast.abs();
        assert!((one.forecast - want).abs() <= 1e-4 * size, "{} {want}", one.forecast);
        assert!((one.forecast - one.baseline.unwrap() - sum).abs() <= 0.01 * size, "{one:?}");
    }
}
