//! Models from series to forecasts, as a program that uses the library meets them.
use mayfly_forecast::{
    BASELINES, BacktestOptions, Ensemble, Fill, ForecastLoss, Forecaster, FrameOptions, Model, Progress, Refit,
    SeriesFrame, UpdateOptions, Watch,
};
use mayfly_nn::Control;

fn months(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{}-{:02}-01", 2000 + i / 12, i % 12 + 1)).collect()
}

fn seasonal(n: usize, level: f32) -> Vec<f32> {
    (0..n).map(|i| level + i as f32 * 0.5 + 10.0 * (i as f32 * std::f32::consts::TAU / 12.0).sin()).collect()
}

/// Series `a`, `b` … of these lengths.
fn frame(lens: &[usize]) -> SeriesFrame {
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for (s, len) in lens.iter().enumerate() {
        ids.extend(vec![char::from(b'a' + s as u8).to_string(); *len]);
        ds.extend(months(*len));
        y.extend(seasonal(*len, 50.0 + 30.0 * s as f32));
    }
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

fn model(name: &str, steps: usize) -> Model {
    let model = Model::new(name).unwrap().with("max_steps", steps).unwrap().with("learning_rate", 1e-2).unwrap();
    let model = model.with("scaler_type", "standard").unwrap().input_size(18);
    match name {
        "MLP" => model.with("hidden_size", 16).unwrap(),
        "NHITS" => model.with("mlp_units", vec![vec![16, 16]; 2]).unwrap(),
        _ => model,
    }
}

fn all(steps: usize) -> Forecaster {
    ["DLinear", "NLinear", "MLP", "NHITS"].into_iter().fold(Forecaster::new(6), |f, name| f.model(model(name, steps)))
}

#[test]
fn forecasts_go_on_where_series_end() {
    let frame = frame(&[60, 40]);
    let mut forecaster = all(20);
    forecaster.fit(&frame, &mut ()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    assert_eq!(forecasts.columns(), ["unique_id", "ds", "DLinear", "NLinear", "MLP", "NHITS"]);
    let keys: Vec<String> = forecasts.keys().map(|(id, ds, _)| format!("{id} {}", forecasts.written(ds))).collect();
    assert_eq!((keys.len(), keys[0].as_str(), keys[5].as_str()), (12, "a 2005-01-01", "a 2005-06-01"));
    assert_eq!(keys[6], "b 2003-05-01");
    assert_eq!(forecasts.to_csv().lines().count(), 13);
    // From a frame of its own it is the same.
    assert_eq!(forecaster.predict(Some(&frame), None).unwrap().to_csv(), forecasts.to_csv());
}

#[test]
fn a_forecast_is_the_same_alone_or_among_others_and_at_any_number_of_threads() {
    let both = frame(&[60, 40]);
    let mut forecaster = all(15).threads(1);
    forecaster.fit(&both, &mut ()).unwrap();
    let mut threaded = all(15).threads(3);
    threaded.fit(&both, &mut ()).unwrap();
    let text = forecaster.predict(None, None).unwrap().to_csv();
    assert_eq!(threaded.predict(None, None).unwrap().to_csv(), text);
    // Kernels add up one row in another order than several: equal but for rounding.
    let (alone, among) =
        (forecaster.predict(Some(&frame(&[60])), None).unwrap(), forecaster.predict(None, None).unwrap());
    for name in ["DLinear", "NLinear", "MLP", "NHITS"] {
        let (a, b) = (alone.column(name).unwrap(), among.column(name).unwrap());
        assert!(a.len() == 6 && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs()), "{name}: {a:?} {b:?}");
    }
}

#[test]
fn a_saved_forecaster_answers_as_the_one_that_was_trained() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.mayfly");
    let mut forecaster = all(5).model(model("MLP", 5).alias("bounds").loss(ForecastLoss::intervals(&[50.0, 90.0])));
    forecaster.fit(&frame(&[60, 40]), &mut ()).unwrap();
    forecaster.save(&path).unwrap();
    let again = Forecaster::load(&path).unwrap();
    assert_eq!(again.predict(None, None).unwrap().to_csv(), forecaster.predict(None, None).unwrap().to_csv());
    assert_eq!(again.fitted()[4].model.config(), forecaster.fitted()[4].model.config());
    assert_eq!(again.fitted()[0].scores, forecaster.fitted()[0].scores);
    assert_eq!(again.to_bytes().unwrap(), forecaster.to_bytes().unwrap());
    forecaster.forget_series();
    forecaster.save(&path).unwrap();
    let bare = Forecaster::load(&path).unwrap();
    assert!(bare.predict(None, None).unwrap_err().to_string().contains("give series"));
    assert_eq!(
        bare.predict(Some(&frame(&[60, 40])), None).unwrap().to_csv(),
        again.predict(None, None).unwrap().to_csv()
    );
}

