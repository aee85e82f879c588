//! Families that forecast all series together, from a table to a forecast.
use mayfly_forecast::{
    BacktestOptions, Conformal, FAMILIES, Fill, Forecaster, Forecasts, FrameOptions, Model, SeriesFrame,
};

const H: usize = 3;

/// Series by name: when they begin, and how many values they have.
fn frame(series: &[(&str, usize, usize)]) -> SeriesFrame {
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (id, start, len)) in series.iter().enumerate() {
        for t in *start..start + len {
            ids.push((*id).to_owned());
            ds.push(t.to_string());
            y.push(10.0 * at as f32 + (t as f32 * 0.7 + at as f32).sin() * 3.0 + t as f32 * 0.1);
        }
    }
    let options = FrameOptions { fill: Fill::Mask, ..FrameOptions::default() };
    SeriesFrame::from_columns(&ids, &ds, &y, &options).unwrap()
}

/// Three series that end together; the last begins late.
fn three() -> SeriesFrame {
    frame(&[("a", 0, 40), ("b", 0, 40), ("c", 20, 20)])
}

fn small(name: &str) -> Model {
    let model = Model::new(name).unwrap().input_size(8).with("max_steps", 20).unwrap();
    let model = model.with("scaler_type", "standard").unwrap();
    let sizes = [("hidden_size", 8), ("d_ff", 8), ("n_heads", 2), ("patch_len", 4), ("ff_dim", 8)];
    let there = sizes.into_iter().filter(|(name, _)| model.config().get(name).is_some());
    let sizes = there.map(|(name, n)| (name.to_owned(), n.into())).collect();
    model.with_all(&sizes).unwrap()
}

fn fitted(name: &str, frame: &SeriesFrame) -> Forecaster {
    let mut forecaster = Forecaster::new(H).model(small(name));
    forecaster.fit(frame, &mut ()).unwrap();
    forecaster
}

fn values(forecasts: &Forecasts, name: &str) -> Vec<f32> {
    forecasts.column(name).unwrap().to_vec()
}

#[test]
fn all_families_forecast_every_series_and_come_back_from_a_file() {
    let multivariate: Vec<&str> = FAMILIES.iter().filter(|f| f.takes.multivariate).map(|f| f.name).collect();
    assert!(multivariate.len() >= 8);
    for name in multivariate {
        let forecaster = fitted(name, &three());
        let forecasts = forecaster.predict(None, None).unwrap();
        let all = values(&forecasts, name);
        assert_eq!(all.len(), 3 * H, "{name}");
        assert!(all.iter().all(|v| v.is_finite()), "{name}: {all:?}");
        // Series are about ten apart.
        let level = |at: usize| all[at * H..(at + 1) * H].iter().sum::<f32>() / H as f32;
        assert!(level(0) < level(1) && level(1) < level(2), "{name}: {all:?}");
        let path = std::env::temp_dir().join(format!("mayfly-multivariate-{}-{name}.mayfly", std::process::id()));
        forecaster.save(&path).unwrap();
        let again = Forecaster::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(values(&again.predict(None, None).unwrap(), name), all, "{name}");
        assert_eq!(values(&again.predict(Some(&three()), None).unwrap(), name), all, "{name}");
        // The median is fed back beyond the horizon.
        let longer = values(&again.predict(None, Some(2 * H + 1)).unwrap(), name);
        assert_eq!(longer.len(), 3 * (2 * H + 1), "{name}");
        assert_eq!(longer[..H], all[..H], "{name}");
    }
}

/// What one series does reaches the forecasts of the others.
#[test]
fn series_hear_of_each_other() {
    let forecaster = fitted("TSMixer", &three());
    let before = values(&forecaster.predict(Some(&three()), None).unwrap(), "TSMixer");
    let other = frame(&[("a", 0, 40), ("b", 1, 39), ("c", 20, 20)]);
    let after = values(&forecaster.predict(Some(&other), None).unwrap(), "TSMixer");
    assert_eq!(before, after, "a value that no window reaches");
    let other = {
        let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
        for series in three().iter() {
            for (t, v) in series.y.iter().enumerate() {
                ids.push(series.id.to_owned());
                ds.push((t + 40 - series.y.len()).to_string());
                y.push(if series.id == "b" && t == 38 { v + 5.0 } else { *v });
            }
        }
        SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
    };
    let after = values(&forecaster.predict(Some(&other), None).unwrap(), "TSMixer");
    assert!(before[..H] != after[..H] && before[2 * H..] != after[2 * H..], "{before:?} {after:?}");
}

