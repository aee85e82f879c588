//! Intervals from errors in backtests: that they hold about what they say, nest, and come back from files.
use mayfly_forecast::{BacktestOptions, Conformal, ConformalMethod, Forecaster, FrameOptions, Model, SeriesFrame};

/// Noise of a uniform draw in −1 … 1 on top of a season.
fn y(series: u64, t: usize) -> f32 {
    let draw = (mayfly_base::mix(series << 32 | t as u64) % 2001) as f32 / 1000.0 - 1.0;
    20.0 + 5.0 * (t as f32 * std::f32::consts::TAU / 6.0).sin() + 2.0 * draw
}

fn frame(series: u64, n: usize) -> SeriesFrame {
    let rows = || (0..series).flat_map(|s| (0..n).map(move |t| (s, t)));
    let ids: Vec<String> = rows().map(|(s, _)| format!("s{s}")).collect();
    let ds: Vec<String> = rows().map(|(_, t)| t.to_string()).collect();
    let y: Vec<f32> = rows().map(|(s, t)| y(s, t)).collect();
    SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default()).unwrap()
}

fn forecaster(method: ConformalMethod) -> Forecaster {
    let model = Model::new("NLinear").unwrap().input_size(12).with("max_steps", 300).unwrap();
    let model = model.with("learning_rate", 1e-2).unwrap().with("scaler_type", "standard").unwrap();
    let conformal = Conformal { method, windows: 20, step: Some(1) };
    Forecaster::new(3).model(model).level(&[50.0, 80.0]).intervals(conformal)
}

#[test]
fn intervals_hold_about_what_they_say() {
    let frame = frame(12, 120);
    for method in [ConformalMethod::Distribution, ConformalMethod::Error] {
        let options = BacktestOptions { windows: 6, ..BacktestOptions::default() };
        let backtest = forecaster(method).cross_validation(&frame, &options, &mut ()).unwrap();
        let scores = backtest.fitted[0].scores.clone().unwrap();
        // 216 values; twenty errors a step know a quantile only so well.
        for (level, low, high) in [("50", 0.38, 0.62), ("80", 0.68, 0.9)] {
            let share = scores.coverage[level];
            assert!((low..high).contains(&share), "{method:?}: {share} within the interval of {level} %");
        }
        let columns = backtest.forecasts.columns();
        assert_eq!(columns[4..], ["NLinear", "NLinear-lo-80", "NLinear-lo-50", "NLinear-hi-50", "NLinear-hi-80"]);
        let of = |name: &str| backtest.forecasts.column(name).unwrap();
        for i in 0..backtest.forecasts.len() {
            let row = ["NLinear-lo-80", "NLinear-lo-50", "NLinear", "NLinear-hi-50", "NLinear-hi-80"].map(|c| of(c)[i]);
            assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
        }
    }
}

#[test]
fn a_file_brings_the_errors_back_and_strangers_have_none() {
    let mut forecaster = forecaster(ConformalMethod::Distribution);
    forecaster.fit(&frame(3, 80), &mut ()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.mayfly");
    forecaster.save(&path).unwrap();
    let again = Forecaster::load(&path).unwrap();
    let (a, b) = (forecaster.predict(None, None).unwrap(), again.predict(None, None).unwrap());
    assert_eq!(a.to_csv(), b.to_csv());
    assert!(a.column("NLinear-hi-80").unwrap().iter().all(|v| v.is_finite()));
    again.save(&path).unwrap();
    assert_eq!(Forecaster::load(&path).unwrap().predict(None, None).unwrap().to_csv(), a.to_csv());
    let four = frame(4, 80);
    let forecasts = again.predict(Some(&four), None).unwrap();
    let high = forecasts.column("NLinear-hi-80").unwrap();
    assert!(high[..9].iter().all(|v| v.is_finite()) && high[9..].iter().all(|v| v.is_nan()), "{high:?}");
    assert!(forecasts.to_csv().lines().last().unwrap().ends_with(",,,,"), "unknown bounds are empty cells");
    // Steps beyond the horizon have none, either.
    let longer = again.predict(None, Some(5)).unwrap();
    let high = longer.column("NLinear-hi-80").unwrap();
    assert!(high[2].is_finite() && high[3].is_nan() && longer.column("NLinear").unwrap()[3].is_finite());
}

#[test]
fn series_too_short_for_the_backtest_are_named() {
    let mut forecaster = forecaster(ConformalMethod::Error);
    let said = forecaster.fit(&frame(2, 20), &mut ()).unwrap_err().to_string();
    assert!(said.contains("with them intervals need 24 values") && said.contains("has 17"), "{said}");
    let mut none = Forecaster::new(3).model(Model::new("NLinear").unwrap()).intervals(Conformal::default());
    assert!(none.fit(&frame(2, 60), &mut ()).unwrap_err().to_string().contains("level"));
}