#[test]
fn damaged_and_foreign_files_are_refused() {
    use mayfly_format::model_file::{ModelFile, ReadOptions, TensorData};
    let mut forecaster = Forecaster::new(6).model(model("NLinear", 2));
    forecaster.fit(&frame(&[60]), &mut ()).unwrap();
    let file = ModelFile::parse("m", &forecaster.to_bytes().unwrap(), &ReadOptions::default()).unwrap();
    let refused = |change: &dyn Fn(&mut ModelFile)| {
        let mut file = file.clone();
        change(&mut file);
        Forecaster::from_file("m", file).unwrap_err().to_string()
    };
    assert!(refused(&|file| drop(file.other.remove("forecast"))).contains("not a forecaster"));
    assert!(refused(&|file| file.tensors.retain(|t| t.name != "NLinear/linear.bias")).contains("NLinear/linear.bias"));
    assert!(refused(&|file| file.tensors[0].name = "other".into()).contains("missing"));
    let edit = |file: &mut ModelFile, key: &str, from: &str, to: &str| {
        let text = file.other[key].replace(from, to);
        assert_ne!(text, file.other[key], "{from}");
        file.other.insert(key.into(), text);
    };
    assert!(refused(&|file| edit(file, "forecast", "\"h\":6", "\"h\":7")).contains("shape"));
    assert!(refused(&|file| edit(file, "forecast", "\"h\":6", "\"h\":0")).contains("between 1 and"));
    assert!(refused(&|file| edit(file, "forecast", "\"version\":1", "\"version\":9")).contains("version 9"));
    assert!(refused(&|file| edit(file, "forecast", "\"NLinear\"", "\"ALinear\"")).contains("NLinear"));
    assert!(refused(&|file| edit(file, "tails", "\"lens\":[19]", "\"lens\":[20]")).contains("lengths"));
    assert!(refused(&|file| edit(file, "tails", "\"lens\":[19]", "\"lens\":[18]")).contains("do not describe"));
    let cut = |file: &mut ModelFile| {
        for tensor in &mut file.tensors {
            if let (true, TensorData::F32(values)) = (tensor.name == "tails.y", &mut tensor.data) {
                values.pop();
            }
        }
    };
    assert!(refused(&cut).contains("lengths"));
}

/// What is held out, by a fit or behind a cutoff, changes no weight: with it poisoned, the networks have the same bits.
#[test]
fn nothing_of_the_future_is_seen() {
    let known = frame(&[60, 48]);
    let poisoned = |last: usize| {
        let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
        for series in known.iter() {
            for (i, value) in series.y.iter().enumerate() {
                ids.push(series.id.to_owned());
                ds.push(known.written(known.time(&series, i)));
                y.push(if i + last >= series.y.len() { 1e6 * (i as f32).sin() } else { *value });
            }
        }
        SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
    };
    let options = BacktestOptions { windows: 3, step: Some(2), refit: Refit::Never };
    let weights = |frame: &SeriesFrame| -> Vec<Vec<f32>> {
        let backtest = all(8).cross_validation(frame, &options, &mut ()).unwrap();
        backtest.fitted.iter().map(|fitted| fitted.network().params().to_vec()).collect()
    };
    assert_eq!(weights(&known), weights(&poisoned(10)));
    assert_ne!(weights(&known), weights(&poisoned(11)));
    // The first window's forecasts see nothing of what came after their cutoff either.
    let first = |frame: &SeriesFrame| {
        let backtest = all(8).baselines(BASELINES).cross_validation(frame, &options, &mut ()).unwrap();
        let of = |name: &str| backtest.forecasts.column(name).unwrap()[..6].to_vec();
        let names = backtest.forecasts.columns();
        names[4..].iter().map(|name| of(name)).collect::<Vec<_>>()
    };
    assert_eq!(first(&known), first(&poisoned(10)));
}