#[test]
fn a_backtest_is_what_a_forecast_from_there_would_be() {
    let options = BacktestOptions { windows: 2, ..BacktestOptions::default() };
    let backtest = Forecaster::new(H)
        .model(small("iTransformer"))
        .val_size(0)
        .cross_validation(&three(), &options, &mut ())
        .unwrap();
    let got = values(&backtest.forecasts, "iTransformer");
    // Series by series, window by window.
    let mut forecaster = Forecaster::new(H).model(small("iTransformer")).val_size(0);
    forecaster.fit(&three().without_last(2 * H), &mut ()).unwrap();
    for (window, ahead) in [2 * H, H].into_iter().enumerate() {
        let want = values(&forecaster.predict(Some(&three().without_last(ahead)), None).unwrap(), "iTransformer");
        for series in 0..3 {
            let at = (series * 2 + window) * H;
            assert_eq!(got[at..at + H], want[series * H..(series + 1) * H], "series {series}, window {window}");
        }
    }
}

#[test]
fn intervals_come_from_errors_of_all_series() {
    let conformal = Conformal { windows: 3, ..Conformal::default() };
    let mut forecaster = Forecaster::new(H).model(small("XLinear")).level(&[80.0]).intervals(conformal);
    forecaster.fit(&three(), &mut ()).unwrap();
    let forecasts = forecaster.predict(None, None).unwrap();
    let [low, high] = ["XLinear-lo-80", "XLinear-hi-80"].map(|name| values(&forecasts, name));
    assert!(low.iter().zip(&high).all(|(low, high)| low < high), "{low:?} {high:?}");
}

#[test]
fn other_series_are_refused_by_name() {
    let forecaster = fitted("TSMixer", &three());
    let said =
        |series: &[(&str, usize, usize)]| forecaster.predict(Some(&frame(series)), None).unwrap_err().to_string();
    let lacking = said(&[("a", 0, 40), ("b", 0, 40)]);
    assert!(lacking.contains("without \"c\"") && lacking.contains("TSMixer forecasts the 3 series"), "{lacking}");
    let strange = said(&[("a", 0, 40), ("b", 0, 40), ("c", 20, 20), ("d", 0, 40)]);
    assert!(strange.contains("with \"d\""), "{strange}");
    let early = said(&[("a", 0, 40), ("b", 0, 38), ("c", 20, 20)]);
    assert!(early.contains("\"b\" ends at 37, others at 39: 1 series"), "{early}");
    let mut unfit = Forecaster::new(H).model(small("TSMixer"));
    let early = unfit.fit(&frame(&[("a", 0, 40), ("b", 0, 38)]), &mut ()).unwrap_err().to_string();
    assert!(early.contains("\"b\" ends at 37"), "{early}");
}

/// Models of one series at a time and of all stand side by side.
#[test]
fn families_of_both_kinds_stand_side_by_side() {
    let mut forecaster = Forecaster::new(H).model(small("TSMixer")).model(small("NLinear"));
    let report = forecaster.fit(&three(), &mut ()).unwrap();
    assert_eq!(report.val_size, H);
    assert!(forecaster.fitted().iter().all(|fitted| fitted.scores.as_ref().is_some_and(|s| s.mae.is_finite())));
    // A series alone is answered by the one and not by the other.
    let alone = frame(&[("a", 0, 40)]);
    assert!(forecaster.predict(Some(&alone), None).unwrap_err().to_string().contains("TSMixer"));
}

/// A series that ends early is unknown up to the end of the others, and forecast from there like them.
#[test]
fn ends_can_be_aligned() {
    let early = frame(&[("a", 0, 40), ("b", 0, 38)]);
    assert!(!early.ends_together());
    let aligned = early.with_common_end().unwrap();
    assert!(aligned.ends_together());
    let b = aligned.iter().nth(1).unwrap();
    assert_eq!((b.y.len(), b.is_known(37), b.is_known(38), b.is_known(39)), (40, true, false, false));
    assert_eq!((b.y[38], b.y[39]), (b.y[37], b.y[37]));
    assert_eq!(aligned.iter().next().unwrap().y, early.iter().next().unwrap().y);
    let forecaster = fitted("TSMixer", &aligned);
    let forecasts = forecaster.predict(None, None).unwrap();
    let times: Vec<String> = forecasts.keys().map(|(id, ds, _)| format!("{id} {}", forecasts.written(ds))).collect();
    assert_eq!((times[0].as_str(), times[H].as_str()), ("a 40", "b 40"));
    assert!(values(&forecasts, "TSMixer").iter().all(|v| v.is_finite()));
}
