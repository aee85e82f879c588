//! Series that are scaled as a whole before models see them.
use mayfly_forecast::{
    AutoOptions, BacktestOptions, Ensemble, ExplainOptions, ForecastLoss, Forecaster, FrameOptions, LocalScaler, Model,
    Refit, SeriesFrame, Space, Table, UpdateOptions,
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
        "NLinear" => model,
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

/// Series of these lengths at a million, and one at 20 that is long.
fn uneven(lens: &[usize]) -> SeriesFrame {
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for (s, len) in [80].iter().chain(lens).enumerate() {
        ids.extend(vec![format!("s{s}"); *len]);
        ds.extend((80 - len..80).map(|i| i.to_string()));
        let unit = if s == 0 { [1.0, 20.0] } else { [1000.0, 1e6] };
        y.extend(values(80, s, unit).into_iter().skip(80 - len));
    }
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

/// A series of which training sees nothing is still seen on its scale.
#[test]
fn series_shorter_than_what_is_held_out_have_a_scale() {
    let frame = uneven(&[80, 10, 13, 14]);
    let mut forecaster = Forecaster::new(4).model(model("MLP")).val_size(12).local_scaler(LocalScaler::Standard);
    forecaster.fit(&frame, &mut ()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    for (at, value) in forecasts.column("MLP").unwrap().iter().enumerate() {
        let want = if at < 4 { [0.0, 50.0] } else { [0.98e6, 1.03e6] };
        assert!((want[0]..want[1]).contains(&f64::from(*value)), "{at}: {value}");
    }
    // Values that come later make its scale anew, as it was not learnt from.
    let mut updated = Forecaster::new(4).model(model("MLP")).val_size(12).local_scaler(LocalScaler::Standard);
    updated.fit(&uneven(&[80, 10, 13, 14]).without_last(8), &mut ()).unwrap();
    updated.update(&frame.last(8), &UpdateOptions::default(), &mut ()).unwrap();
    assert!(
        updated.predict(None, None).unwrap().column("MLP").unwrap()[8..12].iter().all(|v| (0.98e6..1.03e6).contains(v))
    );
}

/// A file without the ends of its series has their scales: forecasts and updates are those of one with them.
#[test]
fn scales_are_kept_without_the_series() {
    let whole = plain(&frame(80, [1000.0, 1e6]));
    let mut forecaster = Forecaster::new(4).model(model("MLP")).local_scaler(LocalScaler::Robust);
    forecaster.fit(&whole.without_last(10), &mut ()).unwrap();
    let mut bare = forecaster.clone();
    bare.forget_series();
    let file = tempfile::NamedTempFile::new().unwrap();
    bare.save(file.path()).unwrap();
    let mut bare = Forecaster::load(file.path()).unwrap();
    let csv = |f: &Forecaster| f.predict(Some(&whole.last(14)), None).unwrap().to_csv();
    assert_eq!(csv(&bare), csv(&forecaster));
    let on = UpdateOptions { steps: 3, ..UpdateOptions::default() };
    let before = csv(&bare);
    bare.update(&whole.last(14), &on, &mut ()).unwrap();
    assert_ne!(csv(&bare), before);
    // What is learnt from fourteen values of their scale is not what would be learnt from fourteen of another.
    let column = |f: &Forecaster| f.predict(Some(&whole.last(14)), None).unwrap().column("MLP").unwrap().to_vec();
    assert!(column(&bare)[4..].iter().all(|v| (0.99e6..1.02e6).contains(v)), "{:?}", column(&bare));
}

/// A series that is new to the models has scales that follow it until something is learnt from it.
#[test]
fn new_series_are_scaled_by_all_that_came() {
    let mut forecaster = Forecaster::new(4).model(model("MLP")).local_scaler(LocalScaler::Standard);
    forecaster.fit(&uneven(&[80]), &mut ()).unwrap();
    let new = |range: std::ops::Range<usize>| {
        let ds: Vec<String> = range.clone().map(|i| i.to_string()).collect();
        let options = FrameOptions { freq: Some("1".parse().unwrap()), least: 1, ..FrameOptions::default() };
        let y = values(80, 9, [1000.0, 1e6])[range].to_vec();
        SeriesFrame::from_columns(&vec!["new".to_owned(); y.len()], &ds, &y, &options).unwrap()
    };
    let of_new = |f: &Forecaster| f.predict(None, None).unwrap().column("MLP").unwrap()[..4].to_vec();
    let mut pieces = forecaster.clone();
    pieces.update(&new(0..1), &UpdateOptions::default(), &mut ()).unwrap();
    pieces.update(&new(1..40), &UpdateOptions::default(), &mut ()).unwrap();
    let mut whole = forecaster.clone();
    whole.update(&new(0..40), &UpdateOptions::default(), &mut ()).unwrap();
    assert_eq!(of_new(&pieces), of_new(&whole));
    // In a backtest its scale is that of what lies before the windows.
    let backtest = |last: f32| {
        let mut y = values(60, 9, [1000.0, 1e6]);
        y[56..].iter_mut().for_each(|v| *v *= last);
        let ds: Vec<String> = (0..60).map(|i| i.to_string()).collect();
        let frame =
            SeriesFrame::from_columns(&vec!["other".to_owned(); 60], &ds, &y, &FrameOptions::default()).unwrap();
        let options = BacktestOptions { refit: Refit::Fitted, ..BacktestOptions::default() };
        let backtest = forecaster.cross_validation(&frame, &options, &mut ()).unwrap();
        backtest.forecasts.column("MLP").unwrap().to_vec()
    };
    assert_eq!(backtest(1.0), backtest(1e3));
}

/// A weighted ensemble has its weights from the fit, and a model that is only asked needs nothing to learn from.
#[test]
fn what_was_fitted_is_backtested_as_it_is() {
    let whole = plain(&frame(80, [1.0, 0.0]));
    let mut forecaster = Forecaster::new(4).model(model("MLP")).model(model("NLinear")).ensemble(Ensemble::Weighted);
    forecaster.fit(&whole, &mut ()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    forecaster.save(file.path()).unwrap();
    let loaded = Forecaster::load(file.path()).unwrap();
    let options = BacktestOptions { refit: Refit::Fitted, ..BacktestOptions::default() };
    let backtest = loaded.cross_validation(&whole.last(5), &options, &mut ()).unwrap();
    assert!(backtest.ensemble.is_some());
    assert_eq!(backtest.forecasts.len(), 8);
    assert!(loaded.cross_validation(&whole.last(4), &options, &mut ()).is_err());
}

/// Trials of a search are those of one scaling.
#[test]
fn a_search_is_not_gone_on_with_on_another_scale() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = AutoOptions { samples: 1, log: Some(log.path().to_owned()), ..AutoOptions::default() };
    let auto = |scaler: Option<LocalScaler>, local: bool| {
        let nlinear = model("NLinear");
        let nlinear = if local { nlinear.local() } else { nlinear };
        let space = Space::of(nlinear.family);
        let mut forecaster = Forecaster::new(4).model(nlinear);
        forecaster = scaler.into_iter().fold(forecaster, Forecaster::local_scaler);
        forecaster.auto(&plain(&frame(80, [1.0, 0.0])), &[space], &options, &mut ()).map(|found| found.trials.len())
    };
    assert_eq!(auto(None, false).unwrap(), 1);
    assert!(auto(Some(LocalScaler::Standard), false).unwrap_err().to_string().contains("local_scaler"));
    assert!(auto(None, true).unwrap_err().to_string().contains("another search"));
    assert_eq!(auto(None, false).unwrap(), 1);
}