/// A longer forecast is the shorter one, then what the model says of its own forecasts.
#[test]
fn longer_horizons_feed_forecasts_back() {
    let frame = frame(&[60]);
    let mut forecaster = Forecaster::new(6).model(model("NHITS", 10)).val_size(0);
    forecaster.fit(&frame, &mut ()).unwrap();
    let of =
        |frame: &SeriesFrame, h| forecaster.predict(Some(frame), Some(h)).unwrap().column("NHITS").unwrap().to_vec();
    let (short, own, long) = (of(&frame, 4), of(&frame, 6), of(&frame, 14));
    assert_eq!((&own[..4], &long[..6], long.len()), (&short[..], &own[..], 14));
    let mut y: Vec<f32> = frame.iter().next().unwrap().y.to_vec();
    y.extend(&own);
    let longer =
        SeriesFrame::from_columns(&vec!["a".to_owned(); 66], &months(66), &y, &FrameOptions::default()).unwrap();
    assert_eq!(of(&longer, 6), long[6..12]);
}

/// Under standard scaling a forecast moves with its series.
#[test]
fn forecasts_move_with_their_series() {
    let frame = frame(&[60]);
    let mut forecaster = all(10);
    forecaster.fit(&frame, &mut ()).unwrap();
    let y: Vec<f32> = frame.iter().next().unwrap().y.iter().map(|y| 3.0 * y + 200.0).collect();
    let moved =
        SeriesFrame::from_columns(&vec!["a".to_owned(); 60], &months(60), &y, &FrameOptions::default()).unwrap();
    let (a, b) = (forecaster.predict(Some(&frame), None).unwrap(), forecaster.predict(Some(&moved), None).unwrap());
    for name in ["DLinear", "NLinear", "MLP", "NHITS"] {
        for (a, b) in a.column(name).unwrap().iter().zip(b.column(name).unwrap()) {
            assert!((3.0 * a + 200.0 - b).abs() < 1e-2, "{name}: {a} {b}");
        }
    }
}

#[test]
fn intervals_are_nested_and_never_cross() {
    let level = [50.0, 80.0, 95.0];
    let models = ["DLinear", "NHITS"].map(|name| model(name, 3).loss(ForecastLoss::intervals(&level)));
    let mut forecaster =
        models.into_iter().fold(Forecaster::new(6).level(&level).baselines(BASELINES), Forecaster::model);
    let report = forecaster.fit(&frame(&[60, 40]), &mut ()).unwrap();
    let held = report.held.unwrap();
    for name in ["DLinear", "NHITS"].into_iter().chain(BASELINES.iter().map(|b| b.name)) {
        let point = if name.ends_with("ear") || name == "NHITS" { format!("{name}-median") } else { name.to_owned() };
        let sides = [95, 80, 50].map(|l| format!("{name}-lo-{l}")).into_iter().chain([point]);
        let columns: Vec<&[f32]> = sides
            .chain([50, 80, 95].map(|l| format!("{name}-hi-{l}")))
            .map(|name| held.column(&name).unwrap())
            .collect();
        for row in 0..held.len() {
            assert!(columns.windows(2).all(|pair| pair[0][row] <= pair[1][row]), "{name} row {row}");
        }
        let coverage = held.scores(name).unwrap().coverage;
        assert!(coverage["50"] <= coverage["80"] && coverage["80"] <= coverage["95"], "{name}: {coverage:?}");
    }
}

/// A value that is not known is no number in any weight, and not the same as one that is.
#[test]
fn masked_values_do_not_count() {
    let with = |gap: f32| {
        let mut y = seasonal(60, 50.0);
        y[30] = gap;
        let options = FrameOptions { fill: Fill::Mask, ..FrameOptions::default() };
        SeriesFrame::from_columns(&vec!["a".to_owned(); 60], &months(60), &y, &options).unwrap()
    };
    let weights = |frame: &SeriesFrame| {
        let mut forecaster = Forecaster::new(6).model(model("NHITS", 10)).val_size(0);
        forecaster.fit(frame, &mut ()).unwrap();
        forecaster.fitted()[0].network().params().to_vec()
    };
    let masked = weights(&with(f32::NAN));
    assert!(masked.iter().all(|w| w.is_finite()));
    // Not the same as the value before standing in for it.
    assert_ne!(masked, weights(&with(seasonal(60, 50.0)[29])));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let frame = frame(&[60]);
    let said = |mut f: Forecaster| f.fit(&frame, &mut ()).unwrap_err().to_string();
    assert!(said(Forecaster::new(0).model(model("MLP", 1))).contains("h is 0"));
    assert!(said(Forecaster::new(6)).contains("at least one model"));
    assert!(said(all(1).model(model("MLP", 1))).contains("twice"));
    assert!(said(all(1).val_size(3)).contains("val_size is 3"));
    assert!(said(all(1).val_size(59)).contains("60 values"));
    assert!(said(all(1).level(&[120.0])).contains("level is 120"));
    let options = BacktestOptions { windows: 20, ..BacktestOptions::default() };
    let short = all(1).cross_validation(&frame, &options, &mut ()).unwrap_err().to_string();
    assert!(short.contains("has 60 values, 122 are needed"), "{short}");
    let mut trained = Forecaster::new(6).model(model("NLinear", 1));
    trained.fit(&frame, &mut ()).unwrap();
    let days: Vec<String> = (1..=20).map(|d| format!("2024-01-{d:02}")).collect();
    let daily =
        SeriesFrame::from_columns(&vec!["a".to_owned(); 20], &days, &seasonal(20, 0.0), &FrameOptions::default())
            .unwrap();
    assert!(trained.predict(Some(&daily), None).unwrap_err().to_string().contains("frequency D"));
}

#[test]
fn refitting_sees_what_lies_before_each_cutoff() {
    let frame = frame(&[60]);
    let run = |windows, refit| {
        let options = BacktestOptions { windows, step: None, refit };
        Forecaster::new(6).model(model("NLinear", 20)).cross_validation(&frame, &options, &mut ()).unwrap()
    };
    let (never, every) = (run(2, Refit::Never), run(2, Refit::Every(1)));
    let of = |b: &mayfly_forecast::Backtest| b.forecasts.column("NLinear").unwrap().to_vec();
    // One row by itself and one of two are added up in another order.
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far(&of(&never)[..6], &of(&every)[..6]) < 1e-4);
    assert!(far(&of(&never)[6..], &of(&every)[6..]) > 1e-2);
    // The second window of a refit is the only window of a backtest by itself.
    assert_eq!(of(&run(1, Refit::Never)), of(&every)[6..]);
    assert_eq!((every.fitted[0].steps, never.fitted[0].steps), (40, 20));
    assert_eq!(never.forecasts.columns()[..4], ["unique_id", "ds", "cutoff", "y"]);
    let line = never.forecasts.to_csv().lines().nth(1).unwrap().to_owned();
    assert!(line.starts_with("a,2004-01-01,2003-12-01,"), "{line}");
}

/// Hears of progress, and stops after some of it.
struct Ears {
    heard: Vec<(usize, bool)>,
    stop_after: usize,
}

impl Watch for Ears {
    fn progress(&mut self, progress: &Progress<'_>) {
        self.heard.push((progress.step, progress.validation_loss.is_some()));
    }

    fn control(&mut self) -> Control {
        if self.heard.len() >= self.stop_after { Control::Stop } else { Control::Continue }
    }
}

/// Models as they are, over all of the past: what a backtest without a training gives, and what a forecast from that place gives.
#[test]
fn models_forecast_the_past_as_they_are() {
    let whole = frame(&[60, 40]);
    let mut forecaster = Forecaster::new(6).model(model("DLinear", 10)).model(model("MLP", 10)).baselines(BASELINES);
    assert!(forecaster.predict_insample(&whole, None).unwrap_err().to_string().contains("fit it first"));
    forecaster.fit(&whole.without_last(12), &mut ()).unwrap();
    let past = forecaster.predict_insample(&whole, None).unwrap();
    // From every sixth value on, as far as 54 and 34.
    assert_eq!((past.len() / 6, past.column("MLP").unwrap().len()), (9 + 6, past.len()));
    for n in [6, 12, 18] {
        let forecasts = forecaster.predict(Some(&whole.without_last(n)), None).unwrap();
        for name in ["DLinear", "MLP"] {
            let want = &forecasts.column(name).unwrap()[..6];
            let at = 9 * 6 - n;
            let got = &past.column(name).unwrap()[at..at + 6];
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-5 * w.abs()), "{name} {n}");
        }
    }
    let options = BacktestOptions { refit: Refit::Fitted, ..BacktestOptions::over(12, 6, Some(3)).unwrap() };
    assert_eq!(options.windows, 3);
    let backtest = forecaster.cross_validation(&whole, &options, &mut ()).unwrap();
    assert_eq!(backtest.fitted[0].network().params(), forecaster.fitted()[0].network().params());
    let every = forecaster.predict_insample(&whole, Some(3)).unwrap();
    for name in ["DLinear", "MLP", "Naive"] {
        let (all, last) = (every.column(name).unwrap(), backtest.forecasts.column(name).unwrap());
        let of_a = all.len() * 18 / (18 + 11) / 6;
        let want = &all[(of_a - 3) * 6..of_a * 6];
        assert!(last[..18].iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-5 * w.abs()), "{name}");
    }
    for (test, step) in [(5, None), (9, None), (13, Some(3))] {
        let said = BacktestOptions::over(test, 6, step).unwrap_err().to_string();
        assert!(said.contains("test_size"), "{said}");
    }
    let said = forecaster.predict_insample(&whole, Some(0)).unwrap_err().to_string();
    assert!(said.contains("step"), "{said}");
}

#[test]
fn validation_comes_at_its_steps_and_patience_ends_a_training() {
    let frame = frame(&[60]);
    let checked = model("NLinear", 25).with("val_check_steps", 10).unwrap();
    let mut ears = Ears { heard: Vec::new(), stop_after: usize::MAX };
    let mut forecaster = Forecaster::new(6).model(checked.clone());
    let report = forecaster.fit(&frame, &mut ears).unwrap();
    assert_eq!((ears.heard, report.val_size, report.stopped), (vec![(10, true), (20, true), (25, true)], 6, false));
    // A rate that makes everything worse at once.
    let wild = model("NLinear", 500).with("learning_rate", 5.0).unwrap().with("val_check_steps", 1).unwrap();
    let mut forecaster = Forecaster::new(6).model(wild.with("early_stop_patience_steps", 3).unwrap());
    forecaster.fit(&frame, &mut ()).unwrap();
    assert!(forecaster.fitted()[0].steps < 100, "{}", forecaster.fitted()[0].steps);
    let mut ears = Ears { heard: Vec::new(), stop_after: 1 };
    let mut forecaster = Forecaster::new(6).model(checked.clone()).model(checked.alias("second"));
    let report = forecaster.fit(&frame, &mut ears).unwrap();
    assert!(report.stopped && forecaster.fitted().len() == 1 && forecaster.fitted()[0].steps <= 20);
}

/// Values of all series from `from` on.
fn later(frame: &SeriesFrame, from: usize) -> SeriesFrame {
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for series in frame.iter() {
        for at in from..series.y.len() {
            ids.push(series.id.to_owned());
            ds.push(frame.written(frame.time(&series, at)));
            y.push(series.y[at]);
        }
    }
    let options = FrameOptions { freq: Some(frame.freq()), least: 1, ..FrameOptions::default() };
    SeriesFrame::from_columns(&ids, &ds, &y, &options).unwrap()
}

#[test]
fn an_update_is_a_frame_that_goes_on() {
    let whole = frame(&[60, 60]);
    for new in [1, 7, 30] {
        let mut forecaster = all(5);
        forecaster.fit(&whole.without_last(new), &mut ()).unwrap();
        let before = forecaster.predict(None, None).unwrap().to_csv();
        let more = later(&whole, 60 - new);
        let updated = forecaster.update(&more, &UpdateOptions::default(), &mut ()).unwrap();
        assert_eq!((updated.appended.rows, updated.appended.series), (2 * new, 0));
        let after = forecaster.predict(None, None).unwrap().to_csv();
        assert_eq!(after, forecaster.predict(Some(&whole), None).unwrap().to_csv(), "{new}");
        assert_ne!(after, before);
        let folder = tempfile::tempdir().unwrap();
        forecaster.save(folder.path().join("m.mayfly")).unwrap();
        let loaded = Forecaster::load(folder.path().join("m.mayfly")).unwrap();
        assert_eq!(loaded.predict(None, None).unwrap().to_csv(), after);
        assert_eq!(loaded.tails().unwrap().longest(), 19, "no more is kept than before");
    }
}

#[test]
fn an_update_trains_on_from_the_weights_there_are() {
    let whole = frame(&[60, 60]);
    let trained = |rate: f64, steps: usize| {
        let mut forecaster =
            Forecaster::new(6).model(model("MLP", 60).with("learning_rate", rate).unwrap()).val_size(6);
        forecaster.fit(&whole.without_last(6), &mut ()).unwrap();
        let before = forecaster.predict(Some(&whole), None).unwrap();
        let options = UpdateOptions { steps, ..UpdateOptions::default() };
        forecaster.update(&whole, &options, &mut ()).unwrap();
        let after = forecaster.predict(None, None).unwrap();
        let fitted = &forecaster.fitted()[0];
        assert_eq!((fitted.steps, fitted.scores.is_some()), (60 + steps, steps == 0));
        let far = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
        let [before, after] = [before, after].map(|f| f.column("MLP").unwrap().to_vec());
        before.iter().zip(&after).map(far).fold(0.0, f64::max)
    };
    assert!(trained(1e-2, 0) == 0.0);
    let (little, much) = (trained(1e-6, 1), trained(1e-2, 40));
    assert!(little > 0.0 && little < 0.05 && much > 0.2, "{little} {much}");
}

#[test]
fn updates_that_make_no_sense_change_nothing() {
    let whole = frame(&[60, 60]);
    let mut forecaster = all(5).model(model("TSMixer", 5));
    forecaster.fit(&whole.without_last(6), &mut ()).unwrap();
    let before = forecaster.to_bytes().unwrap();
    let steps = UpdateOptions { steps: 3, ..UpdateOptions::default() };
    let mut said = |more: &SeriesFrame| {
        let said = forecaster.update(more, &steps, &mut ()).unwrap_err().to_string();
        assert_eq!(forecaster.to_bytes().unwrap(), before, "{said}");
        said
    };
    let gap = said(&later(&whole, 57));
    assert!(gap.contains("\"a\" has no value at 2004-07-01; 6 values are missing in 2 series"), "{gap}");
    let other =
        SeriesFrame::from_columns(&["z", "z"], &["2004-07-01", "2004-08-01"], &[1.0, 2.0], &FrameOptions::default());
    let other = said(&other.unwrap());
    assert!(other.contains("with \"z\", which it was not trained on"), "{other}");
    let daily =
        SeriesFrame::from_columns(&["a", "a"], &["2004-07-01", "2004-07-02"], &[1.0, 2.0], &FrameOptions::default());
    assert!(said(&daily.unwrap()).contains("frequency"));
    // A forecaster that keeps no values learns from new ones without keeping them.
    forecaster.forget_series();
    let more = whole.last(30);
    let refused = forecaster.update(&more, &UpdateOptions::default(), &mut ()).unwrap_err().to_string();
    assert!(refused.contains("keeps no values"), "{refused}");
    forecaster.update(&more, &steps, &mut ()).unwrap();
    assert!(forecaster.tails().is_none());
}

#[test]
fn an_ensemble_is_made_of_all_models() {
    let frame = frame(&[60, 40]);
    let mut forecaster = all(10).ensemble(Ensemble::Weighted).val_size(6).level(&[80.0]).baselines(&BASELINES[..1]);
    let report = forecaster.fit(&frame, &mut ()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    assert_eq!(forecasts.columns()[2..], ["DLinear", "NLinear", "MLP", "NHITS", "Ensemble"]);
    let weight = |name: &str| {
        1.0 / forecaster.fitted().iter().find(|f| f.model.alias == name).unwrap().scores.as_ref().unwrap().mae
    };
    let names = ["DLinear", "NLinear", "MLP", "NHITS"];
    let total: f64 = names.map(weight).iter().sum();
    for at in 0..12 {
        let want: f64 = names.iter().map(|name| weight(name) * f64::from(forecasts.column(name).unwrap()[at])).sum();
        let got = f64::from(forecasts.column("Ensemble").unwrap()[at]);
        assert!((got - want / total).abs() < 1e-3, "{got} {want}");
    }
    let held = report.held.unwrap();
    assert_eq!(report.ensemble.unwrap().mae, held.scores("Ensemble").unwrap().mae);
    let folder = tempfile::tempdir().unwrap();
    forecaster.save(folder.path().join("m.mayfly")).unwrap();
    let loaded = Forecaster::load(folder.path().join("m.mayfly")).unwrap();
    assert_eq!(loaded.predict(None, None).unwrap().to_csv(), forecasts.to_csv());
    // In a backtest it stands between the models and the baselines, whatever is held out.
    let windows = BacktestOptions { windows: 2, ..BacktestOptions::default() };
    let backtest = all(5).ensemble(Ensemble::Median).cross_validation(&frame, &windows, &mut ()).unwrap();
    assert!(backtest.ensemble.unwrap().mae > 0.0 && backtest.forecasts.column("Ensemble").is_some());
    let said = |forecaster: Forecaster| forecaster.cross_validation(&frame, &windows, &mut ()).unwrap_err().to_string();
    assert!(said(all(5).ensemble(Ensemble::Weighted)).contains("held out"));
    assert!(said(Forecaster::new(6).model(model("MLP", 5)).ensemble(Ensemble::Mean)).contains("two models"));
    assert!(said(all(5).model(model("MLP", 5).alias("Ensemble")).ensemble(Ensemble::Mean)).contains("twice"));
}

#[test]
fn ridge_is_solved_and_takes_squares_alone() {
    let frame = frame(&[60, 60]);
    let ridge = || Model::new("Ridge").unwrap().input_size(24);
    let mut forecaster = Forecaster::new(6).model(ridge()).val_size(6);
    forecaster.fit(&frame, &mut ()).unwrap();
    let fitted = &forecaster.fitted()[0];
    // A line and a season of twelve are a linear map of 24 values: next to nothing is left.
    assert!(fitted.scores.as_ref().unwrap().mae < 0.5, "{:?}", fitted.scores);
    assert_eq!((fitted.steps, fitted.windows), (1, 2 * (54 - 24 - 6 + 1)));
    let before = forecaster.predict(Some(&frame), None).unwrap().to_csv();
    let steps = UpdateOptions { steps: 3, ..UpdateOptions::default() };
    forecaster.update(&frame.last(1), &steps, &mut ()).unwrap();
    assert_eq!(forecaster.predict(Some(&frame), None).unwrap().to_csv(), before, "a few values teach it nothing");
    let said = Forecaster::new(6).model(ridge().loss(ForecastLoss::Mae)).fit(&frame, &mut ()).unwrap_err().to_string();
    assert!(said.contains("its loss is mse"), "{said}");
    assert!(ridge().with("alpha", -1.0).is_err());
}

/// One of the series of a frame, by its name.
fn only(frame: &SeriesFrame, name: &str) -> SeriesFrame {
    let series = frame.iter().find(|series| series.id == name).unwrap();
    let ds: Vec<String> = (0..series.y.len()).map(|at| frame.written(frame.time(&series, at))).collect();
    SeriesFrame::from_columns(&vec![name.to_owned(); ds.len()], &ds, series.y, &FrameOptions::default()).unwrap()
}

#[test]
fn a_local_model_is_one_model_a_series() {
    let frame = frame(&[60, 60, 50]);
    let locals = |threads: usize| {
        let models = ["NLinear", "MLP", "Ridge"].map(|name| match name {
            "Ridge" => Model::new(name).unwrap().input_size(18).local(),
            _ => model(name, 12).local(),
        });
        models.into_iter().fold(Forecaster::new(6), Forecaster::model).threads(threads).val_size(6)
    };
    let mut all = locals(2);
    let report = all.fit(&frame, &mut ()).unwrap();
    assert_eq!(report.held.unwrap().len(), 3 * 6);
    let together = all.predict(None, None).unwrap();
    for name in ["a", "b", "c"] {
        let mut alone = locals(1);
        for model in 0..3 {
            assert!(alone.models()[model].local);
        }
        alone.fit(&only(&frame, name), &mut ()).unwrap();
        let mut global = Forecaster::new(6).model(model("MLP", 12)).val_size(6);
        global.fit(&only(&frame, name), &mut ()).unwrap();
        let rows = |csv: String| {
            csv.lines().filter(|l| l.starts_with(&format!("{name},"))).map(str::to_owned).collect::<Vec<_>>()
        };
        let alone = alone.predict(None, None).unwrap();
        assert_eq!(rows(together.to_csv()), rows(alone.to_csv()), "{name}");
        assert_eq!(alone.column("MLP"), global.predict(None, None).unwrap().column("MLP"));
    }
    let folder = tempfile::tempdir().unwrap();
    all.save(folder.path().join("m.mayfly")).unwrap();
    let mut loaded = Forecaster::load(folder.path().join("m.mayfly")).unwrap();
    assert_eq!(loaded.predict(None, None).unwrap().to_csv(), together.to_csv());
    assert_eq!(loaded.to_bytes().unwrap(), all.to_bytes().unwrap());
    assert_eq!(loaded.fitted()[0].parameters(), 3 * (18 * 6 + 6));
    // It knows its own series and no others, also where it learns more.
    let d = SeriesFrame::from_columns(
        &["d"; 30],
        &months(30)[..].iter().map(String::as_str).collect::<Vec<_>>()[..],
        &seasonal(30, 1.0),
        &FrameOptions::default(),
    );
    let said = loaded.predict(Some(&d.unwrap()), None).unwrap_err().to_string();
    assert!(said.contains("\"d\"") && said.contains("--local"), "{said}");
    let steps = UpdateOptions { steps: 3, ..UpdateOptions::default() };
    loaded.update(&frame, &steps, &mut ()).unwrap();
    let after = loaded.predict(None, None).unwrap();
    assert_ne!(after.column("MLP"), together.column("MLP"));
    assert_eq!(after.column("Ridge"), together.column("Ridge"));
    let said = Forecaster::new(6).model(model("TSMixer", 5).local()).fit(&frame, &mut ()).unwrap_err().to_string();
    assert!(said.contains("forecasts all series together"), "{said}");
    // Asked to stop, no part of one is taken for the whole.
    struct Now;
    impl Watch for Now {
        fn control(&mut self) -> Control {
            Control::Stop
        }
    }
    let mut stopped = locals(1);
    assert!(stopped.fit(&frame, &mut Now).unwrap().stopped && stopped.fitted().is_empty());
}
